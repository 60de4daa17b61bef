"""The driver: where xAI is, what it calls things, and how it says no."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

import attrs

from tertulia import (
    Capability,
    ErrorKind,
    HTTPProvider,
    LongContext,
    MediaLimits,
    ModelInfo,
    Money,
    Price,
    ProviderReply,
    Rates,
)
from tertulia.wire import ErrorRule, ErrorRules, Json, Wire, read_count, read_list, read_text, read_texts
from tertulia.wire.chat_completions import ChatCompletionsWire
from tertulia.wire.chat_completions import Dialect as ChatDialect
from tertulia.wire.openai_errors import ERROR_RULES as OPENAI_ERROR_RULES
from tertulia.wire.responses import Dialect, ResponsesWire
from tertulia_xai.models import DEFAULT_MODEL, MODELS
from tertulia_xai.prices import PRICES

PICO_PER_TICK = 100
"""xAI counts in ticks of 1e-10 dollars."""

PLACES = 4
"""The model list counts in ten-thousandths of a dollar per million tokens."""

CODES = {
    ErrorKind.AUTHENTICATION: frozenset(
        {"The request does not have valid authentication credentials", "unauthenticated"}
    ),
    ErrorKind.PERMISSION: frozenset(
        {"The caller does not have permission to execute the specified operation", "permission-denied"}
    ),
    ErrorKind.RATE_LIMITED: frozenset(
        {"Some resource has been exhausted", "resource-exhausted", "rate_limit", "rate-limited"}
    ),
    ErrorKind.OVERLOADED: frozenset({"unavailable"}),
    ErrorKind.TIMEOUT: frozenset({"Deadline expired before operation could complete", "deadline-exceeded"}),
    ErrorKind.SERVER: frozenset({"Internal error", "Unknown error", "internal"}),
}
"""Codes, of which most are what gRPC calls its statuses in words: under status 200 there is nothing else."""

INVALID_CODES = frozenset({"Client specified an invalid argument", "invalid-argument"})

ERROR_RULES: ErrorRules = (
    ErrorRule(ErrorKind.AUTHENTICATION, pattern="incorrect api key|no api key"),
    ErrorRule(
        ErrorKind.QUOTA_EXHAUSTED,
        pattern="doesn't have any credits|used all available credits|spending.limit|personal-team-blocked",
    ),
    ErrorRule(ErrorKind.CONTEXT_LENGTH, pattern="maximum prompt length is"),
    ErrorRule(
        ErrorKind.CONTENT_FILTER, pattern="usage guidelines|safety check", statuses=frozenset({400, 403})
    ),
    ErrorRule(ErrorKind.INVALID_REQUEST, statuses=frozenset({410})),
    ErrorRule(ErrorKind.MODEL_NOT_FOUND, pattern="model.* does not exist|model.* not found"),
    ErrorRule(ErrorKind.UNSUPPORTED_PARAMETER, pattern="does not support (parameter|'\\w+' value)"),
    ErrorRule(ErrorKind.OVERLOADED, pattern="service is currently unavailable"),
    *(ErrorRule(kind, codes=codes) for kind, codes in CODES.items()),
    ErrorRule(ErrorKind.INVALID_REQUEST, codes=INVALID_CODES, statuses=frozenset({None})),
    *OPENAI_ERROR_RULES,
)
"""Words before codes: most errors are called an invalid argument, whatever they are."""

RESPONSES_DIALECT = Dialect(system_as_instructions=False, assistant_as_string=True)
CHAT_DIALECT = ChatDialect(answer_limit="max_completion_tokens", reasoning_in_completion=False)


class XAIProvider(HTTPProvider):
    """
    xAI, stateless: nothing is kept at xAI.

    Settings: ``api``, ``"responses"`` unless it is ``"chat"``, which xAI calls legacy.
    """

    BASE_URL: ClassVar[str] = "https://api.x.ai/v1"
    DEFAULT_MODEL = DEFAULT_MODEL
    KEY_VARIABLES = ("AI_XAI_API_KEY", "XAI_API_KEY")
    SETTINGS = frozenset({"api"})
    MODELS = MODELS
    PRICES = PRICES
    IMAGES = MediaLimits(frozenset({"image/jpeg", "image/png"}), max_bytes=20 * 2**20, urls=True)
    ERROR_RULES = ERROR_RULES

    def make_wire(self) -> Wire:
        """Responses, or Chat Completions, each in xAI's dialect."""
        if self.choose("api", among=("responses", "chat"), default="responses") == "chat":
            return ChatCompletionsWire(self.name, CHAT_DIALECT)
        return ResponsesWire(
            self.name, lambda model: self.can(model, Capability.REASONING), RESPONSES_DIALECT
        )

    def annotate(self, reply: ProviderReply) -> ProviderReply:
        """Take what xAI says the call cost."""
        return with_reported_cost(reply)

    async def list_models(self) -> Sequence[ModelInfo]:
        """List the models of the key, with their aliases and what they cost now; limits are bundled."""
        body = await self.get_json("/language-models", member="models")
        found = [
            (identifier, item) for item in read_list(body, "models") if (identifier := read_text(item, "id"))
        ]
        return [
            attrs.evolve(
                self.describe(identifier),
                aliases=tuple(read_texts(item, "aliases")),
                price=parse_price(item, identifier),
            )
            for identifier, item in found
        ]


def parse_price(item: Json, model: str) -> Price | None:
    """
    Read what a model costs from its entry in the list; None when the entry has no prices.

    The integers are cents per 100 million tokens: 12500 is $1.25 per million.
    """
    rates = _parse_rates(item, "")
    threshold = read_count(item, "long_context_threshold")
    beyond = None if threshold is None else _parse_rates(item, "_long_context")
    if rates is None:
        return None
    return Price(
        id=f"xai/{model}/listed",
        model=model,
        rates=rates,
        long_context=None if threshold is None or beyond is None else LongContext(threshold, beyond),
        source="xAI /v1/language-models",
    )


def _parse_rates(item: Json, suffix: str) -> Rates | None:
    names = ("prompt_text_token_price", "completion_text_token_price", "cached_prompt_text_token_price")
    prompt, completion, cached = (read_count(item, name + suffix) for name in names)
    if prompt is None or completion is None:
        return None
    return Rates(
        _dollars(prompt),
        _dollars(completion),
        None if cached is None else _dollars(cached),
    )


def _dollars(listed: int) -> Decimal:
    """Shift the point, exactly: dividing would round to the caller's own precision."""
    return Decimal((0, tuple(map(int, str(listed))), -PLACES))


def with_reported_cost(reply: ProviderReply) -> ProviderReply:
    """
    Take what xAI says the call cost as the cost of record: discounts, regions and fees are in it.

    Example:
        213 tokens in and 39 out were reported as 4,680,000 ticks, which is $0.000468.
    """
    ticks = read_count(reply.billing.raw, "cost_in_usd_ticks")
    if ticks is None:
        return reply
    return attrs.evolve(reply, billing=attrs.evolve(reply.billing, reported=Money(ticks * PICO_PER_TICK)))
