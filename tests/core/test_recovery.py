"""Answers that break off, messages that nobody answered, and messages that are sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from histories import statuses

import tertulia
from tertulia import (
    AttemptOutcome,
    AuthenticationError,
    BranchError,
    Budget,
    BudgetExceededError,
    Completed,
    ConversationBusyError,
    DuplicateMessageError,
    ErrorKind,
    InvalidRequestError,
    MessageStatus,
    Options,
    ProviderError,
    ReasoningDelta,
    Restarted,
    Routing,
    ServerError,
    SessionReason,
    StreamInterruptedError,
    TextDelta,
    Usage,
)
from tertulia.testing import ScriptedProvider

RESTART = Routing(on_interrupt="restart")
CONTINUE = Routing(on_interrupt="continue")


class Observer:
    """Remembers what it is told."""

    TERTULIA_API = 1

    def __init__(self) -> None:
        self.notices: list[Any] = []

    @tertulia.hookimpl
    def observe(self, notice: Any) -> None:
        self.notices.append(notice)

    @property
    def names(self) -> list[str]:
        return [type(notice).__name__ for notice in self.notices]


class Thoughtful(ScriptedProvider):
    """Thinks aloud, and breaks off before its first word."""

    async def send_message(self, request: tertulia.Request) -> AsyncIterator[tertulia.Delta]:
        yield ReasoningDelta("Well,")
        raise failing()


@pytest.fixture
def three() -> ScriptedProvider:
    return ScriptedProvider("three")


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
async def client(one, two, three, observer, database) -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(
        store=database, providers={}, plugins=[one, two, three, Thoughtful("four"), observer], environ={}
    ) as client:
        yield client


def failing(kind: type[ProviderError] = ServerError) -> ProviderError:
    """A failure after which nobody has to be waited for."""
    return kind("it failed", retry_after=0.0)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def texts(conversation: Any) -> list[str]:
    return [message.text for message in await conversation.history()]


async def names(conversation: Any) -> list[str]:
    return [branch.name for branch in await conversation.branches()]


def kinds(events: Sequence[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


async def test_an_answer_that_breaks_off_is_kept_and_nobody_else_is_asked(client, one, two):
    """By default what was shown is stored, and who could answer instead stays unasked and unburdened."""
    one.fails(failing(), "Hel")
    conversation = await client.start(provider="one")

    with pytest.raises(StreamInterruptedError) as caught:
        await conversation.stream("Hi.", fallback=["two"])

    assert ("Hel", ErrorKind.SERVER, True) == (
        caught.value.partial.text,
        caught.value.kind,
        caught.value.can_resume,
    )
    assert [("Hi.", MessageStatus.COMPLETE), ("Hel", MessageStatus.INTERRUPTED)] == await statuses(
        conversation
    )
    assert [] == two.requests
    assert [500] == [provider.retry_tokens for provider in await client.health()]


async def test_an_answer_begins_again_on_a_branch_of_its_own(client, one, two):
    """What was shown stays on the first branch, the whole answer is its sibling, and both are paid."""
    one.fails(failing(), "Hel")
    two.says("Good ", "day.")
    conversation = await client.start(provider="one")

    stream = conversation.stream("Hi.", fallback=["two"], routing=RESTART)
    events = [event async for event in stream]

    target = tertulia.Target("two", "scripted-1")
    assert [
        TextDelta("Hel"),
        Restarted(target, ErrorKind.SERVER, "it failed"),
        TextDelta("Good "),
        TextDelta("day."),
        Completed(stream.reply),
    ] == events
    assert ("main-2", ["Hi.", "Good day."]) == (conversation.branch, await texts(conversation))
    await conversation.switch_branch("main")
    assert [("Hi.", MessageStatus.COMPLETE), ("Hel", MessageStatus.INTERRUPTED)] == await statuses(
        conversation
    )
    assert [("one", AttemptOutcome.INTERRUPTED, 1), ("two", AttemptOutcome.SUCCEEDED, 2)] == [
        (attempt.provider, attempt.outcome, attempt.number) for attempt in stream.reply.attempts
    ]
    assert stream.reply.total_cost == (await conversation.cost()).total
    assert [SessionReason.INITIAL, SessionReason.FALLBACK] == [
        session.reason for session in await conversation.sessions()
    ]


async def test_an_answer_is_gone_on_with_by_others(client, one, two, three):
    """Each is sent what was shown so far, and the answer is all of it, with everybody's attempts."""
    one.fails(failing(), "One, ")
    two.fails(failing(), "two, ")
    three.says("three.")
    conversation = await client.start(provider="one")

    stream = conversation.stream("Count.", fallback=["two", "three"], routing=CONTINUE)
    events = [event async for event in stream]

    assert ["TextDelta", "Continued"] * 2 + ["TextDelta", "Completed"] == kinds(events)
    assert [("Count.", "One, two, ")] == [
        (messages[0].text, messages[1].text) for messages in [three.requests[0].messages]
    ]
    assert "One, two, three." == stream.reply.text
    assert ["one", "two", "three"] == [attempt.provider for attempt in stream.reply.attempts]
    assert ("main-3", ["Count.", "One, two, three."]) == (conversation.branch, await texts(conversation))


async def test_who_cannot_go_on_is_passed_by(client, one, two, three):
    """A failure before the first word of the rest falls back as ever, with the beginning as it was."""
    one.fails(failing(), "One, ")
    two.fails(failing(AuthenticationError))
    three.says("two.")
    conversation = await client.start(provider="one")

    reply = await conversation.stream("Count.", fallback=["two", "three"], routing=CONTINUE)

    assert "One, two." == reply.text
    assert ("two/scripted-1 was asked before and could not answer: it failed",) == reply.warnings


async def test_thoughts_alone_cannot_be_gone_on_with(client, one, two):
    """There is no word to go on from, so it is said that the answer begins again."""
    two.says("Hello.")
    conversation = await client.start(provider="four")

    stream = conversation.stream("Hi.", fallback=["two"], routing=CONTINUE)

    assert ["ReasoningDelta", "Restarted", "TextDelta", "Completed"] == kinds(
        [event async for event in stream]
    )


async def test_the_same_target_begins_again_when_there_is_no_other(client, one):
    """Whoever may be retried may also begin again."""
    one.fails(failing(), "Hel").says("Hello.")
    conversation = await client.start(provider="one")

    reply = await conversation.stream("Hi.", routing=RESTART)

    assert ("Hello.", "one", 2) == (reply.text, reply.provider, len(reply.attempts))


@pytest.mark.parametrize("routing", [RESTART, CONTINUE], ids=["restart", "continue"])
async def test_what_was_shown_is_what_there_is_when_nobody_else_can(
    client, one, two, observer, routing
) -> None:
    """The first interruption is raised, told once, and no empty branch is left."""
    one.fails(failing(), "Hel")
    two.fails(failing(InvalidRequestError))
    conversation = await client.start(provider="one")

    with pytest.raises(StreamInterruptedError) as caught:
        await conversation.stream("Hi.", fallback=["two"], routing=routing)

    assert ("Hel", 2) == (caught.value.partial.text, len(caught.value.attempts))
    assert (["main"], "main", ["Hi.", "Hel"]) == (
        await names(conversation),
        conversation.branch,
        await texts(conversation),
    )
    attempt = ["AttemptStarted", "AttemptEnded"]
    assert [*attempt, "Recovered", *attempt, "SendFailed"] == observer.names
    assert caught.value is observer.notices[-1].error


async def test_each_notice_of_a_recovery_comes_once(client, one, two, observer):
    """Two attempts, one recovery, one answer."""
    one.fails(failing(), "Hel")
    two.says("Hello.")
    conversation = await client.start(provider="one")

    await conversation.stream("Hi.", fallback=["two"], routing=RESTART)

    attempt = ["AttemptStarted", "AttemptEnded"]
    assert [*attempt, "Recovered", *attempt, "Answered"] == observer.names


async def test_a_cancellation_before_the_second_beginning_is_told(client, one, observer):
    """Who leaves while the service is waited for leaves the branch free, and observers hear of the end."""
    error = failing()
    error.retry_after = 30.0
    one.fails(error, "Hel").says("Back.")
    conversation = await client.start(provider="one")
    stream, restarted = conversation.stream("Hi.", routing=RESTART), asyncio.Event()

    async def read() -> None:
        async for event in stream:
            if isinstance(event, Restarted):
                restarted.set()

    reading = asyncio.create_task(read())
    await asyncio.wait_for(restarted.wait(), 5)
    await asyncio.sleep(0)  # until it waits
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert ["AttemptStarted", "AttemptEnded", "Recovered", "SendFailed"] == observer.names
    assert "Back." == (await conversation.send("Again.")).text


async def test_a_plugin_decides_who_goes_on(client, one, two, three):
    """After an interruption as after other failures the order of those left is a plugin's to choose."""
    asked: list[Any] = []

    class Order:
        TERTULIA_API = 1

        @tertulia.hookimpl
        def order_targets(self, targets: Any, failed: Any) -> Any:
            asked.append(([target.provider for target in targets], [kind for _, kind in failed]))
            return list(reversed(targets)) if failed else None

    client.register(Order())
    one.fails(failing(), "a")
    three.says("b")
    conversation = await client.start(provider="one")

    reply = await conversation.stream("Hi.", fallback=["two", "three"], routing=CONTINUE)

    assert ("ab", "three") == (reply.text, reply.provider)
    assert [(["one", "two", "three"], []), (["two", "three"], [ErrorKind.SERVER])] == asked


async def test_a_step_after_tools_begins_again(client, one):
    """The calls and their results are on the new branch, too, and nothing is called twice."""
    one.calls(("add", {"a": 1, "b": 2})).fails(failing(), "Th").says("Three.").says("Four.")
    conversation = await client.start(provider="one")

    reply = await conversation.stream("1 + 2?", tools=[add], client_id="sum", routing=RESTART)
    again = await conversation.send("1 + 2?", tools=[add], client_id="sum")
    await conversation.send("And 1 more?")

    assert ("Three.", 1, True) == (reply.text, len(reply.steps), again.was_stored)
    assert (reply.text, reply.total_cost) == (again.text, again.total_cost)
    assert ["1 + 2?", "", "", "Three.", "And 1 more?"] == one.texts


@pytest.mark.parametrize(
    ("routing", "text"), [(RESTART, "Whole."), (CONTINUE, "HelWhole.")], ids=["restart", "continue"]
)
async def test_a_compared_answer_that_recovers_says_where_it_is(client, one, two, routing, text) -> None:
    """The conversation stays where it is, and each answer is found on the branch that is told of it."""
    one.fails(failing(), "Hel").says("Whole.")
    two.fails(failing(), "Hel").says("Whole.")
    conversation = await client.start(provider="one")

    comparison = await conversation.compare("Hi.", ["one", "two"], routing=routing)

    assert "main" == conversation.branch == (await client.get(conversation.id)).branch
    for answer in comparison.answers:
        await conversation.switch_branch(answer.branch)
        assert ["Hi.", text] == await texts(conversation)
        assert (text, answer.target.provider) == (answer.reply.text, conversation.provider)


async def test_a_budget_ends_a_recovery(one, two, database):
    """No further call is made, and what was shown is kept."""
    one.fails(failing(), "Hel")
    settings = {"store": database, "providers": {}, "plugins": [one, two], "environ": {}}
    async with tertulia.open(**settings, budgets=[Budget("0.0021")]) as client:
        conversation = await client.start(provider="one")
        with pytest.raises(BudgetExceededError):
            await conversation.stream(
                "Hi.", fallback=["two"], routing=RESTART, options=Options(max_output_tokens=1000)
            )

        assert [] == two.requests
        assert ["Hi.", "Hel"] == await texts(conversation)


async def test_what_nobody_answered_is_asked_again_where_it_is(client, one):
    """A retry is the same message, not another one."""
    one.fails(failing(InvalidRequestError)).says("Hello.")
    conversation = await client.start(provider="one")
    with pytest.raises(InvalidRequestError):
        await conversation.send("Hi.")

    reply = await conversation.retry()

    assert ("Hello.", ["main"], ["Hi.", "Hello."]) == (
        reply.text,
        await names(conversation),
        await texts(conversation),
    )


async def test_a_retry_begins_from_the_first_word(client, one):
    """Where resume() would go on with it, retry() puts a whole answer beside it."""
    one.fails(failing(InvalidRequestError), "Hel").says("Hello.")
    conversation = await client.start(provider="one")
    with pytest.raises(StreamInterruptedError):
        await conversation.send("Hi.")

    reply = await conversation.retry()

    assert ("Hello.", "main-2", ["Hi."]) == (reply.text, conversation.branch, one.texts)
    with pytest.raises(BranchError):
        await conversation.retry()


async def test_a_message_that_is_sent_twice_is_answered_once(client, one, observer):
    """The second time the stored answer comes back, and observers hear nothing."""
    one.says("Hello.")
    conversation = await client.start(provider="one")
    first = await conversation.send("Hi.", client_id="a")
    told = list(observer.names)

    events = [event async for event in conversation.stream("Hi.", client_id="a")]

    (completed,) = events
    assert (first.message, first.attempts, True) == (
        completed.reply.message,
        completed.reply.attempts,
        completed.reply.was_stored,
    )
    assert (told, 1) == (observer.names, len(one.requests))


async def test_a_name_belongs_to_one_text(client, one):
    """The same name with other words is a mistake, and nothing is stored or sent."""
    one.says("Hello.")
    conversation = await client.start(provider="one")
    await conversation.send("Hi.", client_id="a")

    with pytest.raises(DuplicateMessageError) as caught:
        await conversation.send("Ho.", client_id="a")

    assert "nothing was stored, and nothing was sent" == caught.value.kept
    assert ["Hi.", "Hello."] == await texts(conversation)


async def test_two_processes_send_one_message_once(one, database):
    """While the one is being answered the other hears so; afterwards it gets the answer."""
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedProvider):
        async def send_message(self, request):
            asked.set()
            await answer.wait()
            async for delta in super().send_message(request):
                yield delta

    settings = {"store": database, "providers": {}, "environ": {}}
    slow = Slow("one").says("Hello.")
    async with (
        tertulia.open(**settings, plugins=[slow]) as here,
        tertulia.open(**settings, plugins=[one]) as there,
    ):
        mine = await here.start(provider="one")
        theirs = await there.get(mine.id)
        first = asyncio.create_task(mine.send("Hi.", client_id="a"))
        second = asyncio.create_task(mine.send("Hi.", client_id="a"))
        await asked.wait()
        with pytest.raises(ConversationBusyError):
            await theirs.send("Hi.", client_id="a")
        answer.set()

        assert [False, True] == [(await first).was_stored, (await second).was_stored]
        assert (True, 1) == ((await theirs.send("Hi.", client_id="a")).was_stored, len(slow.requests))


async def test_a_title_is_no_part_of_a_stored_answer(client, one):
    """What the title of the conversation cost is not what the answer did cost."""
    one.says("Hello.").says("A greeting", usage=Usage(100, 0, 0, 50, 0))
    conversation = await client.start(provider="one")
    first = await conversation.send("Hi.", client_id="a")
    await conversation.suggest_title()

    again = await conversation.send("Hi.", client_id="a")

    assert (first.attempts, first.total_cost) == (again.attempts, again.total_cost)


@pytest.mark.parametrize("shown", [(), ("Hel",)], ids=["refused", "broken off"])
async def test_another_answer_that_failed_takes_nothing_away(client, one, shown) -> None:
    """The whole answer is found, whatever was tried beside it later, and wherever its branch has moved."""
    one.says("Hello.").fails(failing(InvalidRequestError), *shown)
    conversation = await client.start(provider="one")
    await conversation.send("Hi.", client_id="a")
    with pytest.raises(ProviderError):
        await conversation.regenerate()
    await conversation.rename_branch("main", "first")

    again = await conversation.send("Hi.", client_id="a")

    assert ("Hello.", True) == (again.text, again.was_stored)


async def test_an_answer_to_something_else_is_no_answer(client, one):
    """A message is looked for where it is, and not at its depth on other branches."""
    conversation = await client.start(provider="one")
    one.says("1").refuses(AuthenticationError, status=401).says("2").says("3")
    await conversation.send("a")
    other = await conversation.fork("other")
    await other.append(tertulia.Message.of(tertulia.Role.USER, "A note."))
    with pytest.raises(AuthenticationError):
        await other.send("Hi.", client_id="a")
    await conversation.send("b")
    await conversation.send("c")
    one.says("Hello.")

    reply = await other.send("Hi.", client_id="a")

    assert ("Hello.", False, "other") == (reply.text, reply.was_stored, other.branch)


async def test_an_answer_that_broke_off_is_no_answer(client, one):
    """Sent again, the message gets a whole one beside it, and that from then on."""
    one.fails(failing(InvalidRequestError), "Hel").says("Hello.")
    conversation = await client.start(provider="one")
    with pytest.raises(StreamInterruptedError):
        await conversation.send("Hi.", client_id="a")

    second = await conversation.send("Hi.", client_id="a")
    third = await conversation.send("Hi.", client_id="a")

    assert [("Hello.", False), ("Hello.", True)] == [(each.text, each.was_stored) for each in (second, third)]
    assert ["Hi.", "Hello."] == await texts(conversation)


async def test_tools_are_not_called_again_for_a_message_that_is_sent_again(client, one):
    """What they returned is stored, so only the answer to that is still wanted."""
    called: list[int] = []

    def double(number: int) -> int:
        """Double a number."""
        called.append(number)
        return 2 * number

    one.calls(("double", {"number": 2})).fails(failing(InvalidRequestError)).says("Four.")
    conversation = await client.start(provider="one")
    with pytest.raises(InvalidRequestError):
        await conversation.send("Twice 2?", tools=[double], client_id="a")

    second = await conversation.send("Twice 2?", tools=[double], client_id="a")
    third = await conversation.send("Twice 2?", tools=[double], client_id="a")

    assert ([2], ["Four.", "Four."]) == (called, [second.text, third.text])
    assert (True, 1) == (third.was_stored, len(third.steps))


async def test_an_edited_message_that_failed_is_asked_again_where_it_is(client, one):
    """One branch for one edit, however often it is sent."""
    one.says("Hello.").fails(failing(InvalidRequestError)).says("Good day.")
    conversation = await client.start(provider="one")
    first = (await conversation.send("Hi.")).message
    with pytest.raises(InvalidRequestError):
        await conversation.edit(first.parent_id, "Good day!", client_id="a")
    await conversation.switch_branch("main")

    second = await conversation.edit(first.parent_id, "Good day!", client_id="a")
    third = await conversation.edit(first.parent_id, "Good day!", client_id="a")

    assert ("Good day.", "Good day.", True) == (second.text, third.text, third.was_stored)
    assert (["main", "main-2"], "main-2") == (await names(conversation), conversation.branch)
    assert ["Good day!", "Good day."] == await texts(conversation)


async def test_both_apis_recover(open_client, one, two, database):
    """Blocking or not: the same events, the same branch, the same answer when it is sent again."""
    one.fails(failing(), "Hel").fails(failing(InvalidRequestError)).says("Well.")
    two.says("Hello.")
    settings = {"store": database, "providers": {}, "plugins": [one, two], "environ": {}}
    async with open_client(**settings) as client:
        conversation = await client.start(provider="one")
        stream = conversation.stream("Hi.", fallback=["two"], client_id="a", routing=RESTART)
        events = [event async for event in stream]
        again = await conversation.send("Hi.", client_id="a")
        with pytest.raises(InvalidRequestError):
            await conversation.send("How are you?")
        client.reset_health()

        assert ["TextDelta", "Restarted", "TextDelta", "Completed"] == kinds(events)
        assert ("main-2", True) == (conversation.branch, again.was_stored)
        assert "Well." == (await conversation.retry()).text
