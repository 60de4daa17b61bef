"""How stored conversations are chosen, ordered, found and marked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

import attrs

from tertulia.domain.conversation import ConversationState
from tertulia.domain.message import Message, Role
from tertulia.domain.usage import Money


class Order(StrEnum):
    """
    The order of a list. What is equal in it is ordered by age, the newest first.

    ``recent``: the most recently used first. ``newest``, ``oldest``: by when they were begun, as
    their ids say. ``title``: by
    title, character by character, the untitled last. ``messages``: the longest first. ``cost``: the dearest
    first, by what is known of their costs.
    """

    RECENT = "recent"
    NEWEST = "newest"
    OLDEST = "oldest"
    TITLE = "title"
    MESSAGES = "messages"
    COST = "cost"


@attrs.frozen
class ConversationFilter:
    """
    Which conversations are meant: those to which all of this applies. None asks nothing, and 0 is a number.

    Attributes:
        states: Where they are kept; an empty tuple for anywhere.

        tags: All of these.

        provider: A call was made to it, by its configured name.

        model: A call was made for it. With ``provider``, one call for both.

        role: They hold a message of it.

        metadata: By path, as in ``{"customer.plan": "pro"}``: what is there is equal to the value, which is
            JSON. None is JSON's null, and asks that it is there. A number is equal to a number of the same
            value, and never to a truth.

        text: Words, all of which are in one of their messages or in their title, as :class:`SearchHit` says.

        created_from: Begun then or later.

        created_until: Begun before.

        updated_from: Used last then or later.

        updated_until: Used last before.

        min_messages: So many messages at least, on all branches.

        max_messages: So many at most.

        min_cost: At least that much, by what is known.

        max_cost: At most that much, by what is known.

        has_unknown_cost: Whether the cost of some attempt is not known.
    """

    states: tuple[ConversationState, ...] = (ConversationState.ACTIVE,)
    tags: tuple[str, ...] = ()
    provider: str | None = None
    model: str | None = None
    role: Role | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})
    text: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    updated_from: datetime | None = None
    updated_until: datetime | None = None
    min_messages: int | None = None
    max_messages: int | None = None
    min_cost: Money | None = None
    max_cost: Money | None = None
    has_unknown_cost: bool | None = None


@attrs.frozen
class Snippet:
    """
    Where a search found something.

    Attributes:
        text: A piece of the message or the title, with ``…`` where it was cut.

        marks: What was found in it: the start and the end of each, as positions in ``text``.
    """

    text: str
    marks: tuple[tuple[int, int], ...] = ()

    def render(self, before: str = "[", after: str = "]") -> str:
        """
        Return the text with its marks.

        Example:
            >>> Snippet("a hotel near the river", ((2, 7), (17, 22))).render()
            'a [hotel] near the [river]'
        """
        pieces: list[str] = []
        end = 0
        for start, stop in self.marks:
            pieces += [self.text[end:start], before, self.text[start:stop], after]
            end = stop
        return "".join((*pieces, self.text[end:]))

    def __str__(self) -> str:
        return self.render()


@attrs.frozen
class SearchHit:
    """
    A message, or a title, that holds every word of a query.

    A message holds the words that were said, those that a tool returned, and those of its text documents.
    Words are runs of letters and digits, compared without case and accents; a word of the query also finds
    longer words that begin with it, unless it is one letter or digit. Where a script is written without
    spaces, as Chinese and Japanese are, neighbouring characters are found wherever they stand.

    Attributes:
        message_id: None when it was found in the title.

        role: Who said it; None for a title.

        depth: The message's place counted from the root; None for a title.

        created_at: Of the message, or of the conversation; in UTC.

        score: Higher is better. Only hits of one search can be compared.
    """

    conversation_id: UUID
    title: str | None
    message_id: UUID | None
    role: Role | None
    depth: int | None
    created_at: datetime | None
    snippet: Snippet
    score: float


@attrs.frozen
class MarkChange:
    """
    What is to be different in a :class:`tertulia.Mark`; ``"keep"`` leaves it as it is.

    Attributes:
        importance: From 0 to 1; None for unsaid.

        expires_at: In UTC; None for never.
    """

    pinned: bool | Literal["keep"] = "keep"
    hidden: bool | Literal["keep"] = "keep"
    importance: float | Literal["keep"] | None = "keep"
    expires_at: datetime | Literal["keep"] | None = "keep"


@attrs.frozen
class MergeReport:
    """
    What came of a merge.

    Attributes:
        way: ``nothing``: the other branch has nothing that this one has not. ``fast_forward``: this branch
            had nothing of its own, and ends now where the other does. ``cited``: both went on since they
            parted, so what the other has was added to this one as a message that quotes it.

        branch: The branch that was merged into.

        source: The other one.

        message_count: How many messages this branch has, or quotes, that it had not.

        message: The message that quotes them; None unless the way is ``cited``.
    """

    way: Literal["nothing", "fast_forward", "cited"]
    branch: str
    source: str
    message_count: int = 0
    message: Message | None = None
