"""What a provider is allowed in retries, so that an outage does not multiply what it is asked."""

from __future__ import annotations

import attrs

from tertulia.errors import ErrorKind

CAPACITY = 500
COST = 14
THROTTLED_COST = 5
_THROTTLED = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED})


@attrs.define(eq=False)
class RetryAllowance:
    """
    A bucket that retries are paid from, as in the SDKs of AWS; all calls of a provider share it.

    Attributes:
        tokens: What is left of it, of 500.
    """

    tokens: int = attrs.field(default=CAPACITY, init=False)
    _under_way: list[int] = attrs.field(factory=list[int], init=False)

    def take(self, kind: ErrorKind) -> bool:
        """Pay for a retry after such a failure; False, and nothing is paid, when too little is left."""
        cost = THROTTLED_COST if kind in _THROTTLED else COST
        if cost > self.tokens:
            return False
        self.tokens -= cost
        self._under_way.append(cost)
        return True

    def give_back(self) -> None:
        """A call was answered: give back what its retry took, or 1 where it was none."""
        # Which call of several a retry belongs to does not matter: each answer gives back one of them.
        returned = self._under_way.pop() if self._under_way else 1
        self.tokens = min(CAPACITY, self.tokens + returned)

    def keep(self) -> None:
        """A call was not answered: what its retry took stays taken."""
        if self._under_way:
            self._under_way.pop()
