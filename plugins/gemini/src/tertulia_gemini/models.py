"""
Gemini's models, as of 22 November 2026. Source: Google's model and thinking pages.

The list call knows the limits better, and has the last word on them.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tertulia import Capability, ModelInfo

DEFAULT_MODEL = "gemini-3.5-flash"

_WINDOW = 1_048_576
_READ_AT = datetime(2026, 11, 22, tzinfo=UTC)
_CAN = frozenset(Capability)

FROM_MINIMAL = ("minimal", "low", "medium", "high")
FROM_LOW = ("low", "medium", "high")
BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24_576}
"""
Tokens of thought by effort, for the models that are told a number; ours, as Google has no words for them.

Source: the range of each model; the steps from low on are those of Google's own mapping from words.
"""

LEVELS = (*FROM_MINIMAL, "xhigh")
"""The words there are for models that are told one; which of them a model takes is in its facts."""


def _model(name: str, efforts: tuple[str, ...] | None, *, max_output: int = 65_536) -> ModelInfo:
    # Except for argon, the window is of the prompt alone; the smaller reading is the safe one.
    return ModelInfo(
        "gemini",
        name,
        context_window=_WINDOW,
        max_input_tokens=_WINDOW,
        max_output_tokens=max_output,
        capabilities=_CAN,
        reasoning_efforts=efforts,
    )


def _gone(name: str, successor: str) -> ModelInfo:
    return ModelInfo("gemini", name, successor=successor, gone_at=_READ_AT)


MODELS: tuple[ModelInfo, ...] = (
    _model("gemini-4-argon", FROM_LOW, max_output=_WINDOW),
    _model("gemini-4-carbon", FROM_LOW),
    _model("gemini-4-hydrogen", None),
    _model("gemini-3.8-flash", FROM_LOW),
    _model("gemini-3.7-flash", FROM_LOW),
    _model("gemini-3.6-flash", FROM_MINIMAL),
    _model("gemini-3.5-flash", FROM_MINIMAL),
    _model("gemini-3.5-flash-lite", FROM_MINIMAL),
    _model("gemini-3.1-pro-preview", FROM_LOW),
    _model("gemini-3.1-flash-lite", None),
    _model("gemini-3-flash-preview", FROM_MINIMAL),
    _model("gemini-2.5-pro", FROM_MINIMAL),  # as a budget, which may not be 0
    _model("gemini-2.5-flash", tuple(BUDGETS)),
    _model("gemini-2.5-flash-lite", tuple(BUDGETS)),
    _gone("gemini-3-pro-preview", "gemini-3.1-pro-preview"),
    _gone("gemini-2.0-flash", "gemini-3.5-flash"),
    _gone("gemini-2.0-flash-lite", "gemini-3.5-flash-lite"),
    _gone("gemini-1.5-pro", "gemini-3.1-pro-preview"),
    _gone("gemini-1.5-flash", "gemini-3.5-flash"),
    _gone("gemini-1.5-flash-8b", "gemini-3.5-flash-lite"),
    _gone("gemini-1.0-pro", "gemini-3.5-flash"),
    _gone("gemini-1.0-pro-vision", "gemini-3.5-flash"),
    _gone("gemini-pro-vision", "gemini-3.5-flash"),
)
"""
What can be asked for, and what could: the last ones are no longer listed, and say what to ask for instead.

``gemini-pro`` is not among them, as ``gemini-pro-latest`` would be taken for a snapshot of it, and is alive.
"""

_GONE = ("gemini-1.0-", "gemini-1.5-", "gemini-2.0-", "gemini-pro-vision")


def find_successor(model: str) -> str | None:
    """Name what takes the place of a model whose generation is gone, by its size; None for any other."""
    name = model.removeprefix("models/")
    if name != "gemini-pro" and not name.startswith(_GONE):
        return None
    if "lite" in name or "8b" in name:
        return "gemini-3.5-flash-lite"
    is_large = name.startswith(("gemini-1.5-pro", "gemini-2.0-pro"))
    return "gemini-3.1-pro-preview" if is_large else "gemini-3.5-flash"
