"""What each provider counts besides words."""

from __future__ import annotations

import struct

import pytest

from tertulia import Image, Message, ProviderConfig, TokenWeights, count_messages
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)


def weights(driver: type, model: str, **settings: str) -> TokenWeights:
    return driver(ProviderConfig("any", "any", **settings)).find_token_weights(model)


def count(driver: type, model: str, image: Image) -> float:
    return weights(driver, model).count_image(image)


@pytest.mark.parametrize(
    ("driver", "model", "text", "reported"),
    [
        (OpenAIProvider, "gpt-4o", "What is 2 + 2?", 15),
        (OpenAIProvider, "gpt-5.5", "What is the capital of France?", 13),
        (OpenAIProvider, "gpt-9", "What is the capital of France?", 13),
        (OpenAIProvider, "gpt-4o-mini-search-preview", "What is the capital of France?", 7),
        (GeminiProvider, "gemini-2.5-flash", "Count from 1 to 3", 8),
        (XAIProvider, "grok-4.3", "What is 2 + 2? Just the number.", 204),
    ],
)
def test_a_short_prompt_is_counted_to_the_token(driver, model, text, reported):
    """
    As recorded answers report it, or as the same form with another text would be.
    """
    its = weights(driver, model)

    assert reported == count_messages([Message.of("user", text)], its) + its.per_request


def test_of_a_compatible_server_nothing_is_known():
    """
    Another server's models may be called what they like.
    """
    elsewhere = weights(OpenAIProvider, "gpt-4o-mini", base_url="http://localhost:1/v1")

    assert TokenWeights() == elsewhere


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gpt-5-mini", (597, 566), None, 554),
        ("gpt-5-mini", (400, 301), "auto", 211),
        ("gpt-5-mini", (10_000, 10_000), None, 2_488),
        ("gpt-5-nano-2025-08-07", (32, 32), None, 2.46),
        ("gpt-5.2", (33, 32), None, 2),
        ("gpt-5.4", (3_200, 3_200), None, 2_500),
        ("gpt-5.4", (3_200, 3_200), "original", 10_000),
        ("gpt-5.5", (3_200, 3_200), "auto", 10_000),
        ("gpt-5.6-sol", (4_000, 4_000), None, 15_625),
        ("gpt-6-astra", (4_000, 4_000), "high", 2_500),
        ("gpt-6-astra", (4_000, 2_000), "low", 128),
        ("gpt-4o", (1_024, 1_024), None, 765),
        ("gpt-4o", (2_048, 4_096), "high", 1_105),
        ("gpt-4o", (4_096, 4_096), "low", 85),
        ("gpt-4o-mini", (512, 512), None, 8_500),
        ("gpt-5", (512, 512), None, 210),
        ("o3", (512, 512), None, 225),
        ("o4-mini", (320, 320), None, 172),
    ],
)
def test_openai_counts_patches_or_tiles(model, size, detail, tokens):
    """
    By the model, as its guide says, and as recorded with gpt-5-mini.
    """
    assert tokens == pytest.approx(
        count(OpenAIProvider, model, Image(png(*size), "image/png", detail=detail)), abs=0.5
    )


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((384, 384), 258), ((540, 360), 1_806), ((3_008, 2_000), 3_354), ((1, 385), 516 + 258)],
)
def test_gemini_2_counts_tiles(size, tokens):
    """
    As recorded.
    """
    assert tokens == count(GeminiProvider, "gemini-2.5-flash", Image(png(*size), "image/png"))


@pytest.mark.parametrize(
    ("detail", "tokens"), [(None, 1_120), ("auto", 1_120), ("low", 280), ("high", 1_120), ("original", 2_240)]
)
def test_gemini_3_counts_by_how_closely_it_looks(detail, tokens):
    """
    Whatever the size; a model that is not known counts as the newest do.
    """
    image = Image(png(3_008, 2_000), "image/png", detail=detail)

    assert (tokens, tokens) == (
        count(GeminiProvider, "gemini-3-flash-preview", image),
        count(GeminiProvider, "gemini-flash-latest", image),
    )


@pytest.mark.parametrize(
    ("driver", "model", "tokens"),
    [
        (OpenAIProvider, "gpt-5.5", 1_024),
        (GeminiProvider, "gemini-2.5-pro", 1_120),
        (XAIProvider, "grok-4.3", 1_120),
    ],
)
@pytest.mark.parametrize("image", [Image(url="https://example.com/a.png"), Image(b"?", "image/png")])
def test_an_image_of_unknown_size_is_a_usual_one(driver, model, tokens, image):
    """
    What is elsewhere, or has no header, is not nothing.
    """
    assert tokens == count(driver, model, image)
