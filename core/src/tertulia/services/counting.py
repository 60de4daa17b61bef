"""Counting a request before it is sent: by estimate, corrected by experience, or by the service itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from tertulia.domain.context import Context
from tertulia.domain.exchange import ProviderReply, Request, Target
from tertulia.domain.media import Media
from tertulia.domain.message import Message, Role
from tertulia.domain.tokens import TokenCount, TokenSource
from tertulia.domain.tool import HostedTool
from tertulia.errors import ContextLengthError, TertuliaError
from tertulia.services.context.tokens import count_rest
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
