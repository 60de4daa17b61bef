"""What an attempt cost: as the provider says, as the user or the price rows say, nothing, or unknown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, localcontext

import attrs

from tertulia.domain.exchange import ProviderReply, Target
from tertulia.domain.price import Price, Rates, find_day, find_price
from tertulia.domain.usage import Billing, Cost, CostSource, Money, Usage, to_fraction
from tertulia.errors import ProviderError, TertuliaError
from tertulia.services.core import Core
from tertulia.services.trial import Trial

NOT_CHARGED = Cost(Money(0), CostSource.NOT_CHARGED)
MOST_PICO = 2**63 - 1  # nine million dollars: what a database can keep
_PRECISION = 100  # digits: more than a product of two amounts that anybody configures has


def price_trial(core: Core, trial: Trial, error: TertuliaError | None = None) -> Cost | None:
    """
    Price an attempt, however it ended.

    Its tokens when the provider reported them; nothing when it was refused with an error status, or never
    left the machine; else None, which is unknown.
    """
    if trial.reply is not None:
        return _price_reply(core, trial, trial.reply)
    if not trial.was_sent:
        return NOT_CHARGED
    refused = isinstance(error, ProviderError) and (not error.sent or (error.status or 0) >= 400)
    # An answer of several calls may be refused after some of them were charged.
    return NOT_CHARGED if refused and getattr(error, "usage", None) is None else None


def compute_cost(
    core: Core,
    target: Target,
    usage: Usage,
    billing: Billing,
    at: datetime,
    *,
    answered_by: str | None = None,
) -> Cost | None:
    """
    Compute what some tokens cost: by the user's own prices, else by what plugins and the provider know.

    Args:
        answered_by: The model as the provider names it; None for the one that was asked.

    Raises:
        PluginError: A plugin failed at it.
    """
    model = answered_by or target.model
    own = find_own_price(core.config.prices, target, (model, target.model), at)
    if own is not None:
        return own.cost(usage, billing)
    factor = core.plugins.get_provider(target.provider).config.price_factor
    if factor == 0:
        return Cost(Money(0), price_row=f"user/{target.provider}/price_factor=0")
    cost = core.plugins.calculate_cost(target, model, usage, billing, at)
    return cost if cost is None or factor is None or not is_amount(cost.money) else _scale(cost, factor)


def find_own_price(
    prices: Iterable[Price], target: Target, models: Iterable[str], at: datetime
) -> Price | None:
    """Find what the user says a model costs, by the first of its names that has a row."""
    rows = [price for price in prices if price.model.startswith(f"{target.provider}/")]
    names = (f"{target.provider}/{model}" for model in models)
    return next((price for name in names if (price := find_price(rows, name, find_day(at)))), None)


def scale_price(price: Price, factor: Decimal | None) -> Price:
    """Return a row as it is with the user's factor for its provider, which holds for all it charges."""
    if factor is None:
        return price
    with localcontext(prec=_PRECISION):
        cliff = price.long_context
        return attrs.evolve(
            price,
            id=_scaled_row(price.id, factor),
            rates=_scale_rates(price.rates, factor),
            long_context=cliff and attrs.evolve(cliff, rates=_scale_rates(cliff.rates, factor)),
            fees={name: fee * factor for name, fee in price.fees.items()},
        )


def _scale_rates(rates: Rates, factor: Decimal) -> Rates:
    known = attrs.asdict(rates).items()
    return Rates(**{name: None if rate is None else rate * factor for name, rate in known})


def _scaled_row(row: str | None, factor: Decimal) -> str:
    return f"{row} * user/price_factor={factor}"


def _scale(cost: Cost, factor: Decimal) -> Cost:
    money = Money(round(cost.money.pico * to_fraction(factor)))
    return attrs.evolve(cost, money=money, price_row=_scaled_row(cost.price_row, factor))


def _price_reply(core: Core, trial: Trial, reply: ProviderReply) -> Cost | None:
    """The provider's own figure is the cost of record; else the dated price rows say."""
    computed = _compute(core, trial, reply)
    reported = reply.billing.reported
    if reported is None or not is_amount(reported):
        return computed
    return Cost(reported, CostSource.REPORTED, computed=None if computed is None else computed.money)


def _compute(core: Core, trial: Trial, reply: ProviderReply) -> Cost | None:
    """A plugin that fails at the price does not take the answer with it."""
    at = trial.attempt.started_at
    try:
        cost = compute_cost(core, trial.target, reply.usage, reply.billing, at, answered_by=reply.model)
    except TertuliaError as error:
        trial.warnings.append(f"the cost is unknown: {error.message}")
        return None
    if cost is None or is_amount(cost.money):
        return cost
    trial.warnings.append("the cost is unknown: calculate_cost answered with no amount of money")
    return None


def is_amount(money: object) -> bool:
    """Whether it is money that can be charged, and kept."""
    pico = getattr(money, "pico", None)
    return type(pico) is int and 0 <= pico <= MOST_PICO
