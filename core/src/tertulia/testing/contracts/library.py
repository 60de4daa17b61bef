"""What every store promises about conversations put away and taken out again, and what is kept with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import attrs
import pytest

from tertulia.contracts.store import Store
from tertulia.domain.conversation import ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, MarkChange
from tertulia.domain.media import Image
from tertulia.domain.message import Text
from tertulia.errors import ConversationNotFoundError, StoreError
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk, make_record

PICTURE = Image(b"\x89PNG\r\n\x1a\n" + bytes(1000), "image/png")
EVERYWHERE = ConversationFilter(states=())
DELETED = ConversationFilter(states=(ConversationState.DELETED,))


async def find_ids(store: Store, where: ConversationFilter = ConversationFilter()) -> list[UUID]:
    """A list, by ids."""
    return [record.id for record in await store.find_conversations(OWNER, where=where, limit=1000)]


async def get_any(store: Store, talk: Talk) -> ConversationRecord:
    """A conversation, deleted or not."""
    return await store.get_conversation(OWNER, talk.id, deleted=True)


class LibraryContract:
    """States, tags and metadata."""

    async def test_an_archived_conversation_is_out_of_the_way(
        self, store: Store, clock: StandingClock
    ) -> None:
        """It is in no usual list, can be read and gone on with, and comes back."""
        talk = await Talk.begin(store, clock)
        clock.advance(1)
        await store.update_state(OWNER, talk.id, ConversationState.ARCHIVED, clock.now())

        assert [] == await find_ids(store)
        await talk.append("still here")
        record = await talk.record()
        assert (ConversationState.ARCHIVED, 1) == (record.state, record.message_count)
        await store.update_state(OWNER, talk.id, ConversationState.ACTIVE, clock.now())
        assert [talk.id] == await find_ids(store)
        assert clock.now() == (await talk.record()).updated_at

    async def test_a_deleted_conversation_is_found_by_who_asks_for_it(
        self, store: Store, clock: StandingClock
    ) -> None:
        """It is not found otherwise, and nothing is added to it; reading it is left to who knows its id."""
        talk = await Talk.begin(store, clock, "Trip")
        await talk.append("Hello")
        clock.advance(1)
        due = clock.now() + timedelta(days=30)
        await store.remove_conversation(OWNER, talk.id, clock.now(), purge_after=due)

        assert [] == await find_ids(store)
        assert [talk.id] == await find_ids(store, DELETED)
        with pytest.raises(ConversationNotFoundError, match="is deleted; restore it"):
            await talk.record()
        with pytest.raises(ConversationNotFoundError):
            await talk.append("more")
        record = await get_any(store, talk)
        assert (ConversationState.DELETED, clock.now(), due) == (
            record.state,
            record.deleted_at,
            record.purge_after,
        )

    @pytest.mark.parametrize("state", [ConversationState.ACTIVE, ConversationState.ARCHIVED])
    async def test_a_restored_conversation_is_where_it_was(
        self, store: Store, clock: StandingClock, state: Any
    ) -> None:
        """An archived one is archived again, with all that was said, and can be gone on with."""
        talk = await Talk.begin(store, clock)
        await talk.append("one")
        await store.update_state(OWNER, talk.id, state, clock.now())
        before = await talk.record()
        await store.remove_conversation(OWNER, talk.id, clock.now(), purge_after=clock.now())
        await store.restore_conversation(OWNER, talk.id, clock.now())

        assert before == await talk.record()
        await talk.append("two")
        assert ["one", "two"] == await talk.texts()
        assert [] == await store.purge_expired(OWNER, clock.now() + timedelta(days=999))

    async def test_restoring_what_is_not_deleted_changes_nothing(
        self, store: Store, clock: StandingClock
    ) -> None:
        """It is where it was."""
        talk = await Talk.begin(store, clock)
        await store.update_state(OWNER, talk.id, ConversationState.ARCHIVED, clock.now())
        before = await talk.record()
        clock.advance(1)
        await store.restore_conversation(OWNER, talk.id, clock.now())

        assert before == await talk.record()

    async def test_an_answer_under_way_is_stored_in_a_deleted_conversation(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What was asked before it was deleted is there when it is restored."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("Hello")
        await store.remove_conversation(OWNER, talk.id, clock.now())
        await talk.answer(attempt, Text("Hi"))
        await store.restore_conversation(OWNER, talk.id, clock.now())

        assert ["Hello", "Hi"] == await talk.texts()

    async def test_what_is_purged_is_gone(self, store: Store, clock: StandingClock) -> None:
        """Nothing of it is found by any operation, and its id can be used again."""
        talk = await Talk.begin(store, clock, "Trip to Lisbon")
        attempt = await talk.ask("Where is the river?")
        answer = await talk.answer(attempt, Text("Here"), PICTURE)
        assert answer is not None
        assert answer.id is not None
        await talk.fork("other")
        await store.update_tags(OWNER, talk.id, add=["work"], at=clock.now())
        await store.update_mark(OWNER, talk.id, answer.id, MarkChange(pinned=True))
        await store.remove_conversation(OWNER, talk.id, clock.now())
        await store.purge_conversation(OWNER, talk.id)

        assert [] == await find_ids(store, EVERYWHERE)
        assert ({}, []) == (await store.find_tags(OWNER), await talk.attempts())
        for query in ("Lisbon", "river", "here"):
            assert [] == await store.search(OWNER, query)
        operations: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: get_any(store, talk),
            lambda: store.find_messages(OWNER, talk.id),
            lambda: store.restore_conversation(OWNER, talk.id, clock.now()),
            lambda: store.purge_conversation(OWNER, talk.id),
            lambda: talk.append("more"),
        )
        for operation in operations:
            with pytest.raises(ConversationNotFoundError):
                await operation()
        record = attrs.evolve(make_record(clock, "again"), id=talk.id)
        await store.add_conversation(record)
        assert record == await store.get_conversation(OWNER, talk.id)

    async def test_a_picture_stays_while_another_conversation_has_it(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Purging one conversation takes no bytes from another one."""
        talks = [await Talk.begin(store, clock) for _ in range(2)]
        for talk in talks:
            message = attrs.evolve(talk.make_message(""), parts=(PICTURE, Text("this")))
            await store.add_message(OWNER, talk.id, MAIN, message)
        await store.remove_conversation(OWNER, talks[0].id, clock.now())
        await store.purge_conversation(OWNER, talks[0].id)

        (message,) = await talks[1].history()
        assert (PICTURE, Text("this")) == message.parts

    async def test_only_what_is_deleted_is_purged(self, store: Store, clock: StandingClock) -> None:
        """One that is active or archived stays, whoever asks."""
        talk = await Talk.begin(store, clock)
        for state in (ConversationState.ACTIVE, ConversationState.ARCHIVED):
            await store.update_state(OWNER, talk.id, state, clock.now())
            with pytest.raises(ConversationNotFoundError, match="is not deleted"):
                await store.purge_conversation(OWNER, talk.id)
        assert talk.id == (await talk.record()).id

    async def test_what_has_expired_is_purged(self, store: Store, clock: StandingClock) -> None:
        """Of those whose time has come at most so many go, the longest overdue first; no others."""
        talks = [await Talk.begin(store, clock) for _ in range(5)]
        kept, never, later, second, first = talks
        now = clock.now()
        await store.remove_conversation(OWNER, never.id, now)
        for talk, hours in ((later, 5), (second, 2), (first, 1)):
            await store.remove_conversation(OWNER, talk.id, now, purge_after=now + timedelta(hours=hours))

        due = now + timedelta(hours=2)
        assert [] == await store.purge_expired(OWNER, now)
        assert [] == await store.purge_expired(STRANGER, due)
        assert [] == await store.purge_expired(OWNER, due, limit=0)
        assert [first.id] == await store.purge_expired(OWNER, due, limit=1)
        assert [second.id] == await store.purge_expired(OWNER, due)
        assert [] == await store.purge_expired(OWNER, due)
        assert {kept.id, never.id, later.id} == set(await find_ids(store, EVERYWHERE))

    async def test_what_is_not_there_cannot_be_put_away(self, store: Store, clock: StandingClock) -> None:
        """Each operation says so: of an unknown one, of another owner's, of one that is deleted already."""
        talk, gone = [await Talk.begin(store, clock) for _ in range(2)]
        await store.remove_conversation(OWNER, gone.id, clock.now())
        now = clock.now()
        for owner, identifier in ((OWNER, UUID(int=7)), (STRANGER, talk.id), (OWNER, gone.id)):
            operations: tuple[Callable[[str, UUID], Awaitable[Any]], ...] = (
                lambda owner, id_: store.update_state(owner, id_, ConversationState.ARCHIVED, now),
                lambda owner, id_: store.remove_conversation(owner, id_, now),
                lambda owner, id_: store.patch_metadata(owner, id_, {"a": 1}, now),
                lambda owner, id_: store.update_tags(owner, id_, add=["a"], at=now),
            )
            for operation in operations:
                with pytest.raises(ConversationNotFoundError) as caught:
                    await operation(owner, identifier)
                assert identifier == caught.value.conversation_id
        for owner, identifier in ((OWNER, UUID(int=7)), (STRANGER, gone.id)):
            with pytest.raises(ConversationNotFoundError):
                await store.restore_conversation(owner, identifier, now)
            with pytest.raises(ConversationNotFoundError):
                await store.purge_conversation(owner, identifier)
        assert ConversationState.ACTIVE is (await talk.record()).state
        assert ConversationState.DELETED is (await get_any(store, gone)).state

    async def test_a_patch_changes_what_it_names(self, store: Store, clock: StandingClock) -> None:
        """A value replaces, an object goes deeper, null removes, and the rest stays."""
        talk = await Talk.begin(store, clock)
        first = {"customer": {"plan": "free", "seats": [1, 2]}, "note": "ü \0 👋"}
        assert first == await store.patch_metadata(OWNER, talk.id, first, clock.now())
        clock.advance(1)
        patch = {"customer": {"plan": "pro", "seats": None, "since": 2026}, "note": None, "none": None}
        patched = await store.patch_metadata(OWNER, talk.id, patch, clock.now())

        assert {"customer": {"plan": "pro", "since": 2026}} == patched
        record = await talk.record()
        assert (patched, clock.now()) == (record.metadata, record.updated_at)
        assert {} == await store.patch_metadata(OWNER, talk.id, {"customer": None}, clock.now())
        assert {} == (await talk.record()).metadata

    async def test_patches_of_many_at_once_are_all_there(self, store: Store, clock: StandingClock) -> None:
        """Nobody's change is lost to another's."""
        talk = await Talk.begin(store, clock)
        await asyncio.gather(
            *(store.patch_metadata(OWNER, talk.id, {str(n): {"n": n}}, clock.now()) for n in range(20))
        )

        assert {str(n): {"n": n} for n in range(20)} == (await talk.record()).metadata

    async def test_metadata_that_are_no_json_are_refused(self, store: Store, clock: StandingClock) -> None:
        """The error says so, and what was there stays."""
        talk = await Talk.begin(store, clock)
        await store.patch_metadata(OWNER, talk.id, {"a": 1}, clock.now())

        with pytest.raises(StoreError, match="no JSON"):
            await store.patch_metadata(OWNER, talk.id, {"a": object()}, clock.now())
        assert {"a": 1} == (await talk.record()).metadata

    async def test_tags_are_a_set(self, store: Store, clock: StandingClock) -> None:
        """What is there is not added again, what is not is not missed, and they are in alphabetical order."""
        talk = await Talk.begin(store, clock)
        clock.advance(1)
        added = await store.update_tags(OWNER, talk.id, add=["b", "ä", "a", "b", "Z"], at=clock.now())

        assert ("Z", "a", "b", "ä") == added
        assert ("Z", "b", "c", "ä") == await store.update_tags(
            OWNER, talk.id, add=["c", "b"], remove=["a", "none"], at=clock.now()
        )
        record = await talk.record()
        assert (("Z", "b", "c", "ä"), clock.now()) == (record.tags, record.updated_at)
        assert ("Z", "b", "c", "ä") == await store.update_tags(OWNER, talk.id, at=clock.now())

    async def test_a_tag_that_is_added_and_removed_is_there(self, store: Store, clock: StandingClock) -> None:
        """Removing comes first."""
        talk = await Talk.begin(store, clock)

        assert ("a",) == await store.update_tags(OWNER, talk.id, add=["a"], remove=["a"], at=clock.now())

    @pytest.mark.parametrize("tag", ["", "x" * 201])
    async def test_a_tag_of_no_length_is_refused(self, store: Store, clock: StandingClock, tag: str) -> None:
        """A tag has 1 to 200 characters; the others are not added either."""
        talk = await Talk.begin(store, clock)
        with pytest.raises(StoreError, match="1 to 200 characters"):
            await store.update_tags(OWNER, talk.id, add=["good", tag], at=clock.now())

        assert () == (await talk.record()).tags
        assert ("y" * 200,) == await store.update_tags(OWNER, talk.id, add=["y" * 200], at=clock.now())

    async def test_tags_are_counted(self, store: Store, clock: StandingClock) -> None:
        """In alphabetical order, archived conversations with the others, deleted ones aside."""
        talks = [await Talk.begin(store, clock) for _ in range(3)]
        for talk, tags in zip(talks, (["work", "Z"], ["work"], ["work", "gone"]), strict=True):
            await store.update_tags(OWNER, talk.id, add=tags, at=clock.now())
        await store.update_state(OWNER, talks[0].id, ConversationState.ARCHIVED, clock.now())
        await store.remove_conversation(OWNER, talks[2].id, clock.now())

        assert [("Z", 1), ("work", 2)] == list((await store.find_tags(OWNER)).items())
