"""The error that a send ends with when nobody answered."""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.domain.conversation import Attempt
from tertulia.errors import AllProvidersFailed, ContextLengthError, ContextOverflowError, TertuliaError


def give_up(errors: Sequence[TertuliaError], attempts: Sequence[Attempt], kept: str) -> TertuliaError:
    """
    Say why nobody answered: the failure itself where one target was asked, else all of them.

    Args:
        errors: One for each attempt, in order.
        attempts: The attempts.
        kept: What is stored.
    """
    error = errors[-1]
    asked = {(attempt.provider, attempt.model) for attempt in attempts}
    if len(asked) > 1:
        error = _sum_up(errors, error)
    elif isinstance(error, ContextOverflowError):  # it was too long before, and nothing more could be cut
        error = next((each for each in errors if isinstance(each, ContextLengthError)), error)
    error.attempts = tuple(attempts)
    error.kept = kept
    return error


def _sum_up(errors: Sequence[TertuliaError], last: TertuliaError) -> AllProvidersFailed:
    tried = ", ".join(f"{each.provider} ({each.kind})" for each in errors)
    return AllProvidersFailed(
        f"every target failed: {tried}",
        errors=errors,
        provider=last.provider,
        model=getattr(last, "model", None),
        status=getattr(last, "status", None),
        retry_after=last.retry_after,
        next_step="see .errors for each failure; send again when one of them can answer",
    )
