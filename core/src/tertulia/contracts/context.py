"""What a context strategy may ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tertulia.domain.message import Message


class ContextView(Protocol):
    """
    The conversation behind a request, as a context strategy sees it.

    Messages that no provider answered are not in it.
    """

    async def history(self, limit: int | None = None) -> Sequence[Message]:
        """
        Return what was said before the newest user message, oldest first, without system messages.

        Args:
            limit: The newest so many; None for all.
        """
        ...

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Estimate the tokens of some messages for the request's target."""
        ...
