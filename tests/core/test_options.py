"""What may be asked of an answer: of the right type, or refused before anything happens."""

from __future__ import annotations

import attrs
import pytest

import tertulia
from tertulia import ConfigurationError, Options


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("unsupported", "wran", "one of 'error', 'warn'"),
        ("unsupported", "Error", "one of 'error', 'warn'"),
        ("temperature", "hot", "a number"),
        ("temperature", True, "a number"),
        ("temperature", float("nan"), "a number"),
        ("top_p", "1", "a number"),
        ("top_k", 1.5, "a whole number above 0"),
        ("max_output_tokens", -5, "a whole number above 0"),
        ("max_output_tokens", 0, "a whole number above 0"),
        ("stop", (), "a text, or a tuple of texts"),
        ("stop", ("a", 3), "a text, or a tuple of texts"),
        ("stop", 3, "a text, or a tuple of texts"),
        ("seed", "7", "a whole number"),
        ("presence_penalty", [], "a number"),
        ("frequency_penalty", float("inf"), "a number"),
        ("service_tier", 1, "a text"),
        ("safety_settings", {"HARM": 1}, "a mapping of texts"),
        ("reasoning_effort", 2, "a text"),
        ("reasoning_summary", "yes", "one of 'auto', 'concise', 'detailed'"),
        ("verbosity", "x", "one of 'low', 'medium', 'high'"),
        ("tool_choice", "", "a text"),
        ("parallel_tool_calls", "no", "True or False"),
        ("end_user", 3, "a text"),
        ("metadata", {"a": 1}, "a mapping of texts"),
        ("metadata", "a=b", "a mapping of texts"),
        ("extra", {"openai": 5}, "a mapping of mappings: {provider: {member: value}}"),
        ("extra", {"truncation": "auto"}, "a mapping of mappings: {provider: {member: value}}"),
    ],
)
def test_a_value_of_another_kind_is_refused(option, value, wanted):
    """The error names the option, what it may be, and what it was."""
    with pytest.raises(ConfigurationError) as caught:
        Options(**{option: value})

    assert (f"option {option!r} is {wanted}, and not {value!r}", value) == (
        caught.value.message,
        caught.value.value,
    )


def test_every_option_is_checked():
    """No option is passed on without having been looked at."""
    from tertulia.domain.options import _CHECKS

    assert {field.name for field in attrs.fields(Options)} == set(_CHECKS)


def test_one_stop_is_a_list_of_one():
    """A single text ends the answer as a whole, and not letter by letter."""
    assert (("END",), ("a", "b")) == (Options(stop="END").stop, Options(stop=["a", "b"]).stop)


async def test_one_stop_reaches_the_service_whole(simulator):
    """What is sent is one text."""
    async with tertulia.open(store="memory:", providers=simulator.providers(), environ={}) as client:
        await client.ask("Hello", provider="gemini", options=Options(stop="END"))

    assert ["END"] == simulator.sent_to("gemini").body["generationConfig"]["stopSequences"]


async def test_members_for_nobody_are_refused(simulator):
    """A misspelt provider in ``extra`` is an error, because nobody would be told what it says."""
    async with tertulia.open(store="memory:", providers=simulator.providers(), environ={}) as client:
        with pytest.raises(tertulia.UnknownProviderError, match="has members for 'opnai'"):
            await client.ask("Hello", provider="openai", options=Options(extra={"opnai": {"a": 1}}))

    assert [] == simulator.requests


@pytest.mark.parametrize("text", [None, 3, b"Hello"])
async def test_what_is_asked_is_a_text(simulator, text):
    """Anything else is refused in our own words, before a conversation begins."""
    async with tertulia.open(store="memory:", providers=simulator.providers(), environ={}) as client:
        with pytest.raises(ConfigurationError, match="what is said must be a str"):
            await client.ask(text, provider="openai")

        assert [] == await client.list()
