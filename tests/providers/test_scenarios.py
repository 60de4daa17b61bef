"""Everything at once, through a client, at the simulated services, which check what they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import attrs
import pytest

import tertulia
from tertulia import Client, Options, Tool, ToolResult
from tertulia_xai import deferred

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
THINK = Options(reasoning_effort="low", max_output_tokens=4000)
SPEAKERS: Mapping[str, tuple[str, str, Options]] = {
    # The provider's name, its model, and how to ask.
    "openai": ("openai", "gpt-6.1-sol", THINK),
    "openai-chat": ("openai-chat", "gpt-4.1", Options(max_output_tokens=4000)),
    "xai": ("xai", "grok-4.7", THINK),
    "xai-chat": ("xai-chat", "grok-4.7", THINK),
    "xai-deferred": ("xai-deferred", "grok-4.7", THINK),
    "gemini": ("gemini", "gemini-3.5-flash", THINK),
}


@attrs.frozen
class Trip:
    city: str
    days: int


def get_weather(city: str) -> str:
    """Say the weather."""
    return f"rain in {city}"


def get_time(city: str) -> str:
    """Say the time."""
    return f"noon in {city}"


@pytest.fixture
async def client(simulator, monkeypatch) -> AsyncIterator[Client]:
    """A client of every service in each of its formats, that looks for deferred answers without a pause."""
    monkeypatch.setattr(deferred, "FIRST_PAUSE", 0.001)
    at: dict[str, Any] = simulator.providers()
    at["openai-chat"] = {**at["openai"], "api": "chat"}
    at["xai-chat"] = {**at["xai"], "api": "chat"}
    at["xai-deferred"] = {**at["xai-chat"], "deferred": True}
    async with tertulia.open(store="memory:", providers=at, environ={}) as client:
        yield client


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_thoughts_functions_and_a_shape_go_together(client, simulator, speaker, is_streamed):
    """
    Two steps of a function each, with thinking on, then an answer of a shape in the same conversation.
    """
    provider, model, options = SPEAKERS[speaker]
    asked = simulator.sent_to(provider.partition("-")[0]).count
    trip = await client.start(provider=provider, model=model)
    words = 'call get_weather with {"city": "Lisbon"} then call get_time with {"city": "Porto"}'

    asking = {"tools": [get_weather, get_time], "options": options}
    told = await (trip.stream(words, **asking).read() if is_streamed else trip.send(words, **asking))
    shaped = await trip.send("A trip", tools=[get_weather], schema=Trip, options=options)

    assert "get_weather said: rain in Lisbon. get_time said: noon in Porto." == told.text
    assert ["tool_calls", "tool_calls"] == [step.finish_reason for step in told.steps]
    assert (Trip("A trip", 1), ()) == (shaped.parsed, shaped.warnings)
    sent = simulator.sent_to(provider.partition("-")[0])
    assert 4 == sent.count - asked
    assert [("get_weather", "rain in Lisbon"), ("get_time", "noon in Porto")] == sent.tool_results


@pytest.mark.parametrize("other", [name for name in SPEAKERS if name != "gemini"])
@pytest.mark.parametrize("name", ["default_api.get_weather", "w" * 100], ids=["dots", "long"])
async def test_a_name_that_only_gemini_takes_does_not_stop_the_others(client, simulator, name, other):
    """
    In the middle of a turn the conversation moves on, and comes back: the name is Gemini's own there.
    """
    provider, model, _ = SPEAKERS[other]
    tool = Tool("get_weather", "Say the weather.", CITY)
    simulator.call_tools("gemini", (name, {"city": "Lisbon"}))
    trip = await client.start(provider="gemini")
    asked = await trip.send("Go.", tools=[tool])

    await trip.switch(provider, model)
    reply = await trip.submit_results([ToolResult(asked.tool_calls[0].id, name, "rain")], tools=[tool])
    await trip.switch("gemini")
    await trip.send("Thanks.", tools=[tool])

    assert f"{name.replace('.', '_')[:64]} said: rain." == reply.text
    assert [(name, "rain")] == simulator.sent_to("gemini").tool_results


@pytest.mark.parametrize(
    ("provider", "parameter"),
    [
        ("openai", "include"),
        ("openai", "prompt_cache_key"),
        ("openai-chat", "stream_options"),
        ("xai", "include"),
        ("xai", "prompt_cache_key"),
        ("xai-chat", "stream_options"),
    ],
)
async def test_an_own_parameter_that_is_refused_costs_one_request_once(
    client, simulator, provider, parameter
):
    """
    Three requests for two answers, whatever words the service has for its refusal; and nobody is told.
    """
    service = provider.partition("-")[0]
    asked = simulator.sent_to(service).count
    simulator.refuse_parameter(service, parameter)
    trip = await client.start(provider=provider, model=SPEAKERS[provider][1])

    replies = [await trip.stream("Hello.").read() for _ in range(2)]
    simulator.accept_parameter(service, parameter)

    assert 3 == simulator.sent_to(service).count - asked
    assert [(), ()] == [reply.warnings for reply in replies]


@pytest.mark.parametrize(
    ("provider", "effort", "falls"),
    [("openai", None, "gpt-5.5"), ("openai", "low", "gpt-5.4"), ("openai", None, "o3")],
)
async def test_a_temperature_is_not_sent_to_a_model_that_thinks(client, simulator, provider, effort, falls):
    """
    Somebody else is asked instead, and the service that would have refused it was never called.
    """
    asked = simulator.sent_to(provider).count
    options = Options(temperature=0.5, reasoning_effort=effort)

    reply = await client.ask("Hello.", provider=provider, model=falls, options=options, fallback=["gemini"])

    assert ("gemini", asked) == (reply.provider, simulator.sent_to(provider).count)
    assert ["unsupported_parameter", None] == [attempt.error_kind for attempt in reply.attempts]
