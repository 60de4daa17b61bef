"""Whole conversations: stored many at a time, and taken out as JSON."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import orjson

import tertulia
from benchmarks.library import OWNER, make_trees, open_store
from benchmarks.plain import open_plain
from benchmarks.sizes import chosen
from benchmarks.table import Goal, Row
from benchmarks.timing import Work, compare
from tertulia.builtin.sql.search_scope import TITLE, render_scope
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.terms import render_terms
from tertulia.domain.transfer import ConversationTree

MESSAGES = 20
"""Of each conversation."""

_TABLES = ("conversation", "segment", "message", "branch", "attempt", "tag", "conversation_target")

Tables = dict[str, list[tuple[object, ...]]]
"""Rows, by the statement that writes them."""


async def measure_import(_: str, rounds: int) -> list[Row]:
    """Conversations as values to the store, and as rows to ``executemany``, index and ledger included."""
    count = chosen().imported
    batches = [[*make_trees(count, MESSAGES, turn * count)] for turn in range(rounds)]
    messages = count * MESSAGES
    with TemporaryDirectory(prefix="tertulia-benchmark-") as folder:
        tables = await _find_rows(Path(folder) / "rows.db", batches)
        ours, theirs = Path(folder) / "ours.db", Path(folder) / "raw.db"
        store = await open_store(f"sqlite:///{ours}")
        await (await open_store(f"sqlite:///{theirs}")).aclose()
        with open_plain(theirs) as plain:
            trees, rows = iter(batches), iter(tables)
            works: dict[str, Work] = {
                "ours": lambda: store.add_trees(OWNER, next(trees)),
                "raw": lambda: plain.insert(next(rows)),
            }
            spent = await compare(works, rounds=rounds, times=1)
        await store.aclose()
    speed = [messages * 1e6 / spent[name].cpu for name in ("ours", "raw")]
    goals = (Goal(0.7, at_least=True),)
    return [Row("import, values to rows (raw: executemany), CPU", *speed, "messages/s", goals)]


async def measure_files(_: str, rounds: int) -> list[Row]:
    """A file of conversations written and read again, against rows written as JSON and JSON read alone."""
    count = 4 * chosen().imported
    with TemporaryDirectory(prefix="tertulia-benchmark-") as folder:
        database, file, plain_file = (
            Path(folder) / name for name in ("some.db", "some.jsonl", "plain.jsonl")
        )
        store = await open_store(f"sqlite:///{database}")
        await store.add_trees(OWNER, [*make_trees(count, MESSAGES)])
        await store.aclose()
        numbers: Iterator[int] = iter(range(rounds))
        async with tertulia.open(store=f"sqlite:///{database}", environ={}) as client:

            async def read_back() -> None:
                url = f"sqlite:///{Path(folder) / f'{next(numbers)}.db'}"
                async with tertulia.open(store=url, environ={}) as other:
                    report = await other.import_conversations(file)
                assert count == len(report.imported)

            await client.export(file)
            works: dict[str, Work] = {
                "export": lambda: client.export(file),
                "export, raw": lambda: _write_rows(database, plain_file),
                "import": read_back,
                "import, raw": lambda: _read_lines(file),
            }
            spent = await compare(works, rounds=rounds, times=1)
    speed = {name: count * MESSAGES * 1e6 / each.cpu for name, each in spent.items()}
    return [
        Row("export (raw: rows as JSON), CPU", speed["export"], speed["export, raw"], "messages/s"),
        Row("import of a file (raw: its JSON), CPU", speed["import"], speed["import, raw"], "messages/s"),
    ]


async def _find_rows(path: Path, batches: Sequence[Sequence[ConversationTree]]) -> list[Tables]:
    """What the store writes for each batch, the words of its index included."""
    store: SQLStore = await open_store(f"sqlite:///{path}")
    for trees in batches:
        await store.add_trees(OWNER, trees)
    await store.aclose()
    with closing(sqlite3.connect(path)) as database:
        return [_find_rows_of(database, {tree.record.id.bytes for tree in trees}) for trees in batches]


def _find_rows_of(database: sqlite3.Connection, ids: set[bytes]) -> Tables:
    found: Tables = {}
    for table in _TABLES:
        key = "id" if table == "conversation" else "conversation_id"
        where = f"owner_id = ? AND {key} IN ({', '.join('?' * len(ids))})"
        rows = database.execute(f"SELECT * FROM {table} WHERE {where}", (OWNER, *ids)).fetchall()  # noqa: S608
        if rows:
            found[f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})"] = rows  # noqa: S608
    entries = f"""
        SELECT search_entry.*, coalesce(role, '{TITLE}'), coalesce(text, title) FROM search_entry
        JOIN conversation ON conversation.owner_id = search_entry.owner_id
            AND conversation.id = search_entry.conversation_id
        LEFT JOIN message ON message.owner_id = search_entry.owner_id
            AND message.conversation_id = search_entry.conversation_id AND message.id = message_id
        WHERE search_entry.conversation_id IN ({", ".join("?" * len(ids))})
    """  # noqa: S608
    rows = database.execute(entries, (*ids,)).fetchall()
    found["INSERT INTO search_entry VALUES (?, ?, ?, ?, ?)"] = [row[:5] for row in rows]
    found["INSERT INTO search_words (rowid, words) VALUES (?, ?)"] = [
        (number, " ".join((*render_scope(OWNER, UUID(bytes=conversation), role), render_terms(text))))
        for number, _, conversation, _, _, role, text in rows
    ]
    return found


async def _write_rows(database: Path, file: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, file.open("wb") as lines:
        connection.row_factory = sqlite3.Row
        for row in connection.execute("SELECT * FROM message ORDER BY conversation_id, segment, depth"):
            values = {
                name: row[name].hex() if isinstance(row[name], bytes) else row[name]
                for name in row.keys()  # noqa: SIM118  # a row iterates over its values
            }
            lines.write(orjson.dumps(values) + b"\n")


async def _read_lines(file: Path) -> None:
    with file.open("rb") as lines:
        for line in lines:
            orjson.loads(line)
