"""Large libraries: their lists, what is found in them, what they cost, and how soon they are open."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from benchmarks.library import (
    OWNER,
    VOCABULARY,
    open_conversations,
    open_library,
    open_store,
    rare_word,
    word,
)
from benchmarks.library_data import FIRST_MOMENT_US, SPAN_US
from benchmarks.plain import Plain, open_plain
from benchmarks.sizes import chosen
from benchmarks.table import Goal, Row
from benchmarks.timing import Work, compare, sample
from tertulia import ConversationFilter, ConversationRecord, CostGroup, Order
from tertulia.builtin.sql.column_types import moment_of
from tertulia.builtin.sql.store import SQLStore

TIMES = 20
PAGE = 50
FOUND = 20

_MIDDLE_US = FIRST_MOMENT_US + SPAN_US // 2
_COLUMNS = "SELECT conversation.*, branch.* FROM"
_BRANCH = """
    CROSS JOIN branch ON branch.owner_id = conversation.owner_id AND branch.conversation_id = conversation.id
        AND branch.name = conversation.active_branch
    WHERE conversation.owner_id = ? AND conversation.state = 'active'
"""
_CONVERSATION = f"conversation {_BRANCH}"
_KEYS = "conversation.owner_id = {0}.owner_id AND conversation.id = {0}.conversation_id"


@attrs.frozen
class Page:
    """
    A page of a list.

    Attributes:
        raw: The same in SQL, its owner being the first parameter.

        is_deep: Whether it comes behind half of all.
    """

    raw: str
    where: ConversationFilter = ConversationFilter()
    order: Order = Order.NEWEST
    values: tuple[object, ...] = ()
    is_deep: bool = False


_TAGS = "SELECT conversation_id, tag FROM tag WHERE owner_id = ? AND conversation_id IN ({})"
# SQLite is told where to begin, which it does not know by itself.
_TARGETED = f"conversation_target CROSS JOIN conversation ON {_KEYS.format('conversation_target')} {_BRANCH}"
_TAGGED = f"tag CROSS JOIN conversation ON {_KEYS.format('tag')} {_BRANCH}"
_RECENT = f"ORDER BY conversation.updated_at DESC, conversation.id DESC LIMIT {PAGE}"
_NEWEST = f"ORDER BY conversation.id DESC LIMIT {PAGE}"
PAGES: Mapping[str, Page] = {
    "newest": Page(f"{_COLUMNS} {_CONVERSATION} {_NEWEST}"),
    "recent": Page(f"{_COLUMNS} {_CONVERSATION} {_RECENT}", order=Order.RECENT),
    "behind half": Page(f"{_COLUMNS} {_CONVERSATION} AND conversation.id < ? {_NEWEST}", is_deep=True),
    "of a provider": Page(
        f"{_COLUMNS} {_TARGETED} AND conversation_target.provider = ? AND conversation_target.owner_id = ?"
        f" ORDER BY conversation_target.conversation_id DESC LIMIT {PAGE}",
        ConversationFilter(provider="xai"),
        values=("xai", OWNER),
    ),
    "with a tag": Page(
        f"{_COLUMNS} {_TAGGED} AND tag.tag = ? AND tag.owner_id = ?"
        f" ORDER BY tag.conversation_id DESC LIMIT {PAGE}",
        ConversationFilter(tags=("common",)),
        values=("common", OWNER),
    ),
    "before a date": Page(
        f"{_COLUMNS} {_CONVERSATION} AND conversation.updated_at < ? {_RECENT}",
        ConversationFilter(updated_until=moment_of(_MIDDLE_US)),
        Order.RECENT,
        (_MIDDLE_US,),
    ),
}


async def measure_lists(_: str, rounds: int) -> list[Row]:
    """A page of each kind, in a small and in a large library, and by sqlite3 in the large one."""
    few, many = chosen().few, chosen().many
    async with AsyncExitStack() as stack:
        small, _path = await stack.enter_async_context(open_conversations(few))
        large, path = await stack.enter_async_context(open_conversations(many))
        plain = stack.enter_context(open_plain(path))
        middle = {store: await _find_middle(store) for store in (small, large)}
        works: dict[str, Work] = {}
        for name, page in PAGES.items():
            deep = (middle[large].id.bytes,) if page.is_deep else page.values
            works[f"{name}, small"] = _make_listing(small, page, middle[small])
            works[f"{name}, large"] = _make_listing(large, page, middle[large])
            works[f"{name}, raw"] = _make_fetch(plain, page.raw, (OWNER, *deep))
        spent = await compare(works, rounds=rounds, times=TIMES)
    rows: list[Row] = []
    for name in PAGES:
        ours, small_one, raw = (spent[f"{name}, {which}"].cpu for which in ("large", "small", "raw"))
        rows += (
            Row(f"list of {PAGE}, {name}, of {many:,}, CPU", ours, raw, "µs", (Goal(2.5),)),
            Row(
                f"list of {PAGE}, {name}, of {many:,} (raw: of {few:,}), CPU",
                ours,
                small_one,
                "µs",
                (Goal(1.3),),
            ),
        )
    return rows


async def _find_middle(store: SQLStore) -> ConversationRecord:
    where = ConversationFilter(created_until=moment_of(_MIDDLE_US))
    (record,) = await store.find_conversations(OWNER, where=where, order=Order.NEWEST, limit=1)
    return record


def _make_listing(store: SQLStore, page: Page, middle: ConversationRecord) -> Work:
    after = middle if page.is_deep else None
    return lambda: store.find_conversations(
        OWNER, where=page.where, order=page.order, limit=PAGE, after=after
    )


def _make_fetch(plain: Plain, statement: str, values: tuple[object, ...]) -> Work:
    async def fetch() -> None:
        ids = [row[1] for row in plain.database.execute(statement, values)]
        await plain.fetch(_TAGS.format(", ".join("?" * len(ids))), OWNER, *ids)

    return fetch


async def measure_search(_: str, rounds: int) -> list[Row]:
    """Searches of each kind, each with other words: what half of them take, and 99 of 100."""
    messages, queries = chosen().messages, chosen().queries * rounds
    async with open_library(messages) as (store, _path):
        works = await _make_searches(store, messages, queries)
        spent = {kind: await sample(each) for kind, each in works.items()}
    return [
        row
        for kind, each in spent.items()
        for row in (
            Row(f"search {messages:,} messages, {kind}, half, CPU", each.half / 1000, None, "ms"),
            Row(
                f"search {messages:,} messages, {kind}, 99 of 100, CPU",
                each.most / 1000,
                None,
                "ms",
                (Goal(50, of="ours"),),
            ),
        )
    ]


async def _make_searches(store: SQLStore, messages: int, count: int) -> dict[str, list[Work]]:
    chance = random.Random(3)  # noqa: S311  # the same for everybody
    (newest,) = await store.find_conversations(OWNER, limit=1)

    def search(query: str) -> Work:
        return lambda: store.search(OWNER, query, limit=FOUND)

    def search_here(query: str) -> Work:
        return lambda: store.search(OWNER, query, limit=FOUND, conversation_id=newest.id)

    common = [word(chance.randrange(20)) for _ in range(count)]
    usual = [word(chance.randrange(20, VOCABULARY)) for _ in range(count)]
    return {
        "a rare word": [search(rare_word(chance.randrange(messages))) for _ in range(count)],
        "a usual word": [search(each) for each in usual],
        "one of the 20 commonest words": [search(each) for each in common],
        "two words": [search(f"{one} {other}") for one, other in zip(common, usual, strict=True)],
        "the beginning of a word": [search(each[:4]) for each in usual],
        "a word in one conversation": [search_here(each) for each in common],
    }


_SUMS = """
    SELECT {by} count(*), sum(cost_pico), sum(cost_pico IS NULL), sum(input_tokens), sum(cache_read_tokens),
        sum(cache_write_tokens), sum(output_tokens), sum(reasoning_tokens), sum(outcome = 'succeeded')
    FROM attempt WHERE owner_id = ? {group}
"""
_DAY = "started_at / 86400000000"


async def measure_ledger(_: str, rounds: int) -> list[Row]:
    """What was spent, by nothing, by day, and everything about it, against a sum in SQL."""
    messages = chosen().messages
    by_day = _SUMS.format(by=f"provider, {_DAY},", group=f"GROUP BY provider, {_DAY}")
    async with open_library(messages) as (store, path):
        with open_plain(path) as plain:
            attempts = plain.database.execute("SELECT count(*) FROM attempt").fetchone()[0]
            works: dict[str, Work] = {
                "total": lambda: store.get_costs(OWNER),
                "total, raw": lambda: plain.fetch(_SUMS.format(by="", group=""), OWNER),
                "days": lambda: store.get_costs(OWNER, [CostGroup.PROVIDER, CostGroup.DAY]),
                "days, raw": lambda: plain.fetch(by_day, OWNER),
                "statistics": lambda: store.get_statistics(OWNER),
            }
            spent = await compare(works, rounds=rounds, times=1)
    milliseconds = {name: each.cpu / 1000 for name, each in spent.items()}
    return [
        Row(f"costs of {attempts:,} attempts, CPU", milliseconds["total"], milliseconds["total, raw"], "ms"),
        Row(
            f"costs of {attempts:,} attempts by provider and day, CPU",
            milliseconds["days"],
            milliseconds["days, raw"],
            "ms",
        ),
        Row(
            f"statistics of {attempts:,} attempts (raw: a sum by day), CPU",
            milliseconds["statistics"],
            milliseconds["days, raw"],
            "ms",
        ),
    ]


async def measure_opening(_: str, rounds: int) -> list[Row]:
    """How soon a library is open, against an empty one, and how much room it takes."""
    messages = chosen().messages
    async with open_library(messages) as (_store, path):
        with TemporaryDirectory(prefix="tertulia-benchmark-") as folder:
            empty = Path(folder) / "empty.db"
            await _open_and_close(empty)
            works: dict[str, Work] = {
                "large": lambda: _open_and_close(path),
                "empty": lambda: _open_and_close(empty),
            }
            spent = await compare(works, rounds=rounds, times=4)
        with open_plain(path) as plain:
            sums = "SELECT count(*), sum(length(CAST(text AS BLOB))) FROM message"
            count, text_bytes = plain.database.execute(sums).fetchone()
        size = path.stat().st_size
    return [
        Row(
            f"open a store of {messages:,} messages (raw: an empty one), CPU",
            spent["large"].cpu,
            spent["empty"].cpu,
            "µs",
            (Goal(1.3),),
        ),
        Row(
            "room of a message, ledger and index included (raw: its text and 200 bytes)",
            size / count,
            text_bytes / count + 200,
            "bytes",
            (Goal(2.2),),
        ),
    ]


async def _open_and_close(path: Path) -> None:
    store = await open_store(f"sqlite:///{path}")
    await store.aclose()
