"""Values to rows and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs

from tertulia.builtin.sql.database import Row
from tertulia.domain.context import NO_CONTEXT_OPTIONS, ContextOptions
from tertulia.domain.conversation import (
    Attempt,
    AttemptOutcome,
    AttemptPurpose,
    Branch,
    ConversationRecord,
    ConversationState,
)
from tertulia.domain.message import (
    NO_MARK,
    FinishReason,
    Message,
    MessageStatus,
    Part,
    Role,
    Text,
    join_searchable,
)
from tertulia.domain.tokens import TokenWeights
from tertulia.domain.usage import Cost, CostSource, CostTotal, Money, Usage
from tertulia.errors import ErrorKind
from tertulia.runtime.counting.tokens import count_messages
from tertulia.runtime.serialization import Find, decode_parts, encode_json, encode_parts

_BRANCH_FIELDS = tuple(field.name for field in attrs.fields(Branch) if field.name != "cost")
BRANCH_COLUMNS = (*_BRANCH_FIELDS, "path_cost_pico", "path_cost_unknown_count")
"""A branch's row has a column for each of its fields, in their order, and two for the last, its cost."""
_PREFIXED = tuple(f"branch_{name}" for name in BRANCH_COLUMNS)
_NO_COST = CostTotal()
_WEIGHTS = TokenWeights()

TOKEN_COLUMNS = tuple(field.name for field in attrs.fields(Usage))
"""The classes of tokens, as they are called in every table."""

# A call of an enumeration takes longer than everything else of a column.
_ROLES = {role.value: role for role in Role}
_STATUSES = {status.value: status for status in MessageStatus}
_STATES = {state.value: state for state in ConversationState}

_OPTIONS = frozenset(field.name for field in attrs.fields(ContextOptions))

ENDED = "the process that made it ended"
"""What is said of an attempt whose lease has run out."""


@attrs.frozen
class Blob:
    """Bytes that are kept apart from the message they belong to, under their SHA-256."""

    sha256: bytes
    data: bytes
    media_type: str | None


def render_message(message: Message, segment: UUID | None) -> tuple[Row, list[Blob]]:
    """
    The row of a message, and the bytes that stand beside it.

    Args:
        segment: Where it stands; None when that is known already.
    """
    text, parts, blobs = render_parts(message.parts)
    row = {
        "tokens": count_tokens(message),
        "id": message.id,
        "parent_id": message.parent_id,
        "segment": segment,
        "depth": message.depth,
        "role": message.role.value,
        "status": message.status.value,
        "text": text,
        "parts": parts,
        "provider": message.provider,
        "model": message.model,
        "resolved_model": message.resolved_model,
        "finish_reason": None if message.finish_reason is None else message.finish_reason.value,
        "raw_finish_reason": message.raw_finish_reason,
        **_render_outcome(message.usage or Usage(), message.cost, message.latency_seconds),
        "created_at": message.created_at,
        "client_id": message.client_id,
    }
    return row, blobs


def count_tokens(message: Message) -> int:
    """The tokens of a message, counted where nobody has."""
    return count_messages((message,), _WEIGHTS) if message.tokens is None else message.tokens


def with_tokens(message: Message) -> Message:
    """The message with its tokens."""
    return message if message.tokens is not None else attrs.evolve(message, tokens=count_tokens(message))


def own_cost(message: Message) -> CostTotal:
    """What a message adds to the cost of its path; one that no provider was asked for adds nothing."""
    return CostTotal() if message.provider is None else CostTotal.of((message.cost,))


def render_parts(parts: tuple[Part, ...]) -> tuple[str, str | None, list[Blob]]:
    """What a message is found by, its parts as JSON unless they are one plain text, and their bytes."""
    if len(parts) == 1 and type(part := parts[0]) is Text and part.opaque is None and "\0" not in part.text:
        return part.text, None, []
    blobs: list[Blob] = []

    def keep(data: bytes, media_type: str | None) -> str:
        blobs.append(Blob(hashlib.sha256(data).digest(), data, media_type))
        return blobs[-1].sha256.hex()

    return render_words(parts), encode_parts(parts, keep).decode(), blobs


def render_words(parts: tuple[Part, ...]) -> str:
    """What a message is found by; not every database holds a null character, which in JSON is escaped."""
    return join_searchable(parts).replace("\0", "?")


def parse_message(row: Row, find: Find) -> Message:
    """
    The message of a row.

    Args:
        find: Finds the bytes that were kept apart.
    """
    role = _ROLES.get(row["role"]) or Role(row["role"])
    finish_reason, latency = row["finish_reason"], row["latency_us"]
    return Message(  # in the order of its fields: names would take as long again as half of the value
        role,
        (Text(row["text"]),) if row["parts"] is None else decode_parts(row["parts"], find),
        row["id"],
        row["parent_id"],
        row["depth"],
        _STATUSES.get(row["status"]) or MessageStatus(row["status"]),
        row["provider"],
        row["model"],
        row["resolved_model"],
        None if finish_reason is None else FinishReason(finish_reason),
        row["raw_finish_reason"],
        _parse_usage(row) if role is Role.ASSISTANT else None,
        None if row["cost_pico"] is None else _parse_cost(row),
        None if latency is None else latency / 1_000_000,
        row["created_at"],
        NO_MARK,
        row["client_id"],
        row["tokens"],
    )


def render_attempt(attempt: Attempt) -> Row:
    """The row of an attempt."""
    return {
        "id": attempt.id,
        "message_id": attempt.message_id,
        "number": attempt.number,
        "branch": attempt.branch,
        "purpose": attempt.purpose.value,
        "provider": attempt.provider,
        "model": attempt.model,
        "started_at": attempt.started_at,
        "lease_until": attempt.lease_until,
        "outcome": attempt.outcome.value,
        "error_kind": None if attempt.error_kind is None else attempt.error_kind.value,
        "error_message": attempt.error_message,
        "first_content_us": _microseconds(attempt.first_content_seconds),
        "request_id": attempt.request_id,
        "raw_usage": attempt.raw_usage,
        **_render_outcome(attempt.usage, attempt.cost, attempt.latency_seconds),
        "queued_us": _microseconds(attempt.queued_seconds),
        "is_fallback": attempt.is_fallback,
    }


def parse_attempt(row: Row, now: datetime) -> Attempt:
    """The attempt of a row; one whose lease has run out was interrupted by the death of its process."""
    outcome = AttemptOutcome(row["outcome"])
    lease_until = row["lease_until"]
    expired = outcome is AttemptOutcome.PENDING and (lease_until is None or lease_until <= now)
    return Attempt(
        id=row["id"],
        message_id=row["message_id"],
        number=row["number"],
        provider=row["provider"],
        model=row["model"],
        started_at=row["started_at"],
        lease_until=lease_until,
        outcome=AttemptOutcome.INTERRUPTED if expired else outcome,
        error_kind=ErrorKind.INTERRUPTED if expired else _kind(row["error_kind"]),
        error_message=ENDED if expired else row["error_message"],
        latency_seconds=_seconds(row["latency_us"]),
        first_content_seconds=_seconds(row["first_content_us"]),
        usage=_parse_usage(row),
        cost=_parse_cost(row),
        request_id=row["request_id"],
        raw_usage=row["raw_usage"],
        branch=row["branch"],
        purpose=AttemptPurpose(row["purpose"]),
        queued_seconds=_seconds(row["queued_us"]),
        is_fallback=bool(row["is_fallback"]),
    )


def render_conversation(record: ConversationRecord, message_count: int) -> Row:
    """The row of a new conversation."""
    return {
        "title": record.title,
        "state": record.state.value,
        "state_before": None,
        "metadata": encode_json(record.metadata).decode() if record.metadata else None,
        "deleted_at": record.deleted_at,
        "purge_after": record.purge_after,
        "context": render_options(record.context),
        "version": 0,
        "active_branch": record.branch.name,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "message_count": message_count,
        **{name: count or 0 for name, count in attrs.asdict(record.usage).items()},
        "cost_pico": record.cost.money.pico,
        "cost_unknown_count": record.cost.unknown_count,
    }


def parse_conversation(row: Row, tags: tuple[str, ...] = ()) -> ConversationRecord:
    """The conversation of a row joined with its active branch, whose columns begin with ``branch_``."""
    return ConversationRecord(
        id=row["id"],
        owner=row["owner_id"],
        title=row["title"],
        branch=_parse_branch(row, _PREFIXED),
        message_count=row["message_count"],
        cost=_parse_total(row["cost_pico"], row["cost_unknown_count"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        state=_STATES.get(row["state"]) or ConversationState(row["state"]),
        tags=tags,
        metadata={} if row["metadata"] is None else json.loads(row["metadata"]),
        usage=_parse_usage(row),
        deleted_at=row["deleted_at"],
        purge_after=row["purge_after"],
        context=NO_CONTEXT_OPTIONS if row["context"] is None else _parse_options(row["context"]),
    )


def render_options(options: ContextOptions) -> str | None:
    """How contexts are chosen, as JSON; None where nothing was said of it."""
    said = attrs.asdict(options, filter=lambda _, value: value is not None)
    return encode_json(said).decode() if said else None


def _parse_options(text: str) -> ContextOptions:
    """What a later version may say is passed over."""
    return ContextOptions(**{name: value for name, value in json.loads(text).items() if name in _OPTIONS})


def render_branch(branch: Branch) -> Row:
    """The row of a branch."""
    return {
        **{name: getattr(branch, name) for name in _BRANCH_FIELDS},
        "path_cost_pico": branch.cost.money.pico,
        "path_cost_unknown_count": branch.cost.unknown_count,
    }


def parse_branch(row: Row) -> Branch:
    """The branch of a row."""
    return _parse_branch(row, BRANCH_COLUMNS)


def _parse_branch(row: Row, columns: Sequence[str]) -> Branch:
    values = [row[name] for name in columns]
    values[-2:] = [_parse_total(*values[-2:])]
    return Branch(*values)


def _parse_total(pico: int, unknown_count: int) -> CostTotal:
    return _NO_COST if pico == unknown_count == 0 else CostTotal(Money(pico), unknown_count)


def _render_outcome(usage: Usage, cost: Cost | None, latency_seconds: float | None) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_pico": None if cost is None else cost.money.pico,
        "cost_source": None if cost is None else cost.source.value,
        "price_row": None if cost is None else cost.price_row,
        "computed_cost_pico": None if cost is None or cost.computed is None else cost.computed.pico,
        "latency_us": _microseconds(latency_seconds),
    }


def _parse_usage(row: Row) -> Usage:
    return Usage(
        row["input_tokens"],
        row["cache_read_tokens"],
        row["cache_write_tokens"],
        row["output_tokens"],
        row["reasoning_tokens"],
    )


def _parse_cost(row: Row) -> Cost | None:
    if row["cost_pico"] is None:
        return None
    computed = row["computed_cost_pico"]
    return Cost(
        Money(row["cost_pico"]),
        CostSource(row["cost_source"]),
        row["price_row"],
        None if computed is None else Money(computed),
    )


def _kind(value: str | None) -> ErrorKind | None:
    return None if value is None else ErrorKind(value)


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1_000_000


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)
