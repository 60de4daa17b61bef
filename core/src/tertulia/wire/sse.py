"""Server-sent events, parsed from bytes as they come."""

from __future__ import annotations

import attrs

from tertulia.errors import TooLargeError

MAX_EVENT_BYTES = 32 * 2**20
_LINE_BYTES = 48  # what a line takes in memory beside its bytes: of short ones there may be millions
_OTHER_FIELDS = frozenset({b"", b"id", b"retry"})  # the empty field is a comment
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@attrs.define
class ServerSentEvent:
    """
    One event.

    Attributes:
        data: Its data lines, joined by line feeds, as the bytes that were received.

        name: Its ``event:`` field; empty when it has none.
    """

    data: bytes
    name: str = ""


class ServerSentEvents:
    r"""
    An incremental parser: feed bytes in any pieces, get whole events.

    Lines end with LF, CRLF or CR and nothing else: U+2028 and its like occur unescaped inside JSON.
    Comments, ids and empty events are passed over. The bytes of an event are only joined, never decoded,
    so a character cut in two by the network is whole again here.

    Example:
        >>> events = ServerSentEvents()
        >>> events.feed(b"data: one\n\nda")
        [ServerSentEvent(data=b'one', name='')]
        >>> events.feed(b"ta: two\n") + events.end()
        [ServerSentEvent(data=b'two', name='')]

    Source: WHATWG HTML, "Server-sent events". Unlike it, :meth:`end` delivers an event whose blank line
    never came, because providers leave the last one out.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._stray = bytearray()
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = ""
        self._at_start = True

    @property
    def stray(self) -> bytes:
        """Lines that are no field at all: an error document that a service wrote into its stream."""
        return bytes(self._stray)

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """
        Take the next bytes and return the events they complete.

        Raises:
            TooLargeError: One event is larger than ``max_event_bytes``.
        """
        searched = max(0, len(self._rest) - 1)  # a carriage return that waited is looked at again
        self._rest += chunk
        if self._at_start and not self._skip_byte_order_mark():
            return []
        events: list[ServerSentEvent] = []
        if complete := self._last_line_end(searched):
            block = bytes(self._rest[:complete])
            del self._rest[:complete]
            self._take_block(block, events)
        self._check_size()
        return events

    def end(self) -> list[ServerSentEvent]:
        """Say that no more bytes come, and return the event that was still open, if any."""
        events: list[ServerSentEvent] = []
        self._take_block(bytes(self._rest) + b"\n\n", events)
        self._rest.clear()
        return events

    def _last_line_end(self, searched: int) -> int:
        """Where the last whole line ends; a final CR may be half of a CRLF and waits."""
        last = len(self._rest) - 1
        return max(self._rest.rfind(b"\n", searched), self._rest.rfind(b"\r", searched, last)) + 1

    def _take_block(self, block: bytes, events: list[ServerSentEvent]) -> None:
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        for line in block[:-1].split(b"\n"):
            if line.startswith(b"data: "):  # every other line, so without a call
                self._data.append(line[6:])
                self._data_bytes += len(line) + _LINE_BYTES
            elif line:
                self._take_field(line)
            else:
                if data := b"\n".join(self._data):
                    events.append(ServerSentEvent(data, self._name))
                self._data, self._data_bytes, self._name = [], 0, ""

    def _skip_byte_order_mark(self) -> bool:
        if len(self._rest) < 3 and _BYTE_ORDER_MARK.startswith(bytes(self._rest)):
            return False
        if self._rest.startswith(_BYTE_ORDER_MARK):
            del self._rest[:3]
        self._at_start = False
        return True

    def _take_field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + _LINE_BYTES
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field not in _OTHER_FIELDS:
            self._stray += line + b"\n"

    def _check_size(self) -> None:
        if self._data_bytes + len(self._rest) + len(self._stray) > self._max_event_bytes:
            raise TooLargeError(
                f"an event of the answer is larger than {self._max_event_bytes} bytes",
                next_step="ask for a shorter answer",
            )
