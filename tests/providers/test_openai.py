"""What is OpenAI's own: what it is asked besides answers, and what is known of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from driver_cases import DRIVERS, fail, read, send
from raw_server import RawServer, answer

from tertulia import (
    HostedTool,
    Message,
    ModelInfo,
    Options,
    Request,
    Role,
    Target,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from tertulia_openai import OpenAIProvider

OPENAI, CHAT = DRIVERS["openai"], DRIVERS["openai-chat"]
ALWAYS = "low, medium, high, xhigh, max"
AT_OPENAI = None
"""No address of one's own."""


async def test_the_tokens_of_a_request_are_counted(connect):
    """
    The service is asked for the whole prompt, tools included, and not for what is no part of it.
    """
    tool = Tool("add", "Adds.", {"type": "object", "properties": {}})
    request = OPENAI.ask(
        tools=(tool,),
        options=Options(temperature=0.5, max_output_tokens=9, reasoning_effort="low", tool_choice="none"),
    )
    async with RawServer([answer({"object": "response.input_tokens", "input_tokens": 11})]) as server:
        counted = await connect(OPENAI, server.url).count_input_tokens(request)

    assert (11, "/responses/input_tokens") == (counted, server.requests[0].target)
    assert {
        "model": "gpt-6.1-terra",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "tools": [
            {
                "type": "function",
                "name": "add",
                "description": "Adds.",
                "parameters": {
                    "type": "object",
                    "properties": {},
                    "additionalProperties": False,
                    "required": [],
                },
                "strict": True,
            }
        ],
        "reasoning": {"effort": "low"},
        "tool_choice": "none",
    } == server.requests[0].body


@pytest.mark.parametrize("body", [{}, {"input_tokens": None}, {"input_tokens": "11"}, []])
async def test_a_count_that_is_none_is_unknown(connect, body):
    """
    An answer without a number is no number.
    """
    async with RawServer([answer(body)]) as server:
        assert await connect(OPENAI, server.url).count_input_tokens(OPENAI.ask()) is None


async def test_where_nobody_counts_nobody_is_asked(connect):
    """
    Chat Completions have no such call.
    """
    async with RawServer([answer({})]) as server:
        assert await connect(CHAT, server.url).count_input_tokens(CHAT.ask()) is None

    assert [] == server.requests


async def test_a_refused_count_is_a_typed_error(connect):
    """
    A count may fail like an answer, and the error names the model.
    """
    error = {"message": "No such model.", "code": "model_not_found"}
    async with RawServer([answer({"error": error}, 400)]) as server:
        provider = connect(OPENAI, server.url)
        with pytest.raises(Exception, match="No such model") as caught:
            await provider.count_input_tokens(OPENAI.ask())

    assert ("model_not_found", "gpt-6.1-terra") == (caught.value.kind, caught.value.model)


@pytest.mark.parametrize(
    ("item", "created", "shutdown"),
    [
        ({"created": 1_700_000_000}, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), date(2027, 4, 1)),
        ({"shutdown_date": "2027-03-01"}, None, date(2027, 3, 1)),
        ({"shutdown_date": "2027-03-01T00:00:00Z"}, None, date(2027, 3, 1)),
        ({"shutdown_date": 1_804_000_000}, None, date(2027, 3, 2)),
        ({"shutdown_date": None, "created": None}, None, date(2027, 4, 1)),
        ({"shutdown_date": "soon", "created": "then"}, None, date(2027, 4, 1)),
        ({"shutdown_date": 2**62, "created": 2**62}, None, date(2027, 4, 1)),
    ],
)
async def test_the_list_has_dates(connect, item, created, shutdown):
    """
    What the list says counts, whatever its form, and the bundled facts where it says nothing of use.
    """
    body = {"object": "list", "data": [{"id": "gpt-5.1", "object": "model", **item}]}
    async with RawServer([answer(body)]) as server:
        (info,) = await connect(OPENAI, server.url).list_models()

    assert ("gpt-5.1", created, shutdown) == (info.id, info.created, info.shutdown_on)
    assert (400_000, "gpt-6.1-terra") == (info.context_window, info.successor)


async def test_verifying_lists_the_models(connect):
    """
    It costs nothing, and a wrong key is a typed error.
    """
    error = {"message": "Incorrect API key provided.", "code": "invalid_api_key"}
    async with RawServer([answer({"data": []})], [answer({"error": error}, 401)]) as server:
        provider = connect(OPENAI, server.url)
        await provider.verify()
        with pytest.raises(Exception, match="Incorrect API key") as caught:
            await provider.verify()

    assert (["/models"] * 2, "authentication") == (
        [request.target for request in server.requests],
        caught.value.kind,
    )


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (AT_OPENAI, None),
        ("https://eu.api.openai.com/v1", "eu"),
        ("https://US.api.openai.com/v1", "us"),
        ("https://api.openai.com.example/v1", None),
        ("http://localhost:11434/v1", None),
    ],
)
def test_an_answer_says_in_which_region_it_was_made(url, region):
    """
    It is the first name of the host, below OpenAI's own.
    """
    provider = OPENAI.make(url)

    assert (region, region) == (provider.region, read(provider, OPENAI.whole).billing.region)


@pytest.mark.parametrize(
    ("driver", "url", "model", "option", "value", "reason"),
    [
        (OPENAI, None, "gpt-6.1-sol", "reasoning_effort", "none", f"gpt-6.1-sol takes {ALWAYS}"),
        (OPENAI, None, "gpt-6-sol", "reasoning_effort", "minimal", f"gpt-6-sol takes none, {ALWAYS}"),
        (OPENAI, None, "gpt-5-mini-2025-08-07", "reasoning_effort", "minimal", None),
        (OPENAI, None, "gpt-5.1", "reasoning_effort", "none", None),
        (OPENAI, None, "gpt-4.1", "reasoning_effort", "low", "gpt-4.1 takes none"),
        (OPENAI, None, "gpt-6.1-sol", "reasoning_effort", "max", None),
        (CHAT, None, "gpt-6.1-sol", "reasoning_effort", "max", "Chat Completions have no 'max'"),
        (CHAT, "http://localhost/v1", "gpt-6.1-sol", "reasoning_effort", "max", None),
        (OPENAI, None, "gpt-6.1-sol", "temperature", 0.5, "gpt-6.1-sol has no sampling"),
        (OPENAI, None, "o3", "top_p", 0.5, "o3 has no sampling"),
        (OPENAI, None, "gpt-5.1", "temperature", 0.5, None),
        (OPENAI, None, "gpt-4.1", "temperature", 0.5, None),
        (CHAT, None, "o3", "stop", ("x",), "o3 refuses it"),
        (CHAT, None, "gpt-4.1", "stop", ("x",), None),
        (OPENAI, None, "brand-new", "temperature", 0.5, None),
    ],
)  # fmt: skip
def test_what_a_model_is_known_to_refuse(driver, url, model, option, value, reason):
    """
    What always thinks has no temperature; what can do without thinking may have one; efforts are by model.
    """
    request = driver.ask(model=model, options=Options(**{option: value}))

    assert reason == driver.make(url).find_refusal(request, option, value)


_WHILE = "takes it only while it does not think"


@pytest.mark.parametrize(
    ("model", "effort", "is_refused"),
    [
        ("gpt-6.1-terra", None, True),
        ("gpt-5.6-luna-2026-08-21", None, True),
        ("gpt-6.1-terra", "none", False),
        ("gpt-6.1-terra", "low", True),
        ("gpt-5.4", None, False),
        ("gpt-5.4", "none", False),
        ("gpt-5.4", "high", True),
        ("brand-new", None, False),
    ],
)
@pytest.mark.parametrize("option", ["temperature", "top_p", "presence_penalty", "frequency_penalty", "stop"])
def test_a_model_that_thinks_at_the_moment_takes_no_sampling(option, model, effort, is_refused):
    """
    It depends on how hard it is to think, and on whether it thinks when nobody says so.
    """
    value = ("x",) if option == "stop" else 0.5
    request = CHAT.ask(model=model, options=Options(reasoning_effort=effort, **{option: value}))

    found = CHAT.make(None).find_refusal(request, option, value)

    assert (f"{model} {_WHILE}" if is_refused else None) == found


@pytest.mark.parametrize("member", ["reasoning", "reasoning_effort"])
def test_thinking_that_is_asked_for_in_openais_own_words_is_openais_to_judge(member):
    """
    What is in ``extra`` is not read.
    """
    extra = {"mine": {member: "none"}}
    request = CHAT.ask(options=Options(temperature=0.5, extra=extra))

    assert CHAT.make(None).find_refusal(request, "temperature", 0.5) is None


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("stop", ("1", "2", "3", "4"), None),
        ("stop", ("1", "2", "3", "4", "5"), "OpenAI takes at most 4 of them, not 5"),
        ("end_user", "x" * 128, None),
        ("end_user", "x" * 129, "OpenAI takes at most 128 characters, not 129"),
        ("metadata", {str(n): "v" for n in range(16)}, None),
        ("metadata", {str(n): "v" for n in range(17)}, "OpenAI takes at most 16 pairs, not 17"),
        ("metadata", {"k" * 64: "v" * 512}, None),
        (
            "metadata",
            {"k" * 65: "v"},
            "OpenAI takes keys of 64 characters and values of 512, and no longer ones",
        ),
        (
            "metadata",
            {"k": "v" * 513},
            "OpenAI takes keys of 64 characters and values of 512, and no longer ones",
        ),
    ],
)
def test_what_is_too_much_or_too_long_is_not_sent(option, value, reason):
    """
    The limits are OpenAI's; a server that is compatible with it may have others.
    """
    request = CHAT.ask(model="gpt-4.1", options=Options(**{option: value}))

    found = [CHAT.make(url).find_refusal(request, option, value) for url in (None, "http://localhost/v1")]

    assert [reason, None] == found


@pytest.mark.parametrize("info", OpenAIProvider.MODELS, ids=lambda info: info.id)
def test_a_model_that_goes_has_a_successor_that_stays(info: ModelInfo):
    """
    Advice leads to a model that is in the table and is not going itself.
    """
    provider = OPENAI.make(None)
    successor = None if info.successor is None else provider.find_model(info.successor)

    assert (info.shutdown_on is None) == (info.successor is None)
    assert successor is None or successor.shutdown_on is None


async def test_a_vanished_model_is_answered_with_advice(connect):
    """
    A model that is gone names the one to use instead.
    """
    error = {"message": "The model 'o1' does not exist.", "code": "model_not_found"}
    async with RawServer([answer({"error": error}, 404)]) as server:
        _, failure = await fail(connect(OPENAI, server.url), OPENAI.ask(model="o1"))

    assert ("model_not_found", "use 'gpt-6.1-terra', which takes its place") == (
        failure.kind,
        failure.next_step,
    )


@pytest.mark.parametrize(
    ("driver", "images", "documents", "audio"),
    [
        (OPENAI, (True, True, True), (True, True, True), (True, False, False)),
        (CHAT, (True, True, False), (True, False, True), (True, False, False)),
    ],
)
def test_attachments_may_be_where_the_format_finds_them(driver, images, documents, audio):
    """
    In the request, at an address, or uploaded before.
    """
    provider = driver.make(None)
    limits: list[Any] = [provider.IMAGES, provider.DOCUMENTS, provider.AUDIO]

    assert [images, documents, audio] == [(each.data, each.urls, each.files) for each in limits]
    assert provider.VIDEO is None
    assert "application/pdf" in provider.DOCUMENTS.media_types
    assert ("text/plain" in provider.DOCUMENTS.media_types) == (driver is OPENAI)


async def test_a_tool_exchange_over_the_wire(connect):
    """
    Thought, call and result go back as they came, and the hosted tool beside them is named.
    """
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAA"}
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add", "arguments": '{"a":1}'}
    called = {**OPENAI.whole, "output": [thought, call]}
    asked = Message.of("user", "What is 1 + 1?")
    tools = (Tool("add", "Adds."), HostedTool("web_search"))
    target = Target("mine", OPENAI.model)
    async with RawServer([answer(called)], [answer(OPENAI.whole)]) as server:
        provider = connect(OPENAI, server.url)
        _, first = await send(provider, Request(target, (asked,), stream=False, tools=tools))
        result = Message(Role.TOOL, (ToolResult("call_1", "add", "2"),))
        history = (asked, Message(Role.ASSISTANT, first.parts), result)
        _, second = await send(provider, Request(target, history, stream=False, tools=tools))

    assert (ToolCall("call_1", "add", {"a": 1}), (Text("Olá 🌍"),)) == (first.parts[1], second.parts)
    assert [
        {"role": "user", "content": [{"type": "input_text", "text": "What is 1 + 1?"}]},
        thought,
        {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "2"},
    ] == server.requests[1].body["input"]
    assert ["function", "web_search"] == [tool["type"] for tool in server.requests[1].body["tools"]]
