"""What a search finds."""

from __future__ import annotations

from collections.abc import Iterator

from tertulia.domain.library import SearchHit
from tertulia.domain.message import Message, MessageStatus, Role
from tertulia.domain.snippets import make_snippet
from tertulia.domain.terms import Query, matches, parse_query, score
from tertulia.testing.memory.kept import Kept


def find_texts(kept: Kept) -> Iterator[tuple[str, Message | None]]:
    """What is searched: the title, for which there is no message, and every message that is settled."""
    if kept.record.title:
        yield kept.record.title, None
    for message in kept.messages.values():
        is_settled = message.status is not MessageStatus.PENDING or message.role is not Role.ASSISTANT
        if is_settled and (text := message.searchable_text):
            yield text, message


def holds_words(kept: Kept, query: str) -> bool:
    """Whether one message, or the title, holds every word of a query."""
    return any(matches(query, text) for text, _ in find_texts(kept))


def find_hits(kept: Kept, query: str, role: Role | None) -> Iterator[SearchHit]:
    """The title and the messages that hold every word of a query; of one role the messages only."""
    for text, message in find_texts(kept):
        is_wanted = role is None or (message is not None and message.role is role)
        if is_wanted and matches(query, text):
            yield _make_hit(kept, message, parse_query(query), text)


def _make_hit(kept: Kept, message: Message | None, sought: Query, text: str) -> SearchHit:
    return SearchHit(
        conversation_id=kept.record.id,
        title=kept.record.title,
        message_id=None if message is None else message.id,
        role=None if message is None else message.role,
        depth=None if message is None else message.depth,
        created_at=kept.record.created_at if message is None else message.created_at,
        snippet=make_snippet(sought, text),
        score=score(sought, text),
    )
