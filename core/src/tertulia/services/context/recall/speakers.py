"""Who speaks in a conversation, and whom a question names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tertulia.domain.message import Message, Role
from tertulia.domain.terms import find_terms, fold
from tertulia.services.context.recall.languages import ABOUT_ASSISTANT, FIRST_PERSON
from tertulia.services.context.recall.profile import Profile
from tertulia.services.context.recall.query import Query
from tertulia.services.context.recall.stems import find_stem


def find_names(profiles: Sequence[Profile]) -> frozenset[str]:
    """Return the names that messages open with, where most messages open with one that is there again."""
    counts = Counter(profile.name for profile in profiles if profile.name is not None)
    names = frozenset(name for name, count in counts.items() if count > 1)
    return names if 2 * sum(counts[name] for name in names) > len(profiles) else frozenset()


def find_asked(query: Query, names: frozenset[str]) -> frozenset[str]:
    """Return those of some names that a query names, in whole or in part."""
    words = {word.word for word in query.words}
    return frozenset(name for name in names if not words.isdisjoint(find_terms(name)))


def split_names(names: frozenset[str]) -> frozenset[str]:
    """Return the stems that names consist of: they say who speaks, not what about."""
    return frozenset(find_stem(term) for name in names for term in find_terms(name))


def weigh_speaker(
    query: Query,
    asked: frozenset[str],
    messages: Sequence[Message],
    profiles: Sequence[Profile],
    *,
    speaker: float,
    personal: float,
) -> Sequence[float]:
    """Say by how much each message's score grows because of who wrote it: a factor."""
    role = None if asked else _find_role(query)
    if not asked and role is None:
        return [1.0] * len(messages)
    return [
        (1 + speaker if (profile.name in asked if asked else message.role is role) else 1.0)
        * (1 + personal * profile.is_personal)
        for message, profile in zip(messages, profiles, strict=True)
    ]


def _find_role(query: Query) -> Role | None:
    """Whose words a question is about that names nobody: the assistant's, or those of the one who asks."""
    if ABOUT_ASSISTANT.search(fold(query.beginning)):
        return Role.ASSISTANT
    return Role.USER if any(word.word in FIRST_PERSON for word in query.words) else None
