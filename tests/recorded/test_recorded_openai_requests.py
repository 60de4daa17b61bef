"""
Every recorded request of the two formats of OpenAI that our domain can express, rendered by our drivers.

The recordings are not part of the project: ``TERTULIA_TEST_DATA`` names their folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from recorded_openai_requests import NAME, normalise, parse_chat, parse_responses
from recorded_requests import Comparison, Json, compare, list_requests

from tertulia import HTTPProvider, ProviderConfig, Request, Secret
from tertulia.wire import Wire
from tertulia.wire.strict import make_strict
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider


def render_with(wire: Wire) -> Callable[[Request], Json]:
    return lambda request: wire.render_request(request).body


def make(driver: type[HTTPProvider], **settings: str) -> Wire:
    """The wire of a driver as it is configured."""
    return driver(ProviderConfig(NAME, "driver", api_key=Secret("sk-1"), settings=settings)).wire


CASES: dict[str, tuple[Any, ...]] = {
    "openai": ("openai", "responses", parse_responses, make(OpenAIProvider)),
    "xai": ("xai", "responses", parse_responses, make(XAIProvider)),
    "openai-chat": ("openai", "chat", parse_chat, make(OpenAIProvider, api="chat")),
    "gemini-chat": ("gemini", "chat", parse_chat, make(OpenAIProvider, api="chat")),
}


def run(exchanges: list[Json], case: str) -> Comparison:
    provider, surface, parse, wire = CASES[case]
    return compare(list_requests(exchanges, provider, surface), parse, render_with(wire), normalise)


# What our domain has no words for, and how many requests use it.
LATER = "tools that are loaded later"
NOT_EXPRESSIBLE: dict[str, dict[str, int]] = {
    "openai": {
        LATER: 20,
        "previous_response_id: what the server keeps": 3,
        "conversation: what the server keeps": 4,
        "background: what the server keeps": 4,
        "a result of a tool that is no text": 2,
        "tool_choice: allowed_tools": 2,
        "a system message in the middle": 1,
    },
    "xai": {},
    "openai-chat": {},
    "gemini-chat": {},
}

EXPRESSIBLE = {"openai": 145, "xai": 27, "openai-chat": 113, "gemini-chat": 2}

# Requests that ours differ from. All for one reason: an empty text before a call is not sent, because xAI
# answers 400 to one, and it says nothing.
WITH_AN_EMPTY_TEXT = {
    "openai": {
        "test_native_output.yaml#1",
        "test_native_output_multiple.yaml#1",
        "test_openai_responses_model_retry.yaml#1",
        "test_prompted_output.yaml#1",
        "test_text_output_function.yaml#1",
        "test_tool_output.yaml#1",
    },
    "xai": set[str](),
    "openai-chat": {
        "test_tool_use_basic.yaml#1",
        "test_tools_streaming_variant_a.yaml#1",
        "test_tools_streaming_variant_b.yaml#1",
    },
    "gemini-chat": set[str](),
}


@pytest.mark.parametrize("case", CASES)
def test_every_recorded_request_is_one_of_ours(exchanges, case):
    """
    What a recorded request says, ours says as well, but for empty texts.
    """
    comparison = run(exchanges, case)
    print(f"{case}: {comparison}")  # noqa: T201  # pytest -s shows how many

    assert NOT_EXPRESSIBLE[case] == comparison.not_expressible
    assert EXPRESSIBLE[case] == comparison.expressible
    assert WITH_AN_EMPTY_TEXT[case] == {name.rpartition("/")[2] for name in comparison.differences}
    for theirs, ours in comparison.differences.values():
        assert without_empty_texts(theirs) == ours


def without_empty_texts(body: Json) -> Json:
    (place,) = {"input", "messages"} & body.keys()
    empty = {"role": "assistant", "content": [{"type": "text", "text": ""}]}
    return {**body, place: [item for item in body[place] if item != empty]}


def test_a_recorded_strict_schema_is_strict_as_it_is(exchanges):
    """
    What others had OpenAI hold a model to is what ours has, to the letter.
    """
    schemas = [
        tool.get("function", tool)["parameters"]
        for exchange in exchanges
        for tool in (exchange["request"] or {}).get("tools") or []
        if tool.get("function", tool).get("strict") is True
    ]

    assert 188 == len(schemas)
    assert schemas == [make_strict(schema, require_all=False) for schema in schemas]
