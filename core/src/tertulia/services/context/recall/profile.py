"""What ranking needs to know of one message."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from tertulia.domain.message import Message
from tertulia.domain.terms import find_terms, fold
from tertulia.services.context.recall.languages import FIRST_PERSON, QUESTION_MARKS
from tertulia.services.context.recall.stems import count_stems

_NAME = re.compile("\\s*([^\\W\\d_][\\w.'\u2019-]{0,60}(?: [\\w.'\u2019-]{1,60}){0,2})[:\uff1a]\\s?")
_CHARACTERS_PER_TOKEN = 4
_MOST_CHARACTERS = 100_000  # of one message: no passage of what follows is quoted


@attrs.frozen(eq=False)
class Profile:
    """
    One message as it is ranked.

    Attributes:
        terms: How often it has each stem.

        tokens: As they were counted when it was stored.

        name: What stands before a colon at its beginning, folded: who speaks, where chats are written so.

        asks: Whether it ends with a question.

        is_personal: Whether its writer speaks of themselves.

        digest: Of its text: the same for the same, in one process.
    """

    terms: Mapping[str, int]
    tokens: int
    name: str | None
    asks: bool
    is_personal: bool
    digest: int


def describe(message: Message) -> Profile:
    """Find out what ranking needs to know of a message."""
    text = message.searchable_text
    name = _NAME.match(text)
    terms = count_stems(find_terms(text[:_MOST_CHARACTERS]))
    return Profile(
        terms,
        len(text) // _CHARACTERS_PER_TOKEN if message.tokens is None else message.tokens,
        name and fold(name[1]),
        text.rstrip().endswith(QUESTION_MARKS),
        not terms.keys().isdisjoint(FIRST_PERSON),
        hash(text),
    )
