"""
OpenAI's models, as of 22 November 2026.

Limits, efforts and dates are from OpenAI's model pages. A successor is our advice, by window and price:
OpenAI names none.
"""

from __future__ import annotations

from datetime import date

from tertulia import Capability, ModelInfo

DEFAULT_MODEL = "gpt-6.1-sol"

_TALKS = frozenset(
    {
        Capability.STREAMING,
        Capability.SYSTEM,
        Capability.TOOLS,
        Capability.STRUCTURED_OUTPUT,
        Capability.VISION,
        Capability.DOCUMENTS,
    }
)
_SAMPLES = _TALKS | {Capability.SAMPLING}
_THINKS = _TALKS | {Capability.REASONING}
_MAY_THINK = _SAMPLES | {Capability.REASONING}
_HEARS = frozenset({Capability.AUDIO})

_LOW = ("low", "medium", "high")
_ALWAYS = (*_LOW, "xhigh", "max")
_OR_NOT = ("none", *_ALWAYS)

_MILLION = (1_050_000, 922_000, 128_000)
_MEDIUM = (400_000, 272_000, 128_000)
_SMALL = (128_000, 128_000, 16_384)

_UNSAID = (None, None, None)

_OCTOBER = date(2026, 10, 23)
_DECEMBER = date(2026, 12, 11)
_JANUARY = date(2027, 1, 14)
_APRIL = date(2027, 4, 1)


def _model(
    name: str,
    limits: tuple[int | None, int | None, int | None],
    capabilities: frozenset[Capability],
    efforts: tuple[str, ...] | None = None,
    *,
    until: date | None = None,
    successor: str | None = None,
) -> ModelInfo:
    window, max_input, max_output = limits
    return ModelInfo(
        "openai",
        name,
        context_window=window,
        max_input_tokens=max_input,
        max_output_tokens=max_output,
        capabilities=capabilities,
        reasoning_efforts=efforts,
        refused_options=_STOP if Capability.SAMPLING not in capabilities else frozenset(),
        shutdown_on=until,
        successor=successor,
    )


_STOP = frozenset({"stop"})
"""What a model that always thinks refuses, besides all that has to do with sampling."""


def _gone(name: str, successor: str, thinks: bool = False) -> ModelInfo:
    efforts = _LOW if thinks else ()
    return _model(
        name, _UNSAID, _THINKS if thinks else _SAMPLES, efforts, until=_OCTOBER, successor=successor
    )


THINK_UNASKED: tuple[ModelInfo, ...] = (
    _model("gpt-6.1-terra", _MILLION, _MAY_THINK | _HEARS, _OR_NOT),
    _model("gpt-6-sol", _MILLION, _MAY_THINK | _HEARS, _OR_NOT),
    _model("gpt-6-luna", _MILLION, _MAY_THINK | _HEARS, _OR_NOT),
    _model("gpt-5.6-sol", _MILLION, _MAY_THINK, _OR_NOT),
    _model("gpt-5.6-terra", _MILLION, _MAY_THINK, _OR_NOT),
    _model("gpt-5.6-luna", _MILLION, _MAY_THINK, _OR_NOT),
    _model("gpt-5.5", _MILLION, _MAY_THINK, ("none", *_LOW, "xhigh")),
)
"""These think unless they are told not to; then they take a temperature."""

MODELS: tuple[ModelInfo, ...] = (
    _model("gpt-6.2-sol", _MILLION, _THINKS | _HEARS),
    _model("gpt-6.2-astra", _MILLION, _THINKS | _HEARS),
    # These always think, so they take no temperature and its like.
    _model("gpt-6-astra", _MILLION, _THINKS | _HEARS, _ALWAYS),
    _model("gpt-6.1-sol", _MILLION, _THINKS | _HEARS, _ALWAYS),
    *THINK_UNASKED,
    _model("gpt-5.5-pro", _MILLION, _THINKS, ("medium", "high", "xhigh")),
    # These think only when they are told to.
    _model("gpt-5.4", _MILLION, _MAY_THINK, ("none", *_LOW, "xhigh")),
    _model("gpt-5.4-mini", _MEDIUM, _MAY_THINK, ("none", *_LOW, "xhigh")),
    _model(
        "gpt-5.4-nano",
        _MEDIUM,
        _MAY_THINK,
        ("none", *_LOW, "xhigh"),
        until=_APRIL,
        successor="gpt-6-luna",
    ),
    _model("gpt-5.4-pro", _UNSAID, _THINKS, ("medium", "high", "xhigh")),
    _model("gpt-5.3-codex", _UNSAID, _MAY_THINK, ("none", *_LOW, "xhigh")),
    _model("gpt-5.3-chat", _UNSAID, _THINKS, ("medium",)),
    _model("gpt-5.2-pro", _UNSAID, _THINKS, ("medium", "high", "xhigh")),
    _model("gpt-5.2-chat", _UNSAID, _THINKS, ("medium",)),
    _model("gpt-5.2", _MEDIUM, _MAY_THINK, ("none", *_LOW, "xhigh")),
    _model("gpt-5.1", _MEDIUM, _MAY_THINK, ("none", *_LOW), until=_APRIL, successor="gpt-6.1-terra"),
    _model("gpt-5.1-chat", _UNSAID, _THINKS, ("medium",)),
    _model("gpt-5-pro", _UNSAID, _THINKS, ("high",)),
    _model("gpt-5-chat", _UNSAID, _SAMPLES, ()),
    _model("gpt-5", _MEDIUM, _THINKS, ("minimal", *_LOW), until=_DECEMBER, successor="gpt-6.1-terra"),
    _model("gpt-5-mini", _MEDIUM, _THINKS, ("minimal", *_LOW), until=_DECEMBER, successor="gpt-5.6-luna"),
    _model("gpt-5-nano", _MEDIUM, _THINKS, ("minimal", *_LOW), until=_DECEMBER, successor="gpt-6-luna"),
    _model("o3", (200_000, 200_000, 100_000), _THINKS, _LOW, until=_DECEMBER, successor="gpt-6.1-terra"),
    _model(
        "gpt-4.1",
        (1_047_576, 1_047_576, 32_768),
        _SAMPLES,
        (),
        until=_JANUARY,
        successor="gpt-6.1-terra",
    ),
    _model(
        "gpt-4.1-mini", (1_047_576, 1_047_576, 32_768), _SAMPLES, (), until=_JANUARY, successor="gpt-5.6-luna"
    ),
    _model("gpt-4o", _SMALL, _SAMPLES, (), until=_JANUARY, successor="gpt-6.1-terra"),
    _model("gpt-4o-mini", _SMALL, _SAMPLES, (), until=_JANUARY, successor="gpt-6-luna"),
    _gone("gpt-4.1-nano", "gpt-6-luna"),
    _gone("gpt-4-turbo", "gpt-6.1-terra"),
    _gone("gpt-4", "gpt-6.1-terra"),
    _gone("gpt-3.5-turbo", "gpt-6-luna"),
    _gone("o4-mini", "gpt-5.6-luna", thinks=True),
    _gone("o3-mini", "gpt-5.6-luna", thinks=True),
    _gone("gpt-4-turbo-preview", "gpt-6.1-terra"),
    _gone("gpt-4-vision-preview", "gpt-6.1-terra"),
    _gone("o1", "gpt-6.1-terra", thinks=True),
    _gone("o1-preview", "gpt-6.1-terra", thinks=True),
    _gone("o1-mini", "gpt-5.6-luna", thinks=True),
)
