"""What xAI is sent: every option as its member, and nothing that it is certain to refuse."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import attrs
import pytest
from driver_cases import DRIVERS, KEY, read, send
from raw_server import RawServer, answer

import tertulia
from tertulia import (
    Document,
    Foreign,
    HostedTool,
    Image,
    MediaLimits,
    Message,
    OpaqueState,
    Options,
    ProviderFile,
    Reasoning,
    Request,
    ResponseSchema,
    Role,
    Target,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    UnsupportedParameterError,
)
from tertulia_xai.models import GONE, MODELS, REDIRECTED

CONVERSATION = UUID("01890000-0000-7000-8000-000000000001")
WEATHER = Tool(
    "weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}}
)
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
BODIES: dict[str, dict[str, Any]] = {
    "xai": {
        "model": "grok-4.3",
        "store": False,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "include": ["reasoning.encrypted_content"],
    },
    "xai-chat": {"model": "grok-4.3", "messages": [{"role": "user", "content": "Hello"}]},
}


async def render(connect, name: str, *messages: Message, **request: Any) -> dict[str, Any]:
    """What xAI receives."""
    driver = DRIVERS[name]
    async with RawServer([answer(driver.whole)]) as server:
        asked = driver.ask(stream=False, **request)
        await send(connect(driver, server.url), attrs.evolve(asked, messages=messages or asked.messages))
    return server.requests[0].body


OPTIONS = [
    ("xai", {"temperature": 0.7, "top_p": 0.95}, {"temperature": 0.7, "top_p": 0.95}),
    ("xai", {"max_output_tokens": 9}, {"max_output_tokens": 9}),
    ("xai", {"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}}),
    ("xai", {"service_tier": "priority"}, {"service_tier": "priority"}),
    ("xai", {"end_user": "u-1"}, {"safety_identifier": "u-1"}),
    ("xai", {"extra": {"mine": {"truncation": "disabled"}}}, {"truncation": "disabled"}),
    ("xai", {"extra": {"other": {"truncation": "disabled"}}}, {}),
    ("xai-chat", {"temperature": 0.7, "top_p": 0.95}, {"temperature": 0.7, "top_p": 0.95}),
    ("xai-chat", {"max_output_tokens": 9}, {"max_completion_tokens": 9}),
    ("xai-chat", {"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
    ("xai-chat", {"service_tier": "default"}, {"service_tier": "default"}),
    ("xai-chat", {"seed": 1}, {"seed": 1}),
    ("xai-chat", {"end_user": "u-1"}, {"user": "u-1"}),
]


@pytest.mark.parametrize(("name", "options", "members"), OPTIONS)
async def test_an_option_is_the_member_that_xai_has_for_it(connect, name, options, members):
    """
    The body holds the option, and else what every body holds.
    """
    assert {**BODIES[name], **members} == await render(connect, name, options=Options(**options))


async def test_a_model_that_does_not_reason_takes_what_others_refuse(connect):
    """
    Penalties and stops are for the model that has no thoughts to lose.
    """
    options = Options(stop=("END",), presence_penalty=0.5, frequency_penalty=0.25)

    body = await render(connect, "xai-chat", model="grok-4.20-non-reasoning", options=options)

    assert {
        **BODIES["xai-chat"],
        "model": "grok-4.20-non-reasoning",
        "stop": ["END"],
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
    } == body


@pytest.mark.parametrize(
    ("name", "tool", "choice"),
    [
        (
            "xai",
            {
                "type": "function",
                "name": "weather",
                "description": "Tells the weather.",
                "parameters": WEATHER.parameters,
            },
            {"type": "function", "name": "weather"},
        ),
        (
            "xai-chat",
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "description": "Tells the weather.",
                    "parameters": WEATHER.parameters,
                },
            },
            {"type": "function", "function": {"name": "weather"}},
        ),
    ],
)
async def test_a_function_is_sent_with_its_parameters_as_they_are(connect, name, tool, choice):
    """
    The model may be told which to call, and that it may call one only.
    """
    options = Options(tool_choice="weather", parallel_tool_calls=False)

    body = await render(connect, name, tools=(WEATHER,), options=options)

    assert {**BODIES[name], "tools": [tool], "tool_choice": choice, "parallel_tool_calls": False} == body


@pytest.mark.parametrize("name", ["web_search", "x_search", "code_interpreter", "file_search", "mcp"])
async def test_a_hosted_tool_is_its_name_and_its_settings(connect, name):
    """
    What xAI runs itself is asked for in xAI's own words.
    """
    body = await render(
        connect, "xai", tools=(HostedTool(name, {"server_url": "https://mcp.example"}), WEATHER)
    )

    assert {"type": name, "server_url": "https://mcp.example"} == body["tools"][0]
    assert ["function"] == [tool["type"] for tool in body["tools"][1:]]


async def test_the_shape_of_an_answer_is_asked_for(connect):
    """
    Both formats hold the model to it.
    """
    schema = ResponseSchema("person", PERSON, "Somebody.")
    shape = {"name": "person", "description": "Somebody.", "schema": PERSON, "strict": True}

    responses = await render(connect, "xai", response_schema=schema)
    chat = await render(connect, "xai-chat", response_schema=schema)

    assert {"format": {"type": "json_schema", **shape}} == responses["text"]
    assert {"type": "json_schema", "json_schema": shape} == chat["response_format"]


async def test_a_conversation_leads_to_its_warm_cache(connect):
    """
    Responses has a member for it, Chat a header; outside a conversation there is neither.
    """
    for name, in_body in (("xai", True), ("xai-chat", False)):
        driver = DRIVERS[name]
        async with RawServer([answer(driver.whole)]) as server:
            provider = connect(driver, server.url)
            await send(provider, driver.ask(stream=False, conversation_id=CONVERSATION))
            await send(provider, driver.ask(stream=False))

        inside, outside = server.requests
        expected = {**BODIES[name], "prompt_cache_key": str(CONVERSATION)} if in_body else BODIES[name]
        assert (expected, BODIES[name]) == (inside.body, outside.body)
        assert (None if in_body else str(CONVERSATION)) == inside.headers.get("x-grok-conv-id")
        assert "x-grok-conv-id" not in outside.headers


SAID = Message.of("user", "Hello")


async def test_images_and_documents_are_parts_of_the_input(connect):
    """
    An image is its bytes or its address, a document its address or a file that xAI has.
    """
    parts = (
        Text("Look."),
        Image(data=b"\xff\xd8\xff", media_type="image/jpeg", detail="high"),
        Image(url="https://pictures.example/one.png"),
        Document(url="https://papers.example/one.pdf"),
        Document(file=ProviderFile("mine", "file-1")),
    )

    body = await render(connect, "xai", attrs.evolve(SAID, parts=parts))

    assert [
        {"type": "input_text", "text": "Look."},
        {"type": "input_image", "image_url": "data:image/jpeg;base64,/9j/", "detail": "high"},
        {"type": "input_image", "image_url": "https://pictures.example/one.png"},
        {"type": "input_file", "file_url": "https://papers.example/one.pdf"},
        {"type": "input_file", "file_id": "file-1"},
    ] == body["input"][0]["content"]


def test_the_limits_of_documents_are_those_of_the_format():
    """
    Documents are never in a request, and Chat has none at all; images are JPEG and PNG up to 20 MiB.
    """
    responses, chat = (DRIVERS[name].make(None) for name in ("xai", "xai-chat"))

    assert (False, True, True) == (
        responses.DOCUMENTS.data,
        responses.DOCUMENTS.urls,
        responses.DOCUMENTS.files,
    )
    assert (None, None, None) == (chat.DOCUMENTS, chat.AUDIO, responses.VIDEO)
    images = MediaLimits(frozenset({"image/jpeg", "image/png"}), max_bytes=20 * 2**20, urls=True)
    assert [images, images] == [responses.IMAGES, chat.IMAGES]


SEARCHED = {
    "id": "resp_1",
    "status": "completed",
    "model": "grok-4.3",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed-1"},
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "Ruby"},
        },
        {"type": "reasoning", "id": "tco_1", "summary": [], "encrypted_content": "sealed-2"},
        {"type": "message", "content": [{"type": "output_text", "text": "Ruby 4."}]},
    ],
    "usage": {
        "input_tokens": 5689,
        "input_tokens_details": {"cached_tokens": 2048},
        "output_tokens": 444,
        "output_tokens_details": {"reasoning_tokens": 245},
        "total_tokens": 6133,
        "num_server_side_tools_used": 2,
        "cost_in_usd_ticks": 160_708_500,
        "server_side_tool_usage_details": {"web_search_calls": 2, "x_search_calls": 0, "mcp_calls": 3},
    },
}
"""The usage of a recorded search; its items, shortened."""


async def test_what_xai_ran_itself_goes_back_to_it_unchanged(connect):
    """
    The items of a search keep their order, with the sealed thoughts between them; a message is plain text.
    """
    reply = read(DRIVERS["xai"].make(None), SEARCHED)
    heard = attrs.evolve(Message.of("assistant", "x"), parts=reply.parts, provider="mine")

    body = await render(connect, "xai", SAID, heard, Message.of("user", "Thanks."))

    assert [Reasoning, Foreign, Reasoning, Text] == [type(part) for part in reply.parts]
    assert [*SEARCHED["output"][:3], {"role": "assistant", "content": "Ruby 4."}] == body["input"][1:-1]


async def test_what_another_provider_ran_is_left_out(connect):
    """
    Its items are not xAI's to read.
    """
    parts = (
        Reasoning("Hm.", OpaqueState("openai", {"type": "reasoning", "encrypted_content": "x"})),
        Foreign("web_search_call", OpaqueState("openai", {"type": "web_search_call"})),
        Text("Ruby 4."),
    )

    body = await render(connect, "xai", SAID, attrs.evolve(Message.of("assistant", "x"), parts=parts))

    assert [{"role": "assistant", "content": "Ruby 4."}] == body["input"][1:]


async def test_a_tool_exchange_is_calls_and_results(connect):
    """
    Each call has its result, by the name of the call, in both formats.
    """
    call = attrs.evolve(Message.of("assistant", "x"), parts=(ToolCall("c-1", "weather", {"city": "Lisboa"}),))
    result = attrs.evolve(SAID, role=Role.TOOL, parts=(ToolResult("c-1", "weather", "sunny"),))

    responses = await render(connect, "xai", SAID, call, result)
    chat = await render(connect, "xai-chat", SAID, call, result)

    arguments = '{"city":"Lisboa"}'
    assert [
        {"type": "function_call", "call_id": "c-1", "name": "weather", "arguments": arguments},
        {"type": "function_call_output", "call_id": "c-1", "output": "sunny"},
    ] == responses["input"][1:]
    function = {"name": "weather", "arguments": arguments}
    assert [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c-1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c-1", "content": "sunny"},
    ] == chat["messages"][1:]


async def test_a_system_message_is_an_item_of_the_input(connect):
    """
    Nobody relies on xAI to read ``instructions``.
    """
    body = await render(connect, "xai", Message.of("system", "Be brief."), SAID)

    assert {"role": "system", "content": "Be brief."} == body["input"][0]
    assert "instructions" not in body


EFFORTS = {
    "grok-4.7": "low medium high xhigh",
    "grok-4.6": "low medium high xhigh",
    "grok-latest": "none low medium high xhigh",
    "grok-4.5": "low medium high",
    "grok-build-latest": "low medium high",
    "grok-4.3": "none low medium high",
    "grok-3": "none low medium high",
    "grok-4.7-2026-09-21": "low medium high xhigh",
    "grok-4.20-reasoning": "",
    "grok-4.20-0309-reasoning": "",
    "grok-4.20-non-reasoning": "",
}
WORDS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def _refuse(provider, model, **option):
    """Why a model refuses one option."""
    [(name, value)] = option.items()
    return provider.find_refusal(Request(Target("mine", model), (), Options(**option)), name, value)


@pytest.mark.parametrize(("model", "taken"), EFFORTS.items())
def test_each_model_takes_its_own_efforts(model, taken):
    """
    A word that is not among them is refused before it is sent, and so is the parameter where there is none.
    """
    provider = DRIVERS["xai"].make(None)

    accepted = [word for word in WORDS if not _refuse(provider, model, reasoning_effort=word)]

    assert taken.split() == accepted


@pytest.mark.parametrize("model", ["grok-4.20-multi-agent", "grok-build-0.1", "brand-new"])
def test_where_efforts_are_unknown_every_word_may_be_right(model):
    """
    The service knows best.
    """
    provider = DRIVERS["xai"].make(None)

    assert {None} == {_refuse(provider, model, reasoning_effort=word) for word in WORDS}


@pytest.mark.parametrize("option", ["stop", "presence_penalty", "frequency_penalty"])
def test_models_that_reason_refuse_stops_and_penalties(option):
    """
    Of a model that is new to us nothing is known, so nothing is refused.
    """
    provider = DRIVERS["xai-chat"].make(None)
    value = ("x",) if option == "stop" else 1.0
    refusing = {info.id for info in MODELS if _refuse(provider, info.id, **{option: value})}

    assert {info.id for info in MODELS} - {"grok-4.20-non-reasoning", *GONE} == refusing
    assert _refuse(provider, "brand-new", **{option: value}) is None


@pytest.mark.parametrize("option", ["reasoning_summary", "verbosity", "metadata"])
@pytest.mark.parametrize("name", ["xai", "xai-chat"])
def test_what_xai_does_not_have_is_no_option(name, option):
    """
    It refuses to be asked for summaries, and has no metadata.
    """
    assert option not in DRIVERS[name].make(None).OPTIONS


@pytest.mark.parametrize(
    ("settings", "request_of", "parameter"),
    [
        ({}, {"options": Options(reasoning_effort="none"), "model": "grok-4.5"}, "reasoning_effort"),
        (
            {},
            {"options": Options(reasoning_effort="low"), "model": "grok-4.20-reasoning"},
            "reasoning_effort",
        ),
        ({}, {"options": Options(reasoning_summary="auto")}, "reasoning_summary"),
        ({}, {"options": Options(metadata={"a": "b"})}, "metadata"),
        ({}, {"options": Options(stop=("END",))}, "stop"),
        ({"api": "chat"}, {"options": Options(stop=("END",))}, "stop"),
        ({"api": "chat"}, {"options": Options(presence_penalty=1.0)}, "presence_penalty"),
        ({}, {"tools": [Tool(f"tool-{number}") for number in range(129)]}, "tools"),
        ({}, {"tools": [HostedTool("mcp", {"n": number}) for number in range(129)]}, "hosted_tools"),
        ({"api": "chat"}, {"tools": [HostedTool("web_search")]}, "hosted_tools"),
    ],
)
async def test_what_is_certain_to_be_refused_is_not_sent(settings, request_of, parameter):
    """
    The error names the option, and no connection was made.
    """
    async with RawServer([answer({})]) as server:
        table = {"driver": "xai", "api_key": KEY, "base_url": server.url, "model": "grok-4.3", **settings}
        async with tertulia.open(store="memory:", providers={"mine": table}) as client:
            with pytest.raises(UnsupportedParameterError) as caught:
                await client.ask("Hello", provider="mine", **request_of)

    assert (parameter, False, 0) == (caught.value.parameter, caught.value.sent, server.connections)


@pytest.mark.parametrize(
    ("functions", "hosted", "reason"),
    [(128, 0, None), (100, 28, None), (129, 0, 129), (0, 129, 129), (100, 29, 129)],
)
def test_128_tools_are_not_too_many(functions, hosted, reason):
    """
    The limit is what xAI says it is, and functions and hosted tools count together.
    """
    provider = DRIVERS["xai"].make(None)
    tools = [Tool(f"tool-{number}") for number in range(functions)]
    searches = [HostedTool("mcp", {"n": number}) for number in range(hosted)]
    request = Request(Target("mine", "grok-4.3"), (), tools=(*tools, *searches))

    found = {
        provider.find_refusal(request, "tools", tools),
        provider.find_refusal(request, "hosted_tools", 1),
    }

    assert {None if reason is None else f"xAI takes at most 128 of them, not {reason}"} == found


async def test_a_model_that_is_new_to_us_can_be_asked(connect):
    """
    Whatever it is asked with is the service's to judge; only thoughts are not asked for.
    """
    options = Options(reasoning_effort="extreme")

    body = await render(connect, "xai", model="grok-9", options=options)

    assert {
        "model": "grok-9",
        "store": False,
        "input": BODIES["xai"]["input"],
        "reasoning": {"effort": "extreme"},
    } == body


@pytest.mark.parametrize("name", [*REDIRECTED, "grok-code-fast-1"])
def test_a_retired_name_is_known_by_its_successor(name):
    """
    It is still answered, with the successor's window; the table says since when, and whom to ask instead.
    """
    successor = "grok-build-0.1" if name == "grok-code-fast-1" else "grok-4.3"
    provider = DRIVERS["xai"].make(None)

    info, other = provider.describe(name), provider.describe(successor)

    assert (name, successor, "2026-05-15") == (info.id, info.successor, str(info.shutdown_on))
    assert (other.context_window, other.capabilities) == (info.context_window, info.capabilities)
    assert (None, None) == (other.successor, other.shutdown_on)


def test_a_date_may_stand_inside_a_name():
    """
    The dated names of 4.20 are that model, under their own name.
    """
    info = DRIVERS["xai"].make(None).describe("grok-4.20-0309-non-reasoning")

    assert ("mine", "grok-4.20-0309-non-reasoning", 1_000_000) == (
        info.provider,
        info.id,
        info.context_window,
    )
    assert DRIVERS["xai"].make(None).reasons("grok-4.20-0309-reasoning")
    assert not DRIVERS["xai"].make(None).reasons("grok-4.20-0309-non-reasoning")


async def test_a_request_is_not_changed_by_being_sent(connect):
    """
    The same request may go to another provider afterwards.
    """
    request = Request(Target("mine", "grok-4.3"), (SAID,), tools=(WEATHER,), options=Options(seed=1))
    async with RawServer([answer(DRIVERS["xai-chat"].whole)]) as server:
        provider = connect(DRIVERS["xai-chat"], server.url)
        await send(provider, request)
        await send(provider, request)

    assert server.requests[0].body == server.requests[1].body
