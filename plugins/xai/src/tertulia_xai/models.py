"""
What is known of xAI's models, as of 22 November 2026.

Sources: xAI's model list, and its pages on models, reasoning and migration. What each model costs is in
:mod:`tertulia_xai.prices`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import attrs

from tertulia import Capability, ModelInfo

DEFAULT_MODEL = "grok-4.7"

MOST_TOOLS = 128
"""Tools that a request may have, hosted ones included."""

_CAN = frozenset(
    {
        Capability.STREAMING,
        Capability.SYSTEM,
        Capability.TOOLS,
        Capability.STRUCTURED_OUTPUT,
        Capability.VISION,
        Capability.DOCUMENTS,
        Capability.SAMPLING,
    }
)
_REASONS = _CAN | {Capability.REASONING}
_REFUSED = frozenset({"presence_penalty", "frequency_penalty", "stop"})
"""What models that reason answer with status 400."""

_TO_HIGH = ("low", "medium", "high")
_TO_XHIGH = (*_TO_HIGH, "xhigh")
_FROM_NONE = ("none", *_TO_HIGH)
_NO_EFFORT: tuple[str, ...] = ()  # the parameter itself is refused, whatever its value

RETIRED_ON = date(2026, 5, 15)
REDIRECTED = (
    "grok-3",
    "grok-4-0709",
    "grok-4-fast-reasoning",
    "grok-4-fast-non-reasoning",
    "grok-4-1-fast-reasoning",
    "grok-4-1-fast-non-reasoning",
)
"""Retired on that day: they are still answered, and billed, as grok-4.3."""


GONE = ("grok-2", "grok-2-vision", "grok-beta", "grok-vision-beta")
"""No longer answered."""

_READ_AT = datetime(2026, 11, 22, tzinfo=UTC)


def _reasoning(name: str, window: int, efforts: tuple[str, ...] | None, *aliases: str) -> ModelInfo:
    return ModelInfo(
        "xai",
        name,
        context_window=window,
        capabilities=_REASONS,
        aliases=aliases,
        reasoning_efforts=efforts,
        refused_options=_REFUSED,
    )


def _retired(name: str, successor: ModelInfo) -> ModelInfo:
    """A name that its successor answers to: what holds of the one holds of the other."""
    return attrs.evolve(
        successor, id=name, aliases=(), shutdown_on=RETIRED_ON, successor=successor.id, price=None
    )


_GROK_4_3 = _reasoning("grok-4.3", 1_000_000, _FROM_NONE)
_BUILD = _reasoning("grok-build-0.1", 256_000, None)

MODELS: tuple[ModelInfo, ...] = (
    _reasoning("grok-4.7", 500_000, _TO_XHIGH),
    _reasoning("grok-4.6", 500_000, _TO_XHIGH),
    # grok-4.6, and with the effort "none", which that refuses, grok-4.3.
    _reasoning("grok-latest", 500_000, ("none", *_TO_XHIGH)),
    _reasoning("grok-4.5", 500_000, _TO_HIGH, "grok-build-latest"),
    _GROK_4_3,
    _reasoning("grok-4.20-reasoning", 1_000_000, _NO_EFFORT),
    ModelInfo(
        "xai",
        "grok-4.20-non-reasoning",
        context_window=1_000_000,
        capabilities=_CAN,
        reasoning_efforts=_NO_EFFORT,
    ),
    # Its effort is the number of its agents, so any word may be right.
    _reasoning("grok-4.20-multi-agent", 1_000_000, None),
    _BUILD,
    *(_retired(name, _GROK_4_3) for name in REDIRECTED),
    _retired("grok-code-fast-1", _BUILD),
    *(ModelInfo("xai", name, successor=DEFAULT_MODEL, gone_at=_READ_AT) for name in GONE),
)
