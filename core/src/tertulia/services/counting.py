"""Counting a request before it is sent: by estimate, corrected by experience, or by the service itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

import attrs

from tertulia.domain.context import Context, Window
from tertulia.domain.exchange import ProviderReply, Request, Target
from tertulia.domain.media import Media
from tertulia.domain.message import Message, Role
from tertulia.domain.tokens import TokenCount, TokenSource
from tertulia.domain.tool import HostedTool
from tertulia.errors import ContextLengthError, ContextOverflowError, TertuliaError
from tertulia.runtime.counting.tokens import count_rest
from tertulia.services.core import Core

_MEDIA = frozenset(get_args(Media))


async def count_tokens(core: Core, request: Request, *, exact: bool) -> TokenCount:
    """
    Count the prompt of a request that is not sent.

    Args:
        exact: Whether to ask the service, where it can be asked.

    Raises:
        ProviderError: The service was asked, and could not say.
    """
    await core.recall_calibration()
    if exact:
        provider = core.plugins.get_provider(request.target.provider)
        counted = await provider.count_input_tokens(request)
        if counted is not None:
            return TokenCount(counted, exact=provider.COUNTS_WHOLE_PROMPT, source=TokenSource.PROVIDER)
    tokens = correct_estimate(
        core, request, messages_tokens=core.plugins.count_tokens(request.target, request.messages)
    )
    known = core.calibration.knows(request.target, has_media=_has_media(request))
    return TokenCount(tokens, exact=False, source=TokenSource.CALIBRATED if known else TokenSource.ESTIMATED)


def correct_estimate(core: Core, request: Request, *, messages_tokens: int) -> int:
    """
    Turn the estimate of a request's messages into that of the whole prompt, corrected by experience.

    Args:
        messages_tokens: As the ``count_tokens`` hook counts them.
    """
    estimated = messages_tokens + estimate_rest(core, request)
    return core.calibration.correct(request.target, estimated, has_media=_has_media(request))


def estimate_rest(core: Core, request: Request) -> int:
    """Estimate what a request takes beside its messages: a constant, its tools, its schema."""
    weights = core.plugins.get_provider(request.target.provider).find_token_weights(request.target.model)
    return count_rest(request.tools, request.response_schema, weights)


def fit_window(
    core: Core, request: Request, window: Window, *, has_media: bool, count_needed: Callable[[], int]
) -> Window:
    """
    Turn a limit of a target's own tokens into one for the estimates of messages.

    Tools and schema take their share of it, and what was learned of the target moves it: it may leave out
    more of the history, and neither refuses what must be sent nor allows more than there is without it. So
    whatever a server reports, no request fails for it here, and none grows.

    Args:
        request: With the tools and the schema that will be sent.
        has_media: Whether anything is attached to what there is to choose from.
        count_needed: Counts what must be sent; asked only where that matters.

    Raises:
        ContextOverflowError: What must be sent does not fit beside the tools and the schema.
    """
    limit, beside = window.max_tokens, estimate_tools(core, request)
    if limit is None:
        return window
    if beside and limit - beside < (needed := count_needed()) and (needed <= limit or beside >= limit):
        raise _no_room(request, limit, needed, beside)
    corrected = core.calibration.uncorrect(request.target, limit, has_media=has_media) - beside
    if corrected < limit - beside:
        corrected = max(corrected, count_needed())
    return attrs.evolve(window, max_tokens=min(corrected, limit - beside))


def estimate_tools(core: Core, request: Request) -> int:
    """Estimate what tools and schema take, which most requests have not."""
    if not request.tools and request.response_schema is None:
        return 0
    return estimate_rest(core, request) - estimate_rest(core, Request(request.target, ()))


def _no_room(request: Request, limit: int, needed: int, beside: int) -> ContextOverflowError:
    parts = {"messages": needed, "tools and schema": beside}
    listed = ", ".join(f"{name} {tokens}" for name, tokens in parts.items())
    return ContextOverflowError(
        f"what must be sent does not fit {limit} tokens ({listed}), so nothing was sent",
        provider=request.target.provider,
        budget=limit,
        parts=parts,
        next_step="offer fewer tools, allow more max_context_tokens, or use a model with a larger window",
    )


def learn_from_answer(core: Core, request: Request, context: Context, reply: ProviderReply) -> None:
    """Compare the estimate of what was sent, as it was chosen, with what the answer reports."""
    _learn(core, request, context, reply.usage.prompt_tokens)


def learn_from_error(core: Core, request: Request, context: Context, error: TertuliaError) -> None:
    """Take the real number from a provider that says that a request was too long, and how long it was."""
    if isinstance(error, ContextLengthError):
        _learn(core, request, context, error.requested)


def _learn(core: Core, request: Request, context: Context, reported: int | None) -> None:
    if any(isinstance(tool, HostedTool) for tool in request.tools):
        return  # what the provider's own tools read is in the report, and in no estimate
    estimated = context.report.tokens + estimate_rest(core, request)
    has_media = _has_media(request)
    core.calibration.learn(request.target, estimated=estimated, reported=reported, has_media=has_media)
    if core.calibration.is_due:
        core.spawn(core.save_calibration())


def _has_media(request: Request) -> bool:
    # By type, and not by isinstance: a history may be long, and this is asked for each answer.
    return any(type(part) in _MEDIA for message in request.messages for part in message.parts)


def to_request(
    core: Core, said: str | Message | Iterable[Message], *, provider: str, model: str | None
) -> Request:
    """
    Make the request that would send what a caller wants counted.

    Args:
        said: What a user says, or the messages; system messages go first, as they are sent.
        provider: Who would be asked.
        model: None for the provider's default.
    """
    target = Target(provider, model or core.plugins.get_provider(provider).default_model)
    messages = _to_messages(said)
    ordered = sorted(messages, key=lambda message: message.role is not Role.SYSTEM)
    return Request(target, tuple(ordered))


def _to_messages(said: str | Message | Iterable[Message]) -> Iterable[Message]:
    if isinstance(said, str):
        return (Message.of(Role.USER, said),)
    return (said,) if isinstance(said, Message) else said
