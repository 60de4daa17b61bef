"""Conversations that differ in everything a filter asks for, and what a filter means, said plainly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import attrs

from tertulia.contracts.store import Store
from tertulia.domain.conversation import AttemptOutcome, ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, Order
from tertulia.domain.message import Message, Role
from tertulia.domain.metadata import has_all
from tertulia.domain.terms import matches
from tertulia.domain.usage import CostTotal, Money
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk, end, make_record

HOURS_BETWEEN = 7
PLAIN = ("user", "assistant")

_TITLES = ("Lisbon", None, "lisbon", "Ärger", "Lisbon", None, "Zebra")
_TAGS = ((), ("trip",), ("trip", "work"), ("work",), ())
_TARGETS = (
    (),
    (("openai", "sol"),),
    (("openai", "sol"), ("openai", "luna")),
    (("gemini", "pro"),),
    (("openai", "luna"), ("gemini", "sol")),
    (),
    (("gemini", "luna"), ("openai", "luna")),
)
_ROLES: tuple[tuple[str, ...], ...] = ((), ("user",), ("system", *PLAIN), PLAIN)
_METADATA: tuple[Mapping[str, Any], ...] = (
    {},
    {"customer": {"plan": "pro", "seats": 0}},
    {"customer": {"plan": None, "seats": 1.0}},
    {"customer": {"seats": True, "rooms": ["a", {"b": 1}]}},
    {"customer": "pro"},
    {"customer": {"plan": "pro", "seats": 1}, "ünïcode": {"": "empty"}},
)
_COSTS = (
    CostTotal(),
    CostTotal(Money(5)),
    CostTotal(Money(5), 1),
    CostTotal(Money(0), 2),
    CostTotal(Money(70)),
)
_STATES = (*[ConversationState.ACTIVE] * 5, ConversationState.ARCHIVED, ConversationState.DELETED)


@attrs.frozen
class Kept:
    """A conversation as a list has it, and what it says of it only when asked."""

    record: ConversationRecord
    roles: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]


async def fill_shelf(store: Store, clock: StandingClock, count: int = 30) -> list[Kept]:
    """Store conversations, the oldest first, and return them."""
    talks: list[tuple[Talk, int]] = []
    for number in range(count):
        clock.advance(HOURS_BETWEEN * 3600)
        talks.append((await _begin(store, clock, number), number))
    clock.advance(HOURS_BETWEEN * 3600)
    await asyncio.gather(*(_use(talk, number) for talk, number in talks))
    return [
        Kept(
            await store.get_conversation(OWNER, talk.id, deleted=True),
            _ROLES[number % len(_ROLES)],
            _TARGETS[number % len(_TARGETS)],
            _make_texts(number),
        )
        for talk, number in talks
    ]


async def _begin(store: Store, clock: StandingClock, number: int) -> Talk:
    messages = tuple(
        attrs.evolve(Message.of(Role(role), text), id=clock.new_id(), depth=depth, created_at=clock.now())
        for depth, (role, text) in enumerate(
            zip(_ROLES[number % len(_ROLES)], _make_texts(number), strict=True)
        )
    )
    record = attrs.evolve(
        make_record(clock, _TITLES[number % len(_TITLES)], messages),
        tags=_TAGS[number % len(_TAGS)],
        metadata=_METADATA[number % len(_METADATA)],
        cost=_COSTS[number // 2 % len(_COSTS)],
    )
    await store.add_conversation(record, messages)
    return Talk(store, clock, record.id)


def _make_texts(number: int) -> tuple[str, ...]:
    words = ("river", "Hotel", "hôtel by the river")
    return tuple(f"{role} {words[number % len(words)]}" for role in _ROLES[number % len(_ROLES)])


async def _use(talk: Talk, number: int) -> None:
    """Let it be used by some providers, last at a time that it has in common with others, and put away."""
    for provider, model in _TARGETS[number % len(_TARGETS)]:
        ended = end(talk.make_attempt(talk.clock.new_id()), AttemptOutcome.SUCCEEDED)
        call = attrs.evolve(ended, provider=provider, model=model)
        await talk.store.record_attempt(OWNER, talk.id, MAIN, call)
    used = talk.clock.now() - timedelta(hours=number % 4)
    await talk.store.update_title(OWNER, talk.id, _TITLES[number % len(_TITLES)], used)
    state = _STATES[number % len(_STATES)]
    if state is ConversationState.ARCHIVED:
        await talk.store.update_state(OWNER, talk.id, state, used)
    if state is ConversationState.DELETED:
        await talk.store.remove_conversation(OWNER, talk.id, used)


def expect(kept: list[Kept], where: ConversationFilter, order: Order = Order.RECENT) -> list[UUID]:
    """The ids of a list, by what the filter and the order say of themselves."""
    meant = [each.record for each in kept if _is_meant(each, where)]
    meant.sort(key=lambda record: record.id, reverse=order is not Order.OLDEST)
    if order not in (Order.NEWEST, Order.OLDEST):
        meant.sort(key=_KEYS[order])
    return [record.id for record in meant]


_KEYS: Mapping[Order, Callable[[ConversationRecord], Any]] = {
    Order.RECENT: lambda record: -record.updated_at.timestamp(),
    Order.TITLE: lambda record: (record.title is None, record.title or ""),
    Order.MESSAGES: lambda record: -record.message_count,
    Order.COST: lambda record: -record.cost.money.pico,
}


def _is_meant(kept: Kept, where: ConversationFilter) -> bool:
    record, cost = kept.record, kept.record.cost
    has_unknown = cost.unknown_count > 0
    return all(
        (
            not where.states or record.state in where.states,
            set(where.tags) <= set(record.tags),
            (where.provider is None and where.model is None)
            or any(
                where.provider in (None, provider) and where.model in (None, model)
                for provider, model in kept.targets
            ),
            where.role is None or where.role.value in kept.roles,
            where.text is None
            or any(matches(where.text, text) for text in (record.title or "", *kept.texts)),
            has_all(record.metadata, where.metadata),
            _is_between(record.created_at, where.created_from, where.created_until),
            _is_between(record.updated_at, where.updated_from, where.updated_until),
            where.min_messages is None or where.min_messages <= record.message_count,
            where.max_messages is None or where.max_messages >= record.message_count,
            where.min_cost is None or where.min_cost.pico <= cost.money.pico,
            where.max_cost is None or where.max_cost.pico >= cost.money.pico,
            where.has_unknown_cost is None or where.has_unknown_cost == has_unknown,
        )
    )


def _is_between(moment: Any, first: Any, end_: Any) -> bool:
    return (first is None or first <= moment) and (end_ is None or moment < end_)
