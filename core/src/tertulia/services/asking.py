"""What is asked of one target: the request, its context, its options and its patience."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from tertulia.domain.context import Context, Window
from tertulia.domain.exchange import Request, Target
from tertulia.domain.message import Message, Role
from tertulia.domain.model import Capability
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.tool import HostedTool, ResponseSchema, Tool
from tertulia.errors import ContextOverflowError
from tertulia.services.context.format import check_context, make_window
from tertulia.services.core import Core
from tertulia.services.fitting import fit_images, fit_options
from tertulia.services.path import Path, holds_image
from tertulia.services.questions import GO_ON, Question

FIRST_CONTENT = 60.0
FIRST_CONTENT_REASONING = 300.0


@attrs.frozen
class Outgoing:
    """
    How a caller wants to be answered.

    Attributes:
        targets: Whom to ask, in order.

        stream: Whether the provider is asked to answer in pieces.

        tools: What the model may call.

        response_schema: The shape the answer must have; None for any.
    """

    targets: Sequence[Target]
    options: Options
    timeouts: Timeouts | None
    stream: bool
    tools: tuple[Tool | HostedTool, ...] = ()
    response_schema: ResponseSchema | None = None


async def make_request(
    core: Core, outgoing: Outgoing, question: Question, *, target: Target, deadline: float
) -> tuple[Request, Context, list[str]]:
    """
    Make the request for one target: windows, options, images and patience differ from target to target.

    Returns:
        The request, what was chosen for it, and what was left out, a sentence each.

    Raises:
        UnsupportedParameterError: The provider does not know an option that is set.
        UnsupportedMediaError, TooLargeError: The provider does not take an image of the message.
        ContextOverflowError: What must be sent does not fit.
        PluginError: A plugin chose what may not be sent.
    """
    path = question.line.path
    await path.read(core, question.tree.id, question.line.name, question.message)
    asked = Request(
        target=target,
        messages=(*path.system, question.message),
        options=outgoing.options,
        stream=outgoing.stream,
        conversation_id=question.tree.id,
        timeouts=_patience(core, outgoing, target),
        deadline=deadline,
        tools=outgoing.tools,
        response_schema=outgoing.response_schema,
    )
    request, warnings = fit_options(core, asked)
    context = await _choose_context(core, request, path, question.beginning)
    messages = context.messages
    if path.has_images or holds_image(question.message):
        messages, notes = fit_images(core, messages, target, newest=question.message)
        warnings += notes
    return attrs.evolve(request, messages=messages), context, warnings


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


async def _choose_context(core: Core, request: Request, path: Path, beginning: Message | None) -> Context:
    window = make_window(
        core.plugins.get_provider(request.target.provider).find_model(request.target.model),
        max_tokens=core.config.max_context_tokens,
        max_messages=core.config.context_window,
        max_output_tokens=request.options.max_output_tokens,
    )
    view = _View(core, request.target, path)
    if beginning is None:
        return await _choose(core, request, window, view)
    rest = (beginning, Message.of(Role.USER, GO_ON))
    tokens = view.count_tokens(rest)
    try:
        context = await _choose(core, request, _leave_room(window, len(rest), tokens), view)
    except ContextOverflowError as error:
        raise ContextOverflowError(
            f"a message and the beginning of its answer do not fit {window.max_tokens} tokens, "
            "so nothing was sent",
            provider=request.target.provider,
            budget=window.max_tokens or 0,
            parts={**error.parts, "beginning of the answer": tokens},
            next_step="allow more max_context_tokens, or regenerate() the answer",
        ) from error
    report = context.report
    report = attrs.evolve(
        report,
        kept_count=report.kept_count + len(rest),
        tokens=report.tokens + tokens,
        budget=window.max_tokens,
    )
    return Context((*context.messages, *rest), report)


async def _choose(core: Core, request: Request, window: Window, view: _View) -> Context:
    found = await core.plugins.format_context(view, request, window)
    return check_context(found, request, window, view.count_tokens)


def _leave_room(window: Window, messages: int, tokens: int) -> Window:
    """A window with room for what follows the choice; the newest user message has its place in any."""
    return attrs.evolve(
        window,
        max_tokens=None if window.max_tokens is None else max(0, window.max_tokens - tokens),
        max_messages=None if window.max_messages is None else max(1, window.max_messages - messages),
    )


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
