"""Merging branches: going on where the other ends, or quoting what it has."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import tertulia
from tertulia import (
    BranchNotFoundError,
    ConversationBusyError,
    Image,
    MergeReport,
    Message,
    Role,
    Text,
    ToolCall,
    ToolResult,
)


@pytest.fixture
async def client(one, database) -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(store=database, providers={}, plugins=[one], environ={}) as client:
        yield client


async def texts(conversation: tertulia.Conversation) -> list[str]:
    return [message.text for message in await conversation.history()]


async def test_a_branch_without_words_of_its_own_goes_on_where_the_other_ends(client, one):
    """Fast forward: nothing is copied, and both branches end with the same message."""
    one.says("A").says("B").says("C")
    trip = await client.start(provider="one")
    await trip.send("a")
    idea = await trip.fork("idea")
    await idea.send("b")

    report = await trip.merge("idea")

    assert MergeReport("fast_forward", "main", "idea", 2) == report
    assert ["a", "A", "b", "B"] == await texts(trip)
    main, other = await trip.branches()
    assert main.head_id == other.head_id
    assert 4 == (await trip.record()).message_count
    await trip.send("c")
    assert ["a", "A", "b", "B", "c"] == one.texts
    assert ["a", "A", "b", "B"] == await texts(idea)


async def test_what_both_said_since_is_quoted(client, one):
    """Where both went on, one message quotes the other branch, every line with a sign before it."""
    one.says("A").says("B").says("C\nsecond line").says("D")
    trip = await client.start(provider="one")
    await trip.send("a")
    idea = await trip.fork("idea")
    await trip.send("b")
    await idea.send("c")

    report = await trip.merge("idea")

    opening = "Material from the branch 'idea' of this conversation, quoted:"
    quoted = f"{opening}\n\n> user: c\n>\n> assistant (one): C\n> second line"
    assert ("cited", "main", "idea", 2) == (
        report.way,
        report.branch,
        report.source,
        report.message_count,
    )
    assert report.message == (await trip.history())[-1]
    assert ["a", "A", "b", "B", quoted] == await texts(trip)
    assert ["a", "A", "c", "C\nsecond line"] == await texts(idea)
    await trip.send("d")
    assert quoted in one.texts


async def test_what_is_hidden_is_not_quoted(client, one):
    """A secret does not come back in quotation marks; where all is hidden there is nothing to merge."""
    one.says("A").says("B").says("C")
    trip = await client.start(provider="one")
    await trip.send("a")
    idea = await trip.fork("idea")
    await trip.send("b")
    await idea.send("my secret is 42")
    *_, question, answer = await idea.history()

    await idea.hide(question)
    report = await trip.merge("idea")
    await idea.hide(answer)

    assert ("cited", 1) == (report.way, report.message_count)
    assert report.message.text.endswith("quoted:\n\n> assistant (one): C")
    assert "nothing" == (await trip.merge("idea")).way


async def test_tools_and_files_are_quoted_as_well(client, one):
    """What was called and returned is written down, and what was attached is attached again."""
    picture = Image(b"\x89PNG\r\n\x1a\n", "image/png")
    one.says("A")
    trip = await client.start(provider="one")
    await trip.send("a")
    idea = await trip.fork("idea")
    await trip.append(Message.of(Role.USER, "mine"))
    call = ToolCall("1", "add", {"a": 1})
    await idea.append(Message(Role.USER, (Text("look"), picture)))
    await idea.append(Message(Role.ASSISTANT, (call,)))
    await idea.append(Message(Role.TOOL, (ToolResult("1", "add", "2"),)))

    message = (await trip.merge("idea")).message

    assert message is not None
    assert picture in message.parts
    assert [
        "> user: look",
        "> [attached below]",
        ">",
        '> assistant: [called add with {"a":1}]',
        ">",
        "> tool: [add returned 2]",
    ] == message.text.splitlines()[2:]


async def test_there_may_be_nothing_to_merge(client, one):
    """A branch that has nothing more than this one changes nothing."""
    one.says("A").says("B")
    trip = await client.start(provider="one")
    await trip.send("a")
    await trip.fork("idea")
    await trip.send("b")

    assert MergeReport("nothing", "main", "idea") == await trip.merge("idea")
    assert MergeReport("nothing", "main", "main") == await trip.merge("main")
    assert ["a", "A", "b", "B"] == await texts(trip)


async def test_a_branch_that_is_not_there_cannot_be_merged(client):
    """An unknown name is refused, and nothing is changed."""
    trip = await client.start(provider="one")

    with pytest.raises(BranchNotFoundError, match="no branch 'idea'"):
        await trip.merge("idea")


async def test_an_answer_under_way_is_not_merged(client, one):
    """While the other branch is being answered, neither branch is changed."""
    one.says("A").says("B", " and more")
    trip = await client.start(provider="one")
    await trip.send("a")
    idea = await trip.fork("idea")
    async with idea.stream("b") as stream:
        await anext(aiter(stream))
        with pytest.raises(ConversationBusyError, match="still under way on branch 'idea'"):
            await trip.merge("idea")
        await stream.read()

    assert ["a", "A"] == await texts(trip)
    assert "fast_forward" == (await trip.merge("idea")).way
