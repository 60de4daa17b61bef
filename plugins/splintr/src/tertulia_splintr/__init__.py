"""
Token counts from vocabularies instead of an estimate, by splintr-rs, which brings them along.

OpenAI's models count as OpenAI does and Gemini's as Google does, for words; whatever else a message holds is
counted by the provider's own weights. Of every other model nothing is known, and the next plugin or the
core's estimator answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import cast

import tertulia

__all__ = ["Counter", "find_vocabulary"]

_VOCABULARIES = {
    "chatgpt-": "o200k_base",
    "gpt-": "o200k_base",
    "gpt-3.5": "cl100k_base",
    "gpt-4": "cl100k_base",
    "gpt-4.": "o200k_base",
    "gpt-4o": "o200k_base",
    "o1": "o200k_base",
    "o3": "o200k_base",
    "o4": "o200k_base",
    "gemini-": "gemma3",
    "gemma-": "gemma3",
}
"""By the beginning of a model's name, the longest that matches."""

_BYTES_PER_TOKEN = 4  # in what splintr calls flat


def find_vocabulary(model: str) -> str | None:
    """
    Name the vocabulary of a model; None when it is not public, or unknown.

    Example:
        >>> find_vocabulary("gpt-4o-mini"), find_vocabulary("gpt-4-turbo"), find_vocabulary("grok-4")
        ('o200k_base', 'cl100k_base', None)
    """
    name = model.removeprefix("models/")
    prefix = max((prefix for prefix in _VOCABULARIES if name.startswith(prefix)), key=len, default=None)
    return None if prefix is None else _VOCABULARIES[prefix]


# Compared by identity, as plugins are.
class Counter:
    """
    Counts tokens as the model's own vocabulary does; a vocabulary is loaded when it is first needed.

    Example::

        async with tertulia.open(plugins=[Counter()]) as client:
            count = await client.count_tokens("How many tokens is this?", provider="openai")
    """

    TERTULIA_API = 1

    @tertulia.hookimpl
    def count_tokens(
        self, model: str, messages: Sequence[tertulia.Message], weights: tertulia.TokenWeights
    ) -> int | None:
        """Count where the vocabulary is known, and pass elsewhere."""
        vocabulary = find_vocabulary(model)
        if vocabulary is None:
            return None
        return tertulia.count_messages(messages, weights, count_text=load_vocabulary(vocabulary))


@cache
def load_vocabulary(name: str) -> Callable[[str], int]:
    """Load a vocabulary, which takes from 0.03 to 0.6 seconds, and return what counts with it."""
    tokenizer = import_module("splintr").Tokenizer.from_pretrained(name)
    encode = cast("Callable[[str], bytes]", tokenizer.encode_flat)

    def count(text: str) -> int:
        # What tokens are called is not needed: a list of numbers would take longer to make than to count.
        return len(encode(_without_surrogates(text))) // _BYTES_PER_TOKEN

    return count


def _without_surrogates(text: str) -> str:
    """Half a character, which no UTF-8 can hold, counts as another."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
