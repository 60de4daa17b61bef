"""
The default choice of what a model sees.

Everything, where everything fits. Else what was said last, in a window that stays where it is for many turns,
and of what was said before what the newest message asks for, quoted right before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from tertulia.domain.context import Context, Window
from tertulia.domain.exchange import Request
from tertulia.services.context.guard import explain_strategy
from tertulia.services.context.important import choose_important
from tertulia.services.context.layout import Room, compose, find_everything, find_recent, measure_room
from tertulia.services.context.optimise import optimise_window
from tertulia.services.context.recalling import choose_recall
from tertulia.services.context.summary import choose_summary
from tertulia.services.context.view import PathView

Choose = Callable[[PathView, Request, Window, Room], Awaitable[Context | None]]


async def format_context(view: PathView, request: Request, window: Window) -> Context:
    """
    Choose what the target sees.

    Raises:
        ContextOverflowError: What must be sent is too much alone.
        ConfigurationError: Nobody knows the strategy.
    """
    choose = _STRATEGIES.get(window.strategy)
    if choose is None:
        raise explain_strategy(window.strategy)
    room = await measure_room(view, request, window)
    everything = await find_everything(view, window, room)
    if everything is not None:
        return compose(view, request, window, room, everything)
    chosen = await choose(view, request, window, room)
    if chosen is not None:
        return chosen
    recalling = attrs.evolve(window, options=attrs.evolve(window.options, strategy="recall"))
    return await choose_recall(view, request, recalling, room)


async def choose_recent(view: PathView, request: Request, window: Window, room: Room) -> Context:
    """What was said last."""
    recent = await find_recent(view, window, room)
    messages, saved = optimise_window(view, recent.messages, window)
    return compose(view, request, window, room, messages, dropped=recent.dropped, optimised_tokens=saved)


_STRATEGIES: dict[str, Choose] = {
    "recall": choose_recall,
    "recent": choose_recent,
    "important": choose_important,
    "summary": choose_summary,
}
