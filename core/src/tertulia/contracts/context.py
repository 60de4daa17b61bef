"""What a context strategy may ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tertulia.domain.context import Candidate, Outline
from tertulia.domain.message import Message


class ContextView(Protocol):
    """
    The conversation behind a request, as a context strategy sees it.

    Messages that no provider answered are not in it, nor what is hidden or has expired. What is long is read
    only as far as it is asked for.
    """

    async def outline(self) -> Outline:
        """Return what there is before the newest user message: its size, system and marked messages."""
        ...

    async def history(self, limit: int | None = None) -> Sequence[Message]:
        """
        Return what was said before the newest user message, oldest first, without system messages.

        Args:
            limit: The newest so many; None for all, which reads the whole branch.
        """
        ...

    async def recent(self, tokens: int) -> Sequence[Message]:
        """
        Return the newest messages before the newest user message that have so many tokens together.

        Args:
            tokens: By what is stored with them (``Message.tokens``); what would be more is left out.
        """
        ...

    async def recall(self, before: int) -> Sequence[Candidate]:
        """
        Return what was said before a depth and answers to the newest user message, the best first.

        Args:
            before: The depth of the first message that is sent anyway.
        """
        ...

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Estimate the tokens of some messages for the request's target."""
        ...
