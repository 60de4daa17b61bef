"""
Whose a text is, as terms beside those of its words.

So the index itself leaves out what is another owner's, another conversation's or another role's. No text has
such a term: the sign they begin with is in no word.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

_SIGN = "\u00a7"
TITLE = "title"
"""What stands for the role of a title."""


def render_scope(owner: str, conversation_id: UUID, role: str) -> list[str]:
    """The terms of a text that say whose it is."""
    return [_of_owner(owner), _of_conversation(conversation_id), _of_role(role)]


def render_wanted(owner: str, conversation_id: UUID | None = None, role: str | None = None) -> list[str]:
    """Those that a text is to have that is sought."""
    wanted = [_of_owner(owner)]
    if conversation_id is not None:
        wanted.append(_of_conversation(conversation_id))
    if role is not None:
        wanted.append(_of_role(role))
    return wanted


@lru_cache(maxsize=1024)
def _of_owner(owner: str) -> str:
    stored = owner.encode("utf-8", "replace")  # as a database keeps it
    return f"{_SIGN}o{blake2b(stored, digest_size=8).hexdigest()}"


def _of_conversation(conversation_id: UUID) -> str:
    return f"{_SIGN}c{conversation_id.hex}"


def _of_role(role: str) -> str:
    return f"{_SIGN}r{role}"
