"""What every store promises about attempts, and the answers they end with."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from tertulia.contracts.store import Settlement, Store
from tertulia.domain.conversation import AttemptOutcome, AttemptPurpose
from tertulia.domain.message import MessageStatus, Role, Text, ToolResult
from tertulia.domain.usage import Cost, CostSource, CostTotal, Money
from tertulia.errors import (
    BranchMovedError,
    BranchNotFoundError,
    ConversationBusyError,
    ErrorKind,
    StoreError,
)
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import LEASE_SECONDS, MAIN, OWNER, STRANGER, Talk, end


class AnswerContract:
    """Asking, answering, and who may write meanwhile."""

    async def test_a_message_is_appended_without_asking(self, store: Store, clock: StandingClock) -> None:
        """A plain message follows the newest one and is complete at once."""
        talk = await Talk.begin(store, clock)
        first = await talk.append("one")
        second = await talk.append("ONE", role=Role.ASSISTANT)

        assert [first, second] == await talk.history()
        assert [(None, 0), (first.id, 1)] == [(each.parent_id, each.depth) for each in (first, second)]
        assert [("one", "complete"), ("ONE", "complete")] == await talk.statuses()
        assert (2, CostTotal(), []) == (
            (await talk.record()).message_count,
            (await talk.record()).cost,
            await talk.attempts(),
        )

    async def test_a_message_follows_the_head_its_author_saw(
        self, store: Store, clock: StandingClock
    ) -> None:
        """With an expected head a message is appended there or not at all."""
        talk = await Talk.begin(store, clock)
        first = await talk.append("one", expected_head=None)
        second = await talk.append("two", expected_head=first.id)

        for expected in (None, first.id):
            with pytest.raises(BranchMovedError) as caught:
                await talk.append("three", expected_head=expected)
            error = caught.value
            assert (MAIN, expected, second.id) == (error.branch, error.expected, error.actual)
        assert ["one", "two"] == await talk.texts()
        assert 2 == (await talk.record()).message_count

    async def test_a_message_is_stored_once(self, store: Store, clock: StandingClock) -> None:
        """Another one of the same id is refused, and is not taken for the one that is there."""
        talk = await Talk.begin(store, clock)
        first = await talk.append("one")
        again = attrs.evolve(talk.make_message("two"), id=first.id)
        await talk.fork("other")

        for branch in (MAIN, "other"):
            with pytest.raises(StoreError):
                await store.add_message(OWNER, talk.id, branch, again)
        assert (["one"], 1) == (await talk.texts(), (await talk.record()).message_count)

    async def test_what_tools_returned_follows_its_call_or_nothing(
        self, store: Store, clock: StandingClock
    ) -> None:
        """A write-ahead with an expected head is stored there, with its attempt, or not at all."""
        talk = await Talk.begin(store, clock)
        calling = await talk.append("call", role=Role.ASSISTANT)
        results = attrs.evolve(talk.make_message("", Role.TOOL), parts=(ToolResult("c", "look", "seen"),))
        attempt = talk.make_attempt(results.id)
        stored = await store.add_user_message(
            OWNER, talk.id, MAIN, results, attempt, expected_head=calling.id
        )
        late = talk.make_message("late", Role.TOOL)

        assert (calling.id, 1, [stored]) == (stored.parent_id, stored.depth, (await talk.history())[1:])
        assert [attempt.id] == [each.id for each in await talk.attempts()]
        with pytest.raises(BranchMovedError):
            await store.add_user_message(
                OWNER, talk.id, MAIN, late, talk.make_attempt(late.id), expected_head=calling.id
            )
        assert (2, 1) == (len(await talk.history()), len(await talk.attempts()))

    async def test_nothing_is_appended_to_an_unknown_branch(self, store: Store, clock: StandingClock) -> None:
        """A misspelt branch is no new one."""
        talk = await Talk.begin(store, clock)

        for operation in (
            lambda: talk.append("Hello", "mian"),
            lambda: talk.ask("Hello", "mian"),
            lambda: talk.ask_again(clock.new_id(), "mian"),
        ):
            with pytest.raises(BranchNotFoundError):
                await operation()
        assert (0, []) == ((await talk.record()).message_count, await talk.attempts())

    async def test_another_owner_settles_nothing(self, store: Store, clock: StandingClock) -> None:
        """An attempt can be settled by its own owner only."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("Hello")

        assert await store.settle(STRANGER, talk.id, MAIN, talk.settle(attempt, Text("Hi"))) is None

        assert [("Hello", "pending")] == await talk.statuses()
        assert [attempt] == await talk.attempts()

    async def test_an_attempt_is_settled_once(self, store: Store, clock: StandingClock) -> None:
        """Settling it again changes nothing and counts nothing."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("Hello")
        await talk.answer(attempt, Text("Hi"), cost=Cost(Money(7)))
        before = await talk.record()

        assert await talk.answer(attempt, Text("Hi again"), cost=Cost(Money(7))) is None

        assert (["Hello", "Hi"], before) == (await talk.texts(), await talk.record())

    async def test_a_second_message_waits_for_the_answer(self, store: Store, clock: StandingClock) -> None:
        """While an answer is under way nobody else can write on the branch, and nothing is stored of it."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("first")

        for operation in (
            lambda: talk.ask("second"),
            lambda: talk.append("second"),
            lambda: talk.ask_again(first.message_id),
        ):
            with pytest.raises(ConversationBusyError) as caught:
                await operation()
            assert caught.value.retryable
        assert (["first"], [first]) == (await talk.texts(), await talk.attempts())

    async def test_branches_do_not_wait_for_each_other(self, store: Store, clock: StandingClock) -> None:
        """Two branches are asked at once, and each has its own answer."""
        talk = await Talk.begin(store, clock)
        await talk.append("before")
        await talk.fork("other")
        here, there = await talk.ask("here"), await talk.ask("there", "other")
        await talk.answer(there, Text("THERE"), branch="other")
        await talk.answer(here, Text("HERE"))

        assert ["before", "here", "HERE"] == await talk.texts()
        assert ["before", "there", "THERE"] == await talk.texts("other")

    async def test_one_message_is_asked_about_on_two_branches(
        self, store: Store, clock: StandingClock
    ) -> None:
        """A branch forked at a message that waits for its answer asks, too, and neither harms the other."""
        talk = await Talk.begin(store, clock)
        here = await talk.ask("Hello")
        await talk.fork("other", at=here.message_id)
        there = await talk.ask_again(here.message_id, "other")
        with pytest.raises(ConversationBusyError):
            await talk.ask_again(here.message_id, "other")
        assert (2, [("Hello", "pending")]) == (there.number, await talk.statuses())

        answer_id = clock.new_id()
        await talk.show(there, answer_id, "Hi th", branch="other")
        await talk.answer(there, Text("Hi there"), branch="other", shown_as=answer_id)
        await talk.fail(here)

        assert [("Hello", "complete")] == await talk.statuses()
        assert ["Hello", "Hi there"] == await talk.texts("other")

    async def test_a_dead_process_leaves_nothing_pending(self, store: Store, clock: StandingClock) -> None:
        """Once its lease has run out an attempt reads as interrupted and its message as failed."""
        talk = await Talk.begin(store, clock)
        await talk.ask("first")
        clock.advance(16)

        assert [("first", "failed")] == await talk.statuses()
        (attempt,) = await talk.attempts()
        assert (AttemptOutcome.INTERRUPTED, ErrorKind.INTERRUPTED) == (attempt.outcome, attempt.error_kind)

    async def test_who_goes_on_settles_what_a_dead_process_left(
        self, store: Store, clock: StandingClock
    ) -> None:
        """With the next message it is settled for good, whatever the clock says later, at an unknown cost."""
        talk = await Talk.begin(store, clock)
        await talk.ask("first")
        clock.advance(16)
        left = await talk.attempts()
        await talk.append("second")
        clock.advance(-16)

        assert [("first", "failed"), ("second", "complete")] == await talk.statuses()
        assert left == await talk.attempts()
        assert CostTotal(Money(0), 1) == (await talk.record()).cost

    async def test_a_renewed_lease_keeps_the_branch(self, store: Store, clock: StandingClock) -> None:
        """An attempt that says it is still under way stays pending."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("first")
        clock.advance(10)
        await store.update_lease(OWNER, attempt.id, clock.now() + timedelta(seconds=15))
        clock.advance(10)

        assert AttemptOutcome.PENDING is (await talk.attempts())[0].outcome
        with pytest.raises(ConversationBusyError):
            await talk.ask("second")

    async def test_nobody_renews_another_owners_lease(self, store: Store, clock: StandingClock) -> None:
        """A lease that another owner asks to renew runs out as if nobody had."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("first")
        await store.update_lease(STRANGER, attempt.id, clock.now() + timedelta(hours=1))

        assert [attempt] == await talk.attempts()

    async def test_a_late_answer_is_kept_beside_the_branch(self, store: Store, clock: StandingClock) -> None:
        """When somebody has gone on from its question, an answer still follows its own question."""
        talk = await Talk.begin(store, clock)
        late = await talk.ask("first")
        clock.advance(16)
        second = await talk.ask("second")

        stored = await talk.answer(late, Text("late"), cost=Cost(Money(5)))
        await talk.answer(second, Text("in time"), cost=Cost(Money(7)))

        assert stored is not None
        assert late.message_id == stored.parent_id
        assert ["first", "second", "in time"] == await talk.texts()
        name = f"{MAIN}-late-{stored.id}"
        assert [("first", "complete"), ("late", "complete")] == await talk.statuses(name)
        beside = await talk.branch(name)
        assert (MAIN, 0, 1, stored.id) == (
            beside.forked_from,
            beside.fork_depth,
            beside.head_depth,
            beside.head_id,
        )
        record = await talk.record()
        assert (4, CostTotal(Money(12))) == (record.message_count, record.cost)

    async def test_a_late_answers_branch_has_no_longer_name_than_others(
        self, store: Store, clock: StandingClock
    ) -> None:
        """A name of 200 characters is cut where the answer's id has to follow."""
        talk = await Talk.begin(store, clock)
        long = "x" * 200
        await talk.fork(long)
        late = await talk.ask("first", long)
        clock.advance(16)
        await talk.append("second", long)
        stored = await talk.answer(late, Text("late"), branch=long)

        assert stored is not None
        assert [MAIN, long, f"{'x' * 158}-late-{stored.id}"] == await talk.branch_names()

    async def test_attempts_are_the_ledger(self, store: Store, clock: StandingClock) -> None:
        """A failed attempt and the one after it are both there, and the counters are their sums."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("Hello")
        failed = attrs.evolve(
            end(first, AttemptOutcome.FAILED),
            error_kind=ErrorKind.OVERLOADED,
            error_message="no capacity",
            latency_seconds=0.25,
            cost=Cost(Money(0), CostSource.NOT_CHARGED),
        )
        second = attrs.evolve(first, id=clock.new_id(), number=2, provider="other")
        await store.settle(OWNER, talk.id, MAIN, Settlement(failed, next_attempt=second))
        done = talk.settle(second, Text("Hi"), cost=Cost(Money(7), price_row="row"))
        await store.settle(OWNER, talk.id, MAIN, done)

        assert [failed, done.attempt] == await talk.attempts()
        stored = await talk.record()
        assert (2, CostTotal(Money(7))) == (stored.message_count, stored.cost)

    async def test_attempts_stand_in_order_when_the_clock_is_set_back(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What was tried first comes first, whatever the time in its id, and whatever branch it was on."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("one")
        clock.advance(-3600)
        second = attrs.evolve(first, id=clock.new_id(), number=2)
        failed = end(first, AttemptOutcome.FAILED)
        await store.settle(OWNER, talk.id, MAIN, Settlement(failed, next_attempt=second))
        await talk.answer(second, Text("ONE"))
        clock.advance(-3600)
        third = await talk.ask("two")
        await talk.answer(third, Text("TWO"))
        clock.advance(-3600)
        await talk.fork("other", at="root")
        fourth = await talk.ask("one, otherwise", "other")

        assert fourth.id < third.id < second.id < first.id
        assert [first.id, second.id, third.id, fourth.id] == [each.id for each in await talk.attempts()]

    async def test_a_failed_message_is_asked_again(self, store: Store, clock: StandingClock) -> None:
        """The same message is pending again, its attempts are numbered on, and the answer follows it."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("Hello")
        await talk.fail(first)
        assert [("Hello", "failed")] == await talk.statuses()

        second = await talk.ask_again(first.message_id)
        assert [("Hello", "pending")] == await talk.statuses()
        await talk.answer(second, Text("Hi"))

        assert [("Hello", "complete"), ("Hi", "complete")] == await talk.statuses()
        assert [(1, "failed"), (2, "succeeded")] == [
            (attempt.number, attempt.outcome.value) for attempt in await talk.attempts()
        ]
        assert 2 == (await talk.record()).message_count

    async def test_a_title_does_not_disturb_the_numbers_of_attempts(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Each attempt for a message follows all earlier ones, whatever those were made for."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("Hello")
        await talk.fail(first)
        second = await talk.ask_again(first.message_id)
        await talk.fail(second)
        title = end(talk.make_attempt(first.message_id), AttemptOutcome.SUCCEEDED)
        title = attrs.evolve(title, purpose=AttemptPurpose.TITLE)
        await store.record_attempt(OWNER, talk.id, MAIN, title)

        assert 3 == (await talk.ask_again(first.message_id)).number

    async def test_a_message_whose_process_died_is_asked_again(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What the dead process left is settled, and its answer, if it comes after all, is kept beside."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("Hello")
        clock.advance(16)
        second = await talk.ask_again(first.message_id)

        assert 2 == second.number
        assert ["interrupted", "pending"] == [each.outcome.value for each in await talk.attempts()]
        stored = await talk.answer(first, Text("late"))
        await talk.answer(second, Text("in time"))

        assert stored is not None
        assert [("Hello", "complete"), ("in time", "complete")] == await talk.statuses()
        assert ["Hello", "late"] == await talk.texts(f"{MAIN}-late-{stored.id}")

    async def test_a_message_nobody_was_asked_about_can_be(self, store: Store, clock: StandingClock) -> None:
        """An appended message is answered like any other, and failed when it is not."""
        talk = await Talk.begin(store, clock)
        message = await talk.append("Hello")
        attempt = await talk.ask_again(message.id)

        assert 1 == attempt.number
        assert [("Hello", "pending")] == await talk.statuses()
        await talk.fail(attempt)
        assert [("Hello", "failed")] == await talk.statuses()

    async def test_only_the_newest_message_is_asked_again(self, store: Store, clock: StandingClock) -> None:
        """What the branch has gone past is not asked about on it, and nothing is stored."""
        talk = await Talk.begin(store, clock)
        first = await talk.append("one")
        second = await talk.append("two")

        with pytest.raises(BranchMovedError) as caught:
            await talk.ask_again(first.id)

        assert (first.id, second.id) == (caught.value.expected, caught.value.actual)
        assert [] == await talk.attempts()

    async def test_an_answered_message_stays_complete(self, store: Store, clock: StandingClock) -> None:
        """Asked again on another branch, a message keeps what it has, whatever becomes of the new attempt."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("Hello")
        await talk.answer(first, Text("Hi"))
        await talk.fork("other", at=first.message_id)
        second = await talk.ask_again(first.message_id, "other")

        assert [("Hello", "complete"), ("Hi", "complete")] == await talk.statuses()
        await talk.fail(second, "other")
        assert [("Hello", "complete")] == await talk.statuses("other")
        third = await talk.ask_again(first.message_id, "other")
        await talk.answer(third, Text("Good day"), branch="other")

        assert ["Hello", "Hi"] == await talk.texts()
        assert ["Hello", "Good day"] == await talk.texts("other")
        assert 3 == third.number

    async def test_a_message_that_was_answered_elsewhere_stays_complete(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Also where something else was said first behind it, and the answer stands on a later branch."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("Hello")
        await talk.fail(first)
        await talk.append("Anybody?")
        await talk.fork("other", at=first.message_id)
        await talk.answer(await talk.ask_again(first.message_id, "other"), Text("Hi"), branch="other")
        await talk.fork("third", at=first.message_id)
        again = await talk.ask_again(first.message_id, "third")

        assert [("Hello", "complete"), ("Hi", "complete")] == await talk.statuses("other")
        await talk.fail(again, "third")
        assert [("Hello", "complete")] == await talk.statuses("third")

    async def test_a_late_answer_names_a_branch_that_is_there(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Where its branch was renamed or removed meanwhile, so does what comes of it, or it names none."""
        talk = await Talk.begin(store, clock)
        for name in ("renamed", "removed"):
            await talk.fork(f"{name}-old")
            attempt = await talk.ask("Hello", f"{name}-old")
            clock.advance(LEASE_SECONDS + 1)  # so that it may be renamed and removed
            await store.update_branch_name(OWNER, talk.id, f"{name}-old", name, clock.now())
            if name == "removed":
                await store.remove_branch(OWNER, talk.id, name, clock.now())
            failed, following = end(attempt, AttemptOutcome.FAILED), attrs.evolve(attempt, id=clock.new_id())
            await store.settle(OWNER, talk.id, f"{name}-old", Settlement(failed, next_attempt=following))
            await talk.answer(following, Text("Hi"), branch=f"{name}-old")

        assert ["renamed", "renamed", None, None] == [each.branch for each in await talk.attempts()]
        origins = {each.name[:12]: each.forked_from for each in await store.find_branches(OWNER, talk.id)}
        assert ("renamed", None) == (origins["renamed-old-"], origins["removed-old-"])

    async def test_a_title_names_a_branch_that_is_there(self, store: Store, clock: StandingClock) -> None:
        """Recorded when its branch is gone, an attempt names none."""
        talk = await Talk.begin(store, clock)
        message = await talk.append("Hello")
        for branch in (MAIN, "gone"):
            ended = end(talk.make_attempt(message.id), AttemptOutcome.SUCCEEDED)
            await store.record_attempt(OWNER, talk.id, branch, ended)

        assert [MAIN, None] == [each.branch for each in await talk.attempts()]

    async def test_a_failure_without_an_answer_is_told(self, store: Store, clock: StandingClock) -> None:
        """A message that no provider answered is failed, and nothing follows it."""
        talk = await Talk.begin(store, clock)
        await talk.fail(await talk.ask("Hello"))

        (message,) = await talk.history()
        assert MessageStatus.FAILED is message.status
