"""The command in this process, in a process of its own, and at a terminal of its own."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from io import BytesIO, TextIOWrapper
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pseudo_terminal import COMMAND
from small_library import Library, make_library

import tertulia
from tertulia_cli import main
from tertulia_simulator import Simulator

OWN = (
    "AI_",
    "TERTULIA_",
    "OPENAI_",
    "GEMINI_",
    "GOOGLE_",
    "XAI_",
    "FORCE_COLOR",
    "NO_COLOR",
    "COLUMNS",
    "TERM",
)


class Ended(NamedTuple):
    """A finished command."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no settings, and a home where nothing is stored yet."""
    for name in [name for name in os.environ if name.startswith(OWN)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TERTULIA_CONFIG", "")
    monkeypatch.setenv("TERTULIA_STORE", f"sqlite:///{tmp_path / 'conversations.db'}")


@cache
def _read_entry_points(_path: tuple[str, ...], group: str) -> EntryPoints:
    return entry_points(group=group)


@pytest.fixture(autouse=True)
def _installed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read what is installed once for each search path: that is two thirds of what a short command takes."""
    for module in ("drivers", "plugins"):
        monkeypatch.setattr(
            f"tertulia.runtime.{module}.entry_points",
            lambda group: _read_entry_points(tuple(sys.path), group),
        )


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Let child processes see Ctrl-C, even when the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def tertulia_command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Run the command in this process: the same path as the console script, without its start."""

    def run(*arguments: str, piped: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(piped)))
        code = main(arguments)
        sys.stdout.flush()
        return Ended(code, *capfd.readouterr())

    return run


class PretendedTerminal(TextIOWrapper):
    """A stream that says it is a terminal, where a real one is not worth a process of its own."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run the command in this process as if all of its streams were terminals."""

    def run(*arguments: str, typed: str = "", encoding: str = "utf-8") -> Ended:
        with monkeypatch.context() as patch:
            out, err = (PretendedTerminal(BytesIO(), encoding, write_through=True) for _ in range(2))
            patch.setattr(sys, "stdin", PretendedTerminal(BytesIO(typed.encode())))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = main(arguments)
            written = [stream.buffer.getvalue().decode(encoding) for stream in (out, err)]
        return Ended(code, *written)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in a process of its own; it is gone when the test ends."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with process:
            process.kill()


def run_on_terminal(*arguments: str, columns: int = 80) -> str:
    """Run the command on a pseudo-terminal and return all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    written = []
    with subprocess.Popen([*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        # Linux ends a terminal that nobody has open any more with an error.
        with suppress(OSError):
            while chunk := os.read(ours, 65536):
                written.append(chunk)
    os.close(ours)
    return b"".join(written).decode().replace("\r\n", "\n")


@pytest.fixture
def on_terminal() -> Callable[..., str]:
    return run_on_terminal


@pytest.fixture
def simulated(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The simulated services, as the ones that the environment leads to."""
    for name, settings in simulator.providers().items():
        monkeypatch.setenv(f"AI_{name.upper()}_BASE_URL", settings["base_url"])
        monkeypatch.setenv(f"AI_{name.upper()}_API", settings.get("api", ""))
        monkeypatch.setenv(f"AI_{name.upper()}_API_KEY", settings["api_key"])
    return simulator


@pytest.fixture(scope="session")
def made_library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Library]:
    """A library that is made once; nobody changes it."""
    path = tmp_path_factory.mktemp("library") / "made.db"
    with Simulator.in_thread() as simulator:
        return path, asyncio.run(make_library(f"sqlite:///{path}", simulator))


@pytest.fixture
def library(made_library: tuple[Path, Library], database: str, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library of one's own, where the command looks for it."""
    path, library = made_library
    shutil.copyfile(path, database.removeprefix("sqlite:///"))
    monkeypatch.setenv("TERTULIA_STORE", database)
    return library._replace(url=database)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Press Ctrl-C when the command calls a method of its client for the n-th time."""

    def interrupt(name: str, time: int = 1) -> None:
        method, calls = getattr(tertulia.Client, name), count(1)

        async def interrupted(*arguments: Any, **named: Any) -> Any:
            if next(calls) == time:
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(0)  # the loop hears it now
            return await method(*arguments, **named)

        monkeypatch.setattr(tertulia.Client, name, interrupted)

    return interrupt
