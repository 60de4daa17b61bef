"""How good the estimator is on recorded requests: what the documentation promises."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from benchmarks.estimator import (
    CHATS,
    ENVIRONMENT_VARIABLE,
    RECORDINGS,
    measure_chats,
    measure_errors,
    read_prompts,
)

from benchmarks import estimator

FOLDER = Path(os.environ.get(ENVIRONMENT_VARIABLE) or "no such folder")

needs_recordings = pytest.mark.skipif(
    not (FOLDER / RECORDINGS).is_file(), reason=f"{ENVIRONMENT_VARIABLE} names no folder with recordings"
)
needs_chats = pytest.mark.skipif(
    not (FOLDER / CHATS).is_file(), reason=f"{ENVIRONMENT_VARIABLE} names no folder with chats"
)


@pytest.fixture(scope="module")
def errors() -> Mapping[str, float]:
    """Errors in percent, by the names of the rows."""
    return {row.name: row.ours for row in measure_errors(read_prompts(FOLDER))}


@needs_recordings
@pytest.mark.parametrize(
    "surface", ["openai chat", "openai responses", "gemini generateContent", "xai responses"]
)
def test_estimates_of_recorded_prompts_are_near(errors, surface):
    """
    Half of them are within 5 % of what the service reported, and nine of ten within 15 %.
    """
    median = next(off for name, off in errors.items() if name.startswith(f"estimate, {surface}, median"))

    assert median <= 5
    assert errors[f"estimate, {surface}, 90th percentile"] <= 15


@needs_recordings
def test_estimates_are_better_than_characters_by_four():
    """
    On every surface, by more than half.
    """
    rows = [row for row in measure_errors(read_prompts(FOLDER)) if row.name.startswith("estimate, ")]

    assert 8 == len(rows)
    assert [] == [row.name for row in rows if row.ratio is None or row.ratio > 0.5]


@needs_chats
def test_estimates_of_growing_chats_are_nearer_still(monkeypatch):
    """
    What was learned in a chat brings half of its later requests within 1 %, and nine of ten within 3 %.
    """
    monkeypatch.setattr(estimator, "TURNS", 30)

    median, percentile = measure_chats(FOLDER)

    assert median.ours <= 1
    assert percentile.ours <= 3
