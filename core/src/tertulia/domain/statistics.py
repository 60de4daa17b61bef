"""What is counted over many attempts: costs, success, speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias
from uuid import UUID

import attrs

from tertulia.domain.message import Role
from tertulia.domain.usage import CostTotal, Usage


@attrs.frozen
class Percentiles:
    """
    How long things took, in seconds: the smallest value that so many per cent do not exceed.

    Attributes:
        count: How many are known; the others are None where it is 0.
    """

    count: int = 0
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None

    @classmethod
    def of(cls, ordered: Sequence[float]) -> Percentiles:
        """
        Take them of values in ascending order, by nearest rank.

        Example:
            >>> Percentiles.of([1.0, 2.0, 3.0, 4.0])
            Percentiles(count=4, p50=2.0, p90=4.0, p99=4.0)
        """
        if not ordered:
            return cls()
        return cls(len(ordered), *(ordered[rank(len(ordered), percent)] for percent in (50, 90, 99)))


def rank(count: int, percent: int) -> int:
    """The place, from 0, of a percentile among so many ordered values."""
    return -(-count * percent // 100) - 1


@attrs.frozen
class Activity:
    """
    What became of some attempts. Titles that were asked for are in the costs and tokens, and in nothing else.

    Attributes:
        attempts: Calls that have ended.

        succeeded: Calls that answered.

        failed: Calls that did not.

        interrupted: Answers that broke off.

        cancelled: Calls that the caller ended.

        usage: Tokens, as far as they are known.

        cost: What they cost.

        latency: From the first byte sent to the end of the answer, of calls that answered.

        first_content: From the first byte sent to the first word, of calls that answered and were streamed.
    """

    attempts: int = 0
    succeeded: int = 0
    failed: int = 0
    interrupted: int = 0
    cancelled: int = 0
    usage: Usage = Usage(0, 0, 0, 0, 0)
    cost: CostTotal = CostTotal()
    latency: Percentiles = Percentiles()
    first_content: Percentiles = Percentiles()

    @property
    def success_rate(self) -> float | None:
        """The share of calls that answered, of those the caller did not end; None where there are none."""
        tried = self.attempts - self.cancelled
        return self.succeeded / tried if tried else None


@attrs.frozen
class Statistics:
    """
    Conversations and what was asked in them, over a period.

    Attributes:
        conversations: In which anything was said in that period, deleted ones included until they are purged.

        messages: By who said them.

        questions: Messages for which a provider was asked.

        fallbacks: Questions that were passed on to another provider or model right after one had failed or
            broken off.

        activity: Of all attempts.

        by_provider: The same by configured provider name.

        by_model: The same by ``provider/model``.

        by_day: The same by day, in the time zone that was asked for.

    Providers, models and days are in the order of their names; only those are there that were asked.
    """

    conversations: int = 0
    messages: Mapping[Role, int] = MappingProxyType({})
    questions: int = 0
    fallbacks: int = 0
    activity: Activity = Activity()
    by_provider: Mapping[str, Activity] = MappingProxyType({})
    by_model: Mapping[str, Activity] = MappingProxyType({})
    by_day: Mapping[date, Activity] = MappingProxyType({})

    @property
    def message_count(self) -> int:
        """All messages."""
        return sum(self.messages.values())

    @property
    def fallback_rate(self) -> float | None:
        """The share of questions that were passed on; None where nothing was asked."""
        return self.fallbacks / self.questions if self.questions else None


class CostGroup(StrEnum):
    """
    What costs are added up by.

    ``model`` is ``provider/model``. A conversation with two tags is in the sum of each. ``branch`` is the
    branch an attempt was made on, and goes with ``conversation``: names are their conversation's own.
    """

    PROVIDER = "provider"
    MODEL = "model"
    CONVERSATION = "conversation"
    BRANCH = "branch"
    TAG = "tag"
    DAY = "day"
    OWNER = "owner"


CostKey: TypeAlias = str | UUID | date | None
"""A provider's name, a conversation's id, a day…; None for no tag, and for a branch that was removed."""


@attrs.frozen
class CostRow:
    """
    What one group cost.

    Attributes:
        key: What it is, one for each of the groups that were asked for.

        attempts: How many have ended, those for titles included.

        usage: Their tokens, as far as they are known.

        cost: Their cost.
    """

    key: tuple[CostKey, ...]
    attempts: int
    usage: Usage
    cost: CostTotal


@attrs.frozen
class CostAnalysis:
    """
    What was spent over a period. Unless they are by tag, the rows add up to the total; there are none
    where nothing was named to add up by.

    Attributes:
        by: What the rows are by.

        rows: In the order of their keys, None last.

        total: Of all attempts, each counted once.

        since: The beginning of the period; None for the first attempt.

        until: Its end, which is not in it; None for now.

        time_zone: What the days are days of, as in ``Europe/Madrid``.
    """

    by: tuple[CostGroup, ...]
    rows: tuple[CostRow, ...]
    total: CostRow
    since: datetime | None = None
    until: datetime | None = None
    time_zone: str = "UTC"
