"""A message is rendered once: what is kept of it, and what it may never do to a request."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia import (
    Document,
    Foreign,
    HTTPProvider,
    Image,
    Message,
    OpaqueState,
    Options,
    Part,
    ProviderConfig,
    Reasoning,
    Refusal,
    Request,
    Role,
    Target,
    Text,
    ToolCall,
    ToolResult,
)
from tertulia.runtime.serialization import encode_json
from tertulia.wire import Json, KeptRenderings, LeftOut, kept
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

NAME = "service"


def make_drivers() -> list[HTTPProvider]:
    """One of each surface, new, so that nothing is kept yet."""
    return [
        OpenAIProvider(ProviderConfig(NAME, "openai", settings={"api": "responses"})),
        OpenAIProvider(ProviderConfig(NAME, "openai", settings={"api": "chat"})),
        GeminiProvider(ProviderConfig(NAME, "gemini")),
        XAIProvider(ProviderConfig(NAME, "xai")),
    ]


MODELS = ("gpt-6.1-sol", "gpt-4.1", "gemini-3.5-flash", "gemini-2.5-flash", "grok-4.7")
words = st.text(max_size=8)
opaque = st.none() | st.builds(
    OpaqueState,
    st.sampled_from((NAME, "other")),
    st.sampled_from(
        (
            {"thoughtSignature": "c2lnbmVk"},
            {"phase": "commentary"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        )
    ),
)
calls = st.builds(
    ToolCall,
    st.sampled_from(("call_1", "call_2")),
    st.just("look"),
    st.dictionaries(words, st.integers() | words, max_size=2),
    opaque=opaque,
)
user_parts = st.builds(Text, words) | st.sampled_from(
    (
        Image(data=b"picture"),
        Image(url="https://example.org/a.png", detail="high"),
        Document(data=b"%PDF-", media_type="application/pdf", name="a.pdf"),
    )
)
answer_parts = (
    st.builds(Text, words, opaque)
    | st.builds(Refusal, words)
    | st.builds(Reasoning, words, opaque)
    | st.builds(Foreign, st.just("web_search_call"), opaque)
    | calls
)
results = st.builds(ToolResult, st.just("call_1"), st.just("look"), words, st.booleans())
messages = st.one_of(
    st.builds(Message, st.just(Role.SYSTEM), st.tuples(st.builds(Text, words))),
    st.builds(Message, st.just(Role.USER), st.lists(user_parts, min_size=1, max_size=3).map(tuple)),
    st.builds(
        Message,
        st.just(Role.ASSISTANT),
        st.lists(answer_parts, max_size=4).map(tuple),
        provider=st.sampled_from((None, NAME, "other")),
    ),
    st.builds(Message, st.just(Role.TOOL), st.lists(results, min_size=1, max_size=2).map(tuple)),
)
options = st.sampled_from((Options(), Options(temperature=0.5), Options(extra={NAME: {"input": [1]}})))


@given(
    history=st.lists(messages, max_size=12),
    asked=st.lists(
        st.tuples(st.sampled_from(MODELS), options, st.lists(st.integers(0, 11), max_size=15)),
        min_size=2,
        max_size=6,
    ),
)
def test_what_was_kept_changes_no_byte(history: list[Message], asked: list[tuple[str, Options, list[int]]]):
    """
    Whatever was asked before, in any order and of any model, a request is what a new driver makes of it.
    """
    drivers = make_drivers()
    for model, chosen, places in asked:
        said = tuple(history[place] for place in places if place < len(history))
        request = Request(Target(NAME, model), said, chosen)

        for driver, fresh in zip(drivers, make_drivers(), strict=True):
            expected, actual = fresh.wire.render_request(request), driver.wire.render_request(request)
            assert encode_json(expected.body) == encode_json(actual.body)
            assert expected.notes == actual.notes


def render(shelf: KeptRenderings, *said: Message, seen: list[Message] | None = None) -> list[Json]:
    """Render messages as their texts, and remember which were rendered."""

    def render_message(message: Message) -> list[Json]:
        if seen is not None:
            seen.append(message)
        return [{"text": message.text}]

    return shelf.render(said, render_message, LeftOut(), variant=None)


def test_a_message_is_rendered_once():
    """
    The second request has the same JSON for it, not only an equal one.
    """
    shelf, message = KeptRenderings(), Message.of("user", "Good morning")
    seen: list[Message] = []

    first, second = render(shelf, message, seen=seen), render(shelf, message, seen=seen)

    assert [message] == seen
    assert first[0] is second[0]


def test_an_equal_message_is_another():
    """
    Messages are known by identity: 1 and True are equal, and no JSON says both in one way.
    """
    provider = OpenAIProvider(ProviderConfig(NAME, "openai", settings={"api": "responses"}))
    one, true = (Message(Role.ASSISTANT, (ToolCall("call_1", "look", {"x": value}),)) for value in (1, True))
    assert one == true

    bodies: list[Any] = [
        provider.wire.render_request(Request(Target(NAME, "gpt-6.1-sol"), (message,))).body["input"]
        for message in (one, true)
    ]

    assert ['{"x":1}', '{"x":true}'] == [body[0]["arguments"] for body in bodies]


def count_kept(shelf: KeptRenderings) -> int:
    """How many messages are kept."""
    return sum(len(variant._kept) for variant in shelf._variants.values())  # pyright: ignore[reportPrivateUsage]


def test_what_is_kept_goes_with_its_message():
    """
    A conversation that is closed leaves nothing behind.
    """
    shelf, message = KeptRenderings(), Message.of("user", "Good morning")
    render(shelf, message)
    assert 1 == count_kept(shelf)

    del message
    gc.collect()

    assert 0 == count_kept(shelf)


@pytest.mark.parametrize(
    "part", [Image(data=b"picture"), Image(url="https://example.org/a.png"), Document(data=b"%PDF-")]
)
def test_media_is_not_kept(part: Part):
    """
    A picture is in memory once, and not a second time as base64.
    """
    shelf, message = KeptRenderings(), Message(Role.USER, (Text("Look"), part))

    render(shelf, message)

    assert 0 == count_kept(shelf)


def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch):
    """
    The oldest go first, and are rendered again when they are sent again.
    """
    monkeypatch.setattr(kept, "MOST_KEPT", 2)
    shelf = KeptRenderings()
    seen: list[Message] = []
    history = [Message.of("user", str(number)) for number in range(3)]

    render(shelf, *history, seen=seen)
    assert 2 == count_kept(shelf)
    render(shelf, history[0], seen=seen)

    assert [*history, history[0]] == seen


def test_what_was_left_out_is_said_each_time():
    """
    A note is about a request, so the second one has it as well.
    """
    provider = OpenAIProvider(ProviderConfig(NAME, "openai", settings={"api": "responses"}))
    thought = Message(Role.ASSISTANT, (Reasoning("Hm.", OpaqueState("other", {})), Text("Yes.")))
    request = Request(Target(NAME, "gpt-6.1-sol"), (thought,))

    notes = [provider.wire.render_request(request).notes for _ in range(2)]

    assert [("1 reasoning part(s) that cannot be sent to this provider were left out",)] * 2 == notes


def test_reasoning_is_left_out_of_a_request_to_a_model_that_has_none():
    """
    What is kept for a model that reasons is not sent to one that does not.
    """
    provider = OpenAIProvider(ProviderConfig(NAME, "openai", settings={"api": "responses"}))
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    thought = Message(Role.ASSISTANT, (Reasoning("", OpaqueState(NAME, item)), Text("Yes.")))

    kinds = [
        [each.get("type", "words") for each in rendered.body["input"]]
        for model in ("gpt-6.1-sol", "gpt-4.1", "gpt-6.1-sol")
        for rendered in [provider.wire.render_request(Request(Target(NAME, model), (thought,)))]
    ]

    assert [["reasoning", "words"], ["words"], ["reasoning", "words"]] == kinds


def test_turns_that_are_joined_leave_what_is_kept_alone():
    """
    Gemini wants alternating turns; joining two of a role says nothing twice in the next request.
    """
    provider = GeminiProvider(ProviderConfig(NAME, "gemini"))
    said = tuple(Message.of("user", text) for text in "abc")
    request = Request(Target(NAME, "gemini-3.5-flash"), said)

    bodies = [provider.wire.render_request(request).body["contents"] for _ in range(3)]

    assert [[{"role": "user", "parts": [{"text": text} for text in "abc"]}]] * 3 == bodies
