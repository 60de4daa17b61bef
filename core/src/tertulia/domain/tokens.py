"""What is known of how providers count tokens, and what a count says of itself."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import attrs

from tertulia.domain.media import Image

USUAL_IMAGE = 1120
"""Tokens of a photo of unknown size: what Gemini 3 takes unless told otherwise; others take as much."""


def count_usual_image(image: Image) -> float:  # noqa: ARG001  # whatever it is
    """Count an image where there is no formula."""
    return USUAL_IMAGE


@attrs.frozen
class TokenWeights:
    """
    What a provider counts besides words, in tokens.

    Measured on recorded answers or published; whatever is wrong with it, the difference to what the
    provider reports is learned while a client talks.

    Attributes:
        per_message: What each message takes beside its text.

        per_request: What each request takes beside its messages: the beginning of the answer, and a prompt
            of the provider's own.

        digits_per_token: How many digits of a number make one token.

        tools: The share of the JSON of its tools that a request takes.

        per_page: Of a PDF.

        per_audio_second: Of sound.

        per_video_second: Of film, its sound included.

        count_image: The tokens of one image.
    """

    per_message: float = 4
    per_request: float = 3
    digits_per_token: int = 3
    tools: float = 0.65
    per_page: float = USUAL_IMAGE
    per_audio_second: float = 32
    per_video_second: float = 300
    count_image: Callable[[Image], float] = count_usual_image


class TokenSource(StrEnum):
    """
    Where a count comes from.

    ``estimated``: the estimator, or whichever plugin counts. ``calibrated``: the same, corrected by what
    the provider reported for earlier requests. ``provider``: the service counted.
    """

    ESTIMATED = "estimated"
    CALIBRATED = "calibrated"
    PROVIDER = "provider"


@attrs.frozen
class TokenCount:
    """
    How many tokens a request would be.

    Attributes:
        tokens: Of the whole prompt.

        exact: Whether the service counted itself.

        source: Where the count comes from.
    """

    tokens: int
    exact: bool
    source: TokenSource


@attrs.frozen
class CalibrationRecord:
    """
    What was learned of how a model counts tokens: it reports ``offset + factor * estimate``.

    Attributes:
        has_media: Whether it was learned of requests with attachments.

        count: The reports it was learned from.

        offset_doubt: How much the offset is in doubt, as a variance; so the other two, of the factor and of
            both together.
    """

    provider: str
    model: str
    has_media: bool
    offset: float
    factor: float
    count: int
    offset_doubt: float
    factor_doubt: float
    common_doubt: float
