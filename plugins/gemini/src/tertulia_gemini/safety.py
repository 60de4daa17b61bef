"""Gemini's safety settings: which harm may be in a prompt or an answer, and how likely it may be."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

CATEGORIES = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)
"""What the Gemini API filters."""

NOTED = {
    "HARM_CATEGORY_CIVIC_INTEGRITY": "is obsolete: Gemini takes it and ignores it",
}
"""What is sent all the same, with a note."""

REFUSED = {
    "HARM_CATEGORY_JAILBREAK": "is meant for Vertex AI",
    **dict.fromkeys(
        (
            "HARM_CATEGORY_IMAGE_HATE",
            "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
            "HARM_CATEGORY_IMAGE_HARASSMENT",
            "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
        ),
        "exists on Vertex AI only",
    ),
    **dict.fromkeys(
        (
            "HARM_CATEGORY_DEROGATORY",
            "HARM_CATEGORY_TOXICITY",
            "HARM_CATEGORY_VIOLENCE",
            "HARM_CATEGORY_SEXUAL",
            "HARM_CATEGORY_MEDICAL",
            "HARM_CATEGORY_DANGEROUS",
        ),
        "went with the PaLM models",
    ),
}
"""What the Gemini API does not filter, and does not take, so it is refused before."""

THRESHOLDS = ("BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF")
"""From the strictest to no filter at all; what protects children cannot be switched off."""

_TAKEN = (*CATEGORIES, *NOTED)


def find_problem(safety: Mapping[str, object]) -> tuple[str, str] | None:
    """What is wrong with safety settings, and what to write instead; None when nothing is."""
    for category, threshold in safety.items():
        if category in REFUSED:
            return f"harm category {category!r} {REFUSED[category]}", f"use one of {', '.join(CATEGORIES)}"
        if category not in _TAKEN:
            return f"there is no harm category {category!r}", _suggest(category, CATEGORIES)
        if threshold not in THRESHOLDS:
            return f"there is no threshold {threshold!r}", _suggest(threshold, THRESHOLDS)
    return None


def note_categories(safety: Mapping[str, object]) -> list[str]:
    """A sentence for each category that Gemini takes, but not as it is meant."""
    return [f"harm category {category} {NOTED[category]}" for category in safety if category in NOTED]


def _suggest(word: object, words: tuple[str, ...]) -> str:
    upper = str(word).upper().replace("-", "_").replace(" ", "_")
    prefixed = upper if words is THRESHOLDS else f"HARM_CATEGORY_{upper.removeprefix('HARM_CATEGORY_')}"
    if close := difflib.get_close_matches(prefixed, words, n=1, cutoff=0.8):
        return f"did you mean {close[0]!r}?"
    return f"use one of {', '.join(words)}"
