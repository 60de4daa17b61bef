"""
Whole conversations at once: laid out in segments, rendered to rows, and stored table by table.

Everything is checked and every row made before the first one is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import attrs
from sqlalchemy import Insert, Table, insert, select, tuple_

from tertulia.builtin.sql import schema, search, statements
from tertulia.builtin.sql.binding import bind, is_, number, of
from tertulia.builtin.sql.blobs import find_blobs
from tertulia.builtin.sql.branches import explain_no_message
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.leases import resolve
from tertulia.builtin.sql.marks import add_marks
from tertulia.builtin.sql.path_tokens import ROOT, PathEnd
from tertulia.builtin.sql.rows import (
    TOKEN_COLUMNS,
    own_cost,
    parse_message,
    render_attempt,
    render_branch,
    render_conversation,
    render_message,
)
from tertulia.builtin.sql.tree import (
    add_costs,
    countable,
    explain_no_conversation,
    make_keys,
    render_path_cost,
)
from tertulia.domain.conversation import Attempt, ConversationState
from tertulia.domain.message import NO_MARK, Message
from tertulia.domain.transfer import ConversationTree, end_pending, find_fault
from tertulia.domain.usage import CostTotal
from tertulia.errors import StoreError

_BEFORE_ALL = UUID(int=0)
"""No segment has this id, and every other one is greater."""


@attrs.frozen
class Run:
    """A segment: where its messages branch off from another one, both None for one from the root."""

    id: UUID
    parent_segment: UUID | None = None
    fork_depth: int | None = None


@attrs.define
class Layout:
    """
    Where the messages of a tree stand.

    Attributes:
        runs: The segments, in the order in which their first messages came.

        places: The segment and the depth of each message.
    """

    runs: list[Run] = attrs.field(factory=list[Run])
    places: dict[UUID | None, tuple[UUID, int]] = attrs.field(factory=dict[UUID | None, tuple[UUID, int]])

    def begin(self, parent: tuple[UUID, int] | None = None) -> UUID:
        """Begin a segment, which sorts after those before: so an export has the order of its import."""
        identifier = UUID(int=len(self.runs) + 1)
        self.runs.append(Run(identifier, *(parent or (None, None))))
        return identifier


def lay_out(messages: Iterable[Message]) -> Layout:
    """
    Give messages their places: the first child goes on with its parent's segment, each other begins one.

    Args:
        messages: Parents before their children.
    """
    layout, continued = Layout(), set[UUID | None]()
    for message in messages:
        parent_id = message.parent_id
        parent = layout.places.get(parent_id)
        if parent is None:
            layout.places[message.id] = (layout.begin(), 0)
        elif parent_id in continued:
            layout.places[message.id] = (layout.begin(parent), parent[1] + 1)
        else:
            continued.add(parent_id)
            layout.places[message.id] = (parent[0], parent[1] + 1)
    return layout


def add_trees(database: Database, owner: str, trees: Sequence[ConversationTree]) -> list[UUID]:
    """Store whole conversations; one of an id that is there already is left as it is."""
    _refuse_faults(trees)
    new = [
        tree
        for tree in trees
        if database.first(statements.GET_ACTIVE_BRANCH, make_keys(owner, tree.record.id)) is None
    ]
    rows: dict[Insert, list[Row]] = defaultdict(list)
    for tree in new:
        _render_tree(rows, owner, end_pending(tree))
    for statement in _IN_ORDER:
        if rows[statement]:
            database.run_many(statement, rows[statement])
    search.index_trees(database, owner, new)
    return [tree.record.id for tree in new]


def find_messages(
    database: Database, keys: Values, now: datetime, *, limit: int, after: UUID | None
) -> list[Message]:
    """A page of all messages of a conversation, segment by segment."""
    page = {**keys, "limit": limit, "segment": _BEFORE_ALL, "depth": -1}
    if database.first(statements.GET_STATE, keys) is None:
        raise explain_no_conversation(keys["conversation_id"])
    if after is not None:
        last = database.first(statements.GET_PLACE, {**keys, "message_id": after})
        if last is None:
            raise explain_no_message(keys["conversation_id"], after)
        page |= {"segment": last["segment"], "depth": last["depth"]}
    rows = database.all(_FIND_PAGE, page)
    resolve(database, keys, rows, now)
    find = find_blobs(database, rows, _FIND_PAGE_BLOBS, page)
    return add_marks(database, keys, rows, [parse_message(row, find) for row in rows])


def _refuse_faults(trees: Sequence[ConversationTree]) -> None:
    seen: set[UUID] = set()
    for tree in trees:
        identifier = tree.record.id
        fault = "there are two of it" if identifier in seen else find_fault(tree)
        if fault is not None:
            raise StoreError(
                f"conversation {identifier} cannot be stored: {fault}",
                kept="nothing was stored",
                next_step="leave it out, or repair it where it comes from",
            )
        seen.add(identifier)


def _render_tree(rows: dict[Insert, list[Row]], owner: str, tree: ConversationTree) -> None:
    keys, layout = make_keys(owner, tree.record.id), lay_out(tree.messages)
    costs: dict[UUID | None, CostTotal] = {None: CostTotal()}
    ends: dict[UUID | None, PathEnd] = {None: ROOT}
    for message in tree.messages:
        segment, depth = layout.places[message.id]
        cost = costs[message.parent_id]
        # Messages come by the thousand, so no second value is made of each.
        costs[message.id] = cost if message.provider is None else add_costs(cost, own_cost(message))
        row = _render_message(rows, keys, message, segment)
        end = ends[message.id] = ends[message.parent_id].follow_row(row)
        row |= {"depth": depth, "created_at": message.created_at or tree.record.created_at}
        row |= {**render_path_cost(costs[message.id]), "path_tokens": end.tokens}
    for sequence, branch in enumerate(tree.branches, 1):
        segment, depth = layout.places.get(branch.head_id) or (layout.begin(), -1)
        placed_branch = attrs.evolve(
            branch,
            segment=segment,
            head_depth=depth,
            created_at=branch.created_at or tree.record.created_at,
            cost=costs[branch.head_id],
        )
        rows[_ADD_BRANCH].append({**keys, **render_branch(placed_branch), "sequence": sequence})
    rows[_ADD_SEGMENT] += [{**keys, **attrs.asdict(run)} for run in layout.runs]
    rows[statements.ADD_CONVERSATION].append({**keys, **_render_record(tree)})
    rows[_ADD_TAG] += [{**keys, "tag": name} for name in dict.fromkeys(tree.record.tags)]
    _render_attempts(rows, keys, tree.attempts)


def _render_message(rows: dict[Insert, list[Row]], keys: Values, message: Message, segment: UUID) -> Row:
    row, blobs = render_message(message, segment)
    row |= keys
    rows[_ADD_MESSAGE].append(row)
    for ordinal, blob in enumerate(blobs):
        content = {"size": len(blob.data), "media_type": blob.media_type, "bytes": blob.data}
        held = {**keys, "message_id": message.id, "ordinal": ordinal, "sha256": blob.sha256}
        rows[statements.ADD_BLOB].append({**held, **content})
        rows[_ADD_MESSAGE_BLOB].append(held)
    if message.mark != NO_MARK:
        rows[_ADD_MARK].append({**keys, "message_id": message.id, **attrs.asdict(message.mark)})
    return row


def _render_attempts(rows: dict[Insert, list[Row]], keys: Values, attempts: Sequence[Attempt]) -> None:
    for sequence, attempt in enumerate(attempts, 1):
        rows[_ADD_ATTEMPT].append({**keys, **render_attempt(attempt), "sequence": sequence})
    targets = dict.fromkeys((attempt.provider, attempt.model) for attempt in attempts)
    rows[_ADD_TARGET] += [{**keys, "provider": provider, "model": model} for provider, model in targets]


def _render_record(tree: ConversationTree) -> Row:
    """The row of a conversation, its counters counted from what it holds."""
    cost, tokens = CostTotal(), dict.fromkeys(TOKEN_COLUMNS, 0)
    for attempt in tree.attempts:
        cost = add_costs(cost, CostTotal.of((attempt.cost,)))
        for name in TOKEN_COLUMNS:
            tokens[name] += countable(getattr(attempt.usage, name))
    is_deleted = tree.record.state is ConversationState.DELETED
    return {
        **render_conversation(attrs.evolve(tree.record, cost=cost), len(tree.messages)),
        **tokens,
        "state_before": ConversationState.ACTIVE.value if is_deleted else None,
    }


def _insert(table: Table) -> Insert:
    """With every column given: who stores a whole conversation knows what comes after what."""
    return insert(table).values({column.name: bind(column) for column in table.c})


_ADD_SEGMENT, _ADD_MESSAGE, _ADD_BRANCH, _ADD_ATTEMPT, _ADD_MARK, _ADD_TAG, _ADD_TARGET, _ADD_MESSAGE_BLOB = (
    map(
        _insert,
        (
            schema.segment,
            schema.message,
            schema.branch,
            schema.attempt,
            schema.message_mark,
            schema.tag,
            schema.conversation_target,
            schema.message_blob,
        ),
    )
)
_IN_ORDER = (
    statements.ADD_CONVERSATION,
    _ADD_SEGMENT,
    _ADD_MESSAGE,
    _ADD_BRANCH,
    _ADD_ATTEMPT,
    _ADD_MARK,
    _ADD_TAG,
    _ADD_TARGET,
    statements.ADD_BLOB,
    _ADD_MESSAGE_BLOB,
)
"""What others refer to comes before them."""

_MESSAGE = schema.message.c
_BLOB = schema.blob.c
_HELD = schema.message_blob.c
# Along the key that says where a message stands: however far a page is, it is found at once.
_PLACE = (_MESSAGE.segment, _MESSAGE.depth)
_BEHIND = of(schema.message) & (tuple_(*_PLACE) > tuple_(bind(_MESSAGE.segment), bind(_MESSAGE.depth)))
_FIND_PAGE = statements.MESSAGES.where(_BEHIND).order_by(*_PLACE).limit(number("limit"))
_IDS_OF_PAGE = select(_MESSAGE.id).where(_BEHIND).order_by(*_PLACE).limit(number("limit"))
_FIND_PAGE_BLOBS = select(_BLOB.sha256, _BLOB.bytes).where(
    is_(_BLOB.owner_id),
    _BLOB.sha256.in_(select(_HELD.sha256).where(of(schema.message_blob), _HELD.message_id.in_(_IDS_OF_PAGE))),
)
