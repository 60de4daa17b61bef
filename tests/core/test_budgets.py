"""The tokens there are for a history: less what tools take, and by what a provider reported before."""

from __future__ import annotations

import pytest

import tertulia
from tertulia import (
    Capability,
    ContextOverflowError,
    Image,
    MediaLimits,
    ModelInfo,
    ResponseSchema,
    TokenSource,
    TokenWeights,
    Tool,
    Usage,
)
from tertulia.runtime.counting.tokens import count_rest
from tertulia.testing import ScriptedProvider

TOOLS = [Tool("find", "Finds what there is. " * 10, {"type": "object", "properties": {}})]
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(8)


class Letters(ScriptedProvider):
    """Counts one token a letter and nothing else, and a picture as a thousand."""

    TOKEN_WEIGHTS = TokenWeights(per_message=0, per_request=50, tools=1)
    IMAGES = MediaLimits(frozenset({"image/png"}))
    MODELS = (
        ModelInfo("one", "scripted-1", context_window=100_000),
        ModelInfo("one", "blind", capabilities=frozenset({Capability.STREAMING})),
    )

    def count_tokens(self, messages):
        return sum(
            1000 if isinstance(part, Image) else len(part.text)
            for message in messages
            for part in message.parts
        )

    def answers(self, count: int = 1, *, tokens: int | None = None) -> Letters:
        """Answer with ten letters, and report so many tokens of prompt."""
        for _ in range(count):
            self.says("a" * 10, usage=Usage(tokens, 0, 0, 5, 0))
        return self


@pytest.fixture
def one() -> Letters:
    return Letters("one")


def opened(provider, **settings) -> tertulia.Client:
    return tertulia.open(store="memory:", providers={}, plugins=[provider], environ={}, **settings)


def size_of(tools=(), schema=None) -> int:
    """What they take, the constant of a request left out."""
    return count_rest(tools, schema, Letters.TOKEN_WEIGHTS) - 50


async def fill(conversation, count: int) -> None:
    """Say ten letters and be answered with ten, so many times."""
    for _ in range(count):
        await conversation.send("q" * 10)


async def test_tools_take_their_share_of_the_budget(one):
    """
    What is left for the history is what tools leave; without them it is the whole.
    """
    share = size_of(TOOLS)
    async with opened(one.answers(12), max_context_tokens=share + 100) as client:
        conversation = await client.start(provider="one")
        await fill(conversation, 10)
        plain = await conversation.send("q" * 10)
        told = await conversation.send("q" * 10, tools=TOOLS)

    assert share > 30
    assert (share + 100, 100) == (plain.context.budget, told.context.budget)
    # Ten of the newest message, and three pairs of twenty: half of the room is for what was said last.
    assert 70 == told.context.tokens


async def test_a_schema_takes_its_share_too(one):
    """
    The shape of an answer goes along with each request.
    """
    schema = ResponseSchema("place", {"type": "object", "properties": {}}, "Where it is. " * 10)
    async with opened(Letters("one").says("{}"), max_context_tokens=500) as client:
        reply = await client.ask("Hello", provider="one", schema=schema)

    assert 500 - size_of(schema=schema) == reply.context.budget


async def test_tools_that_leave_no_room_are_named(one):
    """
    A message that would fit without them is refused with the figures of both, before anything is sent.
    """
    share = size_of(TOOLS)
    async with opened(one.answers(), max_context_tokens=share + 9) as client:
        conversation = await client.start(provider="one")
        with pytest.raises(ContextOverflowError, match="tools and schema") as caught:
            await conversation.send("q" * 10, tools=TOOLS)
        await conversation.send("q" * 10)

    assert (share + 9, {"messages": 10, "tools and schema": share}) == (
        caught.value.budget,
        caught.value.parts,
    )
    assert 1 == len(one.requests)


async def test_what_a_provider_reports_shortens_the_history(one):
    """
    One that counts twice what was estimated is sent about half as much of the history.
    """
    async with opened(one.answers(20), max_context_tokens=1_000) as client:
        conversation = await client.start(provider="one")
        await fill(conversation, 20)
        one.answers(tokens=2 * (50 + 20 * 20 + 10)).answers()
        before = await conversation.send("q" * 10)
        reply = await conversation.send("q" * 10)

    assert (410, 1_000) == (before.context.tokens, before.context.budget)
    assert 1_000 // 2 == pytest.approx(reply.context.budget, rel=0.1)
    assert reply.context.tokens <= reply.context.budget


@pytest.mark.parametrize("tokens", [None, 0, 1, 10**9, 10**12, 10**18])
async def test_no_report_makes_a_request_fail_or_grow(one, tokens):
    """
    Whatever a server says it counted, the next message is sent, and in the limits there were.
    """
    async with opened(one.answers(30, tokens=tokens), max_context_tokens=100) as client:
        conversation = await client.start(provider="one")
        budgets = [(await conversation.send("q" * 10)).context.budget for _ in range(30)]

    assert 100 == budgets[0]
    assert all(10 <= budget <= 100 for budget in budgets)
    assert 30 == len(one.requests)


async def test_the_report_stays_an_estimate(one):
    """
    Tokens of a context are what was estimated, whatever was learned: they are learned from.
    """
    async with opened(one.answers(tokens=5_000).answers(tokens=5_000)) as client:
        conversation = await client.start(provider="one")
        reports = [(await conversation.send("q" * 10)).context.tokens for _ in range(2)]

    assert [10, 30] == reports


async def test_a_note_is_counted_as_a_note(one):
    """
    A picture that became a note further back is no longer a thousand tokens, neither told nor learned of.
    """
    async with opened(one.answers(tokens=1_060)) as client:
        conversation = await client.start(provider="one")
        seen = await conversation.send("q" * 10, attach=Image(PICTURE, "image/png"))
        one.answers()
        await conversation.switch("one", model="blind")
        blind = await conversation.send("q" * 10)
        count = await client.count_tokens("q" * 10, provider="one", model="blind")

    note = one.requests[-1].messages[0].parts[0]
    assert (1_010, 30 + len(note.text)) == (seen.context.tokens, blind.context.tokens)
    assert TokenSource.ESTIMATED == count.source


async def test_what_was_sent_as_a_note_teaches_of_words(one):
    """
    A report of a request whose picture became a note is as near to its estimate as any other.
    """
    async with opened(one.answers(tokens=1_060)) as client:
        conversation = await client.start(provider="one")
        await conversation.send("q" * 10, attach=Image(PICTURE, "image/png"))
        await conversation.switch("one", model="blind")
        one.answers(tokens=50 + 30 + 52)
        await conversation.send("q" * 10)
        count = await client.count_tokens("q" * 10, provider="one", model="blind")

    assert TokenSource.CALIBRATED == count.source
    assert 60 == pytest.approx(count.tokens, abs=8)
