"""Counting with vocabularies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tertulia
import tertulia_splintr
from tertulia import Image, Message, Role, Text
from tertulia_splintr import Counter, find_vocabulary


@pytest.fixture
async def client(open_client, simulator):
    """A client of the simulated services, with the counter."""
    async with open_client(
        store="memory:", providers=simulator.providers(), plugins=[Counter()], environ={}
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("provider", "model", "tokens"),
    [
        ("openai", "gpt-4o", 14),
        ("openai", "gpt-5.5", 13),
        ("openai", "gpt-4", 14),
        ("gemini", "gemini-2.5-flash", 8),
    ],
)
async def test_words_count_as_the_model_itself_counts_them(client, provider, model, tokens):
    """
    Recorded of "What is the capital of France?": 14, or 13 with a model that reasons; Gemini says 8.
    """
    count = await client.count_tokens("What is the capital of France?", provider=provider, model=model)

    assert tokens == count.tokens


async def test_what_an_estimate_gets_wrong_is_right(client):
    """
    A word that no rule expects is as many tokens as the vocabulary makes of it.
    """
    text = "Donaudampfschifffahrtsgesellschaft"

    assert 10 + 4 + 3 == (await client.count_tokens(text, provider="openai", model="gpt-4o")).tokens


async def test_of_a_model_without_public_vocabulary_the_estimate_stays(client):
    """
    The plugin passes, and the core answers.
    """
    text = "Donaudampfschifffahrtsgesellschaft"

    assert 189 + 3 + 4 == (await client.count_tokens(text, provider="xai", model="grok-4.3")).tokens


async def test_what_is_no_text_counts_as_ever(client):
    """
    Images are the provider's own affair.
    """
    message = Message(Role.USER, (Text("hello"), Image(url="https://example.com/a.png")))

    count = await client.count_tokens(message, provider="gemini", model="gemini-3-pro")

    assert 1 + 1_120 + 1 == count.tokens


async def test_half_a_character_counts_as_one(client):
    """
    What no vocabulary knows stops no count.
    """
    assert 8 < (await client.count_tokens("a\ud800b", provider="openai", model="gpt-4o")).tokens


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-4.1-mini", "o200k_base"),
        ("gpt-4o", "o200k_base"),
        ("gpt-6.2-astra", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("models/gemini-flash-latest", "gemma3"),
        ("grok-4.3", None),
        ("orca", None),
        ("", None),
    ],
)
def test_a_vocabulary_goes_with_a_family_of_models(model, vocabulary):
    """
    By the beginning of the name; None where no vocabulary is public.
    """
    assert vocabulary == find_vocabulary(model)


def test_no_vocabulary_is_loaded_before_it_is_needed():
    """
    Importing the plugin, and asking which vocabulary a model has, loads none.
    """
    code = (
        "import sys; from tertulia_splintr import Counter, find_vocabulary; Counter(); "
        "find_vocabulary('gpt-4o'); print('splintr' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(tertulia_splintr.__file__).parents[1])}

    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)

    assert b"False\n" == done.stdout


def test_the_counter_can_be_installed():
    """
    What the entry point names can be made without arguments, and says which API it is for.
    """
    assert tertulia.API_VERSION == Counter().TERTULIA_API
