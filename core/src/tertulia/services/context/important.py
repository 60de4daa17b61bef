"""The strategy ``important``: what was said last, and what somebody marked as important."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import attrs

from tertulia.domain.context import Context, Dropped, Window
from tertulia.domain.exchange import Request
from tertulia.domain.message import Message
from tertulia.services.context.layout import Recent, Room, compose, find_recent
from tertulia.services.context.optimise import optimise
from tertulia.services.context.view import PathView


async def choose_important(view: PathView, request: Request, window: Window, room: Room) -> Context:
    """
    What was said last, in half of the room, and before it what is marked, as far as there is room for it.

    The more important comes first, and of what is as important the newer. Calls come with their results, and
    answers with what they answer.
    """
    half = room if room.left is None else attrs.evolve(room, left=room.left // 2)
    recent = await find_recent(view, window, half)
    ranked = await _rank(view, recent.begins_at)
    if not ranked:
        recent = await find_recent(view, _widen(window), room)
    marked = await _fit(view, ranked, room, recent)
    chosen = (*marked, *recent.messages, view.newest)
    messages, saved = optimise(chosen, window.options.optimise or "lossless", view.count_tokens)
    return compose(
        view,
        request,
        window,
        room,
        messages[:-1],
        dropped=_leave_out(view, recent.dropped, marked),
        optimised_tokens=saved,
    )


def _widen(window: Window) -> Window:
    """The whole room for what was said last, where nothing is marked."""
    stable = window.stable_tokens
    return window if stable is None else attrs.evolve(window, stable_tokens=2 * stable)


async def _rank(view: PathView, before: int) -> Sequence[Message]:
    """What is marked as important before a depth; what is pinned is sent anyway."""
    outline = await view.outline()
    marked = [
        message
        for message in outline.marked
        if message.mark.importance and not message.mark.pinned and (message.depth or 0) < before
    ]
    return sorted(marked, key=lambda each: (-(each.mark.importance or 0), -(each.depth or 0)))


async def _fit(view: PathView, ranked: Sequence[Message], room: Room, recent: Recent) -> Sequence[Message]:
    """What there is room for of some messages, with what they are not to be sent without."""
    left = None if room.left is None else room.left - recent.tokens
    there = {message.id for message in (*room.pinned, *recent.messages)}
    chosen: dict[UUID | None, Message] = {}
    for message in ranked:
        group = await view.hold_together((message,))
        added = [each for each in group if each.id not in there and each.id not in chosen]
        tokens = view.count_tokens(added)
        if left is None or tokens <= left:
            left = None if left is None else left - tokens
            chosen.update((each.id, each) for each in added)
    return sorted(chosen.values(), key=lambda message: message.depth or 0)


def _leave_out(view: PathView, dropped: Sequence[Dropped], sent: Sequence[Message]) -> tuple[Dropped, ...]:
    """What is left out without what is sent after all."""
    ids = {message.id for message in sent}
    changed: list[Dropped] = []
    for each in dropped:
        if each.message_ids is None:
            tokens, count = sum(map(view.count_stored, sent)), each.count - len(sent)
            changed.append(Dropped(None, max(0, each.tokens - tokens), each.reason, count))
        else:
            rest = tuple(message_id for message_id in each.message_ids if message_id not in ids)
            changed.append(Dropped(rest, each.tokens - view.count_tokens(sent), each.reason))
    return tuple(each for each in changed if each.count > 0)
