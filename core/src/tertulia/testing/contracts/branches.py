"""What every store promises about branches."""

from __future__ import annotations

from uuid import UUID

import pytest

from tertulia.contracts.store import Store
from tertulia.domain.conversation import Branch
from tertulia.domain.message import Role, Text
from tertulia.errors import (
    BranchError,
    BranchExistsError,
    BranchNotFoundError,
    ConversationBusyError,
    MessageNotFoundError,
)
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk


class BranchContract:
    """Names for places in the tree of messages."""

    async def test_a_fork_shares_what_was_said_before(self, store: Store, clock: StandingClock) -> None:
        """It begins with the history of its source, and from then on each goes its own way."""
        talk = await _counted(store, clock, 3)
        await talk.fork("other")
        assert ["0", "1", "2"] == await talk.texts("other")

        await talk.append("here")
        there = await talk.append("there", "other")
        await talk.append("further", "other")
        await talk.append("on")

        assert ["0", "1", "2", "here", "on"] == await talk.texts()
        assert ["0", "1", "2", "there", "further"] == await talk.texts("other")
        assert ((await talk.history())[2].id, 3) == (there.parent_id, there.depth)
        assert 7 == (await talk.record()).message_count

    async def test_a_fork_is_a_named_head(self, store: Store, clock: StandingClock) -> None:
        """It says where it is, where it comes from and since when, and goes on with its source's provider."""
        talk = await _counted(store, clock, 3)
        await store.update_target(OWNER, talk.id, MAIN, provider="xai", model="grok-4.7", at=clock.now())
        clock.advance(60)
        middle = (await talk.history())[1]
        source = await talk.branch()
        forked = await talk.fork("other", at=middle.id)

        assert forked == Branch(
            "other",
            "xai",
            "grok-4.7",
            segment=source.segment,
            head_id=middle.id,
            head_depth=1,
            version=0,
            forked_from=MAIN,
            fork_depth=1,
            created_at=clock.now(),
        )
        assert forked == await talk.branch("other")
        assert [source, forked] == await store.find_branches(OWNER, talk.id)
        assert 3 == (await talk.record()).message_count

    async def test_a_fork_may_begin_anywhere(self, store: Store, clock: StandingClock) -> None:
        """At an earlier message, at the root, or in a conversation without a word."""
        talk = await Talk.begin(store, clock)
        await talk.fork("first")
        await talk.fork("second", at="root")
        for text in ("0", "1", "2"):
            await talk.append(text)
        await talk.fork("early", at=(await talk.history())[0].id)
        await talk.fork("anew", at="root")
        for branch in ("early", "anew", "first", "second"):
            await talk.append(branch, branch)
            await talk.append("more", branch)

        assert ["0", "1", "2"] == await talk.texts()
        assert ["0", "early", "more"] == await talk.texts("early")
        for branch in ("anew", "first", "second"):
            assert [branch, "more"] == await talk.texts(branch)
            assert [0, 1] == [message.depth for message in await talk.history(branch)]
            assert -1 == (await talk.branch(branch)).fork_depth

    async def test_many_branches_may_leave_one_message(self, store: Store, clock: StandingClock) -> None:
        """Siblings have the same parent and the same depth, and are on a branch each."""
        talk = await _counted(store, clock, 2)
        last = (await talk.history())[-1]
        names = [f"other-{number}" for number in range(5)]
        for name in names:
            await talk.fork(name)
        answers = [await talk.append(name, name, role=Role.ASSISTANT) for name in (*names, MAIN)]

        assert {(last.id, 2)} == {(answer.parent_id, answer.depth) for answer in answers}
        assert [["0", "1", name] for name in (*names, MAIN)] == [
            await talk.texts(name) for name in (*names, MAIN)
        ]

    async def test_a_limit_reaches_across_a_fork(self, store: Store, clock: StandingClock) -> None:
        """The newest messages of a branch are counted over all it runs through."""
        talk = await _counted(store, clock, 4)
        await talk.fork("other", at=(await talk.history())[2].id)
        await talk.append("a", "other")
        await talk.fork("third", source="other")
        await talk.append("b", "other")
        await talk.append("c", "third")

        assert ["0", "1", "2", "a", "c"] == await talk.texts("third")
        assert ["2", "a", "c"] == await talk.texts("third", limit=3)
        assert ["1", "2"] == await talk.texts("third", limit=2, before_depth=3)
        assert ["a", "b"] == await talk.texts("other", limit=2)

    async def test_a_fork_knows_what_it_shares_with_its_source(
        self, store: Store, clock: StandingClock
    ) -> None:
        """The message it begins at may be on another branch, or further than its source has come."""
        talk = await _counted(store, clock, 4)
        await talk.fork("short", at=(await talk.history())[1].id)
        await talk.fork("apart", at="root")
        await talk.append("a", "short")
        apart = await talk.append("b", "apart")
        ahead = (await talk.history())[3]

        assert 1 == (await talk.fork("one", source="short", at=ahead.id)).fork_depth
        assert -1 == (await talk.fork("two", source="short", at=apart.id)).fork_depth
        assert 3 == (await talk.fork("three", at=ahead.id)).fork_depth
        await talk.fork("behind", at=(await talk.history())[1].id)
        assert 1 == (await talk.fork("four", source="behind", at=ahead.id)).fork_depth
        assert ["0", "1", "2", "3"] == await talk.texts("one")

    async def test_what_cannot_be_forked_is_refused(self, store: Store, clock: StandingClock) -> None:
        """A name that is taken, too long or no name, a source or a message that is not there."""
        talk = await _counted(store, clock, 1)
        stranger = await _counted(store, clock, 1)
        elsewhere = (await stranger.history())[0].id

        with pytest.raises(BranchExistsError):
            await talk.fork(MAIN)
        for name in ("", "x" * 201):
            with pytest.raises(BranchError, match="a branch's name has 1 to 200 characters"):
                await talk.fork(name)
        with pytest.raises(BranchNotFoundError) as caught:
            await talk.fork("other", source="mian")
        assert "mian" == caught.value.branch
        for message_id in (UUID(int=7), elsewhere):
            with pytest.raises(MessageNotFoundError) as missing:
                await talk.fork("other", at=message_id)
            assert message_id == missing.value.message_id
        assert [MAIN] == await talk.branch_names()

    async def test_an_answer_that_is_coming_is_no_place_to_fork(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Nobody knows yet how it ends; before it, and after the death of its process, there is one."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        await talk.fork("before", at=attempt.message_id)
        await talk.show(attempt, answer_id, "Good ")

        for at in ("head", answer_id):
            with pytest.raises(ConversationBusyError):
                await talk.fork("after", at=at)
        clock.advance(16)
        await talk.fork("after")
        await talk.append("Hello?", "after")
        assert ["Hello", "Good ", "Hello?"] == await talk.texts("after")
        assert [("Hello", "complete"), ("Good ", "interrupted")] == await talk.statuses()

    async def test_branches_are_listed_as_they_were_made(self, store: Store, clock: StandingClock) -> None:
        """The clock may be set back in between."""
        talk = await _counted(store, clock, 1)
        for name in ("c", "b", "a"):
            clock.advance(-60)
            await talk.fork(name)

        assert [MAIN, "c", "b", "a"] == await talk.branch_names()

    async def test_a_conversation_is_opened_on_its_active_branch(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Another branch can be made the active one, also as long as nothing is said on it."""
        talk = await _counted(store, clock, 1)
        forked = await talk.fork("other")
        clock.advance(60)
        await store.update_active_branch(OWNER, talk.id, "other", clock.now())

        record = await talk.record()
        assert (forked, clock.now()) == (record.branch, record.updated_at)
        assert record == (await store.find_conversations(OWNER))[0]
        with pytest.raises(BranchNotFoundError):
            await store.update_active_branch(OWNER, talk.id, "mian", clock.now())

    async def test_a_branch_can_be_renamed(self, store: Store, clock: StandingClock) -> None:
        """It stays the active one, and the origin of its forks, under the new name."""
        talk = await _counted(store, clock, 2)
        await talk.fork("other")
        await store.update_branch_name(OWNER, talk.id, MAIN, "trunk", clock.now())
        await talk.append("2", "trunk")

        assert ["trunk", "other"] == await talk.branch_names()
        assert ("trunk", ["0", "1", "2"]) == ((await talk.record()).branch.name, await talk.texts("trunk"))
        assert "trunk" == (await talk.branch("other")).forked_from
        with pytest.raises(BranchNotFoundError):
            await talk.texts(MAIN)
        await store.update_branch_name(OWNER, talk.id, "other", "other", clock.now())
        await store.update_branch_name(OWNER, talk.id, "other", MAIN, clock.now())
        assert "trunk" == (await talk.record()).branch.name

    async def test_a_branch_takes_no_name_it_cannot_have(self, store: Store, clock: StandingClock) -> None:
        """Not that of another one, none that is too long, and none while an answer is under way on it."""
        talk = await _counted(store, clock, 1)
        await talk.fork("other")

        with pytest.raises(BranchExistsError):
            await store.update_branch_name(OWNER, talk.id, "other", MAIN, clock.now())
        with pytest.raises(BranchNotFoundError):
            await store.update_branch_name(OWNER, talk.id, "mian", "trunk", clock.now())
        with pytest.raises(BranchError):
            await store.update_branch_name(OWNER, talk.id, "other", "", clock.now())
        await talk.ask("Hello", "other")
        with pytest.raises(ConversationBusyError):
            await store.update_branch_name(OWNER, talk.id, "other", "busy", clock.now())
        assert [MAIN, "other"] == await talk.branch_names()

    async def test_an_answer_is_under_way_on_its_own_branch_only(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What was forked at a question while it is answered can be renamed and removed."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Hello"), clock.new_id()
        await talk.fork("early", at=attempt.message_id)
        await talk.show(attempt, answer_id, "Good ")
        await talk.fork("late", at=attempt.message_id)
        await store.update_branch_name(OWNER, talk.id, "early", "renamed", clock.now())
        for name in ("renamed", "late"):
            await store.remove_branch(OWNER, talk.id, name, clock.now())
        await talk.answer(attempt, Text("Good morning"), shown_as=answer_id)

        assert [MAIN] == await talk.branch_names()
        assert ["Hello", "Good morning"] == await talk.texts()

    async def test_a_fork_at_the_question_does_not_let_the_asked_branch_go(
        self, store: Store, clock: StandingClock
    ) -> None:
        """The branch that was asked keeps its name and its place until it has its answer."""
        talk = await Talk.begin(store, clock)
        await talk.fork("asked")
        attempt = await talk.ask("Hello", "asked")
        await talk.fork("other", source="asked", at=attempt.message_id)

        with pytest.raises(ConversationBusyError):
            await store.update_branch_name(OWNER, talk.id, "asked", "renamed", clock.now())
        with pytest.raises(ConversationBusyError):
            await store.remove_branch(OWNER, talk.id, "asked", clock.now())
        await talk.answer(attempt, Text("Good morning"), branch="asked")
        assert [MAIN, "asked", "other"] == await talk.branch_names()
        assert ["Hello", "Good morning"] == await talk.texts("asked")

    async def test_a_removed_branch_takes_nothing_along(self, store: Store, clock: StandingClock) -> None:
        """What it shared stays with the others, its own messages can be found, and its name is free."""
        talk = await _counted(store, clock, 3)
        await talk.fork("other", at=(await talk.history())[1].id)
        own = await talk.append("own", "other")
        await talk.fork("child", source="other")
        await talk.append("later", "child")
        await store.remove_branch(OWNER, talk.id, "other", clock.now())

        assert [MAIN, "child"] == await talk.branch_names()
        assert ["0", "1", "own", "later"] == await talk.texts("child")
        assert (MAIN, 1) == ((child := await talk.branch("child")).forked_from, child.fork_depth)
        assert own.id is not None
        assert own == await store.get_message(OWNER, talk.id, own.id)
        assert 5 == (await talk.record()).message_count
        again = await talk.fork("other", at=own.id)
        assert (own.id, 1) == (again.head_id, again.fork_depth)
        await talk.append("again", "other")
        assert ["0", "1", "own", "again"] == await talk.texts("other")

    async def test_what_is_needed_is_not_removed(self, store: Store, clock: StandingClock) -> None:
        """Neither the active branch, nor one on which an answer is under way, nor what is not there."""
        talk = await _counted(store, clock, 1)
        await talk.fork("other")

        with pytest.raises(BranchError, match="is the active one"):
            await store.remove_branch(OWNER, talk.id, MAIN, clock.now())
        with pytest.raises(BranchNotFoundError):
            await store.remove_branch(OWNER, talk.id, "mian", clock.now())
        attempt = await talk.ask("Hello", "other")
        with pytest.raises(ConversationBusyError):
            await store.remove_branch(OWNER, talk.id, "other", clock.now())
        await talk.answer(attempt, Text("Hi"), branch="other")
        await store.remove_branch(OWNER, talk.id, "other", clock.now())
        assert [MAIN] == await talk.branch_names()


async def _counted(store: Store, clock: StandingClock, messages: int) -> Talk:
    """A conversation of messages that say their depth."""
    talk = await Talk.begin(store, clock)
    for depth in range(messages):
        await talk.append(str(depth))
    return talk
