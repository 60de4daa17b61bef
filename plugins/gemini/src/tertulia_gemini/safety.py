"""Gemini's safety settings: which harm may be in a prompt or an answer, and how likely it may be."""

from __future__ import annotations

from collections.abc import Mapping

CATEGORIES = frozenset(
    {
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
        "HARM_CATEGORY_CIVIC_INTEGRITY",
    }
)
THRESHOLDS = frozenset(
    {"BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"}
)


def find_problem(safety: Mapping[str, str]) -> tuple[str, str] | None:
    """What is wrong with safety settings, and what to write instead; None when nothing is."""
    for category, threshold in safety.items():
        if category not in CATEGORIES:
            return f"there is no harm category {category!r}", f"use one of {', '.join(sorted(CATEGORIES))}"
        if threshold not in THRESHOLDS:
            return f"there is no threshold {threshold!r}", f"use one of {', '.join(sorted(THRESHOLDS))}"
    return None
