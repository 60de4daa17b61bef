"""The core's own answers to the hooks: what happens when nobody else does."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from tertulia.contracts.context import ContextView
from tertulia.contracts.hookspecs import hookimpl
from tertulia.contracts.store import Store
from tertulia.domain.context import Context, Window
from tertulia.domain.exchange import Request
from tertulia.domain.message import Message
from tertulia.domain.tokens import TokenWeights
from tertulia.runtime.clock import Clock
from tertulia.runtime.counting.tokens import count_messages
from tertulia.runtime.plugins import CoreDefaults
from tertulia.services.context.default import format_context
from tertulia.services.context.view import PathView


class Defaults(CoreDefaults):
    """Answers last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @hookimpl(trylast=True)
    def count_tokens(self, messages: Sequence[Message], weights: TokenWeights) -> int:
        """Estimate words from their letters, and the rest by the provider's own weights."""
        return count_messages(messages, weights)

    @hookimpl(trylast=True)
    def format_context(
        self, view: ContextView, request: Request, window: Window
    ) -> Coroutine[Any, Any, Context]:
        """Keep everything, or what the chosen strategy does."""
        assert isinstance(view, PathView)  # noqa: S101  # there is no other
        return format_context(view, request, window)

    @hookimpl(trylast=True)
    def open_store(self, url: str) -> Store | None:
        """Open SQLite or PostgreSQL."""
        if url.partition(":")[0] not in {"sqlite", "memory", "postgresql", "postgres", "postgresql+asyncpg"}:
            return None
        from tertulia.builtin.sql.store import SQLStore

        return SQLStore(url, self._clock)
