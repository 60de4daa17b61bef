"""
What a request holds, part by part: system, pinned, summary, window, recalled, the newest message.

What must be sent is measured first; the recent messages come next, and what is left is for the past.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from uuid import UUID

import attrs

from tertulia.domain.context import Context, ContextReport, Dropped, Recalled, Window
from tertulia.domain.exchange import Request
from tertulia.domain.message import Message, Role, Text
from tertulia.services.context.guard import explain_overflow, measure_parts, order_parts
from tertulia.services.context.view import PathView
from tertulia.services.context.window import find_cut

OVER_MESSAGES = "outside the window of messages"
OVER_TOKENS = "over the token budget"


@attrs.frozen
class Room:
    """
    What must be sent, and what is left beside it.

    Attributes:
        parts: The tokens of what must be sent, by part.

        pinned: What is pinned, with what it is not to be sent without; oldest first.

        left: Tokens for everything else; None for no limit.
    """

    parts: dict[str, int]
    pinned: Sequence[Message] = ()
    left: int | None = None


async def measure_room(view: PathView, request: Request, window: Window) -> Room:
    """
    Measure what must be sent.

    Raises:
        ContextOverflowError: That alone is too much.
    """
    outline = await view.outline()
    pins = [message for message in outline.marked if message.mark.pinned]
    room = _measure(view, request, window, pins)  # what are too many pins alone, nobody reads the rest of
    return _measure(view, request, window, await view.hold_together(pins)) if pins else room


def _measure(view: PathView, request: Request, window: Window, pinned: Sequence[Message]) -> Room:
    parts = measure_parts(request, view.count_tokens, pinned)
    if window.max_tokens is None:
        return Room(parts, pinned)
    left = window.max_tokens - sum(parts.values())
    if left < 0:
        raise explain_overflow(request, window, parts)
    return Room(parts, pinned, left)


async def find_everything(view: PathView, window: Window, room: Room) -> Sequence[Message] | None:
    """Return everything that was said, where all of it fits; None where it does not."""
    outline = await view.outline()
    is_long = not view.path.is_whole and room.left is not None
    if is_long and outline.tokens > _FAR_OFF * (window.max_tokens or 0):
        return None
    most = window.max_messages
    if most is not None and len(await view.history(most)) >= most:
        return None  # and no more was read
    messages = await view.history()
    if room.left is not None and view.count_tokens(_without(messages, room.pinned)) > room.left:
        return None
    return messages


_FAR_OFF = 2  # what is stored and what a target counts differ, but not by so much


@attrs.frozen
class Recent:
    """
    The newest messages, as many as are kept.

    Attributes:
        messages: They open on a user message.

        tokens: Theirs, without those of the pinned ones among them.

        dropped: What was left out before them.

        begins_at: The depth of the first; that of the newest user message where there is none.
    """

    messages: Sequence[Message]
    tokens: int
    dropped: tuple[Dropped, ...]
    begins_at: int


async def find_recent(view: PathView, window: Window, room: Room) -> Recent:
    """Return the newest messages: those of the stable window, as far as they fit beside what must be sent."""
    is_limited = window.max_messages is not None
    if window.stable_tokens is None:
        messages = await view.history(window.max_messages - 1 if window.max_messages is not None else None)
    else:
        outline = await view.outline()
        messages = await view.recent(window.stable_tokens)
        cut = find_cut(messages, outline.tokens, window.stable_tokens, view.count_stored)
        # One turn may be longer than the window, or stored with more than this target counts.
        messages = messages[cut:] or await view.recent(_FAR_OFF * (window.max_tokens or 0))
    if window.max_messages is not None and len(messages) >= window.max_messages:
        messages = messages[len(messages) - window.max_messages + 1 :]
    else:
        is_limited = False
    kept = _open_on_user(messages)
    kept = fit(view, kept, room, room.left)
    return await make_recent(view, kept, room, OVER_MESSAGES if is_limited else OVER_TOKENS)


def fit(view: PathView, messages: Sequence[Message], room: Room, left: int | None) -> Sequence[Message]:
    """Leave out the oldest of some messages until the rest has so many tokens at most."""
    if left is None:
        return messages
    pinned = {message.id for message in room.pinned}
    start = len(messages)
    for message in reversed(messages):
        if message.id not in pinned:
            left -= view.count_tokens((message,))
        if left < 0:
            break
        start -= 1
    return _open_on_user(messages[start:])


async def make_recent(view: PathView, kept: Sequence[Message], room: Room, reason: str) -> Recent:
    """Say of the newest messages what was left out before them."""
    tokens = view.count_tokens(_without(kept, room.pinned))
    begins_at = kept[0].depth if kept else view.before
    assert begins_at is not None  # noqa: S101  # it is stored
    if not view.path.is_whole:
        outline = await view.outline()
        left_out = outline.tokens - sum(map(view.count_stored, kept))
        count = begins_at - len(outline.system)
        dropped = (Dropped(None, max(0, left_out), reason, max(0, count)),) if count > 0 else ()
        return Recent(kept, tokens, dropped, begins_at)
    messages = await view.history()
    begin = bisect_left(messages, begins_at, key=lambda message: message.depth or 0)
    before = _without(messages[:begin], room.pinned)
    ids = tuple(message.id for message in before)
    dropped = (Dropped(ids, view.count_tokens(before), reason),) if before else ()
    return Recent(kept, tokens, dropped, begins_at)


def compose(
    view: PathView,
    request: Request,
    window: Window,
    room: Room,
    recent: Sequence[Message],
    *,
    dropped: tuple[Dropped, ...] = (),
    block: Text | None = None,
    recalled: tuple[Recalled, ...] = (),
    summary: Text | None = None,
    optimised_tokens: int = 0,
) -> Context:
    """
    Put the parts of a request together, and report on them.

    Args:
        recent: The window; what is pinned before it goes before it.
        block: What is recalled, to be said before the newest message's own words.
        summary: What is to be said before the first words of the window, or of the newest message.
    """
    *system, newest = request.messages
    parts = dict(room.parts)
    pinned = _without(room.pinned, recent)
    body = sorted((*pinned, *recent), key=lambda message: message.depth or 0) if pinned else list(recent)
    parts["window"] = view.count_tokens(_without(recent, room.pinned))
    last = newest
    if summary is not None:
        body, last, parts["summary"] = _say_first(view, body, last, summary)
    if block is not None:
        said = say_before(last, block)
        parts["recalled"] = view.count_tokens((said,)) - view.count_tokens((last,))
        last = said
    messages = (*system, *body, last)
    report = ContextReport(
        kept_count=len(messages),
        tokens=sum(parts.values()),
        budget=window.max_tokens,
        dropped=dropped,
        strategy=window.strategy,
        parts=order_parts(parts),
        recalled=recalled,
        looks_back=view.looks_back,
        optimised_tokens=optimised_tokens,
        warnings=tuple(view.warnings),
    )
    return view.make(Context(messages, report))


def _say_first(
    view: PathView, body: list[Message], newest: Message, summary: Text
) -> tuple[list[Message], Message, int]:
    """Say a summary before the first words of a user."""
    at = next((place for place, message in enumerate(body) if message.role is Role.USER), None)
    first = newest if at is None else body[at]
    said = say_before(first, summary)
    tokens = view.count_tokens((said,)) - view.count_tokens((first,))
    if at is None:
        return body, said, tokens
    return [*body[:at], said, *body[at + 1 :]], newest, tokens


def say_before(message: Message, words: Text) -> Message:
    """A message with words before its own parts."""
    return attrs.evolve(message, parts=(words, *message.parts))


def _open_on_user(messages: Sequence[Message]) -> Sequence[Message]:
    """So that no answer stands without what it answers."""
    opening = next((at for at, message in enumerate(messages) if message.role is Role.USER), len(messages))
    return messages[opening:]


def _without(messages: Sequence[Message], others: Sequence[Message]) -> Sequence[Message]:
    if not others or not messages:
        return messages
    ids: set[UUID | None] = {message.id for message in others}
    return [message for message in messages if message.id not in ids]
