"""What an answer of xAI says of its cost."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from tertulia import Billing, Money
from tertulia.wire import read_count, read_object

PICO_PER_TICK = 100
"""xAI counts in ticks of 1e-10 dollars."""

TOOLS_WITH_A_FEE: Mapping[str, str] = MappingProxyType(
    {
        "web_search_calls": "web_search",
        "x_search_calls": "x_search",
        "code_interpreter_calls": "code_execution",
        "file_search_calls": "collections_search",
        "document_search_calls": "attachment_search",
        "image_generation_calls": "image_generation",
    }
)
"""What the usage calls the tools that xAI runs, and what the price rows call them; ``mcp`` is free."""


def read_billing(billing: Billing, region: str | None) -> Billing:
    """
    Complete what changes the price: which region answered, which tools ran, and the cost itself.

    The cost that xAI reports is the cost of record: discounts, regions and fees are in it.

    Example:
        213 tokens in and 39 out were reported as 4,680,000 ticks, which is $0.000468.
    """
    used = read_object(billing.raw, "server_side_tool_usage_details")
    counts = {
        TOOLS_WITH_A_FEE[name]: count
        for name in used
        if name in TOOLS_WITH_A_FEE and (count := read_count(used, name))
    }
    ticks = read_count(billing.raw, "cost_in_usd_ticks")
    return attrs.evolve(
        billing,
        region=region,
        tool_calls=counts,
        reported=None if ticks is None else Money(ticks * PICO_PER_TICK),
    )
