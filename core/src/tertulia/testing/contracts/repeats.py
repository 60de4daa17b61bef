"""What a store promises of messages that are sent again, and of what became of calls lately."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import attrs
import pytest

from tertulia.contracts.store import Settlement, Store
from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.library import MarkChange
from tertulia.domain.message import Mark, Message, MessageStatus, Text
from tertulia.domain.transfer import ConversationTree
from tertulia.errors import (
    BranchMovedError,
    ConversationBusyError,
    DuplicateMessageError,
    StoreError,
)
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk, counted, end


class RepeatContract:
    """Messages that their sender gave a name, and attempts of all conversations."""

    async def test_a_named_message_is_found(self, store: Store, clock: StandingClock) -> None:
        """By its conversation and its name, with all that belongs to it; others find nothing."""
        talk = await Talk.begin(store, clock)
        other = await Talk.begin(store, clock)
        await talk.append("Hi")
        message, attempt = _make(talk, "Hello", "a")
        stored = await store.add_user_message(OWNER, talk.id, MAIN, message, attempt)
        assert message.id is not None

        assert counted(attrs.evolve(message, parent_id=stored.parent_id, depth=1)) == stored
        assert stored == await store.find_message(OWNER, talk.id, "a")
        assert stored == (await talk.history())[1]
        for owner, conversation_id, name in (
            (OWNER, talk.id, "b"),
            (OWNER, talk.id, ""),
            (OWNER, other.id, "a"),
            (STRANGER, talk.id, "a"),
            (OWNER, clock.new_id(), "a"),
        ):
            assert await store.find_message(owner, conversation_id, name) is None

        await store.update_mark(OWNER, talk.id, message.id, MarkChange(pinned=True))
        await talk.answer(attempt, Text("Yes?"))
        marked = attrs.evolve(stored, status=MessageStatus.COMPLETE, mark=Mark(pinned=True))
        assert marked == await store.find_message(OWNER, talk.id, "a")

    async def test_a_name_is_given_once(self, store: Store, clock: StandingClock) -> None:
        """A second one changes nothing, on any branch, and who sent it learns which message has the name."""
        talk = await Talk.begin(store, clock)
        message, attempt = _make(talk, "Hello", "a")
        await store.add_user_message(OWNER, talk.id, MAIN, message, attempt)
        await talk.answer(attempt, Text("Yes?"))
        await talk.fork("other", at="root")
        before = await _look(store, talk)

        for branch in (MAIN, "other"):
            with pytest.raises(DuplicateMessageError, match=r"client_id 'a' already") as caught:
                await store.add_user_message(OWNER, talk.id, branch, *_make(talk, "Hello again", "a"))
            assert message.id == caught.value.message_id

        assert before == await _look(store, talk)
        again, its_attempt = _make(talk, "And now?", "b")
        await store.add_user_message(OWNER, talk.id, "other", again, its_attempt)
        assert ["And now?"] == await talk.texts("other")

    async def test_a_repeated_message_says_so_before_anything_else(
        self, store: Store, clock: StandingClock
    ) -> None:
        """While it is being answered, and where the branch went on, it is a repetition all the same."""
        talk = await Talk.begin(store, clock)
        message, attempt = _make(talk, "Hello", "a")
        await store.add_user_message(OWNER, talk.id, MAIN, message, attempt, expected_head=None)

        with pytest.raises(DuplicateMessageError):
            await store.add_user_message(OWNER, talk.id, MAIN, *_make(talk, "Hello", "a"), expected_head=None)
        with pytest.raises(ConversationBusyError):
            await store.add_user_message(OWNER, talk.id, MAIN, *_make(talk, "Hello", "b"))
        with pytest.raises(BranchMovedError):
            await store.add_user_message(OWNER, talk.id, MAIN, *_make(talk, "Hello", "b"), expected_head=None)

        assert await store.find_message(OWNER, talk.id, "b") is None

    async def test_of_messages_of_one_name_at_once_one_is_stored(
        self, store: Store, clock: StandingClock
    ) -> None:
        """However many are sent, on however many branches, among others that have none or another."""
        talk, aside = await Talk.begin(store, clock), await Talk.begin(store, clock)
        branches = [f"branch-{number}" for number in range(6)]
        for name in branches:
            await talk.fork(name, at="root")

        answers = await asyncio.gather(
            *(store.add_user_message(OWNER, talk.id, each, *_make(talk, each, "a")) for each in branches),
            aside.append("one"),
            *(store.add_message(OWNER, talk.id, MAIN, talk.make_message(f"{n}")) for n in range(3)),
            aside.append("two"),
            return_exceptions=True,
        )

        refused = [each for each in answers if isinstance(each, BaseException)]
        assert [DuplicateMessageError] * 5 == [type(each) for each in refused]
        found = await store.find_message(OWNER, talk.id, "a")
        assert found is not None
        assert {found.id} == {each.message_id for each in refused if isinstance(each, DuplicateMessageError)}
        assert 3 == len(await talk.texts())
        assert {"one", "two"} == set(await aside.texts())
        assert (4, 1) == ((await talk.record()).message_count, len(await talk.attempts()))

    async def test_two_conversations_may_give_one_name(self, store: Store, clock: StandingClock) -> None:
        """A name belongs to its conversation."""
        for text in ("here", "there"):
            talk = await Talk.begin(store, clock)
            await store.add_user_message(OWNER, talk.id, MAIN, *_make(talk, text, "a"))
            found = await store.find_message(OWNER, talk.id, "a")
            assert found is not None
            assert text == found.text

    async def test_a_name_comes_along_in_a_tree(self, store: Store, clock: StandingClock) -> None:
        """And a tree with a name that is given twice is none."""
        talk = await Talk.begin(store, clock)
        message, attempt = _make(talk, "Hello", "a")
        await store.add_user_message(OWNER, talk.id, MAIN, message, attempt)
        await talk.answer(attempt, Text("Yes?"))
        record = await talk.record()
        messages = tuple(await talk.history())
        branches = tuple(await store.find_branches(OWNER, talk.id))
        tree = ConversationTree(record, branches, messages, tuple(await talk.attempts()))

        await store.add_trees(STRANGER, [tree])

        found = await store.find_message(STRANGER, talk.id, "a")
        assert messages[0] == found
        twice = attrs.evolve(
            tree,
            record=attrs.evolve(record, id=clock.new_id()),
            messages=tuple(attrs.evolve(each, client_id="a") for each in messages),
        )
        with pytest.raises(StoreError, match="two of its messages have the client_id 'a'"):
            await store.add_trees(STRANGER, [twice])

    async def test_the_time_a_call_was_queued_is_kept(self, store: Store, clock: StandingClock) -> None:
        """To the microsecond, beside its latency; None where it did not wait."""
        talk = await Talk.begin(store, clock)
        first = await talk.ask("Hello")
        queued = attrs.evolve(end(first, AttemptOutcome.FAILED), latency_seconds=1.0, queued_seconds=2.000001)
        following = attrs.evolve(
            talk.make_attempt(first.message_id), number=2, queued_seconds=0.5, lease_until=None
        )

        await store.settle(OWNER, talk.id, MAIN, Settlement(queued, next_attempt=following))
        await store.settle(
            OWNER, talk.id, MAIN, Settlement(attrs.evolve(following, outcome=AttemptOutcome.CANCELLED))
        )
        await store.record_attempt(
            OWNER, talk.id, MAIN, end(talk.make_attempt(first.message_id), AttemptOutcome.SUCCEEDED)
        )

        attempts = await talk.attempts()
        assert [2.000001, 0.5, None] == [each.queued_seconds for each in attempts]
        assert [1.0, None, None] == [each.latency_seconds for each in attempts]

    async def test_the_newest_attempts_are_found(self, store: Store, clock: StandingClock) -> None:
        """Of all conversations of the owner, the newest first, as far back as asked, at most so many."""
        ended = [await _record(store, clock, minutes) for minutes in range(5)]
        since = ended[1].started_at

        assert ended[:0:-1] == await store.get_recent_attempts(OWNER, since=since)
        assert ended[:2:-1] == await store.get_recent_attempts(OWNER, since=since, limit=2)
        assert [] == list(await store.get_recent_attempts(OWNER, since=since, limit=0))
        assert [] == list(await store.get_recent_attempts(STRANGER, since=since))
        assert [] == list(await store.get_recent_attempts(OWNER, since=clock.now() + timedelta(days=1)))

    async def test_an_attempt_that_is_under_way_is_no_recent_one(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Until its lease runs out: then it was interrupted."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("Hello")

        assert [] == list(await store.get_recent_attempts(OWNER, since=attempt.started_at))
        clock.advance(15)

        (found,) = await store.get_recent_attempts(OWNER, since=attempt.started_at)
        assert (attempt.id, AttemptOutcome.INTERRUPTED) == (found.id, found.outcome)

    async def test_attempts_of_a_purged_conversation_are_gone(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Those of one that can be restored are there."""
        kept, gone = await _record(store, clock, 0), await _record(store, clock, 1)
        for record in await store.find_conversations(OWNER):
            await store.remove_conversation(OWNER, record.id, clock.now())
            if [gone] == await store.get_attempts(OWNER, record.id):
                await store.purge_conversation(OWNER, record.id)

        assert [kept] == list(await store.get_recent_attempts(OWNER, since=kept.started_at))


def _make(talk: Talk, text: str, client_id: str) -> tuple[Message, Attempt]:
    """A named message, and the attempt to answer it."""
    message = attrs.evolve(talk.make_message(text), client_id=client_id, status=MessageStatus.PENDING)
    return message, talk.make_attempt(message.id)


async def _look(store: Store, talk: Talk) -> tuple[object, ...]:
    """All there is of a conversation."""
    messages: list[Message] = await store.find_messages(OWNER, talk.id)
    branches = await store.find_branches(OWNER, talk.id)
    return await talk.record(), messages, branches, await talk.attempts()


async def _record(store: Store, clock: StandingClock, minutes: int) -> Attempt:
    """An attempt of a conversation of its own, which has ended."""
    talk = await Talk.begin(store, clock)
    asked = await talk.append("Hello")
    identifier: UUID | None = asked.id
    started_at = clock.now() + timedelta(minutes=minutes)
    attempt = attrs.evolve(
        end(talk.make_attempt(identifier), AttemptOutcome.SUCCEEDED), started_at=started_at
    )
    await store.record_attempt(OWNER, talk.id, MAIN, attempt)
    return attempt
