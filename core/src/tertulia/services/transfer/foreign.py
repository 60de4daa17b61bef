"""What all foreign formats share: ids and moments, and who was asked what."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt, AttemptOutcome, Branch, ConversationRecord
from tertulia.domain.message import Message, MessageStatus, Role
from tertulia.domain.transfer import MAX_NAME, ConversationTree
from tertulia.domain.usage import CostTotal, Usage
from tertulia.errors import ErrorKind
from tertulia.runtime.clock import make_uuid7
from tertulia.services.transfer.files import sort_parents_first

MAIN = "main"
UNKNOWN_MODEL = "unknown"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)
_NOWHERE = UUID(int=0)
_LONGEST_TOOL_NAME = 64


@attrs.frozen
class Origin:
    """
    A conversation as it was elsewhere.

    Attributes:
        source: What wrote it: the provider of its answers, and the beginning of its ids.

        id: What it was called there.

        heads: The newest message of each branch, by name; the first one is the active branch.
    """

    source: str
    id: str
    title: object
    created_at: datetime
    updated_at: datetime
    model: str
    messages: Sequence[Message]
    heads: Mapping[str, UUID | None]


def make_id(moment: datetime, *names: str) -> UUID:
    """A UUIDv7 of a moment that is always the same for the same names."""
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "replace")).digest()
    return make_uuid7((moment - _EPOCH) * 4096 // timedelta(milliseconds=1), int.from_bytes(digest[:8]))


def read_seconds(value: object) -> datetime | None:
    """The moment so many seconds after 1970; None for what is none."""
    if type(value) not in (int, float):
        return None
    try:
        moment = _EPOCH + timedelta(seconds=float(value))  # type: ignore[arg-type]  # it is one of them
    except (OverflowError, ValueError):
        return None
    return moment if _EPOCH <= moment < _LAST else None


def read_moment(value: object) -> datetime | None:
    """The moment of a text in ISO 8601, in UTC unless it says otherwise; None for what is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return moment if _EPOCH <= moment < _LAST else None


def read_model(*values: object) -> str:
    """The first of these that can be the name of a model."""
    return next((each[:MAX_NAME] for each in values if isinstance(each, str) and each), UNKNOWN_MODEL)


def clean_tool_name(name: str) -> str:
    """A name of a tool that every provider takes."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:_LONGEST_TOOL_NAME] or "tool"


def make_tree(origin: Origin, owner: str, attempts: Sequence[Attempt] | None = None) -> ConversationTree:
    """
    Make a conversation of what was elsewhere.

    Args:
        attempts: The calls that were made; None to take each answer for one whose cost nobody knows.
    """
    messages = sort_parents_first(origin.messages)
    branches, branch_of = _make_branches(origin, messages)
    if attempts is None:
        attempts = _make_attempts(origin, messages)
    record = ConversationRecord(
        id=make_id(origin.created_at, origin.source, origin.id),
        owner=owner,
        title=origin.title[:MAX_NAME] or None if isinstance(origin.title, str) else None,
        branch=branches[0],
        message_count=len(messages),
        cost=CostTotal(),
        created_at=origin.created_at,
        updated_at=max(origin.created_at, origin.updated_at),
        metadata={"source": origin.source, "source_id": origin.id},
    )
    placed = (attrs.evolve(each, branch=branch_of.get(each.message_id)) for each in attempts)
    return ConversationTree(record, branches, messages, tuple(placed))


def _make_branches(
    origin: Origin, messages: Sequence[Message]
) -> tuple[tuple[Branch, ...], dict[UUID | None, str]]:
    """The branches, and on which of them each message was said first."""
    by_id = {message.id: message for message in messages}
    depths: dict[UUID | None, int] = {None: -1}
    for message in messages:
        depths[message.id] = depths.get(message.parent_id, -1) + 1
    branches: list[Branch] = []
    branch_of: dict[UUID | None, str] = {}
    for name, head in origin.heads.items():
        place, model = head, origin.model
        while place in by_id and place not in branch_of:
            branch_of[place] = name
            place = by_id[place].parent_id
        if head in by_id:
            model = by_id[head].model or origin.model
        branches.append(
            Branch(
                name,
                origin.source,
                model,
                segment=_NOWHERE,
                head_id=head,
                head_depth=depths.get(head, -1),
                forked_from=MAIN if branches else None,
                fork_depth=_find_shared(place, branch_of, by_id, depths) if branches else None,
                created_at=origin.created_at,
            )
        )
    return tuple(branches), branch_of


def _find_shared(
    place: UUID | None,
    branch_of: Mapping[UUID | None, str],
    by_id: Mapping[UUID | None, Message],
    depths: Mapping[UUID | None, int],
) -> int:
    """The depth of the newest message on a path that the first branch has as well."""
    while place in by_id and branch_of.get(place) != MAIN:
        place = by_id[place].parent_id
    return depths.get(place, -1)


def _make_attempts(origin: Origin, messages: Sequence[Message]) -> list[Attempt]:
    numbers: Counter[UUID] = Counter()
    attempts: list[Attempt] = []
    for message in messages:
        if message.role is not Role.ASSISTANT or message.parent_id is None:
            continue
        assert message.created_at is not None  # noqa: S101  # every reader gives it one
        numbers[message.parent_id] += 1
        is_whole = message.status is MessageStatus.COMPLETE
        attempts.append(
            Attempt(
                id=make_id(message.created_at, origin.source, origin.id, "attempt", str(message.id)),
                message_id=message.parent_id,
                number=numbers[message.parent_id],
                provider=origin.source,
                model=message.model or origin.model,
                started_at=message.created_at,
                outcome=AttemptOutcome.SUCCEEDED if is_whole else AttemptOutcome.INTERRUPTED,
                error_kind=None if is_whole else ErrorKind.INTERRUPTED,
                latency_seconds=message.latency_seconds,
                usage=message.usage or Usage(),
            )
        )
    return attempts
