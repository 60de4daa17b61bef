"""How hard a Gemini thinks: newer models are told a level, those of 2.5 a number of tokens."""

from __future__ import annotations

from tertulia import Options
from tertulia.wire import Json
from tertulia_gemini.models import BUDGETS, LEVELS

_THOUGHTLESS = ("gemma-", "gemini-2.0-", "gemini-1.")
_BUDGETED = "gemini-2.5-"


def guess_efforts(model: str) -> tuple[str, ...]:
    """The efforts that a model without facts may be asked for; none where its family does not think."""
    name = model.removeprefix("models/")
    if name.startswith(_THOUGHTLESS) or "-image" in name:
        return ()
    return tuple(BUDGETS) if takes_budget(model) else LEVELS


def checks_signatures(model: str) -> bool:
    """Whether a model refuses a step without a signature, as all do since Gemini 3."""
    return not model.removeprefix("models/").startswith((*_THOUGHTLESS, _BUDGETED))


def takes_budget(model: str) -> bool:
    """Whether a model is told how many tokens it may think; told a level, it refuses."""
    return model.removeprefix("models/").startswith(_BUDGETED)


def render_thinking(model: str, options: Options) -> Json:
    """
    Write ``thinkingConfig``; empty when nothing is asked for.

    Google refuses a request with a level and a budget, so there is only one of them.
    """
    config: Json = {}
    effort = options.reasoning_effort
    if effort is not None and takes_budget(model):
        config["thinkingBudget"] = BUDGETS[effort]
    elif effort is not None:
        config["thinkingLevel"] = effort.upper()
    if options.reasoning_summary is not None:
        config["includeThoughts"] = True
    return config
