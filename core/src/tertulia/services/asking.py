"""What is asked of one target: the request, its context, its options and its patience."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs

from tertulia.domain.exchange import Context, Options, Request, Target, Timeouts
from tertulia.domain.message import Message
from tertulia.domain.model import Capability
from tertulia.errors import UnsupportedParameterError
from tertulia.services.context.format import check_context, make_window
from tertulia.services.core import Core
from tertulia.services.path import Path

FIRST_CONTENT = 60.0
FIRST_CONTENT_REASONING = 300.0


@attrs.frozen
class Outgoing:
    """
    What a caller asked to send.

    Attributes:
        targets: Whom to ask, in order.

        stream: Whether the provider is asked to answer in pieces.
    """

    conversation_id: UUID
    branch: str
    text: str
    targets: Sequence[Target]
    options: Options
    timeouts: Timeouts | None
    stream: bool


async def make_request(
    core: Core, outgoing: Outgoing, path: Path, message: Message, *, target: Target, deadline: float
) -> tuple[Request, Context, list[str]]:
    """
    Make the request for one target: windows, options and patience differ from target to target.

    Returns:
        The request, what was chosen for it, and what was left out, a sentence each.

    Raises:
        UnsupportedParameterError: The provider does not know an option that is set.
        ContextOverflowError: What must be sent does not fit.
        PluginError: A plugin chose what may not be sent.
    """
    await path.read(core, outgoing.conversation_id, outgoing.branch, message)
    options, warnings = _fit_options(core, outgoing.options, target)
    request = Request(
        target=target,
        messages=(*path.system, message),
        options=options,
        stream=outgoing.stream,
        conversation_id=outgoing.conversation_id,
        timeouts=_patience(core, outgoing, target),
        deadline=deadline,
    )
    context = await _choose_context(core, request, path)
    return attrs.evolve(request, messages=context.messages), context, warnings


def find_timeouts(core: Core, outgoing: Outgoing, target: Target) -> Timeouts:
    """The timeouts of the call, else those of the target's provider."""
    return outgoing.timeouts or core.plugins.get_provider(target.provider).config.timeouts


def _patience(core: Core, outgoing: Outgoing, target: Target) -> Timeouts:
    """The timeouts of one attempt, with the first content decided by what is asked of which model."""
    timeouts = find_timeouts(core, outgoing, target)
    if timeouts.first_content is not None or not outgoing.stream:
        return timeouts
    reasons = core.plugins.get_provider(target.provider).can(target.model, Capability.REASONING)
    return attrs.evolve(timeouts, first_content=FIRST_CONTENT_REASONING if reasons else FIRST_CONTENT)


async def _choose_context(core: Core, request: Request, path: Path) -> Context:
    window = make_window(
        core.plugins.get_provider(request.target.provider).find_model(request.target.model),
        max_tokens=core.config.max_context_tokens,
        max_messages=core.config.context_window,
        max_output_tokens=request.options.max_output_tokens,
    )
    view = _View(core, request.target, path)
    found = await core.plugins.format_context(view, request, window)
    return check_context(found, request, window, view.count_tokens)


def _fit_options(core: Core, options: Options, target: Target) -> tuple[Options, list[str]]:
    """Leave out, or refuse, what the provider does not know."""
    provider = core.plugins.get_provider(target.provider)
    unknown = sorted(options.chosen().keys() - provider.OPTIONS)
    if not unknown:
        return options, []
    if options.unsupported == "error":
        error = UnsupportedParameterError(
            f"provider {target.provider!r} has no option {unknown[0]!r}, so nothing was sent",
            provider=target.provider,
            model=target.model,
            parameter=unknown[0],
            next_step='leave it out, or set unsupported="warn" to go on without it',
        )
        error.sent = False
        raise error
    fitted: dict[str, Any] = dict.fromkeys(unknown)
    warnings = [f"option {name!r} was left out: {target} has none" for name in unknown]
    return attrs.evolve(options, **fitted), warnings


class _View:
    """The conversation behind a request; see :class:`tertulia.ContextView`."""

    def __init__(self, core: Core, target: Target, path: Path) -> None:
        self._core = core
        self._target = target
        self._path = path

    async def history(self, limit: int | None = None) -> Sequence[Message]:
        messages = self._path.messages
        return messages if limit is None else messages[max(0, len(messages) - limit) :]

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self._path.count_tokens(self._core, self._target, messages)
