"""What observers are told, each logical event once."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

import attrs

from tertulia.domain.budget import BudgetState
from tertulia.domain.conversation import Attempt
from tertulia.domain.event import Continued, FallbackTaken, Restarted, RetryScheduled
from tertulia.domain.exchange import Reply, Target
from tertulia.domain.health import BreakerState
from tertulia.errors import ErrorKind


@attrs.frozen
class AttemptStarted:
    """A provider is about to be called."""

    conversation_id: UUID
    attempt: Attempt


@attrs.frozen
class AttemptEnded:
    """A call to a provider ended, however it did, and is stored."""

    conversation_id: UUID
    attempt: Attempt


@attrs.frozen
class Retried:
    """The same target is asked again after a failure."""

    conversation_id: UUID
    retry: RetryScheduled


@attrs.frozen
class Recovered:
    """An answer that broke off is begun again, or gone on with."""

    conversation_id: UUID
    recovery: Restarted | Continued


@attrs.frozen
class BreakerChanged:
    """
    A target is passed over from now on, is tried once more, or can be asked again.

    Attributes:
        target: Which.

        state: Whether it is asked now.

        kind: Of the failure that opened it; None where it closed.

        reopens_in: Seconds until it is tried; None where it is not passed over.
    """

    target: Target
    state: BreakerState
    kind: ErrorKind | None = None
    reopens_in: float | None = None


@attrs.frozen
class BudgetWarned:
    """
    So much of a budget is spent for the first time in its period, or a soft one would have been exceeded.

    Attributes:
        conversation_id: Whose call it was.

        state: What is spent now.

        share: Of ``warn_at``.
    """

    conversation_id: UUID
    state: BudgetState
    share: float


@attrs.frozen
class FellBack:
    """A target failed before any content, or is passed over, and the next one is asked."""

    conversation_id: UUID
    fallback: FallbackTaken


@attrs.frozen
class Answered:
    """A send ended with an answer."""

    conversation_id: UUID
    reply: Reply


@attrs.frozen
class SendFailed:
    """A send ended without a whole answer."""

    conversation_id: UUID
    message_id: UUID
    error: BaseException


@attrs.frozen
class Switched:
    """A conversation goes on with another provider or model."""

    conversation_id: UUID
    before: Target
    after: Target


Notice: TypeAlias = (
    AttemptStarted
    | AttemptEnded
    | Retried
    | FellBack
    | Recovered
    | Answered
    | SendFailed
    | Switched
    | BreakerChanged
    | BudgetWarned
)
"""Anything the ``observe`` hook is called with."""
