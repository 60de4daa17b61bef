"""What an error means for the send it happened in: one table for all providers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.exchange import Target
from tertulia.errors import ErrorKind, TertuliaError, TooLargeError
from tertulia.runtime.plugins import Plugins


class Retry(Enum):
    """How often the same target may be asked again."""

    YES = "as often as the routing allows"
    ONCE = "once"
    NO = "never"


class FallBack(Enum):
    """Whether another target may be asked."""

    YES = "yes"
    LARGER_WINDOW = "only one with a larger context window"
    ON_DEMAND = "only where the caller asked for it"
    NO = "no"


class Breaking(Enum):
    """What a failure means for the sends that come after it."""

    NO = "nothing"
    FAILURE = "it counts: too many, and the target is passed over"
    AT_ONCE = "the target is passed over from now on"
    UNTIL_RESET = "the target is passed over until the provider's own time has come"
    COOLDOWN = "the target is left alone for as long as the provider says"


@attrs.frozen
class Policy:
    """
    One line of the table.

    Attributes:
        retry: Whether the same target is asked again; never where the error says it is not retryable, but
            for a prompt that is too long, which is cut first.

        fall_back: Whether another target is asked.

        breaker: What it means for later sends.
    """

    retry: Retry
    fall_back: FallBack
    breaker: Breaking


_HICCUP = Policy(Retry.YES, FallBack.YES, Breaking.FAILURE)
_HERE = Policy(Retry.NO, FallBack.YES, Breaking.AT_ONCE)
_EVERYWHERE = Policy(Retry.NO, FallBack.ON_DEMAND, Breaking.NO)
_OURS = Policy(Retry.NO, FallBack.NO, Breaking.NO)

POLICIES: Mapping[ErrorKind, Policy] = {
    ErrorKind.CONNECTION: _HICCUP,
    ErrorKind.TIMEOUT: _HICCUP,
    ErrorKind.SERVER: _HICCUP,
    ErrorKind.OVERLOADED: _HICCUP,
    ErrorKind.PROTOCOL: _HICCUP,
    ErrorKind.RATE_LIMITED: Policy(Retry.YES, FallBack.YES, Breaking.COOLDOWN),
    ErrorKind.QUOTA_EXHAUSTED: Policy(Retry.NO, FallBack.YES, Breaking.UNTIL_RESET),
    ErrorKind.AUTHENTICATION: _HERE,
    ErrorKind.PERMISSION: _HERE,
    ErrorKind.MODEL_NOT_FOUND: _HERE,
    ErrorKind.CONTEXT_LENGTH: Policy(Retry.ONCE, FallBack.LARGER_WINDOW, Breaking.NO),
    ErrorKind.CONTENT_FILTER: _EVERYWHERE,
    ErrorKind.UNSUPPORTED_PARAMETER: Policy(Retry.NO, FallBack.YES, Breaking.NO),
    ErrorKind.INVALID_REQUEST: _EVERYWHERE,
    ErrorKind.TOO_LARGE: _EVERYWHERE,  # but for an answer: see find_policy
    ErrorKind.EMPTY_RESPONSE: Policy(Retry.ONCE, FallBack.YES, Breaking.NO),
    ErrorKind.INTERRUPTED: Policy(Retry.NO, FallBack.NO, Breaking.FAILURE),
    ErrorKind.CANCELLED: _OURS,
    ErrorKind.BUDGET: _OURS,
    ErrorKind.PLUGIN: _OURS,
    ErrorKind.STORE: _OURS,
    ErrorKind.CONFIGURATION: _OURS,
    ErrorKind.NOT_FOUND: _OURS,
    ErrorKind.CONFLICT: _OURS,
}
"""By kind. Nothing that a bug of ours could cause falls back by itself: it would fail everywhere."""

WARNED = frozenset({ErrorKind.AUTHENTICATION, ErrorKind.PERMISSION, ErrorKind.MODEL_NOT_FOUND})
"""The kinds of which an answer from elsewhere still says something: they do not mend themselves."""

_TOO_LARGE_ANSWER = Policy(Retry.NO, FallBack.YES, Breaking.FAILURE)
_NOT_SENT = Policy(Retry.NO, FallBack.YES, Breaking.NO)


def find_policy(error: TertuliaError) -> Policy:
    """Return the line of the table that holds for an error."""
    if isinstance(error, TooLargeError):
        if error.side == "response":
            return _TOO_LARGE_ANSWER
        if not error.sent:  # beyond this target's limits, and not everybody's
            return _NOT_SENT
    return POLICIES[error.kind]


def targets_after(
    error: TertuliaError,
    failed: Target,
    remaining: Sequence[Target],
    plugins: Plugins,
    on_demand: Collection[ErrorKind] = (),
) -> Sequence[Target]:
    """
    Return those of the remaining targets that may still be asked after a failure.

    Args:
        error: What happened.
        failed: To whom.
        remaining: Who has not been asked.
        plugins: The providers.
        on_demand: The kinds that the caller wants to fall back besides.
    """
    decision = find_policy(error).fall_back
    if decision is FallBack.ON_DEMAND:
        decision = FallBack.YES if error.kind in on_demand else FallBack.NO
    if decision is FallBack.NO:
        return ()
    if decision is FallBack.YES:
        return remaining
    limit = find_window(plugins.get_provider(failed.provider), failed.model) or 0
    return [
        target
        for target in remaining
        if (find_window(plugins.get_provider(target.provider), target.model) or 0) > limit
    ]


def find_window(provider: Provider, model: str) -> int | None:
    """The context window of a model in tokens; None where nobody knows."""
    info = provider.find_model(model)
    return None if info is None else info.context_window
