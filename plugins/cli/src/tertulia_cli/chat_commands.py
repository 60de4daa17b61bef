"""What can be typed in a chat besides messages."""

from __future__ import annotations

import asyncio
import difflib
import re
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import attrs

import tertulia
from tertulia_cli.answers import describe_bill
from tertulia_cli.context import describe_seen, look
from tertulia_cli.dialogue import Dialogue
from tertulia_cli.health import read_health, tabulate_health
from tertulia_cli.lines import Command
from tertulia_cli.side_by_side import KEPT, watch_comparison
from tertulia_cli.terminal import align, note, output_width
from tertulia_cli.transcript import describe_messages
from tertulia_cli.tree import draw_tree, read_boughs

NEWEST = 10

Result: TypeAlias = str | tertulia.ReplyStream | tertulia.Comparison | None
"""What to print, or an answer or several to show."""


class WrongCommandError(Exception):
    """A command that does not exist, or is not used so."""


class Leave(Exception):  # noqa: N818  # no error
    """The chat is over."""


@attrs.frozen
class _Entry:
    usage: str
    help: str
    run: Callable[[Dialogue, str], Awaitable[Result]]


async def run_command(dialogue: Dialogue, command: Command) -> Result:
    """
    Do what a command says.

    Raises:
        WrongCommandError: There is no such command, or it wants another argument.
        NothingSaidError: It is about a conversation that has not begun.
        TertuliaError: It did not work.
        Leave: The chat is over.
    """
    if command.name not in COMMANDS:
        raise _unknown(command.name)
    return await COMMANDS[command.name].run(dialogue, command.argument)


async def _switch(dialogue: Dialogue, argument: str) -> Result:
    provider, *model = _wanted("switch", argument).split()
    if len(model) > 1:
        raise _misused("switch")
    await dialogue.switch(provider, model[0] if model else None)
    who = provider
    if dialogue.has_begun:
        who = f"{dialogue.conversation.provider}/{dialogue.conversation.model}"
    note(f"{who} answers from now on")
    return None


async def _fork(dialogue: Dialogue, argument: str) -> Result:
    before = dialogue.conversation.branch
    await dialogue.fork(argument or None)
    note(f"on the new branch {dialogue.conversation.branch}; /branch {before} goes back")
    return None


async def _branches(dialogue: Dialogue, argument: str) -> Result:
    _no("branches", argument)
    boughs = await read_boughs(dialogue.client, dialogue.conversation)
    return "\n".join(draw_tree(boughs, width=output_width()))


async def _branch(dialogue: Dialogue, argument: str) -> Result:
    name = _wanted("branch", argument)
    conversation = dialogue.conversation
    await conversation.switch_branch(name)
    note(f"on branch {name}, where {conversation.provider}/{conversation.model} answers")
    return None


async def _cost(dialogue: Dialogue, argument: str) -> Result:
    _no("cost", argument)
    return "\n".join(align(describe_bill(await dialogue.conversation.cost())))


async def _resume(dialogue: Dialogue, argument: str) -> Result:
    _no("resume", argument)
    return dialogue.resume()


async def _retry(dialogue: Dialogue, argument: str) -> Result:
    _no("retry", argument)
    return dialogue.retry()


async def _compare(dialogue: Dialogue, argument: str) -> Result:
    # A model's name may hold a colon, and no space after it.
    targets, *text = re.split(r"\s*:\s+", argument, maxsplit=1)
    names = targets.replace(",", " ").split()
    if not (names and text):
        raise _misused("compare")
    stream = await dialogue.compare(text[0], names)
    try:
        return await watch_comparison(stream)
    except asyncio.CancelledError:
        dialogue.kept = f"{KEPT}; /branches shows them"
        raise


async def _providers(dialogue: Dialogue, argument: str) -> Result:
    order, *names = argument.split() or [""]
    if not order:
        return "\n".join(tabulate_health(await read_health(dialogue.client)))
    if order != "reset" or len(names) > 1:
        raise _misused("providers")
    dialogue.client.reset_health(*names)
    note(f"{names[0] if names else 'everybody'} is asked again, whatever happened before")
    return None


async def _context(dialogue: Dialogue, argument: str) -> Result:
    return describe_seen(
        await look(
            dialogue.conversation,
            argument or None,
            attached=dialogue.attached if argument else (),
            options=dialogue.context,
        )
    )


async def _regenerate(dialogue: Dialogue, argument: str) -> Result:
    _no("regenerate", argument)
    return dialogue.regenerate()


async def _edit(dialogue: Dialogue, argument: str) -> Result:
    return await dialogue.edit(_wanted("edit", argument))


async def _attach(dialogue: Dialogue, argument: str) -> Result:
    attachment = tertulia.load_attachment(_read_path(_wanted("attach", argument)))
    dialogue.attached = (*dialogue.attached, attachment)
    note(f"{' '.join(map(str, dialogue.attached))} goes with your next message")
    return None


async def _history(dialogue: Dialogue, argument: str) -> Result:
    if argument and not (argument.isdecimal() and int(argument)):
        raise _misused("history")
    return describe_messages(await dialogue.conversation.history(int(argument or NEWEST)))


async def _title(dialogue: Dialogue, argument: str) -> Result:
    await dialogue.rename(_wanted("title", argument))
    return None


async def _help(_dialogue: Dialogue, _argument: str) -> Result:
    lines = align([(entry.usage, entry.help) for entry in COMMANDS.values()])
    return "\n".join([*lines, "", *_HOW_TO_TYPE])


async def _quit(_dialogue: Dialogue, _argument: str) -> Result:
    raise Leave


COMMANDS = {
    "switch": _Entry("/switch PROVIDER [MODEL]", "go on with another provider", _switch),
    "fork": _Entry("/fork [NAME]", "try something else from here on, on a new branch", _fork),
    "branches": _Entry("/branches", "show all branches", _branches),
    "branch": _Entry("/branch NAME", "go on on another branch", _branch),
    "cost": _Entry("/cost", "show what the conversation cost", _cost),
    "resume": _Entry("/resume", "ask for the rest of an answer that broke off", _resume),
    "retry": _Entry("/retry", "ask your last message again, if nobody answered it whole", _retry),
    "regenerate": _Entry("/regenerate", "ask for another answer to your last message", _regenerate),
    "edit": _Entry("/edit TEXT", "say your last message differently", _edit),
    "attach": _Entry("/attach FILE", "send a file with your next message", _attach),
    "compare": _Entry(
        "/compare TARGET… : TEXT", "ask several at once, each on a branch of its own", _compare
    ),
    "providers": _Entry("/providers [reset [NAME]]", "show how providers do, or forget it", _providers),
    "context": _Entry("/context [TEXT]", "show what would be sent with a text, and why", _context),
    "history": _Entry("/history [N]", f"show the newest N messages, else {NEWEST}", _history),
    "title": _Entry("/title TEXT", "call the conversation something", _title),
    "help": _Entry("/help", "show this", _help),
    "quit": _Entry("/quit", "leave, as Ctrl-D does", _quit),
}
_HOW_TO_TYPE = (
    "A line that ends in a backslash goes on on the next one; three double quotes begin and end a longer",
    "text; // says a text that begins with a slash; Ctrl-C stops an answer and keeps what you saw.",
)


def _wanted(name: str, argument: str) -> str:
    if not argument:
        raise _misused(name)
    return argument


def _no(name: str, argument: str) -> None:
    if argument:
        raise _misused(name)


def _misused(name: str) -> WrongCommandError:
    return WrongCommandError(f"use it as {COMMANDS[name].usage}")


def _unknown(name: str) -> WrongCommandError:
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    if close and "/" not in name:
        return WrongCommandError(f"there is no /{name}; did you mean /{close[0]}?")
    return WrongCommandError(
        f"there is no /{name}; /help shows what there is, and // says a text that begins with a slash"
    )


def _read_path(argument: str) -> str:
    """The path as it is typed: bare, quoted, or with escapes as terminals paste it; or an address."""
    if "://" in argument or Path(argument).expanduser().exists():
        return argument if "://" in argument else str(Path(argument).expanduser())
    try:
        return str(Path(" ".join(shlex.split(argument))).expanduser())
    except ValueError:
        return argument
