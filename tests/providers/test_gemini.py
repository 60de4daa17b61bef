"""Gemini's driver at a server of bytes: long answers, counting, models and what they refuse."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import attrs
import pytest
from driver_cases import DRIVERS, fail, send
from raw_server import STREAM_HEAD, Act, RawServer, answer, chunk, render_events, stream

import tertulia
from tertulia import (
    Billing,
    Capability,
    FinishReason,
    HostedTool,
    Image,
    Message,
    OpaqueState,
    Options,
    ProviderReply,
    ReasoningDelta,
    Request,
    Role,
    SafetyOutcome,
    Target,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Translated,
    Usage,
)
from tertulia_gemini.continuing import MOST_HOPS
from tertulia_gemini.models import DEFAULT_MODEL, MODELS

GEMINI = DRIVERS["gemini"]


def say(*parts: Any, finish: str | None = None, token: str | None = None, **usage: int) -> dict[str, Any]:
    """A chunk, or a whole answer."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    if token:
        candidate["continuationToken"] = token
    return {"candidates": [candidate], "usageMetadata": usage, "responseId": "r-1", "modelVersion": "m-1"}


def count(prompt: int, written: int, **more: int) -> dict[str, int]:
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": written,
        **more,
        "totalTokenCount": prompt + written + sum(more.values()),
    }


def pause(text: str, token: str, **usage: int) -> dict[str, Any]:
    return say({"text": text}, finish="CONTINUATION", token=token, **(usage or count(10, 5)))


LAST = say({"text": "end."}, finish="STOP", **count(20, 7, thoughtsTokenCount=3))


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_that_pauses_goes_on(connect, streamed):
    """
    The same request with the token, as often as it takes, is one answer with the tokens of all calls.
    """
    hops = [pause("One, ", "t1"), pause("two, ", "t2", **count(15, 6)), LAST]
    scripts = [stream(hop) if streamed else [answer(hop)] for hop in hops]
    async with RawServer(*scripts) as server:
        deltas, reply = await send(connect(GEMINI, server.url), GEMINI.ask(stream=streamed))

    usages = (Usage(10, 0, 0, 5, 0), Usage(15, 0, 0, 6, 0), Usage(20, 0, 0, 7, 3))
    first = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    assert [first, {**first, "continuationToken": "t1"}, {**first, "continuationToken": "t2"}] == [
        request.body for request in server.requests
    ]
    assert {GEMINI.paths[streamed]} == {request.target for request in server.requests}
    assert [TextDelta("One, "), TextDelta("two, "), TextDelta("end.")] == deltas
    assert (
        ProviderReply(
            parts=(Text("One, two, end."),),
            finish_reason=FinishReason.STOP,
            raw_finish_reason="STOP",
            usage=Usage(45, 0, 0, 18, 3),
            billing=Billing(
                raw=[hop["usageMetadata"] for hop in hops],
                requests=tuple(
                    (usage, Billing(raw=hop["usageMetadata"]))
                    for usage, hop in zip(usages, hops, strict=True)
                ),
            ),
            model="m-1",
            request_id="r-1",
        )
        == reply
    )


async def test_tokens_that_one_call_does_not_say_are_unknown(connect):
    """
    A sum over calls of which one did not count is no number.
    """
    hops = [without_counts(pause("One, ", "t1")), LAST]
    async with RawServer(*([answer(hop)] for hop in hops)) as server:
        _, reply = await send(connect(GEMINI, server.url), GEMINI.ask(stream=False))

    assert Usage() == reply.usage


def without_counts(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "usageMetadata"}


async def test_calls_of_several_hops_are_told_apart(connect):
    """
    Calls are counted on, made-up names are not used twice, and a call before the end ends it for the call.
    """
    call = {"functionCall": {"name": "a", "args": {}}, "thoughtSignature": "c2ln"}
    hops = [
        say({"text": "Hm", "thought": True}, call, finish="CONTINUATION", token="t1", **count(1, 1)),
        say(call, {"text": "So", "thought": True}, finish="CONTINUATION", token="t2", **count(1, 1)),
        say({"text": "!", "thought": True}, finish="STOP", **count(1, 1)),
    ]
    async with RawServer(*(stream(hop) for hop in hops)) as server:
        deltas, reply = await send(connect(GEMINI, server.url), GEMINI.ask(tools=(Tool("a"),)))

    assert [
        ReasoningDelta("Hm"),
        ToolCallDelta(0, "r-1-0", "a", "{}"),
        ToolCallDelta(1, "r-1-0-1", "a", "{}"),
        ReasoningDelta("So"),
        ReasoningDelta("!"),
    ] == deltas
    assert ["Hm", "r-1-0", "r-1-0-1", "So!"] == [
        part.id if isinstance(part, ToolCall) else part.text for part in reply.parts
    ]
    assert (FinishReason.TOOL_CALLS, "STOP") == (reply.finish_reason, reply.raw_finish_reason)


async def test_words_are_joined_but_never_across_a_signature(connect):
    """
    A pause in the middle of a word leaves no seam; a signed part stays as it is.
    """
    signed = {"text": "lo", "thoughtSignature": "c2ln"}
    hops = [pause("Hel", "t1"), say(signed, {"text": "!"}, finish="STOP", **count(1, 1))]
    async with RawServer(*(stream(hop) for hop in hops)) as server:
        _, reply = await send(connect(GEMINI, server.url), GEMINI.ask())

    assert (
        Text("Hel"),
        Text("lo", OpaqueState("mine", {"thoughtSignature": "c2ln"})),
        Text("!"),
    ) == reply.parts


async def test_a_filter_in_a_later_hop_keeps_all_that_was_said(connect):
    """
    The partial text is that of the whole answer.
    """
    hops = [pause("It ", "t1"), say({"text": "is"}, finish="SAFETY", **count(1, 1))]
    async with RawServer(*(stream(hop) for hop in hops)) as server:
        _, reply = await send(connect(GEMINI, server.url), GEMINI.ask())

    assert (FinishReason.CONTENT_FILTER, SafetyOutcome("answer", "SAFETY", (), "It is")) == (
        reply.finish_reason,
        reply.safety,
    )


@pytest.mark.parametrize(
    ("limit", "calls", "finish"), [(5, 1, "length"), (10, 2, "length"), (11, 3, "stop"), (None, 3, "stop")]
)
async def test_the_limit_is_one_for_all_hops(connect, limit, calls, finish):
    """
    Once the tokens of all hops are spent nobody asks for more; every hop is told the whole limit.
    """
    hops = [pause("One, ", "t1"), pause("two, ", "t2"), LAST]
    async with RawServer(*(stream(hop) for hop in hops)) as server:
        request = GEMINI.ask(options=Options(max_output_tokens=limit))
        _, reply = await send(connect(GEMINI, server.url), request)

    assert (calls, finish, None) == (len(server.requests), reply.finish_reason, reply.continuation)
    assert {limit} == {
        sent.body.get("generationConfig", {}).get("maxOutputTokens") for sent in server.requests
    }


async def test_an_answer_without_an_end_ends_as_a_pause(connect):
    """
    A service that always pauses is not asked for ever, and the reply says how to go on.
    """
    async with RawServer([answer(pause("a", "more"))]) as server:
        _, reply = await send(connect(GEMINI, server.url), GEMINI.ask(stream=False))

    assert (MOST_HOPS, "a" * MOST_HOPS) == (len(server.requests), reply.text)
    assert (FinishReason.PAUSE, "more") == (reply.finish_reason, reply.continuation)


async def test_a_pause_without_a_token_is_the_end(connect):
    """
    Without a token there is no way to go on.
    """
    async with RawServer([answer(say({"text": "a"}, finish="CONTINUATION"))]) as server:
        _, reply = await send(connect(GEMINI, server.url), GEMINI.ask(stream=False))

    assert (1, FinishReason.PAUSE, None) == (len(server.requests), reply.finish_reason, reply.continuation)


async def test_what_was_left_out_is_said_once(connect):
    """
    A note about the request is not repeated for every hop.
    """
    request = attrs.evolve(
        GEMINI.ask(), messages=(Message.of("assistant", "Hi."), Message.of("user", "Hello"))
    )
    async with RawServer(stream(pause("a", "t1")), stream(LAST)) as server:
        deltas, _ = await send(connect(GEMINI, server.url), request)

    assert 1 == len([delta for delta in deltas if isinstance(delta, Translated)])


async def test_a_hop_that_fails_fails_the_answer(connect):
    """
    Half an answer is not called whole because its first half was.
    """
    refusal = answer({"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}, 503)
    async with RawServer(stream(pause("One, ", "t1")), [refusal]) as server:
        deltas, error = await fail(connect(GEMINI, server.url), GEMINI.ask())

    assert ([TextDelta("One, ")], "overloaded", 503) == (deltas, error.kind, error.status)
    assert Usage(10, 0, 0, 5, 0) == error.usage


async def test_a_hop_that_breaks_off_makes_the_tokens_unknown(connect):
    """
    Nobody knows what a call was charged that did not come to its end.
    """
    begun = chunk(render_events([say({"text": "two"})]))
    async with RawServer(stream(pause("One, ", "t1")), [STREAM_HEAD, begun, Act.RESET]) as server:
        _, error = await fail(connect(GEMINI, server.url), GEMINI.ask())

    assert ("connection", None) == (error.kind, error.usage)


async def test_a_refusal_of_the_first_call_was_charged_nothing(connect):
    """
    Where no call came to its end there is nothing to report.
    """
    refusal = answer({"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}, 503)
    async with RawServer([refusal]) as server:
        _, error = await fail(connect(GEMINI, server.url), GEMINI.ask())

    assert (503, None) == (error.status, error.usage)


async def test_an_answer_refused_half_way_is_not_called_free(connect, database):
    """
    The attempt has the tokens of the call that was charged, and a cost that is unknown rather than nothing.
    """
    refusal = answer({"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}, 503)
    async with RawServer(stream(pause("One, ", "t1")), [refusal]) as server:
        providers = {"gemini": {"driver": "gemini", "base_url": server.url, "api_key": "k"}}
        async with tertulia.open(store=database, providers=providers, environ={}) as client:
            conversation = await client.start(provider="gemini")
            with pytest.raises(tertulia.StreamInterruptedError) as caught:
                await conversation.send("Hello")

    (attempt,) = caught.value.attempts
    assert (Usage(10, 0, 0, 5, 0), None) == (attempt.usage, attempt.cost)


async def test_a_deadline_holds_for_all_hops(connect):
    """
    The moment at which the send ends is one, so a service that pauses and then hangs is left in time.
    """
    async with RawServer(stream(pause("One, ", "t1")), [STREAM_HEAD, Act.HANG]) as server:
        deadline = asyncio.get_running_loop().time() + 0.3
        _, error = await fail(connect(GEMINI, server.url), GEMINI.ask(deadline=deadline))

    assert ("timeout", 2) == (error.kind, len(server.requests))


async def test_leaving_in_a_later_hop_leaves_the_service(connect):
    """
    Whoever stops reading closes the connection of the call that is under way, there and then.
    """
    begun = chunk(render_events([say({"text": "two"})]))
    forgotten: list[Any] = []
    hooks = sys.get_asyncgen_hooks()
    async with RawServer(stream(pause("One, ", "t1")), [STREAM_HEAD, begun, Act.HANG]) as server:
        deltas = connect(GEMINI, server.url).send_message(GEMINI.ask())
        sys.set_asyncgen_hooks(finalizer=forgotten.append)
        try:
            read = [await anext(deltas), await anext(deltas)]
            await deltas.aclose()
        finally:
            sys.set_asyncgen_hooks(*hooks)
        async with asyncio.timeout(5):
            await server.left.wait()

    assert ([TextDelta("One, "), TextDelta("two")], []) == (read, forgotten)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_a_long_answer_arrives_in_any_pieces(connect, size):
    """
    However the network cuts the streams, also inside a character, the answer is the same.
    """
    body = [render_events([pause("Olá 🌍, ", "t1")]), render_events([LAST])]
    scripts = [
        [STREAM_HEAD, *(chunk(part[at : at + size]) for at in range(0, len(part), size)), b"0\r\n\r\n"]
        for part in body
    ]
    async with RawServer(*scripts) as server:
        deltas, reply = await send(connect(GEMINI, server.url), GEMINI.ask())

    assert [TextDelta("Olá 🌍, "), TextDelta("end.")] == deltas
    assert "Olá 🌍, end." == reply.text


async def test_a_request_is_counted_as_it_would_be_sent(connect):
    """
    Everything that takes tokens is counted: the instruction, the tools and what was said.
    """
    request = Request(
        Target("mine", "gemini-3.5-flash"),
        (Message.of("system", "Be kind."), Message.of("user", "Hello")),
        Options(max_output_tokens=5),
        tools=(Tool("a", "b"), HostedTool("googleSearch")),
    )
    async with RawServer([answer({"totalTokens": 31, "promptTokensDetails": []})]) as server:
        counted = await connect(GEMINI, server.url).count_input_tokens(request)

    (sent,) = server.requests
    assert (31, "/v1/models/gemini-3.5-flash:countTokens") == (counted, sent.target)
    parameters = {"type": "object", "properties": {}}
    assert {
        "generateContentRequest": {
            "model": "models/gemini-3.5-flash",
            "systemInstruction": {"parts": [{"text": "Be kind."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "a", "description": "b", "parametersJsonSchema": parameters}
                    ]
                },
                {"googleSearch": {}},
            ],
            "toolConfig": {"includeServerSideToolInvocations": True},
            "generationConfig": {"maxOutputTokens": 5},
        }
    } == sent.body


@pytest.mark.parametrize("body", [{}, {"totalTokens": "31"}, {"totalTokens": -1}])
async def test_a_count_that_is_none_is_unknown(connect, body):
    """
    Nobody guesses a number for Google.
    """
    async with RawServer([answer(body)]) as server:
        assert await connect(GEMINI, server.url).count_input_tokens(GEMINI.ask()) is None


async def test_a_count_that_fails_says_so(connect):
    """
    It is the error that a call would have been, and names the model.
    """
    body = {"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}}
    async with RawServer([answer(body, 404)]) as server:
        provider = connect(GEMINI, server.url)
        with pytest.raises(Exception, match="is not found") as caught:
            await provider.count_input_tokens(GEMINI.ask(model="x"))

    assert ("model_not_found", "mine", "x") == (
        caught.value.kind,
        caught.value.provider,
        caught.value.model,
    )


async def test_verifying_asks_for_one_model(connect):
    """
    One entry of the list, which is free, shows that the service is there and takes the key.
    """
    async with RawServer([answer({"models": []})]) as server:
        assert await connect(GEMINI, server.url).verify() is None

    assert ["/v1/models?pageSize=1"] == [request.target for request in server.requests]


async def test_verifying_with_a_wrong_key_fails(connect):
    """
    Google says 400 for a wrong key.
    """
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    body = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Bad key.", "details": details}}
    async with RawServer([answer(body, 400)]) as server:
        with pytest.raises(Exception, match="Bad key") as caught:
            await connect(GEMINI, server.url).verify()

    assert "authentication" == caught.value.kind


@pytest.mark.parametrize(
    ("model", "effort", "reason"),
    [
        ("gemini-4-argon", "low", None),
        ("gemini-4-argon", "minimal", "gemini-4-argon takes low, medium, high"),
        ("gemini-3.8-flash", "minimal", "gemini-3.8-flash takes low, medium, high"),
        ("gemini-3.1-pro-preview", "none", "gemini-3.1-pro-preview takes low, medium, high"),
        ("gemini-3.5-flash", "minimal", None),
        ("gemini-3.6-flash", "xhigh", "gemini-3.6-flash takes minimal, low, medium, high"),
        ("gemini-2.5-pro", "none", "gemini-2.5-pro takes minimal, low, medium, high"),
        ("gemini-2.5-flash", "none", None),
        ("gemini-2.5-flash-lite-preview", "none", None),
        ("gemini-4-hydrogen", "xhigh", None),
        ("gemini-4-hydrogen", "max", "gemini-4-hydrogen takes minimal, low, medium, high, xhigh"),
        ("brand-new", "none", "brand-new takes minimal, low, medium, high, xhigh"),
        ("gemini-2.5-flash-image", "low", "gemini-2.5-flash-image takes none"),
        ("models/gemma-4-27b-it", "low", "models/gemma-4-27b-it takes none"),
        ("gemini-2.0-flash", "low", "gemini-2.0-flash takes none"),
    ],
)
def test_an_effort_is_known_to_be_refused_by_model(model, effort, reason):
    """
    What each model takes is in its facts; of others only what no model takes is known.
    """
    request = GEMINI.ask(model=model, options=Options(reasoning_effort=effort))

    assert reason == GEMINI.make(None).find_refusal(request, "reasoning_effort", effort)


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("stop", ("1", "2", "3", "4", "5"), None),
        ("stop", ("1", "2", "3", "4", "5", "6"), "Gemini takes at most 5 of them, not 6"),
        ("tools", (tertulia.Tool("t"),) * 512, None),
        ("tools", (tertulia.Tool("t"),) * 513, "Gemini takes at most 512 of them, not 513"),
    ],
)
def test_there_may_be_so_many_of_what_can_be_several(option, value, reason):
    """
    Five texts that end an answer, and 512 functions.
    """
    assert reason == GEMINI.make(None).find_refusal(GEMINI.ask(), option, value)


def test_what_other_options_need_is_asked_of_the_models_facts():
    """
    A model that has no facts is believed to take everything else.
    """
    provider = GEMINI.make(None)

    assert (None, None) == (
        provider.find_refusal(GEMINI.ask(), "tools", ()),
        provider.find_refusal(GEMINI.ask(model="brand-new"), "reasoning_summary", "auto"),
    )


@pytest.mark.parametrize("info", MODELS, ids=lambda info: info.id)
def test_the_table_of_models_is_whole(info):
    """
    Whoever is there has a window and can do everything; whoever is gone names a model that is there.
    """
    alive = {model.id: model for model in MODELS if model.gone_at is None}
    if info.gone_at is None:
        assert (1_048_576, frozenset(Capability), None) == (
            info.context_window,
            info.capabilities,
            info.successor,
        )
    else:
        assert info.successor in alive
        assert info.capabilities is None


@pytest.mark.parametrize(
    ("model", "successor"),
    [
        ("gemini-1.5-pro-002", "gemini-3.1-pro-preview"),
        ("gemini-1.5-flash-8b", "gemini-3.5-flash-lite"),
        ("gemini-2.0-flash-001", "gemini-3.5-flash"),
        ("gemini-3-pro-preview", "gemini-3.1-pro-preview"),
        ("gemini-pro-latest", None),
        (DEFAULT_MODEL, None),
    ],
)
def test_a_model_that_is_gone_says_what_to_ask_for(model, successor):
    """
    Its snapshots are gone with it; the ``-latest`` names are alive.
    """
    assert successor == GEMINI.make(None).describe(model).successor


async def test_a_list_says_what_thinks_and_what_is_there(connect):
    """
    The service's own word goes before the table's: on thinking, on limits, and on who is gone.
    """
    methods = {"supportedGenerationMethods": ["generateContent"]}
    models = [
        {"name": "models/gemini-3.5-flash", "thinking": False, "outputTokenLimit": 10, **methods},
        {"name": "models/gemini-2.5-pro", "thinking": True, **methods},
        {"name": "models/gemini-2.5-flash", "thinking": "yes", **methods},
        {"name": "models/gemini-2.0-flash", "thinking": True, **methods},
    ]
    async with RawServer([answer({"models": models})]) as server:
        flash, pro, other, back = await connect(GEMINI, server.url).list_models()

    reasoning = Capability.REASONING
    assert (False, True, True) == tuple(reasoning in info.capabilities for info in (flash, pro, other))
    assert (10, 65_536) == (flash.max_output_tokens, pro.max_output_tokens)
    assert (None, None) == (back.gone_at, back.capabilities)


async def test_a_picture_in_an_answer_is_stored_and_goes_back(connect, database):
    """
    It is in the history with its bytes after the conversation was closed, and in the next request as it came.
    """
    drawn = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}, "thoughtSignature": "c2ln"}
    first, second = (
        say(drawn, finish="STOP", **count(1, 1)),
        say({"text": "Yes."}, finish="STOP", **count(2, 1)),
    )
    async with RawServer(stream(first), stream(second)) as server:
        providers = {"gemini": {"driver": "gemini", "base_url": server.url, "api_key": "k"}}
        async with tertulia.open(store=database, providers=providers, environ={}) as client:
            conversation = await client.start(provider="gemini")
            await conversation.send("Draw a dot.")
        async with tertulia.open(store=database, providers=providers, environ={}) as client:
            conversation = await client.get(conversation.id)
            reply = await conversation.send("Is it a dot?")
            history = await conversation.history()

    state = OpaqueState("gemini", {"thoughtSignature": "c2ln"})
    assert ("Yes.", (Image(b"\x89PNG\r\n\x1a\n", "image/png", opaque=state),)) == (
        reply.text,
        history[1].parts,
    )
    assert [Role.USER, Role.ASSISTANT, Role.USER, Role.ASSISTANT] == [message.role for message in history]
    assert {"role": "model", "parts": [drawn]} == server.requests[1].body["contents"][1]


ERRORS = {
    "wrong key": (
        400,
        "INVALID_ARGUMENT",
        "API key not valid.",
        {"reason": "API_KEY_INVALID"},
        "authentication",
    ),
    "old key": (400, "INVALID_ARGUMENT", "API key expired.", {"reason": "API_KEY_EXPIRED"}, "authentication"),
    "no key": (401, "UNAUTHENTICATED", "Who are you?", None, "authentication"),
    "too long": (
        400,
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        None,
        "context_length",
    ),
    "not served": (400, "FAILED_PRECONDITION", "User location is not supported.", None, "permission"),
    "not paid": (402, "RESOURCE_EXHAUSTED", "Prepaid credit is used up.", None, "quota_exhausted"),
    "not allowed": (403, "PERMISSION_DENIED", "You may not.", None, "permission"),
    "no such model": (404, "NOT_FOUND", "models/x is not found for API version v1", None, "model_not_found"),
    "per minute": (
        429,
        "RESOURCE_EXHAUSTED",
        "Slow down.",
        {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]},
        "rate_limited",
    ),
    "per day": (
        429,
        "RESOURCE_EXHAUSTED",
        "Enough.",
        {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
        "quota_exhausted",
    ),
    "no details": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted.", None, "rate_limited"),
    "unknown member": (400, "INVALID_ARGUMENT", 'Unknown name "foo".', None, "invalid_request"),
    "unsupported": (
        400,
        "INVALID_ARGUMENT",
        "Thinking level MINIMAL is not supported for this model.",
        None,
        "unsupported_parameter",
    ),
    "no signature": (
        400,
        "INVALID_ARGUMENT",
        "Function call is missing a thought_signature in functionCall parts.",
        None,
        "invalid_request",
    ),
    "cancelled": (499, "CANCELLED", "The operation was cancelled.", None, "server"),
    "broken": (500, "INTERNAL", "An internal error has occurred.", None, "server"),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded.", None, "overloaded"),
    "too late": (504, "DEADLINE_EXCEEDED", "Deadline expired.", None, "timeout"),
}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("case", ERRORS)
async def test_every_error_is_one_of_the_list(connect, case, wrapped):
    """
    Each of Google's errors has its kind, wrapped in a list or not, and keeps Google's words.
    """
    status, code, message, detail, kind = ERRORS[case]
    error = {"code": status, "message": message, "status": code, "details": [detail] if detail else []}
    body: Any = {"error": error}
    async with RawServer([answer([body] if wrapped else body, status)]) as server:
        _, caught = await fail(connect(GEMINI, server.url), GEMINI.ask())

    assert (kind, status, code) == (caught.kind, caught.status, caught.code)
    assert message in caught.message


async def test_a_latest_name_on_the_older_version_says_where_it_is(connect):
    """
    The aliases exist on v1beta only, which is worth more than a guess at another model.
    """
    body = {"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}}
    async with RawServer([answer(body, 404)]) as server:
        _, error = await fail(connect(GEMINI, server.url), GEMINI.ask(model="gemini-flash-latest"))

    assert (
        "'gemini-flash-latest' exists on v1beta only: set api_version = \"v1beta\", or name a model"
        == error.next_step
    )


async def test_a_gone_model_names_its_successor(connect):
    """
    Whoever asks for a model that vanished is told which one took its place.
    """
    body = {"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}}
    async with RawServer([answer(body, 404)]) as server:
        _, error = await fail(connect(GEMINI, server.url), GEMINI.ask(model="gemini-1.5-pro-002"))

    assert "gemini-3.1-pro-preview" in error.next_step
