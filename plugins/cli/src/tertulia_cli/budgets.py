"""``tertulia budgets``: what may be spent, and how much of it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tertulia
from tertulia_cli.finding import find_conversation
from tertulia_cli.loop import run
from tertulia_cli.opening import open_existing
from tertulia_cli.terminal import align, note, output_width, write, write_json

HEAD = ("budget", "period", "limit", "spent", "set aside", "left", "share")


def list_budgets(*, conversation: str | None, store: str | None, as_json: bool) -> int:
    """Print every budget with what is left of it; return the exit code."""
    found = run(_read_budgets(conversation, store))
    if as_json:
        write_json([_render(state) for state in found])
    elif found:
        write("\n".join(align([HEAD, *map(_row, found)], width=output_width())))
    else:
        note("no budget is set; [[budgets]] in the configuration sets one")
    return 0


async def _read_budgets(conversation: str | None, store: str | None) -> Sequence[tertulia.BudgetState]:
    async with open_existing(store) as client:
        if conversation is None:
            return await client.budgets()
        return await client.budgets(await find_conversation(client, conversation))


def _row(state: tertulia.BudgetState) -> tuple[str, ...]:
    soft = "" if state.budget.is_hard else " (warns only)"
    return (
        f"{state.account.scope.replace('/', ' ', 1)}{soft}",
        state.account.period,
        str(state.budget.limit),
        str(state.spent),
        str(state.reserved),
        str(state.left),
        f"{find_share(state):.0%}",
    )


def find_share(state: tertulia.BudgetState) -> float:
    """How much of a budget is spent or set aside, 1 being all of it; rounded down, so that 1 is all."""
    return (state.spent.pico + state.reserved.pico) * 100 // state.budget.limit.pico / 100


def _render(state: tertulia.BudgetState) -> dict[str, Any]:
    budget = state.budget
    return {
        "scope": budget.scope,
        "account": state.account.scope,
        "period": state.account.period,
        "time_zone": budget.time_zone,
        "limit": f"{budget.limit.usd:f}",
        "spent": f"{state.spent.usd:f}",
        "reserved": f"{state.reserved.usd:f}",
        "left": f"{state.left.usd:f}",
        "share": find_share(state),
        "is_hard": budget.is_hard,
        "warn_at": list(budget.warn_at),
    }
