"""What was spent, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs

from tertulia.contracts.stores.ledger import LedgerStore
from tertulia.domain.conversation import Attempt, AttemptOutcome, AttemptPurpose
from tertulia.domain.message import Message
from tertulia.domain.periods import Period
from tertulia.domain.statistics import (
    Activity,
    CostAnalysis,
    CostGroup,
    CostKey,
    CostRow,
    Percentiles,
    Statistics,
)
from tertulia.domain.usage import CostTotal
from tertulia.testing.memory.kept import Kept, add_usages
from tertulia.testing.memory.part import Part

_BROKEN = (AttemptOutcome.FAILED, AttemptOutcome.INTERRUPTED, AttemptOutcome.PENDING)
"""What another target may be asked after; what is pending although somebody asks again broke off."""


@attrs.frozen
class _Entry:
    """An attempt that has ended, and the conversation it was made in."""

    kept: Kept
    attempt: Attempt


class Ledger(Part, LedgerStore):
    """Costs and statistics, counted from attempts each time."""

    async def get_statistics(
        self,
        owner: str,
        *,
        conversation_id: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        time_zone: str = "UTC",
    ) -> Statistics:
        """Count messages and attempts."""
        period = Period.of(since, until, time_zone)
        shelf = self._find_all(owner) if conversation_id is None else [self._find(owner, conversation_id)]
        said = [
            [each for each in kept.messages.values() if each.created_at and each.created_at in period]
            for kept in shelf
        ]
        entries = self._find_ended(shelf, period)
        attempts = [entry.attempt for entry in entries]
        asked = [entry for entry in entries if entry.attempt.purpose is AttemptPurpose.ANSWER]
        return Statistics(
            conversations=sum(1 for messages in said if messages),
            messages=_count_roles(message for messages in said for message in messages),
            questions=len({entry.attempt.message_id for entry in asked}),
            fallbacks=len(_find_passed_on(asked)),
            activity=_sum_up(attempts),
            by_provider=_sum_up_by(attempts, lambda attempt: attempt.provider),
            by_model=_sum_up_by(attempts, _model),
            by_day=_sum_up_by(attempts, lambda attempt: period.day_of(attempt.started_at)),
        )

    async def get_recent_attempts(
        self, owner: str, *, since: datetime, limit: int = 200
    ) -> Sequence[Attempt]:
        """Return the newest attempts that have ended, of all conversations, the newest first."""
        entries = self._find_ended(self._find_all(owner), Period.of(since, None))
        attempts = [entry.attempt for entry in entries]
        return sorted(attempts, key=lambda each: (each.started_at, each.id), reverse=True)[: max(limit, 0)]

    async def get_costs(
        self,
        owner: str | None,
        by: Sequence[CostGroup] = (),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        time_zone: str = "UTC",
        provider: str | None = None,
        model: str | None = None,
        conversation_id: UUID | None = None,
        tag: str | None = None,
    ) -> CostAnalysis:
        """Add up what attempts cost that have ended."""
        period = Period.of(since, until, time_zone)
        shelf = [
            kept
            for kept in self._find_all(owner)
            if conversation_id in (None, kept.record.id) and (tag is None or tag in kept.record.tags)
        ]
        entries = [
            entry
            for entry in self._find_ended(shelf, period)
            if provider in (None, entry.attempt.provider) and model in (None, entry.attempt.model)
        ]
        groups: dict[tuple[CostKey, ...], list[Attempt]] = {}
        by = tuple(dict.fromkeys(by))
        for entry in entries:
            for key in _make_keys(entry, by, period):
                groups.setdefault(key, []).append(entry.attempt)
        return CostAnalysis(
            by=by,
            rows=tuple(_make_row(key, groups[key]) for key in sorted(groups, key=_sortable)) if by else (),
            total=_make_row((), [entry.attempt for entry in entries]),
            since=since,
            until=until,
            time_zone=time_zone,
        )

    def _find_ended(self, shelf: Iterable[Kept], period: Period) -> list[_Entry]:
        """The attempts of a period; one whose lease has run out has ended."""
        now = self._clock.now()
        read = [
            _Entry(kept, kept.read_attempt(each, now)) for kept in shelf for each in kept.attempts.values()
        ]
        return [
            entry
            for entry in read
            if entry.attempt.outcome is not AttemptOutcome.PENDING and entry.attempt.started_at in period
        ]


def _count_roles(messages: Iterable[Message]) -> dict[Any, int]:
    return dict(Counter(message.role for message in messages))


def _find_passed_on(entries: Iterable[_Entry]) -> set[UUID]:
    """The questions that went to another provider or model after one had failed, or had broken off."""
    passed_on: set[UUID] = set()
    for entry in entries:
        previous = _find_previous(entry)
        if previous and previous.outcome in _BROKEN and _model(previous) != _model(entry.attempt):
            passed_on.add(entry.attempt.message_id)
    return passed_on


def _find_previous(entry: _Entry) -> Attempt | None:
    """The attempt for the same question before one, whenever that was."""
    asked = [
        each
        for each in entry.kept.attempts.values()
        if each.message_id == entry.attempt.message_id and each.purpose is AttemptPurpose.ANSWER
    ]
    place = [each.id for each in asked].index(entry.attempt.id)
    return asked[place - 1] if place else None


def _sum_up_by(attempts: Sequence[Attempt], key: Callable[[Attempt], Any]) -> dict[Any, Activity]:
    keys = sorted(set(map(key, attempts)))
    return {each: _sum_up([attempt for attempt in attempts if key(attempt) == each]) for each in keys}


def _sum_up(attempts: Sequence[Attempt]) -> Activity:
    """What became of some attempts; titles are in their costs and tokens, and in nothing else."""
    asked = [each for each in attempts if each.purpose is AttemptPurpose.ANSWER]
    answered = [each for each in asked if each.outcome is AttemptOutcome.SUCCEEDED]
    outcomes = Counter(each.outcome for each in asked)
    return Activity(
        attempts=len(asked),
        succeeded=len(answered),
        failed=outcomes[AttemptOutcome.FAILED],
        interrupted=outcomes[AttemptOutcome.INTERRUPTED],
        cancelled=outcomes[AttemptOutcome.CANCELLED],
        usage=add_usages(each.usage for each in attempts),
        cost=CostTotal.of(each.cost for each in attempts),
        latency=_order(each.latency_seconds for each in answered),
        first_content=_order(each.first_content_seconds for each in answered),
    )


def _order(seconds: Iterable[float | None]) -> Percentiles:
    return Percentiles.of(sorted(each for each in seconds if each is not None))


def _model(attempt: Attempt) -> str:
    return f"{attempt.provider}/{attempt.model}"


def _make_keys(entry: _Entry, by: Sequence[CostGroup], period: Period) -> list[tuple[CostKey, ...]]:
    """The groups an attempt belongs to: one, or with tags one for each."""
    record, attempt = entry.kept.record, entry.attempt
    keys: list[tuple[CostKey, ...]] = [()]
    for group in by:
        values: dict[CostGroup, Sequence[CostKey]] = {
            CostGroup.PROVIDER: (attempt.provider,),
            CostGroup.MODEL: (_model(attempt),),
            CostGroup.CONVERSATION: (record.id,),
            CostGroup.BRANCH: (attempt.branch,),
            CostGroup.TAG: record.tags or (None,),
            CostGroup.DAY: (period.day_of(attempt.started_at),),
            CostGroup.OWNER: (record.owner,),
        }
        keys = [(*key, value) for key in keys for value in values[group]]
    return keys


def _make_row(key: tuple[CostKey, ...], attempts: Sequence[Attempt]) -> CostRow:
    usage = add_usages(each.usage for each in attempts)
    return CostRow(key, len(attempts), usage, CostTotal.of(each.cost for each in attempts))


def _sortable(key: tuple[CostKey, ...]) -> tuple[tuple[bool, Any], ...]:
    return tuple((value is None, "" if value is None else value) for value in key)
