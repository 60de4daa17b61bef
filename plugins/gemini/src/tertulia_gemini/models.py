"""
Gemini's models, as of 22 November 2026. Source: Google's model and pricing pages.

Two price changes that are announced are in the table with their dates.
"""

from __future__ import annotations

from tertulia import Capability, ModelInfo

DEFAULT_MODEL = "gemini-3.5-flash"

_WINDOW = 1_048_576
_CAN = frozenset(
    {
        Capability.STREAMING,
        Capability.SYSTEM,
        Capability.TOOLS,
        Capability.STRUCTURED_OUTPUT,
        Capability.VISION,
        Capability.REASONING,
        Capability.SAMPLING,
    }
)


def _model(name: str, max_output: int = 65_536) -> ModelInfo:
    # Except for argon, the window is of the prompt alone; the smaller reading is the safe one.
    return ModelInfo(
        "gemini",
        name,
        context_window=_WINDOW,
        max_input_tokens=_WINDOW,
        max_output_tokens=max_output,
        capabilities=_CAN,
    )


MODELS: tuple[ModelInfo, ...] = (
    _model("gemini-4-argon", _WINDOW),
    *(
        _model(name)
        for name in (
            "gemini-4-carbon",
            "gemini-4-hydrogen",
            "gemini-3.8-flash",
            "gemini-3.7-flash",
            "gemini-3.6-flash",
            "gemini-3.5-flash",
            "gemini-3.5-flash-lite",
            "gemini-3.1-pro-preview",
            "gemini-3.1-flash-lite",
            "gemini-3-flash-preview",
            "gemini-2.5-pro",
            "gemini-2.5-flash",
            "gemini-2.5-flash-lite",
        )
    ),
)
