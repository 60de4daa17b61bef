"""Branches: forks, siblings, and what a history is on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

import tertulia
from tertulia import (
    BranchError,
    BranchExistsError,
    BranchMovedError,
    BranchNotFoundError,
    ConfigurationError,
    Message,
    MessageNotFoundError,
    MessageStatus,
    OverloadedError,
)
from tertulia.testing import ScriptedProvider


@pytest.fixture
async def client(one, two, database) -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(
        store=database, providers={}, plugins=[one, two], environ={}, routing={"max_retries": 0}
    ) as client:
        yield client


async def texts(conversation: tertulia.Conversation) -> list[str]:
    return [message.text for message in await conversation.history()]


async def test_both_branches_of_a_fork_go_on_from_the_same_words(client, one):
    """A fork shares what was said, and from then on neither hears the other."""
    one.says("A").says("B, here").says("B, there").says("C")
    trip = await client.start(provider="one")
    await trip.send("a")

    idea = await trip.fork("idea")
    await trip.send("b")
    await idea.send("b?")
    await trip.send("c")

    assert ("main", "idea") == (trip.branch, idea.branch)
    assert ["a", "A", "b", "B, here", "c", "C"] == await texts(trip)
    assert ["a", "A", "b?", "B, there"] == await texts(idea)
    assert ["a", "A", "b", "B, here", "c"] == one.texts


async def test_a_fork_can_begin_at_any_message_of_any_branch(client, one):
    """The place may be a reply, a message or an id, and lie on another branch."""
    one.says("A").says("B").says("C")
    trip = await client.start(provider="one")
    first = await trip.send("a")
    await trip.send("b")
    side = await trip.fork("side", at=first)
    await side.send("c")
    newest = (await side.history())[-1]

    by_message = await trip.fork(at=newest)
    by_id = await trip.fork(at=first.message.id)

    assert ("main-2", ["a", "A", "c", "C"]) == (by_message.branch, await texts(by_message))
    assert ("main-3", ["a", "A"]) == (by_id.branch, await texts(by_id))


async def test_branches_are_listed_with_where_they_come_from(client, one):
    """Every branch says what it was forked from and how much it shares; the active one is the first."""
    one.says("A").says("B")
    trip = await client.start(provider="one", system="Be brief.")
    first = await trip.send("a")
    await trip.send("b")
    await trip.fork("idea", at=first)

    main, idea = await trip.branches()

    assert ("main", None, None, 4) == (main.name, main.forked_from, main.fork_depth, main.head_depth)
    assert ("idea", "main", 2, 2) == (idea.name, idea.forked_from, idea.fork_depth, idea.head_depth)
    assert "main" == (await client.get(trip.id)).branch


async def test_switching_branches_is_remembered(client, one):
    """The object goes to the other branch, and the conversation is opened there from now on."""
    one.says("A").says("B")
    trip = await client.start(provider="one")
    await trip.send("a")
    await trip.fork("idea")

    await trip.switch_branch("idea")
    await trip.send("b")

    again = await client.get(trip.id)
    assert ("idea", "idea") == (trip.branch, again.branch)
    assert ["a", "A", "b", "B"] == await texts(again)
    assert ["a", "A"] == await texts(await client.get(trip.id, branch="main"))


async def test_each_branch_has_its_own_provider(client, one, two):
    """Switching the provider on one branch changes no other, and is seen by all who hold that branch."""
    one.says("A")
    two.says("B")
    trip = await client.start(provider="one")
    await trip.send("a")
    idea = await trip.fork("idea")
    same = await client.get(trip.id, branch="idea")

    await idea.switch("two")

    assert ("one", "two", "two") == (trip.provider, idea.provider, same.provider)
    assert "two" == (await idea.send("b")).provider


async def test_a_switch_elsewhere_is_seen_when_the_conversation_is_opened(client, one, two, database):
    """What another client has chosen counts for all who hold the branch, once one of them asks the store."""
    trip = await client.start(provider="one")
    async with tertulia.open(store=database, providers={}, plugins=[one, two], environ={}) as other:
        await (await other.get(trip.id)).switch("two")

    await client.get(trip.id)

    assert "two" == trip.provider


async def test_a_renamed_branch_is_the_same_branch(client, one):
    """Whoever holds it goes on under the new name, the active one included."""
    one.says("A").says("B")
    trip = await client.start(provider="one")
    await trip.send("a")
    idea = await trip.fork("idea")

    await trip.rename_branch("idea", "plan")
    await trip.rename_branch("main", "trunk")
    await idea.send("b")

    assert ("trunk", "plan") == (trip.branch, idea.branch)
    assert [("trunk", None), ("plan", "trunk")] == [
        (branch.name, branch.forked_from) for branch in await trip.branches()
    ]
    assert ["a", "A", "b", "B"] == await texts(idea)
    assert "trunk" == (await client.get(trip.id)).branch
    same = await client.get(trip.id, branch="plan")
    await same.switch("two")
    assert "two" == idea.provider


async def test_what_a_deleted_branch_shared_stays(client, one):
    """A branch that was forked from a deleted one keeps its whole history."""
    one.says("A").says("B").says("C")
    trip = await client.start(provider="one")
    await trip.send("a")
    idea = await trip.fork("idea")
    await idea.send("b")
    further = await idea.fork("further")

    await trip.delete_branch("idea")
    await further.send("c")

    assert ["main", "further"] == [branch.name for branch in await trip.branches()]
    assert ["a", "A", "b", "B", "c", "C"] == await texts(further)
    with pytest.raises(BranchNotFoundError):
        await idea.send("d")
    assert 6 == len(await texts(further))


async def test_a_branch_that_is_not_there_is_named(client, one):
    """Opening, switching, renaming and deleting say which branch there is not, and change nothing."""
    trip = await client.start(provider="one")

    for attempt in (
        client.get(trip.id, branch="idea"),
        trip.switch_branch("idea"),
        trip.rename_branch("idea", "plan"),
        trip.delete_branch("idea"),
    ):
        with pytest.raises(BranchNotFoundError, match="'idea'") as caught:
            await attempt
        assert "idea" == caught.value.branch

    assert ("main", ["main"]) == (trip.branch, [branch.name for branch in await trip.branches()])


async def test_names_of_branches_are_unique_and_not_empty(client, one):
    """A taken name, an empty one and one of 201 characters are refused."""
    trip = await client.start(provider="one")
    await trip.fork("idea")

    with pytest.raises(BranchExistsError, match="'idea'"):
        await trip.fork("idea")
    with pytest.raises(BranchExistsError, match="'main'"):
        await trip.rename_branch("idea", "main")
    for name in ("", " ", "x" * 201):
        with pytest.raises(ConfigurationError, match="a branch's name has 1 to 200 characters"):
            await trip.fork(name)
        with pytest.raises(ConfigurationError, match="a branch's name has 1 to 200 characters"):
            await trip.rename_branch("idea", name)
    assert ["main", "idea"] == [branch.name for branch in await trip.branches()]


async def test_a_branch_is_numbered_after_the_one_it_comes_from(client, one):
    """A number that belongs to a name stays, and a name of 200 characters makes room for one."""
    trip = await client.start(provider="one")
    plan = await trip.fork("plan-2027")
    long = await trip.fork("x" * 200)

    names = [(await branch.fork()).branch for branch in (trip, trip, plan, long, long)]

    assert ["main-2", "main-3", "plan-2027-2", "x" * 198 + "-2", "x" * 198 + "-3"] == names


async def test_forks_at_the_same_time_get_names_of_their_own(client):
    """Whoever finds the next number taken in between takes the one after it."""
    trip = await client.start(provider="one")

    forks = await asyncio.gather(*(trip.fork() for _ in range(5)))

    assert {"main-2", "main-3", "main-4", "main-5", "main-6"} == {fork.branch for fork in forks}


async def test_the_active_branch_is_not_deleted(client, one):
    """A conversation always has the branch it is opened on."""
    trip = await client.start(provider="one")

    with pytest.raises(BranchError, match="active"):
        await trip.delete_branch("main")

    assert ["main"] == [branch.name for branch in await trip.branches()]


async def test_a_fork_at_an_unknown_message_is_refused(client, one):
    """A message of another conversation, or of none, is not found."""
    one.says("A")
    elsewhere = await client.start(provider="one")
    reply = await elsewhere.send("a")
    trip = await client.start(provider="one")

    with pytest.raises(MessageNotFoundError):
        await trip.fork("idea", at=reply)
    with pytest.raises(MessageNotFoundError, match="not stored"):
        await trip.fork("idea", at=Message.of("user", "a"))
    assert ["main"] == [branch.name for branch in await trip.branches()]


async def test_an_edited_message_is_a_sibling(client, one):
    """The conversation goes on from the new words; the old ones stay on their branch."""
    one.says("A").says("B").says("B!").says("C!")
    trip = await client.start(provider="one", system="Be brief.")
    await trip.send("a")
    await trip.send("b")
    asked = (await trip.history())[3]

    reply = await trip.edit(asked, "b, differently")
    await trip.send("c")

    assert ("B!", "main-2") == (reply.text, trip.branch)
    assert ["Be brief.", "a", "A", "b, differently", "B!", "c", "C!"] == await texts(trip)
    assert ["Be brief.", "a", "A", "b", "B"] == await texts(await client.get(trip.id, branch="main"))
    assert ["Be brief.", "a", "A", "b, differently", "B!", "c"] == one.texts
    assert "main-2" == (await client.get(trip.id)).branch


async def test_the_first_message_can_be_edited(client, one):
    """Before the first message there is nothing, and a branch can begin there."""
    one.says("A").says("Z")
    trip = await client.start(provider="one")
    reply = await trip.send("a")
    first = (await trip.history())[0]

    await trip.edit(first, "z")

    assert ["z", "Z"] == await texts(trip)
    assert ["a", "A"] == await texts(await client.get(trip.id, branch="main"))
    assert reply.message.parent_id == first.id


async def test_only_a_users_message_can_be_edited(client, one):
    """An answer is not ours to change: it can be asked for again."""
    one.says("A")
    trip = await client.start(provider="one")
    reply = await trip.send("a")

    with pytest.raises(BranchError, match="assistant"):
        await trip.edit(reply, "B")
    with pytest.raises(ConfigurationError, match="empty"):
        trip.edit(reply, " ")
    assert (["main"], 1) == ([branch.name for branch in await trip.branches()], len(one.requests))


async def test_another_answer_is_a_sibling(client, one, two):
    """The same words are sent again, and the new answer stands beside the old one."""
    one.says("A").says("B").says("B, again")
    trip = await client.start(provider="one")
    await trip.send("a")
    first = await trip.send("b")

    second = await trip.regenerate()

    assert ["a", "A", "b"] == one.texts
    assert (first.message.parent_id, "B, again") == (second.message.parent_id, second.text)
    assert ("main-2", ["a", "A", "b", "B, again"]) == (trip.branch, await texts(trip))
    assert ["a", "A", "b", "B"] == await texts(await client.get(trip.id, branch="main"))
    assert [1, 1, 2] == [attempt.number for attempt in await trip.attempts()]


async def test_an_earlier_answer_can_be_had_again(client, one):
    """What followed the earlier answer stays on its own branch."""
    one.says("A").says("B").says("A!")
    trip = await client.start(provider="one")
    first = await trip.send("a")
    await trip.send("b")

    async with trip.regenerate(first) as stream:
        events = [event async for event in stream]

    assert ["a"] == one.texts
    assert (tertulia.TextDelta("A!"), ["a", "A!"]) == (events[0], await texts(trip))


async def test_no_other_answer_changes_nothing(client, one):
    """When nobody answers again, the conversation stays where it was and the attempt is on record."""
    one.says("A").refuses(OverloadedError, status=503).says("B")
    trip = await client.start(provider="one")
    await trip.send("a")

    with pytest.raises(OverloadedError):
        await trip.regenerate()

    assert ("main", ["main"]) == (trip.branch, [branch.name for branch in await trip.branches()])
    assert [("a", MessageStatus.COMPLETE), ("A", MessageStatus.COMPLETE)] == [
        (message.text, message.status) for message in await trip.history()
    ]
    assert [(1, "succeeded"), (2, "failed")] == [
        (attempt.number, attempt.outcome) for attempt in await trip.attempts()
    ]
    await trip.send("b")
    assert ["a", "A", "b"] == one.texts


async def test_a_branch_that_somebody_went_to_stays(client, caplog):
    """A branch made for an answer that never came is not taken from whoever is on it by now."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedProvider):
        async def send_message(self, request):
            if self.requests:
                asked.set()
                await go_on.wait()
            async for delta in super().send_message(request):
                yield delta

    client.register(Slow("slow").says("A").refuses(OverloadedError, status=503))
    trip = await client.start(provider="slow")
    await trip.send("a")
    other = await client.get(trip.id)
    asking = asyncio.create_task(trip.regenerate().read())
    await asyncio.wait_for(asked.wait(), 5)
    await other.switch_branch("main-2")
    go_on.set()

    with pytest.raises(OverloadedError):
        await asking

    assert ("main", "main-2", ["a"]) == (trip.branch, other.branch, await texts(other))
    assert ["branch 'main-2' was made for nothing and is still there"] == [
        record.getMessage().partition(":")[0] for record in caplog.records
    ]


async def test_there_must_be_something_to_regenerate(client, one):
    """An empty branch, and a system message, are nobody's answer."""
    trip = await client.start(provider="one")
    instructed = await client.start(provider="one", system="Be brief.")

    with pytest.raises(BranchError, match="empty"):
        await trip.regenerate()
    with pytest.raises(BranchError, match="no answer"):
        await instructed.regenerate()
    assert [] == one.requests


async def test_messages_can_be_added_without_asking(client, one):
    """What was said elsewhere becomes part of the history, and of what the provider is sent."""
    one.says("It is 9.")
    trip = await client.start(provider="one")

    question = await trip.append(Message.of("user", "What is 2 + 2?"))
    answer = await trip.append(Message.of("assistant", "4."), expected_head=question.id)
    await trip.send("And 3 + 3?")

    assert (0, 1, question.id) == (question.depth, answer.depth, answer.parent_id)
    assert ["What is 2 + 2?", "4.", "And 3 + 3?"] == one.texts


async def test_a_branch_that_has_moved_is_not_added_to(client, one):
    """Whoever believed another message to be the newest hears which one is, and nothing is added."""
    trip = await client.start(provider="one")
    first = await trip.append(Message.of("user", "a"))
    second = await trip.append(Message.of("assistant", "A"))

    with pytest.raises(BranchMovedError) as caught:
        await trip.append(Message.of("user", "b"), expected_head=first.id)
    with pytest.raises(BranchMovedError):
        await trip.append(Message.of("user", "b"), expected_head=None)

    assert (first.id, second.id) == (caught.value.expected, caught.value.actual)
    assert ["a", "A"] == await texts(trip)


async def test_what_another_client_says_on_a_branch_is_heard(client, one, database):
    """Two clients on one database go on from each other's words, and count what they send alike."""
    one.says("A").says("C")
    trip = await client.start(provider="one")
    await trip.send("a")
    other_one = ScriptedProvider("one").says("B, " + "at length, " * 50).says("D")
    async with tertulia.open(store=database, providers={}, plugins=[other_one], environ={}) as other:
        same = await other.get(trip.id)
        await same.send("b")
        reply = await trip.send("c")
        sent = one.requests[-1].messages
        counted = same._core.plugins.count_tokens(tertulia.Target("one", "scripted-1"), sent)
        await same.send("d")

    assert ["a", "A", "b", "B, " + "at length, " * 50, "c"] == one.texts
    assert counted == reply.context.tokens
    assert [*one.texts, "C", "d"] == other_one.texts


async def test_a_branch_is_read_once(client, one, monkeypatch):
    """What a client has read or said itself is not read again, whether it was answered or not."""
    reads = []
    store = client._core.store
    get_messages = store.get_messages

    async def count(*arguments, **named):
        reads.append(named)
        return await get_messages(*arguments, **named)

    monkeypatch.setattr(store, "get_messages", count)
    one.says("A").refuses(OverloadedError, status=503).says("C").says("D")
    trip = await client.start(provider="one", system="Be brief.")
    await trip.send("a")
    with pytest.raises(OverloadedError):
        await trip.send("b")
    await trip.send("c")
    await trip.send("d")

    assert (1, ["Be brief.", "a", "A", "c", "C", "d"]) == (len(reads), one.texts)
    assert {MessageStatus.COMPLETE} == {message.status for message in one.requests[-1].messages[:-1]}


async def test_branches_answer_at_the_same_time(client):
    """One branch does not wait for another: both are asked at once."""
    both, asked = asyncio.Event(), []

    class Waiting(ScriptedProvider):
        async def send_message(self, request):
            asked.append(request.messages[-1].text)
            if len(asked) == 2:
                both.set()
            await both.wait()
            async for delta in super().send_message(request):
                yield delta

    client.register(Waiting("slow").says("A").says("B"))
    trip = await client.start(provider="slow")
    idea = await trip.fork("idea")

    async with asyncio.timeout(5):
        await asyncio.gather(trip.send("a"), idea.send("b"))

    assert {"a", "b"} == set(asked)
