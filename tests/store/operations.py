"""Every operation of a store, ready to be done: so that each can be made to fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeAlias

import attrs

from tertulia import ConversationNotFoundError, Image, Message, MessageStatus, Text
from tertulia.contracts.store import Checkpoint, Settlement, Store
from tertulia.domain.conversation import Attempt, AttemptOutcome, ConversationState
from tertulia.domain.library import MarkChange
from tertulia.domain.model import ModelInfo
from tertulia.domain.statistics import CostGroup
from tertulia.domain.transfer import ConversationTree
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk, end, make_record

Act: TypeAlias = Callable[[], Awaitable[Any]]
"""Does an operation; when it failed it can be done again."""

_PICTURE = Image(b"a picture", "image/png")


@attrs.define(eq=False)
class World:
    """
    A store with a conversation that has an answer, a picture and a branch.

    The methods whose names begin with ``read_`` or ``write_`` prepare an operation, and return what does it.
    """

    store: Store
    clock: StandingClock
    talk: Talk

    @classmethod
    async def make(cls, store: Store, clock: StandingClock) -> World:
        """Say a little in an open store."""
        talk = await Talk.begin(store, clock, "Trip")
        attempt = await talk.ask("one")
        await talk.answer(attempt, Text("ONE"), _PICTURE)
        await talk.append("two")
        await talk.fork("aside", at=attempt.message_id)
        await talk.append("more", "aside")
        return cls(store, clock, talk)

    async def read_conversation(self) -> Act:
        return self.talk.record

    async def read_conversations(self) -> Act:
        return lambda: self.store.find_conversations(OWNER)

    async def read_tags(self) -> Act:
        return lambda: self.store.find_tags(OWNER)

    async def read_hits(self) -> Act:
        return lambda: self.store.search(OWNER, "one")

    async def read_message(self) -> Act:
        (first, *_) = await self.talk.history()
        assert first.id is not None
        wanted = first.id
        return lambda: self.store.get_message(OWNER, self.talk.id, wanted)

    async def read_history(self) -> Act:
        return self.talk.history

    async def read_messages(self) -> Act:
        return lambda: self.store.find_messages(OWNER, self.talk.id)

    async def read_attempts(self) -> Act:
        return self.talk.attempts

    async def read_branch(self) -> Act:
        return self.talk.branch

    async def read_branches(self) -> Act:
        return self.talk.branch_names

    async def read_models(self) -> Act:
        return lambda: self.store.get_models(OWNER)

    async def read_statistics(self) -> Act:
        return lambda: self.store.get_statistics(OWNER)

    async def read_costs(self) -> Act:
        return lambda: self.store.get_costs(OWNER, (CostGroup.DAY, CostGroup.PROVIDER))

    async def read_state_of_the_store(self) -> Act:
        return self.store.verify

    async def write_conversation(self) -> Act:
        record = make_record(self.clock, "Another")
        return lambda: self.store.add_conversation(record)

    async def write_title(self) -> Act:
        return lambda: self.store.update_title(OWNER, self.talk.id, "Renamed", self.clock.now())

    async def write_state(self) -> Act:
        archived = ConversationState.ARCHIVED
        return lambda: self.store.update_state(OWNER, self.talk.id, archived, self.clock.now())

    async def write_removal(self) -> Act:
        doomed = await self._begin_another()
        return lambda: self.store.remove_conversation(OWNER, doomed.id, self.clock.now())

    async def write_restoration(self) -> Act:
        doomed = await self._begin_another()
        await self.store.remove_conversation(OWNER, doomed.id, self.clock.now())
        return lambda: self.store.restore_conversation(OWNER, doomed.id, self.clock.now())

    async def write_purge(self) -> Act:
        doomed = await self._begin_another()
        await self.store.remove_conversation(OWNER, doomed.id, self.clock.now())

        async def purge() -> None:
            # What failed last may only have been the look for others that are half gone.
            with suppress(ConversationNotFoundError):
                await self.store.purge_conversation(OWNER, doomed.id)

        return purge

    async def write_expiry(self) -> Act:
        doomed, now = await self._begin_another(), self.clock.now()
        await self.store.remove_conversation(OWNER, doomed.id, now, purge_after=now)
        return lambda: self.store.purge_expired(OWNER, now + timedelta(days=1))

    async def write_metadata(self) -> Act:
        return lambda: self.store.patch_metadata(OWNER, self.talk.id, {"a": {"b": 1}}, self.clock.now())

    async def write_tags(self) -> Act:
        at = self.clock.now()
        await self.store.update_tags(OWNER, self.talk.id, add=["x"], at=at)
        return lambda: self.store.update_tags(OWNER, self.talk.id, add=["y", "z"], remove=["x"], at=at)

    async def write_question(self) -> Act:
        message = attrs.evolve(self.talk.make_message("three"), status=MessageStatus.PENDING)
        attempt = self.talk.make_attempt(message.id)
        return lambda: self.store.add_user_message(OWNER, self.talk.id, MAIN, message, attempt)

    async def write_answer(self) -> Act:
        return self._settling(self.talk.settle(await self._ask(), Text("FOUR"), _PICTURE))

    async def write_answer_that_was_shown(self) -> Act:
        attempt, shown_as = await self._ask(), self.clock.new_id()
        await self.talk.show(attempt, shown_as, "FI", "VE")
        settlement = self.talk.settle(attempt, Text("FIVE"), _PICTURE)
        assert settlement.answer is not None
        answer = attrs.evolve(settlement.answer, id=shown_as)
        return self._settling(attrs.evolve(settlement, answer=answer, checkpointed=True))

    async def write_answer_that_is_late(self) -> Act:
        attempt = await self._ask()
        await self.talk.show(attempt, self.clock.new_id(), "SI")
        self.clock.advance(16)
        await self.talk.append("Are you there?")
        return self._settling(self.talk.settle(attempt, Text("SIX")))

    async def write_failure_and_next_attempt(self) -> Act:
        attempt = await self._ask()
        again = attrs.evolve(self.talk.make_attempt(attempt.message_id), number=2)
        failed = end(attempt, AttemptOutcome.FAILED)
        return self._settling(Settlement(failed, next_attempt=again))

    async def write_message(self) -> Act:
        message = self.talk.make_message("seven")
        return lambda: self.store.add_message(OWNER, self.talk.id, MAIN, message)

    async def write_message_after_a_dead_process(self) -> Act:
        await self.talk.show(await self._ask(), self.clock.new_id(), "EI")
        self.clock.advance(16)
        return await self.write_message()

    async def write_attempt(self) -> Act:
        message = await self.talk.append("eight")
        attempt = self.talk.make_attempt(message.id)
        return lambda: self.store.add_attempt(OWNER, self.talk.id, MAIN, attempt)

    async def write_title_attempt(self) -> Act:
        (first, *_) = await self.talk.history()
        ended = end(self.talk.make_attempt(first.id), AttemptOutcome.SUCCEEDED)
        return lambda: self.store.record_attempt(OWNER, self.talk.id, MAIN, ended)

    async def write_first_piece(self) -> Act:
        piece = self._make_piece(await self._ask())
        return lambda: self.store.add_checkpoint(OWNER, self.talk.id, MAIN, piece)

    async def write_next_piece(self) -> Act:
        attempt = await self._ask()
        piece = self._make_piece(attempt)
        await self.store.add_checkpoint(OWNER, self.talk.id, MAIN, piece)
        following = attrs.evolve(piece, number=1)
        return lambda: self.store.add_checkpoint(OWNER, self.talk.id, MAIN, following)

    async def write_lease(self) -> Act:
        attempt, until = await self._ask(), self.clock.now() + timedelta(seconds=30)
        return lambda: self.store.update_lease(OWNER, attempt.id, until)

    async def write_mark(self) -> Act:
        (first, *_) = await self.talk.history()
        assert first.id is not None
        marked = first.id
        return lambda: self.store.update_mark(OWNER, self.talk.id, marked, MarkChange(pinned=True))

    async def write_branch(self) -> Act:
        return lambda: self.talk.fork("new")

    async def write_branch_without_a_message(self) -> Act:
        return lambda: self.talk.fork("empty", at="root")

    async def write_target(self) -> Act:
        where = (OWNER, self.talk.id, MAIN)
        return lambda: self.store.update_target(*where, provider="xai", model="g", at=self.clock.now())

    async def write_active_branch(self) -> Act:
        await self.talk.fork("active")
        return lambda: self.store.update_active_branch(OWNER, self.talk.id, "active", self.clock.now())

    async def write_branch_name(self) -> Act:
        await self.talk.fork("old")
        where = (OWNER, self.talk.id, "old")
        return lambda: self.store.update_branch_name(*where, "renamed", self.clock.now())

    async def write_branch_head(self) -> Act:
        branch = await self.talk.fork("behind")
        ahead = await self._append_to("ahead", source="behind")
        return lambda: self.store.update_branch_head(
            OWNER, self.talk.id, "behind", to=ahead.id, expected_head=branch.head_id, at=self.clock.now()
        )

    async def write_branch_removal(self) -> Act:
        await self._append_to("doomed", source=MAIN)
        return lambda: self.store.remove_branch(OWNER, self.talk.id, "doomed", self.clock.now())

    async def write_models(self) -> Act:
        models = [ModelInfo("openai", "gpt-6.1-sol"), ModelInfo("openai", "other")]
        return lambda: self.store.replace_models(OWNER, "openai", models, self.clock.now())

    async def write_trees(self) -> Act:
        tree = await self._make_tree()
        return lambda: self.store.add_trees(OWNER, [tree])

    async def write_statistics(self) -> Act:
        record = make_record(self.clock)
        wrong = attrs.evolve(record, usage=attrs.evolve(record.usage, output_tokens=1))
        await self.store.add_conversation(wrong)
        return self.store.rebuild_statistics

    async def write_search(self) -> Act:
        return self.store.rebuild_search

    async def _ask(self) -> Attempt:
        """Ask on a branch that is free: what an operation before left pending there is dead."""
        self.clock.advance(60)
        return await self.talk.ask("four")

    async def _begin_another(self) -> Talk:
        other = await Talk.begin(self.store, self.clock, "Another")
        await other.answer(await other.ask("Hello"), Text("Hi"), Image(other.id.bytes, "image/png"))
        return other

    async def _append_to(self, name: str, *, source: str) -> Message:
        await self.talk.fork(name, source=source)
        return await self.talk.append(name, name)

    def _settling(self, settlement: Settlement) -> Act:
        return lambda: self.store.settle(OWNER, self.talk.id, MAIN, settlement)

    def _make_piece(self, attempt: Attempt) -> Checkpoint:
        return Checkpoint(
            attempt_id=attempt.id,
            message_id=attempt.message_id,
            answer_id=self.clock.new_id(),
            number=0,
            text="SE",
            thoughts="hm",
            provider=attempt.provider,
            model=attempt.model,
            created_at=self.clock.now(),
        )

    async def _make_tree(self) -> ConversationTree:
        """A conversation from elsewhere: one question with its answer."""
        record, at = make_record(self.clock, "Imported"), self.clock.now()
        question = attrs.evolve(Message.of("user", "Hello"), id=self.clock.new_id(), depth=0, created_at=at)
        answer = attrs.evolve(
            Message.of("assistant", "Hi"),
            id=self.clock.new_id(),
            parent_id=question.id,
            depth=1,
            provider="openai",
            model="m",
            created_at=at,
        )
        branch = attrs.evolve(record.branch, head_id=answer.id, head_depth=1)
        return ConversationTree(attrs.evolve(record, branch=branch), (branch,), (question, answer))


READING = [name for name in vars(World) if name.startswith("read_")]
WRITING = [name for name in vars(World) if name.startswith("write_")]
