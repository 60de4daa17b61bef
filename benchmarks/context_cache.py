"""
What a provider's prefix cache is worth to each policy, over a conversation that goes on and on.

Ours are real requests: each turn is sent through the client, which chooses the context, and what it would put
on the wire is rendered by the driver of OpenAI. A request's prefix is cached as far as its messages begin
with those of the request before it, byte by byte. Tokens are estimated; cached ones cost a tenth.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import takewhile

import attrs
import orjson

import tertulia
from benchmarks.context_kinds import make_talk
from benchmarks.context_talks import Talk
from tertulia import (
    ContextOptions,
    Delta,
    FinishReason,
    Message,
    ModelInfo,
    Provider,
    ProviderReply,
    Request,
    Role,
    Text,
    TextDelta,
    TokenWeights,
    Usage,
)
from tertulia.runtime.counting.tokens import count_messages
from tertulia_openai import OpenAIProvider

CACHED_PRICE = 0.10
TURNS = 200
_LOOKS_BACK_EVERY = 5
_WEIGHTS = TokenWeights()
_OFF = 1.07
_LARGE = 10_000_000
_MODEL = "gpt-5.5"

POLICIES: Mapping[str, ContextOptions] = {
    "Tertulia, recall=auto": ContextOptions(),
    "Tertulia, recall=always": ContextOptions(recall="always"),
    "Tertulia, recall=never": ContextOptions(recall="never"),
    "Tertulia, recent": ContextOptions(strategy="recent"),
}

Turns = Sequence[tuple[str, str]]
"""What is said and what is answered, turn by turn."""


@attrs.frozen
class Spent:
    """
    What a policy's requests take together.

    Attributes:
        tokens: All that was sent.

        cached: Of those, what came from the cache.

        recalling: Requests with recalled messages.
    """

    tokens: int
    cached: int
    recalling: int = 0

    @property
    def share(self) -> float:
        """What came from the cache, in percent."""
        return 100 * self.cached / self.tokens

    @property
    def cost(self) -> float:
        """In tokens at their full price."""
        return self.tokens - self.cached * (1 - CACHED_PRICE)


class _Listener(Provider):
    """Answers as it is told, keeps the requests, and reports more tokens than anybody estimates."""

    MODELS = (ModelInfo("listener", _MODEL, context_window=_LARGE),)
    DEFAULT_MODEL = _MODEL

    def __init__(self) -> None:
        super().__init__(tertulia.ProviderConfig("listener", "listener"))
        self.answer = ""
        self.requests: list[Request] = []

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """Answer."""
        self.requests.append(request)
        yield TextDelta(self.answer)
        reported = round(_OFF * count_messages(request.messages, _WEIGHTS))
        usage = Usage(reported, 0, 0, len(self.answer) // 4, 0)
        yield ProviderReply((Text(self.answer),), FinishReason.STOP, "stop", usage, model=_MODEL)

    async def list_models(self) -> Sequence[ModelInfo]:
        """The one there is."""
        return self.MODELS


async def simulate(turns: Turns, options: ContextOptions, window: int) -> Spent:
    """Send a conversation turn by turn through a client, and see what a cache would have saved."""
    listener, driver = _Listener(), OpenAIProvider(tertulia.ProviderConfig("listener", "openai"))
    chosen = attrs.evolve(options, max_tokens=window)
    spent, before = Spent(0, 0), list[bytes]()
    async with tertulia.open(store="memory:", providers={}, plugins=[listener], environ={}) as client:
        conversation = await client.start(provider="listener")
        for said, answered in turns:
            listener.answer = answered
            reply = await conversation.send(said, context=chosen)
            messages = listener.requests.pop().messages
            rendered = _render(driver, messages)
            report = reply.context
            recalled = report is not None and bool(report.recalled)
            spent = _add(spent, _count(messages), before, rendered, recalled=recalled)
            before = rendered
    return spent


def slide(turns: Turns, budget: int | None) -> Spent:
    """Send the newest messages that fit, as everybody does; all of them without a budget."""
    spent, before, said = Spent(0, 0), list[bytes](), list[Message]()
    for question, answer in turns:
        said.append(Message.of("user", question))
        counts = _count(said)
        start, left = len(said), budget
        while start and (left is None or (left := left - counts[start - 1]) >= 0):
            start -= 1
        rendered = [message.text.encode() for message in said[start:]]
        spent = _add(spent, counts[start:], before, rendered)
        before = rendered
        said.append(Message.of("assistant", answer))
    return spent


def _count(messages: Sequence[Message]) -> list[int]:
    return [count_messages((message,), _WEIGHTS) for message in messages]


def _render(driver: OpenAIProvider, messages: Sequence[Message]) -> list[bytes]:
    request = Request(tertulia.Target("listener", _MODEL), tuple(messages))
    return [orjson.dumps(item) for item in driver.wire.render_request(request).body["input"]]


def _add(
    spent: Spent,
    counts: Sequence[int],
    before: Sequence[bytes],
    rendered: Sequence[bytes],
    *,
    recalled: bool = False,
) -> Spent:
    pairs = zip(before, rendered, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return Spent(spent.tokens + sum(counts), spent.cached + sum(counts[:shared]), spent.recalling + recalled)


def make_turns(talks: Sequence[Talk], count: int = TURNS) -> list[tuple[str, str]]:
    """
    Make one long conversation of several, in which every fifth turn asks for something said before.

    Args:
        talks: Where what is said comes from; templates go on where they end.
    """
    said = [pair for talk in talks for pair in _find_pairs(talk)]
    asked = [question.text for talk in talks for question in talk.questions]
    chance = random.Random(5)  # noqa: S311  # the same for everybody
    turns = list[tuple[str, str]]()
    for pair in (*said, *_make_pairs(count)):
        if len(turns) == count:
            break
        turns.append(pair)
        if asked and len(turns) % _LOOKS_BACK_EVERY == 0:
            reach = max(1, len(asked) * len(turns) // count)
            turns.append((chance.choice(asked[:reach]), "As we said then, and nothing has changed since."))
    return turns[:count]


def _make_pairs(count: int) -> Iterator[tuple[str, str]]:
    return _find_pairs(make_talk("support tickets", 2 * count, 1))


def _find_pairs(talk: Talk) -> Iterator[tuple[str, str]]:
    said = ""
    for turn in talk.turns:
        if turn.role == Role.USER:
            said = f"{said}\n{turn.text}".strip()
        elif said:
            yield said, turn.text
            said = ""
