"""What is asked of one target: the request, its context, its options and its patience."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from tertulia.domain.context import NO_CONTEXT_OPTIONS, Context, ContextOptions, Window, merge_options
from tertulia.domain.exchange import Request, Target
from tertulia.domain.message import Message, Role
from tertulia.domain.model import Capability
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.routing import Routing
from tertulia.domain.tool import HostedTool, ResponseSchema, Tool
from tertulia.errors import ContextOverflowError
from tertulia.services.budgets import Spending
from tertulia.services.context.calibration import UNCALIBRATED_MARGIN
from tertulia.services.context.guard import check_context, order_parts
from tertulia.services.context.pairs import repair_pairs
from tertulia.services.context.view import PathView
from tertulia.services.context.window import find_stable_tokens, make_window
from tertulia.services.core import Core
from tertulia.services.counting import estimate_tools, fit_window
from tertulia.services.fitting import fit_attachments, fit_options
from tertulia.services.keeping_back import note_kept_back
from tertulia.services.path import Path, Turn, holds_media
from tertulia.services.questions import GO_ON, Question

FIRST_CONTENT = 60.0
FIRST_CONTENT_REASONING = 300.0

_FIRST_STEPS = 16


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

        context: How the context is chosen, as the call and the conversation want it.

        may_ask: Whether anybody may be asked for the sake of the context; not by who only looks ahead.

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
    context: ContextOptions = NO_CONTEXT_OPTIONS
    may_ask: bool = True


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
    await core.recall_calibration()
    await path.read(core, question.tree.id, question.line.name, question.message)
    opening, before, rest = await _split_turn(core, path, question)
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
    view = PathView(
        core,
        question.tree.id,
        question.line.name,
        path,
        request,
        before,
        spending=outgoing.spending,
        may_ask=outgoing.may_ask,
    )
    context, notes = await _choose_fitting(view, outgoing.context, rest, max_tokens, deadline)
    warnings += notes
    messages = context.messages
    if path.states - {target.provider} and path.last_provider != target.provider:
        warnings += note_kept_back(messages, target.provider)  # said once, when it has just changed
    return attrs.evolve(request, messages=messages), context, warnings


async def _split_turn(core: Core, path: Path, question: Question) -> tuple[Message, int, Sequence[Message]]:
    """
    Tell the turn that is under way from the history.

    Returns:
        The user message that opened it; the depth below which there is the history; and what came after it:
        calls and what they returned, the beginning of an answer.
    """
    message, rest = question.message, list[Message]()
    if message.role is Role.TOOL:
        opened, count = None, _FIRST_STEPS
        while opened is None:
            await path.read_messages(core, question.tree.id, question.line.name, count)
            places = enumerate(path.messages)
            opened = max((at for at, each in places if each.role is Role.USER), default=None)
            if opened is None and path.is_whole:
                opened = 0
            count *= 2
        message, *rest = (*path.messages[opened:], message)
    if question.beginning is not None:
        rest += (question.beginning, Message.of(Role.USER, GO_ON))
    return message, path.depth if message.depth is None else message.depth, rest


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


async def _choose_fitting(
    view: PathView, own: ContextOptions, rest: Sequence[Message], max_tokens: int | None, deadline: float
) -> tuple[Context, list[str]]:
    """Choose what can be sent as it is: what becomes of an attachment may be more than it was counted as."""
    core, target, newest = view.core, view.request.target, view.newest
    while True:
        context, notes = await _choose_context(view, own, rest, max_tokens)
        if not (view.path.has_media or holds_media(newest)):
            return context, notes
        fitted, more = await fit_attachments(core, context, target, newest=newest, deadline=deadline)
        budget = fitted.report.budget
        over = 0 if budget is None else fitted.report.tokens - budget
        if over <= 0:
            return fitted, [*notes, *more]
        max_tokens = context.report.tokens - over


async def _choose_context(
    view: PathView, own: ContextOptions, rest: Sequence[Message], max_tokens: int | None
) -> tuple[Context, list[str]]:
    """
    Choose from the history; what has happened since the turn was opened is sent whole, after it.

    Args:
        own: What the call and the conversation want.
    """
    window = await _find_window(view, own, rest, max_tokens)
    context = await _choose_with(view, window, rest)
    if not view.path.has_calls:
        return context, view.warnings  # so there is nothing to repair, as in most conversations
    repaired, notes = _repair(context, view)
    added = repaired.report.tokens - context.report.tokens
    if window.max_tokens is not None and repaired.report.tokens > window.max_tokens:
        must = view.count_tokens((*view.request.messages, *rest))
        smaller = attrs.evolve(window, max_tokens=max(must, window.max_tokens - added))
        context = await _choose_with(view, smaller, rest)
        repaired, notes = _repair(context, view)
        repaired = _check_budget(repaired, view.request, window.max_tokens)
    return repaired, [*view.warnings, *notes]


async def _find_window(
    view: PathView, own: ContextOptions, rest: Sequence[Message], max_tokens: int | None
) -> Window:
    """Say how much there is room for, and how far the recent messages may grow."""
    core, request, target = view.core, view.request, view.request.target
    options = merge_options((own, *core.config.find_context(target.provider, target.model)))
    has_media = view.path.has_media or holds_media(view.newest)
    model = core.plugins.get_provider(target.provider).find_model(target.model)
    longest = request.options.max_output_tokens
    margin = core.calibration.margin(target, has_media=has_media)
    window = make_window(model, options, max_output_tokens=longest, margin=margin)
    nominal = window.max_tokens
    if margin != UNCALIBRATED_MARGIN:
        nominal = make_window(model, options, max_output_tokens=longest).max_tokens
    window = fit_window(
        core,
        request,
        window,
        has_media=has_media,
        count_needed=lambda: view.count_tokens((*request.messages, *rest)),
    )
    if max_tokens is not None:
        window = attrs.evolve(window, max_tokens=min(max_tokens, window.max_tokens or max_tokens))
    if nominal is None or window.max_tokens is None:
        return window
    outline = await view.outline()
    pinned = [message for message in outline.marked if message.mark.pinned]
    fixed = sum(map(view.count_stored, (*outline.system, *pinned)))
    stable = find_stable_tokens(
        max(0, nominal - fixed - estimate_tools(core, request)), window.max_tokens - fixed, options
    )
    return attrs.evolve(window, stable_tokens=stable)


async def _choose_with(view: PathView, window: Window, rest: Sequence[Message]) -> Context:
    """Choose what is sent before what has happened since; what was chosen once for a turn stays."""
    request, path = view.request, view.path
    if not rest:
        context = await _choose(view, window)
        path.turn = Turn(view.newest.id, request.target, window.options, context)
        return context
    tokens = view.count_tokens(rest)
    turn = path.turn
    of_turn = view.newest.id, request.target, window.options
    is_same = turn is not None and (turn.opening_id, turn.target, turn.options) == of_turn
    if turn is not None and is_same and _fits(turn.context, request, window, tokens):
        return _add(turn.context, rest, tokens, window)
    try:
        context = await _choose(view, _leave_room(window, len(rest), tokens))
    except ContextOverflowError as error:
        raise ContextOverflowError(
            f"a message and the {_name(rest)} do not fit {window.max_tokens} tokens, so nothing was sent",
            provider=request.target.provider,
            budget=window.max_tokens or 0,
            parts={**error.parts, _name(rest): tokens},
            next_step=f"allow more max_context_tokens, or {_way_out(rest)}",
        ) from error
    path.turn = Turn(*of_turn, context)
    return _add(context, rest, tokens, window)


def _fits(context: Context, request: Request, window: Window, tokens: int) -> bool:
    """Whether what was chosen for the beginning of a turn can be sent with what followed."""
    return context.messages[: len(request.messages) - 1] == request.messages[:-1] and (
        window.max_tokens is None or context.report.tokens + tokens <= window.max_tokens
    )


def _add(context: Context, rest: Sequence[Message], tokens: int, window: Window) -> Context:
    report = context.report
    report = attrs.evolve(
        report,
        kept_count=report.kept_count + len(rest),
        tokens=report.tokens + tokens,
        budget=window.max_tokens,
        parts={**report.parts, "tool calls": tokens},
    )
    return Context((*context.messages, *rest), report)


def _name(rest: Sequence[Message]) -> str:
    return "beginning of its answer" if rest[-1].role is Role.USER else "calls and results that follow it"


def _way_out(rest: Sequence[Message]) -> str:
    if rest[-1].role is Role.USER:
        return "regenerate() the answer"
    return "let the tools return less and regenerate(…) the user's message, which calls them again"


async def _choose(view: PathView, window: Window) -> Context:
    request = view.request
    found = await view.core.plugins.format_context(view, request, window)
    pinned = [message for message in (await view.outline()).marked if message.mark.pinned]
    return check_context(
        found,
        request,
        window,
        view.count_tokens,
        pinned=pinned,
        is_known=view.is_known,
        is_own=view.is_own(found),
    )


def _repair(context: Context, view: PathView) -> tuple[Context, list[str]]:
    """Let no call and no result stand alone; what is added for that counts as well."""
    messages, notes = repair_pairs(context.messages)
    if messages == context.messages:
        return context, notes
    tokens = view.count_tokens(messages)
    parts = {**context.report.parts}
    parts["window"] = parts.get("window", 0) + tokens - context.report.tokens
    report = attrs.evolve(context.report, kept_count=len(messages), tokens=tokens, parts=order_parts(parts))
    return Context(messages, report), notes


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
