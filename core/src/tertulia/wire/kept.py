"""A long history is rendered once: what became of each of its messages is kept for the next request."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeAlias

from tertulia.domain.media import Audio, Document, Image, Video
from tertulia.domain.message import Message
from tertulia.wire.protocol import Json, LeftOut

MOST_KEPT = 20_000
"""Messages of each variant: of short ones some 15 MB."""

_MEDIA = (Image, Document, Audio, Video)

RenderMessage: TypeAlias = Callable[[Message], Sequence[Json]]
"""Renders one message, and remembers what it cannot say."""


class KeptRenderings:
    """
    What a wire format made of messages.

    All messages but the last two or three of a request were in the one before, and a message never changes:
    looking it up takes 0.1 µs, rendering it 1 µs. It is known by its identity, because comparing or hashing
    its words would take as long as rendering them, and is forgotten with it. Messages with media are not
    kept, whose bytes would be in memory once more, as base64.

    The JSON is shared by all requests that say the same: nobody may change it.
    """

    def __init__(self) -> None:
        self._variants: dict[Hashable, _Variant] = {}

    def render(
        self,
        messages: Iterable[Message],
        render_message: RenderMessage,
        left_out: LeftOut,
        *,
        variant: Hashable,
    ) -> list[Json]:
        """
        Render messages, and return the JSON of them all in order.

        Args:
            render_message: What it returns depends on the message and on the variant only.
            left_out: Where it remembers what it cannot say.
            variant: What in a request decides how messages are rendered; of few values.
        """
        if variant not in self._variants:
            self._variants[variant] = _Variant()
        return self._variants[variant].render(messages, render_message, left_out)


class _Kept(weakref.ref[Message]):
    """
    What one message was rendered to, for as long as the message itself is there.

    Attributes:
        key: The identity of the message.

        left_out: The kinds of its parts that could not be said.
    """

    __slots__ = ("items", "key", "left_out")

    key: int
    items: Sequence[Json]
    left_out: list[str]


class _Variant:
    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def render(
        self, messages: Iterable[Message], render_message: RenderMessage, left_out: LeftOut
    ) -> list[Json]:
        items: list[Json] = []
        for message in messages:
            kept = self._kept.get(id(message))
            if kept is None or kept() is not message:
                kept = self._render(message, render_message, left_out)
            elif kept.left_out:
                left_out.kinds += kept.left_out
            items += kept.items
        return items

    def _render(self, message: Message, render_message: RenderMessage, left_out: LeftOut) -> _Kept:
        known = len(left_out.kinds)
        kept = _Kept(message, self._forget)
        kept.key = id(message)
        kept.items = render_message(message)
        kept.left_out = left_out.kinds[known:]
        if not any(isinstance(part, _MEDIA) for part in message.parts):
            self._kept[kept.key] = kept
            while len(self._kept) > MOST_KEPT:
                self._kept.pop(next(iter(self._kept)), None)
        return kept

    def _forget(self, kept: weakref.ref[Message]) -> None:
        """A message is gone, and its identity may be another's next."""
        if isinstance(kept, _Kept) and self._kept.get(kept.key) is kept:
            del self._kept[kept.key]
