"""
xAI's models, as of 22 November 2026.

The service reports what each call cost, and that is the cost of record; these rows are for models it
has not answered yet, and to compare with. Sources: xAI's model list and pricing page.
"""

from __future__ import annotations

from tertulia import Capability, ModelInfo

DEFAULT_MODEL = "grok-4.7"

_CAN = frozenset(
    {
        Capability.STREAMING,
        Capability.SYSTEM,
        Capability.TOOLS,
        Capability.STRUCTURED_OUTPUT,
        Capability.VISION,
        Capability.SAMPLING,
    }
)
_REASONS = _CAN | {Capability.REASONING}
REDIRECTED = (
    "grok-3",
    "grok-4-0709",
    "grok-4-fast-reasoning",
    "grok-4-fast-non-reasoning",
    "grok-4-1-fast-reasoning",
    "grok-4-1-fast-non-reasoning",
)
"""Retired on 15 May 2026: they are answered, and billed, as grok-4.3."""


def _model(name: str, window: int, capabilities: frozenset[Capability], *aliases: str) -> ModelInfo:
    return ModelInfo("xai", name, context_window=window, capabilities=capabilities, aliases=aliases)


MODELS: tuple[ModelInfo, ...] = (
    _model("grok-4.7", 500_000, _REASONS),
    _model("grok-4.6", 500_000, _REASONS, "grok-latest"),
    _model("grok-4.5", 500_000, _REASONS, "grok-build-latest"),
    _model("grok-4.3", 1_000_000, _REASONS, *REDIRECTED),
    _model("grok-4.20-reasoning", 1_000_000, _REASONS),
    _model("grok-4.20-non-reasoning", 1_000_000, _CAN),
    _model("grok-build-0.1", 256_000, _REASONS, "grok-code-fast-1"),
)
