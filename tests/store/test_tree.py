"""Whatever is appended, forked, renamed and removed, a branch reads as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tertulia import Message
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk

_SOME = st.integers(0, 30)
"""Chooses a branch or a message, whatever their number by then."""

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), _SOME),
        st.tuples(st.just("append"), _SOME),
        st.tuples(st.just("fork"), _SOME, st.one_of(st.just("head"), st.just("root"), _SOME)),
        st.tuples(st.just("remove"), _SOME),
        st.tuples(st.just("rename"), _SOME),
    ),
    max_size=25,
)


class Model:
    """The same, as lists: each branch has its own copy of everything."""

    def __init__(self) -> None:
        self.paths: dict[str, list[Message]] = {MAIN: []}
        self.messages: list[Message] = []

    def choose_branch(self, number: int) -> str:
        names = sorted(self.paths)
        return names[number % len(names)]

    def path_to(self, message: Message) -> list[Message]:
        by_id = {each.id: each for each in self.messages}
        path = [message]
        while path[0].parent_id is not None:
            path.insert(0, by_id[path[0].parent_id])
        return path


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[[Callable[[SQLStore, StandingClock], Awaitable[Any]]], Any]]:
    """Run something on one store in memory: each example has a conversation of its own."""
    clock = StandingClock()
    store = SQLStore("memory:", clock)
    with asyncio.Runner() as runner:
        runner.run(store.open())
        yield lambda work: runner.run(work(store, clock))
        runner.run(store.aclose())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS, limit=st.integers(0, 12), before=st.integers(0, 12))
def test_a_branch_reads_like_a_list_of_its_own(run, steps, limit, before):
    """Every branch has the history it would have if each fork had copied everything."""

    async def work(store: SQLStore, clock: StandingClock) -> None:
        talk, model = await Talk.begin(store, clock), Model()
        for number, (kind, *arguments) in enumerate(steps):
            await _STEP[kind](talk, model, str(number), *arguments)
        assert sorted(model.paths) == sorted(await talk.branch_names())
        for name, path in model.paths.items():
            assert path == await talk.history(name)
            assert (path[-1].id if path else None, len(path) - 1) == (
                (branch := await talk.branch(name)).head_id,
                branch.head_depth,
            )
            window = path[:before][max(0, len(path[:before]) - limit) :]
            assert [each.text for each in window] == await talk.texts(name, limit=limit, before_depth=before)
        assert len(model.messages) == (await talk.record()).message_count

    run(work)


async def _append(talk: Talk, model: Model, text: str, branch_number: int) -> None:
    name = model.choose_branch(branch_number)
    path = model.paths[name]
    message = await talk.append(text, name)
    assert (path[-1].id if path else None, len(path)) == (message.parent_id, message.depth)
    path.append(message)
    model.messages.append(message)


async def _fork(talk: Talk, model: Model, name: str, branch_number: int, at: str | int) -> None:
    source = model.choose_branch(branch_number)
    theirs = model.paths[source]
    if isinstance(at, int) and model.messages:
        message = model.messages[at % len(model.messages)]
        path, place = model.path_to(message), message.id
    else:
        path, place = ([], "root") if at == "root" else (list(theirs), "head")
    forked = await talk.fork(name, source=source, at=place)
    shared = list(takewhile(lambda pair: pair[0] == pair[1], zip(path, theirs, strict=False)))
    assert (source, len(shared) - 1) == (forked.forked_from, forked.fork_depth)
    model.paths[name] = path


async def _remove(talk: Talk, model: Model, _: str, branch_number: int) -> None:
    name = model.choose_branch(branch_number)
    if name != (await talk.record()).branch.name:
        await talk.store.remove_branch(OWNER, talk.id, name, talk.clock.now())
        del model.paths[name]


async def _rename(talk: Talk, model: Model, number: str, branch_number: int) -> None:
    name = model.choose_branch(branch_number)
    await talk.store.update_branch_name(OWNER, talk.id, name, f"renamed-{number}", talk.clock.now())
    model.paths[f"renamed-{number}"] = model.paths.pop(name)


_STEP: dict[str, Callable[..., Awaitable[None]]] = {
    "append": _append,
    "fork": _fork,
    "remove": _remove,
    "rename": _rename,
}
