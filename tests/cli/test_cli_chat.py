"""``tertulia chat`` with the lines of a file: every command, and how it can go wrong."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pseudo_terminal import COMMAND

import tertulia
from tertulia_cli.demo import PICTURE
from tertulia_simulator import Simulator

GEMINI = "gemini/gemini-3.5-flash"


@pytest.fixture
def chat(tertulia_command, simulated: Simulator, database: str):
    """Say lines, one after another, to the simulated services; everything is kept."""

    def chat(*lines: str, options: tuple[str, ...] = ()):
        piped = "".join(f"{line}\n" for line in lines).encode()
        return tertulia_command("chat", "--store", database, "--provider", "gemini", *options, piped=piped)

    return chat


def read(database: str, branch: str | None = None) -> Any:
    """The only conversation there is, as it is read later: title, branch, and what was said on it."""

    async def read() -> Any:
        async with tertulia.open(store=database, environ={}) as client:
            records = await client.list()
            assert len(records) <= 1
            if not records:
                return None
            conversation = await client.get(records[0].id, branch=branch)
            history = await conversation.history()
            return conversation.title, conversation.branch, [message.text for message in history]

    return asyncio.run(read())


def test_each_line_is_a_message(chat, database: str):
    """
    Answers go to standard output, a line each; who answered and the cost go beside it.
    """
    ended = chat("My name is John.", "", "What is my name?")

    *costs, kept = ended.err.splitlines()
    assert (0, "Hello John.\nYour name is John.\n") == (ended.code, ended.out)
    assert [f"{GEMINI}, $0.000039", f"{GEMINI}, $0.0000795"] == costs
    assert kept.startswith("kept as conversation ")
    assert read(database) == (
        "My name is John.",
        "main",
        ["My name is John.", "Hello John.", "What is my name?", "Your name is John."],
    )


def test_an_empty_chat_leaves_nothing(chat, database: str):
    """
    Without a message there is no conversation, whatever else was typed.
    """
    ended = chat("", "/switch xai", "/title Nothing", "/help")

    assert ended.code == 0
    assert "xai answers from now on\n" == ended.err
    assert read(database) is None


def test_switching_before_and_after_the_first_message(chat):
    """
    The next answer is the other provider's, and the history comes along.
    """
    ended = chat("/switch openai", "My name is John.", "/switch xai grok-4.3", "What is my name?")

    assert ended.out == "Hello John.\nYour name is John.\n"
    assert ended.err.splitlines()[:5] == [
        "openai answers from now on",
        "openai/gpt-6.1-sol, $0.000046",
        "xai/grok-4.3 answers from now on",
        "note: what 'openai' alone can read of 1 part(s) was kept back; it is sent again to 'openai'",
        "xai/grok-4.3, $0.00004125",
    ]


def test_a_fork_is_gone_to_and_come_back_from(chat, database: str):
    """
    What is said on a branch is not known on the other one; the conversation is opened where it was left.
    """
    ended = chat(
        "My name is John.",
        "/fork mary",
        "My name is Mary.",
        "/branch main",
        "What is my name?",
        "/branch mary",
        "What is my name?",
        "/branches",
    )

    assert ended.out.splitlines() == [
        "Hello John.",
        "Hello Mary.",
        "Your name is John.",
        "Your name is Mary.",
        "  branch   messages        answered by              newest",
        f"  main     4               {GEMINI}  Your name is John.",
        f"* └─ mary  4 more after 2  {GEMINI}  Your name is Mary.",
    ]
    assert "on the new branch mary; /branch main goes back\n" in ended.err
    assert f"on branch main, where {GEMINI} answers\n" in ended.err
    assert read(database) == (
        "My name is John.",
        "mary",
        [
            "My name is John.",
            "Hello John.",
            "My name is Mary.",
            "Hello Mary.",
            "What is my name?",
            "Your name is Mary.",
        ],
    )


def test_a_message_can_be_said_differently(chat, database: str):
    """
    /edit asks again on a branch that ends before the message, and the first one stays.
    """
    ended = chat("Hello!", "My name is Jon.", "/edit My name is John.")

    assert ended.out.splitlines()[-2:] == ["Hello Jon.", "Hello John."]
    assert "on the new branch main-2; /branch main goes back\n" in ended.err
    assert ["My name is John.", "Hello John."] == read(database)[2][2:]
    assert ["My name is Jon.", "Hello Jon."] == read(database, "main")[2][2:]


def test_an_edited_message_keeps_its_images(chat, simulated: Simulator, tmp_path: Path):
    """
    Only the words change.
    """
    (tmp_path / "face.png").write_bytes(PICTURE)

    ended = chat(f"/attach {tmp_path}/face.png", "Hm?", "/edit What is in this picture?")

    assert ended.out.splitlines()[-1] == "I see a PNG image of 78 bytes, 8 \N{MULTIPLICATION SIGN} 8 pixels."
    assert len(simulated.sent_to("gemini").images) == 1


def test_another_answer_is_asked_for(chat, database: str, simulated: Simulator):
    """
    /regenerate sends the same once more, and the new answer has a branch of its own.
    """
    ended = chat("My name is John.", "/regenerate")

    assert ended.out == "Hello John.\nHello John.\n"
    assert simulated.sent_to("gemini").texts == ["My name is John."]
    assert read(database)[1] == "main-2"


def test_the_rest_of_an_answer_is_asked_for(chat, database: str, simulated: Simulator):
    """
    An answer that breaks off is an error in one line; /resume brings the rest, and the whole is kept.
    """
    simulated.fail("gemini", "cut_stream", after=2)

    ended = chat("Count to 5.", "/resume")

    assert (1, "1, 2,\n 3, 4, 5.\n") == (ended.code, ended.out)
    [error] = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: the answer broke off: ")
    assert error.endswith(
        "; your message is stored, and so is the part of the answer that was shown; "
        "/resume asks for the rest, or send a message to go on from there"
    )
    assert ["Count to 5.", "1, 2, 3, 4, 5."] == read(database)[2]
    assert ["Count to 5.", "1, 2,"] == read(database, "main")[2]


def test_a_message_without_an_answer_is_asked_again(chat, database: str, simulated: Simulator):
    """
    After a failure /resume asks for what is missing, on the same branch.
    """
    simulated.fail("gemini", "quota")

    ended = chat("My name is John.", "/resume")

    assert (1, "Hello John.\n") == (ended.code, ended.out)
    assert read(database) == ("My name is John.", "main", ["My name is John.", "Hello John."])


def test_a_failure_does_not_end_the_chat(chat, simulated: Simulator):
    """
    An error is one line, the next line is said all the same, and the exit code tells that one failed.
    """
    simulated.fail("gemini", "quota")

    ended = chat("Hello.", "My name is John.")

    assert (1, "Hello John.\n") == (ended.code, ended.out)
    assert ended.err.startswith("error: provider 'gemini': ")
    assert ended.err.count("error: ") == 1


def test_a_fallback_is_one_line(chat, simulated: Simulator):
    """
    Who failed and who is asked is said while it happens.
    """
    simulated.fail("gemini", "quota")

    ended = chat("My name is John.", options=("--fallback", "xai,openai"))

    assert ended.out == "Hello John.\n"
    assert ended.err.splitlines()[:2] == [
        f"fallback: {GEMINI} failed (quota exhausted); asking xai/grok-4.7",
        "xai/grok-4.7, $0.000034, after 1 failed call",
    ]


def test_every_failed_target_is_named(chat, simulated: Simulator):
    """
    When all of them fail the line says how each did.
    """
    simulated.fail("gemini", "quota")
    simulated.fail("xai", "auth")

    ended = chat("Hello.", options=("--fallback", "xai"))

    assert ended.err.splitlines()[1].startswith("error: every target failed: provider 'gemini': ")
    assert "; provider 'xai': " in ended.err.splitlines()[1]
    assert ".errors" not in ended.err


def test_an_image_goes_with_the_next_message_only(chat, simulated: Simulator, tmp_path: Path):
    """
    What is attached is sent once.
    """
    (tmp_path / "a face.png").write_bytes(PICTURE)

    ended = chat(f"/attach {tmp_path}/a face.png", "What is this?", "Hello!")

    assert ended.out.splitlines()[0] == "I see a PNG image of 78 bytes, 8 \N{MULTIPLICATION SIGN} 8 pixels."
    assert ended.err.startswith("[image/png, 78 bytes] goes with your next message\n")
    assert len(simulated.sent_to("gemini").images) == 1


@pytest.mark.parametrize("path", ["'{}/a face.png'", '"{}/a face.png"', "{}/a\\ face.png"])
def test_a_path_may_be_quoted_or_escaped(chat, tmp_path: Path, path: str):
    """
    A file that is dropped onto the terminal is found.
    """
    (tmp_path / "a face.png").write_bytes(PICTURE)

    assert chat(f"/attach {path.format(tmp_path)}").code == 0


def test_what_cannot_be_attached_is_said_at_once(chat, simulated: Simulator, tmp_path: Path):
    """
    A file that is none, or nothing known, is an error before anything is sent.
    """
    (tmp_path / "notes.bin").write_bytes(b"\x00\x01")

    ended = chat(f"/attach {tmp_path}/none.png", f"/attach {tmp_path}/notes.bin", "/attach 'half")

    assert ended.code == 1
    assert [line.partition("; ")[0] for line in ended.err.splitlines()] == [
        f"error: {tmp_path}/none.png cannot be read: No such file or directory",
        f"error: {tmp_path}/notes.bin is of no known type, and no UTF-8 text",
        "error: 'half cannot be read: No such file or directory",
    ]
    assert [] == simulated.requests


def test_the_cost_is_told_by_provider(chat):
    """
    /cost adds up what was said so far.
    """
    ended = chat("My name is John.", "/switch openai", "What is my name?", "/cost")

    assert ended.out.splitlines()[2:] == ["gemini  $0.000039", "openai  $0.000096", "total   $0.000135"]


def test_the_history_is_shown(chat):
    """
    /history shows the newest messages, numbered by their place.
    """
    ended = chat("My name is John.", "What is my name?", "/history 2", "/history")

    last_two = f"3 you\n   What is my name?\n\n4 {GEMINI}, $0.0000795\n   Your name is John.\n"
    first_two = f"1 you\n   My name is John.\n\n2 {GEMINI}, $0.000039\n   Hello John.\n\n"
    assert ended.out == f"Hello John.\nYour name is John.\n{last_two}{first_two}{last_two}"


@pytest.mark.parametrize("lines", [["/title Lisbon", "Hello!"], ["Hello!", "/title Lisbon"]])
def test_a_title_can_be_given_any_time(chat, database: str, lines: list[str]):
    """
    Before the first message as well as after it.
    """
    chat(*lines)

    assert read(database)[0] == "Lisbon"


def test_help_shows_every_command(chat):
    """
    There is a line for each.
    """
    lines = chat("/help").out.splitlines()

    assert [line.split()[0] for line in lines[:17]] == [
        "/switch",
        "/fork",
        "/branches",
        "/branch",
        "/cost",
        "/resume",
        "/retry",
        "/regenerate",
        "/edit",
        "/attach",
        "/compare",
        "/providers",
        "/context",
        "/history",
        "/title",
        "/help",
        "/quit",
    ]


def test_quit_leaves(chat):
    """
    What stands behind /quit is not said.
    """
    assert (0, "", "") == chat("/quit", "Hello!")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("/frok", "there is no /frok; did you mean /fork?"),
        (
            "/etc/hosts",
            "there is no /etc/hosts; /help shows what there is, and // says a text that begins with a slash",
        ),
        ("/", "there is no /; /help shows what there is, and // says a text that begins with a slash"),
        (
            "/\x1b[2J",
            "there is no /␛[2J; /help shows what there is, and // says a text that begins with a slash",
        ),
        ("/switch", "use it as /switch PROVIDER [MODEL]"),
        ("/switch a b c", "use it as /switch PROVIDER [MODEL]"),
        ("/switch opnai", "no provider is configured as 'opnai'; did you mean 'openai'?"),
        ("/edit", "use it as /edit TEXT"),
        ("/attach", "use it as /attach FILE"),
        ("/branch", "use it as /branch NAME"),
        ("/title", "use it as /title TEXT"),
        ("/history two", "use it as /history [N]"),
        ("/history 0", "use it as /history [N]"),
        ("/cost now", "use it as /cost"),
        *(
            (line, "nothing was said yet, so there is no conversation; say something first")
            for line in (
                "/fork",
                "/branches",
                "/branch main",
                "/cost",
                "/resume",
                "/regenerate",
                "/edit Hello!",
                "/history",
            )
        ),
    ],
)
def test_a_command_that_cannot_be_done_says_why(chat, database: str, line: str, error: str):
    """
    One line, nothing stored, and exit code 1.
    """
    assert (1, "", f"error: {error}\n") == chat(line)
    assert read(database) is None


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("/switch opnai", "no provider is configured as 'opnai'; did you mean 'openai'?"),
        ("/branch none", "conversation {id} has no branch 'none'; list its branches"),
        ("/fork main", "there is a branch 'main' already; choose another name"),
        (
            "/resume",
            (
                "branch 'main' ends with a complete message, so there is nothing left to answer; "
                "nothing was stored, and nothing was sent; send a message, or /regenerate the answer"
            ),
        ),
    ],
)
def test_a_command_that_fails_changes_nothing(chat, database: str, line: str, error: str):
    """
    The error is one line, and the conversation goes on where it was.
    """
    ended = chat("My name is John.", line, "What is my name?")

    assert (1, "Hello John.\nYour name is John.\n") == (ended.code, ended.out)
    assert ended.err.splitlines()[1] == f"error: {error.format(id=ended.err.split()[-1])}"
    assert read(database)[1] == "main"


def test_lines_go_on_and_quotes_hold_many(chat, simulated: Simulator):
    """
    A message may have several lines, and begin with a slash.
    """
    chat("//one\\", "two", '"""', "/three", "", "four", '"""')

    assert ["/one\ntwo", "/three\n\nfour"] == simulated.sent_to("gemini").texts[::2]


def test_a_line_that_is_no_text_is_refused(tertulia_command, simulated: Simulator, database: str):
    """
    The others are said all the same.
    """
    ended = tertulia_command("chat", "--store", database, piped=b"\xff\nMy name is John.\n")

    assert (1, "Hello John.\n") == (ended.code, ended.out)
    assert ended.err.startswith("error: that line is not valid in your terminal's encoding\n")


def test_a_conversation_is_gone_on_with(chat, database: str, tertulia_command, simulated: Simulator):
    """
    The beginning of its id will do, and its own provider answers.
    """
    identifier = chat("My name is John.", "/switch xai", "Hello!").err.split()[-1]

    ended = tertulia_command(
        "chat", "--store", database, "--conversation", identifier[:13].upper(), piped=b"What is my name?\n"
    )

    assert (0, "Your name is John.\n") == (ended.code, ended.out)
    assert ended.err.startswith("xai/grok-4.7, ")


def test_it_is_gone_on_with_on_another_branch_and_by_another_provider(chat, database: str, tertulia_command):
    """
    --branch, --provider and --model do what /branch and /switch do.
    """
    identifier = chat("My name is John.", "/fork mary", "My name is Mary.").err.split()[-1]
    options = ("--conversation", identifier, "--branch", "main", "--provider", "xai", "--model", "grok-4.3")

    ended = tertulia_command("chat", "--store", database, *options, piped=b"What is my name?\n")

    assert ended.out == "Your name is John.\n"
    assert ended.err.startswith("xai/grok-4.3, ")
    assert read(database)[1] == "main"


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        (["--provider", "opnai"], 2, "no provider is configured as 'opnai'; did you mean 'openai'?"),
        (["--fallback", "opnai"], 2, "no provider is configured as 'opnai'; did you mean 'openai'?"),
        (["--branch", "main"], 2, '--branch needs --conversation. See "tertulia chat --help".'),
        (
            ["--conversation", "0199a3c4", "--system", "Be brief."],
            2,
            (
                "--system is for a new conversation, and --conversation goes on with another. "
                'See "tertulia chat --help".'
            ),
        ),
        (
            ["--conversation", "0199a3c4", "--simulator"],
            2,
            'A conversation with --simulator needs --store: where is it kept? See "tertulia chat --help".',
        ),
        (
            ["--conversation", "0199a3c4"],
            1,
            (
                "there is no conversation whose id begins with '0199a3c4'; "
                '"tertulia conversations list" shows what there is'
            ),
        ),
    ],
)
def test_what_cannot_begin_is_one_line(tertulia_command, options: list[str], code: int, error: str):
    """
    A chat that cannot be what is asked for ends before anything is said.
    """
    assert (code, "", f"error: {error}\n") == tertulia_command("chat", *options, piped=b"Hello!\n")


def test_ctrl_c_ends_a_chat_that_is_piped_in(simulated: Simulator, database: str):
    """
    What was shown of the answer is kept, one line says so, and nothing more is said.
    """
    simulated.fail("gemini", "stall", after=2)
    command = [*COMMAND, "chat", "--store", database]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Count to 5.\nMy name is John.\n")
        process.stdin.flush()
        shown = process.stdout.read(5)

        process.send_signal(signal.SIGINT)

        _, error = process.communicate(timeout=30)
    assert (130, "1, 2,") == (process.returncode, shown)
    assert error.startswith(
        "interrupted: your message and what you saw of the answer are kept in conversation "
    )
    assert error.count("\n") == 1
    assert ["Count to 5.", "1, 2,"] == read(database)[2]
