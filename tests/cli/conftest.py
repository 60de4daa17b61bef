"""The command in this process, in a process of its own, and at a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple

import pytest
from pseudo_terminal import COMMAND

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
