"""What models cost: rows with a period, a source, and rates by class of token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import attrs

from tertulia.domain.usage import PICO_PER_DOLLAR, Billing, Cost, Money, Usage, to_fraction

PICO_PER_TOKEN_AT_A_DOLLAR_PER_MILLION = PICO_PER_DOLLAR // 10**6


@attrs.frozen
class Rates:
    """
    US dollars per million tokens, by class.

    None means that no price is known for the class: tokens of it make the cost unknown. A class that
    is free has a price of 0.

    Attributes:
        input: Prompt tokens outside caches.

        output: Answer and reasoning tokens; all three vendors bill thought as output.

        cache_read: Prompt tokens read from a cache.

        cache_write: Prompt tokens written to a cache.
    """

    input: Decimal | None
    output: Decimal | None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None

    @classmethod
    def per_million(
        cls,
        input: str,  # noqa: A002  # the field's name
        output: str,
        cache_read: str | None = None,
        cache_write: str | None = None,
    ) -> Rates:
        """Read rates written as text, so that no float comes near money."""
        return cls(
            *(None if rate is None else Decimal(rate) for rate in (input, output, cache_read, cache_write))
        )

    def amount(self, usage: Usage) -> Fraction | None:
        """The exact pico-dollars of a usage; None when a class that was used has no price or no count."""
        charges = (
            (usage.input_tokens, self.input),
            (usage.cache_read_tokens, self.cache_read),
            (usage.cache_write_tokens, self.cache_write),
            (usage.output_tokens, self.output),
            (usage.reasoning_tokens, self.output),
        )
        total = Fraction(0)
        for tokens, rate in charges:
            if tokens == 0:
                continue
            if tokens is None or rate is None:
                return None
            total += tokens * to_fraction(rate) * PICO_PER_TOKEN_AT_A_DOLLAR_PER_MILLION
        return total


@attrs.frozen
class LongContext:
    """
    A cliff: from so many prompt tokens on, *every* token of the request has these rates.

    Attributes:
        from_tokens: The smallest prompt, in tokens of all three prompt classes, that pays them.
    """

    from_tokens: int
    rates: Rates


@attrs.frozen
class Price:
    """
    A price row: what one model costs during one period.

    Attributes:
        id: The row's name, stored with every cost computed from it.

        model: The model id, or the beginning of the ids, it is for; an exact match wins.

        rates: What a token costs.

        long_context: The rates beyond a prompt length; None where there is no such tier.

        tiers: Factor by service tier; a tier that is not named here makes the cost unknown.

        valid_from: The first day, in UTC; None for as long as the model exists.

        valid_until: The first day on which it is no longer valid; None while it is.

        source: Where the figures were read.

        read_on: When they were read.
    """

    id: str
    model: str
    rates: Rates
    long_context: LongContext | None = None
    tiers: Mapping[str, Decimal] = MappingProxyType({})
    valid_from: date | None = None
    valid_until: date | None = None
    source: str = ""
    read_on: date | None = None

    def is_valid(self, at: date) -> bool:
        """Whether the row holds on a day."""
        return (self.valid_from is None or self.valid_from <= at) and (
            self.valid_until is None or at < self.valid_until
        )

    def cost(self, usage: Usage, billing: Billing) -> Cost | None:
        """
        Price a usage by this row, rounded half-even once.

        Returns:
            None when a count, a rate or the factor of the tier is unknown.
        """
        prompt = usage.prompt_tokens
        factor = self._factor(billing)
        if prompt is None or factor is None:
            return None
        cliff = self.long_context
        rates = cliff.rates if cliff is not None and prompt >= cliff.from_tokens else self.rates
        amount = rates.amount(usage)
        if amount is None:
            return None
        return Cost(Money(round(amount * factor)), price_row=self.id)

    def _factor(self, billing: Billing) -> Fraction | None:
        tier = "batch" if billing.batch else billing.service_tier
        if tier is None or tier in {"default", "standard", "auto"}:
            return Fraction(1)
        factor = self.tiers.get(tier)
        return None if factor is None else to_fraction(factor)


def find_price(prices: Iterable[Price], model: str, at: date) -> Price | None:
    """
    Choose the row for a model on a day: an exact id before the longest prefix.

    A prefix ends at a dash or an at sign, so that ``gpt-5`` never prices ``gpt-5.6-sol`` and the
    snapshot ``gpt-5.6-sol-2026-08-21`` finds its family.
    """
    valid = [price for price in prices if is_snapshot(price.model, model) and price.is_valid(at)]
    return max(valid, key=lambda price: len(price.model), default=None)


def is_snapshot(name: str, model: str) -> bool:
    """
    A snapshot continues the name with a date, a number or ``latest``; a word makes another model.

    >>> is_snapshot("gpt-5", "gpt-5-2025-08-07"), is_snapshot("gpt-5", "gpt-5-mini")
    (True, False)
    """
    if name == model:
        return True
    rest = model.removeprefix(name)
    return rest != model and rest[0] in "-@" and (rest[1:2].isdigit() or rest[1:] == "latest")
