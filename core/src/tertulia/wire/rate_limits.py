"""What a service says of its limits in the headers of an answer."""

from __future__ import annotations

from collections.abc import Mapping

from tertulia.domain.limits import RateLimits
from tertulia.wire.errors import parse_duration

_MOST = 2**63 - 1


def parse_rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """
    Read what is left to us, and when all of it is there again.

    Args:
        headers: With lower-case names.

    Returns:
        None when they say nothing of it. A value that makes no sense counts as not said.

    Source: OpenAI's page on rate limits, xAI's and Groq's headers (read 2026-11).
    """
    if headers.keys().isdisjoint(_NAMES):
        return None
    found = RateLimits(
        requests=_read_count(headers.get("x-ratelimit-remaining-requests")),
        requests_reset=_read_seconds(headers.get("x-ratelimit-reset-requests")),
        tokens=_read_count(headers.get("x-ratelimit-remaining-tokens")),
        tokens_reset=_read_seconds(headers.get("x-ratelimit-reset-tokens")),
    )
    return None if found == _NOTHING else found


_NOTHING = RateLimits()
_NAMES = tuple(f"x-ratelimit-{what}-{of}" for what in ("remaining", "reset") for of in ("requests", "tokens"))


def _read_count(value: str | None) -> int | None:
    if value is None or not (value.isascii() and value.isdecimal()) or len(value) > 19:
        return None
    return int(value) if int(value) <= _MOST else None


def _read_seconds(value: str | None) -> float | None:
    """A duration as Go writes it, or a number of seconds."""
    if value is None:
        return None
    return parse_duration(value if value[-1:].isalpha() else f"{value}s")
