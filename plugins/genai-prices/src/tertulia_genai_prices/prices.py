"""The plugin: what genai-prices says, where nobody else knew and where it really says so."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from tertulia import Billing, Cost, Money, Target, Usage, hookimpl

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

VENDORS: Mapping[str, str] = MappingProxyType({"openai": "openai", "gemini": "google", "xai": "x-ai"})
"""What genai-prices calls the vendors, by driver."""

_USUAL_TIERS = frozenset({None, "default", "standard", "auto"})


class Prices:
    """
    Prices from genai-prices, for what nobody else priced.

    They come with the installed version: nothing is fetched, and no updater runs.

    Args:
        providers: What genai-prices calls the vendor behind a configured name, for gateways and for vendors
            without a driver of their own: ``{"router": "openrouter"}``. Those at a vendor's own address are
            known.
    """

    TERTULIA_API: ClassVar[int] = 1

    def __init__(self, providers: Mapping[str, str] = MappingProxyType({})) -> None:
        self._providers = providers

    @hookimpl(wrapper=True)
    def calculate_cost(
        self,
        target: Target,
        vendor: str | None,
        model: str,
        usage: Usage,
        billing: Billing,
        at: datetime,
    ) -> Generator[None, Cost | None, Cost | None]:
        """Let everybody else answer first; what the service reported needs no second opinion."""
        cost = yield
        name = self._providers.get(target.provider) or VENDORS.get(vendor or "")
        if cost is not None or billing.reported is not None or name is None:
            return cost
        return find_cost(name, model, usage, billing, at)


def find_cost(provider: str, model: str, usage: Usage, billing: Billing, at: datetime) -> Cost | None:
    """
    Price a usage.

    Args:
        provider: As genai-prices calls it.

    Returns:
        None where genai-prices does not know the model, or would price as usual what it has no price for:
        an unknown tier, a region, a class of tokens, 12 hours in a cache, a tool of the provider's own,
        several requests for one answer.
    """
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    prompt, answer = usage.prompt_tokens, usage.total_tokens
    if prompt is None or answer is None or billing.requests or _is_beyond(billing):
        return None
    context = _find_context(billing)
    info = _find_model(provider, model, at)
    if info is None or (context and not _has_variant(info, context, at)):
        return None
    if not _has_prices(info.get_prices(at, context or None), usage, billing):
        return None
    tokens = Tokens(
        input_tokens=prompt,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        input_audio_tokens=_heard(billing),
        cache_audio_read_tokens=billing.audio_cache_read_tokens,
        output_tokens=answer - prompt,
    )
    found = calc_price(
        tokens, model, provider_id=provider, genai_request_timestamp=at, price_context=context or None
    )
    return Cost(Money.from_usd(found.total_price), price_row=f"{_version()}/{provider}/{found.model.id}")


def _is_beyond(billing: Billing) -> bool:
    """Whether something changes the price that genai-prices does not know of."""
    counts = (
        billing.audio_input_tokens,
        billing.audio_cache_read_tokens,
        billing.cache_write_12h_tokens,
    )
    return None in counts or bool(
        billing.region or billing.cache_write_12h_tokens or any(billing.tool_calls.values())
    )


def _find_context(billing: Billing) -> dict[str, str]:
    if billing.batch:
        return {"processing": "batch"}
    tier = billing.service_tier
    return {} if tier is None or tier in _USUAL_TIERS else {"service_tier": tier}


def _find_model(provider: str, model: str, at: datetime) -> ModelInfo | None:
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    try:
        return calc_price(Tokens(), model, provider_id=provider, genai_request_timestamp=at).model
    except LookupError:
        return None


def _has_variant(info: ModelInfo, context: Mapping[str, str], at: datetime) -> bool:
    """Whether the tier has prices of its own: otherwise genai-prices takes the usual ones."""
    return any(
        all(context.get(key) == value for key, value in variant.when.items())
        and (variant.constraint is None or variant.constraint.active(at))
        for variant in info.price_variants or ()
    )


def _has_prices(prices: ModelPrice, usage: Usage, billing: Billing) -> bool:
    """Whether each class that was used has a price: where one has none, genai-prices takes another's."""
    needed = (
        (usage.prompt_tokens, prices.input_mtok),
        (usage.cache_read_tokens, prices.cache_read_mtok),
        (usage.cache_write_tokens, prices.cache_write_mtok),
        (billing.audio_input_tokens, prices.input_audio_mtok),
        (billing.audio_cache_read_tokens, prices.cache_audio_read_mtok),
        ((usage.output_tokens or 0) + (usage.reasoning_tokens or 0), prices.output_mtok),
    )
    return all(price is not None for tokens, price in needed if tokens)


def _heard(billing: Billing) -> int:
    """All of the prompt that was sound, as genai-prices counts it."""
    return (billing.audio_input_tokens or 0) + (billing.audio_cache_read_tokens or 0)


@cache
def _version() -> str:
    from importlib.metadata import version

    return f"genai-prices-{version('genai-prices')}"
