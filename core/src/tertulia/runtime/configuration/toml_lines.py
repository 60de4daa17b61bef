"""In which line of a TOML document each key stands, which ``tomllib`` does not say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import attrs

from tertulia.runtime.configuration.tables import KeyPath

_LONGEST_KEY = 20
_TOKEN = re.compile(
    r'''
      (?P<blank>    [ \t\r]+ | \#[^\n]* )
    | (?P<newline>  \n )
    | (?P<text>     """ (?: \\[\s\S] | [^\\] )*? """ "{0,2}
                  | \'\'\' [\s\S]*? \'\'\' \'{0,2}
                  | " (?: \\. | [^"\\\n] )* "
                  | ' [^'\n]* ' )
    | (?P<mark>     [\[\]{}=,.] )
    | (?P<bare>     [^\s\[\]{}=,."'\#]+ )
    ''',
    re.VERBOSE,
)


def find_lines(text: str) -> dict[KeyPath, int]:
    r"""
    Find the line of each key path, of tables too, counted from 1.

    Args:
        text: A document that ``tomllib`` reads. Of anything else, and where this reader is at a loss, no
            line is known.

    Example:
        >>> find_lines("a = 1\n[b.c]\nd.e = 2")[("b", "c", "d", "e")]
        3
    """
    reader = _Reader(list(_tokens(text)))
    try:
        reader.read()
    except (IndexError, ValueError, RecursionError):
        return {}
    return reader.lines


def has_long_key(text: str) -> bool:
    """
    Whether a key has more parts than anybody writes.

    ``tomllib`` takes time with their square, and minutes for a table of some thousand: look before it reads.
    """
    parts = 0
    for token in _tokens(text):
        if token.text == ".":
            parts += 1
        elif token.kind not in ("bare", "text"):
            parts = 0
        if parts > _LONGEST_KEY:
            return True
    return False


@attrs.frozen
class _Token:
    kind: str
    line: int
    text: str = attrs.field(repr=False)


def _tokens(text: str) -> Iterator[_Token]:
    line, at = 1, 0
    for match in _TOKEN.finditer(text):
        if match.start() != at:
            return
        at = match.end()
        if match.lastgroup != "blank":
            yield _Token(match.lastgroup or "", line, match.group())
        line += match.group().count("\n")
    yield _Token("newline", line, "\n")


class _Reader:
    """Walks over the tokens; a value in an array has no key path, so nothing is noted in there."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._tokens = tokens
        self._at = 0

    def read(self) -> None:
        table: KeyPath = ()
        while self._at < len(self._tokens):
            if self._skip("\n"):
                continue
            if self._skip("["):
                table = self._header(is_array=self._skip("["))
            else:
                self._pair(table)

    def _header(self, *, is_array: bool) -> KeyPath:
        line = self._tokens[self._at].line
        path = self._key()
        self._expect("]")
        if is_array:
            self._expect("]")
        self._note(path, line, above=())
        if not is_array:  # of several tables of one name the first has the line
            self.lines[path] = line  # rather than that of a table below it, which came first
        return path

    def _pair(self, table: KeyPath | None) -> None:
        line = self._tokens[self._at].line
        key = self._key()
        self._expect("=")
        path = None if table is None else (*table, *key)
        if path is not None:
            self._note(path, line, above=table or ())
        self._value(path)

    def _note(self, path: KeyPath, line: int, *, above: KeyPath) -> None:
        for length in range(len(above) + 1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def _key(self) -> KeyPath:
        path = [self._name()]
        while self._skip("."):
            path.append(self._name())
        return tuple(path)

    def _name(self) -> str:
        token = self._next()
        if token.kind == "bare":
            return token.text
        if token.kind != "text":
            raise ValueError
        return str(tomllib.loads(f"name = {token.text}")["name"])

    def _value(self, path: KeyPath | None) -> None:
        if self._skip("{"):
            while not self._skip("}"):
                if not (self._skip(",") or self._skip("\n")):
                    self._pair(path)
        elif self._skip("["):
            while not self._skip("]"):
                if not (self._skip(",") or self._skip("\n")):
                    self._value(None)
        elif self._next().kind == "bare":  # a date may be two, a number may have a dot
            while self._tokens[self._at].kind == "bare" or self._tokens[self._at].text == ".":
                self._at += 1

    def _skip(self, text: str) -> bool:
        is_next = self._tokens[self._at].text == text
        self._at += is_next
        return is_next

    def _expect(self, text: str) -> None:
        if not self._skip(text):
            raise ValueError

    def _next(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]
