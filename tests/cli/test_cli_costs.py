"""What the command says that an answer cost is what the library says."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

import tertulia.sync


@pytest.mark.parametrize("provider", ["openai", "gemini", "xai"])
def test_the_command_names_the_cost_that_is_stored(tertulia_command, simulated, provider):
    """One answer, asked by the command: every place of its JSON has the amount of the stored attempt."""
    asked = json.loads(tertulia_command("ask", "--json", "--provider", provider, "My name is John.").out)
    with tertulia.sync.open() as client:
        (record,) = client.list()
        (attempt,) = client.get(record.id).attempts()
    listed = json.loads(tertulia_command("conversations", "list", "--json").out)
    shown = json.loads(tertulia_command("conversations", "show", str(record.id), "--json").out)

    amount = f"{attempt.cost.usd:f}"
    assert Decimal(amount) > 0
    assert [amount] * 5 == [
        asked["cost"],
        asked["attempts"][0]["cost"],
        listed[0]["cost"],
        shown["cost"],
        shown["messages"][-1]["cost"],
    ]
    assert (0, 0) == (listed[0]["unknown_costs"], shown["unknown_costs"])
