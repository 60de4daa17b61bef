"""
The default choice of what a model sees, and the guard around every choice.

Everything when it fits; else the system messages, the newest user message, and as many of the messages
before it as there is room for, the newest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tertulia.contracts.context import ContextView
from tertulia.domain.context import Context, ContextReport, Dropped, Window
from tertulia.domain.exchange import Request
from tertulia.domain.message import Message, Role
from tertulia.domain.model import ModelInfo
from tertulia.errors import ContextOverflowError, PluginError
from tertulia.services.context.calibration import UNCALIBRATED_MARGIN

DEFAULT_RESERVE = 4096

Count = Callable[[Sequence[Message]], int]


def make_window(
    model: ModelInfo | None,
    *,
    max_tokens: int | None,
    max_messages: int | None,
    max_output_tokens: int | None,
    margin: float = UNCALIBRATED_MARGIN,
) -> Window:
    """
    Say how much a request to a model may hold.

    Args:
        model: What is known of it; None or an unknown window: no limit of its own.
        max_tokens: The configured limit; None for the model's own.
        max_messages: Recent messages at most; None for no limit.
        max_output_tokens: What the caller wants left free for the answer; None for a usual length.
        margin: The share of the model's own window to leave free, because tokens are estimated.
    """
    reserve, share = max_output_tokens or DEFAULT_RESERVE, 1 - margin
    limits = [] if max_tokens is None else [max_tokens]
    if model is not None and model.context_window is not None:
        limits.append(max(1, int((model.context_window - reserve) * share)))
    if model is not None and model.max_input_tokens is not None:
        limits.append(int(model.max_input_tokens * share))
    return Window(min(limits, default=None), max_messages, reserve)


async def format_context(view: ContextView, request: Request, window: Window) -> Context:
    """
    Choose what the target sees.

    Raises:
        ContextOverflowError: The system messages and the newest user message alone are too much.
    """
    *system, newest = request.messages
    fixed = view.count_tokens(request.messages)
    history = await view.history()
    pinned = _hold_together(history)
    fixed += view.count_tokens(pinned) if pinned else 0
    held = set(map(id, pinned))
    others = [message for message in history if id(message) not in held] if pinned else history
    kept, dropped = _fit_messages(others, window, view.count_tokens)
    tokens = view.count_tokens(kept)
    if window.max_tokens is not None and fixed + tokens > window.max_tokens:
        if fixed > window.max_tokens:
            raise _overflow(request, window.max_tokens, view.count_tokens, pinned=pinned)
        kept, over = _fit_tokens(kept, window.max_tokens - fixed, view.count_tokens)
        tokens = view.count_tokens(kept)
        dropped += over
    messages = (*system, *_put_in(history, pinned, kept), newest)
    report = ContextReport(len(messages), fixed + tokens, window.max_tokens, tuple(dropped))
    return Context(messages, report)


def find_pinned(history: Sequence[Message]) -> Sequence[Message]:
    """What somebody wants every request to hold."""
    return [message for message in history if message.mark.pinned]


def _hold_together(history: Sequence[Message]) -> Sequence[Message]:
    """
    What is pinned, with what it cannot be sent without.

    That are the results of calls, and the calls of results: a call without its result would get one that
    says that it was not carried out.
    """
    if not find_pinned(history):
        return ()
    groups: list[list[Message]] = []
    for message in history:
        if message.role is Role.TOOL and groups and _has_calls(groups[-1][0]):
            groups[-1].append(message)
        else:
            groups.append([message])
    return [message for group in groups if find_pinned(group) for message in group]


def _has_calls(message: Message) -> bool:
    return message.role is Role.ASSISTANT and bool(message.tool_calls)


def _put_in(
    history: Sequence[Message], pinned: Sequence[Message], kept: Sequence[Message]
) -> Sequence[Message]:
    """What is kept and what is pinned, each where it was said."""
    if not pinned:
        return kept
    chosen = {id(message) for message in (*pinned, *kept)}
    return [message for message in history if id(message) in chosen]


def _fit_messages(
    history: Sequence[Message], window: Window, count: Count
) -> tuple[Sequence[Message], list[Dropped]]:
    if window.max_messages is None or len(history) < window.max_messages:
        return history, []
    kept = history[len(history) - window.max_messages + 1 :]
    return _cut(history, kept, "outside the window of messages", count)


def _fit_tokens(
    history: Sequence[Message], room: int, count: Count
) -> tuple[Sequence[Message], list[Dropped]]:
    start = len(history)
    for message in reversed(history):
        room -= count((message,))
        if room < 0:
            break
        start -= 1
    return _cut(history, history[start:], "over the token budget", count)


def _cut(
    history: Sequence[Message], kept: Sequence[Message], reason: str, count: Count
) -> tuple[Sequence[Message], list[Dropped]]:
    """Leave out what is not kept; what is kept opens on a user message, so that no answer stands alone."""
    opening = next((index for index, message in enumerate(kept) if message.role is Role.USER), len(kept))
    kept = kept[opening:]
    left_out = history[: len(history) - len(kept)]
    if not left_out:
        return kept, []
    return kept, [Dropped(tuple(message.id for message in left_out), count(left_out), reason)]


def check_context(
    found: Context | Sequence[Message],
    request: Request,
    window: Window,
    count: Count,
    pinned: Sequence[Message] = (),
) -> Context:
    """
    Let no strategy, ours or foreign, produce an invalid request.

    Args:
        found: What it chose.
        request: What it chose it for.
        window: How much the request may hold.
        count: Estimates tokens.
        pinned: What every request is to hold.

    Raises:
        PluginError: A system message, the newest user message or a pinned one is missing, changed or out of
            place.
        ContextOverflowError: The choice is over the budget.
    """
    messages = found.messages if isinstance(found, Context) else tuple(found)
    *system, newest = request.messages
    if list(messages[: len(system)]) != system or not messages or messages[-1] != newest:
        raise PluginError(
            "format_context lost or changed a system message or the newest one, so nothing was sent",
            hook="format_context",
            next_step="return the system messages first and the newest user message last",
        )
    if any(message.id is newest.id for message in messages[len(system) : -1]):
        raise PluginError(
            "format_context sends the newest message twice, so nothing was sent",
            hook="format_context",
            next_step="return it once, last",
        )
    if pinned and not {message.id for message in pinned} <= {message.id for message in messages}:
        raise PluginError(
            "format_context lost a pinned message, so nothing was sent",
            hook="format_context",
            next_step="return every message whose mark.pinned is true, or unpin() it",
        )
    tokens = count(messages)  # counted again: a strategy's own report is not evidence
    dropped = found.report.dropped if isinstance(found, Context) else ()
    if window.max_tokens is not None and tokens > window.max_tokens:
        raise _overflow(request, window.max_tokens, count, chosen=tokens)
    return Context(messages, ContextReport(len(messages), tokens, window.max_tokens, dropped))


def _overflow(
    request: Request,
    budget: int,
    count: Count,
    chosen: int | None = None,
    pinned: Sequence[Message] = (),
) -> ContextOverflowError:
    *system, newest = request.messages
    parts = {"system": count(system) if system else 0, "newest message": count((newest,))}
    if pinned:
        parts["pinned"] = count(pinned)
    if chosen is not None:
        parts["history"] = chosen - sum(parts.values())
    listed = ", ".join(f"{name} {tokens}" for name, tokens in parts.items())
    return ContextOverflowError(
        f"what must be sent does not fit {budget} tokens ({listed}), so nothing was sent",
        provider=request.target.provider,
        budget=budget,
        parts=parts,
        next_step="shorten it, allow more max_context_tokens, or use a model with a larger window",
    )
