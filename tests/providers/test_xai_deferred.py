"""Deferred completions of xAI, from the question to the answer, or to an error that says where it is."""

from __future__ import annotations

import asyncio
from itertools import islice

import attrs
import pytest
from driver_cases import DRIVERS, KEY, Driver, check_for_secrets, fail, send
from raw_server import Act, RawServer, Step, answer

import tertulia
from tertulia import ConfigurationError, Money, ProviderTimeoutError, TextDelta
from tertulia.testing import StandingClock
from tertulia_xai import XAIProvider
from tertulia_xai.deferred import grow_pauses, wait_for_answer

DRIVER: Driver = attrs.evolve(DRIVERS["xai-chat"], settings={"api": "chat", "deferred": True})
TICKET = [answer({"request_id": "t-1"})]
PENDING = [answer(b"", 202)]
WHOLE = [answer({**DRIVER.whole, "usage": {**DRIVER.whole["usage"], "cost_in_usd_ticks": 4_680_000}})]
PATH = "/chat/deferred-completion/t-1"
HELLO = {"role": "user", "content": "Hello"}


@pytest.fixture
def defer(connect):
    """Makes providers that write down their pauses instead of waiting."""

    def defer(url: str) -> tuple[XAIProvider, list[float]]:
        provider, pauses = connect(DRIVER, url), []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)

        provider.sleep = sleep
        return provider, pauses

    return defer


async def test_an_answer_is_asked_for_once_and_fetched_when_it_is_ready(defer):
    """
    The question says that it is deferred, and pending answers are looked at again after growing pauses.
    """
    async with RawServer(TICKET, PENDING, PENDING, WHOLE) as server:
        provider, pauses = defer(server.url)
        deltas, reply = await send(provider, DRIVER.ask(stream=False))

    assert [
        ("/chat/completions", {"model": "grok-4.3", "deferred": True, "messages": [HELLO]}),
        *[(PATH, None)] * 3,
    ] == [(request.target, request.body) for request in server.requests]
    assert [0.5, 0.75, 1.125] == pauses
    assert ([TextDelta("Olá 🌍")], "Olá 🌍") == (deltas, reply.text)
    assert Money.from_usd("0.000468") == reply.billing.reported


async def test_a_deferred_answer_is_not_streamed(defer):
    """
    It comes as a whole, also where pieces were welcome.
    """
    async with RawServer(TICKET, WHOLE) as server:
        provider, _ = defer(server.url)
        deltas, _ = await send(provider, DRIVER.ask(stream=True))

    assert {"model", "deferred", "messages"} == set(server.requests[0].body)
    assert [TextDelta("Olá 🌍")] == deltas


async def test_every_look_shows_the_key(defer):
    """
    A look is a call like any other.
    """
    async with RawServer(TICKET, PENDING, WHOLE) as server:
        provider, _ = defer(server.url)
        await send(provider, DRIVER.ask())

    assert [f"Bearer {KEY}"] * 3 == [request.headers["authorization"] for request in server.requests]


async def test_a_pending_answer_may_say_so_in_a_body(defer):
    """
    What else a status of 202 comes with is of no interest.
    """
    async with RawServer(TICKET, [answer({"status": "pending"}, 202)], WHOLE) as server:
        provider, _ = defer(server.url)
        _, reply = await send(provider, DRIVER.ask())

    assert "Olá 🌍" == reply.text


async def test_a_ticket_is_one_segment_of_the_path(defer):
    """
    Whatever a ticket looks like, it stays in its place.
    """
    async with RawServer([answer({"request_id": "../a?b#"})], WHOLE) as server:
        provider, _ = defer(server.url)
        await send(provider, DRIVER.ask())

    assert "/chat/deferred-completion/..%2Fa%3Fb%23" == server.requests[1].target


async def test_a_service_that_answers_at_once_is_not_asked_again(defer):
    """
    An answer in place of a ticket is the answer.
    """
    async with RawServer(WHOLE) as server:
        provider, pauses = defer(server.url)
        _, reply = await send(provider, DRIVER.ask())

    assert ("Olá 🌍", [], 1) == (reply.text, pauses, len(server.requests))


async def test_without_the_setting_a_ticket_is_no_answer(connect):
    """
    Nobody waits who was not asked to.
    """
    async with RawServer(TICKET) as server:
        _, error = await fail(connect(DRIVERS["xai-chat"], server.url), DRIVER.ask(stream=False))

    assert ("protocol", 1) == (error.kind, len(server.requests))


def test_pauses_grow_to_ten_seconds():
    """
    Each is half as long again, up to ten seconds, and there is no end of them.
    """
    pauses = list(islice(grow_pauses(), 200))

    assert [0.5, 0.75, 1.125, 1.6875] == pauses[:4]
    assert [8.54296875, 10.0, 10.0] == pauses[7:10]
    assert 10.0 == pauses[-1] == max(pauses)


@pytest.mark.parametrize(
    "trouble",
    [
        [answer({"error": "Busy."}, 503)],
        [answer({"error": "Sorry."}, 500)],
        [answer({"error": "Too fast."}, 429)],
        [answer(b"<html>", 200, "text/html")],
        [Act.CLOSE],
        [Act.RESET],
    ],
    ids=["busy", "broken", "too fast", "page", "closed", "reset"],
)
async def test_trouble_that_may_pass_does_not_lose_the_answer(defer, trouble: list[Step]):
    """
    A look that fails is no reason to ask, and to pay, again.
    """
    async with RawServer(TICKET, trouble, PENDING, trouble, WHOLE) as server:
        provider, _ = defer(server.url)
        _, reply = await send(provider, DRIVER.ask())

    assert "Olá 🌍" == reply.text
    assert ["/chat/completions", *[PATH] * 4] == [request.target for request in server.requests]


async def test_a_pause_that_the_service_asks_for_is_made(defer):
    """
    ``Retry-After`` makes the next pause longer, and only that one.
    """
    slow = [answer({"error": "Too fast."}, 429, retry_after="7")]
    async with RawServer(TICKET, slow, PENDING, WHOLE) as server:
        provider, pauses = defer(server.url)
        await send(provider, DRIVER.ask())

    assert [0.5, 7.0, 1.125] == pauses


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": "No API key provided."}, "authentication"),
        (403, {"code": "permission-denied", "error": "No."}, "permission"),
        (400, {"error": "Content violates usage guidelines."}, "content_filter"),
        (200, {"error": {"message": "Sorry.", "code": "invalid-argument"}}, "invalid_request"),
    ],
)
async def test_a_refusal_ends_the_waiting(defer, status, body, kind):
    """
    The error has the ticket: with another key the answer may still be had.
    """
    async with RawServer(TICKET, PENDING, [answer(body, status)]) as server:
        provider, _ = defer(server.url)
        _, error = await fail(provider, DRIVER.ask())

    assert (kind, "t-1", 3) == (error.kind, error.request_id, len(server.requests))
    assert "fetch the answer within 24 hours: fetch_deferred('t-1')" == error.next_step


async def test_an_answer_that_is_gone_is_an_error(defer):
    """
    It is handed out once, so a second time it is not found; that says nothing of the model.
    """
    async with RawServer(TICKET, [answer({"code": "not-found", "error": "Not found."}, 404)]) as server:
        provider, _ = defer(server.url)
        _, error = await fail(provider, DRIVER.ask())

    assert ("protocol", 404, "t-1", "send again") == (
        error.kind,
        error.status,
        error.request_id,
        error.next_step,
    )
    assert error.message == (
        "provider 'mine': the deferred answer t-1 is not there: "
        "it was fetched before, or is older than 24 hours"
    )


async def test_an_answer_that_cannot_be_read_is_an_error(defer):
    """
    What is there, and is no chat completion, is not waited for any longer.
    """
    async with RawServer(TICKET, [answer({"object": "surprise"})]) as server:
        provider, _ = defer(server.url)
        _, error = await fail(provider, DRIVER.ask())

    assert ("protocol", 2) == (error.kind, len(server.requests))


async def test_a_question_that_is_refused_is_not_waited_for(defer):
    """
    Its error is the service's own.
    """
    async with RawServer([answer({"error": "Incorrect API key provided: xa***"}, 400)]) as server:
        provider, pauses = defer(server.url)
        _, error = await fail(provider, DRIVER.ask())

    assert ("authentication", [], 1) == (error.kind, pauses, len(server.requests))


class Look:
    """Looks for an answer on a clock that moves with the pauses."""

    def __init__(self, *results: object) -> None:
        self.clock = StandingClock()
        self.at: list[float] = []
        self._results = iter(results)

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def look(self) -> object:
        self.at.append(self.clock.monotonic())
        result = next(self._results, None)
        if isinstance(result, Exception):
            raise result
        return result

    async def wait(self, deadline: float) -> object:
        return await wait_for_answer(
            self.look, "t-1", deadline=deadline, now=self.clock.monotonic, sleep=self.sleep
        )


async def test_the_deadline_ends_the_waiting():
    """
    The last look is made at the deadline, and no later.
    """
    look = Look()

    with pytest.raises(ProviderTimeoutError) as caught:
        await look.wait(3)

    assert [0.5, 1.25, 2.375, 3] == look.at
    assert ("total", "t-1") == (caught.value.timer, caught.value.request_id)
    assert "the deferred answer t-1 was not there in time" == caught.value.message
    assert "fetch the answer within 24 hours: fetch_deferred('t-1')" == caught.value.next_step


async def test_a_deadline_says_why_the_last_look_failed():
    """
    A service that was out all the time is not called slow.
    """
    look = Look(*[tertulia.OverloadedError("provider 'xai': at capacity", provider="xai")] * 2)

    with pytest.raises(ProviderTimeoutError) as caught:
        await look.wait(1)

    assert caught.value.message == (
        "the deferred answer t-1 was not there in time, and the last look at it failed: at capacity"
    )


async def test_a_look_that_the_deadline_cut_is_no_reason():
    """
    That time was over is said once.
    """
    look = Look(tertulia.ProviderTimeoutError("provider 'xai': the time is over", timer="total"))

    with pytest.raises(ProviderTimeoutError) as caught:
        await look.wait(0.5)

    assert (
        "the deferred answer t-1 was not there in time; "
        "fetch the answer within 24 hours: fetch_deferred('t-1')"
    ) == str(caught.value)


async def test_the_deadline_of_a_request_counts(connect):
    """
    A request ends when it has to, whatever the service is doing.
    """
    async with RawServer(TICKET, PENDING) as server:
        request = DRIVER.ask(deadline=asyncio.get_running_loop().time() + 0.2)
        _, error = await fail(connect(DRIVER, server.url), request)

    assert ("timeout", "total", "t-1") == (error.kind, error.timer, error.request_id)


async def test_a_request_without_a_deadline_ends_with_its_timeouts(connect):
    """
    ``total`` counts from the ticket where nobody has said when the send ends.
    """
    async with RawServer(TICKET, PENDING) as server:
        request = DRIVER.ask(timeouts=tertulia.Timeouts(total=0.2))
        _, error = await fail(connect(DRIVER, server.url), request)

    assert ("total", "t-1") == (error.timer, error.request_id)


async def test_waiting_can_be_cancelled(connect):
    """
    Whoever cancels waits for nothing, and nobody looks any more.
    """
    async with RawServer(TICKET, PENDING) as server:
        provider, waits = connect(DRIVER, server.url), asyncio.Event()

        async def sleep(_seconds: float) -> None:
            waits.set()
            await asyncio.Event().wait()

        provider.sleep = sleep
        task = asyncio.create_task(send(provider, DRIVER.ask()))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert ["/chat/completions"] == [request.target for request in server.requests]


async def test_an_answer_can_be_fetched_later(connect):
    """
    The ticket of an error leads to the answer, by any provider with the key.
    """
    async with RawServer(PENDING, WHOLE) as server:
        provider = connect(DRIVERS["xai"], server.url)
        pending, reply = await provider.fetch_deferred("t-1"), await provider.fetch_deferred("t-1")

    assert (None, "Olá 🌍", Money.from_usd("0.000468")) == (pending, reply.text, reply.billing.reported)
    assert [PATH, PATH] == [request.target for request in server.requests]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([answer({"object": "surprise"})], "protocol"),
        ([answer({"choices": [], "error": {"message": f"Sorry, {KEY}."}})], "protocol"),
        ([answer({"error": "Not found."}, 404)], "protocol"),
        ([answer({"error": "No API key provided."}, 401)], "authentication"),
    ],
)
async def test_what_cannot_be_fetched_is_an_error(connect, script, kind):
    """
    Whatever comes in place of the answer, the error is one of ours.
    """
    async with RawServer(script) as server:
        provider = connect(DRIVER, server.url)
        with pytest.raises(tertulia.ProviderError) as caught:
            await provider.fetch_deferred("t-1")

    check_for_secrets(caught.value, provider)
    assert kind == caught.value.kind


@pytest.mark.parametrize(
    "settings", [{"deferred": True}, {"api": "chat", "deferred": "yes"}, {"api": "chat", "deferred": 1}]
)
def test_a_setting_that_cannot_be_is_refused(settings):
    """
    The Responses API has no deferred answers, and yes is no truth value.
    """
    with pytest.raises(ConfigurationError) as caught:
        DRIVERS["xai"].make(None, settings=settings)

    assert caught.value.message == (
        "provider 'mine': deferred is true or false, and true with api = 'chat' only"
    )


async def test_a_conversation_keeps_a_deferred_answer():
    """
    Sent through a client, an answer that was fetched is stored and priced like any other.
    """
    async with RawServer(TICKET, WHOLE) as server:
        table = {"driver": "xai", "api_key": KEY, "base_url": server.url, "model": "grok-4.3"}
        providers = {"mine": {**table, "api": "chat", "deferred": True}}
        async with tertulia.open(store="memory:", providers=providers) as client:
            conversation = await client.start(provider="mine")
            reply = await conversation.send("Hello")
            history = [message.text for message in await conversation.history()]

    assert (["Hello", "Olá 🌍"], "$0.000468") == (history, str(reply.cost))
    assert 1 == len(reply.attempts)
