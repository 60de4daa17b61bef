"""The strategy ``recall``: what was said last, and what of the past the newest message asks for."""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.domain.context import Candidate, Context, Recalled, Window
from tertulia.domain.exchange import Request
from tertulia.domain.message import Text
from tertulia.services.context.layout import (
    OVER_TOKENS,
    Recent,
    Room,
    compose,
    find_recent,
    fit,
    make_recent,
    say_before,
)
from tertulia.services.context.optimise import optimise_window
from tertulia.services.context.quoting import quote
from tertulia.services.context.view import PathView
from tertulia.services.context.window import MOST_RECALL

_PLAINLY = 0.3  # whoever looks back so much, or more, gets all there is room for
_HARDLY = 0.02  # whoever looks back less than that asks for nothing that was said
_ASKED_SHARE = 0.75
_SHORT = 64  # tokens
_QUESTION_MARKS = "?\uff1f\u061f\u037e\u1367\u2047"
_LEAST = 256  # tokens: less is not worth a quotation
_LEAST_SHARE = 0.25  # of the room: what is stored with messages may be less than a target counts
_FAINT = 0.15  # of the best score: what has less was hardly asked for
_TRIES = 4


async def choose_recall(view: PathView, request: Request, window: Window, room: Room) -> Context:
    """What was said last, and of what was said before what is asked for."""
    recent = await find_recent(view, window, room)
    block, recalled = await _recall(view, window, room, recent)
    if block is not None and room.left is not None:
        used = count_before(view, block)
        if used > room.left - recent.tokens:
            kept = fit(view, recent.messages, room, room.left - used)
            recent = await make_recent(view, kept, room, OVER_TOKENS)
    messages, saved = optimise_window(view, recent.messages, window)
    return compose(
        view,
        request,
        window,
        room,
        messages,
        dropped=recent.dropped,
        block=block,
        recalled=recalled,
        optimised_tokens=saved,
    )


async def _recall(
    view: PathView, window: Window, room: Room, recent: Recent
) -> tuple[Text | None, tuple[Recalled, ...]]:
    if window.options.recall == "never" or not recent.dropped:
        return None, ()
    found = await view.recall(recent.begins_at)
    sent = {message.id for message in room.pinned}
    least = _FAINT * max((each.score for each in found), default=0.0)
    found = [each for each in found if each.score >= least and each.message.id not in sent]
    budget = _find_budget(view, window, room, recent) if found else 0
    return quote_within(view, found, budget)


def _find_budget(view: PathView, window: Window, room: Room, recent: Recent) -> int:
    """Say how much may be recalled: of what is free beside the window, so that the window stays."""
    allowed = window.options.max_recall_tokens
    share = 1.0 if window.options.recall == "always" else _find_share(view)
    if int(MOST_RECALL * share) < _LEAST:
        return 0
    most = int(max(MOST_RECALL, allowed or 0) * share)
    most = most if allowed is None else min(most, allowed)
    if room.left is None:
        return most
    return min(most, max(room.left - recent.tokens, int(room.left * _LEAST_SHARE)))


def _find_share(view: PathView) -> float:
    """
    The less a message looks back, the less is recalled: it is in no cache, and costs its full price.

    Who asks something shortly mostly asks for what was said, even where its words are said all over.
    """
    looks_back = view.looks_back or 0.0
    share = looks_back / _PLAINLY
    if looks_back >= _HARDLY and _asks_shortly(view):
        share = max(share, _ASKED_SHARE)
    return min(1.0, share)


def _asks_shortly(view: PathView) -> bool:
    text = view.newest.text
    return any(mark in text for mark in _QUESTION_MARKS) and view.count_stored(view.newest) <= _SHORT


def quote_within(
    view: PathView, found: Sequence[Candidate], budget: int
) -> tuple[Text | None, tuple[Recalled, ...]]:
    """
    Quote what there is room for, as it will be counted: before the newest message's own parts.

    Returns:
        None and nothing where there is no room for anything.
    """
    allowed = budget
    for _ in range(_TRIES):
        if allowed <= 0:
            break
        block, recalled = quote(
            found,
            allowed,
            view.count_text,
            question=view.question,
            count_message=lambda message: view.count_tokens((message,)),
        )
        if not recalled:
            break
        over = count_before(view, block) - budget
        if over <= 0:
            return block, recalled
        allowed -= over  # the tokens of two texts are not always those of both together
    return None, ()


def count_before(view: PathView, block: Text) -> int:
    """The tokens that a block adds to the newest message."""
    return view.count_tokens((say_before(view.newest, block),)) - view.count_tokens((view.newest,))
