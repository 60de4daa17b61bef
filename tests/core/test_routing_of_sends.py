"""Who is asked, in which order, when once more, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

import tertulia
from tertulia import (
    AllProvidersFailed,
    AttemptOutcome,
    AuthenticationError,
    BreakerState,
    ConfigurationError,
    ConnectionFailedError,
    ContentFilteredError,
    ContextLengthError,
    EmptyResponseError,
    ErrorKind,
    FallbackTaken,
    ModelInfo,
    ModelNotFoundError,
    Price,
    ProviderError,
    ProviderTimeoutError,
    Queued,
    QueueFullError,
    RateLimitError,
    Rates,
    Routing,
    ServerError,
    SessionReason,
    Target,
    UnknownProviderError,
)
from tertulia.domain.limits import Limits
from tertulia.testing import ScriptedProvider, StandingClock

STICKY = Routing(sticky=True)
WORDS = "some words of a long story " * 40
STORY = 10 * WORDS


class Dear(ScriptedProvider):
    """Takes ten times as much."""

    PRICES = (Price("dear/1", "scripted-1", Rates(Decimal(10), Decimal(20), Decimal(0), Decimal(0))),)


class Unpriced(ScriptedProvider):
    """Nobody knows what it takes."""

    PRICES = ()


class Small(ScriptedProvider):
    """Has room for very little."""

    MODELS = (ModelInfo("scripted", "scripted-1", context_window=5000),)


class Mute(ScriptedProvider):
    """Knows no tools."""

    OPTIONS = frozenset({"temperature", "max_output_tokens"})


class Slow(ScriptedProvider):
    """Answers when it is told to."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.was_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def send_message(self, request: tertulia.Request) -> AsyncIterator[tertulia.Delta]:
        self.was_asked.set()
        await self.may_answer.wait()
        async for delta in super().send_message(request):
            yield delta


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


@pytest.fixture
def three() -> ScriptedProvider:
    return ScriptedProvider("three")


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def opened(observer, database) -> Callable[..., tertulia.Client]:
    """Open a client of some providers."""

    def open_client(*providers: ScriptedProvider, **settings: Any) -> tertulia.Client:
        plugins = [*providers, observer]
        return tertulia.open(store=database, providers={}, plugins=plugins, environ={}, **settings)

    return open_client


@pytest.fixture
async def client(opened, one, two, three) -> AsyncIterator[tertulia.Client]:
    async with opened(one, two, three) as client:
        yield client


def failing(
    kind: type[ProviderError] = ServerError, *, retry_after: float = 0.0, **details: Any
) -> ProviderError:
    """A failure after which nobody has to be waited for."""
    return kind("it failed", retry_after=retry_after, **details)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def asked(reply: tertulia.Reply) -> list[str]:
    return [attempt.provider for attempt in reply.attempts]


# Again


async def test_a_failure_that_passes_is_not_seen(client, one, observer):
    """The same target is asked twice more, and each logical event is told once."""
    one.fails(failing()).fails(failing(ConnectionFailedError)).says("Hello.")
    conversation = await client.start(provider="one")

    stream = conversation.stream("Hi.")
    events = [type(event).__name__ async for event in stream]

    assert ["RetryScheduled", "RetryScheduled", "TextDelta", "Completed"] == events
    assert [1, 2, 3] == [attempt.number for attempt in stream.reply.attempts]
    attempt = ["AttemptStarted", "AttemptEnded"]
    assert [attempt[0], "AttemptEnded", "Retried"] * 2 + [*attempt, "Answered"] == observer.names


async def test_an_empty_answer_is_asked_for_once_more(client, one):
    """Once, whatever else failed before it."""
    empty = failing(EmptyResponseError)
    one.fails(failing()).fails(empty).says("Hello.").fails(empty).fails(failing(EmptyResponseError))
    conversation = await client.start(provider="one")

    assert 3 == len((await conversation.send("Hi.")).attempts)
    with pytest.raises(EmptyResponseError) as caught:
        await conversation.send("Hi.")
    assert 2 == len(caught.value.attempts)


async def test_what_is_too_long_is_cut_and_sent_once_more(client, one):
    """As much is left out as the provider says; a hiccup after that sends the same again."""
    conversation = await client.start(provider="one")
    for _ in range(5):
        one.says(WORDS)
        await conversation.send(WORDS)
    one.fails(failing(ContextLengthError, limit=1000, requested=2000)).fails(failing()).says("The end.")

    reply = await conversation.send("And then?")

    whole, cut, again = (len(request.messages) for request in one.requests[-3:])
    assert ("The end.", 11) == (reply.text, whole)
    assert 1 < cut == again < 8
    assert whole - cut == sum(len(each.message_ids) for each in reply.context.dropped)


async def test_a_message_that_is_too_long_by_itself_is_sent_once(client, one, two):
    """There is nothing to leave out, so nobody is asked again, nor is whoever has no larger window."""
    one.fails(failing(ContextLengthError, limit=10, requested=20))
    conversation = await client.start(provider="one")

    with pytest.raises(ContextLengthError):
        await conversation.send("This is a message that is too long.", fallback=["two"])

    assert (1, 0) == (len(one.requests), len(two.requests))


async def test_a_larger_window_takes_what_does_not_fit(opened, two):
    """What cannot be cut to the window of one is sent to another, and the first is never asked."""
    small = Small("small")
    two.says("A long story.")
    async with opened(small, two) as client:
        conversation = await client.start(provider="small")
        reply = await conversation.send(STORY, fallback=["two"])

    assert [("small", ErrorKind.CONTEXT_LENGTH), ("two", None)] == [
        (attempt.provider, attempt.error_kind) for attempt in reply.attempts
    ]
    assert [] == small.requests


async def test_six_calls_are_enough(client, one, two, three):
    """However many targets there are, a send makes no more than six calls."""
    for provider in (one, two, three):
        for _ in range(3):
            provider.fails(failing())
    conversation = await client.start(provider="one")

    with pytest.raises(AllProvidersFailed) as caught:
        await conversation.send("Hi.", fallback=["two", "three"])

    assert ["one"] * 3 + ["two"] * 3 == [attempt.provider for attempt in caught.value.attempts]
    assert [] == three.requests


@pytest.mark.parametrize(
    "error",
    [
        failing(RateLimitError, retry_after=2.0),
        RateLimitError("it failed"),
        failing(ProviderTimeoutError),
        failing(ModelNotFoundError),
    ],
    ids=["a long wait", "no hint", "a timeout", "never"],
)
async def test_where_somebody_else_is_left_nobody_waits(client, one, two, error) -> None:
    """What would take long, or is not known to pass, falls back at once."""
    one.fails(error)
    two.says("Hello.")
    conversation = await client.start(provider="one")

    assert ["one", "two"] == asked(await conversation.send("Hi.", fallback=["two"]))


async def test_who_was_failing_before_is_not_asked_twice(client, one, two):
    """A retry is for the hiccup of one send; whoever failed in the one before is left alone."""
    for _ in range(4):
        one.fails(failing())
    two.says("Hello.").says("Hello again.")
    conversation = await client.start(provider="one")

    first = await conversation.send("Hi.", fallback=["two"])
    second = await conversation.send("Hi again.", fallback=["two"])

    assert (["one", "one", "one", "two"], ["one", "two"]) == (asked(first), asked(second))


async def test_what_falls_back_on_demand_does_so(client, one, two):
    """A filter's refusal is final unless somebody says otherwise."""
    one.fails(failing(ContentFilteredError)).fails(failing(ContentFilteredError))
    two.says("Hello.")
    conversation = await client.start(provider="one")

    with pytest.raises(ContentFilteredError):
        await conversation.send("Hi.", fallback=["two"])
    reply = await conversation.send(
        "Hi.", fallback=["two"], routing=Routing(fall_back_on=("content_filter",))
    )

    assert ["one", "two"] == asked(reply)


# Which first


async def test_the_cheapest_is_asked_first(opened, two):
    """Who has no price comes last, and whose turn it was by price stands in for nobody."""
    two.says("Hello.")
    async with opened(Unpriced("one"), Dear("dear"), two) as client:
        conversation = await client.start(provider="one")
        reply = await conversation.send("Hi.", fallback=["dear", "two"], routing=Routing(strategy="cheapest"))

    assert [("two", False)] == [(attempt.provider, attempt.is_fallback) for attempt in reply.attempts]


async def test_the_fastest_is_asked_first(opened, one, two):
    """Each is asked once; from then on who was faster."""
    clock, fastest = StandingClock(), Routing(strategy="fastest")

    class Sluggish(ScriptedProvider):
        async def send_message(self, request):
            clock.advance(1)
            async for delta in super().send_message(request):
                yield delta

    sluggish = Sluggish("sluggish").says("1")
    one.says("2").says("3")
    async with opened(sluggish, one, clock=clock) as client:
        conversation = await client.start(provider="sluggish")
        replies = [await conversation.send("Hi.", fallback=["one"], routing=fastest) for _ in range(3)]

    assert [["sluggish"], ["one"], ["one"]] == list(map(asked, replies))


async def test_the_capable_is_asked_first(opened, two):
    """Where tools are called for, who knows none comes last."""
    two.says("Three.")
    async with opened(Mute("mute"), two) as client:
        conversation = await client.start(provider="mute")
        reply = await conversation.send(
            "1 + 2?", tools=[add], fallback=["two"], routing=Routing(strategy="capable")
        )

    assert ["two"] == asked(reply)


async def test_the_capable_has_room_for_the_history(opened, two):
    """Among those that can take all of it the configured order holds."""
    small, capable = Small("small").says("Hello."), Routing(strategy="capable")
    two.says("A long story.")
    async with opened(small, two) as client:
        conversation = await client.start(provider="small")
        replies = [
            await conversation.send(text, fallback=["two"], routing=capable) for text in ("Hi.", STORY)
        ]

    assert [["small"], ["two"]] == list(map(asked, replies))


async def test_who_answered_a_step_answers_the_next(client, one, two, three):
    """A strategy chooses for the message, and not again between a call and its result."""
    one.says("Hello.")
    two.calls(("add", {"a": 1, "b": 2})).says("Three.")
    conversation = await client.start(provider="one")
    await conversation.send("Hi.")

    reply = await conversation.send(
        "1 + 2?", tools=[add], fallback=["two", "three"], routing=Routing(strategy="fastest")
    )

    assert ("Three.", "two", []) == (reply.text, reply.provider, three.requests)


async def test_a_sticky_branch_stays_with_who_answered(client, one, two):
    """The own provider could be asked again, and is not until somebody resets nothing but the routing."""
    one.fails(failing(AuthenticationError)).says("I am back.")
    two.says("Hello.").says("Hello again.").says("Still here.")
    conversation = await client.start(provider="one")

    await conversation.send("Hi.", fallback=["two"], routing=STICKY)
    client.reset_health()
    replies = [await conversation.send("Hi.", fallback=["two"], routing=STICKY) for _ in range(2)]
    back = await conversation.send("Hi.", fallback=["two"])

    assert [["two"], ["two"], ["one"]] == list(map(asked, [*replies, back]))
    assert [SessionReason.INITIAL, SessionReason.FALLBACK, SessionReason.RETURN] == [
        session.reason for session in await conversation.sessions()
    ]


async def test_a_switch_is_stronger_than_what_sticks(client, one, two, three):
    """Who was chosen by hand is asked, whoever had answered before."""
    one.fails(failing(AuthenticationError))
    two.says("Hello.")
    three.says("Good day.")
    conversation = await client.start(provider="one")
    await conversation.send("Hi.", fallback=["two"], routing=STICKY)

    await conversation.switch("three")
    reply = await conversation.send("Hi.", fallback=["two"], routing=STICKY)

    assert ["three"] == asked(reply)


async def test_a_return_to_the_first_is_a_switch_too(client, one, two):
    """One, then two by hand, then one by hand: one is asked, though two answered last."""
    one.says("1").says("3")
    two.says("2")
    conversation = await client.start(provider="one")
    for provider in ("one", "two", "one"):
        await conversation.switch(provider)
        others = [name for name in ("one", "two") if name != provider]
        reply = await conversation.send("Hi.", fallback=others, routing=STICKY)

        assert [provider] == asked(reply)


# Who is passed over


async def test_who_cannot_answer_is_passed_over_and_it_is_said(client, one, two, observer):
    """After a refused key the next send goes elsewhere at once, until somebody resets that."""
    one.fails(failing(AuthenticationError)).says("I am back.")
    two.says("Hello.").says("Hello again.")
    conversation = await client.start(provider="one")

    first = await conversation.send("Hi.", fallback=["two"])
    stream = conversation.stream("Hi.", fallback=["two"])
    events = [event async for event in stream]
    (health, _) = await client.health()
    client.reset_health("one")
    third = await conversation.send("Hi.", fallback=["two"])

    assert ("one/scripted-1 was asked before and could not answer: it failed",) == first.warnings
    own, other = Target("one", "scripted-1"), Target("two", "scripted-1")
    assert (
        FallbackTaken(own, other, ErrorKind.AUTHENTICATION, events[0].message, was_asked=False) == events[0]
    )
    assert (events[0].message,) == stream.reply.warnings
    assert events[0].message.startswith("one/scripted-1 is passed over for ")
    assert [("two", True)] == [(each.provider, each.is_fallback) for each in stream.reply.attempts]
    assert BreakerState.OPEN is health.targets[0].state
    assert (["one"], 2) == (asked(third), observer.names.count("FellBack"))
    with pytest.raises(UnknownProviderError):
        client.reset_health("nobody")


async def test_a_new_process_knows_who_was_failing(opened, one, two):
    """What the ledger says of the last minutes keeps all sends of a new client from a dead provider."""
    for _ in range(5):
        one.fails(failing())
    two.says("Hello.").says("Hello again.")
    calm = Routing(max_retries=4)
    async with opened(one) as client:
        conversation = await client.start(provider="one")
        with pytest.raises(ServerError):
            await conversation.send("Hi.", routing=calm)
    async with opened(one, two) as client:
        conversations = [await client.start(provider="one") for _ in range(2)]
        replies = await asyncio.gather(*(each.send("Hi.", fallback=["two"]) for each in conversations))

    assert [["two"], ["two"]] == list(map(asked, replies))


async def test_who_is_alone_is_asked_all_the_same(client, one):
    """With nobody else to ask, a target that is passed over is better than none."""
    one.fails(failing(AuthenticationError)).says("Hello.")
    conversation = await client.start(provider="one")
    with pytest.raises(AuthenticationError):
        await conversation.send("Hi.")

    assert "Hello." == (await conversation.send("Hi.")).text


async def test_a_provider_that_is_gone_is_stood_in_for(opened, one, two):
    """The conversation opens without it and goes on with its fallback, which is told apart from a switch."""
    one.says("Hello.")
    two.says("Good day.")
    async with opened(one) as client:
        conversation = await client.start(provider="one")
        await conversation.send("Hi.")
    async with opened(two) as client:
        conversation = await client.get(conversation.id)
        with pytest.raises(ConfigurationError) as caught:
            await conversation.send("Hi.")
        reply = await conversation.send("Hi.", fallback=["two"])

        assert "or go on with another provider: switch()" in str(caught.value)
        assert ("one/scripted-1 is passed over: no provider is configured as 'one'",) == reply.warnings
        assert [("one", SessionReason.INITIAL), ("two", SessionReason.FALLBACK)] == [
            (session.provider, session.reason) for session in await conversation.sessions()
        ]


async def test_a_stand_in_is_one_in_each_step(client, one, two):
    """The answers after a call stand in for the same provider as the one that called."""
    one.fails(failing(AuthenticationError)).says("I am back.")
    two.calls(("add", {"a": 1, "b": 2})).says("Three.")
    conversation = await client.start(provider="one")

    reply = await conversation.send("1 + 2?", tools=[add], fallback=["two"])
    client.reset_health()
    await conversation.send("Thanks.", fallback=["two"])

    assert [("one", False), ("two", True), ("two", True)] == [
        (attempt.provider, attempt.is_fallback) for each in (*reply.steps, reply) for attempt in each.attempts
    ]
    assert [SessionReason.INITIAL, SessionReason.FALLBACK, SessionReason.RETURN] == [
        session.reason for session in await conversation.sessions()
    ]


# Limits


async def test_a_call_waits_for_its_place_and_says_so(opened):
    """One at a time: the second is told that it waits, for whom and behind how many."""
    slow = Slow("slow").says("1").says("2")
    slow.config = attrs.evolve(slow.config, limits=Limits(concurrent=1))
    async with opened(slow) as client:
        first, second = [await client.start(provider="slow") for _ in range(2)]
        stream = second.stream("Hi.")
        answering = asyncio.create_task(first.send("Hi."))
        await slow.was_asked.wait()
        queued = None
        async for event in stream:
            if isinstance(event, Queued):
                queued = event
                slow.may_answer.set()
        (health,) = await client.health()

        assert Queued(Target("slow", "scripted-1"), 1, None) == queued
        assert (await answering).queued_seconds == 0.0 < stream.reply.queued_seconds
        assert stream.reply.attempts[0].queued_seconds == stream.reply.queued_seconds
        assert (0, 0) == (health.in_flight, health.queued)


async def test_a_full_queue_falls_back_and_blames_nobody(opened, two):
    """Where there is no place in time another target answers; the first has not failed."""
    slow = Slow("slow").says("1")
    slow.config = attrs.evolve(slow.config, limits=Limits(concurrent=1, max_wait=0))
    two.says("Hello.")
    async with opened(slow, two) as client:
        first, second = [await client.start(provider="slow") for _ in range(2)]
        async with first.stream("Hi.") as stream:
            reading = asyncio.create_task(anext(stream))
            await slow.was_asked.wait()
            reply = await second.send("Hi.", fallback=["two"])
            with pytest.raises(QueueFullError) as caught:
                await second.send("Hi.", fallback=[])
            slow.may_answer.set()
            await reading
        (target,) = (await client.health())[0].targets

    assert [("slow", ErrorKind.RATE_LIMITED), ("two", None)] == [
        (attempt.provider, attempt.error_kind) for attempt in reply.attempts
    ]
    assert ("your message is stored", False) == (caught.value.kept, caught.value.sent)
    assert (BreakerState.CLOSED, None) == (target.state, target.last_kind)


async def test_a_call_for_a_title_is_told_like_any_other(client, one, observer):
    """Observers see each call in the ledger begin and end."""
    one.says("Hello.").says("A greeting")
    conversation = await client.start(provider="one")
    await conversation.send("Hi.")
    observer.notices.clear()

    await conversation.suggest_title()

    assert ["AttemptStarted", "AttemptEnded"] == observer.names
    assert AttemptOutcome.SUCCEEDED is observer.notices[1].attempt.outcome
    assert observer.notices[1].attempt in await conversation.attempts()


async def test_who_waited_for_a_place_goes_elsewhere_when_the_target_failed_meanwhile(simulator, database):
    """Of twenty that line up before a dead provider five are sent to it, and the rest of the queue is not."""
    simulator.fail("openai", "unavailable", times=None)
    providers = simulator.providers()
    providers["openai"]["limits"] = {"concurrent": 1}
    async with tertulia.open(
        store=database, providers=providers, environ={}, routing={"max_retries": 0}
    ) as client:
        asked = (client.ask("Hello", provider="openai", fallback=["gemini"]) for _ in range(20))
        replies = await asyncio.gather(*asked)

    assert (5, {"gemini"}) == (simulator.sent_to("openai").count, {reply.provider for reply in replies})
    turned_away = [reply.attempts[0] for reply in replies if reply.attempts[0].error_kind == "rate_limited"]
    assert [0] * 15 == [attempt.cost.money.pico for attempt in turned_away]


async def test_no_money_is_set_aside_for_a_title_that_waits_for_its_place(opened):
    """Only the call under way holds any; the title takes its share when it goes."""
    slow = Slow("slow").says("Hello.").says("1").says("A greeting")
    slow.config = attrs.evolve(slow.config, limits=Limits(concurrent=1))
    slow.may_answer.set()
    async with opened(slow, budgets=[tertulia.Budget("5")]) as client:
        named, other = [await client.start(provider="slow") for _ in range(2)]
        await named.send("Hi.")
        slow.may_answer.clear()
        slow.was_asked.clear()
        answering = asyncio.create_task(other.send("Hi."))
        await slow.was_asked.wait()
        (before,) = await client.budgets()
        title = asyncio.create_task(named.suggest_title())
        while (await client.health())[0].queued == 0:
            await client.budgets()
        (waiting,) = await client.budgets()
        slow.may_answer.set()
        await answering

        assert ("A greeting", before.reserved) == (await title, waiting.reserved)
        assert tertulia.Money(0) != before.reserved
