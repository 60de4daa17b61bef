"""What is read of long conversations: exactly what was asked for, however long they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import pytest

from tertulia import Store
from tertulia.builtin.sql.store import SQLStore
from tertulia.contracts.stores.context import ContextStore
from tertulia.domain.message import Message, MessageStatus
from tertulia.testing import MemoryStore, StandingClock
from tertulia.testing.contracts.contexts import ContextContract
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk


class PlainStore(MemoryStore):
    """A store that leaves out what may be left out."""

    get_outline = ContextStore.get_outline
    get_recent = ContextStore.get_recent
    find_related = ContextStore.find_related


class TestPlainStore(ContextContract):
    @pytest.fixture
    def clock(self) -> StandingClock:
        return StandingClock()

    @pytest.fixture
    async def store(self, clock: StandingClock) -> AsyncIterator[Store]:
        store = PlainStore(clock)
        await store.open()
        yield store
        await store.aclose()


@pytest.fixture(params=["sqlite", "postgres", "dictionaries"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[StandingClock], Store]:
    """Each of our stores."""
    if request.param == "dictionaries":
        return MemoryStore
    url = f"sqlite:///{tmp_path / 'conversations.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres")
    return lambda clock: SQLStore(url, clock)


@pytest.fixture
async def talk(make_store: Callable[[StandingClock], Store]) -> AsyncIterator[Talk]:
    """A conversation in it."""
    clock = StandingClock()
    store = make_store(clock)
    await store.open()
    yield await Talk.begin(store, clock)
    await store.aclose()


async def recent(talk: Talk, before: int, tokens: int, branch: str = MAIN) -> list[str]:
    found = await talk.store.get_recent(OWNER, talk.id, branch, before_depth=before, tokens=tokens)
    return [message.text for message in found]


async def say(talk: Talk, text: str, tokens: int, branch: str = MAIN) -> Message:
    message = attrs.evolve(talk.make_message(text), tokens=tokens)
    return await talk.store.add_message(OWNER, talk.id, branch, message)


async def test_so_many_tokens_are_read_and_no_more(talk):
    """What would be one token too much is left out, with everything before it, however small that is."""
    for text, tokens in (("a", 1), ("b", 10), ("c", 20), ("d", 30)):
        await say(talk, text, tokens)

    assert [[], [], ["d"], ["d"], ["c", "d"], ["b", "c", "d"], ["a", "b", "c", "d"]] == [
        await recent(talk, 99, tokens) for tokens in (0, 29, 30, 49, 50, 60, 61)
    ]
    assert [["b"], ["a", "b"], [], []] == [
        await recent(talk, 2, 10),
        await recent(talk, 2, 11),
        await recent(talk, 0, 99),
        await recent(talk, -1, 99),
    ]


async def test_what_is_read_goes_back_over_forks(talk):
    """A branch is its own messages and those of the branches it was forked from, up to where it was."""
    messages = [await say(talk, text, 10) for text in "abcd"]
    await talk.fork("second", at=messages[1].id)
    second = [await say(talk, text, 10, "second") for text in "CD"]
    await talk.fork("third", source="second", at=second[0].id)
    await say(talk, "x", 10, "third")

    assert [["x"], ["C", "x"], ["b", "C", "x"], ["a", "b", "C", "x"]] == [
        await recent(talk, 99, tokens, "third") for tokens in (10, 20, 39, 40)
    ]
    assert ["a", "b"] == await recent(talk, 2, 20, "third")
    assert ["b", "C"] == await recent(talk, 3, 20, "third")


async def test_what_nobody_answered_takes_no_place(talk):
    """It is read along with what was said after it, and takes none of the tokens."""
    await say(talk, "a", 10)
    await talk.fail(await talk.ask("failed, with many words"))
    await say(talk, "b", 10)
    await talk.fail(await talk.ask("failed again"))

    assert ["failed again"] == await recent(talk, 99, 0)
    assert ["failed, with many words", "b", "failed again"] == await recent(talk, 99, 10)
    assert 4 == len(await recent(talk, 99, 20))


async def test_an_answer_on_another_branch_gives_it_its_place_back(talk):
    """Also on what was forked from what came after it, and only there."""
    first = await say(talk, "a", 10)
    failed = attrs.evolve(talk.make_message("failed"), tokens=100, status=MessageStatus.PENDING)
    attempt = talk.make_attempt(failed.id)
    await talk.store.add_user_message(OWNER, talk.id, MAIN, failed, attempt)
    await talk.fail(attempt)
    second = await say(talk, "b", 10)
    await talk.fork("deeper", at=second.id)
    await say(talk, "c", 10)
    await say(talk, "d", 10, "deeper")
    await talk.fork("beside", at=first.id)
    await say(talk, "e", 10, "beside")
    await talk.fork("again", at=failed.id)
    again = await talk.ask_again(failed.id, "again")

    async def tokens() -> list[int]:
        branches = (MAIN, "deeper", "beside")
        found = [await talk.store.get_outline(OWNER, talk.id, branch, before_depth=99) for branch in branches]
        return [outline.tokens for outline in found if outline is not None]

    assert [30, 30, 20] == await tokens()
    settlement = talk.settle(again)
    await talk.store.settle(OWNER, talk.id, "again", settlement)
    assert [130, 130, 20] == await tokens()
    assert () == (await talk.store.verify()).problems


async def test_an_answer_counts_as_far_as_it_came(talk):
    """While it comes, and when it is left behind: an outline says what reading it all says."""
    await say(talk, "a", 10)
    attempt = await talk.ask("question")
    await talk.show(attempt, talk.clock.new_id(), "Half of an answer ", "that goes on")

    async def look() -> tuple[int, list[list[str]]]:
        outline = await talk.store.get_outline(OWNER, talk.id, MAIN, before_depth=99)
        assert outline is not None
        return outline.tokens, [await recent(talk, 99, outline.tokens - less) for less in (0, 1, 10, 11)]

    path = await talk.history()
    counted = sum(message.tokens or 0 for message in path)
    a, question, answer = (message.text for message in path)
    expected = (counted, [[a, question, answer], [question, answer], [question, answer], [answer]])
    assert expected == await look()
    talk.clock.advance(60)
    assert expected == await look()
