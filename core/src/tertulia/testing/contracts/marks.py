"""What every store promises about marks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from tertulia.contracts.store import Store
from tertulia.domain.library import MarkChange
from tertulia.domain.message import NO_MARK, Mark, Message
from tertulia.errors import ConversationNotFoundError, MessageNotFoundError
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk


def id_of(message: Message) -> UUID:
    """Its id, which a stored message has."""
    assert message.id is not None
    return message.id


class MarkContract:
    """What people say of messages."""

    async def test_a_mark_comes_with_its_message(self, store: Store, clock: StandingClock) -> None:
        """In every reading, on every branch; its neighbours have none."""
        talk = await Talk.begin(store, clock)
        first, second = [await talk.append(text) for text in ("one", "two")]
        await talk.fork("other")
        mark = Mark(True, False, 0.5, clock.now() + timedelta(days=1))
        change = MarkChange(pinned=True, importance=0.5, expires_at=mark.expires_at)

        assert mark == await store.update_mark(OWNER, talk.id, id_of(first), change)
        for branch in (MAIN, "other"):
            assert [mark, NO_MARK] == [message.mark for message in await talk.history(branch)]
        assert mark == (await store.get_message(OWNER, talk.id, id_of(first))).mark
        assert NO_MARK == (await store.get_message(OWNER, talk.id, id_of(second))).mark
        found = await store.find_messages(OWNER, talk.id)
        assert {"one": mark, "two": NO_MARK} == {message.text: message.mark for message in found}

    async def test_a_change_keeps_what_it_does_not_name(self, store: Store, clock: StandingClock) -> None:
        """What is not named stays, None takes away, and without anything said there is no mark."""
        talk = await Talk.begin(store, clock)
        message = id_of(await talk.append("one"))

        async def change(**fields: object) -> Mark:
            return await store.update_mark(OWNER, talk.id, message, MarkChange(**fields))  # type: ignore[arg-type]  # by name

        assert Mark(pinned=True) == await change(pinned=True)
        assert Mark(pinned=True, importance=0.0) == await change(importance=0.0)
        assert Mark(True, True, 0.0, clock.now()) == await change(hidden=True, expires_at=clock.now())
        assert Mark(True, True, 0.0, clock.now()) == await change()
        assert Mark(True, True) == await change(importance=None, expires_at=None)
        assert NO_MARK == await change(pinned=False, hidden=False)
        assert [NO_MARK] == [each.mark for each in await talk.history()]

    async def test_changes_of_many_at_once_are_all_there(self, store: Store, clock: StandingClock) -> None:
        """Nobody's change is lost to another's."""
        talk = await Talk.begin(store, clock)
        message = id_of(await talk.append("one"))
        changes = (MarkChange(pinned=True), MarkChange(hidden=True), MarkChange(importance=1.0))
        await asyncio.gather(*(store.update_mark(OWNER, talk.id, message, change) for change in changes))

        assert [Mark(True, True, 1.0)] == [each.mark for each in await talk.history()]

    async def test_many_marks_are_all_read(self, store: Store, clock: StandingClock) -> None:
        """However many messages are marked, each has its own mark, also in a short piece of the history."""
        talk = await Talk.begin(store, clock)
        messages = await asyncio.gather(*(talk.append(str(number)) for number in range(250)))
        await asyncio.gather(
            *(
                store.update_mark(
                    OWNER, talk.id, id_of(message), MarkChange(importance=(message.depth or 0) / 1000)
                )
                for message in messages
                if message.depth
            )
        )

        expected = [Mark(importance=depth / 1000) for depth in range(1, 250)]
        assert [NO_MARK, *expected] == [each.mark for each in await talk.history()]
        newest = await store.get_messages(OWNER, talk.id, MAIN, limit=2)
        assert expected[-2:] == [each.mark for each in newest]

    async def test_what_is_not_there_cannot_be_marked(self, store: Store, clock: StandingClock) -> None:
        """An unknown message, an unknown conversation, another owner's and a deleted one are errors."""
        talk = await Talk.begin(store, clock)
        message = id_of(await talk.append("one"))
        change = MarkChange(pinned=True)

        with pytest.raises(MessageNotFoundError) as caught:
            await store.update_mark(OWNER, talk.id, UUID(int=7), change)
        assert UUID(int=7) == caught.value.message_id
        for owner, identifier in ((OWNER, UUID(int=7)), (STRANGER, talk.id)):
            with pytest.raises(ConversationNotFoundError):
                await store.update_mark(owner, identifier, message, change)
        await store.remove_conversation(OWNER, talk.id, clock.now())
        with pytest.raises(ConversationNotFoundError):
            await store.update_mark(OWNER, talk.id, message, change)
        assert [NO_MARK] == [each.mark for each in await talk.history()]
