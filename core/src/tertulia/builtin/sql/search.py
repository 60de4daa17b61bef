"""
Searching titles and messages.

An index leads to what holds every word of a query, the newest first; how well each answers it, and the piece
of it that shows this, is found in the text itself, in the same way for every database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Protocol, cast
from uuid import UUID

from sqlalchemy import Select, select

from tertulia.builtin.sql import schema, search_postgres, search_sqlite
from tertulia.builtin.sql.binding import bind, is_, number, of, of_conversation
from tertulia.builtin.sql.database import Database, Dialect, Row, Values
from tertulia.builtin.sql.search_scope import TITLE, render_wanted
from tertulia.domain.library import SearchHit
from tertulia.domain.message import Message, MessageStatus, Role
from tertulia.domain.snippets import make_snippet
from tertulia.domain.terms import Query, parse_query, score
from tertulia.domain.transfer import ConversationTree

MOST_RANKED = 2000
"""Of more hits than this only the newest are ranked."""

_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MESSAGE, _CONVERSATION = schema.message.c, schema.conversation.c

_GET_TITLE = select(_CONVERSATION.title, _CONVERSATION.created_at).where(of_conversation())
_TEXTS = select(_MESSAGE.id, _MESSAGE.role, _MESSAGE.status, _MESSAGE.text, _MESSAGE.created_at)
_GET_MESSAGE = _TEXTS.where(of(schema.message), is_(_MESSAGE.id, "message_id"))
_FIND_MESSAGES = (
    _TEXTS.where(of(schema.message), _MESSAGE.id > bind(_MESSAGE.id, "after"))
    .order_by(_MESSAGE.id)
    .limit(number("limit"))
)
_PIECE = 500


class _Index(Protocol):
    """What each database has of its own."""

    MATCHING: Select[Any]

    def render_match(self, terms: Iterable[str], prefixes: Iterable[str] = ...) -> str: ...
    def find_candidates(self, database: Database, values: Values) -> list[Row]: ...
    def get_hits(self, database: Database, owner: str, candidates: Sequence[Row]) -> list[Row | None]: ...
    def add(self, database: Database, texts: Sequence[Row]) -> None: ...
    def forget(self, database: Database, keys: Values, *, limit: int, only_title: bool = ...) -> int: ...
    def clear(self, database: Database) -> None: ...
    def find_indexed(self, database: Database, keys: Values) -> list[Row]: ...


_INDEXES: Mapping[Dialect, _Index] = {
    Dialect.SQLITE: cast(_Index, search_sqlite),
    Dialect.POSTGRESQL: cast(_Index, search_postgres),
}


def index_messages(database: Database, messages: Iterable[tuple[Values, Message]]) -> None:
    """Let messages be found, each once it is settled; with the keys of its conversation."""
    if entries := make_entries(messages):
        _INDEXES[database.dialect].add(database, entries)


def make_entries(messages: Iterable[tuple[Values, Message]]) -> list[Row]:
    """What the index is told of messages: those that are settled, and say anything."""
    return [
        _make_entry(keys, message.id, message.role, text, message.created_at)
        for keys, message in messages
        if _is_settled(message.role, message.status) and (text := message.searchable_text)
    ]


def index_stored(database: Database, keys: Values, message_id: UUID) -> None:
    """Let a message be found that is stored already, and was not found until now."""
    row = database.first(_GET_MESSAGE, {**keys, "message_id": message_id})
    assert row is not None  # noqa: S101  # it was written just now
    _add(database, [_make_entry(keys, message_id, row["role"], row["text"], row["created_at"])])


def index_title(database: Database, keys: Values, title: str | None, created_at: datetime) -> None:
    """Let a new conversation be found by its title."""
    _add(database, [_make_entry(keys, None, TITLE, title or "", created_at)])


def index_trees(database: Database, owner: str, trees: Iterable[ConversationTree]) -> None:
    """Let whole conversations be found that are stored, and all of whose messages are settled."""
    entries: list[Row] = []
    for tree in trees:
        keys, begun = {"owner_id": owner, "conversation_id": tree.record.id}, tree.record.created_at
        entries.append(_make_entry(keys, None, TITLE, tree.record.title or "", begun))
        entries += (
            _make_entry(keys, message.id, message.role, message.searchable_text, message.created_at or begun)
            for message in tree.messages
        )
    _add(database, entries)


def reindex_title(database: Database, keys: Values, title: str | None) -> None:
    """The same of one whose title is about to be changed, and is still the old one."""
    row = database.first(_GET_TITLE, keys)
    if row is not None and row["title"] != title:
        if row["title"]:
            _INDEXES[database.dialect].forget(database, keys, limit=1, only_title=True)
        index_title(database, keys, title, row["created_at"])


def _make_entry(
    keys: Values, message_id: UUID | None, role: str, text: str, created_at: datetime | None
) -> Row:
    return {**keys, "message_id": message_id, "role": role, "text": text, "created_at": created_at}


def _is_settled(role: str, status: str) -> bool:
    return role != Role.ASSISTANT.value or status != MessageStatus.PENDING.value


def _add(database: Database, entries: Sequence[Row]) -> None:
    if texts := [entry for entry in entries if entry["text"]]:
        _INDEXES[database.dialect].add(database, texts)


def forget(database: Database, keys: Values, *, limit: int = _PIECE) -> int:
    """
    Let texts of a conversation be found no more, which must still be there, and say how many.

    Args:
        limit: At most so many.
    """
    return _INDEXES[database.dialect].forget(database, keys, limit=limit)


def clear(database: Database) -> None:
    """Let nothing be found, of anybody."""
    _INDEXES[database.dialect].clear(database)


def reindex(database: Database, keys: Values) -> int:
    """Make the index of one conversation anew, and say how many texts are in it."""
    while forget(database, keys):
        pass
    added = 0
    for entries in _find_texts(database, keys):
        _add(database, entries)
        added += len(entries)
    return added


def count_wrong(database: Database, keys: Values) -> tuple[int, int]:
    """How many texts of a conversation are missing in the index, and how many are in it without a reason."""
    found = [row["message_id"] for row in _INDEXES[database.dialect].find_indexed(database, keys)]
    expected = {entry["message_id"] for entries in _find_texts(database, keys) for entry in entries}
    return len(expected.difference(found)), len(found) - len(expected.intersection(found))


def _find_texts(database: Database, keys: Values) -> Iterator[list[Row]]:
    """What of a conversation is to be found, piece by piece."""
    row = database.first(_GET_TITLE, keys)
    if row is not None and row["title"]:
        yield [_make_entry(keys, None, TITLE, row["title"], row["created_at"])]
    rows: list[Row] = [{"id": UUID(int=0)}]
    while rows:
        rows = database.all(_FIND_MESSAGES, {**keys, "after": rows[-1]["id"], "limit": _PIECE})
        yield [
            _make_entry(keys, row["id"], row["role"], row["text"], row["created_at"])
            for row in rows
            if row["text"] and _is_settled(row["role"], row["status"])
        ]


def find(
    database: Database,
    owner: str,
    query: str,
    *,
    limit: int,
    conversation_id: UUID | None = None,
    role: Role | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[SearchHit]:
    """What holds every word of a query, the best first, and of equally good ones the newest."""
    sought = parse_query(query)
    if not sought or limit <= 0:
        return []
    index = _INDEXES[database.dialect]
    scope = render_wanted(owner, conversation_id, None if role is None else role.value)
    values = {
        "owner_id": owner,
        "conversation_id": conversation_id,
        "since": _EVER if since is None else since,
        "until": _NEVER if until is None else until,
        "limit": MOST_RANKED,
        "wanted": limit,
    }
    candidates = _find_candidates(database, index, scope, sought, values)[:limit]
    hits = index.get_hits(database, owner, candidates)
    return [_make_hit(sought, *pair) for pair in zip(candidates, hits, strict=True)]


def _find_candidates(
    database: Database, index: _Index, scope: Sequence[str], sought: Query, values: Values
) -> list[Row]:
    """
    What is found, ranked.

    Whole words rank before beginnings of words. Where there are as many of them as are wanted, the others are
    not looked for: all terms that begin with a word are to be put together before the first is known.
    """
    whole = index.render_match((*scope, *sought.words, *sought.prefixes))
    rows = index.find_candidates(database, {**values, "match": whole})
    if len(rows) < values["wanted"] and sought.prefixes:
        begun = index.render_match((*scope, *sought.words), sought.prefixes)
        found = {_name(row) for row in rows}
        more = index.find_candidates(database, {**values, "match": begun})
        rows += (row for row in more if _name(row) not in found)
    for row in rows:
        row["score"] = score(sought, row["text"])
    rows.sort(key=itemgetter("score"), reverse=True)  # equals stay in their order, the newest first
    return rows


def _name(row: Row) -> tuple[Any, ...]:
    return tuple(value for name, value in row.items() if name != "text")


def _make_hit(sought: Query, candidate: Row, row: Row | None) -> SearchHit:
    assert row is not None  # noqa: S101  # it was found at the same moment
    return SearchHit(
        conversation_id=row["conversation_id"],
        title=row["title"],
        message_id=row["message_id"],
        role=None if row["role"] is None else Role(row["role"]),
        depth=row["depth"],
        created_at=row["created_at"],
        snippet=make_snippet(sought, row["text"]),
        score=candidate["score"],
    )


def matching_conversations(dialect: Dialect) -> Select[Any]:
    """
    The ids of conversations with a message or a title that holds every word of a text.

    Its parameters are ``owner_id`` and ``match``, which :func:`render_match` makes of the text. An id comes
    as often as there are hits, deleted conversations among them: it is made to stand behind an IN.
    """
    return _INDEXES[dialect].MATCHING


def render_match(dialect: Dialect, owner: str, text: str, conversation_id: UUID | None = None) -> str | None:
    """What a text asks of the index; None where it has no word, and nothing holds it."""
    sought = parse_query(text)
    if not sought:
        return None
    terms = (*render_wanted(owner, conversation_id), *sought.words)
    return _INDEXES[dialect].render_match(terms, sought.prefixes)
