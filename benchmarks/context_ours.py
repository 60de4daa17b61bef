"""What Tertulia keeps of a conversation: by its ranking alone, and by whole contexts as a send makes them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch
from uuid import UUID

import attrs

import tertulia
from benchmarks.context_packing import pack
from benchmarks.context_scores import Select, Selection, count_question, count_text, count_turn
from benchmarks.context_talks import Question, Talk
from benchmarks.routing import find_core
from tertulia import (
    Branch,
    Client,
    Context,
    ContextOptions,
    Conversation,
    ConversationRecord,
    CostTotal,
    Delta,
    Message,
    ModelInfo,
    Provider,
    Request,
    Role,
    Text,
    TokenWeights,
)
from tertulia.domain.context import Candidate
from tertulia.runtime.clock import SystemClock
from tertulia.services import path
from tertulia.services.context import layout
from tertulia.services.context.recall import Recall, make_query

_CLOCK = SystemClock()
_LAST_SAID = 3
_LARGE = 10_000_000


class Counter(Provider):
    """A provider that is never asked, and counts tokens as the other contenders do."""

    MODELS = (ModelInfo("counter", "counter-1", context_window=_LARGE),)
    DEFAULT_MODEL = "counter-1"

    def __init__(self) -> None:
        super().__init__(tertulia.ProviderConfig("counter", "counter"))
        self.whole: dict[str, int] = {}

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """Nobody asks."""
        raise AssertionError("a preview asks nobody")
        yield

    async def list_models(self) -> Sequence[ModelInfo]:
        """The one there is."""
        return self.MODELS

    def count_tokens(self, model: str, messages: Sequence[Message], weights: TokenWeights) -> int:
        """Count by characters; a message of a conversation as :func:`count_turn` does."""
        return sum(self.whole.get(message.text) or count_text(message.text) for message in messages)


@attrs.define(eq=False)
class House:
    """
    A client with long conversations in its store.

    Attributes:
        counter: Who would be asked.

        planted: The conversations that are stored, with the names of their messages, by their own.
    """

    client: Client
    counter: Counter
    planted: dict[str, tuple[UUID, Mapping[UUID | None, str]]] = attrs.field(factory=dict)

    async def find(self, talk: Talk) -> tuple[Conversation, Mapping[UUID | None, str]]:
        """Open a conversation as nobody has opened it before; it is stored when it is first asked for."""
        if talk.id not in self.planted:
            self.planted[talk.id] = await self._plant(talk)
        identifier, names = self.planted[talk.id]
        return await self.client.get(identifier), names

    async def _plant(self, talk: Talk) -> tuple[UUID, Mapping[UUID | None, str]]:
        messages = make_messages(talk)
        record = make_record(messages)
        core = find_core(self.client)
        await core.store.add_conversation(record, messages)
        self.counter.whole.update((turn.text, count_turn(turn)) for turn in talk.turns)
        return record.id, _name(talk, messages)


@asynccontextmanager
async def open_house(store: str | None = None) -> AsyncIterator[House]:
    """
    Open a client on a new database.

    Args:
        store: Its URL; None for SQLite in a folder of its own.
    """
    counter = Counter()
    with TemporaryDirectory(prefix="tertulia-benchmark-") as folder:
        url = store or f"sqlite:///{Path(folder) / 'conversations.db'}"
        async with tertulia.open(store=url, providers={}, plugins=[counter], environ={}) as client:
            yield House(client, counter)


def make_messages(talk: Talk) -> list[Message]:
    """Make what is stored of a conversation."""
    return [
        Message(
            Role(turn.role),
            (Text(turn.text),),
            id=_CLOCK.new_id(),
            depth=depth,
            created_at=turn.at or datetime(2026, 1, 1, tzinfo=UTC),
        )
        for depth, turn in enumerate(talk.turns)
    ]


def make_record(messages: Sequence[Message]) -> ConversationRecord:
    """Make a conversation of some messages."""
    head, now = messages[-1], _CLOCK.now()
    branch = Branch("main", "counter", "counter-1", _CLOCK.new_id(), head.id, len(messages) - 1)
    return ConversationRecord(
        id=_CLOCK.new_id(),
        owner="local",
        title=None,
        branch=branch,
        message_count=len(messages),
        cost=CostTotal(),
        created_at=now,
        updated_at=now,
    )


def make_contexts(house: House, options: ContextOptions, *, index: bool = False) -> Select:
    """
    Keep what a context holds: the messages sent whole, and those recalled whole.

    Args:
        options: How it is chosen; the budget is put in.
        index: Whether the store's index is asked, as it is in a long conversation, however short this one is.
    """

    async def select(talk: Talk, budget: int) -> Sequence[Selection]:
        chosen = attrs.evolve(options, max_tokens=budget)
        with _forced_index() if index else _nothing():
            conversation, names = await house.find(talk)
            return [await _preview(conversation, names, house, each, chosen) for each in talk.questions]

    return select


async def _preview(
    conversation: Conversation,
    names: Mapping[UUID | None, str],
    house: House,
    question: Question,
    options: ContextOptions,
) -> Selection:
    house.counter.whole[question.text] = count_question(question)
    began = time.perf_counter()
    context = await conversation.preview_context(question.text, context=options)
    seconds = time.perf_counter() - began
    newest = context.messages[-1]
    return Selection(
        frozenset(names[each] for each in find_kept(context)),
        newest.text.endswith(question.text),
        seconds,
        house.counter.count_tokens("counter-1", context.messages, TokenWeights()),
        frozenset(names[each.message_id] for each in context.report.recalled if not each.is_whole),
    )


def find_kept(context: Context) -> Iterator[UUID | None]:
    """Say which messages a context holds whole."""
    yield from (message.id for message in context.messages[:-1])
    yield from (each.message_id for each in context.report.recalled if each.is_whole)


def make_ranking() -> Select:
    """Keep what is ranked best of a whole conversation, without recent messages that are sent anyway."""

    async def select(talk: Talk, budget: int) -> Sequence[Selection]:
        messages, recall = make_messages(talk), Recall()
        counted = [
            attrs.evolve(message, tokens=count_turn(turn) - 4)
            for message, turn in zip(messages, talk.turns, strict=True)
        ]
        names = _name(talk, messages)
        return [_rank(recall, counted, names, each, budget) for each in talk.questions]

    return select


def _rank(
    recall: Recall,
    messages: Sequence[Message],
    names: Mapping[UUID | None, str],
    question: Question,
    budget: int,
) -> Selection:
    said = [message.text for message in messages[-2 * _LAST_SAID :] if message.role is Role.USER]
    began = time.perf_counter()
    found = recall.rank(make_query([*said[-_LAST_SAID + 1 :], question.text]), messages)
    kept = pack(found, budget=budget - count_question(question), count=_count_stored)
    seconds = time.perf_counter() - began
    return Selection(frozenset(names[each.message.id] for each in kept), seconds=seconds)


def _count_stored(candidate: Candidate) -> int:
    return (candidate.message.tokens or 0) + 4


def _name(talk: Talk, messages: Sequence[Message]) -> Mapping[UUID | None, str]:
    return {message.id: turn.id for message, turn in zip(messages, talk.turns, strict=True)}


@contextmanager
def _forced_index() -> Iterator[None]:
    with patch.object(path, "WHOLE", 0), patch.object(layout, "_FAR_OFF", 0):
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield
