"""
How OpenAI counts tokens besides those of words.

Source: OpenAI's guide to images and vision (read 2026-11), and recorded answers: a text of ``n`` tokens is
``n + 4`` a message and 3 more, or 2 more with a model that reasons; one that searches counts ``n`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from math import ceil

import attrs

from tertulia import Image, TokenWeights, measure_image

_PATCH = 32
_TILE = 512
_LOW_SIDE = 512  # what detail "low" is scaled down to


@attrs.frozen
class Patches:
    """
    Counts squares of 32 pixels.

    Attributes:
        high: How many an image has at most, looked at closely: beyond them it is scaled down.

        original: How many it has at most, looked at as it is.

        factor: Tokens for each.

        auto: How closely the model looks unless it is told.
    """

    high: int
    original: int
    factor: float = 1
    auto: str = "high"

    def count(self, width: int, height: int, detail: str | None) -> float:
        """Count the tokens of an image of so many pixels."""
        if detail in (None, "auto"):
            detail = self.auto
        if detail == "low":
            width, height = _fit(width, height, _LOW_SIDE)
        patches = ceil(width / _PATCH) * ceil(height / _PATCH)
        return min(patches, self.original if detail == "original" else self.high) * self.factor


@attrs.frozen
class Tiles:
    """
    Counts tiles of 512 pixels, once the image fits 2,048 and its short side 768.

    Attributes:
        base: Tokens of an image, and all that one has at low detail.

        tile: Tokens of each tile.
    """

    base: int
    tile: int

    def count(self, width: int, height: int, detail: str | None) -> float:
        """Count the tokens of an image of so many pixels."""
        if detail == "low":
            return self.base
        width, height = _fit(width, height, 2048)
        scale = min(1, 768 / min(width, height))
        tiles = ceil(width * scale / _TILE) * ceil(height * scale / _TILE)
        return self.base + self.tile * tiles


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    scale = min(1, side / max(width, height))
    return ceil(width * scale), ceil(height * scale)


_OLD = 1_536
_NEWEST = Patches(2_500, 30_000, auto="original")
_RULES: Mapping[str, Patches | Tiles] = {
    "gpt-4": Tiles(85, 170),
    "gpt-4o-mini": Tiles(2_833, 5_667),
    "gpt-4.1-mini": Patches(_OLD, _OLD, 1.62),
    "gpt-4.1-nano": Patches(_OLD, _OLD, 2.46),
    "o": Tiles(75, 150),
    "o4-mini": Patches(_OLD, _OLD, 1.72),
    "gpt-5": Tiles(70, 140),
    "gpt-5-mini": Patches(_OLD, _OLD, 1.62),
    "gpt-5-nano": Patches(_OLD, _OLD, 2.46),
    "gpt-5.2": Patches(_OLD, _OLD),
    "gpt-5.3": Patches(_OLD, _OLD),
    "gpt-5.4": Patches(2_500, 10_000),
    "gpt-5.5": Patches(2_500, 10_000, auto="original"),
    "gpt-5.6": _NEWEST,
}
"""By the beginning of a model's name, the longest that matches; the newest rule for a name that is new."""

_UNKNOWN = (1024, 1024)  # of an image that is elsewhere, or has no header that is known


@cache
def find_weights(model: str, *, reasons: bool) -> TokenWeights:
    """Say how a model counts; of one that is not known, as the newest do."""
    prefix = max((prefix for prefix in _RULES if model.startswith(prefix)), key=len, default=None)
    rule = _NEWEST if prefix is None else _RULES[prefix]
    per_message, per_request = (0, 0) if "-search" in model else (4, 2 if reasons else 3)
    return TokenWeights(
        per_message=per_message,
        per_request=per_request,
        per_audio_second=10,
        count_image=partial(_count_image, rule),
    )


def _count_image(rule: Patches | Tiles, image: Image) -> float:
    size = None if image.data is None else measure_image(image.data)
    return rule.count(*(size or _UNKNOWN), image.detail)
