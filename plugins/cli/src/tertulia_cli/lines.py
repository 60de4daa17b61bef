"""What is typed into a chat, one message or command at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

import attrs

QUOTES = '"""'


@attrs.frozen
class Said:
    """A message."""

    text: str


@attrs.frozen
class Command:
    """
    A line that begins with a slash.

    Attributes:
        name: Without the slash.

        argument: The rest of the line.
    """

    name: str
    argument: str


class UnreadableLineError(Exception):
    """A line that is not text."""


def read_entry(read_line: Callable[[bool], str | None]) -> Said | Command | None:
    r"""
    Read one message or command; None at the end of the input.

    A backslash at the end of a line goes on on the next one. Three double quotes begin a text of any lines,
    which is said as it is, and end it. Two slashes say a text that begins with one.

    Args:
        read_line: Returns the next line without its end, None where there is none; told whether it goes on
            with an entry.

    Example:
        >>> lines = iter(['/fork  a try', '//etc', 'one \\', 'two'])
        >>> [read_entry(lambda _: next(lines, None)) for _ in range(4)]
        [Command(name='fork', argument='a try'), Said(text='/etc'), Said(text='one \ntwo'), None]
    """
    line = read_line(False)
    if line is None:
        return None
    if line.lstrip().startswith(QUOTES):
        return Said(_read_quoted(line.lstrip().removeprefix(QUOTES), read_line))
    text = _read_continued(line, read_line)
    if text.startswith("//"):
        return Said(text.removeprefix("/"))
    if text.startswith("/"):
        name, *argument = text.removeprefix("/").split(maxsplit=1) or [""]
        return Command(name, "".join(argument).rstrip())
    return Said(text)


def _read_continued(line: str, read_line: Callable[[bool], str | None]) -> str:
    lines: list[str] = []
    following: str | None = line
    while following is not None and following.endswith("\\"):
        lines.append(following.removesuffix("\\"))
        following = read_line(True)
    return "\n".join([*lines, following or ""]) if lines else line


def _read_quoted(first: str, read_line: Callable[[bool], str | None]) -> str:
    lines: list[str] = []
    following: str | None = first
    while following is not None and not following.rstrip().endswith(QUOTES):
        lines.append(following)
        following = read_line(True)
    if following is not None:
        lines.append(following.rstrip().removesuffix(QUOTES))
    return "\n".join(lines).strip("\n")


class Keyboard:
    """Lines that somebody types at a terminal, with the editing and the history that readline gives."""

    def __init__(self) -> None:
        with suppress(ImportError):
            import_module("readline")  # input() uses it once it is there

    def read(self, prompt: str) -> str | None:
        """Return the next line; None when the input is over."""
        try:
            return _check(self._ask(prompt))
        except EOFError:
            return None
        except UnicodeDecodeError as error:
            raise _unreadable() from error

    def _ask(self, prompt: str) -> str:
        if sys.stdout.isatty():
            return input(prompt)
        # Standard output is for the answers, and is going elsewhere.
        sys.stderr.write(prompt)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")


class Pipe:
    """Lines that come from a file or from another program."""

    def read(self, _prompt: str) -> str | None:
        """Return the next line; None when the input is over."""
        line = sys.stdin.buffer.readline()
        try:
            return line.decode().rstrip("\r\n") if line else None
        except UnicodeDecodeError as error:
            raise _unreadable() from error


def _check(line: str) -> str:
    """Refuse what Python could not decode and holds as lone surrogates."""
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise _unreadable() from error
    return line


def _unreadable() -> UnreadableLineError:
    return UnreadableLineError("that line is not valid in your terminal's encoding")
