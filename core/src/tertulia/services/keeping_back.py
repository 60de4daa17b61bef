"""What a conversation holds for one provider only, and is kept back from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tertulia.domain.message import Foreign, Message, Reasoning


def find_states(messages: Iterable[Message]) -> frozenset[str]:
    """The providers that left state of their own in messages."""
    return frozenset(
        part.opaque.provider for message in messages for part in message.parts if part.opaque is not None
    )


def note_kept_back(messages: Sequence[Message], provider: str) -> list[str]:
    """
    Say what of other providers' state is kept back from one that cannot read it.

    Thoughts and parts without a neutral form are named by whoever renders them: they are left out whole.

    Returns:
        A sentence for each of the others.
    """
    kept_back = Counter(
        part.opaque.provider
        for message in messages
        for part in message.parts
        if part.opaque is not None
        and part.opaque.provider != provider
        and not isinstance(part, Reasoning | Foreign)
    )
    return [
        f"what {name!r} alone can read of {count} part(s) was kept back; it is sent again to {name!r}"
        for name, count in kept_back.items()
    ]
