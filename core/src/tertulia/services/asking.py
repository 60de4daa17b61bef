"""What is asked of one target: the request, its context, its options and its patience."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from tertulia.domain.context import Context, Window
from tertulia.domain.exchange import Request, Target
from tertulia.domain.message import Message, Role
from tertulia.domain.model import Capability
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.routing import Routing
from tertulia.domain.tool import HostedTool, ResponseSchema, Tool
from tertulia.errors import ContextOverflowError
from tertulia.services.budgets import Spending
from tertulia.services.context.format import check_context, find_pinned, make_window
from tertulia.services.context.pairs import repair_pairs
from tertulia.services.core import Core
from tertulia.services.counting import fit_window
from tertulia.services.fitting import fit_attachments, fit_options
from tertulia.services.keeping_back import note_kept_back
from tertulia.services.path import Path, holds_media
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

        routing: How the answer is found.

        spending: What may be spent on it; None where nobody minds.

        notes: What there is to say already, a sentence each.

        own: Whose turn it is by right, where that is decided already; else it is the first of the targets, in
            the order they are put in.
    """

    targets: Sequence[Target]
    options: Options
    timeouts: Timeouts | None
    stream: bool
    tools: tuple[Tool | HostedTool, ...] = ()
    response_schema: ResponseSchema | None = None
    routing: Routing = Routing()
    spending: Spending | None = None
    notes: tuple[str, ...] = ()
    own: Target | None = None


async def make_request(
    core: Core,
    outgoing: Outgoing,
    question: Question,
    *,
    target: Target,
    deadline: float,
    max_tokens: int | None = None,
) -> tuple[Request, Context, list[str]]:
    """
    Make the request for one target: windows, options, attachments and patience differ from target to target.

    Args:
        max_tokens: What the context may hold at most, where the target has found it too long before.

    Returns:
        The request, what was chosen for it, and what was left out, a sentence each.

    Raises:
        UnsupportedParameterError: The provider does not know an option that is set.
        UnsupportedMediaError, TooLargeError: The provider does not take an attachment of the message.
        ContextOverflowError: What must be sent does not fit.
        PluginError: A plugin chose what may not be sent.
    """
    path = question.line.path
    await path.read(core, question.tree.id, question.line.name, question.message)
    opening, history, rest = _split_turn(path.messages, question)
    asked = Request(
        target=target,
        messages=(*path.system, opening),
        options=outgoing.options,
        stream=outgoing.stream,
        conversation_id=question.tree.id,
        timeouts=_patience(core, outgoing, target),
        deadline=deadline,
        tools=outgoing.tools,
        response_schema=outgoing.response_schema,
    )
    request, warnings = fit_options(core, asked)
    context, notes = await _choose_context(core, request, path, history, rest, max_tokens)
    warnings += notes
    if path.has_media or holds_media(question.message):
        context, notes = await fit_attachments(core, context, target, newest=opening, deadline=deadline)
        warnings += notes
    messages = context.messages
    if path.states - {target.provider} and path.last_provider != target.provider:
        warnings += note_kept_back(messages, target.provider)  # said once, when it has just changed
    return attrs.evolve(request, messages=messages), context, warnings


def _split_turn(
    before: Sequence[Message], question: Question
) -> tuple[Message, Sequence[Message], Sequence[Message]]:
    """
    Tell the turn that is under way from the history.

    Returns:
        The user message that opened it; what was said before that; and what came after it: calls and what
        they returned, the beginning of an answer.
    """
    message, rest = question.message, list[Message]()
    if message.role is Role.TOOL:
        opened = max((at for at, each in enumerate(before) if each.role is Role.USER), default=0)
        before, (message, *rest) = before[:opened], (*before[opened:], message)
    if question.beginning is not None:
        rest += (question.beginning, Message.of(Role.USER, GO_ON))
    return message, before, rest


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


async def _choose_context(
    core: Core,
    request: Request,
    path: Path,
    history: Sequence[Message],
    rest: Sequence[Message],
    max_tokens: int | None,
) -> tuple[Context, list[str]]:
    """Choose from the history; what has happened since the turn was opened is sent whole, after it."""
    view = _View(core, request.target, path, history)
    has_media = path.has_media or holds_media(request.messages[-1])
    window = make_window(
        core.plugins.get_provider(request.target.provider).find_model(request.target.model),
        max_tokens=core.config.max_context_tokens,
        max_messages=core.config.context_window,
        max_output_tokens=request.options.max_output_tokens,
        margin=core.calibration.margin(request.target, has_media=has_media),
    )
    window = fit_window(
        core,
        request,
        window,
        has_media=has_media,
        count_needed=lambda: view.count_tokens((*request.messages, *rest)),
    )
    if max_tokens is not None:
        window = attrs.evolve(window, max_tokens=min(max_tokens, window.max_tokens or max_tokens))
    context = await _choose_with(core, request, window, view, rest)
    if not path.has_calls:
        return context, []  # so there is nothing to repair, as in most conversations
    repaired, notes = _repair(context, view)
    added = repaired.report.tokens - context.report.tokens
    if window.max_tokens is not None and repaired.report.tokens > window.max_tokens:
        must = view.count_tokens((*request.messages, *rest))
        smaller = attrs.evolve(window, max_tokens=max(must, window.max_tokens - added))
        context = await _choose_with(core, request, smaller, view, rest)
        repaired, notes = _repair(context, view)
        repaired = _check_budget(repaired, request, window.max_tokens)
    return repaired, notes


async def _choose_with(
    core: Core, request: Request, window: Window, view: _View, rest: Sequence[Message]
) -> Context:
    if not rest:
        return await _choose(core, request, window, view)
    tokens = view.count_tokens(rest)
    try:
        context = await _choose(core, request, _leave_room(window, len(rest), tokens), view)
    except ContextOverflowError as error:
        raise ContextOverflowError(
            f"a message and the {_name(rest)} do not fit {window.max_tokens} tokens, so nothing was sent",
            provider=request.target.provider,
            budget=window.max_tokens or 0,
            parts={**error.parts, _name(rest): tokens},
            next_step=f"allow more max_context_tokens, or {_way_out(rest)}",
        ) from error
    report = context.report
    report = attrs.evolve(
        report,
        kept_count=report.kept_count + len(rest),
        tokens=report.tokens + tokens,
        budget=window.max_tokens,
    )
    return Context((*context.messages, *rest), report)


def _name(rest: Sequence[Message]) -> str:
    return "beginning of its answer" if rest[-1].role is Role.USER else "calls and results that follow it"


def _way_out(rest: Sequence[Message]) -> str:
    if rest[-1].role is Role.USER:
        return "regenerate() the answer"
    return "let the tools return less and regenerate(…) the user's message, which calls them again"


async def _choose(core: Core, request: Request, window: Window, view: _View) -> Context:
    found = await core.plugins.format_context(view, request, window)
    pinned = find_pinned(await view.history())
    return check_context(found, request, window, view.count_tokens, pinned)


def _repair(context: Context, view: _View) -> tuple[Context, list[str]]:
    """Let no call and no result stand alone; what is added for that counts as well."""
    messages, notes = repair_pairs(context.messages)
    if messages == context.messages:
        return context, notes
    tokens = view.count_tokens(messages)
    return Context(messages, attrs.evolve(context.report, kept_count=len(messages), tokens=tokens)), notes


def _check_budget(context: Context, request: Request, budget: int) -> Context:
    report = attrs.evolve(context.report, budget=budget)
    if report.tokens > budget:
        raise ContextOverflowError(
            f"what must be sent does not fit {budget} tokens, so nothing was sent",
            provider=request.target.provider,
            budget=budget,
            parts={"messages, with a result for each call": report.tokens},
            next_step="allow more max_context_tokens, or answer the calls with submit_results()",
        )
    return attrs.evolve(context, report=report)


def _leave_room(window: Window, messages: int, tokens: int) -> Window:
    """A window with room for what follows the choice; the newest user message has its place in any."""
    return attrs.evolve(
        window,
        max_tokens=None if window.max_tokens is None else max(0, window.max_tokens - tokens),
        max_messages=None if window.max_messages is None else max(1, window.max_messages - messages),
    )


class _View:
    """The conversation behind a request; see :class:`tertulia.ContextView`."""

    def __init__(self, core: Core, target: Target, path: Path, history: Sequence[Message]) -> None:
        self._core = core
        self._target = target
        self._path = path
        self._history = history

    async def history(self, limit: int | None = None) -> Sequence[Message]:
        messages = self._history
        return messages if limit is None else messages[max(0, len(messages) - limit) :]

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self._path.count_tokens(self._core, self._target, messages)
