"""What every store promises about conversations that come from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import attrs
import pytest

from tertulia.contracts.store import Store
from tertulia.domain.conversation import (
    Attempt,
    AttemptOutcome,
    AttemptPurpose,
    Branch,
    ConversationState,
)
from tertulia.domain.media import Document, Image, OpaqueState
from tertulia.domain.message import (
    FinishReason,
    Mark,
    Message,
    MessageStatus,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from tertulia.domain.transfer import ConversationTree
from tertulia.domain.usage import Cost, CostSource, CostTotal, Money, Usage
from tertulia.errors import ConversationNotFoundError, ErrorKind, MessageNotFoundError, StoreError
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import CENT, MAIN, OWNER, STRANGER, Talk, counted, make_record

Change = Callable[[ConversationTree], ConversationTree]

_FAULTS: list[tuple[Change, str]] = [
    (lambda tree: attrs.evolve(tree, messages=tree.messages[1:]), "which is not there"),
    (lambda tree: attrs.evolve(tree, messages=tree.messages[::-1]), "which is not there before it"),
    (lambda tree: _message(tree, 0, parent_id=tree.messages[2].id), "not there before it"),
    (lambda tree: _message(tree, 0, parent_id=tree.messages[0].id), "not there before it"),
    (lambda tree: _message(tree, 0, id=None), "has no id"),
    (lambda tree: _message(tree, 3, id=tree.messages[2].id), "two of its messages have the id"),
    (lambda tree: attrs.evolve(tree, branches=tree.branches[1:]), "active branch"),
    (lambda tree: attrs.evolve(tree, branches=()), "active branch"),
    (lambda tree: attrs.evolve(tree, branches=tree.branches[:1] * 2), "two of its branches"),
    (lambda tree: _branch(tree, head_id=UUID(int=5)), "which is not there"),
    (lambda tree: _branch(tree, forked_from="nowhere"), "forked from 'nowhere'"),
    (lambda tree: _branch(tree, name=""), "empty name"),
    (lambda tree: _branch(tree, name="n" * 201), "more than 200 characters"),
    (lambda tree: _branch(tree, model="m" * 201), "more than 200 characters"),
    (lambda tree: _record(tree, title="t" * 201), "more than 200 characters"),
    (lambda tree: _record(tree, tags=("",)), "empty name"),
    (lambda tree: _attempt(tree, id=tree.attempts[1].id), "two of its attempts"),
    (lambda tree: _attempt(tree, message_id=UUID(int=5)), "answers message"),
    (lambda tree: _attempt(tree, branch="nowhere"), "made on branch 'nowhere'"),
]


class TransferContract:
    """Whole conversations at once."""

    async def test_a_whole_conversation_is_stored(self, store: Store, clock: StandingClock) -> None:
        """Messages, branches, attempts, tags and metadata are what they were, with their ids and times."""
        tree = make_tree(clock)
        clock.advance(3600)
        assert [tree.record.id] == await store.add_trees(OWNER, [tree])
        talk = Talk(store, clock, tree.record.id)
        record = await talk.record()

        for name in ("id", "title", "created_at", "updated_at", "state", "tags", "metadata"):
            assert getattr(tree.record, name) == getattr(record, name), name
        assert [_strip(branch) for branch in tree.branches] == [
            _strip(branch) for branch in await store.find_branches(OWNER, talk.id)
        ]
        question, answer, again, other = map(counted, tree.messages)
        assert [question, answer, again] == await talk.history()
        assert [question, answer, other] == await talk.history("other")
        assert list(tree.attempts) == await talk.attempts()

    async def test_counters_are_counted(self, store: Store, clock: StandingClock) -> None:
        """Whatever the record says of them: every attempt counts, and an unknown cost as unknown."""
        tree = make_tree(clock)
        wrong = attrs.evolve(
            tree.record, message_count=99, cost=CostTotal(Money(5), 7), usage=Usage(1, 1, 1, 1, 1)
        )
        await store.add_trees(OWNER, [attrs.evolve(tree, record=wrong)])
        record = await Talk(store, clock, tree.record.id).record()

        assert (4, CostTotal(CENT.money, 1)) == (record.message_count, record.cost)
        assert Usage(10, 0, 0, 5, 0) == record.usage
        main, other = await store.find_branches(OWNER, tree.record.id)
        assert CostTotal.of((CENT,)) == main.cost
        assert CostTotal(CENT.money, 1) == other.cost

    async def test_what_is_there_is_left_as_it_is(self, store: Store, clock: StandingClock) -> None:
        """Storing it again stores what is new only, and says so; a deleted one stays deleted."""
        first, second, third = (make_tree(clock, number) for number in range(3))
        await store.add_trees(OWNER, [first, second])
        await store.remove_conversation(OWNER, second.record.id, clock.now())
        await Talk(store, clock, first.record.id).append("more")

        assert [third.record.id] == await store.add_trees(OWNER, [first, second, third])
        assert 5 == (await Talk(store, clock, first.record.id).record()).message_count
        with pytest.raises(ConversationNotFoundError):
            await store.get_conversation(OWNER, second.record.id)

    async def test_it_becomes_the_owners(self, store: Store, clock: StandingClock) -> None:
        """Whoever it was before: and what one owner has, another may have as well."""
        tree = make_tree(clock)
        await store.add_trees(STRANGER, [tree])
        assert STRANGER == (await store.get_conversation(STRANGER, tree.record.id)).owner
        with pytest.raises(ConversationNotFoundError):
            await store.get_conversation(OWNER, tree.record.id)

        assert [tree.record.id] == await store.add_trees(OWNER, [tree])
        assert list(tree.attempts) == await store.get_attempts(OWNER, tree.record.id)

    async def test_a_stored_conversation_goes_on(self, store: Store, clock: StandingClock) -> None:
        """Each of its branches can be asked, added to and forked, as if it had been begun here."""
        tree = make_tree(clock)
        await store.add_trees(OWNER, [tree])
        talk = Talk(store, clock, tree.record.id)
        await talk.answer(await talk.ask("next"), Text("well"))
        await talk.append("aside", "other")
        await talk.fork("third", source="other", at=tree.messages[1].id)
        await talk.append("third", "third")

        assert ["question", "answer", "again", "next", "well"] == await talk.texts()
        assert ["question", "answer", "other", "aside"] == await talk.texts("other")
        assert ["question", "answer", "third"] == await talk.texts("third")
        assert [MAIN, "other", "third"] == await talk.branch_names()
        assert 8 == (await talk.record()).message_count

    async def test_branches_may_be_empty_and_begin_anew(self, store: Store, clock: StandingClock) -> None:
        """A tree may have several roots, and a branch no message."""
        tree = make_tree(clock)
        root = Message(Role.USER, (Text("anew"),), id=clock.new_id(), depth=0, created_at=clock.now())
        made = [
            attrs.evolve(tree.branches[1], name=name, head_id=head, forked_from=MAIN, fork_depth=-1)
            for name, head in (("anew", root.id), ("empty", None), ("blank", None))
        ]
        tree = attrs.evolve(tree, branches=(*tree.branches, *made), messages=(root, *tree.messages))
        await store.add_trees(OWNER, [tree])
        talk = Talk(store, clock, tree.record.id)
        for branch in ("anew", "empty", "blank", MAIN):
            await talk.append(f"on {branch}", branch)

        assert ["anew", "on anew"] == await talk.texts("anew")
        assert ["on empty"] == await talk.texts("empty")
        assert ["on blank"] == await talk.texts("blank")
        assert ["question", "answer", "again", "on main"] == await talk.texts()

    async def test_a_conversation_without_a_word_is_one(self, store: Store, clock: StandingClock) -> None:
        """Nothing is needed but a branch."""
        record = make_record(clock, "Empty")
        await store.add_trees(OWNER, [ConversationTree(record, (record.branch,), ())])

        assert "Empty" == (await Talk(store, clock, record.id).record()).title
        assert [] == await store.find_messages(OWNER, record.id)
        assert [] == await store.add_trees(OWNER, [])

    async def test_what_was_put_away_stays_so(self, store: Store, clock: StandingClock) -> None:
        """An archived conversation is archived, and a deleted one is found by who restores it."""
        archived, deleted = make_tree(clock), make_tree(clock, 1)
        archived = _record(archived, state=ConversationState.ARCHIVED)
        deleted = _record(deleted, state=ConversationState.DELETED, deleted_at=clock.now())
        await store.add_trees(OWNER, [archived, deleted])

        assert ConversationState.ARCHIVED is (await store.get_conversation(OWNER, archived.record.id)).state
        found = await store.get_conversation(OWNER, deleted.record.id, deleted=True)
        assert (ConversationState.DELETED, clock.now()) == (found.state, found.deleted_at)
        await store.restore_conversation(OWNER, deleted.record.id, clock.now())
        assert ConversationState.ACTIVE is (await store.get_conversation(OWNER, deleted.record.id)).state

    async def test_marks_come_along(self, store: Store, clock: StandingClock) -> None:
        """What people said of a message is said of it here."""
        mark = Mark(pinned=True, importance=0.5, expires_at=clock.now() + timedelta(days=1))
        tree = _message(make_tree(clock), 1, mark=mark)
        await store.add_trees(OWNER, [tree])

        history = await store.get_messages(OWNER, tree.record.id, MAIN)
        assert [Mark(), mark, Mark()] == [message.mark for message in history]

    async def test_attachments_come_along(self, store: Store, clock: StandingClock) -> None:
        """Bytes are kept, once for each owner, and so is what only one provider understands."""
        parts = (
            Image(data=b"picture", media_type="image/png"),
            Document(data=b"picture", media_type="text/plain", name="a.txt"),
            Text("Look", OpaqueState("openai", {"big": 2**70, "deep": [None, 1.5]})),
            Reasoning("hm"),
            ToolCall("1", "find", {"q": "x"}),
        )
        result = (ToolResult("1", "find", "found", is_error=True),)
        tree = _message(_message(make_tree(clock), 0, parts=parts), 2, parts=result, role=Role.TOOL)
        await store.add_trees(OWNER, [tree, _record(tree, id=clock.new_id())])

        assert [parts, (Text("answer"),), result] == [
            message.parts for message in await store.get_messages(OWNER, tree.record.id, MAIN)
        ]
        assert counted(tree.messages[0]) in await store.find_messages(OWNER, tree.record.id)

    async def test_what_was_under_way_is_interrupted(self, store: Store, clock: StandingClock) -> None:
        """Nobody settles in the copy what is settled elsewhere: nothing stays pending for ever."""
        tree = _message(_message(make_tree(clock), 2, status=MessageStatus.PENDING), 3, parts=(Text("ha"),))
        tree = _message(tree, 3, status=MessageStatus.PENDING)
        pending = attrs.evolve(
            tree.attempts[0],
            outcome=AttemptOutcome.PENDING,
            lease_until=clock.now() + timedelta(hours=1),
            cost=None,
            usage=Usage(),
        )
        await store.add_trees(OWNER, [attrs.evolve(tree, attempts=(pending,))])
        talk = Talk(store, clock, tree.record.id)

        assert ("again", "failed") == (await talk.statuses())[-1]
        assert ("ha", "interrupted") == (await talk.statuses("other"))[-1]
        (attempt,) = await talk.attempts()
        assert (AttemptOutcome.INTERRUPTED, ErrorKind.INTERRUPTED) == (attempt.outcome, attempt.error_kind)
        assert CostTotal(Money(0), 1) == (await talk.record()).cost
        await talk.append("at once")
        assert "at once" == (await talk.texts())[-1]

    @pytest.mark.parametrize(
        ("change", "reason"),
        _FAULTS,
    )
    async def test_what_is_no_tree_is_refused(
        self, store: Store, clock: StandingClock, change: Change, reason: str
    ) -> None:
        """The error says which conversation and why, and those beside it are not stored either."""
        good, bad = make_tree(clock), change(make_tree(clock, 1))
        with pytest.raises(StoreError, match=reason) as caught:
            await store.add_trees(OWNER, [good, bad])

        assert str(bad.record.id) in str(caught.value)
        with pytest.raises(ConversationNotFoundError):
            await store.get_conversation(OWNER, good.record.id)

    async def test_two_of_one_id_are_refused(self, store: Store, clock: StandingClock) -> None:
        """Which of them was meant nobody can tell."""
        tree = make_tree(clock)
        with pytest.raises(StoreError, match="there are two of it"):
            await store.add_trees(OWNER, [tree, tree])
        with pytest.raises(ConversationNotFoundError):
            await store.get_conversation(OWNER, tree.record.id)

    async def test_all_messages_are_found_page_by_page(self, store: Store, clock: StandingClock) -> None:
        """Each once, also those that no branch leads to, in the same order whatever the pages."""
        talk = await Talk.begin(store, clock)
        for text in ("0", "1", "2"):
            await talk.append(text)
        await talk.fork("other", at=(await talk.history())[0].id)
        for text in ("a", "b"):
            await talk.append(text, "other")
        everything = {message.id: message for name in (MAIN, "other") for message in await talk.history(name)}
        await store.remove_branch(OWNER, talk.id, "other", clock.now())

        whole = await store.find_messages(OWNER, talk.id)
        paged = [message for size in (1, 2, 4) for message in await _read_pages(talk, size)]
        assert everything == {message.id: message for message in whole}
        assert whole * 3 == paged
        followed = [after.parent_id == before.id for before, after in pairwise(whole)]
        assert 3 == sum(followed)

    async def test_pages_are_of_one_owners_conversation(self, store: Store, clock: StandingClock) -> None:
        """Nobody else's messages are found, and a page begins behind a message that is there."""
        talk, other = await Talk.begin(store, clock), await Talk.begin(store, clock)
        mine, theirs = await talk.append("mine"), await other.append("theirs")

        assert [mine] == await store.find_messages(OWNER, talk.id)
        assert [] == await store.find_messages(OWNER, talk.id, after=mine.id)
        with pytest.raises(ConversationNotFoundError):
            await store.find_messages(STRANGER, talk.id)
        with pytest.raises(MessageNotFoundError):
            await store.find_messages(OWNER, talk.id, after=theirs.id)


async def _read_pages(talk: Talk, size: int) -> list[Message]:
    found: list[Message] = []
    while page := await talk.store.find_messages(
        OWNER, talk.id, limit=size, after=found[-1].id if found else None
    ):
        assert len(page) <= size
        found += page
    return found


def make_tree(clock: StandingClock, number: int = 0) -> ConversationTree:
    """Two branches that part after an answer, three attempts, tags and metadata: all of other times."""
    clock.advance(number + 1)
    record = make_record(clock, "From elsewhere")
    question = Message(
        Role.USER,
        (Text("question"),),
        id=clock.new_id(),
        depth=0,
        created_at=clock.now(),
        client_id="its name",
    )
    answer = Message(
        Role.ASSISTANT,
        (Text("answer"),),
        id=clock.new_id(),
        parent_id=question.id,
        depth=1,
        provider="openai",
        model="gpt-6.1-sol",
        resolved_model="snapshot",
        finish_reason=FinishReason.STOP,
        raw_finish_reason="completed",
        usage=Usage(10, 0, 0, 5, None),
        cost=CENT,
        latency_seconds=1.5,
        created_at=clock.now() + timedelta(seconds=2),
    )
    again = attrs.evolve(
        question, id=clock.new_id(), parent_id=answer.id, depth=2, parts=(Text("again"),), client_id=None
    )
    other = attrs.evolve(
        answer,
        id=clock.new_id(),
        parent_id=answer.id,
        depth=2,
        parts=(Text("other"),),
        cost=None,
        usage=Usage(),
    )
    main = attrs.evolve(record.branch, head_id=again.id, head_depth=2, version=3)
    aside = attrs.evolve(
        main, name="other", head_id=other.id, version=1, provider="xai", forked_from=MAIN, fork_depth=1
    )
    record = attrs.evolve(
        record,
        branch=main,
        tags=("travel", "work"),
        metadata={"customer": {"plan": "pro"}, "seats": 3},
        updated_at=clock.now() + timedelta(minutes=1),
    )
    attempts = _make_attempts(clock, question.id, answer.id)
    return ConversationTree(record, (main, aside), (question, answer, again, other), attempts)


def _make_attempts(
    clock: StandingClock, question_id: UUID | None, answer_id: UUID | None
) -> tuple[Attempt, ...]:
    assert question_id is not None
    assert answer_id is not None
    failed = Attempt(
        id=clock.new_id(),
        message_id=question_id,
        number=1,
        provider="xai",
        model="grok-4.7",
        started_at=clock.now(),
        outcome=AttemptOutcome.FAILED,
        error_kind=ErrorKind.OVERLOADED,
        error_message="too many",
        latency_seconds=0.5,
        cost=Cost(Money(0), CostSource.NOT_CHARGED),
        branch=MAIN,
        queued_seconds=0.75,
    )
    succeeded = attrs.evolve(
        failed,
        id=clock.new_id(),
        number=2,
        provider="openai",
        model="gpt-6.1-sol",
        outcome=AttemptOutcome.SUCCEEDED,
        error_kind=None,
        error_message=None,
        first_content_seconds=0.25,
        usage=Usage(10, 0, 0, 5, None),
        cost=attrs.evolve(CENT, computed=Money.from_usd(Decimal("0.02"))),
        request_id="request",
        raw_usage='{"total":15}',
        queued_seconds=None,
    )
    title = attrs.evolve(
        succeeded,
        id=clock.new_id(),
        message_id=answer_id,
        number=1,
        usage=Usage(),
        cost=None,
        branch=None,
        purpose=AttemptPurpose.TITLE,
    )
    return failed, succeeded, title


def _strip(branch: Branch) -> Branch:
    """A branch without what means nothing outside the store."""
    return attrs.evolve(branch, segment=UUID(int=0), cost=CostTotal())


def _record(tree: ConversationTree, **changes: Any) -> ConversationTree:
    return attrs.evolve(tree, record=attrs.evolve(tree.record, **changes))


def _message(tree: ConversationTree, index: int, **changes: Any) -> ConversationTree:
    messages = list(tree.messages)
    messages[index] = attrs.evolve(messages[index], **changes)
    return attrs.evolve(tree, messages=tuple(messages))


def _branch(tree: ConversationTree, **changes: Any) -> ConversationTree:
    """With the second branch changed."""
    changed = attrs.evolve(tree.branches[1], **changes)
    return attrs.evolve(tree, branches=(tree.branches[0], changed))


def _attempt(tree: ConversationTree, **changes: Any) -> ConversationTree:
    """With the first attempt changed."""
    changed = attrs.evolve(tree.attempts[0], **changes)
    return attrs.evolve(tree, attempts=(changed, *tree.attempts[1:]))
