"""The commands that ask for an answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tertulia_cli.asking_options import (
    asking,
    asking_those,
    branch_option,
    conversation_option,
    split_names,
    system_option,
)
from tertulia_cli.command_parts import json_option, show_examples

if TYPE_CHECKING:
    from tertulia_cli.access import Access

_JSON = json_option("Print one JSON object when the answer is complete.")


@click.command(
    epilog=show_examples(
        'tertulia ask "Three days in Lisbon, please."',
        'tertulia ask --provider gemini --system "Be brief." "What is a tertulia?"',
        'tertulia ask --fallback gemini,xai/grok-4.3 --on-interrupt continue "Hello!"',
        "tertulia ask --budget 0.02 --max-output-tokens 500 --attach menu.jpg 'What would you order?'",
        "git diff | tertulia ask --system 'Write a commit message for this diff.'",
        'tertulia ask --conversation last --client-id question-7 "And with children?"',
        'tertulia ask --simulator --json "My name is John."',
    )
)
@click.argument("text", required=False)
@asking
@system_option
@click.option(
    "-a",
    "--attach",
    "attached",
    multiple=True,
    metavar="FILE",
    help="Send a file along: an image, a PDF, a text, sound; or an https:// address. Can be repeated.",
)
@conversation_option
@branch_option
@click.option(
    "--client-id",
    metavar="TEXT",
    help="A name for the message in its conversation: the same one again is not sent, but its answer shown.",
)
@_JSON
def ask(
    text: str | None,
    *,
    access: Access,
    system: str | None,
    attached: Sequence[str],
    branch: str | None,
    client_id: str | None,
    as_json: bool,
) -> int:
    """
    Ask one question and print the answer as it comes.

    TEXT is read from standard input when it is "-", or missing and something is piped in. The answer goes
    to standard output; who answered, what it cost and what went wrong go to standard error. Without any key
    the services are simulated, and it says so.
    """
    from tertulia import load_attachment
    from tertulia_cli.ask import Question, ask_question

    _check_place(access, system, branch)
    if client_id is not None and access.conversation is None:
        raise click.UsageError("--client-id needs --conversation: a new one has no message of any name.")
    said = _read_text(text, may_be_empty=bool(attached))
    return ask_question(
        Question(
            access,
            said,
            system=system,
            branch=branch,
            attached=[load_attachment(source) for source in attached],
            client_id=client_id,
            as_json=as_json,
        )
    )


@click.command(
    epilog=show_examples(
        "tertulia chat",
        "tertulia chat --provider gemini --system 'Be brief.'",
        "tertulia chat --conversation 0199a3c4-5d6e --branch main",
        "tertulia chat --fallback xai --on-interrupt restart",
        "tertulia chat --simulator",
        "tertulia chat < questions.txt",
    )
)
@asking
@system_option
@conversation_option
@branch_option
def chat(*, access: Access, system: str | None, branch: str | None) -> int:
    """
    Talk, and read the answers as they come.

    Ctrl-C stops an answer and keeps what you saw of it; Ctrl-D leaves. /help shows what else can be typed.
    What is piped in is said line by line. Without any key the services are simulated, and it says so.
    """
    from tertulia_cli.chat import Wish, talk

    _check_place(access, system, branch)
    return talk(Wish(access, system, branch))


@click.command(
    epilog=show_examples(
        "tertulia resume 0199a3c4-5d6e", "tertulia resume last --provider xai", "tertulia resume last --json"
    )
)
@click.argument("conversation", metavar="ID")
@asking
@branch_option
@_JSON
def resume(*, access: Access, branch: str | None, as_json: bool) -> int:
    """
    Ask for the rest of an answer that broke off.

    What broke off stays where it is, and the whole is on a branch of its own. A message that nobody answered
    is asked again.
    """
    from tertulia_cli.ask import Asked, Question, ask_question

    return ask_question(Question(access, None, asked=Asked.RESUME, branch=branch, as_json=as_json))


@click.command(
    epilog=show_examples(
        "tertulia retry 0199a3c4-5d6e", "tertulia retry last --provider xai", "tertulia retry last --json"
    )
)
@click.argument("conversation", metavar="ID")
@asking
@branch_option
@_JSON
def retry(*, access: Access, branch: str | None, as_json: bool) -> int:
    """
    Ask the newest message again that has no whole answer, from the first word of it.

    An answer that broke off stays where it is, and the new one is on a branch of its own.
    """
    from tertulia_cli.ask import Asked, Question, ask_question

    return ask_question(Question(access, None, asked=Asked.RETRY, branch=branch, as_json=as_json))


@click.command(
    epilog=show_examples(
        'tertulia compare "Lisbon or Porto?" --to openai --to gemini/gemini-3.5-flash --to xai',
        'tertulia compare --to openai,xai --conversation last "And with children?"',
        'tertulia compare --to openai --to xai --budget 0.05 --max-output-tokens 900 --json "Hello!"',
    )
)
@click.argument("text", required=False)
@click.option(
    "-t",
    "--to",
    "targets",
    multiple=True,
    required=True,
    metavar="NAME[/MODEL],…",
    help="Who is asked. Can be repeated.",
)
@asking_those
@system_option
@conversation_option
@branch_option
@json_option("Print one JSON object when all answers are complete.")
def compare(
    text: str | None,
    *,
    access: Access,
    targets: Sequence[str],
    system: str | None,
    branch: str | None,
    as_json: bool,
) -> int:
    """
    Ask several providers the same at once, and print their answers and what each took.

    Each answer is on a branch of its own, so the conversation can go on from any of them. Where one fails,
    the others are shown all the same, and the exit code is 1.
    """
    from tertulia_cli.side_by_side import Wish, compare_answers

    _check_place(access, system, branch)
    names = split_names(targets)
    if not names:
        raise click.UsageError("There is nobody to ask: name them with --to.")
    said = _read_text(text, may_be_empty=False)
    return compare_answers(Wish(access, said, names, system, branch, as_json))


def _check_place(access: Access, system: str | None, branch: str | None) -> None:
    if access.conversation is None and branch is not None:
        raise click.UsageError("--branch needs --conversation.")
    if access.conversation is not None and system is not None:
        raise click.UsageError("--system is for a new conversation, and --conversation goes on with another.")


def _read_text(text: str | None, *, may_be_empty: bool) -> str:
    if text == "-" or (text is None and not sys.stdin.isatty()):
        try:
            text = sys.stdin.buffer.read().decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise click.UsageError(f"Standard input is not UTF-8: {error.reason}.") from error
    if (text is None or not text.strip()) and not may_be_empty:
        raise click.UsageError("There is nothing to ask: give TEXT, or pipe it in.")
    return _check_unicode(text or "")


def _check_unicode(text: str) -> str:
    """Refuse what Python could not decode from the command line and holds as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise click.UsageError("TEXT is not valid in your terminal's encoding.") from error
    return text
