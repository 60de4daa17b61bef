"""Percentiles, rates, periods, and what a ledger is cut into: values that are worked out, and no I/O."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia import ConfigurationError
from tertulia.domain.conversation import Attempt, AttemptOutcome, AttemptPurpose
from tertulia.domain.periods import Period, Span
from tertulia.domain.statistics import Activity, Percentiles, Statistics, rank
from tertulia.domain.usage import Cost, CostTotal, Money
from tertulia.services.analysis import derive_sessions, report_costs

ATTEMPT = Attempt(
    id=UUID(int=1),
    message_id=UUID(int=2),
    number=1,
    provider="openai",
    model="sol",
    started_at=datetime(2026, 10, 24, tzinfo=UTC),
    outcome=AttemptOutcome.SUCCEEDED,
    cost=Cost(Money(7)),
)
TITLE = attrs.evolve(ATTEMPT, id=UUID(int=3), provider="gemini", purpose=AttemptPurpose.TITLE)


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, percent):
    """By nearest rank, of any values: one fewer would not do."""
    ordered = sorted(values)
    found = ordered[rank(len(ordered), percent)]

    assert 100 * sum(value <= found for value in ordered) >= percent * len(ordered)
    assert 100 * sum(value < found for value in ordered) < percent * len(ordered)


def test_percentiles_of_nothing_are_unknown():
    """There is no time that nothing took, and one value is every percentile."""
    assert Percentiles(0, None, None, None) == Percentiles.of([])
    assert Percentiles(1, 2.5, 2.5, 2.5) == Percentiles.of([2.5])
    assert Percentiles(100, 50, 90, 99) == Percentiles.of(range(1, 101))
    assert Percentiles(101, 51, 91, 100) == Percentiles.of(range(1, 102))


def test_rates_leave_out_what_nobody_is_to_blame_for():
    """What the caller cancelled is no failure, and of nothing there is no rate."""
    assert 0.75 == Activity(attempts=5, succeeded=3, interrupted=1, cancelled=1).success_rate
    assert None is Activity(attempts=1, cancelled=1).success_rate
    assert None is Activity().success_rate
    assert (0.25, None) == (Statistics(questions=4, fallbacks=1).fallback_rate, Statistics().fallback_rate)


def test_titles_are_paid_for_and_in_no_session():
    """What was asked for a title is in the costs, and does not count as a change of provider."""
    later = attrs.evolve(ATTEMPT, id=UUID(int=4), started_at=datetime(2026, 10, 25, tzinfo=UTC))
    ledger = [ATTEMPT, TITLE, later]

    (session,) = derive_sessions(ledger)
    assert ("openai", 2, 2, CostTotal(Money(14))) == (
        session.provider,
        session.attempt_count,
        session.answer_count,
        session.cost,
    )
    assert CostTotal(Money(21)) == report_costs(ledger).total
    assert {"openai": CostTotal(Money(14)), "gemini": CostTotal(Money(7))} == report_costs(ledger).by_provider
    assert [[], []] == [derive_sessions([TITLE]), derive_sessions([])]


def test_a_period_has_its_beginning_and_not_its_end():
    """A period without bounds has everything."""
    noon = datetime(2026, 10, 24, 12, tzinfo=UTC)
    hour = timedelta(hours=1)

    assert [False, True, True, False] == [
        moment in Period.of(noon, noon + 2 * hour)
        for moment in (noon - hour, noon, noon + hour, noon + 2 * hour)
    ]
    assert noon in Period.of(None, None)
    assert noon not in Period.of(noon, noon)


@pytest.mark.parametrize(
    ("zone", "first", "last", "expected"),
    [
        ("UTC", datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), [("2026-01-01", 0)]),
        (
            "Europe/Madrid",
            datetime(2026, 3, 1, tzinfo=UTC),
            datetime(2026, 12, 1, tzinfo=UTC),
            [("2026-03-29T01:00", 1), ("2026-10-25T01:00", 2), ("2026-12-01", 1)],
        ),
        (
            "Pacific/Apia",  # which left out 30 December 2011
            datetime(2011, 12, 29, tzinfo=UTC),
            datetime(2012, 1, 1, tzinfo=UTC),
            [("2011-12-30T10:00", -10), ("2012-01-01", 14)],
        ),
        (
            "Australia/Lord_Howe",  # half an hour
            datetime(2026, 4, 1, tzinfo=UTC),
            datetime(2026, 5, 1, tzinfo=UTC),
            [("2026-04-04T15:00", 11), ("2026-05-01", 10.5)],
        ),
    ],
)
def test_clocks_are_changed_at_their_moment(zone, first, last, expected):
    """A period is cut exactly where the clocks of its time zone are changed."""
    spans = Period.of(None, None, zone).spans(first, last)

    assert [
        Span(datetime.fromisoformat(until).replace(tzinfo=UTC), timedelta(hours=hours))
        for until, hours in expected
    ] == spans


def test_a_day_is_that_of_the_place():
    """A moment is on the day that the clocks of its time zone show."""
    moment = datetime(2026, 10, 25, 23, 30, tzinfo=UTC)

    assert [date(2026, 10, 25), date(2026, 10, 26)] == [
        Period.of(None, None, zone).day_of(moment) for zone in ("UTC", "Europe/Madrid")
    ]


def test_a_moment_in_any_zone_bounds_a_period():
    """A bound with any offset is fine; one without is refused with what to do."""
    aware = datetime(2026, 10, 25, tzinfo=timezone(timedelta(hours=2)))

    assert aware == Period.of(aware, None).since
    with pytest.raises(ConfigurationError) as caught:
        Period.of(None, aware.replace(tzinfo=None))
    assert (
        "until has no time zone: 2026-10-25T00:00:00 is another moment in every place; "
        "pass an aware datetime, such as datetime(2026, 11, 1, tzinfo=UTC)"
    ) == str(caught.value)


@pytest.mark.parametrize(
    "zone", ["Europe/Lisboa", "", ".", "../UTC", "/etc/localtime", "Europe", "a\0b", None, 1]
)
def test_what_is_no_time_zone_is_refused(zone):
    """Whatever it is, it is refused in the same words."""
    with pytest.raises(ConfigurationError, match="there is no time zone") as caught:
        Period.of(None, None, zone)

    assert zone == caught.value.value
