"""
OpenAI's models, as of 22 November 2026.

Limits and prices are from OpenAI's model and pricing pages. A price row has a date because prices change:
what an answer cost is computed from the row that was valid when it was asked for.
"""

from __future__ import annotations

from tertulia import Capability, ModelInfo

DEFAULT_MODEL = "gpt-6.1-sol"

_TALKS = frozenset(
    {
        Capability.STREAMING,
        Capability.SYSTEM,
        Capability.TOOLS,
        Capability.STRUCTURED_OUTPUT,
        Capability.VISION,
    }
)
_REASONS = _TALKS | {Capability.REASONING}
_SAMPLES = _TALKS | {Capability.SAMPLING}


def _model(
    name: str, window: int, max_input: int, max_output: int, capabilities: frozenset[Capability]
) -> ModelInfo:
    return ModelInfo(
        "openai",
        name,
        context_window=window,
        max_input_tokens=max_input,
        max_output_tokens=max_output,
        capabilities=capabilities,
    )


_MILLION_TOKEN_MODELS = (
    "gpt-6.2-sol",
    "gpt-6.2-astra",
    "gpt-6-astra",
    "gpt-6.1-sol",
    "gpt-6.1-terra",
    "gpt-6-sol",
    "gpt-6-luna",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "gpt-5.5",
    "gpt-5.5-pro",
    "gpt-5.4",
)
_MEDIUM_MODELS = ("gpt-5.4-mini", "gpt-5.4-nano", "gpt-5.2", "gpt-5.1", "gpt-5", "gpt-5-mini", "gpt-5-nano")

MODELS: tuple[ModelInfo, ...] = (
    *(_model(name, 1_050_000, 922_000, 128_000, _REASONS) for name in _MILLION_TOKEN_MODELS),
    *(_model(name, 400_000, 272_000, 128_000, _REASONS) for name in _MEDIUM_MODELS),
    _model("gpt-4.1", 1_047_576, 1_047_576, 32_768, _SAMPLES),
    _model("gpt-4o", 128_000, 128_000, 16_384, _SAMPLES),
    _model("gpt-4o-mini", 128_000, 128_000, 16_384, _SAMPLES),
    _model("o3", 200_000, 200_000, 100_000, _REASONS),
)
