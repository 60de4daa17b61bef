"""Which conversations are meant, and which come first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tertulia.domain.conversation import ConversationRecord
from tertulia.domain.library import ConversationFilter, Order
from tertulia.domain.metadata import has_all
from tertulia.testing.memory.finding import holds_words
from tertulia.testing.memory.kept import Kept


def is_meant(kept: Kept, where: ConversationFilter) -> bool:
    """Whether all that a filter asks applies to a conversation."""
    record = kept.read_record()
    return (
        (not where.states or record.state in where.states)
        and set(where.tags) <= set(record.tags)
        and _has_target(kept, where)
        and (where.role is None or any(each.role is where.role for each in kept.messages.values()))
        and has_all(record.metadata, where.metadata)
        and (where.text is None or holds_words(kept, where.text))
        and _is_begun_or_used(record, where)
        and _is_of_size(record, where)
    )


def order_key(record: ConversationRecord, order: Order) -> tuple[Any, ...]:
    """What a list is sorted by, ascending; what is equal in it comes by age, the newest first."""
    newest = -record.id.int
    keys: dict[Order, tuple[Any, ...]] = {
        Order.RECENT: (-record.updated_at.timestamp(), newest),
        Order.NEWEST: (newest,),
        Order.OLDEST: (-newest,),
        Order.TITLE: (record.title is None, record.title or "", newest),
        Order.MESSAGES: (-record.message_count, newest),
        Order.COST: (-record.cost.money.pico, newest),
    }
    return keys[order]


def _has_target(kept: Kept, where: ConversationFilter) -> bool:
    """Whether a call was made to the provider and for the model, one call for both."""
    if where.provider is None and where.model is None:
        return True
    return any(
        where.provider in (None, each.provider) and where.model in (None, each.model)
        for each in kept.attempts.values()
    )


def _is_begun_or_used(record: ConversationRecord, where: ConversationFilter) -> bool:
    return _is_between(record.created_at, where.created_from, where.created_until) and _is_between(
        record.updated_at, where.updated_from, where.updated_until
    )


def _is_between(moment: datetime, first: datetime | None, until: datetime | None) -> bool:
    return (first is None or first <= moment) and (until is None or moment < until)


def _is_of_size(record: ConversationRecord, where: ConversationFilter) -> bool:
    cost, count = record.cost, record.message_count
    return (
        (where.min_messages is None or where.min_messages <= count)
        and (where.max_messages is None or count <= where.max_messages)
        and (where.min_cost is None or where.min_cost <= cost.money)
        and (where.max_cost is None or cost.money <= where.max_cost)
        and where.has_unknown_cost in (None, not cost.exact)
    )
