"""The life of a message: what is stored, shown and raised, however a send ends."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from histories import statuses

import tertulia
from tertulia import (
    AllProvidersFailed,
    AttemptOutcome,
    AuthenticationError,
    Completed,
    ContentFilteredError,
    ContextOverflowError,
    Cost,
    EmptyResponseError,
    ErrorKind,
    FallbackTaken,
    FinishReason,
    InvalidRequestError,
    MessageStatus,
    Money,
    Options,
    OverloadedError,
    PluginError,
    ProtocolError,
    ProviderError,
    ProviderReply,
    RateLimitError,
    Reasoning,
    SafetyOutcome,
    ServerError,
    StreamInterruptedError,
    Text,
    TextDelta,
    TooLargeError,
    UnsupportedParameterError,
    Usage,
)
from tertulia.services import keeping
from tertulia.testing import ScriptedProvider


@pytest.fixture
async def client(one, two, database) -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(
        store=database, providers={}, plugins=[one, two], environ={}, routing={"max_retries": 0}
    ) as client:
        yield client


async def test_a_stream_hands_out_the_words_and_then_the_reply(client, one):
    """A stream is its deltas in order, and last the whole answer."""
    one.says("Hello", " John", ".")
    conversation = await client.start(provider="one")

    async with conversation.stream("My name is John.") as stream:
        events = [event async for event in stream]

    assert [TextDelta("Hello"), TextDelta(" John"), TextDelta(".")] == events[:-1]
    assert [Completed(stream.reply)] == events[-1:]
    assert ("Hello John.", Cost(Money(20_000_000), price_row="scripted/1")) == (
        stream.reply.text,
        stream.reply.cost,
    )


async def test_the_message_is_stored_before_anyone_is_asked(client, one, database):
    """A second process sees the user message, pending, while the provider is still being asked."""
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedProvider):
        async def send_message(self, request):
            asked.set()
            await answer.wait()
            async for delta in super().send_message(request):
                yield delta

    client.register(Slow("slow").says("Hi."))
    conversation = await client.start(provider="slow")
    sending = asyncio.create_task(conversation.send("Hello"))
    await asyncio.wait_for(asked.wait(), 5)

    elsewhere = ScriptedProvider("slow")
    async with tertulia.open(store=database, providers={}, plugins=[elsewhere], environ={}) as other:
        seen = await other.get(conversation.id)
        assert [("Hello", MessageStatus.PENDING)] == await statuses(seen)
        with pytest.raises(tertulia.ConversationBusyError):
            await seen.send("Anyone?")

    answer.set()
    assert "Hi." == (await sending).text


async def test_a_failed_message_is_kept_and_not_sent_again(client, one):
    """What nobody answered stays in the history, marked, and is not part of what a model sees."""
    one.refuses(OverloadedError, status=503).says("Hi.")
    conversation = await client.start(provider="one")

    with pytest.raises(OverloadedError) as caught:
        await conversation.send("first")
    await conversation.send("second")

    assert "your message is stored" == caught.value.kept
    assert ["second"] == one.texts
    assert [
        ("first", MessageStatus.FAILED),
        ("second", MessageStatus.COMPLETE),
        ("Hi.", MessageStatus.COMPLETE),
    ] == await statuses(conversation)


@pytest.mark.parametrize(
    ("error", "falls_back"),
    [
        (OverloadedError("busy", status=503), True),
        (RateLimitError("slow down", status=429, retry_after=20), True),
        (AuthenticationError("no", status=401), True),
        (ProtocolError("garbage"), True),
        (tertulia.ConnectionFailedError("no line"), True),
        (tertulia.ProviderTimeoutError("too slow"), True),
        (ServerError("broken", status=500), True),
        (tertulia.QuotaExhaustedError("no money", status=429), True),
        (tertulia.PermissionDeniedError("not here", status=403), True),
        (tertulia.ModelNotFoundError("no such model", status=404), True),
        (EmptyResponseError("nothing"), True),
        (tertulia.ContextLengthError("too long", status=400), False),  # the other window is no larger
        (TooLargeError("huge answer", side="response"), True),
        (TooLargeError("huge request", side="request"), False),
        (InvalidRequestError("wrong", status=400), False),
        (ContentFilteredError("no"), False),
        (UnsupportedParameterError("no", status=400), True),
    ],
    ids=lambda value: getattr(value, "message", value),
)
async def test_the_kind_decides_whether_another_is_asked(client, one, two, error, falls_back):
    """Before any content, the table of kinds says who is asked next, and nobody else is."""
    one.fails(error)
    two.says("Hi.")
    conversation = await client.start(provider="one")

    if falls_back:
        async with conversation.stream("Hello", fallback=["two"]) as stream:
            events = [event async for event in stream]
        assert [FallbackTaken, TextDelta, Completed] == [type(event) for event in events]
        assert ("one", "two", error.kind) == (
            events[0].failed.provider,
            events[0].next.provider,
            events[0].kind,
        )
        assert "two" == stream.reply.provider
    else:
        with pytest.raises(type(error)):
            await conversation.send("Hello", fallback=["two"])
        assert [] == two.requests


async def test_a_prompt_that_is_too_long_goes_to_a_larger_window(client, one, two):
    """After a context_length error only a target with a larger known window is asked."""

    class Roomy(ScriptedProvider):
        MODELS = (tertulia.ModelInfo("scripted", "scripted-1", context_window=200_000),)

    roomy = Roomy("roomy").says("Hi.")
    client.register(roomy)
    one.fails(tertulia.ContextLengthError("too long", status=400))
    conversation = await client.start(provider="one")

    reply = await conversation.send("Hello", fallback=["two", "roomy"])

    assert (["one", "roomy"], []) == ([attempt.provider for attempt in reply.attempts], two.requests)


async def test_when_all_fail_the_error_tells_of_each(client, one, two):
    """The error carries every attempt with its own failure, and the message is kept."""
    one.refuses(OverloadedError, status=503)
    two.refuses(AuthenticationError, status=401)
    conversation = await client.start(provider="one")

    with pytest.raises(AllProvidersFailed) as caught:
        await conversation.send("Hello", fallback=["two"])

    error = caught.value
    assert [OverloadedError, AuthenticationError] == [type(each) for each in error.errors]
    assert [("one", ErrorKind.OVERLOADED), ("two", ErrorKind.AUTHENTICATION)] == [
        (attempt.provider, attempt.error_kind) for attempt in error.attempts
    ]
    assert list(error.attempts) == await conversation.attempts()
    assert "every target failed: one (overloaded), two (authentication)" == error.message
    assert [("Hello", MessageStatus.FAILED)] == await statuses(conversation)


async def test_a_target_is_asked_once(client, one):
    """The same provider and model twice in a chain is one target."""
    one.refuses(OverloadedError, status=503)
    conversation = await client.start(provider="one")

    with pytest.raises(OverloadedError):
        await conversation.send("Hello", fallback=["one", "one/scripted-1"])

    assert 1 == len(one.requests)


async def test_two_answers_are_never_spliced(client, one, two):
    """After content was shown a failure is an interruption: the part is kept, and nobody else is asked."""
    one.fails(OverloadedError("gone"), "Lisbon is", " a city")
    conversation = await client.start(provider="one")

    stream = conversation.stream("Tell me of Lisbon.", fallback=["two"])
    shown = [await anext(stream), await anext(stream)]
    with pytest.raises(StreamInterruptedError) as caught:
        await anext(stream)

    error = caught.value
    assert [TextDelta("Lisbon is"), TextDelta(" a city")] == shown
    assert [] == two.requests
    assert (ErrorKind.OVERLOADED, "one", "Lisbon is a city") == (
        error.kind,
        error.provider,
        error.partial.text,
    )
    assert [
        ("Tell me of Lisbon.", MessageStatus.COMPLETE),
        ("Lisbon is a city", MessageStatus.INTERRUPTED),
    ] == await statuses(conversation)
    assert [AttemptOutcome.INTERRUPTED] == [attempt.outcome for attempt in await conversation.attempts()]
    assert not (await conversation.cost()).total.exact


async def test_an_interruption_says_what_was_charged(client, one):
    """The tokens that the provider reported before it failed are in the error, as they are in the attempt."""
    one.fails(ServerError("gone", usage=Usage(7, 0, 0, 2, 0)), "Lisbon is")
    conversation = await client.start(provider="one")

    with pytest.raises(StreamInterruptedError) as caught:
        await conversation.send("Tell me of Lisbon.")

    assert [Usage(7, 0, 0, 2, 0)] * 2 == [caught.value.usage, caught.value.attempts[0].usage]


@pytest.mark.parametrize(
    ("kind", "error", "asks_another"),
    [
        (None, ErrorKind.SERVER, True),
        (ErrorKind.SERVER, ErrorKind.SERVER, True),
        (ErrorKind.PROTOCOL, ErrorKind.PROTOCOL, True),
        (ErrorKind.PERMISSION, ErrorKind.PERMISSION, True),
        (ErrorKind.EMPTY_RESPONSE, ErrorKind.EMPTY_RESPONSE, True),
        (ErrorKind.INVALID_REQUEST, ErrorKind.INVALID_REQUEST, False),
    ],
)
async def test_a_failed_answer_is_of_a_kind(client, one, two, kind, error, asks_another):
    """Whether somebody else is asked depends on what failed, and not on how the failure came."""
    one.replies(ProviderReply((), FinishReason.ERROR, "BAD", Usage(7, 0, 0, 2, 0), error_kind=kind))
    two.says("Hello.")
    conversation = await client.start(provider="one")

    try:
        attempts = (await conversation.send("Hello", fallback=["two"])).attempts
    except ProviderError as failure:
        attempts = failure.attempts

    assert (error, Usage(7, 0, 0, 2, 0)) == (attempts[0].error_kind, attempts[0].usage)
    assert asks_another is bool(two.requests)


async def test_an_interrupted_answer_is_part_of_the_conversation(client, one):
    """What was shown of an answer is what the model sees of it later."""
    one.fails(ServerError("gone"), "Lisbon is").says("a city.")
    conversation = await client.start(provider="one")
    with pytest.raises(StreamInterruptedError):
        await conversation.send("Tell me of Lisbon.")

    await conversation.send("Go on.")

    assert ["Tell me of Lisbon.", "Lisbon is", "Go on."] == one.texts


async def test_leaving_a_stream_keeps_what_was_shown(client, one):
    """At the end of `async with` the attempt is settled as cancelled, with the part that was shown."""
    one.says("one", " two", " three")
    conversation = await client.start(provider="one")

    async with conversation.stream("Count.") as stream:
        async for event in stream:
            if event == TextDelta(" two"):
                break

    assert [("Count.", MessageStatus.COMPLETE), ("one two", MessageStatus.INTERRUPTED)] == await statuses(
        conversation
    )
    (attempt,) = await conversation.attempts()
    assert (AttemptOutcome.CANCELLED, ErrorKind.CANCELLED, None) == (
        attempt.outcome,
        attempt.error_kind,
        attempt.cost,
    )
    with pytest.raises(tertulia.TertuliaError, match="the answer is not complete"):
        _ = stream.reply


async def test_a_break_is_settled_before_the_next_send(client, one):
    """A stream left with a bare `break` is closed, and the next message finds the branch free."""
    one.says("one", " two", " three").says("Hi.")
    conversation = await client.start(provider="one")

    async for _ in conversation.stream("Count."):
        break
    gc.collect()
    await conversation.send("Hello")

    assert ["Count.", "one", "Hello"] == one.texts


async def test_a_stream_may_be_dropped_in_another_thread(database):
    """Wherever the collector finds a stream, it is closed on its own loop."""
    streams, begun, dropped = [], threading.Event(), threading.Event()

    async def converse() -> list[tuple[str, MessageStatus]]:
        one = ScriptedProvider("one").says("one", " two").says("Hi.")
        async with tertulia.open(store=database, providers={}, plugins=[one], environ={}) as client:
            conversation = await client.start(provider="one")
            streams.append(conversation.stream("Count."))
            await anext(streams[0])
            begun.set()
            await asyncio.to_thread(dropped.wait, 5)
            await asyncio.wait_for(conversation.send("Hello"), 5)
            return await statuses(conversation)

    elsewhere = asyncio.create_task(asyncio.to_thread(asyncio.run, converse(), debug=True))
    await asyncio.to_thread(begun.wait, 5)
    streams.clear()
    gc.collect()
    dropped.set()

    assert ("one", MessageStatus.INTERRUPTED) == (await elsewhere)[1]


async def test_an_open_stream_does_not_lock_out_its_own_task(client, one):
    """A task that left a stream open and sends again does not wait for itself."""
    one.says("one", " two").says("Hi.")
    conversation = await client.start(provider="one")
    stream = conversation.stream("Count.")
    assert TextDelta("one") == await anext(stream)

    reply = await conversation.send("Hello")

    assert "Hi." == reply.text
    with pytest.raises(StreamInterruptedError, match="another message was sent meanwhile"):
        await anext(stream)


async def test_closing_the_client_settles_open_streams(client, one, database):
    """Nothing is pending after a client was closed over an open stream."""
    one.says("one", " two")
    conversation = await client.start(provider="one")
    stream = conversation.stream("Count.")
    await anext(stream)
    await client.aclose()

    async with tertulia.open(
        store=database, providers={}, plugins=[ScriptedProvider("one")], environ={}
    ) as again:
        seen = await again.get(conversation.id)
        assert [("Count.", MessageStatus.COMPLETE), ("one", MessageStatus.INTERRUPTED)] == await statuses(
            seen
        )


@pytest.mark.parametrize("pieces", [(), ("Hello",)], ids=["before content", "after content"])
async def test_a_cancelled_send_is_settled(client, one, pieces):
    """Cancelling the task keeps the message, keeps what was shown, and passes the cancellation on."""
    reached = asyncio.Event()

    class Stuck(ScriptedProvider):
        async def send_message(self, request):
            for piece in pieces:
                yield TextDelta(piece)
            reached.set()
            await asyncio.Event().wait()

    client.register(Stuck("stuck"))
    conversation = await client.start(provider="stuck")
    task = asyncio.create_task(conversation.send("Hi"))
    await asyncio.wait_for(reached.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    kept = [("Hi", MessageStatus.COMPLETE), ("Hello", MessageStatus.INTERRUPTED)]
    assert (kept if pieces else [("Hi", MessageStatus.FAILED)]) == await statuses(conversation)
    assert [AttemptOutcome.CANCELLED] == [attempt.outcome for attempt in await conversation.attempts()]


class Stuck(ScriptedProvider):
    """Says one word and then nothing more, until it is closed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.closed = False

    async def send_message(self, request):
        try:
            yield TextDelta("one")
            await asyncio.Event().wait()
        finally:
            self.closed = True


async def waiting(client) -> tuple[Stuck, tertulia.Conversation, tertulia.ReplyStream, asyncio.Task]:
    """A stream whose second event is being waited for by a task of its own."""
    provider = Stuck("stuck")
    client.register(provider)
    conversation = await client.start(provider="stuck")
    stream = conversation.stream("Count.")
    await anext(stream)
    task = asyncio.create_task(stream.__anext__())
    await asyncio.sleep(0)
    return provider, conversation, stream, task


async def test_another_task_can_stop_a_stream(client):
    """A stop button: the reader is told, what was shown is kept, and the provider is closed at once."""
    provider, conversation, stream, task = await waiting(client)

    await stream.aclose()

    assert provider.closed
    with pytest.raises(StreamInterruptedError, match="the stream was closed") as caught:
        await task
    assert ErrorKind.CANCELLED is caught.value.kind
    assert [("Count.", MessageStatus.COMPLETE), ("one", MessageStatus.INTERRUPTED)] == await statuses(
        conversation
    )


async def test_a_stream_can_be_closed_by_two_at_once(client):
    """Both wait for the same end, and the reader is left as it was."""
    _, _, stream, task = await waiting(client)

    await asyncio.wait_for(asyncio.gather(stream.aclose(), stream.aclose()), 5)

    with pytest.raises(StreamInterruptedError):
        await task
    assert 0 == task.cancelling()


async def test_a_reader_that_is_busy_learns_that_it_was_stopped(client, one):
    """A half answer does not pass for whole because its reader was looking elsewhere."""
    one.says("half ", "whole")
    conversation = await client.start(provider="one")
    stream = conversation.stream("Hello")
    await anext(stream)

    await asyncio.create_task(stream.aclose())

    with pytest.raises(StreamInterruptedError, match="the stream was closed"):
        await anext(stream)


async def test_a_cancellation_is_not_taken_for_a_stop(client):
    """A reader that is cancelled while its stream is stopped is cancelled all the same."""
    _, _, stream, task = await waiting(client)

    task.cancel()
    await stream.aclose()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stream_stopped_at_the_gate_says_that_nothing_was_stored(client):
    """What is said to be kept is what is kept."""
    _, conversation, first, task = await waiting(client)
    second = conversation.stream("Hello")
    waiter = asyncio.create_task(anext(second))
    await asyncio.sleep(0)

    await second.aclose()

    with pytest.raises(StreamInterruptedError) as caught:
        await waiter
    assert "nothing was stored, and nothing was sent" == caught.value.kept
    assert ["Count."] == [message.text for message in await conversation.history()]
    await first.aclose()
    with pytest.raises(StreamInterruptedError):
        await task


async def test_a_whole_answer_frees_the_branch_at_once(client, one):
    """Whoever has seen Completed can send again, also from inside the loop."""
    one.says("a").says("b")
    conversation = await client.start(provider="one")
    stream = conversation.stream("1")

    async for event in stream:
        if isinstance(event, Completed):
            assert "b" == (await conversation.send("2")).text

    assert "a" == stream.reply.text


async def test_a_cancelled_write_ahead_forgets_nothing(client, one, database):
    """After a send was cancelled while it was being stored, the next one has the whole history."""
    one.says("one").says("42")
    conversation = await client.start(provider="one", system="Be brief.")
    await conversation.send("Remember 42.")
    settings = {"store": database, "providers": {}, "environ": {}}
    again = ScriptedProvider("one").says("42")
    async with tertulia.open(**settings, plugins=[again]) as later:
        reopened = await later.get(conversation.id)
        cancelled = asyncio.create_task(reopened.send("Never mind."))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

        await reopened.send("What was it?")

    assert ["Be brief.", "Remember 42.", "one", "What was it?"] == again.texts


async def test_an_answer_that_is_being_stored_is_not_cancelled(client, one, monkeypatch):
    """A cancellation in the last moment is passed on, and the answer and its notices are whole."""
    storing, notices = asyncio.Event(), []

    class Log:
        @tertulia.hookimpl
        def observe(self, notice):
            notices.append(type(notice).__name__)

    client.register(Log())
    one.says("Hi.")
    conversation = await client.start(provider="one")
    store = client._core.store
    settle = store.settle

    async def slow(*arguments):
        storing.set()
        return await settle(*arguments)

    monkeypatch.setattr(store, "settle", slow)
    task = asyncio.create_task(conversation.send("Hello"))
    await asyncio.wait_for(storing.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ["AttemptStarted", "AttemptEnded", "Answered"] == notices
    assert [("Hello", MessageStatus.COMPLETE), ("Hi.", MessageStatus.COMPLETE)] == await statuses(
        conversation
    )


@pytest.fixture
async def failing(client, one, monkeypatch):
    """A task that reads a stream whose provider has failed, and an event to let that be stored."""
    storing, go_on = asyncio.Event(), asyncio.Event()
    store = client._core.store
    settle = store.settle

    async def slow(*arguments):
        storing.set()
        await go_on.wait()
        return await settle(*arguments)

    monkeypatch.setattr(store, "settle", slow)
    one.refuses(OverloadedError, status=503)
    stream = (await client.start(provider="one")).stream("Hello")
    task = asyncio.create_task(stream.read())
    await asyncio.wait_for(storing.wait(), 5)
    return task, stream, go_on


async def test_a_cancellation_while_a_failure_is_stored_is_passed_on(failing):
    """The failure is stored first, and does not stand in for the cancellation, but is its cause."""
    task, _, go_on = failing

    task.cancel()
    await asyncio.sleep(0)
    go_on.set()

    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert isinstance(caught.value.__cause__, OverloadedError)


async def test_a_stop_while_a_failure_is_stored_leaves_the_reader_as_it_was(failing):
    """The reader learns of the failure, and no cancellation is left behind in its task."""
    task, stream, go_on = failing

    closing = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    go_on.set()
    await closing

    with pytest.raises(OverloadedError):
        await task
    assert 0 == task.cancelling()


async def test_a_stream_that_was_handed_on_is_not_taken_from_its_reader(client, one):
    """Whoever began a stream that another task reads now waits for that task."""
    one.says("one", " two").says("Hi.")
    conversation = await client.start(provider="one")
    stream = conversation.stream("Count.")
    await anext(stream)
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    sending = asyncio.create_task(conversation.send("Hello"))

    assert TextDelta(" two") == await reading
    assert "one two" == (await asyncio.create_task(stream.read())).text
    assert "Hi." == (await sending).text


async def test_a_store_that_fails_for_a_moment_costs_no_answer(client, one, monkeypatch):
    """An answer that could not be stored at once is stored at the second try."""
    store, failures = client._core.store, [tertulia.StoreBusyError("the database is locked")]
    settle = store.settle

    async def fails_once(*arguments):
        if failures:
            raise failures.pop()
        return await settle(*arguments)

    monkeypatch.setattr(store, "settle", fails_once)
    one.says("Hi.")
    conversation = await client.start(provider="one")

    assert "Hi." == (await conversation.send("Hello")).text
    assert [("Hello", MessageStatus.COMPLETE), ("Hi.", MessageStatus.COMPLETE)] == await statuses(
        conversation
    )


async def test_a_whole_answer_is_not_stored_as_half_of_one(client, one, monkeypatch):
    """An answer that the store refuses twice is in the error alone, and nothing is written in its stead."""
    store, settled = client._core.store, []

    async def settle(*arguments):
        settled.append(arguments[-1].answer.status)
        raise tertulia.StoreBusyError("the database is locked")

    monkeypatch.setattr(store, "settle", settle)
    one.says("Hi.")
    with pytest.raises(tertulia.StoreBusyError) as caught:
        await client.ask("Hello", provider="one")

    assert ("Hi.", [MessageStatus.COMPLETE] * 2) == (caught.value.reply.text, settled)


async def test_a_stream_has_one_reader(client):
    """A second task that reads is refused, and the first one does not notice."""
    _, _, stream, task = await waiting(client)

    with pytest.raises(tertulia.TertuliaError, match="another task is reading this stream"):
        await anext(stream)

    assert not task.done()
    await stream.aclose()
    with pytest.raises(StreamInterruptedError):
        await task


async def test_closing_the_client_ends_a_send_under_way(client, database):
    """The task that waits for it is told, and nothing is pending afterwards."""
    _, conversation, _, task = await waiting(client)

    await client.aclose()

    with pytest.raises(StreamInterruptedError):
        await task
    async with tertulia.open(
        store=database, providers={}, plugins=[ScriptedProvider("one")], environ={}
    ) as again:
        seen = await again.get(conversation.id)
        assert [("Count.", MessageStatus.COMPLETE), ("one", MessageStatus.INTERRUPTED)] == await statuses(
            seen
        )
        assert [AttemptOutcome.CANCELLED] == [attempt.outcome for attempt in await seen.attempts()]


async def test_waiting_for_ones_turn_is_part_of_the_send(client):
    """A send that waits for another stream longer than it may take is refused, and nothing is stored."""
    _, conversation, stream, task = await waiting(client)

    with pytest.raises(tertulia.ConversationBusyError, match="another answer was under way"):
        await asyncio.create_task(conversation.send("Hello", timeouts=tertulia.Timeouts(total=0.05)))

    assert ["Count."] == [message.text for message in await conversation.history()]
    await stream.aclose()
    with pytest.raises(StreamInterruptedError):
        await task


async def test_a_lease_is_renewed_while_an_answer_comes(client, database, monkeypatch):
    """A long answer keeps its branch: the lease in the database moves on."""
    monkeypatch.setattr(keeping, "RENEW_SECONDS", 0.01)
    renewed = asyncio.Event()
    update = client._core.store.update_lease

    async def update_lease(*arguments):
        await update(*arguments)
        renewed.set()

    monkeypatch.setattr(client._core.store, "update_lease", update_lease)
    _, conversation, stream, task = await waiting(client)
    (before,) = await conversation.attempts()
    await asyncio.wait_for(renewed.wait(), 5)

    (after,) = await conversation.attempts()
    assert keeping.LEASE == timedelta(seconds=15)
    assert after.lease_until > before.lease_until
    await stream.aclose()
    with pytest.raises(StreamInterruptedError):
        await task


async def test_no_target_is_asked_after_the_deadline(client, one, two):
    """When the time for the whole send is over, a failure is final. A stream leaves nobody a part of it."""

    class Late(ScriptedProvider):
        async def send_message(self, request):
            self.requests.append(request)
            over = asyncio.Event()
            asyncio.get_running_loop().call_at(request.deadline, over.set)
            await over.wait()
            raise OverloadedError("too late", provider=self.name)
            yield

    client.register(Late("late"))
    conversation = await client.start(provider="late")

    with pytest.raises(OverloadedError):
        await conversation.stream("Hello", fallback=["two"], timeouts=tertulia.Timeouts(total=0.4))

    assert [] == two.requests


async def test_what_was_shown_is_kept_when_a_driver_breaks(client, one):
    """A foreign exception after the first content is ours on the way out, and the part is stored."""
    one.fails(KeyError("oops"), "Lisbon is")
    conversation = await client.start(provider="one")

    with pytest.raises(PluginError, match="KeyError") as caught:
        await conversation.send("Tell me of Lisbon.")

    assert "your message is stored, and so is the part of the answer that was shown" == caught.value.kept
    assert [
        ("Tell me of Lisbon.", MessageStatus.COMPLETE),
        ("Lisbon is", MessageStatus.INTERRUPTED),
    ] == await statuses(conversation)


@pytest.mark.parametrize("finish", [FinishReason.PAUSE, FinishReason.CANCELLED])
async def test_an_unfinished_answer_is_not_called_whole(client, one, finish):
    """What the provider itself calls unfinished is kept as interrupted."""
    one.replies(ProviderReply((Text("Lisbon"),), finish, "in_progress"), "Lisbon")
    conversation = await client.start(provider="one")

    with pytest.raises(StreamInterruptedError, match=r"the answer is not finished \(in_progress\)") as caught:
        await conversation.send("Tell me of Lisbon.")

    assert (ErrorKind.PROTOCOL, MessageStatus.INTERRUPTED) == (caught.value.kind, caught.value.partial.status)


@pytest.mark.parametrize("money", [Money(-1), Money(2**63), Money(1.5), Money(float("nan")), 5], ids=repr)
async def test_an_amount_that_is_none_is_an_unknown_cost(client, one, money):
    """A price plugin cannot put nonsense into the ledger, nor take the answer with it."""

    class Wrong:
        @tertulia.hookimpl
        def calculate_cost(self):
            return Cost(money)

    client.register(Wrong())
    one.says("Hi.")

    reply = await client.ask("Hello", provider="one")

    assert ("Hi.", None) == (reply.text, reply.cost)
    assert ("the cost is unknown: calculate_cost answered with no amount of money",) == reply.warnings


async def test_two_tasks_on_one_conversation_take_turns(client, one):
    """Fifty sends at once leave a line of pairs, none lost and none answered twice."""
    for number in range(50):
        one.says(f"answer {number}")
    conversation = await client.start(provider="one")

    await asyncio.gather(*(conversation.send(f"question {number}") for number in range(50)))

    history = await conversation.history()
    assert list(range(100)) == [message.depth for message in history]
    assert {f"question {number}" for number in range(50)} == {message.text for message in history[::2]}
    assert [f"answer {number}" for number in range(50)] == [message.text for message in history[1::2]]


@pytest.mark.parametrize("finish", [FinishReason.STOP, FinishReason.UNKNOWN])
async def test_an_empty_answer_is_not_an_answer(client, one, finish):
    """A complete answer that holds nothing is an error, and its tokens are in the ledger."""
    one.replies(ProviderReply((), finish, "stop", Usage(10, 0, 0, 0, 0)))
    conversation = await client.start(provider="one")

    with pytest.raises(EmptyResponseError):
        await conversation.send("Hello")

    (attempt,) = await conversation.attempts()
    assert (ErrorKind.EMPTY_RESPONSE, 10) == (attempt.error_kind, attempt.usage.input_tokens)


@pytest.mark.parametrize("part", [Text(""), Reasoning("hm")], ids=["empty text", "thoughts alone"])
async def test_state_and_thoughts_alone_are_no_answer(client, one, part):
    """A complete answer whose parts say nothing is an empty one, and is charged for what it used."""
    one.replies(ProviderReply((part,), FinishReason.STOP, "stop", Usage(10, 0, 0, 3, 0), model="scripted-1"))
    conversation = await client.start(provider="one")

    with pytest.raises(EmptyResponseError):
        await conversation.send("Hello")

    assert Money(16_000_000) == (await conversation.cost()).total.money


async def test_a_plugin_that_fails_at_the_price_does_not_take_the_answer(client, one):
    """The answer is stored and returned, its cost is unknown, and a warning says why."""

    class Broken:
        @tertulia.hookimpl
        def calculate_cost(self):
            raise ZeroDivisionError("oops")

    client.register(Broken())
    one.says("Hi.")

    reply = await client.ask("Hello", provider="one")

    assert ("Hi.", None) == (reply.text, reply.cost)
    assert (
        "the cost is unknown: a plugin failed in calculate_cost: ZeroDivisionError: oops",
    ) == reply.warnings


async def test_a_blocked_prompt_is_typed_and_costs_what_it_costs(client, one, two):
    """A blocked prompt is an error with its reason; it is charged, and no other provider is asked."""
    outcome = SafetyOutcome("prompt", "PROHIBITED_CONTENT")
    usage = Usage(12, 0, 0, 0, 0)
    one.replies(
        ProviderReply(
            (), FinishReason.CONTENT_FILTER, "PROHIBITED_CONTENT", usage, safety=outcome, model="scripted-1"
        )
    )
    conversation = await client.start(provider="one")

    with pytest.raises(ContentFilteredError) as caught:
        await conversation.send("Hello", fallback=["two"])

    assert (outcome, usage, []) == (caught.value.safety, caught.value.usage, two.requests)
    (attempt,) = await conversation.attempts()
    assert (usage, Money(12_000_000)) == (attempt.usage, attempt.cost.money)


async def test_a_blocked_answer_keeps_its_beginning(client, one):
    """An answer stopped by a filter after its first words is a reply that says so."""
    outcome = SafetyOutcome("answer", "SAFETY", partial_text="Well")
    one.replies(ProviderReply((Text("Well"),), FinishReason.CONTENT_FILTER, "SAFETY", safety=outcome), "Well")

    reply = await client.ask("Hello", provider="one")

    assert ("Well", FinishReason.CONTENT_FILTER, outcome) == (reply.text, reply.finish_reason, reply.safety)


async def test_an_unknown_option_is_refused_before_anything_is_sent(client, one):
    """An option that the provider does not have is an error, and nothing was sent."""
    conversation = await client.start(provider="one")

    with pytest.raises(UnsupportedParameterError, match="has no option 'seed'") as caught:
        await conversation.send("Hello", options=Options(seed=7))

    assert ("seed", []) == (caught.value.parameter, one.requests)
    assert [("Hello", MessageStatus.FAILED)] == await statuses(conversation)
    assert (await conversation.cost()).total.exact


async def test_an_unknown_option_can_be_left_out(client, one):
    """With unsupported="warn" it is left out and the reply says so."""
    one.says("Hi.")

    reply = await client.ask(
        "Hello", provider="one", options=Options(temperature=0.5, seed=7, unsupported="warn")
    )

    assert ("option 'seed' was left out: provider 'one' has no option 'seed'",) == reply.warnings
    assert {"temperature": 0.5} == one.requests[0].options.chosen()


async def test_nothing_is_sent_that_was_not_set(client, one):
    """There are no invented defaults."""
    one.says("Hi.")
    await client.ask("Hello", provider="one")

    assert {} == one.requests[0].options.chosen()


async def test_a_message_over_the_budget_is_not_sent(one, database):
    """What must be sent and does not fit is a typed error that names the parts; the message is kept."""
    async with tertulia.open(
        store=database, providers={}, plugins=[one], environ={}, max_context_tokens=20
    ) as client:
        conversation = await client.start(provider="one", system="Be brief.")
        with pytest.raises(ContextOverflowError) as caught:
            await conversation.send("word " * 100)

        assert (20, {"system": 7, "newest message": 104}) == (caught.value.budget, caught.value.parts)
        assert [] == one.requests
        assert MessageStatus.FAILED is (await conversation.history())[-1].status


async def test_the_window_of_messages_bounds_what_is_sent(one, database):
    """A context_window of 3 sends three messages and the system message, opening on a user message."""
    for number in range(4):
        one.says(f"answer {number}")
    settings = {"context_window": 3, "context": {"recall": "never"}}
    async with tertulia.open(store=database, providers={}, plugins=[one], environ={}, **settings) as client:
        conversation = await client.start(provider="one", system="Be brief.")
        for number in range(4):
            reply = await conversation.send(f"question {number}")

    assert ["Be brief.", "question 2", "answer 2", "question 3"] == one.texts
    (dropped,) = reply.context.dropped
    assert (4, "outside the window of messages") == (len(dropped.message_ids), dropped.reason)


async def test_a_driver_that_breaks_its_contract_is_named(client, two):
    """A foreign exception from a driver is ours on the way out, names the provider and keeps its cause."""
    conversation = await client.start(provider="one")

    with pytest.raises(PluginError, match=r"provider 'one'.*AssertionError") as caught:
        await conversation.send("unscripted", fallback=["two"])

    assert isinstance(caught.value.__cause__, AssertionError)
    assert [] == two.requests
    assert [("unscripted", MessageStatus.FAILED)] == await statuses(conversation)


def lock(client: tertulia.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store refuse to settle anything more."""

    async def settle(*_):
        raise tertulia.StoreBusyError("the database is locked")

    monkeypatch.setattr(client._core.store, "settle", settle)


async def test_an_answer_that_cannot_be_stored_is_not_swallowed(client, one, monkeypatch):
    """When the database fails after the answer came, the error carries the answer."""
    one.says("Hello", " John.")
    conversation = await client.start(provider="one")
    lock(client, monkeypatch)
    with pytest.raises(tertulia.StoreBusyError) as caught:
        await conversation.send("My name is John.")

    assert "Hello John." == caught.value.reply.text
    assert "your message is stored, and the answer is in this error's .reply" == caught.value.kept


async def test_a_store_that_fails_at_the_end_does_not_hide_why(client, one, monkeypatch):
    """When an attempt breaks off and its end cannot be stored, the caller still learns what broke it."""
    one.fails(KeyError("oops"), "Lisbon is")
    conversation = await client.start(provider="one")

    lock(client, monkeypatch)
    with pytest.raises(PluginError, match="KeyError"):
        await conversation.send("Tell me of Lisbon.")


async def test_a_part_that_cannot_be_stored_is_in_the_error(client, one, monkeypatch):
    """An interruption whose part the store refuses is still that interruption, and carries the part."""
    one.fails(OverloadedError("gone"), "Lisbon is")
    conversation = await client.start(provider="one")

    lock(client, monkeypatch)
    with pytest.raises(StreamInterruptedError, match="the part that was shown is in") as caught:
        await conversation.send("Tell me of Lisbon.")

    assert ("Lisbon is", ErrorKind.OVERLOADED) == (caught.value.partial.text, caught.value.kind)


async def test_an_empty_message_is_refused(client, one):
    """There is nothing to send in an empty message."""
    conversation = await client.start(provider="one")

    with pytest.raises(tertulia.ConfigurationError, match="the message is empty"):
        await conversation.send("  \n")

    assert [] == await conversation.history()


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda trip: trip.send(b"hi"), "what is said must be a str, not a bytes"),
        (lambda trip: trip.send(None), "what is said must be a str, not a NoneType"),
        (lambda trip: trip.send("hi", options={"seed": 1}), "options must be an Options, not a dict"),
        (lambda trip: trip.send("hi", timeouts={"total": 3}), "timeouts must be a Timeouts, not a dict"),
        (lambda trip: trip.append("hi"), "what is appended must be a Message, not a str"),
    ],
    ids=["bytes", "nothing", "options", "timeouts", "no message"],
)
async def test_what_is_of_the_wrong_type_is_refused_before_it_is_stored(client, one, mistake, words):
    """A value that would break the conversation later is named at once, and nothing is stored or sent."""
    trip = await client.start(provider="one")

    with pytest.raises(tertulia.ConfigurationError, match=words) as caught:
        await mistake(trip)

    assert "nothing was stored, and nothing was sent" == caught.value.kept
    assert ([], []) == (await trip.history(), one.requests)


async def test_one_fallback_needs_no_list(client, one, two):
    """A text is one target, as in a configuration file."""
    one.refuses(OverloadedError, status=503)
    two.says("Hi.")

    reply = await (await client.start(provider="one")).send("Hello", fallback="two")

    assert "two" == reply.provider
