"""``tertulia ask``: one question, its answer, and how it can go wrong."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

import tertulia
from tertulia_cli import main
from tertulia_cli.demo import PICTURE
from tertulia_simulator import Simulator

from_simulator = "simulator: no key, no bill: the services are simulated at http://127.0.0.1:"


def test_the_answer_goes_to_standard_output_and_nothing_else_does(tertulia_command):
    """
    The answer is alone on standard output; who answered and the cost are beside it.
    """
    ended = tertulia_command("ask", "--simulator", "My name is John.")

    first, last = ended.err.splitlines()
    assert (0, "Hello John.\n") == (ended.code, ended.out)
    assert first.startswith(from_simulator)
    assert last == "openai/gpt-6.1-sol, $0.000046"


def test_simulated_questions_stay_out_of_the_users_own_database(tertulia_command, tmp_path):
    """
    With --simulator and no --store nothing is written.
    """
    tertulia_command("ask", "--simulator", "Hello.")

    assert [] == list(tmp_path.iterdir())


def test_the_question_is_kept_where_store_says(tertulia_command, database: str):
    """
    What was asked and answered can be read from the store that was named.
    """
    tertulia_command("ask", "--simulator", "--store", database, "--system", "Be brief.", "My name is John.")

    title, texts = asyncio.run(read_newest(database))
    assert title == "My name is John."
    assert ["Be brief.", "My name is John.", "Hello John."] == texts


async def read_newest(database: str) -> tuple[str | None, list[str]]:
    """The title and the texts of the newest conversation."""
    async with tertulia.open(store=database) as client:
        [record, *_] = await client.list()
        history = await (await client.get(record.id)).history()
    return record.title, [message.text for message in history]


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_the_question_is_read_from_standard_input(tertulia_command, arguments: tuple[str, ...]):
    """
    A dash, or nothing, reads what is piped in.
    """
    ended = tertulia_command("ask", "--simulator", *arguments, piped=b"Count to 3.\n")

    assert (0, "1, 2, 3.\n") == (ended.code, ended.out)


def test_json_is_one_object(tertulia_command):
    """
    With --json all of standard output is one object; money is exact.
    """
    ended = tertulia_command("ask", "--simulator", "--json", "-p", "gemini", "-m", "gemini-3.5-flash", "Hi!")

    answer = json.loads(ended.out)
    assert len(answer.pop("conversation")) == 36
    assert answer["attempts"][0].pop("latency_seconds") > 0
    assert not answer["attempts"][0].pop("queued_seconds")
    assert answer == {
        "text": "Hello! I am Gemini's simulator and answer only from what I am sent.",
        "provider": "gemini",
        "model": "gemini-3.5-flash",
        "finish_reason": "stop",
        "usage": {
            "input_tokens": 5,
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
            "output_tokens": 17,
            "reasoning_tokens": 0,
        },
        "cost": "0.0001605",
        "attempts": [
            {
                "provider": "gemini",
                "model": "gemini-3.5-flash",
                "outcome": "succeeded",
                "error_kind": None,
                "error": None,
                "cost": "0.0001605",
            }
        ],
        "warnings": [],
        "queued_seconds": 0.0,
        "was_stored": False,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (
            ["--provider", "openai", "Hello."],
            2,
            (
                "provider 'openai': no key is set, so nothing was sent; your message is stored; "
                "set AI_OPENAI_API_KEY or OPENAI_API_KEY, or pass api_key"
            ),
        ),
        (
            ["--provider", "opnai", "Hello."],
            2,
            "no provider is configured as 'opnai'; did you mean 'openai'?",
        ),
        (
            ["--fallback", "gemini, opnai", "Hello."],
            2,
            "no provider is configured as 'opnai'; did you mean 'openai'?",
        ),
        (
            ["--provider", "openai", "--store", "paper:", "Hello."],
            2,
            (
                "no store is installed for 'paper' URLs; use sqlite:///PATH or memory:, "
                "or install a package that brings the store"
            ),
        ),
        ([], 2, 'There is nothing to ask: give TEXT, or pipe it in. See "tertulia ask --help".'),
        (["\udcff"], 2, 'TEXT is not valid in your terminal\'s encoding. See "tertulia ask --help".'),
        (["--nonsense"], 2, "No such option '--nonsense'. See \"tertulia ask --help\"."),
    ],
)
def test_an_error_is_one_line(tertulia_command, arguments: list[str], code: int, error: str):
    """
    What went wrong, what was kept and what to do next are one line on standard error.
    """
    assert (code, "", f"error: {error}\n") == tertulia_command("ask", *arguments)


def test_a_failing_provider_is_exit_code_1(tertulia_command):
    """
    An answer that could not be had is told from a command that was wrong.
    """
    ended = tertulia_command("ask", "--simulator", "--provider", "gemini", "blockprompt")

    assert (1, "") == (ended.code, ended.out)
    assert ended.err.splitlines()[1] == (
        "error: provider 'gemini': the prompt was blocked (SAFETY); "
        "change the message, or the safety settings where the provider has them"
    )


def test_standard_input_that_is_not_text_is_refused(tertulia_command):
    """
    Bytes that are not UTF-8 are a wrong usage, not a crash.
    """
    assert (2, "") == tertulia_command("ask", piped=b"\xff")[:2]


def test_a_bug_is_one_line_too(tertulia_command, monkeypatch: pytest.MonkeyPatch):
    """
    Even an error that nobody foresaw shows no traceback.
    """
    monkeypatch.setattr(tertulia, "open", lambda **_: 1 / 0)

    assert tertulia_command("ask", "Hello.") == (
        1,
        "",
        "error: ZeroDivisionError: division by zero; this is a bug, and TERTULIA_DEBUG=1 shows where\n",
    )


def test_debug_lets_the_traceback_through(monkeypatch: pytest.MonkeyPatch):
    """
    TERTULIA_DEBUG=1 is for whoever wants to see where an error comes from.
    """
    monkeypatch.setenv("TERTULIA_DEBUG", "1")

    with pytest.raises(tertulia.UnknownProviderError):
        main(["ask", "--provider", "nobody", "Hello."])


class HalfAnswer(BaseHTTPRequestHandler):
    """Says some words in the language of Chat Completions, then waits until it may hang up."""

    words: tuple[str, ...] = ()
    spoken: Event
    may_end: Event

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for word in self.words:
            event = {"choices": [{"index": 0, "delta": {"content": word}}]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()
        self.spoken.set()
        self.may_end.wait()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the name is its base's
        pass


@pytest.fixture
def half_answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[HalfAnswer]]:
    """A provider ``openai`` that breaks off; set its words before asking."""
    handler = type("Handler", (HalfAnswer,), {"spoken": Event(), "may_end": Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("AI_OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AI_OPENAI_API_KEY", "sk-some-key")
        yield handler
        handler.may_end.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("Once", " upon"), "your message and what you saw of the answer are kept in conversation "),
        ((), "your message is kept in conversation "),
    ],
)
def test_ctrl_c_and_sigterm_keep_what_was_shown(
    half_answer: type[HalfAnswer],
    start: Callable[..., subprocess.Popen[str]],
    database: str,
    words: tuple[str, ...],
    kept: str,
    number: int,
    code: int,
):
    """
    An interrupted command ends with its own code and says in one line what it kept, and that is in the store.
    """
    half_answer.words = words
    process = start("ask", "--store", database, "A story, please.")
    assert half_answer.spoken.wait(timeout=30)
    assert process.stdout is not None
    shown = process.stdout.read(len("".join(words)))

    process.send_signal(number)

    _, error = process.communicate(timeout=30)
    _, texts = asyncio.run(read_newest(database))
    assert (code, "".join(words)) == (process.returncode, shown)
    assert error.startswith(f"interrupted: {kept}")
    assert error.count("\n") == 1
    assert ["A story, please.", *filter(None, [shown])] == texts


def test_an_answer_that_breaks_off_is_an_error_on_a_line_of_its_own(
    half_answer: type[HalfAnswer], tertulia_command
):
    """
    What came is shown, and the error says that it is kept.
    """
    half_answer.words = ("Once", " upon")
    half_answer.may_end.set()

    ended = tertulia_command("ask", "A story, please.")

    [identifier] = re.findall(r"tertulia resume (\S+)\"", ended.err)
    assert (1, "Once upon\n") == (ended.code, ended.out)
    assert ended.err.startswith("error: the answer broke off: ")
    assert ended.err.endswith(
        "; your message is stored, and so is the part of the answer that was shown; "
        f'"tertulia resume {identifier}" asks for the rest\n'
    )


def test_images_go_along(tertulia_command, simulated: Simulator, tmp_path: Path):
    """
    --attach can be repeated; what each file is is told by its content.
    """
    (tmp_path / "face").write_bytes(PICTURE)

    ended = tertulia_command(
        "ask", "-p", "gemini", "--attach", f"{tmp_path}/face", "-a", f"{tmp_path}/face", "What is this?"
    )

    assert (0, "I see a PNG image of 78 bytes, 8 \N{MULTIPLICATION SIGN} 8 pixels.\n") == ended[:2]
    assert len(simulated.sent_to("gemini").images) == 2


def test_an_image_needs_no_text(tertulia_command, simulated: Simulator, tmp_path: Path):
    """
    Where nothing is piped in, an image is enough to ask.
    """
    (tmp_path / "face.png").write_bytes(PICTURE)

    ended = tertulia_command("ask", "-p", "gemini", "--attach", f"{tmp_path}/face.png")

    assert ended.code == 0
    assert simulated.sent_to("gemini").texts in ([], [""])
    assert len(simulated.sent_to("gemini").images) == 1


def test_what_cannot_be_attached_is_said_before_anything_is_stored(
    tertulia_command, simulated: Simulator, database: str, tmp_path: Path
):
    """
    A file that is not there is one line, and there is no conversation.
    """
    ended = tertulia_command("ask", "--store", database, "--attach", f"{tmp_path}/none.png", "What is this?")

    assert ended == (
        1,
        "",
        f"error: {tmp_path}/none.png cannot be read: No such file or directory; check the path\n",
    )
    assert not (tmp_path / "conversations.db").exists()


def test_an_image_that_nobody_takes_is_refused(tertulia_command, simulated: Simulator, tmp_path: Path):
    """
    The provider is not asked, and the line says what it takes.
    """
    (tmp_path / "scan.tiff").write_bytes(b"II*\x00rest")

    ended = tertulia_command("ask", "-p", "gemini", "--attach", f"{tmp_path}/scan.tiff", "What is this?")

    assert (1, "") == ended[:2]
    assert "image/tiff" in ended.err
    assert [] == simulated.requests


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_answer_that_cannot_be_stored_is_printed_all_the_same(
    start: Callable[..., subprocess.Popen[str]],
    simulated: Simulator,
    tmp_path: Path,
    options: tuple[str, ...],
):
    """
    While another program holds the database the answer is shown, the error says so, and the exit code is 1.
    """
    simulated.fail("gemini", "stall", after=1)
    path = tmp_path / "conversations.db"
    process = start("ask", *options, "--store", f"sqlite:///{path}?busy_timeout=0.1", "My name is John.")
    asyncio.run(asyncio.wait_for(simulated.stalled("gemini"), 30))

    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        simulated.release("gemini")
        out, error = process.communicate(timeout=30)

    text = json.loads(out)["text"] if options else out.removesuffix("\n")
    assert (1, "Hello John.") == (process.returncode, text)
    assert error.splitlines()[-1].startswith("error: ")
    assert "; your message is stored, and the answer is only what you see of it here" in error
