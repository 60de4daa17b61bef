"""The elements of a JSON array that is too long to be read at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import attrs

from tertulia.services.transfer.files import LONGEST

_OUTSIDE = re.compile(rb'["\[\]{}]')
_INSIDE = re.compile(rb'["\\]')


@attrs.define
class Splitter:
    """
    Cuts an array of objects into its elements, by brackets alone: what they hold is for others to judge.

    Attributes:
        position: How many bytes were read.

        is_whole: Whether the end of the array was reached.
    """

    longest: int = LONGEST
    position: int = 0
    is_whole: bool = False
    _depth: int = 0
    _is_string: bool = False
    _is_escaped: bool = False
    _element: bytearray = attrs.field(factory=bytearray, repr=False)

    def split(self, chunks: Iterable[bytes]) -> Iterator[bytes | None]:
        """Return each element of the outermost array; None for one that is too long."""
        for chunk in chunks:
            yield from self._split(chunk)
            self.position += len(chunk)

    def _split(self, chunk: bytes) -> Iterator[bytes | None]:
        place = begin = 0
        while True:
            if self._is_escaped and place < len(chunk):
                self._is_escaped, place = False, place + 1
            found = (_INSIDE if self._is_string else _OUTSIDE).search(chunk, place)
            if found is None:
                break
            place, sign = found.end(), found.group()
            if sign == b"\\":
                self._is_escaped = True
            elif sign == b'"':
                self._is_string = not self._is_string
            elif sign in b"[{":
                self._depth += 1
                begin = found.start() if self._depth == 2 else begin  # inside the outermost
            else:
                self._depth -= 1
                if self._depth == 1:
                    yield self._take(chunk[begin:place])
                self.is_whole |= self._depth == 0
        if self._depth > 1:
            self._keep(chunk[begin:])

    def _keep(self, piece: bytes) -> None:
        """Collect a piece of an element; of one that is too long no more than shows that it is."""
        if len(self._element) <= self.longest:
            self._element += piece

    def _take(self, piece: bytes) -> bytes | None:
        self._keep(piece)
        element, self._element = bytes(self._element), bytearray()
        return element if len(element) <= self.longest else None
