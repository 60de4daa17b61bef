"""Words looked up one by one in SQLite: what each text weighs that holds any of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import FromClause, Integer, Select, String, bindparam, column, func, select

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import Selection, bind, is_, number, of
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.joining import InOrder
from tertulia.builtin.sql.related_values import MOST_OF_A_WORD, Best, estimate_count, weigh
from tertulia.builtin.sql.search_schema import numbered_entry, words
from tertulia.builtin.sql.search_scope import render_wanted
from tertulia.builtin.sql.search_sqlite import OWN_MESSAGE, matches
from tertulia.builtin.sql.statements import MESSAGES, PATH

_MOST_LOOKS, _LOOK = 3, 300
"""So often so many places are looked at, for not all that is found is on the branch."""

_ENTRY, _WORDS = numbered_entry.c, words.c
_MESSAGE = schema.message.c
_HELD, _BLOB = schema.message_blob.c, schema.blob.c
_Runs: TypeAlias = Mapping[UUID, int]
"""The segments of a path, each with the depth below which its messages are on it."""


def render_scope(owner: str, conversation_id: UUID) -> Sequence[str]:
    """
    The terms that say where to look.

    Not the owner's, of which an index of one owner has as many as texts: it is compared when the texts are
    read. Who has a copy of another's conversation may count its texts twice, and never sees them.
    """
    return render_wanted(owner, conversation_id)[1:]


def render_any(scope: Sequence[str], forms: Sequence[str]) -> str:
    """What has all of a scope and any of some forms."""
    return " AND ".join((*(f'"{term}"' for term in scope), f"({' OR '.join(map(_quote, forms))})"))


def _quote(term: str) -> str:
    return f'"{term}"'


def find_best(database: Database, path: Values, matches: Sequence[str], limit: int) -> Best:
    """The places on a path that hold the rarest of some words, the best first."""
    runs = _get_runs(database, path)
    length = max(runs.values(), default=0)
    size = database.first(_GET_SIZE, path)
    total = 0 if size is None else size["message_count"]
    found = [_find_numbers(database, match) for match in matches]
    counts = _count(database, path, found, length, total)
    step = max(_LOOK, limit)
    heaviest = _find_heaviest(found, counts, total, _MOST_LOOKS * step)
    return Best(_place(database, path, runs, heaviest, step, limit), counts, length, total)


def _find_heaviest(
    found: Sequence[Sequence[int]], counts: Sequence[int], total: int, enough: int
) -> list[int]:
    """Those that hold the rarest words, the heaviest first; equals by age, the newest first."""
    weights: dict[int, float] = {}
    for count, numbers in sorted(zip(counts, found, strict=True), key=itemgetter(0)):
        weight = weigh(count, total)
        # Who holds nothing but what very many hold is no longer looked for.
        those = numbers if len(weights) < enough else [each for each in numbers if each in weights]
        weights.update([(each, weights.get(each, 0.0) + weight) for each in those])
    heaviest = sorted(zip(weights.values(), weights, strict=True), reverse=True)
    return [number for _, number in heaviest[:enough]]


def _get_runs(database: Database, path: Values) -> _Runs:
    return {row["segment"]: row["below"] for row in database.all(_GET_RUNS, path)}


def _find_numbers(database: Database, match: str) -> list[int]:
    row = database.first(_FIND_NUMBERS, {"match": match, "limit": MOST_OF_A_WORD})
    numbers: list[int] = json.loads(row["numbers"]) if row is not None else []
    return numbers


def _count(
    database: Database, path: Values, found: Sequence[Sequence[int]], length: int, total: int
) -> list[int]:
    """How many hold each word; of what too many do, as many as the newest of them let one think."""
    last = [numbers[-1] for numbers in found if len(numbers) == MOST_OF_A_WORD]
    depths = {row["number"]: row["depth"] for row in _get_places(database, path, last)} if last else {}
    return [
        estimate_count(len(numbers), length - depths[numbers[-1]], total)
        if len(numbers) == MOST_OF_A_WORD and numbers[-1] in depths
        else len(numbers)
        for numbers in found
    ]


def _place(
    database: Database, path: Values, runs: _Runs, heaviest: Sequence[int], step: int, limit: int
) -> list[int]:
    """Where they stand, of those that are on the path, as many as are wanted."""
    placed: list[int] = []
    for start in range(0, len(heaviest), step):
        look = heaviest[start : start + step]
        rows = {row["number"]: row for row in _get_places(database, path, look)}
        here = (rows[each] for each in look if each in rows)
        placed += (row["depth"] for row in here if row["depth"] < runs.get(row["segment"], -1))
        if len(placed) * 3 >= limit:
            break
    return placed


def _get_places(database: Database, path: Values, numbers: Sequence[int]) -> list[Row]:
    return database.all(_GET_PLACES, {**path, "numbers": json.dumps(numbers)})


def split(database: Database, path: Values, places: Sequence[int]) -> list[Row]:
    """What is to be given to :data:`LOAD`, once for each segment."""
    pages: list[Row] = []
    left = list(places)
    for segment, below in sorted(_get_runs(database, path).items(), key=lambda run: run[1]):
        here = [place for place in left if place < below]
        left = left[len(here) :]
        if here:
            pages.append({**path, "segment": segment, "numbers": json.dumps(here)})
    return pages


def _listed(name: str) -> FromClause:
    listed = func.json_each(bindparam("b_numbers", type_=String()))
    return listed.table_valued(column("value", Integer), name=name)


_SOUGHT = _listed("sought")
_GET_RUNS = select(PATH.c.segment, PATH.c.below)
_GET_SIZE = select(schema.conversation.c.message_count).where(
    is_(schema.conversation.c.owner_id),
    schema.conversation.c.id == bind(schema.conversation.c.id, "conversation_id"),
)
# As one text: a row for each would take longer than finding it.
_NUMBERS = (
    select(_WORDS.rowid).where(matches()).order_by(_WORDS.rowid.desc()).limit(number("limit")).subquery()
)
_FIND_NUMBERS = select(func.json_group_array(_NUMBERS.c.rowid).label("numbers"))
_GET_PLACES = (
    select(_ENTRY.number, _MESSAGE.segment, _MESSAGE.depth)
    .select_from(
        InOrder(
            InOrder(_SOUGHT, numbered_entry, _ENTRY.number == _SOUGHT.c.value), schema.message, OWN_MESSAGE
        )
    )
    .where(of(numbered_entry))
)
_STANDS = InOrder(
    _SOUGHT,
    schema.message,
    of(schema.message) & is_(_MESSAGE.segment) & (_MESSAGE.depth == _SOUGHT.c.value),
)
LOAD: Select[Any] = MESSAGES.select_from(_STANDS)
LOAD_BLOBS: Selection = select(_BLOB.sha256, _BLOB.bytes).where(
    is_(_BLOB.owner_id),
    _BLOB.sha256.in_(
        select(_HELD.sha256).where(
            of(schema.message_blob), _HELD.message_id.in_(select(_MESSAGE.id).select_from(_STANDS))
        )
    ),
)
