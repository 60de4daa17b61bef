"""From every provider to every other and back, with every kind of part: strict services accept it."""

from __future__ import annotations

import base64
import itertools
import json

import pytest

import tertulia
from tertulia import Document, Message, OpaqueState, Options, Reasoning

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
PDF_THERE = Document(url="https://example.com/lisbon.pdf", media_type="application/pdf")
HARD = Options(reasoning_effort="high")
PAIRS = list(itertools.permutations(("openai", "gemini", "xai"), 2))
PLACEHOLDER = base64.b64encode(b"skip_thought_signature_validator").decode()


def look(place: str) -> str:
    """Look at a place."""
    return f"I saw {place}."


async def say_nothing_more(trip) -> None: ...


async def put_a_system_message_in_the_middle(trip) -> None:
    await trip.append(Message.of("system", "Be brief."))
    await trip.send("Hello.")


async def attach_an_image(trip) -> None:
    await trip.send("What is this?", attach=PNG)


async def attach_a_document(trip) -> None:
    # xAI takes documents from their addresses only.
    await trip.send("What is this?", attach=PDF_THERE if trip.provider == "xai" else PDF)


async def call_a_tool(trip) -> None:
    await trip.send('call look with {"place": "Lisbon"}', tools=[look])


async def think_hard(trip) -> None:
    await trip.send("Hello.", options=HARD)


async def think_hard_and_call_tools(trip) -> None:
    await trip.send(
        'call look with {"place": "Lisbon"} call look with {"place": "Porto"}', tools=[look], options=HARD
    )


KINDS = {
    "text": say_nothing_more,
    "system in the middle": put_a_system_message_in_the_middle,
    "image": attach_an_image,
    "document": attach_a_document,
    "tool": call_a_tool,
    "reasoning": think_hard,
    "reasoning and tools": think_hard_and_call_tools,
}


def states(messages, provider) -> set[str]:
    """What a provider alone can read of messages: encrypted thoughts and signatures."""
    values = [
        part.opaque.value
        for message in messages
        for part in message.parts
        if isinstance(part.opaque, OpaqueState) and part.opaque.provider == provider
    ]
    return seals(values)


def seals(value: object) -> set[str]:
    """Every encrypted thought and every signature in JSON, Google's placeholder excepted."""
    if isinstance(value, list):
        return set().union(*map(seals, value))
    if not isinstance(value, dict):
        return set()
    own = {
        text
        for name in ("encrypted_content", "thoughtSignature")
        if isinstance(text := value.get(name), str) and text != PLACEHOLDER
    }
    return own.union(*map(seals, value.values()))


def signatures(body) -> list[str]:
    """The signatures of the calls in a request to Gemini."""
    parts = [part for content in body["contents"] for part in content["parts"] if "functionCall" in part]
    return [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda pair: pair)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_conversation_goes_there_and_back(simulator, kind, first, second):
    """
    The second service accepts what was said to the first, and remembers; so does the first afterwards.

    What only the first can read is kept back from the second, named, and sent again when it returns.
    """
    async with tertulia.open(store="memory:", providers=simulator.providers(), environ={}) as client:
        trip = await client.start(provider=first, system="Be kind.")
        await trip.send("My name is John.")
        await KINDS[kind](trip)
        said = await trip.history()
        await trip.switch(second)
        there = await trip.send("What is my name?")
        away = simulator.sent_to(second)
        await trip.switch(first)
        back = await trip.send("What is my name?")

    assert ("Your name is John.", "Your name is John.") == (there.text, back.text)
    assert set() == seals(away.body)
    assert states(said, first) == seals(simulator.sent_to(first).body)
    assert ("reasoning" in kind) <= bool(states(said, first))
    kept_back = any(
        part.opaque is not None and part.opaque.provider == first for each in said for part in each.parts
    )
    assert kept_back == any("kept back" in note or "reasoning" in note for note in there.warnings)
    if kind == "tool":
        assert [("look", "I saw Lisbon.")] == away.tool_results
    if kind == "reasoning and tools":
        assert [("look", "I saw Lisbon."), ("look", "I saw Porto.")] == away.tool_results
    if "tool" in kind and second == "gemini":
        assert [PLACEHOLDER] == signatures(away.body)  # of the first call of a step
    if kind == "image":
        assert ["image/png"] == [image.media_type for image in away.images]
    if kind == "document" and second == "xai":
        assert any("[application/pdf" in note for note in there.warnings)
    elif kind == "document":
        assert 1 == len(away.documents)
    if kind == "system in the middle":
        assert ["Be kind.", "Be brief."] == [
            text for text in ("Be kind.", "Be brief.") if text in json.dumps(away.body)
        ]


@pytest.mark.parametrize("thinks", [False, True], ids=["", "thinking"])
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda pair: pair)
async def test_a_turn_with_tools_can_end_at_another_provider(simulator, first, second, thinks):
    """Calls that one service made are answered to another: foreign ids and missing thoughts are accepted."""
    options = HARD if thinks else Options()
    tool = tertulia.function_tool(look).tool
    async with tertulia.open(store="memory:", providers=simulator.providers(), environ={}) as client:
        trip = await client.start(provider=first)
        asked = await trip.send('call look with {"place": "Lisbon"}', tools=[tool], options=options)
        await trip.switch(second)
        reply = await trip.submit_results([call.result("fog") for call in asked.tool_calls], tools=[tool])
        await trip.switch(first)
        back = await trip.send("Hello.", tools=[tool])

    assert ("look said: fog.", second) == (reply.text, reply.provider)
    assert first == back.provider
    assert thinks <= any(isinstance(part, Reasoning) or part.opaque for part in asked.parts)
