"""Tokens and money. Unknown is None, and stays None through every sum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import attrs

PICO_DIGITS = 12
PICO_PER_DOLLAR = 10**PICO_DIGITS


@attrs.frozen
class Usage:
    """
    The tokens of one answer, in disjoint classes: the total is their plain sum.

    None means that the provider did not say. Providers disagree on what includes what; drivers
    translate into these classes.

    Attributes:
        input_tokens: Prompt tokens neither read from nor written to a cache.

        cache_read_tokens: Prompt tokens read from a cache.

        cache_write_tokens: Prompt tokens written to a cache.

        output_tokens: Answer tokens without reasoning.

        reasoning_tokens: Tokens of thought.
    """

    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def prompt_tokens(self) -> int | None:
        """Everything sent: the first three classes."""
        return add_known(self.input_tokens, self.cache_read_tokens, self.cache_write_tokens)

    @property
    def total_tokens(self) -> int | None:
        """All five classes; None when one of them is unknown."""
        return add_known(self.prompt_tokens, self.output_tokens, self.reasoning_tokens)

    def __add__(self, other: Usage) -> Usage:
        mine, theirs = attrs.astuple(self), attrs.astuple(other)
        return Usage(*(add_known(a, b) for a, b in zip(mine, theirs, strict=True)))


def add_known(*counts: int | None) -> int | None:
    """
    Add counts; unknown when one of them is.

    Example:
        >>> add_known(1, 2), add_known(1, None)
        (3, None)
    """
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def to_fraction(number: object) -> Fraction:
    """
    Return a number as it is written; sums and products of fractions are exact.

    Money is counted so because a ``Decimal`` rounds to the precision of the caller's context.

    Raises:
        TypeError: It is a float, which is not the number that was written, or no number at all.
        ValueError: It is a text that is no number, or it is not finite.

    Example:
        >>> to_fraction("0.1") + to_fraction(2)
        Fraction(21, 10)
    """
    if not isinstance(number, Decimal | str | int):
        raise TypeError(
            f"{number!r} is a {type(number).__name__}: write an amount as a text, a Decimal or an int"
        )
    try:
        decimal = Decimal(number)
    except InvalidOperation as error:
        raise ValueError(f"{number!r} is no number") from error
    if not decimal.is_finite():
        raise ValueError(f"{number!r} is no finite number")
    return Fraction(decimal)


@attrs.frozen(order=True)
class Money:
    """
    An exact amount of US dollars, as a whole number of pico-dollars (1e-12).

    Example:
        >>> price = Money.from_usd("0.0000001")
        >>> sum([price] * 1_000_000, Money(0)).usd
        Decimal('0.1')
    """

    pico: int

    @classmethod
    def from_usd(cls, usd: Decimal | str | int) -> Money:
        """
        Read a number of dollars, rounded half-even to a pico-dollar.

        Raises:
            TypeError: It is a float: ``0.1`` is not a tenth.
            ValueError: It is no finite number.
        """
        return cls(round(to_fraction(usd) * PICO_PER_DOLLAR))

    @property
    def usd(self) -> Decimal:
        """The same amount in dollars, exact and without trailing zeros."""
        amount, exponent = abs(self.pico), -PICO_DIGITS
        while exponent < 0 and amount % 10 == 0:
            amount, exponent = amount // 10, exponent + 1
        return Decimal((int(self.pico < 0), tuple(map(int, str(amount))), exponent))

    def __add__(self, other: Money) -> Money:
        return Money(self.pico + other.pico)

    def __str__(self) -> str:
        return f"${self.usd:f}"


class CostSource(StrEnum):
    """
    Where a cost comes from.

    ``reported``: the provider named it. ``computed``: tokens times a dated price row.
    ``not_charged``: the provider refused the request with an error status, which no vendor bills.
    """

    REPORTED = "reported"
    COMPUTED = "computed"
    NOT_CHARGED = "not_charged"


@attrs.frozen
class Cost:
    """
    What one attempt cost. An unknown cost is None in place of this value, never a zero.

    Attributes:
        money: The amount of record.

        source: Where it comes from.

        price_row: The ``id`` of the price row used; None for a reported cost.

        computed: The amount by the price table, when the record is the provider's own; else None.
    """

    money: Money
    source: CostSource = CostSource.COMPUTED
    price_row: str | None = None
    computed: Money | None = None

    @property
    def usd(self) -> Decimal:
        """The amount in dollars."""
        return self.money.usd

    def __str__(self) -> str:
        return str(self.money)


@attrs.frozen
class CostTotal:
    """
    A sum of costs that says what it does not know.

    Attributes:
        money: The sum of what is known.

        unknown_count: How many costs are not in it.
    """

    money: Money = Money(0)
    unknown_count: int = 0

    @classmethod
    def of(cls, costs: Iterable[Cost | None]) -> CostTotal:
        """Add costs, counting the unknown ones apart."""
        known, unknown = 0, 0
        for cost in costs:
            if cost is None:
                unknown += 1
            else:
                known += cost.money.pico
        return cls(Money(known), unknown)

    @property
    def usd(self) -> Decimal:
        """The known part in dollars."""
        return self.money.usd

    @property
    def exact(self) -> bool:
        """Whether nothing is missing."""
        return self.unknown_count == 0

    def __add__(self, other: CostTotal) -> CostTotal:
        return CostTotal(self.money + other.money, self.unknown_count + other.unknown_count)

    def __str__(self) -> str:
        return str(self.money) if self.exact else f"at least {self.money}"


@attrs.frozen
class Billing:
    """
    What changes a price and is no count of tokens, as the answer reports it.

    The counts below are *of* the classes of :class:`Usage`, never beside them, and only where they have a
    price of their own; None means that it cannot be told how many.

    Attributes:
        service_tier: The tier that was really used, in the provider's word; None when unsaid.

        batch: Whether batch prices apply.

        reported: What the provider says the call cost; None when it does not.

        raw: The provider's own usage object, unchanged; None when there was none.

        region: The region whose own host answered, as the vendor calls it; None for the general host.

        cache_write_12h_tokens: Of ``cache_write_tokens``, those kept for 12 hours and not for 30 minutes.

        audio_input_tokens: Of ``input_tokens``, those of sound.

        audio_cache_read_tokens: Of ``cache_read_tokens``, those of sound.

        tool_calls: How often the provider ran a tool of its own that has a fee, by the tool's name in the
            price rows; tools without a fee need not be there.

        requests: Where one answer took several requests, the usage and the bill of each, which are priced one
            by one, since the length of each prompt decides its price; empty where it took one.
    """

    service_tier: str | None = None
    batch: bool = False
    reported: Money | None = None
    raw: Any = attrs.field(default=None, repr=False)
    region: str | None = None
    cache_write_12h_tokens: int | None = 0
    audio_input_tokens: int | None = 0
    audio_cache_read_tokens: int | None = 0
    tool_calls: Mapping[str, int] = MappingProxyType({})
    requests: tuple[tuple[Usage, Billing], ...] = ()
