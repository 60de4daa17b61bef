"""What is derived from the ledger of attempts: costs and provider sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, zip_longest

from tertulia.domain.conversation import (
    Attempt,
    AttemptOutcome,
    AttemptPurpose,
    CostReport,
    ProviderSession,
    SessionReason,
)
from tertulia.domain.usage import CostTotal, Usage


def report_costs(attempts: Sequence[Attempt]) -> CostReport:
    """Add up a ledger; every part of the report adds up to its total."""
    settled = [attempt for attempt in attempts if attempt.outcome is not AttemptOutcome.PENDING]
    return CostReport(
        total=_total(settled),
        by_provider=_totals(settled, lambda attempt: attempt.provider),
        by_model=_totals(settled, lambda attempt: f"{attempt.provider}/{attempt.model}"),
    )


def derive_sessions(attempts: Sequence[Attempt]) -> list[ProviderSession]:
    """
    Cut a ledger into runs on one provider and model.

    Sessions tile the conversation's time: each ends where the next begins, and every attempt at an
    answer is in exactly one; what was asked for a title is in none.

    Args:
        attempts: In the order they were started.
    """
    answers = [attempt for attempt in attempts if attempt.purpose is AttemptPurpose.ANSWER]
    runs = [list(run) for _, run in groupby(answers, key=lambda attempt: (attempt.provider, attempt.model))]
    home: tuple[str, str] | None = None
    sessions: list[ProviderSession] = []
    for run, following in zip_longest(runs, runs[1:]):
        first = run[0]
        target = (first.provider, first.model)
        reason = _reason(first, target, home, sessions)
        if reason is not SessionReason.FALLBACK:
            home = target
        answered = [attempt for attempt in run if attempt.outcome is AttemptOutcome.SUCCEEDED]
        sessions.append(
            ProviderSession(
                provider=first.provider,
                model=first.model,
                started_at=first.started_at,
                ended_at=following[0].started_at if following else None,
                reason=reason,
                attempt_count=len(run),
                answer_count=len(answered),
                usage=sum((attempt.usage for attempt in answered), Usage(0, 0, 0, 0, 0)),
                cost=_total(run),
            )
        )
    return sessions


def _reason(
    first: Attempt, target: tuple[str, str], home: tuple[str, str] | None, before: Sequence[ProviderSession]
) -> SessionReason:
    if first.number > 1:
        return SessionReason.FALLBACK
    if not before:
        return SessionReason.INITIAL
    if target == home and before[-1].reason is SessionReason.FALLBACK:
        return SessionReason.RETURN
    return SessionReason.MANUAL


def _total(attempts: Iterable[Attempt]) -> CostTotal:
    return CostTotal.of(attempt.cost for attempt in attempts)


def _totals(attempts: Sequence[Attempt], key: Callable[[Attempt], str]) -> dict[str, CostTotal]:
    totals: dict[str, CostTotal] = {}
    for attempt in attempts:
        totals[key(attempt)] = totals.get(key(attempt), CostTotal()) + CostTotal.of((attempt.cost,))
    return totals
