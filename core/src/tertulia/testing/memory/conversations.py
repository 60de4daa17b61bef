"""Conversations: begun, found, put away and taken out again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import attrs

from tertulia.contracts.stores.conversations import ConversationStore
from tertulia.domain.conversation import ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, Order, SearchHit
from tertulia.domain.message import Message, Role
from tertulia.domain.metadata import merge_patch
from tertulia.domain.transfer import MAX_NAME
from tertulia.domain.usage import CostTotal
from tertulia.errors import StoreError
from tertulia.runtime.serialization import encode_json
from tertulia.testing.memory import answers
from tertulia.testing.memory.choosing import is_meant, order_key
from tertulia.testing.memory.finding import find_hits
from tertulia.testing.memory.kept import Kept
from tertulia.testing.memory.part import Part
from tertulia.testing.memory.refusals import explain_no_json, explain_no_tag, explain_not_deleted


class Conversations(Part, ConversationStore):
    """Conversations as a whole."""

    async def add_conversation(self, record: ConversationRecord, messages: Sequence[Message] = ()) -> None:
        """Store a new conversation with its first messages."""
        shelf = self._owners.setdefault(record.owner, {})
        if record.id in shelf:
            raise StoreError(
                f"there is a conversation {record.id} already",
                kept="it was left as it is",
                next_step="use an id of its own",
            )
        branch = attrs.evolve(
            record.branch, created_at=record.branch.created_at or record.created_at, cost=CostTotal()
        )
        kept = Kept(attrs.evolve(record, tags=tuple(sorted(record.tags))), branch.name)
        kept.branches[branch.name] = branch
        for message in messages:
            assert message.id is not None and message.depth is not None  # noqa: PT018  # as the contract says
            kept.messages[message.id] = answers.place(message, message.parent_id, message.depth)
        shelf[record.id] = kept

    async def update_title(self, owner: str, conversation_id: UUID, title: str | None, at: datetime) -> None:
        """Rename a conversation."""
        self._update(self._find_open(owner, conversation_id), title=title, updated_at=at)

    async def get_conversation(
        self, owner: str, conversation_id: UUID, *, deleted: bool = False
    ) -> ConversationRecord:
        """Return one conversation."""
        find = self._find if deleted else self._find_open
        return find(owner, conversation_id).read_record()

    async def find_conversations(
        self,
        owner: str,
        *,
        where: ConversationFilter = ConversationFilter(),
        order: Order = Order.RECENT,
        limit: int = 50,
        after: ConversationRecord | None = None,
    ) -> list[ConversationRecord]:
        """Return a page of conversations."""
        records = [kept.read_record() for kept in self._find_all(owner) if is_meant(kept, where)]
        records.sort(key=lambda record: order_key(record, order))
        if after is not None:
            last = order_key(after, order)
            records = [record for record in records if order_key(record, order) > last]
        return records[:limit]

    async def search(
        self,
        owner: str,
        query: str,
        *,
        limit: int = 20,
        conversation_id: UUID | None = None,
        role: Role | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[SearchHit]:
        """Find messages and titles that hold every word of a query."""
        searched = [
            kept
            for kept in self._find_all(owner)
            if not kept.is_deleted and conversation_id in (None, kept.record.id)
        ]
        hits = [hit for kept in searched for hit in find_hits(kept, query, role)]
        period = [hit for hit in hits if _is_within(hit.created_at, since, until)]
        return sorted(period, key=_relevance)[:limit]

    async def update_state(
        self,
        owner: str,
        conversation_id: UUID,
        state: Literal[ConversationState.ACTIVE, ConversationState.ARCHIVED],
        at: datetime,
    ) -> None:
        """Archive a conversation, or take it back."""
        self._update(self._find_open(owner, conversation_id), state=state, updated_at=at)

    async def remove_conversation(
        self, owner: str, conversation_id: UUID, at: datetime, *, purge_after: datetime | None = None
    ) -> None:
        """Delete a conversation so that it can be restored."""
        kept = self._find_open(owner, conversation_id)
        kept.state_before = kept.record.state
        self._update(
            kept,
            state=ConversationState.DELETED,
            deleted_at=at,
            purge_after=purge_after,
            updated_at=at,
        )

    async def restore_conversation(self, owner: str, conversation_id: UUID, at: datetime) -> None:
        """Take a deleted conversation back, to where it was."""
        kept = self._find(owner, conversation_id)
        if kept.is_deleted:
            self._update(kept, state=kept.state_before, deleted_at=None, purge_after=None, updated_at=at)

    async def purge_conversation(self, owner: str, conversation_id: UUID) -> None:
        """Remove a deleted conversation for good."""
        if not self._find(owner, conversation_id).is_deleted:
            raise explain_not_deleted(conversation_id)
        del self._owners[owner][conversation_id]

    async def purge_expired(self, owner: str, at: datetime, *, limit: int = 100) -> list[UUID]:
        """Purge deleted conversations whose time has come."""
        records = [kept.record for kept in self._find_all(owner) if kept.is_deleted]
        due = [(each.purge_after, each.id) for each in records if each.purge_after and each.purge_after <= at]
        purged = [conversation_id for _, conversation_id in sorted(due)[:limit]]
        for conversation_id in purged:
            del self._owners[owner][conversation_id]
        return purged

    async def patch_metadata(
        self, owner: str, conversation_id: UUID, patch: Mapping[str, Any], at: datetime
    ) -> Mapping[str, Any]:
        """Change metadata by a JSON merge patch (RFC 7396)."""
        kept = self._find_open(owner, conversation_id)
        metadata = _read_json(merge_patch(kept.record.metadata, patch))
        self._update(kept, metadata=metadata, updated_at=at)
        return metadata

    async def update_tags(
        self,
        owner: str,
        conversation_id: UUID,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        at: datetime,
    ) -> tuple[str, ...]:
        """Add tags and take others away."""
        kept = self._find_open(owner, conversation_id)
        for tag in add:
            _check_tag(tag)
        tags = tuple(sorted({*kept.record.tags}.difference(remove).union(add)))
        self._update(kept, tags=tags, updated_at=at)
        return tags

    async def find_tags(self, owner: str) -> dict[str, int]:
        """Return every tag in alphabetical order, with how many conversations have it."""
        given = [tag for kept in self._find_all(owner) if not kept.is_deleted for tag in kept.record.tags]
        return {tag: given.count(tag) for tag in sorted(set(given))}

    def _update(self, kept: Kept, **changes: Any) -> None:
        kept.record = attrs.evolve(kept.record, **changes)


def _read_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as they will be read, which share nothing with what the caller has."""
    try:
        return dict(json.loads(encode_json(value)))
    except (TypeError, ValueError, RecursionError) as error:
        raise explain_no_json(error) from error


def _check_tag(tag: str) -> None:
    if not 1 <= len(tag) <= MAX_NAME:
        raise explain_no_tag(tag, MAX_NAME)


def _is_within(moment: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    if moment is None:
        return since is None and until is None
    return (since is None or since <= moment) and (until is None or moment < until)


def _relevance(hit: SearchHit) -> tuple[float, float]:
    newest_first = 0.0 if hit.created_at is None else -hit.created_at.timestamp()
    return -hit.score, newest_first
