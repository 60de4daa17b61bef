"""What models cost: rows with a period, a source, and rates by class of token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import attrs

from tertulia.domain.usage import PICO_PER_DOLLAR, Billing, Cost, Money, Usage, to_fraction

PICO_PER_TOKEN_AT_A_DOLLAR_PER_MILLION = PICO_PER_DOLLAR // 10**6
PICO_PER_CALL_AT_A_DOLLAR_PER_THOUSAND = PICO_PER_DOLLAR // 10**3

_USUAL_TIERS = frozenset({"default", "standard", "auto"})
_ONE = Fraction(1)


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

        cache_write: Prompt tokens written to a cache, for 30 minutes where there is a choice.

        cache_write_12h: Prompt tokens written to a cache for 12 hours.

        audio_input: Prompt tokens of sound; None where they cost what others cost.

        audio_cache_read: The same, read from a cache; only of interest where ``audio_input`` has a price.
    """

    input: Decimal | None
    output: Decimal | None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_12h: Decimal | None = None
    audio_input: Decimal | None = None
    audio_cache_read: Decimal | None = None

    @classmethod
    def per_million(
        cls,
        input: str,  # noqa: A002  # the field's name
        output: str,
        cache_read: str | None = None,
        cache_write: str | None = None,
        **others: str,
    ) -> Rates:
        """Read rates written as text, so that no float comes near money; ``others`` by their names."""
        usual = (None if rate is None else Decimal(rate) for rate in (input, output, cache_read, cache_write))
        return cls(*usual, **{name: Decimal(rate) for name, rate in others.items()})

    def amount(self, usage: Usage, billing: Billing = Billing()) -> Fraction | None:
        """The exact pico-dollars of a usage; None when a class that was used has no price or no count."""
        total = Fraction(0)
        for tokens, rate in self._charges(usage, billing):
            if tokens == 0:
                continue
            if tokens is None or tokens < 0 or rate is None:
                return None
            total += tokens * to_fraction(rate) * PICO_PER_TOKEN_AT_A_DOLLAR_PER_MILLION
        return total

    def _charges(self, usage: Usage, billing: Billing) -> Iterator[tuple[int | None, Decimal | None]]:
        """The tokens of each class with its own rate; more in a part than in the whole is below zero."""
        kept_long = billing.cache_write_12h_tokens
        yield _less(usage.cache_write_tokens, kept_long), self.cache_write
        yield kept_long, self.cache_write_12h
        yield usage.output_tokens, self.output
        yield usage.reasoning_tokens, self.output
        if self.audio_input is None:
            yield usage.input_tokens, self.input
            yield usage.cache_read_tokens, self.cache_read
            return
        yield _less(usage.input_tokens, billing.audio_input_tokens), self.input
        yield billing.audio_input_tokens, self.audio_input
        yield _less(usage.cache_read_tokens, billing.audio_cache_read_tokens), self.cache_read
        yield billing.audio_cache_read_tokens, self.audio_cache_read


def _less(whole: int | None, part: int | None) -> int | None:
    return None if whole is None or part is None else whole - part


@attrs.frozen
class LongContext:
    """
    A cliff: from so many prompt tokens on, *every* token of the request has these rates.

    Attributes:
        from_tokens: The smallest prompt, in tokens of all three prompt classes, that pays them.

        tiers: Factor by service tier beyond the cliff; None for those of the row.
    """

    from_tokens: int
    rates: Rates
    tiers: Mapping[str, Decimal] | None = None


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

        regions: Factor by the region that answered; one that is not named here makes the cost unknown.

        fees: US dollars per 1,000 calls of a tool the provider runs itself, by its name in
            ``Billing.tool_calls``; calls of one that is not named here make the cost unknown.
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
    regions: Mapping[str, Decimal] = MappingProxyType({})
    fees: Mapping[str, Decimal] = MappingProxyType({})

    def is_valid(self, at: date) -> bool:
        """Whether the row holds on a day."""
        return (self.valid_from is None or self.valid_from <= at) and (
            self.valid_until is None or at < self.valid_until
        )

    def cost(self, usage: Usage, billing: Billing = Billing()) -> Cost | None:
        """
        Price a usage by this row, each request of it by itself, rounded half-even once.

        Returns:
            None when a count, a rate, a fee, or the factor of the tier or of the region is unknown.
        """
        total = Fraction(0)
        for each, bill in billing.requests or ((usage, billing),):
            amount = self._amount(each, bill)
            if amount is None:
                return None
            total += amount
        return Cost(Money(round(total)), price_row=self.id)

    def _amount(self, usage: Usage, billing: Billing) -> Fraction | None:
        """The exact pico-dollars of one request."""
        prompt = usage.prompt_tokens
        if prompt is None:
            return None
        cliff = self.long_context
        if cliff is None or prompt < cliff.from_tokens:
            rates, tiers = self.rates, self.tiers
        else:
            rates, tiers = cliff.rates, self.tiers if cliff.tiers is None else cliff.tiers
        amount, fees = rates.amount(usage, billing), self._fees(billing)
        factors = (_tier_factor(tiers, billing), self._region_factor(billing))
        if amount is None or fees is None or factors[0] is None or factors[1] is None:
            return None
        return amount * factors[0] * factors[1] + fees

    def _region_factor(self, billing: Billing) -> Fraction | None:
        return _ONE if billing.region is None else _factor(self.regions, billing.region)

    def _fees(self, billing: Billing) -> Fraction | None:
        """Pico-dollars; neither a tier nor a region changes a fee."""
        total = Fraction(0)
        for name, calls in billing.tool_calls.items():
            fee = _factor(self.fees, name)
            if calls < 0 or (calls and fee is None):
                return None
            total += calls * (fee or 0) * PICO_PER_CALL_AT_A_DOLLAR_PER_THOUSAND
        return total


def _tier_factor(tiers: Mapping[str, Decimal], billing: Billing) -> Fraction | None:
    tier = "batch" if billing.batch else billing.service_tier
    return _ONE if tier is None or tier in _USUAL_TIERS else _factor(tiers, tier)


def _factor(factors: Mapping[str, Decimal], name: str) -> Fraction | None:
    factor = factors.get(name)
    return None if factor is None else to_fraction(factor)


def find_day(at: datetime) -> date:
    """Return the day of a moment as price rows have it, in UTC; one without a time zone is in UTC already."""
    return at.date() if at.tzinfo is None else at.astimezone(UTC).date()


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
