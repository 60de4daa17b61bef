"""What every store promises about conversations and what is said in them."""

from __future__ import annotations

import asyncio
from uuid import UUID

import attrs
import pytest

from tertulia.contracts.store import Store
from tertulia.domain.media import Image, OpaqueState
from tertulia.domain.message import (
    Message,
    MessageStatus,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from tertulia.domain.usage import CostTotal, Money
from tertulia.errors import BranchNotFoundError, ConversationNotFoundError, MessageNotFoundError
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk, counted, make_record

PICTURE = Image(b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "image/png", detail="low")


class ConversationContract:
    """Conversations, their messages and their lists."""

    async def test_a_conversation_comes_back_as_it_was(self, store: Store, clock: StandingClock) -> None:
        """What was added is returned, equal in every field."""
        record = make_record(clock, "Trip to Lisbon")
        await store.add_conversation(record)

        assert record == await store.get_conversation(OWNER, record.id)
        assert [record.branch] == await store.find_branches(OWNER, record.id)

    async def test_the_first_messages_are_part_of_it(self, store: Store, clock: StandingClock) -> None:
        """What a conversation began with, such as its instructions, comes back first."""
        system = attrs.evolve(
            Message.of(Role.SYSTEM, "Be brief."), id=clock.new_id(), depth=0, created_at=clock.now()
        )
        talk = await Talk.begin(store, clock, messages=(system,))
        await talk.ask("Hello")

        messages = await talk.history()
        assert ["Be brief.", "Hello"] == [message.text for message in messages]
        assert (counted(system), system.id) == (messages[0], messages[1].parent_id)

    async def test_what_belongs_to_another_owner_is_not_found(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Another owner finds nothing, by any operation."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("Hello")
        place, now, message = (STRANGER, talk.id), clock.now(), talk.make_message("Hi")

        operations = (
            lambda: store.get_conversation(*place),
            lambda: store.update_title(*place, "mine", now),
            lambda: store.update_target(*place, MAIN, provider="p", model="m", at=now),
            lambda: store.get_messages(*place, MAIN),
            lambda: store.get_message(*place, attempt.message_id),
            lambda: store.add_user_message(*place, MAIN, message, attempt),
            lambda: store.add_message(*place, MAIN, message),
            lambda: store.add_attempt(*place, MAIN, attempt),
            lambda: store.add_branch(*place, "mine", source=MAIN, created_at=now),
            lambda: store.get_branch(*place, MAIN),
            lambda: store.find_branches(*place),
            lambda: store.update_active_branch(*place, MAIN, now),
            lambda: store.update_branch_name(*place, MAIN, "mine", now),
            lambda: store.remove_branch(*place, MAIN, now),
        )
        for operation in operations:
            with pytest.raises(ConversationNotFoundError):
                await operation()
        assert [[], []] == [await store.find_conversations(STRANGER), await store.get_attempts(*place)]
        assert ([MAIN], ["Hello"]) == (await talk.branch_names(), await talk.texts())

    async def test_messages_of_every_kind_come_back_equal(self, store: Store, clock: StandingClock) -> None:
        """Every kind of part, opaque state and any text survive the store unchanged."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("你好 👋 \u2028 line")
        encrypted = {"type": "reasoning", "encrypted_content": "x", "n": [1, None]}
        parts: tuple[Part, ...] = (
            Reasoning("thinking", OpaqueState("openai", encrypted)),
            Text("one"),
            Text("", OpaqueState("gemini", {"thoughtSignature": "c2ln"})),
            PICTURE,
            Image(url="https://example.com/cat.png"),
            ToolCall("call-1", "add", {"a": 1, "b": [1.5, {"c": None}]}),
            ToolCall("call-2", "add", None, "not json"),
            ToolResult("call-1", "add", "3", is_error=True),
            Refusal("no"),
        )
        stored = await talk.answer(attempt, *parts)

        user, answer = await talk.history()
        assert "你好 👋 \u2028 line" == user.text
        assert parts == answer.parts
        assert (stored, 1, user.id) == (answer, answer.depth, answer.parent_id)
        assert MessageStatus.COMPLETE is user.status

    async def test_a_picture_comes_back_wherever_it_was_sent(
        self, store: Store, clock: StandingClock
    ) -> None:
        """The same picture in two messages, with other words, comes back with each, in every reading."""
        talk = await Talk.begin(store, clock)
        sent = [
            attrs.evolve(talk.make_message(""), parts=parts)
            for parts in ((PICTURE, Text("What is this?")), (Text("And upside down?"), PICTURE, PICTURE))
        ]
        for message in sent:
            await store.add_message(OWNER, talk.id, MAIN, message)
        await talk.append("Thanks")

        assert [*(message.parts for message in sent), (Text("Thanks"),)] == [
            message.parts for message in await talk.history()
        ]
        (last_with_picture, _) = await store.get_messages(OWNER, talk.id, MAIN, limit=2)
        assert sent[1].parts == last_with_picture.parts
        assert sent[0].id is not None
        assert sent[0].parts == (await store.get_message(OWNER, talk.id, sent[0].id)).parts

    async def test_one_message_is_found_on_any_branch(self, store: Store, clock: StandingClock) -> None:
        """A message is found by its id, whatever branch it is on."""
        talk = await Talk.begin(store, clock)
        await talk.append("one")
        await talk.fork("other")
        await talk.append("two")
        aside = await talk.append("aside", "other")

        assert aside.id is not None
        assert aside == await store.get_message(OWNER, talk.id, aside.id)
        with pytest.raises(MessageNotFoundError) as caught:
            await store.get_message(OWNER, talk.id, UUID(int=7))
        assert UUID(int=7) == caught.value.message_id

    async def test_a_limit_counts_from_the_newest(self, store: Store, clock: StandingClock) -> None:
        """A limited history is the newest messages in order, also above a depth."""
        talk = await Talk.begin(store, clock)
        for text in ("one", "ONE", "two", "TWO", "three", "THREE"):
            await talk.append(text)

        assert ["three", "THREE"] == await talk.texts(limit=2)
        assert ["ONE", "two", "TWO"] == await talk.texts(limit=3, before_depth=4)
        assert [] == await talk.texts(limit=0)
        assert ["one"] == await talk.texts(limit=9, before_depth=1)

    async def test_an_unknown_branch_has_no_history(self, store: Store, clock: StandingClock) -> None:
        """Reading a branch that is not there is no empty history."""
        talk = await Talk.begin(store, clock)

        assert [] == await talk.history()
        with pytest.raises(BranchNotFoundError) as caught:
            await talk.history("mian")
        assert "mian" == caught.value.branch

    async def test_messages_are_appended_by_many_at_once_without_a_gap(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Fifty tasks append to one branch: every message has a place of its own, and follows another."""
        talk = await Talk.begin(store, clock)
        placed = await asyncio.gather(*(talk.append(str(number)) for number in range(50)))

        messages = await talk.history()
        assert list(range(50)) == [message.depth for message in messages]
        assert [None, *(message.id for message in messages[:-1])] == [each.parent_id for each in messages]
        assert {str(number) for number in range(50)} == {message.text for message in messages}
        assert {message.id: message for message in messages} == {message.id: message for message in placed}
        assert (50, 50) == ((await talk.record()).message_count, (await talk.branch()).version)

    async def test_what_was_asked_is_done_although_nobody_waits(
        self, store: Store, clock: StandingClock
    ) -> None:
        """An operation is carried out whole even when the task that waits for it is cancelled."""
        talk = await Talk.begin(store, clock)
        waiting = [asyncio.ensure_future(talk.append(str(number))) for number in range(5)]
        await asyncio.sleep(0)  # each has handed its operation over
        for task in waiting:
            task.cancel()
        await talk.append("5")

        assert ["0", "1", "2", "3", "4", "5"] == await talk.texts()
        assert {True} == {task.done() for task in waiting}  # a store may be done before it is cancelled

    async def test_an_unknown_cost_is_counted_apart(self, store: Store, clock: StandingClock) -> None:
        """An unknown cost is never added as a zero."""
        talk = await Talk.begin(store, clock)
        await talk.answer(await talk.ask("Hello"), Text("Hi"), cost=None)

        assert CostTotal(Money(0), 1) == (await talk.record()).cost

    async def test_conversations_are_listed_by_last_use(self, store: Store, clock: StandingClock) -> None:
        """The most recently used comes first, page by page, none twice and none left out."""
        talks = [await Talk.begin(store, clock, title=str(number)) for number in range(5)]
        clock.advance(1)
        await store.update_title(OWNER, talks[1].id, "renamed", clock.now())

        first = await store.find_conversations(OWNER, limit=2)
        second = await store.find_conversations(OWNER, limit=2, after=first[-1])
        third = await store.find_conversations(OWNER, limit=2, after=second[-1])
        assert [["renamed", "4"], ["3", "2"], ["0"]] == [
            [record.title for record in page] for page in (first, second, third)
        ]

    async def test_a_branch_goes_on_with_another_provider(self, store: Store, clock: StandingClock) -> None:
        """The provider and the model of a branch can be changed."""
        talk = await Talk.begin(store, clock)
        await store.update_target(OWNER, talk.id, MAIN, provider="xai", model="grok-4.7", at=clock.now())

        branch = (await talk.record()).branch
        assert ("xai", "grok-4.7") == (branch.provider, branch.model)
        with pytest.raises(BranchNotFoundError):
            await store.update_target(OWNER, talk.id, "mian", provider="p", model="m", at=clock.now())

    async def test_closing_twice_is_fine(self, store: Store, clock: StandingClock) -> None:
        """A store can be closed twice."""
        await Talk.begin(store, clock)

        await store.aclose()
        await store.aclose()

        assert store.location
