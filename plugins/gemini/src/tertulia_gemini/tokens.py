"""
How Gemini counts tokens besides those of words.

Source: Google's guides to tokens and media resolution (read 2026-11), and recorded answers: a text of ``n``
tokens is ``n`` and one more for each message; every digit is a token.
"""

from __future__ import annotations

from math import ceil

from tertulia import Image, TokenWeights, measure_image

_TILE_TOKENS = 258
_SMALL = 384  # pixels up to which an image is one tile
_RESOLUTIONS = {"low": 280, "high": 1_120, "original": 2_240}
_USUAL = 1_120


def count_tiles(image: Image) -> float:
    """
    Count an image as Gemini 2 does: cut into squares of two thirds of its short side, and once as a whole.

    Recorded: 540 by 360 pixels are 1,806 tokens, 3,008 by 2,000 are 3,354.
    """
    size = None if image.data is None else measure_image(image.data)
    if size is None:
        return _USUAL
    width, height = size
    if max(width, height) <= _SMALL:
        return _TILE_TOKENS
    side = max(256, min(768, min(width, height) // 1.5))
    return _TILE_TOKENS * (ceil(width / side) * ceil(height / side) + 1)


def count_by_resolution(image: Image) -> float:
    """Count an image as Gemini 3 does, whatever its size: by how closely the model is to look."""
    return _RESOLUTIONS.get(image.detail or "", _USUAL)


_SECOND = TokenWeights(
    per_message=1,
    per_request=0,
    digits_per_token=1,
    tools=0.65,
    per_page=258,
    per_audio_second=32,
    per_video_second=295,
    count_image=count_tiles,
)
_THIRD = TokenWeights(
    per_message=1,
    per_request=0,
    digits_per_token=1,
    tools=0.65,
    per_page=1_120,
    per_audio_second=25,
    per_video_second=95,
    count_image=count_by_resolution,
)


def find_weights(model: str) -> TokenWeights:
    """Say how a model counts; of one that is not known, as the newest do."""
    name = model.removeprefix("models/")
    return _SECOND if name.startswith(("gemini-1", "gemini-2", "gemma")) else _THIRD
