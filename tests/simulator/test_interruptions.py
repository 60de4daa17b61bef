"""Answers that are slow, that stand still, that break off, and clients that leave."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import urllib.request
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import pytest

from tertulia_simulator import API_KEY, Simulator

from .conftest import Caller
from .dialects import DIALECTS

COUNT = "Count to 5."
PIECES = ["1,", " 2,", " 3,", " 4,", " 5."]
HEADERS = {"authorization": f"Bearer {API_KEY}", "x-goog-api-key": API_KEY}


@asynccontextmanager
async def listen(caller, dialect, text=COUNT):
    """A streamed answer to one user text, whose head has come."""
    request = caller.session.post(
        caller.url + dialect.stream_path, json=dialect.render_stream(text), headers=HEADERS
    )
    async with request as response:
        yield response


async def read_pieces(response, dialect, number):
    """Read until that many pieces of text have come, and no further."""
    body = ""
    while len(dialect.hear(body)) < number:
        body += (await response.content.readuntil(b"\n")).decode()
    return dialect.hear(body)


async def read_rest(response):
    """All that comes, and whether that was a clean end."""
    body = b""
    try:
        async for piece in response.content.iter_any():
            body += piece
    except aiohttp.ClientError:
        return body.decode(), False
    return body.decode(), True


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_cut_stream_ends_after_its_pieces_as_if_it_were_whole(caller, simulator, dialect, after):
    """
    What a proxy makes of a lost service: some text, no word of an end, and a body that is complete.
    """
    simulator.fail(dialect.service, "cut_stream", after=after)

    async with listen(caller, dialect) as response:
        body, is_clean = await read_rest(response)

    assert (200, PIECES[:after], True) == (response.status, dialect.hear(body), is_clean)
    assert not any(sign in body for sign in ("response.completed", "[DONE]", '"stop"', "STOP"))
    assert PIECES == await caller.hear(dialect, COUNT)


async def test_all_of_the_text_can_come_without_an_end(caller, simulator, dialect):
    """
    The last piece is no end, but at Gemini, where it says why no more comes.
    """
    simulator.fail(dialect.service, "cut_stream", after=len(PIECES))

    async with listen(caller, dialect) as response:
        body, _ = await read_rest(response)

    assert PIECES == dialect.hear(body)
    assert (dialect.service == "gemini") == ("STOP" in body)
    assert not any(sign in body for sign in ("response.completed", "[DONE]", '"stop"'))


async def test_a_stream_too_short_to_be_cut_is_whole(caller, simulator, dialect):
    """
    A fault after the sixth piece of five never happens.
    """
    simulator.fail(dialect.service, "cut_stream", after=6)

    async with listen(caller, dialect) as response:
        body, _ = await read_rest(response)

    assert PIECES == dialect.hear(body)
    assert any(sign in body for sign in ("response.completed", "[DONE]", "STOP"))


async def test_a_reset_comes_after_what_was_written(caller, simulator, dialect):
    """
    The text arrives and is read; then the connection is torn down.
    """
    simulator.fail(dialect.service, "cut_stream", after=2, reset=True, seconds=60)

    async with listen(caller, dialect) as response:
        heard = await read_pieces(response, dialect, 2)
        simulator.release(dialect.service)
        body, is_clean = await read_rest(response)

    assert (PIECES[:2], [], False) == (heard, dialect.hear(body), is_clean)
    assert 0 == simulator.closed_early(dialect.service)


async def test_a_reset_is_one(simulator):
    """
    A bare socket gets what was written, and then an error rather than an end.
    """
    simulator.fail("local", "cut_stream", after=2, reset=True, seconds=60)
    dialect, url = DIALECTS["local"], urlsplit(simulator.url)
    body = json.dumps(dialect.render_stream(COUNT)).encode()
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(f"POST {dialect.path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode())
    writer.write(body)
    head = await reader.readuntil(b" 2,")

    simulator.release("local")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_reset_need_not_be_asked_for(caller, simulator):
    """
    Left alone, it comes by itself after a moment.
    """
    simulator.fail("openai", "cut_stream", reset=True)

    async with listen(caller, DIALECTS["openai"]) as response:
        _, is_clean = await read_rest(response)

    assert not is_clean


@pytest.mark.parametrize("after", [0, 2])
async def test_a_stalled_stream_goes_on_when_released(caller, simulator, dialect, after):
    """
    Nothing comes after its pieces, however long one waits; then the rest does.
    """
    simulator.fail(dialect.service, "stall", after=after)

    async with listen(caller, dialect) as response:
        heard = await read_pieces(response, dialect, after)
        assert 1 == await simulator.stalled(dialect.service)
        simulator.release(dialect.service)
        body, is_clean = await read_rest(response)

    assert (PIECES, True) == (heard + dialect.hear(body), is_clean)


async def test_a_stall_may_have_an_end(caller, simulator):
    """
    One of no seconds is over at once.
    """
    simulator.fail("xai", "stall", seconds=0)

    assert PIECES == await caller.hear(DIALECTS["xai"], COUNT)
    assert 1 == await simulator.stalled("xai")


async def test_only_what_has_stalled_is_released(caller, simulator, dialect):
    """
    The next answer stalls again, and that of another service all the time.
    """
    other = DIALECTS["gemini" if dialect.service != "gemini" else "openai"]
    for service in (dialect.service, other.service):
        simulator.fail(service, "stall", times=2)

    async with listen(caller, other):
        async with listen(caller, dialect) as response:
            await simulator.stalled(dialect.service)
            simulator.release(dialect.service)
            assert PIECES == dialect.hear((await read_rest(response))[0])
        async with listen(caller, dialect):
            assert 2 == await simulator.stalled(dialect.service, 2)


async def test_who_leaves_a_stalled_stream_is_missed(caller, simulator, dialect):
    """
    The simulator knows that the client closed the connection, and serves the next one.
    """
    simulator.fail(dialect.service, "stall", after=2)
    assert 0 == simulator.closed_early(dialect.service)

    async with listen(caller, dialect) as response:
        await read_pieces(response, dialect, 2)
        response.close()

    assert 1 == await simulator.left(dialect.service)
    assert 1 == simulator.closed_early(dialect.service)
    assert PIECES == await caller.hear(dialect, COUNT)
    assert 1 == simulator.closed_early(dialect.service)


async def test_who_leaves_a_stream_in_the_middle_is_missed(caller, simulator):
    """
    Without any fault, a client that has heard enough of a long answer is counted too.
    """
    dialect = DIALECTS["openai"]
    async with listen(caller, dialect, "Count to 2000.") as response:
        await read_pieces(response, dialect, 1)
        response.close()

    assert 1 == await simulator.left("openai")


async def test_who_is_cancelled_before_the_answer_is_missed(caller, simulator, dialect):
    """
    A whole answer that never begins is left by the task that waited for it.
    """
    simulator.fail(dialect.service, "stall", after=0)
    asking = asyncio.create_task(caller.put(dialect, dialect.render(COUNT)))
    await simulator.stalled(dialect.service)

    asking.cancel()
    await asyncio.wait([asking])

    assert (True, 1) == (asking.cancelled(), await simulator.left(dialect.service))


async def test_who_hears_all_of_an_answer_does_not_leave_early(caller, simulator, dialect):
    """
    A connection that is closed after the last word is no complaint.
    """
    async with listen(caller, dialect) as response:
        await read_rest(response)
        response.close()
    await caller.put(dialect, dialect.render(COUNT))

    assert 0 == simulator.closed_early(dialect.service)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_whole_answer_is_cut_in_the_middle(caller, simulator, dialect, reset):
    """
    One half of its body comes: as all of it, or before a reset that leaves the promised length unmet.
    """
    simulator.fail(dialect.service, "cut_stream", after=5, reset=reset)
    url = caller.url + dialect.path

    async with caller.session.post(url, json=dialect.render(COUNT), headers=HEADERS) as response:
        body, is_clean = await read_rest(response)
    whole = json.dumps(await caller.put(dialect, dialect.render(COUNT)), ensure_ascii=False)

    assert (200, not reset, reset) == (response.status, is_clean, "content-length" in response.headers)
    if not reset:
        assert len(body.encode()) == len(whole.encode()) // 2


@pytest.mark.parametrize("reset", [False, True])
async def test_a_whole_answer_is_cut_before_it_begins(caller, simulator, dialect, reset):
    """
    The connection ends without a status.
    """
    simulator.fail(dialect.service, "cut_stream", after=0, reset=reset)

    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await caller.put(dialect, dialect.render(COUNT))

    assert 0 == simulator.closed_early(dialect.service)


@pytest.mark.parametrize("after", [0, 1])
async def test_a_whole_answer_stalls_before_or_in_its_body(caller, simulator, dialect, after):
    """
    Released, it is the answer it would have been.
    """
    simulator.fail(dialect.service, "stall", after=after)
    asking = asyncio.create_task(caller.put(dialect, dialect.render(COUNT)))
    await simulator.stalled(dialect.service)
    assert not asking.done()

    simulator.release(dialect.service)

    assert "1, 2, 3, 4, 5." == dialect.said(await asking)


async def test_a_slow_stream_waits_before_each_event(caller, simulator, dialect):
    """
    Its head comes at once; its events while others are answered do not, until it is released.
    """
    simulator.fail(dialect.service, "slow", seconds=3600)

    async with listen(caller, dialect) as response:
        for _ in range(3):
            assert PIECES == await caller.hear(dialect, COUNT)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await response.content.readany()
        simulator.release(dialect.service)
        body, _ = await read_rest(response)

    assert PIECES == dialect.hear(body)


async def test_a_slow_answer_takes_its_time(caller, simulator, dialect):
    """
    Every event of a stream, and all of a whole answer, takes at least the seconds ordered.
    """
    simulator.fail(dialect.service, "slow", seconds=0.01, times=2)
    clock = asyncio.get_running_loop().time

    began = clock()
    assert PIECES == await caller.hear(dialect, COUNT)
    streamed = clock() - began
    await caller.put(dialect, dialect.render(COUNT))

    assert streamed >= 5 * 0.01
    assert clock() - began >= 6 * 0.01


async def test_a_refusal_can_be_slow_too(caller, simulator):
    """
    What spoils an answer spoils a refusal just as well.
    """
    simulator.fail("openai", "slow", seconds=0)

    status, _ = await caller.post("/openai/v1/responses", {})

    assert status == 400


@pytest.mark.parametrize("kind", ["slow", "stall"])
async def test_stopping_waits_for_no_answer(kind):
    """
    An answer held back for an hour ends with the simulator, and is nobody's leaving.
    """
    clock, dialect = asyncio.get_running_loop().time, DIALECTS["openai"]
    async with aiohttp.ClientSession() as session, Simulator() as simulator:
        simulator.fail("openai", kind, seconds=3600)
        async with listen(Caller(session, simulator), dialect) as response:
            await read_pieces(response, dialect, kind == "stall")
            began = clock()
            await simulator.__aexit__()
            stopped = clock()
            body, is_clean = await read_rest(response)

    assert ([], False, 0) == (dialect.hear(body), is_clean, simulator.closed_early("openai"))
    assert stopped - began < 1


async def test_another_thread_is_watched_from_here():
    """
    A simulator in a thread tells the test's own event loop who stalled, was released and left.
    """
    dialect = DIALECTS["gemini"]
    with Simulator.in_thread() as simulator:
        simulator.fail("gemini", "stall", times=2, after=0)
        async with aiohttp.ClientSession() as session:
            asking = [
                asyncio.create_task(
                    session.post(simulator.url + dialect.path, json=dialect.render(COUNT), headers=HEADERS)
                )
                for _ in range(2)
            ]
            assert 2 == await simulator.stalled("gemini", 2)
            asking[0].cancel()
            assert 1 == await simulator.left("gemini")
            simulator.release("gemini")
            async with await asking[1] as response:
                assert "1, 2, 3, 4, 5." == dialect.said(await response.json())


def test_blocking_code_is_stopped_too():
    """
    A thread that waits for a stalled answer is let go when the simulator ends.
    """
    dialect, ended = DIALECTS["local"], []

    def ask(url: str) -> None:
        request = urllib.request.Request(url, json.dumps(dialect.render(COUNT)).encode())  # noqa: S310 - loopback
        try:
            urllib.request.urlopen(request).close()  # noqa: S310 - loopback
        except ConnectionError as error:
            ended.append(error)

    with Simulator.in_thread() as simulator:
        simulator.fail("local", "stall", after=0)
        thread = threading.Thread(target=ask, args=(simulator.url + dialect.path,))
        thread.start()
        asyncio.run(simulator.stalled("local"))
    thread.join()

    assert 1 == len(ended)


async def test_who_stops_waiting_harms_nobody(caller, simulator):
    """
    A test that gave up waiting for an event is not told of it.
    """
    with pytest.raises(TimeoutError, match=r"^openai was stalled 0 times, not 2, after 0 s$"):
        await simulator.stalled("openai", 2, timeout_seconds=0)
    simulator.fail("openai", "stall", seconds=0)

    await caller.hear(DIALECTS["openai"], COUNT)

    assert 1 == await simulator.stalled("openai")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("slow", {"after": 1}, "the fault 'slow' takes no 'after'"),
        ("stall", {"reset": True}, "the fault 'stall' takes no 'reset'"),
        ("overloaded", {"seconds": 1}, "the fault 'overloaded' takes no 'seconds'"),
        ("cut_stream", {"after": -1}, "'after' is a number from 0 on, not -1"),
        ("stall", {"seconds": -0.5}, "'seconds' is a number from 0 on, not -0.5"),
        ("slow", {"seconds": float("nan")}, "'seconds' is a number from 0 on, not nan"),
        ("slow", {"seconds": float("inf")}, "'seconds' is a number from 0 on, not inf"),
        ("stall", {"times": 0}, "a fault occurs once or more, not 0 times; to end one, call heal()"),
    ],
)
def test_a_fault_takes_no_more_than_it_can(kind, options, message):
    """
    An option that would do nothing is an error of the test.
    """
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Simulator().fail("openai", kind, **options)
