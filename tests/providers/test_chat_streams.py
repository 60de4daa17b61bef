"""Streams of Chat Completions over real sockets: where they end, and whether what came is an answer."""

from __future__ import annotations

import random

import pytest
from driver_cases import DRIVERS, fail, send
from raw_server import STREAM_END, STREAM_HEAD, Act, RawServer, answer, chunk, render_events, stream

import tertulia
from tertulia import FinishReason, StreamInterruptedError, Text, TextDelta, Timeouts, ToolCall, Usage
from tertulia.errors import EmptyResponseError

OPENAI, XAI = DRIVERS["openai-chat"], DRIVERS["xai-chat"]
FIRST, OLA, WORLD, LAST, COUNTED, DONE = OPENAI.events
SAID = [TextDelta("Olá"), TextDelta(" 🌍")]
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}


def script(*events: object, end: tuple[object, ...] = (STREAM_END,)) -> list[object]:
    """The events of a stream, and how it ends."""
    return [STREAM_HEAD, chunk(render_events(events)), *end]


@pytest.mark.parametrize("driver", [OPENAI, XAI])
async def test_tokens_that_come_after_the_finish_reason_are_read(connect, driver):
    """
    A finish reason does not end the reading: the chunk that counts the tokens follows it.
    """
    async with RawServer(stream(*driver.events)) as server:
        deltas, reply = await send(connect(driver, server.url), driver.ask())

    assert (SAID, FinishReason.STOP, Usage(2, 0, 0, 3, 0)) == (deltas, reply.finish_reason, reply.usage)


@pytest.mark.parametrize(
    ("driver", "events", "finish", "parts"),
    [
        pytest.param(
            XAI,
            [{"choices": [{"index": 0, "delta": {"tool_calls": [CALL]}, "finish_reason": ""}]}, DONE],
            "tool_calls",
            (ToolCall("call_1", "get_time", {}),),
            id="vector 27: an empty finish reason after a call",
        ),
        pytest.param(OPENAI, [OLA, DONE], "unknown", (Text("Olá"),), id="[DONE] without a finish reason"),
        pytest.param(OPENAI, [OLA, LAST], "stop", (Text("Olá"),), id="a finish reason without [DONE]"),
        pytest.param(OPENAI, [OLA, LAST, DONE, WORLD], "stop", (Text("Olá"),), id="words after [DONE]"),
        pytest.param(OPENAI, [OLA, LAST, b"[DONE] "], "stop", (Text("Olá"),), id="[DONE] and a blank"),
        pytest.param(OPENAI, [LAST, OLA, LAST, DONE], "stop", (Text("Olá"),), id="two finish reasons"),
        pytest.param(
            OPENAI,
            [{"choices": [], "prompt_filter_results": []}, OLA, {"choices": [{"delta": None}]}, LAST],
            "stop",
            (Text("Olá"),),
            id="chunks that say nothing",
        ),
    ],
)
async def test_a_stream_that_is_an_answer(connect, driver, events, finish, parts):
    """
    A finish reason or ``[DONE]`` says that it is whole, and what follows ``[DONE]`` is no part of it.
    """
    async with RawServer(script(*events)) as server:
        _, reply = await send(connect(driver, server.url), driver.ask())

    assert (finish, parts) == (reply.finish_reason, reply.parts)


@pytest.mark.parametrize(
    ("events", "end", "usage"),
    [
        pytest.param([OLA, LAST, COUNTED, DONE], [Act.HANG], Usage(2, 0, 0, 3, 0), id="hangs after [DONE]"),
        pytest.param([OLA, LAST, COUNTED], [Act.HANG], Usage(2, 0, 0, 3, 0), id="hangs after the tokens"),
        pytest.param([OLA, LAST], [Act.HANG], Usage(), id="hangs after the finish reason"),
        pytest.param([OLA, LAST], [Act.CLOSE], Usage(), id="closed after the finish reason"),
        pytest.param([OLA, LAST], [b"5\r\nda", Act.CLOSE], Usage(), id="cut after the finish reason"),
    ],
)
async def test_what_happens_to_the_connection_after_the_end_does_no_harm(connect, events, end, usage):
    """
    An answer that has its finish reason is whole, however badly its connection ends.
    """
    request = OPENAI.ask(timeouts=Timeouts(idle=0.1))
    async with RawServer(script(*events, end=end)) as server:
        _, reply = await send(connect(OPENAI, server.url), request)

    assert ("Olá", FinishReason.STOP, usage) == (reply.text, reply.finish_reason, reply.usage)


@pytest.mark.parametrize(
    ("events", "end", "kind"),
    [
        pytest.param([FIRST, OLA, WORLD], [STREAM_END], "interrupted", id="vector 24: ended by a proxy"),
        pytest.param([FIRST, OLA, WORLD], [Act.CLOSE], "interrupted", id="vector 24: closed"),
        pytest.param([FIRST, OLA, WORLD, COUNTED], [STREAM_END], "interrupted", id="tokens are no end"),
        pytest.param([FIRST, OLA, WORLD], [Act.HANG], "timeout", id="stalled"),
        pytest.param(
            [LAST, OLA, WORLD], [Act.CLOSE], "interrupted", id="more after a finish reason, then cut"
        ),
        pytest.param([FIRST, OLA, WORLD, b'{"id":"c1","cho'], [STREAM_END], "protocol", id="broken JSON"),
        pytest.param(
            [FIRST, OLA, WORLD, {"error": {"code": 429, "message": "Slow down."}}, DONE],
            [STREAM_END],
            "rate_limited",
            id="an error with a status in its code",
        ),
        pytest.param(
            [FIRST, OLA, WORLD, {"error": {"message": "Sorry."}, "choices": [{"finish_reason": "error"}]}],
            [STREAM_END],
            "server",
            id="an error beside a choice",
        ),
    ],
)
async def test_a_stream_that_is_no_answer_keeps_its_words(events, end, kind):
    """
    Whatever cuts an answer short: the words that came are kept, and never called whole.
    """
    timeouts = {"idle": 0.2}
    async with RawServer(script(*events, end=end)) as server:
        local = {"driver": "openai", "base_url": server.url, "model": "m", "timeouts": timeouts}
        async with tertulia.open(store="memory:", providers={"local": local}, environ={}) as client:
            conversation = await client.start(provider="local")
            with pytest.raises(StreamInterruptedError) as caught:
                await conversation.send("Hello")
            history = await conversation.history()

    assert (kind, "Olá 🌍", "interrupted") == (
        caught.value.kind,
        caught.value.partial.text,
        history[-1].status,
    )


@pytest.mark.parametrize("events", [[DONE], [FIRST, DONE], [FIRST, LAST, COUNTED, DONE]])
async def test_a_stream_that_says_nothing_is_empty(events):
    """
    An end without words is no answer either.
    """
    async with RawServer(script(*events)) as server:
        local = {"driver": "openai", "base_url": server.url, "model": "m"}
        async with tertulia.open(store="memory:", providers={"local": local}, environ={}) as client:
            conversation = await client.start(provider="local")
            with pytest.raises(EmptyResponseError):
                await conversation.send("Hello")


@pytest.mark.parametrize(
    "members", [{"error": None}, {"error": {}}, {"error": ""}, {"code": 0, "message": "success"}]
)
@pytest.mark.parametrize("is_streamed", [True, False])
async def test_an_answer_that_says_it_succeeded_is_an_answer(connect, members, is_streamed):
    """
    Some servers have a member for errors in every answer, and a code that says there was none.
    """
    events = stream(*({**event, **members} for event in OPENAI.events[:-1]), DONE)
    async with RawServer(events if is_streamed else [answer({**OPENAI.whole, **members})]) as server:
        _, reply = await send(connect(OPENAI, server.url), OPENAI.ask(stream=is_streamed))

    assert "Olá 🌍" == reply.text


async def test_an_error_before_any_word_is_the_services_own(connect):
    """
    An error inside a stream is classified like one with a status.
    """
    error = {"error": {"type": "insufficient_quota", "code": "credit_balance_exhausted", "message": "No."}}
    async with RawServer(script(FIRST, error, DONE)) as server:
        deltas, error = await fail(connect(OPENAI, server.url), OPENAI.ask())

    assert ([], "quota_exhausted") == (deltas, error.kind)


@pytest.mark.parametrize("seed", range(20))
async def test_a_stream_cut_anywhere_by_the_network_is_the_same(connect, seed):
    """
    The pieces in which a stream arrives are no part of it: same deltas, same answer.
    """
    dice = random.Random(seed)  # noqa: S311  # for variety, not for secrecy
    body = render_events([FIRST, OLA, {"choices": [{"delta": {"tool_calls": [CALL]}}]}, WORLD, LAST, DONE])
    pieces = []
    while body:
        size = dice.randint(1, 40)
        pieces.append(chunk(body[:size]))
        body = body[size:]
    async with RawServer([STREAM_HEAD, *pieces, STREAM_END]) as server:
        deltas, reply = await send(connect(OPENAI, server.url), OPENAI.ask())

    assert SAID == [delta for delta in deltas if isinstance(delta, TextDelta)]
    assert (Text("Olá 🌍"), ToolCall("call_1", "get_time", {})) == reply.parts
    assert FinishReason.TOOL_CALLS is reply.finish_reason
