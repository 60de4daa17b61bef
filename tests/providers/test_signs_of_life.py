"""What counts as a sign of life, how long is waited without one, and how much of an answer is taken."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import attrs
import pytest
from driver_cases import DRIVERS, fail, send
from raw_server import STREAM_END, STREAM_HEAD, Act, Ping, RawServer, Step, answer, chunk, render_events

from tertulia import Message, ProtocolError, ProviderTimeoutError, RateLimits, Timeouts, TooLargeError

CHAT = DRIVERS["openai-chat"]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
PATIENCE = Timeouts(connect=1, first_content=0.2, idle=0.2, total=0.6)


def drip(*pieces: bytes) -> Iterable[Step]:
    """Pieces that come one by one: each in time for a piece, and the last too late for a first one."""
    for piece in pieces:
        yield piece
        yield _Pause(0.08)


class _Pause(asyncio.Event):
    """An event that comes by itself."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def wait(self) -> bool:
        asyncio.get_running_loop().call_later(self._seconds, self.set)
        return await super().wait()


@pytest.mark.parametrize(
    ("script", "timer", "is_retryable"),
    [
        pytest.param([Act.HANG], "first_content", True, id="no byte"),
        pytest.param([HEAD + b"x-a: ", Ping(b"a", 0.05)], "total", False, id="a head without end"),
        pytest.param([HEAD + b"\r\n", Ping(b" ", 0.05)], "total", False, id="a body without end"),
        pytest.param([HEAD + b"\r\n", Act.HANG], "first_content", True, id="no body"),
        pytest.param([HEAD + b"\r\n{", Act.HANG], "idle", True, id="half a body"),
        pytest.param([b"HTTP/1.1 200", Act.HANG], "total", False, id="half a head"),
    ],
)
async def test_of_a_whole_answer_each_byte_is_a_sign_of_life(connect, script, timer, is_retryable):
    """
    As long as bytes come it is waited for; when the time of the send is over, nothing can be sent again.
    """
    async with RawServer(script) as server:
        _, error = await fail(connect(CHAT, server.url), CHAT.ask(stream=False, timeouts=PATIENCE))

    assert (ProviderTimeoutError, timer, is_retryable) == (type(error), error.timer, error.retryable)


@pytest.mark.parametrize(
    ("script", "timer"),
    [
        pytest.param([HEAD + b"x-a: ", Ping(b"a", 0.05)], "first_content", id="a head without end"),
        pytest.param([STREAM_HEAD, Ping(chunk(b": ping\n\n"), 0.05)], "first_content", id="pings"),
    ],
)
async def test_of_a_stream_only_content_is_a_sign_of_life(connect, script, timer):
    """
    Bytes that say nothing do not keep a stream alive.
    """
    async with RawServer(script) as server:
        _, error = await fail(connect(CHAT, server.url), CHAT.ask(timeouts=PATIENCE))

    assert timer == error.timer


async def test_an_answer_that_comes_slowly_is_read_to_its_end(connect):
    """
    Head and body may take longer than the first content, where each piece of them is in time.
    """
    content = answer(CHAT.whole)
    cuts = [content[:9], content[9:20], content[20:-20], content[-20:-9], content[-9:]]
    async with RawServer([*drip(*cuts)]) as server:
        _, reply = await send(connect(CHAT, server.url), CHAT.ask(stream=False, timeouts=PATIENCE))

    assert "Olá 🌍" == reply.text


async def test_a_connection_is_used_again_after_its_first_byte_was_watched(connect):
    """
    What stood before the protocol is gone, and stands there again for the next call.
    """
    async with RawServer([answer(CHAT.whole)]) as server:
        provider = connect(CHAT, server.url)
        for _ in range(3):
            await send(provider, CHAT.ask(stream=False))
        await asyncio.gather(*(send(provider, CHAT.ask(stream=False)) for _ in range(3)))

    assert (6, 3) == (len(server.requests), server.connections)


@asynccontextmanager
async def open_deaf_server() -> AsyncIterator[str]:
    """A server that takes connections and reads nothing."""
    writers: list[asyncio.StreamWriter] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
        writers.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in writers:
        writer.transport.abort()
    await server.wait_closed()


async def test_a_service_that_does_not_read_is_left(connect):
    """
    A large request that is not taken off our hands ends as one that is not answered.
    """
    request = attrs.evolve(
        CHAT.ask(stream=False, timeouts=PATIENCE), messages=(Message.of("user", "x" * 2**24),)
    )
    async with open_deaf_server() as url:
        _, error = await fail(connect(CHAT, url), request)

    assert (ProviderTimeoutError, "first_content") == (type(error), error.timer)


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_body_whose_chunks_are_broken_is_left_at_once(connect, is_streamed):
    """
    Nobody waits for the rest of what cannot be read, although the HTTP library says nothing of it.
    """
    async with RawServer([STREAM_HEAD, chunk(b": ping\n\n"), b"zz\r\nno\r\n", Act.HANG]) as server:
        _, error = await fail(connect(CHAT, server.url), CHAT.ask(stream=is_streamed))

    assert (ProtocolError, False) == (type(error), error.is_cut)


async def test_a_page_is_not_asked_for_again(driver, connect):
    """
    A proxy that shows a page, or leads elsewhere, will do so again.
    """
    for script in ([answer(b"<html>", media_type="text/html")], [answer(b"", 302, location="/login")]):
        async with RawServer(script) as server:
            _, error = await fail(connect(driver, server.url), driver.ask())

        assert (ProtocolError, False) == (type(error), error.retryable)


async def test_what_unfolds_beyond_measure_is_not_unfolded(connect):
    """
    A body that is packed to less than a hundredth is taken up to 16 MiB, however much is in it.
    """
    bomb = gzip.compress(b" " * 2**25, 1)
    async with RawServer([answer(bomb, content_encoding="gzip")]) as server:
        _, error = await fail(connect(CHAT, server.url), CHAT.ask(stream=False))

    assert (TooLargeError, "response", False) == (type(error), error.side, error.retryable)
    assert f"larger than {2**24} bytes" in error.message


async def test_a_long_answer_may_be_packed_well(connect):
    """
    What is large and not packed beyond measure is read, and so is what is packed so and not large.
    """
    for text in ("x" * 2**20, "".join(f"{number:x}" for number in range(2**18))):
        body = answer(gzip.compress(CHAT_WHOLE.replace("Olá 🌍", text).encode(), 1), content_encoding="gzip")
        async with RawServer([body]) as server:
            _, reply = await send(connect(CHAT, server.url), CHAT.ask(stream=False))

        assert text == reply.text


CHAT_WHOLE = '{"choices": [{"message": {"content": "Olá 🌍"}, "finish_reason": "stop"}]}'


async def test_a_whole_answer_has_a_smaller_cap(connect, monkeypatch):
    """
    All of it has to be kept until it can be read.
    """
    monkeypatch.setattr("tertulia.runtime.http.MAX_WHOLE_BYTES", 10_000)
    async with RawServer([answer(b" " * 20_000)]) as server:
        _, error = await fail(connect(CHAT, server.url), CHAT.ask(stream=False))

    assert (TooLargeError, "the answer is larger than 10000 bytes") == (
        type(error),
        error.message.removeprefix("provider 'mine': "),
    )


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x" * 600},
        {"reasoning_content": "x" * 600},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "x" * 600}}]},
    ],
    ids=["words", "thoughts", "arguments"],
)
async def test_an_answer_that_does_not_stop_is_cut(connect, monkeypatch, delta):
    """
    What is said, thought and called with is kept, so there is an end to it.
    """
    monkeypatch.setattr("tertulia.runtime.answers.MAX_CHARACTERS", 1000)
    event = {"choices": [{"index": 0, "delta": delta}]}
    async with RawServer(
        [STREAM_HEAD, chunk(render_events([event])), chunk(render_events([event] * 9))]
    ) as server:
        deltas, error = await fail(connect(CHAT, server.url), CHAT.ask())

    assert (1, TooLargeError, "response") == (len(deltas), type(error), error.side)


async def test_an_event_of_endless_short_lines_is_too_large(connect):
    """
    Each line takes more than its bytes, so that there may not be millions of them.
    """
    lines = chunk(b"data:x\n" * 50_000)
    async with RawServer([STREAM_HEAD, *[lines] * 20, Act.HANG]) as server:
        _, error = await fail(connect(CHAT, server.url), CHAT.ask())

    assert TooLargeError is type(error)


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_an_answer_says_what_is_left(driver, connect, is_streamed):
    """
    The headers of an answer that came are with it.
    """
    limits = {"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "1s"}
    if is_streamed:
        lines = "".join(f"{name}: {value}\r\n" for name, value in limits.items()).encode()
        head = STREAM_HEAD.removesuffix(b"\r\n") + lines + b"\r\n"
        script = [head, chunk(render_events(driver.events)), STREAM_END]
    else:
        script = [answer(driver.whole, **{name.replace("-", "_"): value for name, value in limits.items()})]
    async with RawServer(script) as server:
        _, reply = await send(connect(driver, server.url), driver.ask(stream=is_streamed))

    assert RateLimits(requests=9, requests_reset=1.0) == reply.rate_limits
