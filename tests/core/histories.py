"""What tests say about a history."""

from __future__ import annotations

import tertulia


async def statuses(conversation: tertulia.Conversation) -> list[tuple[str, tertulia.MessageStatus]]:
    """The words of each message, and what became of it."""
    return [(message.text, message.status) for message in await conversation.history()]
