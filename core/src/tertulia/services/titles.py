"""Titles that a model thinks of."""

from __future__ import annotations

import asyncio

import attrs

from tertulia.domain.context import Context, ContextReport
from tertulia.domain.conversation import Attempt, AttemptOutcome, AttemptPurpose
from tertulia.domain.exchange import Request, Target
from tertulia.domain.message import Message, MessageStatus, Role, join_text
from tertulia.domain.notice import AttemptEnded, AttemptStarted
from tertulia.errors import BranchError, ProviderTimeoutError, TertuliaError
from tertulia.services.budgets import Spending
from tertulia.services.calling import set_aside
from tertulia.services.core import Core
from tertulia.services.cutting_off import GRACE
from tertulia.services.ending import close_iterator, end_attempt, explain_foreign
from tertulia.services.path import may_be_sent
from tertulia.services.tree import Line, Tree
from tertulia.services.trial import Trial

INSTRUCTIONS = (
    "Write a title for the conversation that is quoted below: at most eight words, in its language, "
    "without quotation marks. Answer with the title alone."
)
LONGEST_TITLE = 80
FIRST_MESSAGES = 8
MOST_CHARACTERS = 2000


async def suggest_title(core: Core, tree: Tree, line: Line, target: Target | None = None) -> str:
    """Ask for a title, and put the call into the ledger; see :meth:`tertulia.Conversation.suggest_title`."""
    messages = await core.store.get_messages(
        core.owner, tree.id, line.name, before_depth=FIRST_MESSAGES, limit=FIRST_MESSAGES
    )
    asked = [each for each in messages if each.role in (Role.USER, Role.ASSISTANT) and each.text.strip()]
    now = core.clock.now()
    asked = [each for each in asked if each.status is not MessageStatus.PENDING and may_be_sent(each, now)]
    if not asked or asked[0].id is None:
        raise BranchError(
            f"nothing was said yet on branch {line.name!r}, so there is nothing to name",
            branch=line.name,
            next_step="say something first, or rename the conversation yourself",
        )
    target = target or Target(line.branch.provider, line.branch.model)
    trial, spending = _begin(core, line, target, asked), Spending(core, tree.id)
    core.plugins.observe(AttemptStarted(tree.id, trial.attempt))
    try:
        await _ask(core, tree, trial, _quote(asked), spending)
    except TertuliaError as error:
        await _record(core, tree, line, trial, spending, AttemptOutcome.FAILED, error)
        raise
    except Exception as error:
        await _record(core, tree, line, trial, spending, AttemptOutcome.FAILED, None)
        raise explain_foreign(error, target) from error
    except BaseException:
        await _record(core, tree, line, trial, spending, AttemptOutcome.CANCELLED, None)
        raise
    await _record(core, tree, line, trial, spending, AttemptOutcome.SUCCEEDED, None)
    return _tidy(trial)


async def give_title(core: Core, tree: Tree, line: Line, target: Target) -> None:
    """Give a conversation a title of its own accord, unless somebody was faster."""
    title = await suggest_title(core, tree, line, target)
    record = await core.store.get_conversation(core.owner, tree.id)
    if record.title is None and title:
        await core.store.update_title(core.owner, tree.id, title, core.clock.now())
        tree.title = title


def _begin(core: Core, line: Line, target: Target, asked: list[Message]) -> Trial:
    message_id = asked[0].id
    assert message_id is not None  # noqa: S101  # it was read from the store
    attempt = Attempt(
        id=core.clock.new_id(),
        message_id=message_id,
        number=1,
        provider=target.provider,
        model=target.model,
        started_at=core.clock.now(),
        branch=line.name,
        purpose=AttemptPurpose.TITLE,
    )
    return Trial(target, attempt, core.clock.new_id(), core.clock.monotonic())


async def _ask(core: Core, tree: Tree, trial: Trial, text: str, spending: Spending) -> None:
    messages = (Message.of(Role.SYSTEM, INSTRUCTIONS), Message.of(Role.USER, text))
    timeouts = core.plugins.get_provider(trial.target.provider).config.timeouts
    request = Request(
        trial.target,
        messages,
        stream=False,
        conversation_id=tree.id,
        timeouts=timeouts,
        deadline=asyncio.get_running_loop().time() + timeouts.total,
    )
    trial.context = Context(
        messages, ContextReport(len(messages), core.plugins.count_tokens(trial.target, messages))
    )
    guard = core.health.guard(trial.target.provider)
    tokens = trial.context.report.tokens
    if not guard.try_enter(tokens):
        await guard.wait(tokens)
        request = attrs.evolve(request, deadline=asyncio.get_running_loop().time() + timeouts.total)
    try:
        await set_aside(core, spending, trial, request)
        await _read(core, trial, request)
    finally:
        guard.leave()


async def _read(core: Core, trial: Trial, request: Request) -> None:
    """Read the answer; a driver that has not ended at the deadline is cut off."""
    trial.was_sent = True
    iterator, to_close = core.plugins.send_message(request)
    try:
        async with asyncio.timeout_at((request.deadline or 0.0) + GRACE):
            async for delta in iterator:
                trial.take(delta, core.clock)
    except TimeoutError:
        raise ProviderTimeoutError(
            f"provider {trial.target.provider!r} thought of no title in time", provider=trial.target.provider
        ) from None
    finally:
        for each in to_close:
            await close_iterator(each, trial)
    trial.check_reply()


async def _record(
    core: Core,
    tree: Tree,
    line: Line,
    trial: Trial,
    spending: Spending,
    outcome: AttemptOutcome,
    error: TertuliaError | None,
) -> None:
    ended = end_attempt(core, trial, outcome, error)

    async def write() -> None:
        await core.store.record_attempt(core.owner, tree.id, line.name, ended)
        await spending.settle(ended.id, ended.cost, was_sent=trial.was_sent)

    _, was_cancelled = await core.see_through(write())
    core.plugins.observe(AttemptEnded(tree.id, ended))
    if was_cancelled:
        raise asyncio.CancelledError


def _quote(messages: list[Message]) -> str:
    return "\n\n".join(f"{each.role.value}: {each.text[:MOST_CHARACTERS]}" for each in messages)


def _tidy(trial: Trial) -> str:
    """The first line of an answer, without what models like to put around a title."""
    assert trial.reply is not None  # noqa: S101  # it was checked
    lines = join_text(trial.reply.parts).strip().splitlines()
    title = " ".join((lines[0] if lines else "").removeprefix("Title:").split()).strip(" \"'*#“”«»„.")
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"
