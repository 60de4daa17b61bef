"""What is derived from the ledger of attempts: costs and provider sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, zip_longest
from uuid import UUID

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
    runs = [list(run) for _, run in groupby(answers, key=_target)]
    home: tuple[str, str] | None = None
    sessions: list[ProviderSession] = []
    said: set[UUID] = set()
    for run, following in zip_longest(runs, runs[1:]):
        reason = _reason(run[0], home, sessions)
        if reason is not SessionReason.FALLBACK:
            home = _target(run[0])
        new = {attempt.message_id for attempt in run} - said
        said |= new
        sessions.append(_make_session(run, following, reason, len(new)))
    return sessions


def _target(attempt: Attempt) -> tuple[str, str]:
    return attempt.provider, attempt.model


def _make_session(
    run: Sequence[Attempt], following: Sequence[Attempt] | None, reason: SessionReason, asked: int
) -> ProviderSession:
    answered = list(filter(_is_answered, run))
    return ProviderSession(
        provider=run[0].provider,
        model=run[0].model,
        started_at=run[0].started_at,
        ended_at=following[0].started_at if following else None,
        reason=reason,
        attempt_count=len(run),
        answer_count=len(answered),
        message_count=asked + sum(map(_left_an_answer, run)),
        usage=sum((attempt.usage for attempt in answered), Usage(0, 0, 0, 0, 0)),
        cost=_total(run),
    )


def _reason(first: Attempt, home: tuple[str, str] | None, before: Sequence[ProviderSession]) -> SessionReason:
    """Say why a session began, by its first attempt."""
    if first.is_fallback:
        return SessionReason.FALLBACK
    if not before:
        return SessionReason.INITIAL
    if _target(first) == home and before[-1].reason is SessionReason.FALLBACK:
        return SessionReason.RETURN
    return SessionReason.MANUAL


def _is_answered(attempt: Attempt) -> bool:
    return attempt.outcome is AttemptOutcome.SUCCEEDED


def _left_an_answer(attempt: Attempt) -> bool:
    broke_off = attempt.outcome in (AttemptOutcome.INTERRUPTED, AttemptOutcome.CANCELLED)
    return _is_answered(attempt) or (broke_off and attempt.first_content_seconds is not None)


def _total(attempts: Iterable[Attempt]) -> CostTotal:
    return CostTotal.of(attempt.cost for attempt in attempts)


def _totals(attempts: Sequence[Attempt], key: Callable[[Attempt], str]) -> dict[str, CostTotal]:
    totals: dict[str, CostTotal] = {}
    for attempt in attempts:
        totals[key(attempt)] = totals.get(key(attempt), CostTotal()) + CostTotal.of((attempt.cost,))
    return totals
