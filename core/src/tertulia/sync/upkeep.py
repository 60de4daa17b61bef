"""The upkeep of a conversation, blocking."""

# ruff: noqa: D102  # a method without a docstring has that of its twin

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from tertulia.domain.context import ContextOptions
from tertulia.domain.conversation import (
    Attempt,
    Branch,
    ConversationRecord,
    CostReport,
    ProviderSession,
)
from tertulia.domain.exchange import Reply
from tertulia.domain.library import MergeReport
from tertulia.domain.message import Mark, Message
from tertulia.domain.statistics import Statistics
from tertulia.runtime.loop_thread import LoopThread
from tertulia.services.arguments import Place
from tertulia.services.upkeep import Upkeep as AsyncUpkeep
from tertulia.sync.twins import documented_by


@documented_by(AsyncUpkeep)
class Upkeep:
    """What can be done with a conversation beside talking; its calls block."""

    def __init__(self, thread: LoopThread, twin: AsyncUpkeep) -> None:
        self._thread = thread
        self._upkeep = twin

    @property
    def id(self) -> UUID:
        """A UUIDv7."""
        return self._upkeep.id

    @property
    def title(self) -> str | None:
        return self._upkeep.title

    @property
    def branch(self) -> str:
        return self._upkeep.branch

    @property
    def provider(self) -> str:
        return self._upkeep.provider

    @property
    def model(self) -> str:
        return self._upkeep.model

    def record(self) -> ConversationRecord:
        return self._thread.run(self._upkeep.record())

    def history(self, limit: int | None = None) -> list[Message]:
        return self._thread.run(self._upkeep.history(limit))

    def branches(self) -> list[Branch]:
        return self._thread.run(self._upkeep.branches())

    def attempts(self) -> list[Attempt]:
        return self._thread.run(self._upkeep.attempts())

    def sessions(self) -> list[ProviderSession]:
        return self._thread.run(self._upkeep.sessions())

    def cost(self) -> CostReport:
        return self._thread.run(self._upkeep.cost())

    def statistics(
        self, *, since: datetime | None = None, until: datetime | None = None, time_zone: str = "UTC"
    ) -> Statistics:
        return self._thread.run(self._upkeep.statistics(since=since, until=until, time_zone=time_zone))

    def rename(self, title: str | None) -> None:
        self._thread.run(self._upkeep.rename(title))

    def suggest_title(self, target: str | None = None) -> str:
        return self._thread.run(self._upkeep.suggest_title(target))

    def save(self, reply: Reply) -> Message:
        return self._thread.run(self._upkeep.save(reply))

    def archive(self) -> None:
        self._thread.run(self._upkeep.archive())

    def unarchive(self) -> None:
        self._thread.run(self._upkeep.unarchive())

    def delete(self, *, keep_for: timedelta | None = None) -> None:
        self._thread.run(self._upkeep.delete(keep_for=keep_for))

    def restore(self) -> None:
        self._thread.run(self._upkeep.restore())

    def tag(self, *tags: str) -> tuple[str, ...]:
        return self._thread.run(self._upkeep.tag(*tags))

    def untag(self, *tags: str) -> tuple[str, ...]:
        return self._thread.run(self._upkeep.untag(*tags))

    def patch_metadata(self, patch: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._thread.run(self._upkeep.patch_metadata(patch))

    def mark(
        self,
        message: Place,
        *,
        pinned: bool | Literal["keep"] = "keep",
        hidden: bool | Literal["keep"] = "keep",
        importance: float | Literal["keep"] | None = "keep",
        expires_at: datetime | Literal["keep"] | None = "keep",
    ) -> Mark:
        return self._thread.run(
            self._upkeep.mark(
                message, pinned=pinned, hidden=hidden, importance=importance, expires_at=expires_at
            )
        )

    def pin(self, message: Place) -> Mark:
        return self._thread.run(self._upkeep.pin(message))

    def unpin(self, message: Place) -> Mark:
        return self._thread.run(self._upkeep.unpin(message))

    def hide(self, message: Place) -> Mark:
        return self._thread.run(self._upkeep.hide(message))

    def unhide(self, message: Place) -> Mark:
        return self._thread.run(self._upkeep.unhide(message))

    @property
    def context(self) -> ContextOptions:
        return self._upkeep.context

    def set_context(self, options: ContextOptions) -> None:
        self._thread.run(self._upkeep.set_context(options))

    def merge(self, source: str) -> MergeReport:
        return self._thread.run(self._upkeep.merge(source))

    def to_markdown(self) -> str:
        return self._thread.run(self._upkeep.to_markdown())
