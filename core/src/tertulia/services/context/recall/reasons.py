"""Why a message was found, for people."""

from __future__ import annotations

from collections.abc import Collection

from tertulia.services.context.recall.profile import Profile
from tertulia.services.context.recall.query import Query

_MOST_WORDS = 3


def give_reasons(profile: Profile, query: Query, more: Collection[str]) -> tuple[str, ...]:
    """Name the words of a query that a message holds, else say how it was found."""
    held = [word.word for word in query.words if word.tells and word.stem in profile.terms]
    if held:
        return tuple(held[:_MOST_WORDS])
    if not profile.terms.keys().isdisjoint(more):
        return ("said with it elsewhere",)
    return ("said near it",)
