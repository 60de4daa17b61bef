"""Gemini in whole conversations, against the simulated service, which checks histories as Google does."""

from __future__ import annotations

from typing import Any

import pytest

import tertulia
from tertulia import (
    FinishReason,
    HostedTool,
    ModelNotFoundError,
    Options,
    Reasoning,
    ToolCall,
)


def get_weather(city: str) -> str:
    """Say the weather."""
    return f"rain in {city}"


def get_time(city: str) -> str:
    """Say the time."""
    return f"noon in {city}"


def sent(simulator) -> list[dict[str, Any]]:
    return simulator.sent_to("gemini").body["contents"]


@pytest.mark.parametrize("model", ["gemini-3.5-flash", "gemini-2.5-pro", "gemini-4-argon"])
async def test_parallel_calls_are_answered_in_one_turn(client, simulator, model):
    """
    Both results go back in one turn in the order of the calls, each call with the signature it came with.
    """
    simulator.call_tools("gemini", ("get_weather", {"city": "Lisbon"}), ("get_time", {"city": "Porto"}))

    reply = await client.ask("Go.", provider="gemini", model=model, tools=[get_weather, get_time])

    first, second = reply.steps[0].tool_calls
    assert "get_weather said: rain in Lisbon. get_time said: noon in Porto." == reply.text
    assert [
        {"role": "user", "parts": [{"text": "Go."}]},
        {"role": "model", "parts": [render_call(first), render_call(second)]},
        {
            "role": "user",
            "parts": [
                render_result(first.id, "get_weather", "rain in Lisbon"),
                render_result(second.id, "get_time", "noon in Porto"),
            ],
        },
    ] == sent(simulator)
    assert (True, False) == (first.opaque is not None, second.opaque is not None)


def render_call(call: ToolCall) -> dict[str, Any]:
    state = call.opaque.value if call.opaque else {}
    return {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}, **state}


def render_result(call: str, name: str, output: str) -> dict[str, Any]:
    return {"functionResponse": {"id": call, "name": name, "response": {"output": output}}}


async def test_a_turn_that_another_provider_began_goes_on_with_gemini(client, simulator):
    """
    Calls of OpenAI carry the documented word, and Gemini's own signatures come back to it later.
    """
    trip = await client.start(provider="openai")
    await trip.send('call get_weather with {"city": "Porto"}', tools=[get_weather])
    await trip.switch("gemini")
    await trip.send('call get_time with {"city": "Faro"}', tools=[get_time])
    await trip.switch("openai")
    await trip.send("Thanks.")
    await trip.switch("gemini")

    reply = await trip.send("And now?")

    assert FinishReason.STOP == reply.finish_reason
    theirs, ours = (
        part["thoughtSignature"]
        for content in sent(simulator)
        for part in content["parts"]
        if "functionCall" in part
    )
    history = await trip.history()
    (stored,) = [
        call.opaque.value["thoughtSignature"]
        for message in history
        for call in message.tool_calls
        if call.name == "get_time"
    ]
    assert ("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=", stored) == (theirs, ours)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_has_the_shape_that_was_asked_for(client, simulator, stream):
    """
    The schema is sent as it is, and the answer is read by it.
    """
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    conversation = await client.start(provider="gemini")

    if stream:
        async with conversation.stream("Who?", schema=schema) as events:
            async for _ in events:
                pass
        reply = events.reply
    else:
        reply = await conversation.send("Who?", schema=schema)

    assert {"name": "Who?"} == reply.parsed
    assert {"responseMimeType": "application/json", "responseJsonSchema": schema} == simulator.sent_to(
        "gemini"
    ).body["generationConfig"]


async def test_an_older_model_has_functions_or_a_shape(client, simulator):
    """
    Both together are certain to be refused, so nothing is sent; each alone is taken.
    """
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    old = {"provider": "gemini", "model": "gemini-2.5-flash"}

    with pytest.raises(tertulia.UnsupportedParameterError) as caught:
        await client.ask("Where?", tools=[get_weather], schema=schema, **old)
    asked = simulator.sent_to("gemini").count
    replies = [
        await client.ask("Where?", schema=schema, **old),
        await client.ask("Where?", tools=[get_weather], **old),
        await client.ask("Where?", tools=[get_weather], schema=schema, provider="gemini"),
    ]

    assert ("response_schema", False, 0) == (caught.value.parameter, caught.value.sent, asked)
    assert [{"city": "Where?"}, None, {"city": "Where?"}] == [reply.parsed for reply in replies]


async def test_thoughts_are_parts_that_are_not_sent_again(client, simulator):
    """
    A summary without a signature is kept for people, and takes no room in the next request.
    """
    conversation = await client.start(provider="gemini")
    reply = await conversation.send("Hi", options=Options(reasoning_summary="auto", reasoning_effort="low"))

    await conversation.send("Again")

    assert ["Reasoning", "Text"] == [type(part).__name__ for part in reply.parts]
    assert [Reasoning("I think about “Hi”.")] == [part for part in reply.parts if isinstance(part, Reasoning)]
    assert not [part for content in sent(simulator) for part in content["parts"] if "thought" in part]


async def test_sources_are_kept_and_cost_their_fee(client, simulator):
    """
    A search is counted by its queries; what it found is in the history, and not in the next request.
    """
    conversation = await client.start(provider="gemini")
    reply = await conversation.send("search for rain", tools=[HostedTool("googleSearch")])

    await conversation.send("Thanks.")

    metadata = reply.parts[-1].opaque.value["groundingMetadata"]
    plain = await client.ask("search for rain", provider="gemini")
    assert ("groundingMetadata", ["rain"]) == (reply.parts[-1].kind, metadata["webSearchQueries"])
    assert reply.cost.money > plain.cost.money
    assert {"text", "thoughtSignature"} >= {
        name for content in sent(simulator) for part in content["parts"] for name in part
    }


async def test_a_long_answer_is_one_message_with_the_cost_of_all_calls(client, simulator):
    """
    What several calls took is summed, and nobody sees the seams.
    """
    whole = await client.ask("Tell me about a river", provider="gemini", model="gemini-4-argon")
    simulator.continue_after(5)

    reply = await client.ask("Tell me about a river", provider="gemini", model="gemini-4-argon")

    calls = len(reply.raw_usage)
    assert (True, whole.text, FinishReason.STOP) == (calls > 2, reply.text, reply.finish_reason)
    assert calls * whole.usage.prompt_tokens == reply.usage.prompt_tokens
    assert 1 == len(reply.attempts)


@pytest.mark.parametrize(("unsupported", "warned"), [("error", False), ("warn", True)])
async def test_an_option_that_the_model_refuses_is_left_out_if_the_caller_says_so(
    client, simulator, unsupported, warned
):
    """
    Google names the member, and whoever would rather have an answer gets one without it.
    """
    simulator.refuse_parameter("gemini", "generationConfig.topK")
    options = Options(top_k=3, unsupported=unsupported)

    if warned:
        reply = await client.ask("Hi", provider="gemini", options=options)
        assert ("option 'top_k' was left out: gemini/gemini-3.5-flash refused it",) == reply.warnings
    else:
        with pytest.raises(tertulia.UnsupportedParameterError) as caught:
            await client.ask("Hi", provider="gemini", options=options)
        assert "topK" == caught.value.parameter


async def test_a_model_that_vanished_is_an_error_with_a_way_on(client, simulator):
    """
    A conversation that names it says which model to switch to.
    """
    with pytest.raises(ModelNotFoundError) as caught:
        await client.ask("Hi", provider="gemini", model="gemini-2.0-flash")

    assert "gemini-3.5-flash" in caught.value.next_step


async def test_the_service_counts_and_verifies(client, simulator):
    """
    Counting and checking ask the service, and neither is an answer that costs anything.
    """
    counted = await client.count_tokens("Hello there", provider="gemini", exact=True)
    verified = await client.verify("gemini")

    assert (True, None) == (counted.exact, verified.error)
    assert 0 == simulator.sent_to("gemini").count
