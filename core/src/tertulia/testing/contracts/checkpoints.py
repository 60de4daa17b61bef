"""What every store promises about an answer that is still coming."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from tertulia.contracts.store import Checkpoint, Settlement, Store
from tertulia.domain.conversation import AttemptOutcome
from tertulia.domain.library import MarkChange
from tertulia.domain.message import MessageStatus, Reasoning, Role, Text
from tertulia.domain.usage import Cost, CostTotal, Money
from tertulia.errors import ConversationBusyError
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk, end


class CheckpointContract:
    """Answers that survive the death of the process that shows them."""

    async def test_an_answer_can_be_read_while_it_comes(self, store: Store, clock: StandingClock) -> None:
        """It stands after its question, pending, with the words and the thoughts so far."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        await talk.think(attempt, answer_id, "", thoughts="A gree")
        await talk.think(attempt, answer_id, "Good ", thoughts="ting.", number=1)
        await talk.think(attempt, answer_id, "morn", number=2)

        question, answer = await talk.history()
        assert (MessageStatus.PENDING, MessageStatus.PENDING) == (question.status, answer.status)
        assert (Reasoning("A greeting."), Text("Good morn")) == answer.parts
        assert (answer_id, question.id, 1, Role.ASSISTANT, "openai", "gpt-6.1-sol", clock.now()) == (
            answer.id,
            answer.parent_id,
            answer.depth,
            answer.role,
            answer.provider,
            answer.model,
            answer.created_at,
        )
        assert answer == await store.get_message(OWNER, talk.id, answer_id)
        assert (2, answer_id) == ((await talk.record()).message_count, (await talk.branch()).head_id)

    async def test_a_whole_answer_takes_the_place_of_its_pieces(
        self, store: Store, clock: StandingClock
    ) -> None:
        """It keeps its id and its place, is counted once, and nothing of the pieces is left."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        await talk.show(attempt, answer_id, "Good ", "morn")
        stored = await talk.answer(attempt, Reasoning("Hm."), Text("Good morning"), shown_as=answer_id)
        await talk.append("Thanks")

        question, answer, thanks = await talk.history()
        assert (stored, answer_id, question.id, 1) == (answer, answer.id, answer.parent_id, answer.depth)
        assert (Reasoning("Hm."), Text("Good morning")) == answer.parts
        assert [MessageStatus.COMPLETE] * 3 == [each.status for each in (question, answer, thanks)]
        assert (3, 3) == ((await talk.record()).message_count, (await talk.branch()).version)

    async def test_a_mark_stays_when_the_answer_is_whole(self, store: Store, clock: StandingClock) -> None:
        """What was said of an answer while it came is said of it still, and the same where it broke off."""
        talk = await Talk.begin(store, clock)
        for text in ("whole", "broken"):
            attempt, answer_id = await talk.ask(text), clock.new_id()
            await talk.show(attempt, answer_id, "Good ")
            await store.update_mark(OWNER, talk.id, answer_id, MarkChange(pinned=True))
            if text == "whole":
                await talk.answer(attempt, Text("Good morning"), shown_as=answer_id)
        clock.advance(16)
        await talk.append("Hello?")

        assert [False, True, False, True, False] == [each.mark.pinned for each in await talk.history()]

    async def test_nobody_writes_behind_an_answer_that_comes(
        self, store: Store, clock: StandingClock
    ) -> None:
        """While an answer comes its branch is busy, although the answer is its head."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        await talk.show(attempt, answer_id, "Good ")

        for operation in (lambda: talk.append("second"), lambda: talk.ask("second")):
            with pytest.raises(ConversationBusyError):
                await operation()
        assert ["Hello", "Good "] == await talk.texts()

    async def test_what_a_dead_process_showed_reads_as_interrupted(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Once the lease has run out the words so far are an interrupted answer, and its question has one."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        await talk.show(attempt, answer_id, "Good ", "morn")
        clock.advance(16)

        assert [("Hello", "complete"), ("Good morn", "interrupted")] == await talk.statuses()
        assert AttemptOutcome.INTERRUPTED is (await talk.attempts())[0].outcome
        (newest,) = await store.get_messages(OWNER, talk.id, MAIN, limit=1)
        assert ("Good morn", MessageStatus.INTERRUPTED) == (newest.text, newest.status)
        await store.update_lease(OWNER, attempt.id, clock.now() + timedelta(seconds=15))
        assert [("Hello", "pending"), ("Good morn", "pending")] == await talk.statuses()

    async def test_who_goes_on_settles_what_was_shown(self, store: Store, clock: StandingClock) -> None:
        """With the next message the words so far are settled for good, and follow their question."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        await talk.think(attempt, answer_id, "Good ", thoughts="Hm.")
        await talk.show(attempt, answer_id, "morn", first=1)
        clock.advance(16)
        following = await talk.append("Hello?")
        clock.advance(-16)

        assert answer_id == following.parent_id
        _, answer, _ = await talk.history()
        assert (Reasoning("Hm."), Text("Good morn")) == answer.parts
        assert [("Hello", "complete"), ("Good morn", "interrupted"), ("Hello?", "complete")] == (
            await talk.statuses()
        )
        record = await talk.record()
        assert (3, CostTotal(Money(0), 1)) == (record.message_count, record.cost)

    async def test_the_rest_of_an_answer_that_was_taken_over_goes_beside(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What comes after all is kept whole on a branch of its own; what the others saw stays as it was."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        await talk.show(attempt, answer_id, "Good ")
        clock.advance(16)
        await talk.append("Hello?")
        await talk.show(attempt, answer_id, "morning", first=1)
        stored = await talk.answer(attempt, Text("Good morning"), cost=Cost(Money(5)), shown_as=answer_id)

        assert stored is not None
        assert answer_id != stored.id
        assert [("Hello", "complete"), ("Good ", "interrupted"), ("Hello?", "complete")] == (
            await talk.statuses()
        )
        beside = await talk.history(f"{MAIN}-late-{stored.id}")
        assert ["Hello", "Good morning"] == [message.text for message in beside]
        assert stored == beside[-1]
        record = await talk.record()
        assert (4, CostTotal(Money(5))) == (record.message_count, record.cost)

    async def test_an_answer_that_was_taken_over_before_its_first_words_writes_none(
        self, store: Store, clock: StandingClock
    ) -> None:
        """It does not come behind what was said meanwhile; settled, it is beside, under its own id."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        clock.advance(16)
        await talk.append("Hello?")
        await talk.show(attempt, answer_id, "Good ", "morning")
        assert ["Hello", "Hello?"] == await talk.texts()

        stored = await talk.answer(attempt, Text("Good morning"), shown_as=answer_id)
        assert stored is not None
        assert answer_id == stored.id
        assert ["Hello", "Good morning"] == await talk.texts(f"{MAIN}-late-{answer_id}")

    async def test_who_asks_again_is_not_overtaken(self, store: Store, clock: StandingClock) -> None:
        """The first words of an attempt that was thought dead do not take the place of the one after it."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("Hello")
        clock.advance(16)
        second, answer_id = await talk.ask_again(first.message_id), clock.new_id()
        await talk.show(first, clock.new_id(), "late")
        await talk.show(second, answer_id, "in ")
        await talk.answer(second, Text("in time"), shown_as=answer_id)

        assert [("Hello", "complete"), ("in time", "complete")] == await talk.statuses()
        assert [MAIN] == await talk.branch_names()

    async def test_an_answer_is_asked_for_again_beside_an_interrupted_one(
        self, store: Store, clock: StandingClock
    ) -> None:
        """On a branch that ends with the question, what a dead process showed stays where it is."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("Hello")
        await talk.show(first, clock.new_id(), "Good ")
        clock.advance(16)
        await talk.fork("other", at=first.message_id)
        second, answer_id = await talk.ask_again(first.message_id, "other"), clock.new_id()
        await talk.show(second, answer_id, "Hi", branch="other")

        assert [("Hello", "complete"), ("Good ", "interrupted")] == await talk.statuses()
        assert [("Hello", "complete"), ("Hi", "pending")] == await talk.statuses("other")
        await talk.answer(second, Text("Hi!"), branch="other", shown_as=answer_id)
        assert [("Hello", "complete"), ("Hi!", "complete")] == await talk.statuses("other")

    async def test_words_without_an_end_stay_interrupted(self, store: Store, clock: StandingClock) -> None:
        """Settled without an answer, the words that were shown are what there is of it."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("Hello")
        await talk.show(attempt, clock.new_id(), "Good ")
        ended = end(attempt, AttemptOutcome.CANCELLED)
        settlement = Settlement(ended, MessageStatus.COMPLETE, checkpointed=True)
        assert await store.settle(OWNER, talk.id, MAIN, settlement) is None
        await talk.append("Hello?")

        assert [("Hello", "complete"), ("Good ", "interrupted"), ("Hello?", "complete")] == (
            await talk.statuses()
        )

    async def test_another_owner_writes_no_words(self, store: Store, clock: StandingClock) -> None:
        """Pieces of an answer are written by its own owner only."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        piece = Checkpoint(
            attempt.id, attempt.message_id, answer_id, 0, "Bad ", "", "openai", "gpt-6.1-sol", clock.now()
        )
        await store.add_checkpoint(STRANGER, talk.id, MAIN, piece)
        assert ["Hello"] == await talk.texts()

        await talk.show(attempt, answer_id, "Good ")
        await store.add_checkpoint(STRANGER, talk.id, MAIN, attrs.evolve(piece, number=1))
        assert ["Hello", "Good "] == await talk.texts()
