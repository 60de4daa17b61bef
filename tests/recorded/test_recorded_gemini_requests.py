"""
Every recorded request to Gemini that our domain can express, rendered by our wire.

The recordings are not part of the project: ``TERTULIA_TEST_DATA`` names their folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from recorded_gemini_requests import NAME, normalise, parse, render
from recorded_requests import Comparison, Json, NotExpressibleError, RecordedRequest, compare, list_requests

from tertulia import Request

# Ours leaves out a tool choice where there are no functions to choose from, whatever it is.
WITH_A_CHOICE_OF_NOTHING = {"test_thinking_with_native_tool_wire_contract[google].yaml#0"}

# What has no neutral name, and how many requests have it.
EXTRA = {
    "generationConfig.responseModalities": 125,
    "toolConfig.functionCallingConfig": 20,
    "toolConfig.includeServerSideToolInvocations": 8,
    "generationConfig.responseMimeType": 2,
    "cachedContent": 1,
}


@pytest.fixture(scope="module")
def requests(exchanges) -> list[RecordedRequest]:
    return list_requests(exchanges, "gemini", "generateContent", "streamGenerateContent")


@pytest.fixture(scope="module")
def comparison(requests) -> Comparison:
    return compare(requests, parse, render, normalise)


def test_every_recorded_request_is_rendered_as_it_was_recorded(comparison):
    """
    Of 197 requests 191 can be said in our words, and all but one are rendered as recorded.
    """
    assert {
        "a picture or a document in a tool's result": 5,
        "a video with a frame rate": 1,
    } == comparison.not_expressible
    assert WITH_A_CHOICE_OF_NOTHING == {name.rpartition("/")[2] for name in comparison.differences}
    assert "190 equal of 191 expressible of 197" == str(comparison)


def test_the_request_that_differs_lacks_the_choice_alone(comparison):
    """
    The difference is the one that the table above gives a reason for, and no other.
    """
    ((theirs, ours),) = comparison.differences.values()

    assert {
        "functionCallingConfig": {"mode": "AUTO"},
        "includeServerSideToolInvocations": True,
    } == theirs.pop("toolConfig")
    assert {"includeServerSideToolInvocations": True} == ours.pop("toolConfig")
    assert theirs == ours


def test_little_is_said_as_extra_members(requests):
    """
    What the comparison above takes from ``extra`` is known, so that it hides nothing.
    """
    assert EXTRA == Counter(place for recorded in requests for place in list_extra(recorded))


def list_extra(recorded: RecordedRequest) -> list[str]:
    """The places of the members that a request has as extra."""
    try:
        request = parse(recorded)
    except NotExpressibleError:
        return []
    members: dict[str, Any] = (request.options.extra or {}).get(NAME, {})
    return [
        place
        for name, value in members.items()
        for place in ([f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name])
    ]


def test_the_comparison_sees_what_is_missing(requests):
    """
    A renderer that forgets a member is found out in each request that has it: nothing is hidden.
    """
    found = {
        member: len(compare(requests, parse, render_without(member), normalise).differences)
        for member in ("systemInstruction", "tools", "safetySettings", "contents")
    }

    # The request that differs anyway has tools alone; to no words at all there is one request.
    assert {"systemInstruction": 46 + 1, "tools": 141, "safetySettings": 13 + 1, "contents": 191 - 1} == found


def render_without(member: str) -> Callable[[Request], Json]:
    return lambda request: render(request) | {member: [] if member == "contents" else {}}
