"""The models that the services list and answer as, with their limits: November 2026."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

CREATED = 1_767_225_600
"""When every model says it was created: the first day of 2026."""

TICKS_PER_SEARCH = 50_000_000
"""What xAI takes for a search: five US dollars for a thousand."""


@dataclass(frozen=True)
class Model:
    """A model: its id, and the most tokens it takes and gives."""

    id: str
    max_input: int
    max_output: int


@dataclass(frozen=True)
class OpenAIModel(Model):
    """
    A model of OpenAI.

    Attributes:
        reasons: Whether it reasons unless asked not to; sampling parameters are refused while it does.
        phased: Whether its messages say that they are the final answer.
        shutdown_date: The ISO date from which it answers no more, if one is set.
        efforts: How hard it can be told to think; empty where it cannot think.
        knows_effort: Whether that is known; else it takes any.
    """

    reasons: bool = True
    phased: bool = True
    shutdown_date: str | None = None
    efforts: tuple[str, ...] = ()
    knows_effort: bool = True


@dataclass(frozen=True)
class GeminiModel(Model):
    """
    A model of Google Gemini.

    Attributes:
        methods: What it can be asked to do.
        serves: The model behind an alias, which exists on ``v1beta`` only.
    """

    methods: tuple[str, ...] = (
        "generateContent",
        "countTokens",
        "createCachedContent",
        "batchGenerateContent",
    )
    serves: str | None = None

    @property
    def family(self) -> str:
        """The id, of an alias that of the model behind it."""
        return self.serves or self.id

    @property
    def is_old(self) -> bool:
        """Whether it is told how much to think, rather than how hard, and needs no signatures."""
        return self.family.startswith(("gemini-2.", "gemini-1."))

    @property
    def always_thinks(self) -> bool:
        """Whether it refuses not to think."""
        return self.family.startswith("gemini-2.5-pro")

    @property
    def levels(self) -> tuple[str, ...]:
        """How hard it can be told to think."""
        return ("LOW", "MEDIUM", "HIGH") if self.family.startswith(_NO_MINIMAL) else _ALL_LEVELS


_ALL_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_NO_MINIMAL = (
    "gemini-3.1-pro",
    "gemini-3.7-flash",
    "gemini-3.8-flash",
    "gemini-4-argon",
    "gemini-4-carbon",
)


@dataclass(frozen=True)
class XAIModel(Model):
    """
    A model of xAI.

    Attributes:
        prices: Of input, cached input and output, in ticks per token: 10,000,000,000 ticks are one US
            dollar. From ``LONG_CONTEXT`` prompt tokens on, every token costs twice as much.
        aliases: Other names it is listed with.
        retired: Names that are not listed; this model answers to them, and under them.
        efforts: How hard it can be told to think; empty where nobody said.
        gives_state: Whether it gives its sealed thoughts away unasked.
    """

    prices: tuple[int, int, int]
    aliases: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    efforts: tuple[str, ...] = ()
    gives_state: bool = False

    LONG_CONTEXT: ClassVar[int] = 200_000

    @property
    def takes_effort(self) -> bool:
        """Whether it can be told how hard to think at all."""
        return not self.id.startswith("grok-4.20")

    def cost(self, input_tokens: int, output_tokens: int, searches: int = 0) -> int:
        """What an answer costs, in ticks, when nothing was cached; each search has its fee."""
        factor = 2 if input_tokens >= self.LONG_CONTEXT else 1
        input_price, _, output_price = self.prices
        tokens = factor * (input_tokens * input_price + output_tokens * output_price)
        return tokens + searches * TICKS_PER_SEARCH


def _openai(names: str, max_input: int, max_output: int, **traits: Any) -> tuple[OpenAIModel, ...]:
    return tuple(OpenAIModel(name, max_input, max_output, **traits) for name in names.split())


_NEVER_OFF = ("low", "medium", "high", "xhigh", "max")
_CAN_BE_OFF = ("none", *_NEVER_OFF)

OPENAI_MODELS = (
    *_openai("gpt-6.2-sol gpt-6.2-astra", 922_000, 128_000, knows_effort=False),
    *_openai("gpt-6-astra gpt-6.1-sol", 922_000, 128_000, efforts=_NEVER_OFF),
    *_openai("gpt-6.1-terra gpt-6-sol gpt-6-luna", 922_000, 128_000, efforts=_CAN_BE_OFF),
    *_openai("gpt-5.6-sol gpt-5.6-terra gpt-5.6-luna", 922_000, 128_000, efforts=_CAN_BE_OFF),
    *_openai("gpt-5.5", 922_000, 128_000, efforts=_CAN_BE_OFF[:-1]),
    *_openai("gpt-5.5-pro", 922_000, 128_000, efforts=("medium", "high", "xhigh")),
    *_openai("gpt-5.4", 922_000, 128_000, reasons=False, efforts=_CAN_BE_OFF[:-1]),
    *_openai("gpt-5.4-mini", 272_000, 128_000, reasons=False, efforts=_CAN_BE_OFF[:-1]),
    *_openai(
        "gpt-5.4-nano",
        272_000,
        128_000,
        reasons=False,
        efforts=_CAN_BE_OFF[:-1],
        shutdown_date="2027-04-01",
    ),
    *_openai(
        "gpt-5 gpt-5-mini",
        272_000,
        128_000,
        phased=False,
        efforts=("minimal", "low", "medium", "high"),
        shutdown_date="2026-12-11",
    ),
    *_openai("gpt-4.1", 1_014_808, 32_768, reasons=False, phased=False, shutdown_date="2027-01-14"),
    *_openai("gpt-4o gpt-4o-mini", 111_616, 16_384, reasons=False, phased=False, shutdown_date="2027-01-14"),
)

GEMINI_NAMES = """
    gemini-4-carbon gemini-4-hydrogen gemini-3.8-flash gemini-3.7-flash gemini-3.6-flash gemini-3.5-flash
    gemini-3.5-flash-lite gemini-3.1-pro-preview gemini-3.1-flash-lite gemini-3-flash-preview gemini-2.5-pro
    gemini-2.5-flash gemini-2.5-flash-lite
""".split()  # noqa: SIM905 - a list of a dozen lines says no more

GEMINI_MODELS = (
    GeminiModel("gemini-4-argon", 1_048_576, 1_048_576),
    *(GeminiModel(name, 1_048_576, 65_536) for name in GEMINI_NAMES),
    GeminiModel("gemini-embedding-001", 2_048, 1, methods=("embedContent",)),
    # Which model is behind an alias is the simulator's guess: the newest of the family.
    GeminiModel("gemini-flash-latest", 1_048_576, 65_536, serves="gemini-3.8-flash"),
    GeminiModel("gemini-flash-lite-latest", 1_048_576, 65_536, serves="gemini-3.5-flash-lite"),
    GeminiModel("gemini-pro-latest", 1_048_576, 65_536, serves="gemini-3.1-pro-preview"),
)

RETIRED = """
    grok-3 grok-4-0709 grok-4-fast-reasoning grok-4-fast-non-reasoning
    grok-4-1-fast-reasoning grok-4-1-fast-non-reasoning
""".split()  # noqa: SIM905 - as above

LEVELS = ("low", "medium", "high", "xhigh")

XAI_MODELS = (
    XAIModel(
        "grok-4.7",
        500_000,
        500_000,
        (20_000, 5_000, 60_000),
        aliases=("grok-4.7-latest",),
        efforts=LEVELS,
        gives_state=True,
    ),
    XAIModel(
        "grok-4.6",
        500_000,
        500_000,
        (20_000, 5_000, 60_000),
        aliases=("grok-4.6-latest", "grok-latest"),
        efforts=LEVELS,
    ),
    XAIModel(
        "grok-4.5",
        500_000,
        500_000,
        (20_000, 3_000, 60_000),
        aliases=("grok-build-latest",),
        efforts=LEVELS[:3],
    ),
    XAIModel(
        "grok-4.3",
        1_000_000,
        1_000_000,
        (12_500, 2_000, 25_000),
        retired=tuple(RETIRED),
        efforts=("none", *LEVELS[:3]),
    ),
    XAIModel("grok-build-0.1", 256_000, 256_000, (10_000, 2_000, 20_000), retired=("grok-code-fast-1",)),
)

LOCAL_MODELS = (Model("llama-sim", 32_768, 32_768),)
