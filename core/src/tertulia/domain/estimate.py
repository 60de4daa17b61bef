"""What a request will cost, before it is sent."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from tertulia.domain.exchange import Target
from tertulia.domain.usage import Cost


@attrs.frozen
class CostEstimate:
    """
    Between what and what a request will probably cost. Always an estimate: its tokens were not counted by
    whoever bills them, and fees of tools the provider runs itself are not in it.

    Attributes:
        target: Whom it would be sent to.

        input_tokens: The estimated prompt, history and system messages included.

        output_tokens: The longest answer that is allowed, reasoning included: where the model has no limit of
            its own, what is left of its window. None when nobody knows.

        low: The prompt and an answer of one token. The prompt at its cheapest: read from a cache, where
            it was sent before. None when no price is known.

        high: The prompt and the longest answer. The prompt at its dearest: outside caches, or written to
            one. None when no price, or no longest answer, is known.

        warnings: What would be converted or left out, a sentence each.
    """

    target: Target
    input_tokens: int
    output_tokens: int | None
    low: Cost | None
    high: Cost | None
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.low is None:
            return "unknown (estimated)"
        high = "no known limit" if self.high is None else str(self.high)
        return f"{self.low} to {high} (estimated)"


def sort_estimates(estimates: Iterable[CostEstimate]) -> list[CostEstimate]:
    """Order estimates by what they cost at most, then at least; what nobody knows comes last."""
    return sorted(estimates, key=lambda each: (_known(each.high), _known(each.low)))


def _known(cost: Cost | None) -> tuple[bool, int]:
    return (True, 0) if cost is None else (False, cost.money.pico)
