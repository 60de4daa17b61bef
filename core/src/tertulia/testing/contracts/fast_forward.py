"""What every store promises about a branch that goes on to where another one ends."""

from __future__ import annotations

from uuid import UUID

import pytest

from tertulia.contracts.store import Store
from tertulia.domain.conversation import Branch
from tertulia.domain.usage import CostTotal
from tertulia.errors import (
    BranchError,
    BranchMovedError,
    BranchNotFoundError,
    ConversationBusyError,
    ConversationNotFoundError,
    MessageNotFoundError,
)
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import CENT, LEASE_SECONDS, MAIN, OWNER, STRANGER, Talk


class FastForwardContract:
    """A branch's head moves along the tree, and nothing is copied."""

    async def test_a_branch_goes_on_to_where_another_ends(self, store: Store, clock: StandingClock) -> None:
        """It has what the other has, in the same rows; the other one stays as it is."""
        talk, head = await _parted(store, clock)
        other = await talk.branch("other")
        clock.advance(60)
        moved = await _move(talk, to=other.head_id, head=head)

        assert ["0", "1", "a", "b"] == await talk.texts() == await talk.texts("other")
        assert (other.head_id, 3, 3) == (moved.head_id, moved.head_depth, moved.version)
        assert moved == await talk.branch()
        assert 4 == (await talk.record()).message_count
        assert clock.now() == (await talk.record()).updated_at
        assert [MAIN, "other"] == await talk.branch_names()

    async def test_both_go_their_own_ways_afterwards(self, store: Store, clock: StandingClock) -> None:
        """What is added to one after a fast forward is on that one only."""
        talk, head = await _parted(store, clock)
        await _move(talk, to=(await talk.branch("other")).head_id, head=head)
        await talk.append("here")
        await talk.append("there", "other")

        assert ["0", "1", "a", "b", "here"] == await talk.texts()
        assert ["0", "1", "a", "b", "there"] == await talk.texts("other")

    async def test_it_may_stop_on_the_way(self, store: Store, clock: StandingClock) -> None:
        """Any message behind the newest one will do, and what the branches share is known again."""
        talk, head = await _parted(store, clock)
        middle = (await talk.history("other"))[2]
        await _move(talk, to=middle.id, head=head)

        assert ["0", "1", "a"] == await talk.texts()
        assert 2 == (await talk.branch("other")).fork_depth

    async def test_an_empty_branch_may_go_anywhere(self, store: Store, clock: StandingClock) -> None:
        """Whatever it is, it follows nothing."""
        talk, head = await _parted(store, clock)
        await talk.fork("anew", at="root")
        moved = await _move(talk, to=head, head=None, branch="anew")

        assert ["0", "1"] == await talk.texts("anew")
        assert (MAIN, 1) == (moved.forked_from, moved.fork_depth)

    async def test_it_costs_what_its_path_costs(self, store: Store, clock: StandingClock) -> None:
        """The cost of a branch is that of the answers on its path."""
        talk = await Talk.begin(store, clock)
        await talk.append("0")
        head = (await talk.branch()).head_id
        await talk.fork("other")
        await talk.answer(await talk.ask("a", "other"), branch="other")
        await _move(talk, to=(await talk.branch("other")).head_id, head=head)

        assert CostTotal.of((CENT,)) == (await talk.branch()).cost

    async def test_only_from_where_the_caller_believed(self, store: Store, clock: StandingClock) -> None:
        """Who decided on an older state is told, and nothing moves."""
        talk, head = await _parted(store, clock)
        target = (await talk.branch("other")).head_id
        added = await talk.append("meanwhile")
        with pytest.raises(BranchMovedError) as caught:
            await _move(talk, to=target, head=head)

        assert (head, added.id) == (caught.value.expected, caught.value.actual)
        assert ["0", "1", "meanwhile"] == await talk.texts()

    async def test_never_to_what_does_not_follow(self, store: Store, clock: StandingClock) -> None:
        """Neither backwards, nor aside, nor to where it is: something would be lost from the branch."""
        talk, _ = await _parted(store, clock)
        added = await talk.append("own")
        target, first = (await talk.branch("other")).head_id, (await talk.history())[0].id
        for to in (target, first, added.id):
            with pytest.raises(BranchError, match="does not follow"):
                await _move(talk, to=to, head=added.id)

        assert ["0", "1", "own"] == await talk.texts()

    async def test_what_is_not_there_is_said(self, store: Store, clock: StandingClock) -> None:
        """The conversation, the branch and the message each have an error of their own."""
        talk, head = await _parted(store, clock)
        with pytest.raises(MessageNotFoundError):
            await _move(talk, to=clock.new_id(), head=head)
        with pytest.raises(BranchNotFoundError):
            await _move(talk, to=head, head=head, branch="nowhere")
        with pytest.raises(ConversationNotFoundError):
            await store.update_branch_head(
                STRANGER, talk.id, MAIN, to=clock.new_id(), expected_head=head, at=clock.now()
            )

    async def test_not_while_an_answer_is_under_way(self, store: Store, clock: StandingClock) -> None:
        """It would be settled beside the branch it was asked on. Once its lease has run out it may."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("question")
        answer_id = clock.new_id()
        await talk.show(attempt, answer_id, "half")
        await talk.fork("anew", at="root")
        with pytest.raises(ConversationBusyError):
            await _move(talk, to=answer_id, head=None, branch="anew")

        clock.advance(LEASE_SECONDS + 1)
        await _move(talk, to=answer_id, head=None, branch="anew")
        assert ["question", "half"] == await talk.texts("anew")


async def _parted(store: Store, clock: StandingClock) -> tuple[Talk, UUID | None]:
    """``main`` has two messages, ``other`` two more; with the id of the newest one they share."""
    talk = await Talk.begin(store, clock)
    for text in ("0", "1"):
        await talk.append(text)
    await talk.fork("other")
    for text in ("a", "b"):
        await talk.append(text, "other")
    return talk, (await talk.branch()).head_id


async def _move(talk: Talk, *, to: UUID | None, head: UUID | None, branch: str = MAIN) -> Branch:
    assert to is not None
    return await talk.store.update_branch_head(
        OWNER, talk.id, branch, to=to, expected_head=head, at=talk.clock.now()
    )
