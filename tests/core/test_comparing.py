"""One message to several targets at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

import tertulia
from tertulia import (
    AttachmentError,
    AttemptOutcome,
    AuthenticationError,
    ConfigurationError,
    CostTotal,
    DriverNotInstalledError,
    MessageStatus,
    ModelNotFoundError,
    Money,
    ProtocolError,
    StepCompleted,
    StreamInterruptedError,
    TertuliaError,
    TextDelta,
    UnknownProviderError,
    Usage,
)
from tertulia.domain.comparing import ComparedAnswer
from tertulia.testing import ScriptedProvider

A_CALL = Money(20_000_000)  # 10 tokens in at 1 $ for a million, 5 out at 2 $


class Stalling(ScriptedProvider):
    """Says its pieces, and then nothing more until it is told to go on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.has_spoken = asyncio.Event()
        self.go_on = asyncio.Event()

    async def send_message(self, request):
        async for delta in super().send_message(request):
            if isinstance(delta, tertulia.ProviderReply):
                self.has_spoken.set()
                await self.go_on.wait()
            yield delta


@pytest.fixture
def one() -> Stalling:
    return Stalling("one")


@pytest.fixture
def two() -> Stalling:
    return Stalling("two")


@pytest.fixture
async def client(one, two, database) -> AsyncIterator[tertulia.Client]:
    one.go_on.set()
    two.go_on.set()
    async with tertulia.open(store=database, providers={}, plugins=[one, two], environ={}) as client:
        yield client


async def branches(conversation: tertulia.Conversation) -> list[tuple[str, str, str]]:
    return [(each.name, each.provider, each.model) for each in await conversation.branches()]


async def texts(conversation: tertulia.Conversation, branch: str) -> list[str]:
    store, owner = conversation._core.store, conversation._core.owner
    return [message.text for message in await store.get_messages(owner, conversation.id, branch)]


async def test_each_target_answers_on_a_branch_of_its_own(client, one, two):
    """The message is stored once, the answers are its children, and the conversation stays where it is."""
    one.says("Hello.").says("Porto.")
    two.says("Lisbon.")
    trip = await client.start(provider="one")
    await trip.send("Hi.")

    comparison = await trip.compare("Lisbon or Porto?", ["one", "two"])

    assert ("Lisbon or Porto?", MessageStatus.COMPLETE) == (
        comparison.message.text,
        comparison.message.status,
    )
    assert [("Porto.", "main"), ("Lisbon.", "compare-two")] == [
        (answer.reply.text, answer.branch) for answer in comparison.answers
    ]
    assert {comparison.message.id} == {answer.reply.message.parent_id for answer in comparison.answers}
    assert [("main", "one", "scripted-1"), ("compare-two", "two", "scripted-1")] == await branches(trip)
    assert ("main", "one") == (trip.branch, (await client.get(trip.id)).provider)
    assert ["Hi.", "Hello.", "Lisbon or Porto?", "Porto."] == await texts(trip, "main")
    assert ["Hi.", "Hello.", "Lisbon or Porto?", "Lisbon."] == await texts(trip, "compare-two")
    assert ["Hi.", "Hello.", "Lisbon or Porto?"] == one.texts == two.texts
    assert 5 == (await trip.record()).message_count


async def test_time_tokens_and_cost_of_each_target_are_told(client, one, two):
    """They are those of its own calls, and together those of the conversation."""
    one.says("Porto.")
    two.says("Lisbon.", usage=Usage(20, 0, 0, 10, 0))
    trip = await client.start(provider="one")

    comparison = await trip.compare("Lisbon or Porto?", ["one", "two"])

    first, second = comparison.answers
    assert (Usage(10, 0, 0, 5, 0), CostTotal(A_CALL)) == (first.usage, first.cost)
    assert (Usage(20, 0, 0, 10, 0), CostTotal(A_CALL + A_CALL)) == (second.usage, second.cost)
    assert comparison.cost == first.cost + second.cost == (await trip.cost()).total
    assert all(answer.seconds >= answer.reply.latency_seconds for answer in comparison.answers)


async def test_all_targets_are_asked_at_once(client, one, two):
    """Each says its first word while the others have not finished, and the events come as they happen."""
    one.go_on.clear()
    two.go_on.clear()
    one.says("Por", "to.")
    two.says("Lis", "bon.")
    trip = await client.start(provider="one")

    seen = []
    async with asyncio.timeout(10), trip.compare("Lisbon or Porto?", ["one", "two"]) as stream:
        async for each in stream:
            if isinstance(each.event, TextDelta):
                seen.append((each.index, each.target.provider, each.event.text))
            if 4 == len(seen):
                two.go_on.set()
            if each.index == 1 and isinstance(each.event, ComparedAnswer):
                seen.append((1, "two", each.event.reply.text))
                one.go_on.set()

    assert [(0, "one", "Por"), (0, "one", "to.")] == [each for each in seen if each[0] == 0]
    assert [(1, "two", "Lis"), (1, "two", "bon."), (1, "two", "Lisbon.")] == [
        each for each in seen if each[0] == 1
    ]
    assert ["Porto.", "Lisbon."] == [answer.reply.text for answer in stream.comparison.answers]
    async with asyncio.timeout(10):
        assert [] == [each async for each in stream]


@pytest.mark.parametrize("failing", [0, 1])
async def test_one_failure_harms_no_other(client, one, two, failing):
    """Whoever fails, the other answer is whole, and the message has been answered."""
    providers = [one, two]
    providers[failing].refuses(ModelNotFoundError, status=404)
    providers[1 - failing].says("Lisbon.")
    trip = await client.start(provider="one")

    comparison = await trip.compare("Lisbon or Porto?", ["one", "two"])

    failed, answered = comparison.answers[failing], comparison.answers[1 - failing]
    assert (None, ModelNotFoundError) == (failed.reply, type(failed.error))
    assert [AttemptOutcome.FAILED] == [attempt.outcome for attempt in failed.attempts]
    assert ("Lisbon.", None) == (answered.reply.text, answered.error)
    assert [AttemptOutcome.SUCCEEDED] == [attempt.outcome for attempt in answered.attempts]
    assert MessageStatus.COMPLETE is comparison.message.status
    assert MessageStatus.COMPLETE is (await trip.history())[0].status
    names = [each.name for each in await trip.branches()]
    assert (["main"] if failing else ["main", "compare-two"]) == names
    assert (None if failing else "main") == failed.branch


async def test_where_all_fail_the_message_stays_and_waits(client, one, two):
    """The comparison has every reason, the message is marked as failed, and can be asked again."""
    one.refuses(ModelNotFoundError, status=404).says("Porto.")
    two.refuses(ModelNotFoundError, status=404)
    trip = await client.start(provider="one")

    comparison = await trip.compare("Lisbon or Porto?", ["one", "two"])

    assert [ModelNotFoundError] * 2 == [type(answer.error) for answer in comparison.answers]
    assert MessageStatus.FAILED is comparison.message.status
    assert [("Lisbon or Porto?", MessageStatus.FAILED)] == [
        (message.text, message.status) for message in await trip.history()
    ]
    assert ["main"] == [each.name for each in await trip.branches()]
    assert "Porto." == (await trip.resume()).text


async def test_a_provider_is_compared_with_itself(client, one):
    """With another model, or the same one again; names that are taken are numbered."""
    one.says("1").says("2").says("3").says("4")
    trip = await client.start(provider="one")
    await trip.fork("compare-one-2")

    comparison = await trip.compare("?", ["one", "one/other-1", "one/other-1", "one/other-1"])

    assert {"1", "2", "3", "4"} == {answer.reply.text for answer in comparison.answers}
    assert ["scripted-1", "other-1", "other-1", "other-1"] == [a.reply.model for a in comparison.answers]
    assert {"compare-one", "compare-one-3", "compare-one-4"} == {a.branch for a in comparison.answers[1:]}
    assert {"other-1"} == {model for name, _, model in await branches(trip) if name != "main"} - {
        "scripted-1"
    }


async def test_who_is_compared_was_chosen(client, one, two):
    """No session of a comparison is a fallback, although one message was asked more than once."""
    one.refuses(ModelNotFoundError, status=404).says("Porto.")
    two.says("Lisbon.")
    trip = await client.start(provider="one")
    comparison = await trip.compare("Lisbon or Porto?", ["one", "two"])
    await trip.delete_branch(comparison.answers[1].branch)
    await trip.compare("?", ["one/other-1"])

    assert [("one", "initial", 1), ("two", "manual", 1), ("one", "manual", 2)] == [
        (session.provider, session.reason, session.message_count) for session in await trip.sessions()
    ]


async def test_answers_whose_branches_are_gone_are_no_fallbacks(client, one, two):
    """Nobody can tell any more on which branches they were; that they were answered is known."""
    one.says("Porto.").says("Faro.")
    two.says("Lisbon.")
    trip = await client.start(provider="one")
    comparison = await trip.compare("Where?", ["one", "two", "one/other-1"])
    for answer in comparison.answers[1:]:
        await trip.delete_branch(answer.branch)

    assert {"initial", "manual"} == {session.reason for session in await trip.sessions()}


async def test_the_conversation_goes_on_from_any_answer(client, one, two):
    """A branch of a comparison goes on with the one who answered there, and its history."""
    one.says("Porto.")
    two.says("Lisbon.").says("Because.")
    trip = await client.start(provider="one")
    comparison = await trip.compare("Lisbon or Porto?", ["one", "two"])

    await trip.switch_branch(comparison.answers[1].branch)
    reply = await trip.send("Why?")

    assert ("two", "Because.") == (reply.provider, reply.text)
    assert ["Lisbon or Porto?", "Lisbon.", "Why?"] == two.texts


@pytest.mark.parametrize(
    ("targets", "error"),
    [
        (["one", "three"], UnknownProviderError),
        (["one", "three/model"], UnknownProviderError),
        (["one", "/model"], UnknownProviderError),
        (["one", "far"], DriverNotInstalledError),
        (["one", "far/model"], DriverNotInstalledError),
        (5, ConfigurationError),
        ({"one": 1}, ConfigurationError),
        ([], ConfigurationError),
        (["one", None], ConfigurationError),
    ],
)
async def test_who_cannot_be_asked_is_refused_before_anything_is_stored(one, database, targets, error):
    """An unknown name, a driver that is not installed, nobody at all, and what is no name."""
    far = {"far": {"driver": "nowhere"}}
    async with tertulia.open(store=database, providers=far, plugins=[one], environ={}) as client:
        trip = await client.start(provider="one")
        with pytest.raises(error):
            trip.compare("Lisbon or Porto?", targets)

        assert ([], []) == (await trip.history(), one.requests)


async def test_nothing_is_sent_where_the_message_cannot_be(client, one, two):
    """An empty message is refused at once, and one whose attachment is not there when it is read."""
    trip = await client.start(provider="one")
    with pytest.raises(ConfigurationError):
        trip.compare(" ", ["one", "two"])
    with pytest.raises(AttachmentError):
        await trip.compare("Look.", ["one", "two"], attach="/no/such/picture.png")

    assert ([], [], []) == (await trip.history(), one.requests, two.requests)


async def test_one_name_may_be_given_alone(client, one):
    """A text is one target, and not one for each of its letters."""
    one.says("Porto.")
    trip = await client.start(provider="one")

    comparison = await trip.compare("Lisbon or Porto?", "one")

    assert ["Porto."] == [answer.reply.text for answer in comparison.answers]


async def test_an_answer_that_breaks_off_keeps_what_was_shown(client, one, two):
    """It is on the branch of its target, as an interrupted message, and the other one is whole."""
    one.says("Porto.")
    two.fails(ProtocolError("cut"), "Lis")
    trip = await client.start(provider="one")

    comparison = await trip.compare("Lisbon or Porto?", ["one", "two"])

    whole, broken = comparison.answers
    assert "Porto." == whole.reply.text
    assert (StreamInterruptedError, "Lis") == (type(broken.error), broken.error.partial.text)
    assert ["Lisbon or Porto?", "Lis"] == await texts(trip, broken.branch)


async def test_who_leaves_keeps_what_came_of_each_answer(client, one, two):
    """Every call ends at once, as cancelled; reading on is refused and says what was kept."""
    one.go_on.clear()
    two.go_on.clear()
    one.says("Por", "to.")
    two.says("Lis", "bon.")
    trip = await client.start(provider="one")
    async with trip.compare("Lisbon or Porto?", ["one", "two"]) as stream:
        await anext(stream)
        await one.has_spoken.wait()
        await two.has_spoken.wait()
    await stream.aclose()

    assert ["Lisbon or Porto?", "Porto."] == await texts(trip, "main")
    assert ["Lisbon or Porto?", "Lisbon."] == await texts(trip, "compare-two")
    assert [AttemptOutcome.CANCELLED] * 2 == [attempt.outcome for attempt in await trip.attempts()]
    with pytest.raises(StreamInterruptedError) as caught:
        await stream
    assert "your message is stored, and so is what came of each answer" == caught.value.kept
    with pytest.raises(TertuliaError, match="the comparison is not complete"):
        _ = stream.comparison


async def test_a_reader_who_is_cancelled_leaves_nothing_open(client, one, two):
    """The cancellation passes through once everything that came is stored."""
    one.go_on.clear()
    two.go_on.clear()
    one.says("Porto.")
    two.says("Lisbon.")
    trip = await client.start(provider="one")
    stream = trip.compare("Lisbon or Porto?", ["one", "two"])

    async def read() -> None:
        async for _ in stream:
            pass

    reading = asyncio.create_task(read())
    await one.has_spoken.wait()
    await two.has_spoken.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert [AttemptOutcome.CANCELLED] * 2 == [attempt.outcome for attempt in await trip.attempts()]
    assert ["Lisbon or Porto?", "Lisbon."] == await texts(trip, "compare-two")


async def test_a_stream_that_is_dropped_closes_itself(client, one, two):
    """After a break nobody holds it any more: what came is kept, and nothing goes on."""
    one.go_on.clear()
    two.go_on.clear()
    one.says("Porto.")
    two.says("Lisbon.")
    trip = await client.start(provider="one")
    stream = trip.compare("Lisbon or Porto?", ["one", "two"])
    await anext(stream)
    await two.has_spoken.wait()
    await one.has_spoken.wait()
    del stream
    gc.collect()
    while client._core.tasks:
        await asyncio.gather(*client._core.tasks, return_exceptions=True)

    assert [AttemptOutcome.CANCELLED] * 2 == [attempt.outcome for attempt in await trip.attempts()]


async def test_a_stream_that_is_never_read_asks_nobody(client, one):
    """Nothing is stored and nothing is sent; closed, it says so."""
    trip = await client.start(provider="one")
    stream = trip.compare("Lisbon or Porto?", ["one"])
    await stream.aclose()

    with pytest.raises(StreamInterruptedError) as caught:
        await anext(stream)
    assert "nothing was stored, and nothing was sent" == caught.value.kept
    assert ([], []) == (await trip.history(), one.requests)


async def test_another_task_closes_it_and_its_reader_is_told(client, one, two):
    """Whoever waits for the next event learns that somebody closed the stream."""
    one.go_on.clear()
    two.go_on.clear()
    one.says("Porto.")
    two.says("Lisbon.")
    trip = await client.start(provider="one")
    stream = trip.compare("Lisbon or Porto?", ["one", "two"])
    reading = asyncio.create_task(stream.read())
    await one.has_spoken.wait()
    await two.has_spoken.wait()
    await stream.aclose()

    with pytest.raises(StreamInterruptedError, match="was not read to its end"):
        await reading


async def test_closing_the_client_closes_its_comparisons(one, two, database):
    """What came is stored before the database is closed."""
    one.says("Porto.")
    two.says("Lisbon.")
    async with tertulia.open(store=database, providers={}, plugins=[one, two], environ={}) as client:
        trip = await client.start(provider="one")
        stream = trip.compare("Lisbon or Porto?", ["one", "two"])
        await anext(stream)
        await one.has_spoken.wait()
        await two.has_spoken.wait()

    async with tertulia.open(store=database, providers={}, plugins=[one, two], environ={}) as client:
        again = await client.get(trip.id)
        assert [AttemptOutcome.CANCELLED] * 2 == [attempt.outcome for attempt in await again.attempts()]
        assert ["Lisbon or Porto?", "Porto."] == await texts(again, "main")


async def test_what_is_no_error_of_ours_ends_the_comparison(client, one, two, monkeypatch):
    """A broken store is nobody's answer: it is raised, and whoever is still asked is left."""
    two.go_on.clear()
    one.says("Porto.")
    two.says("Lisbon.")
    trip = await client.start(provider="one")
    settle = client._core.store.settle

    async def settle_or_break(owner, conversation_id, branch, settlement):
        if branch == "main":
            await two.has_spoken.wait()
            raise RuntimeError("broken")
        return await settle(owner, conversation_id, branch, settlement)

    monkeypatch.setattr(client._core.store, "settle", settle_or_break)
    with pytest.raises(RuntimeError, match="broken"):
        await trip.compare("Lisbon or Porto?", ["one", "two"])

    assert [AttemptOutcome.PENDING, AttemptOutcome.CANCELLED] == [
        attempt.outcome for attempt in await trip.attempts()
    ]


async def test_each_target_calls_tools_on_its_own_branch(client, one, two):
    """The steps of one answer are none of another's, and all of its calls are in its cost."""

    def look(place: str) -> str:
        """Look at a place."""
        return f"I saw {place}."

    one.calls(("look", {"place": "Porto"})).says("Porto.")
    two.says("Lisbon.")
    trip = await client.start(provider="one")
    async with trip.compare("Lisbon or Porto?", ["one", "two"], tools=[look]) as stream:
        steps = [each.index async for each in stream if isinstance(each.event, StepCompleted)]

    first, second = stream.comparison.answers
    assert ([0], "Porto.", "Lisbon.") == (steps, first.reply.text, second.reply.text)
    assert (CostTotal(A_CALL + A_CALL), CostTotal(A_CALL)) == (first.cost, second.cost)
    assert ["Lisbon or Porto?", "", "", "Porto."] == await texts(trip, "main")
    assert ["Lisbon or Porto?", "Lisbon."] == await texts(trip, "compare-two")


async def test_three_services_are_compared(open_client, simulator, database):
    """Through the drivers: each service is asked once, behind the same history."""
    async with open_client(store=database, providers=simulator.providers(), environ={}) as client:
        trip = await client.start(provider="openai")
        await trip.send("My name is John.")
        comparison = await trip.compare("What is my name?", ["openai", "gemini", "xai"])

    assert ["Your name is John."] * 3 == [answer.reply.text for answer in comparison.answers]
    assert ["main", "compare-gemini", "compare-xai"] == [answer.branch for answer in comparison.answers]
    for name in ("gemini", "xai"):
        assert ["My name is John.", "Hello John.", "What is my name?"] == simulator.sent_to(name).texts


async def test_a_service_that_refuses_harms_no_other(open_client, simulator, database):
    """Its failure is its own answer, and what the others said is stored."""
    simulator.fail("gemini", "auth")
    async with open_client(store=database, providers=simulator.providers(), environ={}) as client:
        trip = await client.start(provider="openai")
        comparison = await trip.compare("My name is John.", ["openai", "gemini", "xai"])

    first, failed, last = comparison.answers
    assert (None, None, AuthenticationError) == (failed.reply, failed.branch, type(failed.error))
    assert ["Hello John."] * 2 == [first.reply.text, last.reply.text]


async def test_services_are_shown_side_by_side(open_client, simulator, database):
    """Each piece says whose it is, and the last event of each target is its answer."""
    async with open_client(store=database, providers=simulator.providers(), environ={}) as client:
        trip = await client.start(provider="openai")
        shown, last = ["", ""], [None, None]
        async with trip.compare("My name is John.", ["gemini", "xai/grok-4.3"]) as stream:
            async for each in stream:
                last[each.index] = each.event
                if isinstance(each.event, TextDelta):
                    shown[each.index] += each.event.text
        assert tuple(last) == stream.comparison.answers

    assert ["Hello John."] * 2 == shown
    assert ["gemini", "xai"] == [answer.target.provider for answer in last]


async def test_the_branch_of_a_refused_answer_can_be_had_again(open_client, simulator, database):
    """The name of a branch that was taken away is free for the next comparison."""
    simulator.fail("gemini", "auth")
    async with open_client(store=database, providers=simulator.providers(), environ={}) as client:
        trip = await client.start(provider="openai")
        refused = await trip.compare("My name is John.", ["openai", "gemini"])
        again = await trip.compare("What is my name?", ["openai", "gemini", "gemini"])

    assert [None, "compare-gemini", "compare-gemini-2"] == [
        refused.answers[1].branch,
        *sorted(answer.branch for answer in again.answers[1:]),
    ]
