"""The guard around every choice of what a model sees: none, ours or foreign, makes an invalid request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast
from uuid import UUID

import attrs

from tertulia.domain.context import STRATEGIES, Context, ContextReport, Window
from tertulia.domain.exchange import Request
from tertulia.domain.message import Message, Text
from tertulia.domain.words import name_type
from tertulia.errors import ConfigurationError, ContextOverflowError, PluginError

Count = Callable[[Sequence[Message]], int]

_HOOK = "format_context"


def check_context(
    found: Context | Sequence[Message],
    request: Request,
    window: Window,
    count: Count,
    *,
    pinned: Sequence[Message] = (),
    is_known: Callable[[Sequence[Message]], bool],
    is_own: bool = False,
) -> Context:
    """
    Let no strategy, ours or foreign, produce an invalid request.

    Args:
        found: What it chose.
        request: What it chose it for.
        window: How much the request may hold.
        count: Estimates tokens.
        pinned: What every request is to hold.
        is_known: Whether messages are those of the conversation, as they are and in their order.
        is_own: Whether it was chosen by a strategy of the core, whose report can be believed.

    Raises:
        PluginError: A system message, the newest user message or a pinned one is missing, changed or out of
            place; or something is there twice, or is not of the conversation.
        ContextOverflowError: The choice is over the budget.
    """
    messages = _read_messages(found)
    _check_chosen(messages, request, pinned)
    own = found if is_own and isinstance(found, Context) else None
    if own is None and not is_known(messages[len(request.messages) - 1 : -1]):
        raise _refuse(
            "sends what is not in the conversation, or not as it is there",
            "return messages of `await view.history()`, as they are and in their order; words of your own go "
            "before those of the newest message",
        )
    tokens = count(messages) if own is None else own.report.tokens  # a plugin's own report is no evidence
    if window.max_tokens is not None and tokens > window.max_tokens:
        parts = {**measure_parts(request, count, pinned), "history": None}
        raise explain_overflow(request, window, parts, tokens)
    return own or Context(messages, _report(found, messages, tokens, request, window, count))


def _check_chosen(messages: Sequence[Message], request: Request, pinned: Sequence[Message]) -> None:
    """Refuse what lost, moved or repeats something."""
    *system, newest = request.messages
    if list(messages[: len(system)]) != system or not messages or not _is_whole(messages[-1], newest):
        raise _refuse(
            "lost or changed a system message or the newest one",
            "return the system messages first and the newest user message last",
        )
    chosen = messages[len(system) : -1]
    ids = {message.id for message in chosen}
    if newest.id in ids:
        raise _refuse("sends the newest message twice", "return it once, last")
    if len(ids) < len(chosen):
        raise _refuse("sends a message twice", "return each message once")
    if not {message.id for message in pinned} <= ids:
        raise _refuse(
            "lost a pinned message", "return every message whose mark.pinned is true, or unpin() it"
        )


def _read_messages(found: Context | Sequence[Message]) -> tuple[Message, ...]:
    """What was chosen, whatever a plugin takes for messages."""
    chosen = cast("object", found.messages if isinstance(found, Context) else found)
    if not isinstance(chosen, Sequence) or isinstance(chosen, str):
        raise _refuse(f"chose {name_type(type(chosen))}, not messages", "correct the plugin")
    messages = tuple(cast("Sequence[object]", chosen))
    for message in messages:
        if not isinstance(message, Message):
            raise _refuse(f"chose {name_type(type(message))}, not a Message", "correct the plugin")
    return cast("tuple[Message, ...]", messages)


def _is_whole(sent: Message, newest: Message) -> bool:
    """Whether a message is the newest one, with nothing but other words before its own."""
    if sent == newest:
        return True
    added = len(sent.parts) - len(newest.parts)
    return (
        sent == attrs.evolve(newest, parts=sent.parts)
        and sent.parts[added:] == newest.parts
        and all(isinstance(part, Text) for part in sent.parts[:added])
    )


def _refuse(problem: str, next_step: str) -> PluginError:
    return PluginError(f"{_HOOK} {problem}, so nothing was sent", hook=_HOOK, next_step=next_step)


def _report(
    found: Context | Sequence[Message],
    messages: Sequence[Message],
    tokens: int,
    request: Request,
    window: Window,
    count: Count,
) -> ContextReport:
    """What a plugin says of its choice, with everything counted anew that can be."""
    given = cast("object", found.report) if isinstance(found, Context) else None
    report = given if isinstance(given, ContextReport) else ContextReport(0, 0)
    parts = measure_parts(request, count)
    parts["window"] = tokens - sum(parts.values())
    return attrs.evolve(
        report,
        kept_count=len(messages),
        tokens=tokens,
        budget=window.max_tokens,
        strategy=_HOOK,
        parts=order_parts(parts),
    )


PARTS = ("system", "pinned", "summary", "window", "recalled", "newest message", "tool calls")


def order_parts(parts: Mapping[str, int]) -> dict[str, int]:
    """The parts that have any tokens, in the order in which they are sent."""
    return {name: parts[name] for name in PARTS if parts.get(name)}


def measure_parts(request: Request, count: Count, pinned: Sequence[Message] = ()) -> dict[str, int]:
    """The tokens of what must be sent, by part."""
    *system, newest = request.messages
    parts = {"system": count(system) if system else 0, "newest message": count((newest,))}
    if pinned:
        parts["pinned"] = count(pinned)
    return parts


def explain_strategy(name: object) -> ConfigurationError:
    """Say that nobody knows a strategy of a name."""
    return ConfigurationError(
        f"there is no context strategy {name!r}",
        value=name,
        next_step=f"built in are {', '.join(STRATEGIES)}; a plugin may bring others",
    )


def explain_overflow(
    request: Request, window: Window, parts: Mapping[str, int | None], chosen: int | None = None
) -> ContextOverflowError:
    """
    Say that what must be sent does not fit, with the tokens of each part of it.

    Args:
        window: What it is to fit; it has a limit.
        parts: The tokens by part; None for what is left of ``chosen``.
        chosen: What was chosen has so many tokens together.
    """
    known = sum(tokens for tokens in parts.values() if tokens is not None)
    rest = 0 if chosen is None else chosen - known
    listed = {name: rest if tokens is None else tokens for name, tokens in parts.items()}
    words = ", ".join(f"{name} {tokens}" for name, tokens in listed.items() if tokens)
    budget = window.max_tokens or 0
    return ContextOverflowError(
        f"what must be sent does not fit {budget} tokens ({words}), so nothing was sent",
        provider=request.target.provider,
        budget=budget,
        parts=listed,
        next_step=f"{_find_remedy(window, listed)}, or use a model with a larger window",
    )


def _find_remedy(window: Window, parts: Mapping[str, int]) -> str:
    """What takes most is to give way first: what is reserved, what is pinned, else what is said."""
    reserved = window.options.reserve_tokens
    if reserved is not None and reserved > sum(parts.values()) and window.options.max_tokens is None:
        return f"leave less than {reserved} tokens free for the answer (reserve_tokens)"
    if parts.get("pinned", 0) > parts.get("newest message", 0):
        return "unpin() what not every request needs, allow more max_context_tokens"
    return "shorten it, allow more max_context_tokens"


def is_in_order(messages: Iterable[Message], known: Mapping[UUID, Message]) -> bool:
    """Whether messages are among the known ones, as they are and in the order they were said."""
    depth = -1
    for message in messages:
        if message.id is None or known.get(message.id) != message or (message.depth or 0) <= depth:
            return False
        depth = message.depth or 0
    return True
