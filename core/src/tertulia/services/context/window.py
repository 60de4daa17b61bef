"""How much of a model's window a request may take, and how far its recent messages may grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tertulia.domain.context import ContextOptions, Window
from tertulia.domain.message import Message, Role
from tertulia.domain.model import ModelInfo
from tertulia.services.context.calibration import UNCALIBRATED_MARGIN

DEFAULT_RESERVE = 4096
_RESERVE_SHARE = 0.5  # of a small model's window at most, or nothing could be sent

MOST_RECALL = 6_000
"""Tokens that are kept free at most for what is recalled, summed up or marked as important."""

_LEAST_SHARE = 0.5  # of the room, for recent messages
_STEPS = 8
_COARSEST = 1024


def make_window(
    model: ModelInfo | None,
    options: ContextOptions,
    *,
    max_output_tokens: int | None,
    margin: float = UNCALIBRATED_MARGIN,
) -> Window:
    """
    Say how much a request to a model may hold.

    Args:
        model: What is known of it; None or an unknown window: no limit of its own.
        options: What was set.
        max_output_tokens: How long the answer may be; None for a usual length.
        margin: The share of the model's own window to leave free, because tokens are estimated.
    """
    reserve = options.reserve_tokens
    if reserve is None:
        reserve = max_output_tokens or _find_usual_reserve(model)
    limits = [] if options.max_tokens is None else [options.max_tokens]
    if model is not None and model.context_window is not None:
        limits.append(max(1, int((model.context_window - reserve) * (1 - margin))))
    if model is not None and model.max_input_tokens is not None:
        limits.append(int(model.max_input_tokens * (1 - margin)))
    return Window(min(limits, default=None), options.max_messages, reserve, options=options)


def _find_usual_reserve(model: ModelInfo | None) -> int:
    if model is None or model.context_window is None:
        return DEFAULT_RESERVE
    return min(DEFAULT_RESERVE, int(model.context_window * _RESERVE_SHARE))


def find_stable_tokens(nominal: int, room: int, options: ContextOptions) -> int:
    """
    Say up to how many stored tokens the recent messages may grow before they are cut.

    It may not move from turn to turn with what is learned of a target, or the cut would: it goes by a
    window's nominal size, in coarse steps, and heeds what is learned in coarse steps too.

    Args:
        nominal: Tokens for recent and recalled messages, before anything is learned of the target.
        room: The same by what is known now.
        options: What was set.
    """
    least = int(nominal * (1 - 2 * UNCALIBRATED_MARGIN))  # who is expected to count more does not move it
    is_small = room < least
    whole = max(0, room if is_small else nominal)
    wanted = whole if is_small else least
    strategy = options.strategy or "recall"
    if strategy != "recent" and (strategy, options.recall) != ("recall", "never"):
        wanted = min(wanted, max(int(whole * _LEAST_SHARE), whole - MOST_RECALL))
    return _round_down(wanted, None if is_small else _COARSEST)


def _round_down(tokens: int, coarsest: int | None = None) -> int:
    """Round to an eighth of the power of two in it, and no coarser than asked for."""
    step = 1 << max(0, (tokens // _STEPS).bit_length() - 1)
    step = step if coarsest is None else min(step, coarsest)
    return tokens // step * step


def find_cut(messages: Sequence[Message], total: int, limit: int, count: Callable[[Message], int]) -> int:
    """
    Find where the recent messages begin.

    They begin at one of a row of marks, half of the limit apart by the tokens before them: between half and
    the whole of it is kept, and the beginning stays where it is until the half is full again. So what is sent
    begins alike for many turns, and providers find it in their caches.

    Args:
        messages: The newest ones, at least so many as the limit has room for; oldest first.
        total: The stored tokens of all that was said, however much of it was read.
        limit: Stored tokens that may be kept.
        count: Says what was stored with a message.

    Returns:
        The place of the first message that is kept: a user's; the length where none is.
    """
    half = max(1, limit // 2)
    mark = max(0, (total // half - 1) * half)
    before = total - sum(map(count, messages))
    for place, message in enumerate(messages):
        if before >= mark and message.role is Role.USER:
            return place
        before += count(message)
    return len(messages)
