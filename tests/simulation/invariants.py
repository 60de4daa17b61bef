"""What holds in every world, whatever happened in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tertulia import (
    AttemptEnded,
    AttemptOutcome,
    AttemptStarted,
    CostTotal,
    ErrorKind,
    Message,
    MessageStatus,
    Money,
    ProviderError,
    Queued,
    Role,
    TertuliaError,
)
from tertulia.domain.budget import BudgetPeriod, BudgetScope
from tertulia.domain.notice import BreakerChanged

from .callers import Told, is_ours, is_own
from .fickle import Call
from .world import Records, World

SLACK = 0.5
STUBBORN = {"clings", "lingers"}
"""Fates of calls that may go on after the send has given them up."""


def find_problems(world: World, records: Records) -> list[str]:
    """Hold what callers were told against what is stored, and each against itself."""
    return [problem for check in CHECKS for problem in check(world, records)]


def _nothing_foreign_leaves(world: World, records: Records) -> Iterator[str]:
    for told in world.told:
        if not is_ours(told.error) and not is_own(told):
            yield f"a foreign exception left: {told}"
    yield from (f"the loop complains: {complaint}" for complaint in world.complaints)


def _errors_say_what_they_are(world: World, records: Records) -> Iterator[str]:
    names = {provider.name for provider in world.providers}
    for told in world.told:
        error = told.error
        is_theirs = isinstance(error, ProviderError) and error.kind is not ErrorKind.CANCELLED
        if is_theirs and told.total is not None and error.provider not in names:
            yield f"an error names the provider {error.provider!r}: {told}"
        if isinstance(error, TertuliaError) and told.total is not None and error.kept is None:
            yield f"an error does not say what was kept: {told}"


def _nothing_goes_on(world: World, records: Records) -> Iterator[str]:
    yield from (f"a task is left: {task!r}" for task in records.tasks)
    for provider in world.providers:
        for call in provider.calls:
            if not call.is_over:
                yield f"a call of {provider.name} is still open: {call.fate}"
    for health in world.health:
        if health.in_flight or health.queued:
            yield f"the guard still counts calls: {health}"


def _sends_end_in_time(world: World, records: Records) -> Iterator[str]:
    for told in world.told:
        if told.total is None or told.ended is None:
            continue
        most = told.total + told.paused + _queued(told) + SLACK
        if told.ended - told.began > most:
            yield f"took longer than {most:.3f} s: {told}"


def _queued(told: Told) -> float:
    """How long a send says that it has waited for its place; for ever where it cannot say."""
    waited = getattr(told.error, "queued_seconds", 0.0) or 0.0
    attempts = getattr(told.reply or told.error, "attempts", ())
    waited += sum(each.queued_seconds or 0.0 for each in attempts)
    if told.waits_unseen or any(isinstance(event, Queued) for event in told.events):
        return float("inf") if told.reply is None else waited
    return waited


def _sends_keep_to_their_attempts(world: World, records: Records) -> Iterator[str]:
    for told in world.told:
        attempts = getattr(told.reply or told.error, "attempts", ())
        if told.reply is not None and told.reply.was_stored:
            continue  # they are those of the send before
        if told.total is not None and len(attempts) > told.max_attempts:
            yield f"{len(attempts)} attempts where {told.max_attempts} are allowed: {told}"


def _replies_are_stored(world: World, records: Records) -> Iterator[str]:
    stored = _all_messages(records)
    ledger = {attempt.id: attempt for book in records.books for attempt in book.attempts}
    for told in world.told:
        if told.reply is None or told.error is not None:
            continue
        found = stored.get(told.reply.message.id)
        if found is None or (found.text, found.status) != (told.reply.text, MessageStatus.COMPLETE):
            yield f"a reply is not stored as it was told: {told}, stored: {found and found.text!r}"
        for attempt in told.reply.attempts:
            kept = ledger.get(attempt.id)
            if not world.clock_jumps and (kept is None or kept.cost != attempt.cost):
                yield f"an attempt is not in the ledger as it was told: {told}"
        context = told.reply.context
        if context is not None and context.budget is not None and context.tokens > context.budget:
            yield f"the context is over its budget: {told}"
    yield from (f"lost: {each.text!r}" for each in world.appended if each.id not in stored)


def _what_is_said_to_be_kept_is_kept(world: World, records: Records) -> Iterator[str]:
    texts = Counter(each.text for each in _all_messages(records).values() if each.role is Role.USER)
    for told in world.told:
        if told.text is None or told.client_id is not None:
            continue
        kept = getattr(told.error, "kept", None) or ""
        if (told.reply is not None or "your message is stored" in kept) and texts[told.text] != 1:
            yield f"the message is stored {texts[told.text]} times: {told}"
        if "nothing was stored" in kept and texts[told.text]:
            yield f"the message is stored all the same: {told}"


def _no_half_answer_is_whole(world: World, records: Records) -> Iterator[str]:
    calls = [call for provider in world.providers for call in provider.calls]
    for message in _all_messages(records).values():
        if message.role is Role.ASSISTANT and not is_told(message.text, calls, message.status):
            yield f"{message.status} and never said so by anybody: {message.text!r}"


def is_told(text: str, calls: Sequence[Call], status: MessageStatus) -> bool:
    """Whether a text is made of what calls said, and ends with a whole answer where it is to be complete."""
    needs_whole = status is MessageStatus.COMPLETE
    if text == "":
        return not needs_whole
    for call in calls:
        said = ""
        for words in call.words:
            said += words
            if not text.startswith(said):
                break
            rest = text[len(said) :]
            if (rest == "" and (not needs_whole or call.whole == said)) or (
                rest and is_told(rest, calls, status)
            ):
                return True
    return False


def _everything_is_settled(world: World, records: Records) -> Iterator[str]:
    for book in records.books:
        for attempt in book.attempts:
            if attempt.outcome is AttemptOutcome.PENDING:
                yield f"an attempt is pending: {attempt}"
        for message in book.messages.values():
            if message.status is MessageStatus.PENDING:
                yield f"a message is pending: {message}"


def _the_tree_is_one(world: World, records: Records) -> Iterator[str]:
    yield from (f"the store finds a problem: {problem}" for problem in records.problems)
    for book in records.books:
        for name, path in book.branches.items():
            before: Message | None = None
            for message in path:
                parent, depth = (None, 0) if before is None else (before.id, (before.depth or 0) + 1)
                if (message.parent_id, message.depth) != (parent, depth):
                    yield f"branch {name!r} is no path at {message.text!r:.60}"
                before = message


def _answers_follow_their_questions(world: World, records: Records) -> Iterator[str]:
    for book in records.books:
        for message in book.messages.values():
            parent = book.messages.get(message.parent_id)
            if message.role is Role.ASSISTANT and (parent is None or parent.role is not Role.USER):
                yield f"an answer follows no question: {message.text!r:.60}"


def _costs_add_up(world: World, records: Records) -> Iterator[str]:
    everything = CostTotal()
    for book in records.books:
        known = [attempt.cost.money.pico for attempt in book.attempts if attempt.cost is not None]
        total = CostTotal(Money(sum(known)), len(book.attempts) - len(known))
        everything += total
        # A record counts what is settled; what the store failed to settle is settled by who writes next.
        left = sum(attempt.lease_until is not None for attempt in book.attempts)
        known_to_record, unknown = book.record.cost.money, book.record.cost.unknown_count
        if known_to_record != total.money or not 0 <= total.unknown_count - unknown <= left:
            yield f"the record says {book.record.cost} of {total}"
        sums = {
            "the report": book.cost.total,
            "by provider": sum(book.cost.by_provider.values(), CostTotal()),
            "by model": sum(book.cost.by_model.values(), CostTotal()),
        }
        yield from (f"{name} says {said} of {total}" for name, said in sums.items() if said != total)
    activity = records.statistics.activity.cost
    if activity != everything:
        yield f"statistics say {activity} of {everything}"


def _observers_see_each_attempt_once(world: World, records: Records) -> Iterator[str]:
    notices = world.observer.notices
    started = Counter(each.attempt.id for each in notices if isinstance(each, AttemptStarted))
    ended = Counter(each.attempt.id for each in notices if isinstance(each, AttemptEnded))
    for name, seen in (("started", started), ("ended", ended)):
        yield from (f"an attempt {name} {times} times" for times in seen.values() if times > 1)
    if ended - started:
        yield f"{len(ended - started)} attempts ended that had not started"
    ledger = {attempt.id for book in records.books for attempt in book.attempts}
    # A call for a title is written down when it is over, which it may not be yet.
    if set(started) - ledger and not world.has_titles:
        yield f"{len(set(started) - ledger)} attempts started that are not in the ledger"
    if not world.store.failed and set(ended) != ledger:
        yield f"{len(ledger - set(ended))} attempts of the ledger never ended for observers"


def _calls_are_written_ahead(world: World, records: Records) -> Iterator[str]:
    yield from world.unannounced


def _limits_hold(world: World, records: Records) -> Iterator[str]:
    for provider in world.providers:
        limits = provider.config.limits
        if world.has_titles or STUBBORN & {call.fate for call in provider.calls}:
            continue
        if limits.concurrent is not None and provider.most_at_once > limits.concurrent:
            yield f"{provider.most_at_once} calls of {provider.name} at once: {limits}"


def _a_minute_holds_no_more_than_it_may(world: World, records: Records) -> Iterator[str]:
    for provider in world.providers:
        most, began = provider.config.limits.requests_per_minute, [call.began for call in provider.calls]
        if most is None or world.has_titles:  # titles do not queue
            continue
        for first, last in zip(began, began[most:], strict=False):
            if last - first < 59.9:
                yield f"{most + 1} calls of {provider.name} within {last - first:.3f} s"


def _budgets_hold(world: World, records: Records) -> Iterator[str]:
    for state in world.spent:
        if state.budget.is_hard and state.spent.pico > state.budget.limit.pico:
            yield f"{state.spent} is spent of {state.budget}"
        if state.reserved.pico and not (world.store.failed or world.has_titles):  # a title may be coming
            yield f"{state.reserved} is still set aside: {state.budget}"


def _budgets_know_of_every_cost(world: World, records: Records) -> Iterator[str]:
    if world.store.failed or world.clock_jumps or world.has_titles:
        return  # a title may come later
    for state in world.spent:
        if (state.budget.scope, state.budget.period) == (BudgetScope.OWNER, BudgetPeriod.ALL):
            costs = [attempt.cost for book in records.books for attempt in book.attempts]
            known = sum(cost.money.pico for cost in costs if cost is not None)
            is_exact = None not in costs
            if state.spent.pico < known or (is_exact and state.spent.pico != known):
                yield f"a budget says {state.spent} of {CostTotal.of(costs)}: {state.budget}"


def _breakers_go_round(world: World, records: Records) -> Iterator[str]:
    states: dict[Any, str] = {}
    for notice in world.observer.notices:
        if isinstance(notice, BreakerChanged):
            before = states.get(notice.target, "closed")
            if (before, notice.state.value) in (("closed", "half_open"), ("closed", "closed")):
                yield f"{notice.target} is {notice.state}, and was closed"
            states[notice.target] = notice.state.value


def _all_messages(records: Records) -> dict[Any, Message]:
    return {key: message for book in records.books for key, message in book.messages.items()}


Check = Callable[[World, Records], Iterator[str]]

CHECKS: Sequence[Check] = (
    _nothing_foreign_leaves,
    _errors_say_what_they_are,
    _nothing_goes_on,
    _sends_end_in_time,
    _sends_keep_to_their_attempts,
    _replies_are_stored,
    _what_is_said_to_be_kept_is_kept,
    _no_half_answer_is_whole,
    _everything_is_settled,
    _the_tree_is_one,
    _answers_follow_their_questions,
    _costs_add_up,
    _observers_see_each_attempt_once,
    _calls_are_written_ahead,
    _limits_hold,
    _a_minute_holds_no_more_than_it_may,
    _budgets_hold,
    _budgets_know_of_every_cost,
    _breakers_go_round,
)
