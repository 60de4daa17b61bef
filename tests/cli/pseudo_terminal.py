"""The command at a terminal of its own, with somebody who types."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from typing import Self

COMMAND = [sys.executable, "-m", "tertulia_cli"]
# The same, where Ctrl-C is a key: the terminal is the one that controls the process.
AT_TERMINAL = [
    sys.executable,
    "-c",
    """\
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from tertulia_cli import main
sys.exit(main())
""",
]
PATIENCE = 30


class Terminal:
    """
    The command at a pseudo-terminal, with somebody who types.

    Args:
        columns: How wide it is.
        out: Where standard output goes, if not there.

    Attributes:
        written: All that it wrote there so far.

        shown: The same as text, without colours and without what moves the cursor.
    """

    def __init__(self, *arguments: str, columns: int = 200, out: int | None = None) -> None:
        self.written = b""
        self.shown = ""
        self._seen = 0
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._process = subprocess.Popen(
            [*AT_TERMINAL, *arguments],
            stdin=theirs,
            stdout=theirs if out is None else out,
            stderr=theirs,
            start_new_session=True,
            # As Python knows it: readline, which pytest loads, sets COLUMNS behind its back.
            env=dict(os.environ),
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with self._process:
            self._process.kill()
        os.close(self._ours)

    def type(self, text: str) -> None:
        """Press keys; return is a line feed, and Ctrl-C and Ctrl-D are themselves."""
        os.write(self._ours, text.encode())

    def say(self, line: str) -> None:
        """Type a line when it is asked for."""
        self.expect("> ")
        self.type(f"{line}\n")

    def expect(self, text: str) -> str:
        """Wait until a text is shown, and return what was shown since the last time up to its end."""
        while (found := self.shown.find(text, self._seen)) < 0:
            if not self._read():
                raise AssertionError(f"{text!r} is not shown, but: {self.shown[self._seen :]!r}")
        start, self._seen = self._seen, found + len(text)
        return self.shown[start : self._seen]

    def signal(self, number: int) -> None:
        """Send a signal to the command."""
        self._process.send_signal(number)

    def leave(self, press: Callable[[], None]) -> tuple[int, str]:
        """
        Press a key that is a signal, at the prompt, and wait for the end.

        Between showing its prompt and waiting for keys readline does not hear a signal before the next key,
        so whoever is not heard presses again.
        """
        press()
        while not select.select([self._ours], [], [], 1)[0]:
            press()
        return self.end()

    def end(self) -> tuple[int, str]:
        """Wait until it has ended; return its exit code, and what was shown since the last time."""
        while self._read():
            pass
        start, self._seen = self._seen, len(self.shown)
        return self._process.wait(PATIENCE), self.shown[start:]

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], PATIENCE)
        assert ready, f"nothing happens any more after {self.shown!r}"
        try:
            written = os.read(self._ours, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            return False
        self.written += written
        shown = self.written.decode(errors="ignore").replace("\r\n", "\n")
        self.shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", shown)
        return bool(written)
