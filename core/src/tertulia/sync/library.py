"""Stored conversations, as a blocking client has them."""

# ruff: noqa: D102  # a method without a docstring has that of its twin

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from tertulia.domain.conversation import ConversationRecord
from tertulia.domain.library import ConversationFilter, Order, SearchHit
from tertulia.domain.message import Role
from tertulia.domain.statistics import CostAnalysis, CostGroup, Statistics
from tertulia.domain.transfer import ImportReport
from tertulia.domain.upkeep import StoreReport
from tertulia.runtime.loop_thread import LoopThread
from tertulia.services.library import Library as AsyncLibrary
from tertulia.services.library import Progress
from tertulia.sync.twins import documented_by


@documented_by(AsyncLibrary)
class Library:
    """What a client does with stored conversations; its calls block."""

    def __init__(self, thread: LoopThread, twin: AsyncLibrary) -> None:
        self._thread = thread
        self._library = twin

    def list(
        self,
        *,
        where: ConversationFilter = ConversationFilter(),
        order: Order = Order.RECENT,
        limit: int = 50,
        after: ConversationRecord | None = None,
    ) -> list[ConversationRecord]:
        return self._thread.run(self._library.list(where=where, order=order, limit=limit, after=after))

    def record(self, conversation_id: UUID | str, *, deleted: bool = False) -> ConversationRecord:
        return self._thread.run(self._library.record(conversation_id, deleted=deleted))

    def search(
        self,
        query: str,
        *,
        limit: int = 20,
        conversation: UUID | str | None = None,
        role: Role | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Sequence[SearchHit]:
        return self._thread.run(
            self._library.search(
                query, limit=limit, conversation=conversation, role=role, since=since, until=until
            )
        )

    def archive(self, conversation_id: UUID | str) -> None:
        self._thread.run(self._library.archive(conversation_id))

    def unarchive(self, conversation_id: UUID | str) -> None:
        self._thread.run(self._library.unarchive(conversation_id))

    def delete(self, conversation_id: UUID | str, *, keep_for: timedelta | None = None) -> None:
        self._thread.run(self._library.delete(conversation_id, keep_for=keep_for))

    def restore(self, conversation_id: UUID | str) -> None:
        self._thread.run(self._library.restore(conversation_id))

    def purge(self, conversation_id: UUID | str) -> None:
        self._thread.run(self._library.purge(conversation_id))

    def purge_expired(self, *, limit: int = 100) -> Sequence[UUID]:
        return self._thread.run(self._library.purge_expired(limit=limit))

    def tag(self, conversation_id: UUID | str, *tags: str) -> tuple[str, ...]:
        return self._thread.run(self._library.tag(conversation_id, *tags))

    def untag(self, conversation_id: UUID | str, *tags: str) -> tuple[str, ...]:
        return self._thread.run(self._library.untag(conversation_id, *tags))

    def tags(self) -> dict[str, int]:
        return self._thread.run(self._library.tags())

    def patch_metadata(self, conversation_id: UUID | str, patch: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._thread.run(self._library.patch_metadata(conversation_id, patch))

    def statistics(
        self,
        conversation: UUID | str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        time_zone: str = "UTC",
    ) -> Statistics:
        return self._thread.run(
            self._library.statistics(conversation, since=since, until=until, time_zone=time_zone)
        )

    def costs(
        self,
        *by: CostGroup | str,
        since: datetime | None = None,
        until: datetime | None = None,
        time_zone: str = "UTC",
        provider: str | None = None,
        model: str | None = None,
        conversation: UUID | str | None = None,
        tag: str | None = None,
        all_owners: bool = False,
    ) -> CostAnalysis:
        return self._thread.run(
            self._library.costs(
                *by,
                since=since,
                until=until,
                time_zone=time_zone,
                provider=provider,
                model=model,
                conversation=conversation,
                tag=tag,
                all_owners=all_owners,
            )
        )

    def export(
        self,
        target: str | Path,
        *,
        conversations: Iterable[UUID | str] | None = None,
        progress: Progress | None = None,
    ) -> int:
        return self._thread.run(self._library.export(target, conversations=conversations, progress=progress))

    def import_conversations(
        self,
        source: str | Path,
        *,
        format: Literal["auto", "jsonl", "chatgpt", "llm"] = "auto",  # noqa: A002  # as its twin's
        on_error: Literal["skip", "refuse"] = "skip",
        progress: Progress | None = None,
    ) -> ImportReport:
        return self._thread.run(
            self._library.import_conversations(source, format=format, on_error=on_error, progress=progress)
        )

    def check_store(self) -> StoreReport:
        return self._thread.run(self._library.check_store())

    def rebuild_statistics(self) -> int:
        return self._thread.run(self._library.rebuild_statistics())

    def rebuild_search(self) -> int:
        return self._thread.run(self._library.rebuild_search())
