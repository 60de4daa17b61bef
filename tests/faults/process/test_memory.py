"""Answers without an end: they are given up long before the memory is."""

from __future__ import annotations

import json
import zlib
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from process_cases import OPENAI, WORD, run_program, say

from providers.raw_server import STREAM_HEAD, Ping, RawServer, Step, answer, chunk, render_events
from torture import TORTURED

MOST_GROWN = 64
"""MB."""


def zip_blanks(megabytes: int) -> bytes:
    """So many MB of blanks, of which little is left; packed once and repeated, so the end is missing."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    first, more = (packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + more * (megabytes - 1)


BOMB = zip_blanks(1024)
PACKED = {"Content_Encoding": "gzip"}
NO_END = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
BLANKS = b" " * 2**16
EMPTY_EVENTS = chunk(render_events([{**OPENAI.events[1], "delta": ""}]) * 500)
COMMENTS = chunk(b": still here\n\n" * 5_000)
WORDS = chunk(render_events([{**OPENAI.events[1], "delta": WORD * 20}]) * 100)
ENDLESS: dict[str, list[Step]] = {
    "a body that unfolds": [answer(BOMB, **PACKED)],
    "a stream that unfolds": [answer(BOMB, media_type="text/event-stream", **PACKED)],
    "a refusal that unfolds": [answer(BOMB, 400, **PACKED)],
    "a body": [NO_END, Ping(BLANKS, 0)],
    "a refusal": [NO_END.replace(b"200 OK", b"400 No"), Ping(BLANKS, 0)],
    "an event": [STREAM_HEAD, chunk(b"data: "), Ping(chunk(BLANKS), 0)],
    "a line of a head": [b"HTTP/1.1 200 OK\r\nx-endless: ", Ping(b"x" * 2**16, 0)],
    "words": [STREAM_HEAD, Ping(WORDS, 0)],
}
SLOW: dict[str, list[Step]] = {
    "empty events": [STREAM_HEAD, Ping(EMPTY_EVENTS, 0)],
    "comments": [STREAM_HEAD, Ping(COMMENTS, 0)],
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says what a process ever had")
async def test_an_answer_without_end_is_given_up_before_the_memory_is(database):
    """Whatever a service sends without end, the send ends with an error of ours, and 64 MB are enough."""
    endless = ENDLESS | (SLOW if TORTURED else {})
    async with AsyncExitStack() as stack:
        scripts = [say(WORD), *endless.values()]
        servers = [await stack.enter_async_context(RawServer(script)) for script in scripts]
        program = await run_program("memory_hog.py", "openai", database, *(server.url for server in servers))
        output, _ = await program.communicate()

    found = dict(zip(endless, json.loads(output), strict=True))
    assert {"too_large", "protocol"} >= {end["kind"] for end in found.values()}, found
    assert [] == [name for name, end in found.items() if end["grown"] > MOST_GROWN], found
