"""What every store promises about costs and statistics."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import combinations
from uuid import UUID

import attrs
import pytest

from tertulia.contracts.store import Store
from tertulia.domain.conversation import AttemptPurpose
from tertulia.domain.message import Role, Text
from tertulia.domain.statistics import Activity, CostAnalysis, CostGroup, CostRow, Percentiles
from tertulia.domain.usage import CostTotal, Money, Usage
from tertulia.errors import ConfigurationError, ConversationNotFoundError
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.calls import (
    CALLS,
    FLASH,
    MONDAY,
    PRO,
    SATURDAY,
    SOL,
    SUNDAY,
    at,
    count_questions,
    fill,
    numbers,
    recount,
    used,
)
from tertulia.testing.contracts.talk import LEASE_SECONDS, MAIN, OWNER, STRANGER, Talk, make_record


class LedgerContract:
    """Costs and statistics."""

    async def test_everything_is_added_up(self, store: Store, clock: StandingClock) -> None:
        """Without groups there is one total: what is unknown is counted apart, and what runs is left out."""
        await fill(store, clock)
        total = CostRow((), 12, Usage(980, 50, 0, 93, 15), CostTotal(Money(10_030), 3))

        assert CostAnalysis((), (), total) == await store.get_costs(OWNER)

    @pytest.mark.parametrize(
        ("group", "expected"),
        [
            ("provider", [("gemini", 5, 8390, 1), ("openai", 7, 1640, 2)]),
            ("model", [(FLASH, 4, 1390, 1), (PRO, 1, 7000, 0), (SOL, 7, 1640, 2)]),
            ("branch", [(MAIN, 9, 2940, 2), ("other", 2, 7000, 1), (None, 1, 90, 0)]),
            ("tag", [("travel", 6, 8540, 1), ("work", 6, 8540, 1), (None, 6, 1490, 2)]),
            ("day", [(SATURDAY, 3, 1500, 0), (SUNDAY, 7, 7640, 3), (MONDAY, 2, 890, 0)]),
            ("owner", [(OWNER, 12, 10_030, 3)]),
        ],
    )
    async def test_costs_are_added_up_by_a_group(
        self, store: Store, clock: StandingClock, group: str, expected: list[tuple[object, ...]]
    ) -> None:
        """Each attempt is in the row of what it was made with, and the total has each once."""
        await fill(store, clock)
        analysis = await store.get_costs(OWNER, [CostGroup(group)])

        assert expected == [(*row.key, *numbers(row)) for row in analysis.rows]
        assert ((), 12, 10_030, 3) == (analysis.total.key, *numbers(analysis.total))

    async def test_costs_are_added_up_by_conversation(self, store: Store, clock: StandingClock) -> None:
        """The older conversation comes first, as its id does."""
        ids = await fill(store, clock)
        analysis = await store.get_costs(OWNER, [CostGroup.CONVERSATION])

        assert [(ids["trip"], 6, 8540, 1), (ids["code"], 6, 1490, 2)] == [
            (*row.key, *numbers(row)) for row in analysis.rows
        ]

    async def test_costs_are_added_up_by_several_groups(self, store: Store, clock: StandingClock) -> None:
        """By any two groups, rows are those of attempts that agree in both, in the order of their keys."""
        ids = await fill(store, clock)
        for pair in combinations(CostGroup, 2):
            analysis = await store.get_costs(OWNER, pair)
            assert (pair, recount(CALLS, pair, ids)) == (analysis.by, analysis.rows)
        by = (CostGroup.DAY, CostGroup.PROVIDER)
        assert [
            (SATURDAY, "gemini", 1, 500, 0),
            (SATURDAY, "openai", 2, 1000, 0),
            (SUNDAY, "gemini", 2, 7000, 1),
            (SUNDAY, "openai", 5, 640, 2),
            (MONDAY, "gemini", 2, 890, 0),
        ] == [(*row.key, *numbers(row)) for row in (await store.get_costs(OWNER, by)).rows]

    async def test_a_group_is_asked_for_once(self, store: Store, clock: StandingClock) -> None:
        """The same group twice is the same group."""
        await fill(store, clock)
        twice = await store.get_costs(OWNER, [CostGroup.PROVIDER, CostGroup.PROVIDER])

        assert await store.get_costs(OWNER, [CostGroup.PROVIDER]) == twice

    async def test_days_are_those_of_a_time_zone(self, store: Store, clock: StandingClock) -> None:
        """On the night clocks are changed too, an attempt is in the day it was there."""
        await fill(store, clock)
        days = [CostGroup.DAY]
        madrid = await store.get_costs(OWNER, days, time_zone="Europe/Madrid")
        apia = await store.get_costs(OWNER, days, time_zone="Pacific/Apia")

        assert "Europe/Madrid" == madrid.time_zone
        assert [(SATURDAY, 1, 1000, 0), (SUNDAY, 7, 8140, 2), (MONDAY, 4, 890, 1)] == [
            (*row.key, *numbers(row)) for row in madrid.rows
        ]
        assert [(SATURDAY, 1), (SUNDAY, 5), (MONDAY, 6)] == [(*row.key, row.attempts) for row in apia.rows]
        assert madrid.total == apia.total

    async def test_a_period_begins_where_the_one_before_ends(
        self, store: Store, clock: StandingClock
    ) -> None:
        """The first moment of a period is in it and its last is not, whatever zone it is written in."""
        await fill(store, clock)
        since, until = at(24, 22, 30), at(25, 23, 30)
        shifted = [moment.astimezone(timezone(timedelta(hours=2))) for moment in (since, until)]
        within = await store.get_costs(OWNER, since=since, until=until)

        assert (7, 8140, 2) == numbers(within.total)
        assert (since, until) == (within.since, within.until)
        assert within == await store.get_costs(OWNER, since=shifted[0], until=shifted[1])
        assert (1, 1000, 0) == numbers((await store.get_costs(OWNER, until=since)).total)
        assert (4, 890, 1) == numbers((await store.get_costs(OWNER, since=until)).total)
        assert (0, 0, 0) == numbers((await store.get_costs(OWNER, since=until, until=since)).total)

    async def test_costs_are_chosen(self, store: Store, clock: StandingClock) -> None:
        """Only of a provider, a model, a conversation or a tag, or of all of these at once."""
        ids = await fill(store, clock)
        chosen = (
            await store.get_costs(OWNER, provider="gemini"),
            await store.get_costs(OWNER, model="flash"),
            await store.get_costs(OWNER, conversation_id=ids["code"]),
            await store.get_costs(OWNER, tag="travel"),
            await store.get_costs(
                OWNER, provider="gemini", model="flash", conversation_id=ids["trip"], tag="work"
            ),
            await store.get_costs(OWNER, tag="trav"),
            await store.get_costs(OWNER, conversation_id=UUID(int=7)),
        )

        assert [
            (5, 8390, 1),
            (4, 1390, 1),
            (6, 1490, 2),
            (6, 8540, 1),
            (2, 500, 1),
            (0, 0, 0),
            (0, 0, 0),
        ] == [numbers(analysis.total) for analysis in chosen]

    async def test_a_chosen_tag_leaves_the_others_in_their_rows(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What has the tag that was asked for is in the rows of its other tags as well."""
        await fill(store, clock)
        analysis = await store.get_costs(OWNER, [CostGroup.TAG], tag="travel")

        assert [("travel",), ("work",)] == [row.key for row in analysis.rows]
        assert (6, 8540, 1) == numbers(analysis.total)

    async def test_costs_are_everybodys_for_who_runs_the_store(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Without an owner everybody's attempts are added up, and with one nobody else's."""
        await fill(store, clock)
        stranger = attrs.evolve(make_record(clock), owner=STRANGER)
        await store.add_conversation(stranger)
        attempt = CALLS[0].make(clock, clock.new_id())
        await store.record_attempt(STRANGER, stranger.id, MAIN, attempt)
        days = await store.get_costs(None, [CostGroup.OWNER, CostGroup.DAY], until=at(25, 0))

        assert [(OWNER, SATURDAY, 3, 1500, 0), (STRANGER, SATURDAY, 1, 1000, 0)] == [
            (*row.key, *numbers(row)) for row in days.rows
        ]
        assert (13, 11_030, 3) == numbers((await store.get_costs(None)).total)
        assert (1, 1000, 0) == numbers((await store.get_costs(STRANGER)).total)
        assert (0, 0, 0) == numbers((await store.get_costs("nobody", [CostGroup.DAY])).total)

    async def test_sums_are_exact_beyond_64_bits(self, store: Store, clock: StandingClock) -> None:
        """The largest costs that can be kept are added up to the last pico-dollar."""
        talk = await Talk.begin(store, clock)
        question = await talk.append("Hello")
        assert question.id is not None
        largest = attrs.evolve(CALLS[0], pico=2**63 - 1)
        for _ in range(3):
            await store.record_attempt(OWNER, talk.id, MAIN, largest.make(clock, question.id))
        analysis = await store.get_costs(OWNER, [CostGroup.PROVIDER])

        assert (3, 3 * (2**63 - 1), 0) == numbers(analysis.total) == numbers(analysis.rows[0])

    async def test_an_attempt_counts_once_its_lease_has_run_out(
        self, store: Store, clock: StandingClock
    ) -> None:
        """While it is under way it is in no sum; then it broke off, at an unknown cost."""
        talk = await Talk.begin(store, clock)
        await talk.ask("Hello")
        clock.advance(LEASE_SECONDS - 1)
        assert (0, 0, 0) == numbers((await store.get_costs(OWNER)).total)
        assert (0, 0) == await count_questions(store)

        clock.advance(1)
        statistics = await store.get_statistics(OWNER)
        assert (1, 0, 1) == numbers((await store.get_costs(OWNER)).total)
        assert (1, 1, CostTotal(Money(0), 1)) == (
            statistics.questions,
            statistics.activity.interrupted,
            statistics.activity.cost,
        )

    async def test_costs_agree_with_the_conversation(self, store: Store, clock: StandingClock) -> None:
        """What is added up is what the conversation says of itself."""
        talk = await Talk.begin(store, clock)
        await talk.answer(await talk.ask("Hello"), Text("Hi"))
        asked = await talk.ask("More")
        await talk.answer(asked, Text("Well"), cost=None)
        await store.record_attempt(OWNER, talk.id, MAIN, CALLS[5].make(clock, asked.message_id))
        record, total = await talk.record(), (await store.get_costs(OWNER)).total

        assert (record.cost, record.usage) == (total.cost, total.usage)
        assert (3, Usage(40, 0, 0, 13, 0)) == (total.attempts, total.usage)
        assert CostTotal(Money(10**10 + 40), 1) == total.cost

    async def test_deleted_conversations_count_until_they_are_purged(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What was spent in a conversation is not unspent by deleting it."""
        ids = await fill(store, clock)
        before = await store.get_costs(OWNER)
        await store.remove_conversation(OWNER, ids["trip"], clock.now())
        deleted = await store.get_costs(OWNER)
        of_deleted = await store.get_statistics(OWNER, conversation_id=ids["trip"])
        await store.purge_conversation(OWNER, ids["trip"])

        assert before == deleted
        assert 6 - 1 == of_deleted.activity.attempts
        assert (6, 1490, 2) == numbers((await store.get_costs(OWNER)).total)
        assert 6 == (await store.get_statistics(OWNER)).activity.attempts

    async def test_statistics_count_what_was_said_and_asked(self, store: Store, clock: StandingClock) -> None:
        """Everything is counted: messages, questions, outcomes, tokens, money and time."""
        await fill(store, clock)
        statistics = await store.get_statistics(OWNER)

        assert (3, {Role.USER: 8, Role.ASSISTANT: 1}, 9) == (
            statistics.conversations,
            statistics.messages,
            statistics.message_count,
        )
        assert (7, 2) == (statistics.questions, statistics.fallbacks)
        assert (
            Activity(
                attempts=11,
                succeeded=7,
                failed=2,
                interrupted=1,
                cancelled=1,
                usage=Usage(980, 50, 0, 93, 15),
                cost=CostTotal(Money(10_030), 3),
                latency=Percentiles(7, 5.0, 8.0, 8.0),
                first_content=Percentiles(4, 0.2, 0.7, 0.7),
            )
            == statistics.activity
        )
        assert (0.7, 2 / 7) == (statistics.activity.success_rate, statistics.fallback_rate)

    async def test_statistics_are_by_provider_model_and_day(self, store: Store, clock: StandingClock) -> None:
        """Each part is counted as the whole is, and all of them add up to it."""
        await fill(store, clock)
        statistics = await store.get_statistics(OWNER, time_zone="Europe/Madrid")
        parts = (statistics.by_provider, statistics.by_model, statistics.by_day)

        assert [["gemini", "openai"], [FLASH, PRO, SOL], [SATURDAY, SUNDAY, MONDAY]] == [
            list(part) for part in parts
        ]
        assert [11, 11, 11] == [sum(each.attempts for each in part.values()) for part in parts]
        for part in parts:
            assert statistics.activity.cost == sum((each.cost for each in part.values()), CostTotal())
        assert (
            Activity(
                attempts=6,
                succeeded=3,
                failed=2,
                cancelled=1,
                usage=Usage(300, 0, 0, 26, 0),
                cost=CostTotal(Money(1640), 2),
                latency=Percentiles(3, 5.0, 6.0, 6.0),
                first_content=Percentiles(2, 0.1, 0.5, 0.5),
            )
            == statistics.by_provider["openai"]
            == statistics.by_model[SOL]
        )
        assert (
            Activity(
                attempts=1,
                succeeded=1,
                usage=used(300, 30, 0, 10),
                cost=CostTotal(Money(7000)),
                latency=Percentiles(1, 4.0, 4.0, 4.0),
            )
            == statistics.by_model[PRO]
        )
        assert [(1, 1), (6, 3), (4, 3)] == [
            (day.attempts, day.succeeded) for day in statistics.by_day.values()
        ]

    async def test_statistics_are_of_a_period(self, store: Store, clock: StandingClock) -> None:
        """What was said and asked in a period is counted, a question that was asked again in it included."""
        ids = await fill(store, clock)
        since, until = at(25, 12, 1), at(25, 23, 40)
        statistics = await store.get_statistics(OWNER, since=since, until=until)

        assert (1, {Role.USER: 1}) == (statistics.conversations, statistics.messages)
        assert (2, 2, 0) == (statistics.questions, statistics.activity.attempts, statistics.fallbacks)
        assert (1, 1) == await count_questions(store, since=at(24, 22, 31), until=at(24, 23))
        assert (0, 0) == await count_questions(store, since=at(26, 10), until=at(26, 11))
        assert (3, 2) == await count_questions(store, conversation_id=ids["trip"])

    async def test_only_failures_are_passed_on(self, store: Store, clock: StandingClock) -> None:
        """Asking elsewhere after an answer, or after the caller ended it, is no fallback; nor is a title."""
        talk = await Talk.begin(store, clock)
        chains = (
            [(SOL, "cancelled"), (FLASH, "succeeded")],
            [(SOL, "failed"), (SOL, "succeeded"), (FLASH, "succeeded")],
            [(SOL, "failed"), (PRO, "title")],
            [(SOL, "failed"), (SOL, "title"), (FLASH, "succeeded")],
        )
        counted: list[tuple[int, int]] = []
        for chain in chains:
            asked = await talk.append("Hello")
            assert asked.id is not None
            for number, (target, outcome) in enumerate(chain, 1):
                call = attrs.evolve(CALLS[0], number=number, target=target, outcome=outcome)
                if outcome == "title":
                    call = attrs.evolve(call, outcome="succeeded", purpose=AttemptPurpose.TITLE)
                await store.record_attempt(OWNER, talk.id, MAIN, call.make(clock, asked.id))
            counted.append(await count_questions(store))

        assert [(1, 0), (2, 0), (3, 0), (4, 1)] == counted

    async def test_statistics_are_of_one_conversation(self, store: Store, clock: StandingClock) -> None:
        """Of one conversation only; of one that this owner has not, there are none."""
        ids = await fill(store, clock)
        code = await store.get_statistics(OWNER, conversation_id=ids["code"])

        assert (1, 4, 4, 0, 6) == (
            code.conversations,
            code.message_count,
            code.questions,
            code.fallbacks,
            code.activity.attempts,
        )
        for owner, conversation_id in ((STRANGER, ids["code"]), (OWNER, UUID(int=7))):
            with pytest.raises(ConversationNotFoundError):
                await store.get_statistics(owner, conversation_id=conversation_id)

    async def test_where_nothing_was_asked_there_are_no_rates(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Nothing is counted of nobody, and no rate is made of it."""
        await fill(store, clock)
        statistics = await store.get_statistics(STRANGER)

        assert (Activity(), {}, {}, 0, 0) == (
            statistics.activity,
            statistics.messages,
            statistics.by_day,
            statistics.conversations,
            statistics.questions,
        )
        assert (None, None) == (statistics.activity.success_rate, statistics.fallback_rate)

    async def test_an_unknown_time_zone_is_refused(self, store: Store) -> None:
        """What is no IANA name is refused by name."""
        for zone in ("Europe/Lisboa", "", "../UTC", "/etc/localtime", "Europe", "a\0b"):
            for operation in (
                store.get_statistics(OWNER, time_zone=zone),
                store.get_costs(OWNER, time_zone=zone),
            ):
                with pytest.raises(ConfigurationError, match="no time zone") as caught:
                    await operation
                assert zone == caught.value.value

    async def test_a_moment_without_a_time_zone_is_refused(self, store: Store) -> None:
        """A naive datetime is nobody's moment."""
        naive = datetime(2026, 10, 24)  # noqa: DTZ001  # that is what is refused
        for operation in (
            store.get_statistics(OWNER, since=naive),
            store.get_statistics(OWNER, until=naive),
            store.get_costs(OWNER, since=naive),
            store.get_costs(OWNER, until=naive),
        ):
            with pytest.raises(ConfigurationError, match="has no time zone") as caught:
                await operation
            assert naive == caught.value.value
