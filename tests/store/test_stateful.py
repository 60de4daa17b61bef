"""Whatever is done to a store, in whatever order, it says what a plain model of it says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from store_model import Asked, Said, Talked, patch

from tertulia import Store
from tertulia.builtin.sql.store import SQLStore
from tertulia.contracts.store import Checkpoint, Settlement
from tertulia.domain.conversation import Attempt, AttemptOutcome, ConversationState
from tertulia.domain.library import ConversationFilter, MarkChange, Order
from tertulia.domain.message import Message, MessageStatus, Role, Text
from tertulia.domain.statistics import CostGroup
from tertulia.domain.usage import Cost, Money, Usage
from tertulia.errors import (
    BranchError,
    BranchExistsError,
    BranchMovedError,
    ConversationBusyError,
    ConversationNotFoundError,
    TertuliaError,
)
from tertulia.testing import MemoryStore, StandingClock
from tertulia.testing.contracts.talk import make_record
from tertulia.testing.memory.context import count_in
from torture import scale

_T = TypeVar("_T")
_NUMBERS = count()

_ANY = st.integers(0, 30)
"""Chooses one of those there are, whatever their number by then."""

_WORDS = ("hotel", "river", "riverside", "lisbon", "museum")
_TEXT = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=3).map(" ".join)
_COST = st.sampled_from([None, 0, 7, 10**10])
_PROVIDER = st.sampled_from(["openai", "gemini"])
Fate: TypeAlias = tuple[int, str]
"""How many pieces are shown of an answer, and how it ends, if it does."""
_FATE = st.tuples(
    st.integers(0, 2), st.sampled_from(["flies", "dies", "dies", "succeeded", "failed", "cancelled"])
)
_PATCH = st.dictionaries(
    st.sampled_from("ab"),
    st.one_of(st.none(), st.integers(0, 2), st.just({"a": 1}), st.just({"a": None, "b": [1, "x"]})),
    max_size=2,
)

_TALK = st.one_of(
    st.tuples(st.just("ask"), _ANY, _TEXT, _PROVIDER, _FATE),
    st.tuples(st.just("ask_again"), _ANY, _PROVIDER, _FATE),
    st.tuples(st.just("say"), _ANY, _TEXT, st.sampled_from(["user", "assistant", "system"])),
)
_ARRANGEMENT = st.one_of(
    st.tuples(st.just("switch"), _ANY),
    st.tuples(st.just("put_away"), _TEXT, st.booleans()),
    st.tuples(st.just("tag"), st.sets(st.sampled_from("abc")), st.sets(st.sampled_from("bcd"))),
    st.tuples(st.just("describe"), _PATCH),
    st.tuples(st.just("mark"), _ANY, st.booleans()),
)


@attrs.define
class Flight:
    """An attempt that somebody may still come back with, and what he knows of it."""

    owner: str
    id: UUID
    attempt: Attempt
    branch: str
    answer_id: UUID
    shown: int = 0


class StoreMachine(RuleBasedStateMachine):
    """
    Two owners talk in one store, each with a model of what is theirs.

    Args:
        run: Runs what the store is asked for.
    """

    def __init__(self, run: Callable[[Awaitable[Any]], Any], store: Store, clock: StandingClock) -> None:
        super().__init__()
        self.run, self.store, self.clock = run, store, clock
        number = next(_NUMBERS)
        self.owners: dict[str, dict[UUID, Talked]] = {f"{name}-{number}": {} for name in ("ann", "bob")}
        self.flights: list[Flight] = []
        self.touched: set[tuple[str, UUID]] = set()
        self.names = count()

    def choose(self, number: int, *, deleted: bool = False) -> tuple[str, UUID, Talked]:
        """One of the conversations that can be gone on with, or of the deleted ones."""
        there = self.find(deleted=deleted)
        owner, conversation_id, talked = there[number % len(there)]
        self.touched.add((owner, conversation_id))
        self.clock.advance(0.001)
        return owner, conversation_id, talked

    def find(self, *, deleted: bool = False) -> list[tuple[str, UUID, Talked]]:
        return [
            (owner, conversation_id, talked)
            for owner, shelf in self.owners.items()
            for conversation_id, talked in shelf.items()
            if (talked.state == "deleted") is deleted
        ]

    def refused(self, error: type[TertuliaError], operation: Awaitable[object]) -> None:
        """The store refuses, and so has changed nothing, as what follows will show."""
        with pytest.raises(error):
            self.run(operation)

    @initialize(title=_TEXT)
    def begin_both(self, title: str) -> None:
        """Rules are left out at random, and without a conversation most could do nothing."""
        self.begin(0, title)
        self.begin(1, title)

    @precondition(lambda self: sum(map(len, self.owners.values())) < 3)  # few, so that much happens in each
    @rule(number=_ANY, title=st.one_of(st.none(), _TEXT))
    def begin(self, number: int, title: str | None) -> None:
        owner = list(self.owners)[number % 2]
        record = attrs.evolve(make_record(self.clock, title), owner=owner)
        self.run(self.store.add_conversation(record))
        self.owners[owner][record.id] = Talked(title)
        self.touched.add((owner, record.id))

    @precondition(lambda self: self.find())
    @rule(number=_ANY, what=_TALK)
    def talk(self, number: int, what: tuple[Any, ...]) -> None:
        """Say something, or ask; this is what most of the steps are to be, and rules are equally likely."""
        getattr(self, what[0])(number, *what[1:])

    @precondition(lambda self: self.find())
    @rule(number=_ANY, what=_TALK)
    def go_on(self, number: int, what: tuple[Any, ...]) -> None:
        """The same."""
        getattr(self, what[0])(number, *what[1:])

    @precondition(lambda self: self.find())
    @rule(number=_ANY, what=_ARRANGEMENT)
    def arrange(self, number: int, what: tuple[Any, ...]) -> None:
        """Change what is kept beside what was said."""
        getattr(self, what[0])(number, *what[1:])

    def say(self, number: int, branch: int, text: str, role: str) -> None:
        owner, conversation_id, talked = self.choose(number)
        self.append(owner, conversation_id, talked, _choose(talked.branches, branch), text, role)

    def append(
        self, owner: str, conversation_id: UUID, talked: Talked, branch: str, text: str, role: str = "user"
    ) -> None:
        message = self.make_message(text, role)
        add = self.store.add_message(owner, conversation_id, branch, message)
        if talked.is_busy(talked.head(branch)):
            self.refused(ConversationBusyError, add)
            return
        talked.take_over(branch)
        placed = self.run(add)
        assert (talked.head(branch), len(talked.branches[branch])) == (placed.parent_id, placed.depth)
        talked.say(branch, Said(placed.id, text, role, placed.parent_id))

    def ask(self, number: int, branch: int, text: str, provider: str, fate: Fate) -> None:
        owner, conversation_id, talked = self.choose(number)
        name = _choose(talked.branches, branch)
        message = attrs.evolve(self.make_message(text), status=MessageStatus.PENDING)
        assert message.id is not None
        attempt = self.make_attempt(message.id, provider)
        add = self.store.add_user_message(owner, conversation_id, name, message, attempt)
        if talked.is_busy(talked.head(name)):
            self.refused(ConversationBusyError, add)
            return
        talked.take_over(name)
        placed = self.run(add)
        talked.say(name, Said(placed.id, text, "user", placed.parent_id, "asked"))
        self.take_off(Flight(owner, conversation_id, attempt, name, self.clock.new_id()), talked, fate)

    def ask_again(self, number: int, branch: int, provider: str, fate: Fate) -> None:
        owner, conversation_id, talked = self.choose(number)
        name = _choose(talked.branches, branch)
        head = talked.head(name)
        attempt = self.make_attempt(head or UUID(int=7), provider)
        add = self.store.add_attempt(owner, conversation_id, name, attempt)
        if head is None:
            self.refused(BranchMovedError, add)
        elif talked.is_busy(head):
            self.refused(ConversationBusyError, add)
        elif talked.said[head].role != "user":
            add.close()  # nobody asks that
        else:
            talked.take_over(name)
            placed = self.run(add)
            assert 1 + sum(each.question == head for each in talked.asked.values()) == placed.number
            if not talked.has_answer(head):
                talked.said[head].status = "asked"
            self.take_off(Flight(owner, conversation_id, attempt, name, self.clock.new_id()), talked, fate)

    def take_off(self, flight: Flight, talked: Talked, fate: Fate) -> None:
        attempt, (pieces, end) = flight.attempt, fate
        talked.asked[attempt.id] = Asked(attempt.id, attempt.message_id, attempt.provider, flight.branch)
        for _ in range(pieces):
            self.show_piece(flight, "river")
        if end in ("flies", "dies"):
            self.flights.append(flight)
        else:
            self.come_back(flight, end, "hotel", 7)
        if end == "dies":
            self.let_processes_die()

    @precondition(lambda self: self.flights)
    @rule(number=_ANY, text=st.sampled_from(_WORDS))
    def show(self, number: int, text: str) -> None:
        """Write down a piece of an answer."""
        self.show_piece(self.flights[number % len(self.flights)], text)

    def show_piece(self, flight: Flight, text: str) -> None:
        piece = Checkpoint(
            attempt_id=flight.attempt.id,
            message_id=flight.attempt.message_id,
            answer_id=flight.answer_id,
            number=flight.shown,
            text=f" {text}",
            thoughts="",
            provider=flight.attempt.provider,
            model="m",
            created_at=self.clock.now(),
        )
        self.run(self.store.add_checkpoint(flight.owner, flight.id, flight.branch, piece))
        flight.shown += 1
        talked = self.owners[flight.owner].get(flight.id)
        if talked is None:
            return
        self.touched.add((flight.owner, flight.id))
        asked = talked.asked[flight.attempt.id]
        if piece.number == 0 and not asked.is_taken_over and talked.head(flight.branch) == asked.question:
            asked.answer = flight.answer_id
            answer = Said(
                flight.answer_id, "", "assistant", asked.question, "coming", flight.attempt.provider
            )
            talked.say(flight.branch, answer)
        if asked.answer is not None and talked.said[asked.answer].status == "coming":
            talked.said[asked.answer].text += piece.text

    @precondition(lambda self: self.flights)
    @rule(
        number=_ANY,
        outcome=st.sampled_from(["succeeded", "succeeded", "failed", "cancelled"]),
        text=_TEXT,
        cost=_COST,
    )
    def settle(self, number: int, outcome: str, text: str, cost: int | None) -> None:
        """Come back, in time or late, with an answer or without."""
        self.come_back(self.flights.pop(number % len(self.flights)), outcome, text, cost)

    def come_back(self, flight: Flight, outcome: str, text: str, cost: int | None) -> None:
        settlement = self.make_settlement(flight, outcome, text, cost)
        settle = self.store.settle(flight.owner, flight.id, flight.branch, settlement)
        talked = self.owners[flight.owner].get(flight.id)
        placed = self.run(settle)
        if talked is None:
            assert placed is None
            return
        self.touched.add((flight.owner, flight.id))
        asked = talked.asked[flight.attempt.id]
        asked.outcome, asked.cost = outcome, cost
        if settlement.answer is not None or not asked.is_taken_over:
            talked.close(asked.question, "complete" if outcome == "succeeded" or flight.shown else "failed")
        if placed is None:
            assert outcome != "succeeded"
            if asked.answer is not None and talked.said[asked.answer].status == "coming":
                talked.said[asked.answer].status = "interrupted"
            return
        answer = Said(placed.id, text, "assistant", asked.question, "complete", flight.attempt.provider, cost)
        self.land(talked, flight, asked, answer)

    def land(self, talked: Talked, flight: Flight, asked: Asked, answer: Said) -> None:
        """Put an answer where it belongs: in the place of its pieces, behind its question, or beside."""
        if asked.answer is not None and not asked.is_taken_over:
            assert asked.answer == answer.id
            answer.pinned = talked.said[answer.id].pinned
            talked.said[answer.id] = answer
        elif not asked.is_taken_over and talked.head(flight.branch) == asked.question:
            assert flight.answer_id == answer.id
            talked.say(flight.branch, answer)
        else:
            assert (asked.answer == flight.answer_id) is (answer.id != flight.answer_id)
            talked.branches[f"{flight.branch}-late-{answer.id}"] = talked.path_to(asked.question)
            talked.say(f"{flight.branch}-late-{answer.id}", answer)

    @rule()
    def let_processes_die(self) -> None:
        """From now on nobody renews a lease."""
        self.clock.advance(16)
        for owner, shelf in self.owners.items():
            for conversation_id, talked in shelf.items():
                self.touched.add((owner, conversation_id))
                for asked in talked.asked.values():
                    asked.is_dead = asked.is_dead or asked.outcome is None

    @precondition(lambda self: self.find())
    @rule(number=_ANY, source=_ANY, at=st.one_of(st.sampled_from(["head", "root"]), _ANY))
    def fork(self, number: int, source: int, at: int | str) -> None:
        owner, conversation_id, talked = self.choose(number)
        origin = _choose(talked.branches, source)
        if isinstance(at, int):
            at = "head" if not talked.said else at
        place: Any = list(talked.said)[at % len(talked.said)] if isinstance(at, int) else at
        head = talked.head(origin) if place == "head" else None if place == "root" else place
        name = f"fork-{next(self.names)}"
        add = self.store.add_branch(
            owner, conversation_id, name, source=origin, at=place, created_at=self.clock.now()
        )
        if (
            head is not None
            and talked.status(talked.said[head]) == "pending"
            and self.is_answer(talked, head)
        ):
            self.refused(ConversationBusyError, add)
            return
        branch = self.run(add)
        talked.branches[name] = talked.path_to(head)
        shared = zip(talked.branches[name], talked.branches[origin], strict=False)
        assert sum(one == other for one, other in shared) - 1 == branch.fork_depth

    def is_answer(self, talked: Talked, message_id: UUID) -> bool:
        return talked.said[message_id].role == "assistant"

    @precondition(lambda self: self.find())
    @rule(number=_ANY, which=_ANY, text=_TEXT)
    def edit(self, number: int, which: int, text: str) -> None:
        """Say something else in the place of a message, on a branch of its own."""
        owner, conversation_id, talked = self.choose(number)
        if not talked.said:
            return
        parent = talked.said[list(talked.said)[which % len(talked.said)]].parent
        name = f"edit-{next(self.names)}"
        self.run(
            self.store.add_branch(
                owner,
                conversation_id,
                name,
                source=talked.active,
                at="root" if parent is None else parent,
                created_at=self.clock.now(),
            )
        )
        talked.branches[name] = talked.path_to(parent)
        self.append(owner, conversation_id, talked, name, text)

    def switch(self, number: int, branch: int) -> None:
        owner, conversation_id, talked = self.choose(number)
        talked.active = _choose(talked.branches, branch)
        self.run(self.store.update_active_branch(owner, conversation_id, talked.active, self.clock.now()))

    @precondition(lambda self: self.find())
    @rule(number=_ANY, branch=_ANY, other=st.one_of(st.none(), _ANY))
    def rename(self, number: int, branch: int, other: int | None) -> None:
        """Give a branch a new name, or try one that is taken."""
        owner, conversation_id, talked = self.choose(number)
        old = _choose(talked.branches, branch)
        new = f"name-{next(self.names)}" if other is None else _choose(talked.branches, other)
        update = self.store.update_branch_name(owner, conversation_id, old, new, self.clock.now())
        if new != old and new in talked.branches:
            self.refused(BranchExistsError, update)
        elif new != old and talked.is_held(old):
            self.refused(ConversationBusyError, update)
        else:
            self.run(update)
            talked.branches = {new if name == old else name: path for name, path in talked.branches.items()}
            talked.active = new if talked.active == old else talked.active
            _rename_attempts(talked, old, new)

    @precondition(lambda self: self.find())
    @rule(number=_ANY, branch=_ANY)
    def remove(self, number: int, branch: int) -> None:
        owner, conversation_id, talked = self.choose(number)
        name = _choose(talked.branches, branch)
        remove = self.store.remove_branch(owner, conversation_id, name, self.clock.now())
        if name == talked.active:
            self.refused(BranchError, remove)
        elif talked.is_held(name):
            self.refused(ConversationBusyError, remove)
        else:
            self.run(remove)
            del talked.branches[name]
            _rename_attempts(talked, name, None)

    @precondition(lambda self: self.find())
    @rule(number=_ANY, branch=_ANY, to=_ANY)
    def forward(self, number: int, branch: int, to: int) -> None:
        """Let a branch end further on, where nothing is under way."""
        owner, conversation_id, talked = self.choose(number)
        name = _choose(talked.branches, branch)
        if not talked.said or any(each.is_under_way for each in talked.asked.values()):
            return
        head, target = talked.head(name), list(talked.said)[to % len(talked.said)]
        if talked.waits_for(head) or talked.said[target].status == "coming":
            return  # whose process died there, and who may still come, is told elsewhere
        update = self.store.update_branch_head(
            owner, conversation_id, name, to=target, expected_head=head, at=self.clock.now()
        )
        path = talked.path_to(target)
        if head is not None and head not in path[:-1]:
            self.refused(BranchError, update)
        else:
            self.run(update)
            talked.branches[name] = path

    def put_away(self, number: int, text: str, is_archived: bool) -> None:
        """Rename a conversation, and archive it or take it back."""
        owner, conversation_id, talked = self.choose(number)
        talked.title, talked.state = text, "archived" if is_archived else "active"
        state = ConversationState.ARCHIVED if is_archived else ConversationState.ACTIVE
        self.run(self.store.update_title(owner, conversation_id, text, self.clock.now()))
        self.run(self.store.update_state(owner, conversation_id, state, self.clock.now()))

    @precondition(lambda self: self.find())
    @rule(number=_ANY)
    def delete(self, number: int) -> None:
        owner, conversation_id, talked = self.choose(number)
        talked.state, talked.state_before = "deleted", talked.state
        now = self.clock.now()
        self.refused(ConversationNotFoundError, self.store.purge_conversation(owner, conversation_id))
        self.run(self.store.remove_conversation(owner, conversation_id, now))
        for operation in (
            self.store.remove_conversation(owner, conversation_id, now),
            self.store.get_conversation(owner, conversation_id),
            self.store.add_message(owner, conversation_id, talked.active, self.make_message("no")),
            self.store.update_tags(owner, conversation_id, add=["no"], at=now),
            self.store.patch_metadata(owner, conversation_id, {"no": 1}, now),
        ):
            self.refused(ConversationNotFoundError, operation)

    @precondition(lambda self: self.find(deleted=True))
    @rule(number=_ANY, is_purged=st.booleans())
    def restore(self, number: int, is_purged: bool) -> None:
        """Take a deleted conversation back, or let it go for good."""
        owner, conversation_id, talked = self.choose(number, deleted=True)
        if is_purged:
            del self.owners[owner][conversation_id]
            self.run(self.store.purge_conversation(owner, conversation_id))
        else:
            talked.state = talked.state_before
            self.run(self.store.restore_conversation(owner, conversation_id, self.clock.now()))

    def tag(self, number: int, add: set[str], remove: set[str]) -> None:
        owner, conversation_id, talked = self.choose(number)
        talked.tags = (talked.tags - remove) | add
        update = self.store.update_tags(
            owner, conversation_id, add=sorted(add), remove=sorted(remove), at=self.clock.now()
        )
        assert tuple(sorted(talked.tags)) == self.run(update)

    def describe(self, number: int, change: dict[str, Any]) -> None:
        """Patch the metadata."""
        owner, conversation_id, talked = self.choose(number)
        talked.metadata = patch(talked.metadata, change)
        update = self.store.patch_metadata(owner, conversation_id, change, self.clock.now())
        assert talked.metadata == self.run(update)

    def mark(self, number: int, which: int, pinned: bool) -> None:
        owner, conversation_id, talked = self.choose(number)
        if talked.said:
            said = talked.said[list(talked.said)[which % len(talked.said)]]
            said.pinned = pinned
            change = MarkChange(pinned=pinned)
            mark = self.run(self.store.update_mark(owner, conversation_id, said.id, change))
            assert pinned is mark.pinned

    @rule(number=_ANY, word=st.sampled_from([*_WORDS, "riv", "nothing"]))
    def look(self, number: int, word: str) -> None:
        """Search, list and count all that is one owner's."""
        owner = list(self.owners)[number % 2]
        self.check_lists(owner)
        self.check_search(owner, word)
        self.check_ledger(owner)

    @invariant()
    def is_as_its_model(self) -> None:
        for owner, conversation_id in sorted(self.touched):
            talked = self.owners[owner].get(conversation_id)
            stranger = next(each for each in self.owners if each != owner)
            self.refused(
                ConversationNotFoundError,
                self.store.get_conversation(stranger, conversation_id, deleted=True),
            )
            if talked is None:
                self.refused(
                    ConversationNotFoundError,
                    self.store.get_conversation(owner, conversation_id, deleted=True),
                )
            else:
                self.run(self.check(owner, conversation_id, talked))
        for owner in {owner for owner, _ in self.touched}:
            assert () == self.run(self.store.verify(owner)).problems
        self.touched.clear()

    async def check_tokens(self, owner: str, conversation_id: UUID, branch: str) -> None:
        """What is known of a branch without reading it is what reading it says."""
        path = await self.store.get_messages(owner, conversation_id, branch)
        counts = count_in(path)
        outline = await self.store.get_outline(owner, conversation_id, branch, before_depth=len(path))
        assert (len(path), sum(counts)) == (outline.message_count, outline.tokens)
        for tokens in (sum(counts) // 2, sum(counts)):
            fitting = [at for at in range(len(path)) if sum(counts[at:]) <= tokens]
            recent = await self.store.get_recent(
                owner, conversation_id, branch, before_depth=len(path), tokens=tokens
            )
            assert path[min(fitting, default=len(path)) :] == recent

    async def check(self, owner: str, conversation_id: UUID, talked: Talked) -> None:
        """Compare all that is known of a conversation."""
        store, place = self.store, (owner, conversation_id)
        record = await store.get_conversation(*place, deleted=True)
        assert (talked.title, talked.state, tuple(sorted(talked.tags)), talked.metadata) == (
            record.title,
            record.state.value,
            record.tags,
            record.metadata,
        )
        assert (len(talked.said), talked.costs()) == (
            record.message_count,
            (record.cost.money.pico, record.cost.unknown_count),
        )
        branches = await store.find_branches(*place)
        assert list(talked.branches) == [branch.name for branch in branches]
        assert talked.active == record.branch.name
        for branch in branches:
            history = await store.get_messages(*place, branch.name)
            assert talked.history(branch.name) == [_show(message) for message in history]
            await self.check_tokens(*place, branch.name)
            assert (talked.path_costs(branch.name), talked.head(branch.name)) == (
                (branch.cost.money.pico, branch.cost.unknown_count),
                branch.head_id,
            )
        everything = [_show(message) for message in await _find_messages(store, owner, conversation_id)]
        assert sorted(map(talked.show, talked.said)) == sorted(everything)
        assert [
            (each.id, each.seen_outcome or "pending", each.cost, each.branch)
            for each in talked.asked.values()
        ] == [
            (each.id, each.outcome.value, None if each.cost is None else each.cost.money.pico, each.branch)
            for each in await store.get_attempts(*place)
        ]

    def check_lists(self, owner: str) -> None:
        """Every order has every conversation once, page by page; tags are counted."""
        shelf = self.owners[owner]
        everywhere = ConversationFilter(states=())
        for order in Order:
            found = self.run(_find_conversations(self.store, owner, everywhere, order))
            assert set(shelf) == {record.id for record in found}
            assert len(shelf) == len(found)
        for word in ("riv", "nothing"):
            wanted = {
                each for each, talked in shelf.items() if talked.state != "deleted" and talked.found(word)
            }
            states = (ConversationState.ACTIVE, ConversationState.ARCHIVED)
            where = ConversationFilter(states=states, text=word)
            found = self.run(_find_conversations(self.store, owner, where, Order.NEWEST))
            assert wanted == {record.id for record in found}
        tags = [tag for talked in shelf.values() if talked.state != "deleted" for tag in talked.tags]
        assert {tag: tags.count(tag) for tag in sorted(set(tags))} == self.run(self.store.find_tags(owner))

    def check_search(self, owner: str, word: str) -> None:
        wanted = {
            (conversation_id, message_id)
            for conversation_id, talked in self.owners[owner].items()
            if talked.state != "deleted"
            for message_id in talked.found(word)
        }
        hits = self.run(self.store.search(owner, word, limit=1000))
        assert wanted == {(hit.conversation_id, hit.message_id) for hit in hits}
        assert len(wanted) == len(hits)

    def check_ledger(self, owner: str) -> None:
        """Statistics and costs are what a recount of everything says."""
        shelf = self.owners[owner].values()
        said = [each for talked in shelf for each in talked.said.values()]
        ended = [each for talked in shelf for each in talked.asked.values() if each.seen_outcome]
        outcomes = [each.seen_outcome for each in ended]
        known, unknown = sum(each.cost or 0 for each in ended), [each.cost for each in ended].count(None)
        statistics = self.run(self.store.get_statistics(owner))
        activity = statistics.activity
        assert (
            sum(1 for talked in shelf if talked.said),
            len(said),
            len({each.question for each in ended}),
        ) == (
            statistics.conversations,
            statistics.message_count,
            statistics.questions,
        )
        assert [outcomes.count(each) for each in ("succeeded", "failed", "interrupted", "cancelled")] == [
            activity.succeeded,
            activity.failed,
            activity.interrupted,
            activity.cancelled,
        ]
        assert (len(ended), known, unknown) == (
            activity.attempts,
            activity.cost.money.pico,
            activity.cost.unknown_count,
        )
        costs = self.run(self.store.get_costs(owner, [CostGroup.PROVIDER]))
        assert {each.provider for each in ended} == {row.key[0] for row in costs.rows}
        assert (len(ended), known) == (costs.total.attempts, costs.total.cost.money.pico)
        assert (len(ended), known, unknown) == (
            sum(row.attempts for row in costs.rows),
            sum(row.cost.money.pico for row in costs.rows),
            sum(row.cost.unknown_count for row in costs.rows),
        )

    def teardown(self) -> None:
        for owner in self.owners:
            self.check_lists(owner)
            self.check_search(owner, "riv")
            self.check_ledger(owner)

    def make_message(self, text: str, role: str = "user") -> Message:
        message = Message.of(role, text)
        return attrs.evolve(message, id=self.clock.new_id(), created_at=self.clock.now())

    def make_attempt(self, message_id: UUID, provider: str) -> Attempt:
        now = self.clock.now()
        return Attempt(
            self.clock.new_id(), message_id, 1, provider, "m", now, lease_until=now + timedelta(seconds=15)
        )

    def make_settlement(self, flight: Flight, outcome: str, text: str, cost: int | None) -> Settlement:
        price = None if cost is None else Cost(Money(cost))
        usage = Usage(10, 0, 0, 5, None)
        ended = attrs.evolve(
            flight.attempt, outcome=AttemptOutcome(outcome), lease_until=None, usage=usage, cost=price
        )
        if outcome != "succeeded":
            status = MessageStatus.COMPLETE if flight.shown else MessageStatus.FAILED
            return Settlement(ended, status, checkpointed=bool(flight.shown))
        answer = Message(
            Role.ASSISTANT,
            (Text(text),),
            id=flight.answer_id,
            provider=flight.attempt.provider,
            model="m",
            usage=usage,
            cost=price,
            created_at=self.clock.now(),
        )
        return Settlement(ended, MessageStatus.COMPLETE, answer, checkpointed=bool(flight.shown))


def _choose(there: dict[str, Any], number: int) -> str:
    names = sorted(there)
    return names[number % len(names)]


def _rename_attempts(talked: Talked, old: str, new: str | None) -> None:
    for asked in talked.asked.values():
        asked.branch = new if asked.branch == old else asked.branch


def _show(message: Message) -> tuple[UUID | None, str, str, bool]:
    return message.id, message.text, message.status.value, message.mark.pinned


async def _find_messages(store: Store, owner: str, conversation_id: UUID) -> list[Message]:
    """All of them, in pages of three."""
    found: list[Message] = []
    while page := await store.find_messages(
        owner, conversation_id, limit=3, after=found[-1].id if found else None
    ):
        found += page
    return found


async def _find_conversations(store: Store, owner: str, where: ConversationFilter, order: Order) -> list[Any]:
    """All of them, one by one."""
    found: list[Any] = []
    while page := await store.find_conversations(
        owner, where=where, order=order, limit=1, after=found[-1] if found else None
    ):
        found += page
    return found


@contextmanager
def opened(make: Callable[[StandingClock], Store]) -> Iterator[Callable[[], StoreMachine]]:
    """A store that all examples share, each with owners of its own."""
    clock = StandingClock()
    store = make(clock)
    with asyncio.Runner() as runner:
        runner.run(store.open())
        try:
            yield lambda: StoreMachine(lambda operation: runner.run(_wait(operation)), store, clock)
        finally:
            runner.run(store.aclose())


async def _wait(operation: Awaitable[_T]) -> _T:
    return await operation


def play(make: Callable[[StandingClock], Store], examples: int) -> None:
    """Let the machine do what comes to its mind."""
    with opened(make) as machine:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=scale(examples),
                stateful_step_count=30,
                deadline=None,
                derandomize=scale(1) == 1,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_the_store_in_dictionaries_says_what_its_model_says() -> None:
    """Two owners do what they like, in any order, and each finds what is theirs as they left it."""
    play(MemoryStore, 30)


def test_a_database_in_memory_says_what_its_model_says() -> None:
    """The same on SQLite without a file."""
    play(lambda clock: SQLStore("memory:", clock), 10)


def test_a_database_file_says_what_its_model_says(tmp_path: Path) -> None:
    """The same on a file."""
    play(lambda clock: SQLStore(f"sqlite:///{tmp_path / 'conversations.db'}", clock), 5)


def test_postgresql_says_what_its_model_says(postgres: str) -> None:
    """The same on a server."""
    play(lambda clock: SQLStore(postgres, clock), 3)
