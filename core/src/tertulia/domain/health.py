"""How providers have been doing: what can be seen of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import attrs

from tertulia.domain.exchange import Target
from tertulia.domain.limits import Limits
from tertulia.errors import ErrorKind


class BreakerState(StrEnum):
    """
    Whether a target is asked.

    ``closed``: it is. ``open``: it failed too often, or cannot answer with this key, and is passed over for
    a while. ``half_open``: one call at a time finds out whether it can be asked again.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@attrs.frozen
class TargetHealth:
    """
    How one target has been doing.

    Attributes:
        state: Whether it is asked.

        failures: Failures since its last success.

        reopens_in: Seconds until it is asked again; None while it is.

        latency_seconds: How long it takes to its first content, recent answers counting most; None before
            its first answer.

        last_kind: Of its last failure; None without one.

        last_error: The same in words, without secrets.

        last_failed_at: When that was, in UTC.
    """

    target: Target
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    reopens_in: float | None = None
    latency_seconds: float | None = None
    last_kind: ErrorKind | None = None
    last_error: str | None = None
    last_failed_at: datetime | None = None


@attrs.frozen
class ProviderHealth:
    """
    How one provider has been doing.

    Attributes:
        provider: Its configured name.

        limits: How much it may be asked.

        in_flight: Calls of this client that are under way.

        queued: Calls of this client that wait for their place.

        retry_tokens: What is left of its allowance for retries, of 500: a retry takes 14, or 5 where the
            service was too busy, and an answer gives them back. Below that nothing is retried.

        targets: Its models that were asked.
    """

    provider: str
    limits: Limits
    in_flight: int = 0
    queued: int = 0
    retry_tokens: int = 500
    targets: tuple[TargetHealth, ...] = ()
