"""What an attempt cost: as the provider says, as the price rows say, nothing, or unknown."""

from __future__ import annotations

from tertulia.domain.exchange import ProviderReply
from tertulia.domain.usage import Cost, CostSource, Money
from tertulia.errors import PluginError, ProviderError, TertuliaError
from tertulia.services.core import Core
from tertulia.services.trial import Trial

NOT_CHARGED = Cost(Money(0), CostSource.NOT_CHARGED)
MOST_PICO = 2**63 - 1  # nine million dollars: what a database can keep


def price_trial(core: Core, trial: Trial, error: TertuliaError | None = None) -> Cost | None:
    """
    Price an attempt, however it ended.

    Its tokens when the provider reported them; nothing when it was refused with an error status, or never
    left the machine; else None, which is unknown.
    """
    if trial.reply is not None:
        return _price_reply(core, trial, trial.reply)
    if trial.context is None:
        return NOT_CHARGED
    refused = isinstance(error, ProviderError) and (not error.sent or (error.status or 0) >= 400)
    return NOT_CHARGED if refused else None


def _price_reply(core: Core, trial: Trial, reply: ProviderReply) -> Cost | None:
    """The provider's own figure is the cost of record; else the dated price rows say."""
    computed = _compute(core, trial, reply)
    reported = reply.billing.reported
    if reported is None or not _is_amount(reported):
        return computed
    return Cost(reported, CostSource.REPORTED, computed=None if computed is None else computed.money)


def _compute(core: Core, trial: Trial, reply: ProviderReply) -> Cost | None:
    """A plugin that fails at the price does not take the answer with it."""
    model = reply.model or trial.target.model
    try:
        cost = core.plugins.calculate_cost(
            trial.target, model, reply.usage, reply.billing, trial.attempt.started_at
        )
    except PluginError as error:
        trial.warnings.append(f"the cost is unknown: {error.message}")
        return None
    if cost is None or _is_amount(cost.money):
        return cost
    trial.warnings.append("the cost is unknown: calculate_cost answered with no amount of money")
    return None


def _is_amount(money: object) -> bool:
    pico = getattr(money, "pico", None)
    return type(pico) is int and 0 <= pico <= MOST_PICO
