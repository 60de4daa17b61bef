"""
Contract suites: what every provider and every store promises, as tests to inherit.

Subclass a suite in a test module, give it the fixture it asks for, and pytest does the rest::

    class TestMyProvider(ProviderContract):
        @pytest.fixture
        async def provider(self, my_server):
            provider = MyProvider(ProviderConfig("mine", "mine", api_key=KEY, base_url=my_server.url))
            yield provider
            await provider.aclose()
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import attrs
import pytest

from tertulia.contracts.provider import Provider
from tertulia.contracts.store import Settlement, Store
from tertulia.domain.conversation import Attempt, AttemptOutcome, Branch, ConversationRecord
from tertulia.domain.exchange import (
    Delta,
    ProviderReply,
    ReasoningDelta,
    Request,
    Target,
    TextDelta,
    ToolCallDelta,
    Translated,
)
from tertulia.domain.message import (
    FinishReason,
    Message,
    MessageStatus,
    OpaqueState,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from tertulia.domain.usage import Billing, Cost, CostSource, CostTotal, Money, Usage
from tertulia.errors import (
    AuthenticationError,
    ConversationBusyError,
    ConversationNotFoundError,
    ErrorKind,
    ModelNotFoundError,
    ProviderError,
)
from tertulia.testing.clock import StandingClock

_SHOWN = (TextDelta, ReasoningDelta, ToolCallDelta, Translated)


@pytest.mark.asyncio
class ProviderContract:
    """
    What every provider promises.

    Fixtures to give: ``provider``, which reaches a service that answers; and ``refused_provider``, the
    same with a key that the service does not accept, long enough to be recognised wherever it shows up; a
    provider without keys skips it.
    """

    question = "Hello"

    @pytest.fixture
    def refused_provider(self) -> Provider:
        """The same provider with a wrong key."""
        pytest.skip("this provider has no key")

    @pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
    async def test_an_answer_is_deltas_and_then_one_reply(self, provider: Provider, stream: bool) -> None:
        """An answer is any number of deltas and then exactly one reply, which says the same words."""
        deltas = await self._ask(provider, stream=stream)

        *shown, reply = deltas
        assert isinstance(reply, ProviderReply)
        assert all(isinstance(delta, _SHOWN) for delta in shown)
        assert reply.text == "".join(delta.text for delta in shown if isinstance(delta, TextDelta))
        assert reply.text != ""
        assert reply.finish_reason is FinishReason.STOP

    @pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
    async def test_usage_is_whole_numbers_or_unknown(self, provider: Provider, stream: bool) -> None:
        """Each class of tokens is a whole number of at least 0, or None."""
        reply = (await self._ask(provider, stream=stream))[-1]

        assert isinstance(reply, ProviderReply)
        counts = attrs.astuple(reply.usage)
        assert all(count is None or (isinstance(count, int) and count >= 0) for count in counts)

    async def test_a_cost_is_exact_or_unknown(self, provider: Provider) -> None:
        """A cost is a Cost, or None; an unknown model has no price."""
        now = datetime(2026, 11, 22, tzinfo=UTC)
        usage = Usage(1000, 0, 0, 1000, 0)

        assert provider.calculate_cost("no-such-model", usage, Billing(), now) is None
        known = provider.calculate_cost(provider.default_model, usage, Billing(), now)
        assert known is None or isinstance(known.money.pico, int)

    async def test_an_unknown_model_is_a_typed_error(self, provider: Provider) -> None:
        """A model that does not exist is refused by name."""
        with pytest.raises(ProviderError) as caught:
            await self._ask(provider, model="no-such-model")

        assert isinstance(caught.value, ModelNotFoundError)
        assert (caught.value.provider, caught.value.model) == (provider.name, "no-such-model")

    async def test_a_wrong_key_is_a_typed_error_without_the_key(self, refused_provider: Provider) -> None:
        """A wrong key is an authentication error, and the key is nowhere in it."""
        with pytest.raises(AuthenticationError) as caught:
            await self._ask(refused_provider)

        key = refused_provider.config.api_key
        assert key is not None
        printed = (
            "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(refused_provider)
        )
        assert key.reveal() not in printed, "the key is shown by the error, its traceback or the provider"
        assert not caught.value.retryable

    async def test_two_answers_at_once_do_not_mix(self, provider: Provider) -> None:
        """A provider keeps no state of a conversation: two streams read in turns are both whole."""
        alone = (await self._ask(provider))[-1]
        first, second = await asyncio.gather(self._ask(provider), self._ask(provider))

        assert isinstance(alone, ProviderReply)
        assert [alone.text, alone.text] == [
            answer[-1].text for answer in (first, second) if isinstance(answer[-1], ProviderReply)
        ]

    async def test_leaving_early_does_no_harm(self, provider: Provider) -> None:
        """After an answer was left at its first delta, the provider answers the next one."""
        answer = provider.send_message(self._request(provider))
        assert isinstance(await anext(answer), _SHOWN)
        assert isinstance(answer, AsyncGenerator)
        await answer.aclose()

        assert isinstance((await self._ask(provider))[-1], ProviderReply)

    async def test_models_are_listed_under_the_providers_name(self, provider: Provider) -> None:
        """The list of models names the configured provider, and every model once."""
        models = await provider.list_models()

        assert {provider.name} == {model.provider for model in models}
        assert len({model.id for model in models}) == len(models)

    async def test_closing_twice_is_fine(self, provider: Provider) -> None:
        """A provider can be closed twice."""
        await provider.aclose()
        await provider.aclose()

        assert repr(provider)

    async def _ask(self, provider: Provider, *, model: str | None = None, stream: bool = True) -> list[Delta]:
        request = self._request(provider, model=model, stream=stream)
        answer: AsyncIterator[Delta] = provider.send_message(request)
        return [delta async for delta in answer]

    def _request(self, provider: Provider, *, model: str | None = None, stream: bool = True) -> Request:
        target = Target(provider.name, model or provider.default_model)
        return Request(target, (Message.of("user", self.question),), stream=stream)


OWNER = "ann"
MAIN = "main"


@pytest.mark.asyncio
class StoreContract:
    """
    What every store promises.

    Fixtures to give: ``store``, open and empty, which reads the time from the fixture ``clock``.
    """

    @pytest.fixture
    def clock(self) -> StandingClock:
        """The time the store goes by."""
        return StandingClock()

    async def test_a_conversation_comes_back_as_it_was(self, store: Store, clock: StandingClock) -> None:
        """What was added is returned, equal in every field."""
        record = await self._begin(store, clock, title="Trip to Lisbon")

        assert record == await store.get_conversation(OWNER, record.id)

    async def test_the_first_messages_are_part_of_it(self, store: Store, clock: StandingClock) -> None:
        """What a conversation began with, such as its instructions, comes back first."""
        system = attrs.evolve(
            Message.of(Role.SYSTEM, "Be brief."), id=clock.new_id(), depth=0, created_at=clock.now()
        )
        record = await self._begin(store, clock, messages=(system,))
        await self._say(store, clock, record, "Hello")

        messages = await store.get_messages(OWNER, record.id, MAIN)
        assert ["Be brief.", "Hello"] == [message.text for message in messages]
        assert (system, system.id) == (messages[0], messages[1].parent_id)

    async def test_another_owner_settles_nothing(self, store: Store, clock: StandingClock) -> None:
        """An attempt can be settled by its own owner only."""
        record = await self._begin(store, clock)
        attempt = await self._say(store, clock, record, "Hello")

        assert await store.settle("bob", record.id, MAIN, _settled(clock, attempt, (Text("Hi"),))) is None

        assert ["Hello"] == [message.text for message in await store.get_messages(OWNER, record.id, MAIN)]
        assert AttemptOutcome.PENDING is (await store.get_attempts(OWNER, record.id))[0].outcome

    async def test_what_belongs_to_another_owner_is_not_found(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Another owner finds nothing, by any operation."""
        record = await self._begin(store, clock)
        attempt = await self._say(store, clock, record, "Hello")
        now = clock.now()

        operations = (
            lambda: store.get_conversation("bob", record.id),
            lambda: store.update_title("bob", record.id, "mine", now),
            lambda: store.update_target("bob", record.id, MAIN, provider="p", model="m", at=now),
            lambda: store.get_messages("bob", record.id, MAIN),
            lambda: store.add_user_message("bob", record.id, MAIN, _user(clock, "Hi"), attempt),
        )
        for operation in operations:
            with pytest.raises(ConversationNotFoundError):
                await operation()
        assert [[], []] == [await store.find_conversations("bob"), await store.get_attempts("bob", record.id)]

    async def test_messages_of_every_kind_come_back_equal(self, store: Store, clock: StandingClock) -> None:
        """Every kind of part, opaque state and any text survive the store unchanged."""
        record = await self._begin(store, clock)
        attempt = await self._say(store, clock, record, "你好 👋 \u2028 line")
        parts: tuple[Part, ...] = (
            Reasoning(
                "thinking",
                OpaqueState("openai", {"type": "reasoning", "encrypted_content": "x", "n": [1, None]}),
            ),
            Text("one"),
            Text("", OpaqueState("gemini", {"thoughtSignature": "c2ln"})),
            ToolCall("call-1", "add", {"a": 1, "b": [1.5, {"c": None}]}),
            ToolCall("call-2", "add", None, "not json"),
            ToolResult("call-1", "add", "3", is_error=True),
        )
        stored = await store.settle(OWNER, record.id, MAIN, _settled(clock, attempt, parts))

        user, answer = await store.get_messages(OWNER, record.id, MAIN)
        assert "你好 👋 \u2028 line" == user.text
        assert parts == answer.parts
        assert stored == answer

    async def test_messages_stand_in_order(self, store: Store, clock: StandingClock) -> None:
        """Depth counts from the root, and each message's parent is the one before it."""
        record = await self._begin(store, clock)
        for text in ("one", "two", "three"):
            attempt = await self._say(store, clock, record, text)
            await store.settle(OWNER, record.id, MAIN, _settled(clock, attempt, (Text(text.upper()),)))

        messages = await store.get_messages(OWNER, record.id, MAIN)
        assert ["one", "ONE", "two", "TWO", "three", "THREE"] == [message.text for message in messages]
        assert list(range(6)) == [message.depth for message in messages]
        assert [None, *(message.id for message in messages[:-1])] == [
            message.parent_id for message in messages
        ]

    async def test_history_can_be_read_in_part(self, store: Store, clock: StandingClock) -> None:
        """The newest so many, and only what is above a depth."""
        record = await self._begin(store, clock)
        for text in ("one", "two", "three"):
            attempt = await self._say(store, clock, record, text)
            await store.settle(OWNER, record.id, MAIN, _settled(clock, attempt, (Text(text.upper()),)))

        newest = await store.get_messages(OWNER, record.id, MAIN, limit=2)
        above = await store.get_messages(OWNER, record.id, MAIN, limit=3, before_depth=4)
        assert ["three", "THREE"] == [message.text for message in newest]
        assert ["ONE", "two", "TWO"] == [message.text for message in above]

    async def test_a_second_message_waits_for_the_answer(self, store: Store, clock: StandingClock) -> None:
        """While an answer is under way nobody else can write on the branch, and nothing is stored of it."""
        record = await self._begin(store, clock)
        await self._say(store, clock, record, "first")

        with pytest.raises(ConversationBusyError):
            await self._say(store, clock, record, "second")

        assert ["first"] == [message.text for message in await store.get_messages(OWNER, record.id, MAIN)]
        assert 1 == len(await store.get_attempts(OWNER, record.id))

    async def test_a_dead_process_leaves_nothing_pending(self, store: Store, clock: StandingClock) -> None:
        """Once its lease has run out an attempt reads as interrupted and its message as failed."""
        record = await self._begin(store, clock)
        await self._say(store, clock, record, "first")
        clock.advance(16)

        message = (await store.get_messages(OWNER, record.id, MAIN))[0]
        attempt = (await store.get_attempts(OWNER, record.id))[0]
        assert MessageStatus.FAILED is message.status
        assert (AttemptOutcome.INTERRUPTED, ErrorKind.INTERRUPTED) == (attempt.outcome, attempt.error_kind)
        await self._say(store, clock, record, "second")

    async def test_a_renewed_lease_keeps_the_branch(self, store: Store, clock: StandingClock) -> None:
        """An attempt that says it is still under way stays pending."""
        record = await self._begin(store, clock)
        attempt = await self._say(store, clock, record, "first")
        clock.advance(10)
        await store.update_lease(OWNER, attempt.id, clock.now() + timedelta(seconds=15))
        clock.advance(10)

        assert AttemptOutcome.PENDING is (await store.get_attempts(OWNER, record.id))[0].outcome
        with pytest.raises(ConversationBusyError):
            await self._say(store, clock, record, "second")

    async def test_nobody_renews_another_owners_lease(self, store: Store, clock: StandingClock) -> None:
        """A lease that another owner asks to renew runs out as if nobody had."""
        record = await self._begin(store, clock)
        attempt = await self._say(store, clock, record, "first")
        await store.update_lease("bob", attempt.id, clock.now() + timedelta(hours=1))

        assert [attempt] == await store.get_attempts(OWNER, record.id)

    async def test_a_late_answer_is_kept_beside_the_branch(self, store: Store, clock: StandingClock) -> None:
        """When somebody has gone on from its question, an answer still follows its own question."""
        record = await self._begin(store, clock)
        late = await self._say(store, clock, record, "first")
        clock.advance(16)
        second = await self._say(store, clock, record, "second")

        stored = await store.settle(OWNER, record.id, MAIN, _settled(clock, late, (Text("late"),)))
        await store.settle(OWNER, record.id, MAIN, _settled(clock, second, (Text("in time"),)))

        assert stored is not None
        assert late.message_id == stored.parent_id
        messages = await store.get_messages(OWNER, record.id, MAIN)
        assert ["first", "second", "in time"] == [message.text for message in messages]
        beside = await store.get_messages(OWNER, record.id, f"{MAIN}-late-{stored.id}")
        assert ["first", "late"] == [message.text for message in beside]

    async def test_attempts_are_the_ledger(self, store: Store, clock: StandingClock) -> None:
        """A failed attempt and the one after it are both there, and the counters are their sums."""
        record = await self._begin(store, clock)
        first = await self._say(store, clock, record, "Hello")
        failed = attrs.evolve(
            first,
            outcome=AttemptOutcome.FAILED,
            lease_until=None,
            error_kind=ErrorKind.OVERLOADED,
            error_message="no capacity",
            latency_seconds=0.25,
            cost=Cost(Money(0), CostSource.NOT_CHARGED),
        )
        second = attrs.evolve(first, id=clock.new_id(), number=2, provider="other")
        await store.settle(OWNER, record.id, MAIN, Settlement(failed, next_attempt=second))
        done = _settled(clock, second, (Text("Hi"),), cost=Cost(Money(7), price_row="row"))
        await store.settle(OWNER, record.id, MAIN, done)

        assert [failed, done.attempt] == await store.get_attempts(OWNER, record.id)
        stored = await store.get_conversation(OWNER, record.id)
        assert (2, CostTotal(Money(7))) == (stored.message_count, stored.cost)

    async def test_attempts_stand_in_order_when_the_clock_is_set_back(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What was said and tried first comes first, whatever the time in its id."""
        record = await self._begin(store, clock)
        first = await self._say(store, clock, record, "one")
        clock.advance(-3600)
        second = attrs.evolve(first, id=clock.new_id(), number=2)
        failed = attrs.evolve(first, outcome=AttemptOutcome.FAILED, lease_until=None)
        await store.settle(OWNER, record.id, MAIN, Settlement(failed, next_attempt=second))
        await store.settle(OWNER, record.id, MAIN, _settled(clock, second, (Text("ONE"),)))
        clock.advance(-3600)
        third = await self._say(store, clock, record, "two")

        assert third.id < second.id < first.id
        assert [first.id, second.id, third.id] == [
            attempt.id for attempt in await store.get_attempts(OWNER, record.id)
        ]

    async def test_an_unknown_cost_is_counted_apart(self, store: Store, clock: StandingClock) -> None:
        """An unknown cost is never added as a zero."""
        record = await self._begin(store, clock)
        attempt = await self._say(store, clock, record, "Hello")
        await store.settle(OWNER, record.id, MAIN, _settled(clock, attempt, (Text("Hi"),), cost=None))

        assert CostTotal(Money(0), 1) == (await store.get_conversation(OWNER, record.id)).cost

    async def test_conversations_are_listed_by_last_use(self, store: Store, clock: StandingClock) -> None:
        """The most recently used comes first, page by page, none twice and none left out."""
        records = [await self._begin(store, clock, title=str(number)) for number in range(5)]
        clock.advance(1)
        await store.update_title(OWNER, records[1].id, "renamed", clock.now())

        first = await store.find_conversations(OWNER, limit=2)
        second = await store.find_conversations(OWNER, limit=2, after=first[-1])
        third = await store.find_conversations(OWNER, limit=2, after=second[-1])
        assert [["renamed", "4"], ["3", "2"], ["0"]] == [
            [record.title for record in page] for page in (first, second, third)
        ]

    async def test_a_branch_goes_on_with_another_provider(self, store: Store, clock: StandingClock) -> None:
        """The provider and the model of a branch can be changed."""
        record = await self._begin(store, clock)
        await store.update_target(OWNER, record.id, MAIN, provider="xai", model="grok-4.7", at=clock.now())

        branch = (await store.get_conversation(OWNER, record.id)).branch
        assert ("xai", "grok-4.7") == (branch.provider, branch.model)

    async def test_closing_twice_is_fine(self, store: Store, clock: StandingClock) -> None:
        """A store can be closed twice."""
        await self._begin(store, clock)

        await store.aclose()
        await store.aclose()

        assert store.location

    async def _begin(
        self,
        store: Store,
        clock: StandingClock,
        title: str | None = None,
        messages: tuple[Message, ...] = (),
    ) -> ConversationRecord:
        clock.advance(0.001)
        record = ConversationRecord(
            id=clock.new_id(),
            owner=OWNER,
            title=title,
            branch=Branch(
                MAIN,
                "openai",
                "gpt-6.1-sol",
                segment=clock.new_id(),
                head_id=messages[-1].id if messages else None,
                head_depth=len(messages) - 1,
            ),
            message_count=len(messages),
            cost=CostTotal(),
            created_at=clock.now(),
            updated_at=clock.now(),
        )
        await store.add_conversation(record, messages)
        return record

    async def _say(
        self, store: Store, clock: StandingClock, record: ConversationRecord, text: str
    ) -> Attempt:
        message = _user(clock, text)
        assert message.id is not None
        attempt = _attempt(clock, message.id)
        await store.add_user_message(OWNER, record.id, MAIN, message, attempt)
        return attempt


def _user(clock: StandingClock, text: str) -> Message:
    return attrs.evolve(
        Message.of(Role.USER, text), id=clock.new_id(), status=MessageStatus.PENDING, created_at=clock.now()
    )


def _attempt(clock: StandingClock, message_id: UUID) -> Attempt:
    return Attempt(
        id=clock.new_id(),
        message_id=message_id,
        number=1,
        provider="openai",
        model="gpt-6.1-sol",
        started_at=clock.now(),
        lease_until=clock.now() + timedelta(seconds=15),
    )


_CENT = Cost(Money.from_usd(Decimal("0.01")), price_row="row")


def _settled(
    clock: StandingClock, attempt: Attempt, parts: tuple[Part, ...], cost: Cost | None = _CENT
) -> Settlement:
    ended = attrs.evolve(
        attempt,
        outcome=AttemptOutcome.SUCCEEDED,
        lease_until=None,
        latency_seconds=1.5,
        usage=Usage(10, 0, 0, 5, None),
        cost=cost,
        raw_usage='{"total":15}',
    )
    answer = Message(
        Role.ASSISTANT,
        parts,
        id=clock.new_id(),
        provider=attempt.provider,
        model=attempt.model,
        resolved_model="snapshot",
        finish_reason=FinishReason.STOP,
        raw_finish_reason="completed",
        usage=ended.usage,
        cost=cost,
        latency_seconds=1.5,
        created_at=clock.now(),
    )
    return Settlement(ended, MessageStatus.COMPLETE, answer)
