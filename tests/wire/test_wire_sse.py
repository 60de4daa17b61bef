"""Server-sent events, parsed from bytes."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia import TooLargeError
from tertulia.wire import ServerSentEvent, ServerSentEvents

Event = tuple[bytes, str]

BLOCKS = [
    pytest.param(b"data: one\n\n", [(b"one", "")], id="lf"),
    pytest.param(b"data: one\r\n\r\ndata: two\r\n\r\n", [(b"one", ""), (b"two", "")], id="crlf"),
    pytest.param(b"data: one\r\rdata: two\r\r", [(b"one", ""), (b"two", "")], id="cr"),
    pytest.param(b"data: one\r\n\ndata: two\n\r\n", [(b"one", ""), (b"two", "")], id="mixed line ends"),
    pytest.param(b"\xef\xbb\xbfdata: one\n\n", [(b"one", "")], id="byte order mark"),
    pytest.param(b"data: \xef\xbb\xbf\n\n", [(b"\xef\xbb\xbf", "")], id="byte order mark inside"),
    pytest.param(b": ping\n\ndata: one\n: ping\n\n", [(b"one", "")], id="comments"),
    pytest.param(b"data: one\ndata: two\n\n", [(b"one\ntwo", "")], id="two data lines"),
    pytest.param(b"data: {\ndata:\ndata: }\n\n", [(b"{\n\n}", "")], id="an empty data line between"),
    pytest.param(b"data:\n\ndata: \n\ndata\n\ndata: one\n\n", [(b"one", "")], id="empty events"),
    pytest.param(b"\n\n\n\ndata: one\n\n\n\n", [(b"one", "")], id="blank lines"),
    pytest.param(b"data: one", [(b"one", "")], id="unterminated line"),
    pytest.param(b"data: one\ndata: two\n", [(b"one\ntwo", "")], id="unterminated event"),
    pytest.param(b"data:one\n\ndata:  one\n\n", [(b"one", ""), (b" one", "")], id="one space is not data"),
    pytest.param(b"event: ping\ndata: one\n\ndata: two\n\n", [(b"one", "ping"), (b"two", "")], id="name"),
    pytest.param(b"event: gone\n\ndata: one\n\n", [(b"one", "")], id="a name without data"),
    pytest.param(b"id: 7\nretry: 100\ndata: one\n\n", [(b"one", "")], id="other fields"),
    pytest.param(b"data: a:b: c\n\n", [(b"a:b: c", "")], id="colons in data"),
    pytest.param(b"", [], id="nothing"),
]


@pytest.mark.parametrize(("block", "expected"), BLOCKS)
def test_a_stream_is_its_events(block, expected):
    """
    Each of these streams holds exactly these events.
    """
    assert expected == parse([block])[0]


def test_line_separators_of_unicode_do_not_end_a_line():
    """
    U+2028, U+2029 and U+0085 are ordinary characters of a JSON string.
    """
    text = "one\u2028two\u2029three\u0085four"
    stream = b"data: " + json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n\n"

    ((data, _),), stray = parse([stream])

    assert ({"text": text}, b"") == (json.loads(data), stray)


def test_an_event_is_there_as_soon_as_its_blank_line():
    """
    An event does not wait for the next one.
    """
    events = ServerSentEvents()

    assert [ServerSentEvent(b"one")] == events.feed(b"data: one\n\nda")
    assert [ServerSentEvent(b"two")] == events.feed(b"ta: two\n\n")
    assert [] == events.end()


def test_a_carriage_return_at_the_end_of_a_piece_may_be_half_of_a_line_end():
    """
    CR and LF in two pieces end one line, not two.
    """
    events = ServerSentEvents()

    assert [] == events.feed(b"data: one\r")
    assert [] == events.feed(b"\ndata: two\r")
    assert [ServerSentEvent(b"one\ntwo")] == events.feed(b"\n\r\n")


def test_lines_that_are_no_field_are_kept_apart():
    """
    An error document inside a stream is no event, and is not lost.
    """
    document = b'{\n  "error": {\n    "code": 503\n  }\n}\n'

    events, stray = parse([b"data: one\n\n" + document + b"data: two\n\n"])

    assert ([(b"one", ""), (b"two", "")], document) == (events, stray)


@pytest.mark.parametrize("flood", [b"data: xxxxxxxx\n", b"xxxxxxxxxx", b"xxxxxxxx\n"])
def test_an_event_beyond_the_cap_is_refused(flood):
    """
    Neither data, an endless line nor lines that are no field fill the memory.
    """
    events = ServerSentEvents(max_event_bytes=1000)
    pieces = (flood for _ in range(200))

    with pytest.raises(TooLargeError) as caught:
        deque(map(events.feed, pieces), maxlen=0)

    assert "response" == caught.value.side
    assert next(pieces, None) is not None


def test_the_cap_is_for_one_event():
    """
    A long stream of small events is not too large.
    """
    events = ServerSentEvents(max_event_bytes=20)

    assert 1000 == sum(len(events.feed(b"data: 123456789\n\n")) for _ in range(1000))


line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
contents = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)
events_to_send = st.lists(st.tuples(st.lists(contents, min_size=1, max_size=3), st.booleans()), max_size=5)


@settings(deadline=None)
@given(events_to_send, st.data())
def test_any_events_survive_any_line_ends_in_any_pieces(sent, data):
    """
    However a stream is written and cut, down to single bytes, its events are the same.
    """
    expected: list[Event] = []
    stream = b""
    for lines, is_named in sent:
        end = data.draw(line_ends)
        fields = [f"data: {line}".encode() for line in lines]
        fields += [b"event: named"] if is_named else []
        stream += b"".join(field + end for field in [b": comment", *fields, b""])
        expected.append(("\n".join(lines).encode(), "named" if is_named else ""))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert (expected, b"") == parse(pieces)
    assert (expected, b"") == parse(stream[place : place + 1] for place in range(len(stream)))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=400), min_size=50, max_size=50))
def test_no_bytes_whatever_raise(pieces):
    """
    Twenty thousand bytes of anything are events or stray lines, the same for any pieces, and never an error.
    """
    assert parse([b"".join(pieces)]) == parse(pieces)


@pytest.mark.parametrize("seed", range(10))
def test_noise_that_looks_like_events_does_not_raise(seed):
    """
    Nor do twenty thousand bytes made of what events are made of.
    """
    dice = random.Random(seed)  # noqa: S311  # for variety, not for secrecy
    words = [
        b"data:",
        b"event:",
        b":",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b"{",
        b"\0",
    ]
    noise = b"".join(dice.choices(words, k=20_000))[:20_000]

    assert parse([noise]) == parse(noise[place : place + 1] for place in range(len(noise)))


def parse(pieces: Iterable[bytes]) -> tuple[list[Event], bytes]:
    """Feed pieces to a parser: its events, and the lines that are no field."""
    parser = ServerSentEvents()
    events = [event for piece in pieces for event in parser.feed(piece)]
    events += parser.end()
    return [(event.data, event.name) for event in events], parser.stray
