"""Which members of a request an error means, and the request without them."""

from __future__ import annotations

import pytest

from tertulia.wire import Rendered
from tertulia.wire.refusals import find_refused, is_sent, leave_out, read_member

BODY = {
    "model": "some-model",
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "c1",
    "temperature": 0.5,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"verbosity": "low"},
    "generationConfig": {"topP": 0.5},
}
RENDERED = Rendered(
    BODY,
    added=frozenset({"include", "prompt_cache_key"}),
    asked={
        "temperature": "temperature",
        "reasoning.effort": "reasoning_effort",
        "reasoning.summary": "reasoning_summary",
        "text.verbosity": "verbosity",
        "generationConfig.topP": "top_p",
        "generationConfig.thinkingConfig.includeThoughts": "reasoning_summary",
    },
)


@pytest.mark.parametrize(
    ("parameter", "paths"),
    [
        ("include", ("include",)),
        ("include[0]", ("include",)),
        ("prompt_cache_key", ("prompt_cache_key",)),
        ("temperature", ("temperature",)),
        ("body.temperature", ("temperature",)),
        ("reasoning.effort", ("reasoning.effort",)),
        ("reasoning_effort", ("reasoning.effort",)),
        ("reasoningEffort", ("reasoning.effort",)),
        ("reasoning", ("reasoning.effort", "reasoning.summary")),
        ("verbosity", ("text.verbosity",)),
        ("generation_config.top_p", ("generationConfig.topP",)),
        ("generationConfig", ("generationConfig.thinkingConfig.includeThoughts", "generationConfig.topP")),
        ("thinking_config", ("generationConfig.thinkingConfig.includeThoughts",)),
        ("includeThoughts", ("generationConfig.thinkingConfig.includeThoughts",)),
        ("top_p", ("generationConfig.topP",)),
        ("model", ()),
        ("input[0].content", ()),
        ("temp", ()),
        ("", ()),
    ],
)
def test_a_parameter_is_found_under_any_of_its_names(parameter, paths):
    """
    What can be left out is found by its place, its last name, its option, or the object around it.
    """
    assert paths == find_refused(RENDERED, parameter)


@pytest.mark.parametrize(
    ("parameter", "was_sent"),
    [
        ("model", True),
        ("include[0]", True),
        ("reasoning_effort", True),
        ("generation_config.top_p", True),
        ("reasoning.encrypted_content", True),
        ("auto", True),
        ("foo", False),
        ("generationConfig.foo", True),  # it is inside something that was sent
        ("foo.bar", False),
        ("temp", False),
    ],
)
def test_what_nobody_sent_is_told_from_what_was(parameter, was_sent):
    """
    A name counts in any spelling, a place by what it is in, and a value as it is.
    """
    assert was_sent is is_sent(RENDERED, parameter)


def test_a_request_without_some_of_its_members():
    """
    What is left empty goes with them, and the request itself is as it was.
    """
    rest = leave_out(RENDERED, ["include", "reasoning.effort", "text.verbosity", "not.there"])

    assert {
        "model": "some-model",
        "prompt_cache_key": "c1",
        "temperature": 0.5,
        "reasoning": {"summary": "auto"},
        "generationConfig": {"topP": 0.5},
    } == rest.body
    assert {"effort": "low", "summary": "auto"} == BODY["reasoning"]


def test_a_member_is_read_by_its_place():
    """
    Where there is none, there is no value.
    """
    assert ("low", 0.5, None, None) == tuple(
        read_member(BODY, path) for path in ("reasoning.effort", "temperature", "a.b", "model.a")
    )
