"""What a request will cost, before it is sent: a range, without sending or storing anything."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import attrs
import pytest

import tertulia
from tertulia import (
    AttachmentError,
    ConfigurationError,
    ContextOverflowError,
    Cost,
    CostEstimate,
    Message,
    ModelInfo,
    Money,
    Options,
    Price,
    ProviderConfig,
    Rates,
    Target,
    TokenWeights,
    UnknownProviderError,
    UnsupportedParameterError,
)
from tertulia.testing import ScriptedProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

TEN = Options(max_output_tokens=10)


class Counting(ScriptedProvider):
    """Two models with prices, one of them with a longest answer, and one token a letter."""

    MODELS = (
        ModelInfo("one", "small", context_window=10_000, max_output_tokens=100),
        ModelInfo("one", "endless"),
        ModelInfo("one", "unpriced", max_output_tokens=100),
    )
    PRICES = (
        Price("one/small", "small", Rates(Decimal(1), Decimal(10), Decimal("0.1"), Decimal("1.25"))),
        Price("one/endless", "endless", Rates(Decimal(2), Decimal(20))),
    )
    DEFAULT_MODEL = "small"
    TOKEN_WEIGHTS = TokenWeights(per_request=0, tools=1)

    def count_tokens(self, messages):
        return sum(len(message.text) for message in messages)


@pytest.fixture
async def counted(open_client):
    """A client whose only provider counts letters."""
    async with open_client(store="memory:", environ={}, providers={}, plugins=[Counting("one")]) as client:
        yield client


def range_of(estimate):
    """The two ends in dollars."""
    return tuple(None if cost is None else cost.usd for cost in (estimate.low, estimate.high))


async def test_a_first_question_costs_between_one_token_and_the_longest_answer(counted):
    """The prompt, instructions included, and one token; the prompt written to a cache, and all there is."""
    estimate = await counted.estimate_cost("ten letter", system="five.")

    assert (Target("one", "small"), 15, 100) == (
        estimate.target,
        estimate.input_tokens,
        estimate.output_tokens,
    )
    assert (Decimal("0.000025"), Decimal("0.00101875")) == range_of(estimate)
    assert "$0.000025 to $0.00101875 (estimated)" == str(estimate)


async def test_the_options_bound_the_answer(counted):
    """Who allows ten tokens pays for no more."""
    estimate = await counted.estimate_cost("ten letter", options=TEN)

    assert (10, Decimal("0.0001125")) == (estimate.output_tokens, estimate.high.usd)


@pytest.mark.parametrize(
    ("model", "words", "ends"),
    [
        ("endless", "$0.00004 to no known limit (estimated)", (Decimal("0.00004"), None)),
        ("unpriced", "unknown (estimated)", (None, None)),
        ("no-such-model", "unknown (estimated)", (None, None)),
    ],
)
async def test_what_is_not_known_is_not_guessed(counted, model, words, ends):
    """Without a longest answer there is no upper end, and without a price there is no range."""
    estimate = await counted.estimate_cost("ten letter", model=model)

    assert (words, ends) == (str(estimate), range_of(estimate))


async def test_a_conversation_is_estimated_with_its_history(open_client):
    """What was said goes along: read from a cache at the low end, and at the high end not."""
    provider = Counting("one")
    async with open_client(store="memory:", environ={}, plugins=[provider]) as client:
        conversation = await client.start(provider="one", system="five.")
        await conversation.append(Message.of("user", "ten letter"))
        await conversation.append(Message.of("assistant", "ten answer"))

        estimate = await conversation.estimate_cost("next", options=TEN)

        assert 29 == estimate.input_tokens
        assert (Decimal("0.0000129"), Decimal("0.00013625")) == range_of(estimate)
        assert [] == provider.requests == await conversation.attempts()
        assert 3 == len(await conversation.history())


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "gpt-6.1-sol"), ("gemini", "gemini-3.5-flash"), ("xai", "grok-4.3")],
)
async def test_what_is_paid_then_lies_between(client, simulator, provider, model):
    """The estimate of a real conversation holds for its next answer, and sends and stores nothing."""
    conversation = await client.start(provider=provider, model=model)
    await conversation.send("My name is John.")
    before = simulator.sent_to(provider).count

    estimate = await conversation.estimate_cost("What is my name?", options=Options(max_output_tokens=500))

    assert before == simulator.sent_to(provider).count
    assert 2 == len(await conversation.history())
    reply = await conversation.send("What is my name?", options=Options(max_output_tokens=500))
    assert estimate.low.money <= reply.cost.money <= estimate.high.money


async def test_an_estimate_does_not_disturb_a_conversation(client, simulator):
    """What is remembered of a branch between two sends is as it was: nothing is sent twice, or left out."""
    conversation = await client.start(provider="openai")
    await conversation.send("My name is John.")
    await conversation.estimate_cost("What is my name?")

    reply = await conversation.send("What is my name?")

    assert "Your name is John." == reply.text
    assert ["My name is John.", "Hello John.", "What is my name?"] == simulator.sent_to("openai").texts


async def test_tools_go_along_with_every_request(counted):
    """What a model may call, and the shape it is to answer in, are part of the prompt."""
    conversation = await counted.start(provider="one")

    def weather(place: str) -> str:
        """Say how the weather is in a place."""
        return place

    plain, tools, schema = [
        (await conversation.estimate_cost("Hello", options=TEN, **others)).input_tokens
        for others in ({}, {"tools": [weather]}, {"schema": {"type": "object", "title": "Answer"}})
    ]

    assert 5 == plain < schema < tools


async def test_what_could_not_be_sent_has_no_estimate(counted):
    """An option that nobody knows, too long a text and nothing at all are refused as a send refuses them."""
    conversation = await counted.start(provider="one")

    with pytest.raises(UnsupportedParameterError):
        await conversation.estimate_cost("Hello", options=Options(top_k=3))
    with pytest.raises(ContextOverflowError):
        await conversation.estimate_cost("x" * 20_000)
    with pytest.raises(ConfigurationError, match="there is nothing to send"):
        await conversation.estimate_cost("")
    with pytest.raises(AttachmentError):
        await conversation.estimate_cost("Hello", attach="no-such-file.png")
    assert [] == await conversation.history()


async def test_a_tier_and_a_region_are_in_it():
    """The tier that is asked for, and the host that is asked, change what it will cost."""
    eu = OpenAIProvider(ProviderConfig("openai", "openai", base_url="https://eu.api.openai.com/v1"))
    us = XAIProvider(ProviderConfig("xai", "xai", base_url="https://us-east-1.api.x.ai/v1"))
    async with tertulia.open(store="memory:", environ={}, config=False, plugins=[eu, us]) as client:
        text, flex = "x" * 4_000, Options(service_tier="flex", max_output_tokens=1)
        plain = await client.estimate_cost(text, provider="openai", model="gpt-6.1-sol")
        half = await client.estimate_cost(text, provider="openai", model="gpt-6.1-sol", options=flex)
        unknown = await client.estimate_cost(
            text, provider="openai", model="gpt-6.1-sol", options=Options(service_tier="scale")
        )
        grok = await client.estimate_cost(text, provider="xai", model="grok-4.3")

    assert Decimal("1.1") * (Decimal(plain.input_tokens * 2 + 10) / 10**6) == plain.low.usd
    assert plain.low.usd / 2 == half.low.usd
    assert unknown.low is None
    assert Decimal("1.1") * (Decimal("1.25") * grok.input_tokens + Decimal("2.5")) / 10**6 == grok.low.usd


async def test_prices_are_compared_by_the_same_answer(open_client):
    """Everybody's price for one question and a thousand tokens, the cheapest first, unknown ones last."""
    plugins = [Counting("one"), Counting("two")]
    prices = [{"model": "two/small", "input": "0.5", "output": 5}]
    async with open_client(
        store="memory:", environ={}, providers={}, plugins=plugins, prices=prices
    ) as client:
        found = await client.compare_prices("ten letter", ["one", "one/unpriced", "one/endless", "two"])

    assert [
        ("two/small", 100, Decimal("0.000505")),
        ("one/small", 100, Decimal("0.0010125")),
        ("one/endless", 1_000, Decimal("0.02002")),
        ("one/unpriced", 100, None),
    ] == [(str(each.target), each.output_tokens, each.high and each.high.usd) for each in found]


async def test_whoever_has_a_price_is_compared(open_client):
    """Without targets every model is there that a price is known for, the user's own included."""
    prices = [
        {"model": "one/homemade", "input": 0, "output": 0},
        {"model": "one/small", "input": 3, "output": 3},
    ]
    async with open_client(
        store="memory:",
        environ={},
        providers={"gone": {"driver": "nowhere"}},
        plugins=[Counting("one")],
        prices=prices,
    ) as client:
        found = await client.compare_prices("ten letter", options=TEN)

    assert ["one/homemade", "one/small", "one/endless"] == [str(each.target) for each in found]


async def test_a_model_that_is_gone_is_not_compared():
    """What the provider's own list no longer has is nothing to choose from."""
    provider = Counting("one")
    async with tertulia.open(store="memory:", environ={}, config=False, plugins=[provider]) as client:
        provider.learn([ModelInfo("one", "small", gone_at=datetime(2026, 11, 1, tzinfo=UTC))])
        found = await client.compare_prices("ten letter", options=TEN)

    assert "one/small" not in [str(each.target) for each in found]
    assert "one/endless" in [str(each.target) for each in found]


async def test_every_bundled_model_with_a_price_is_compared(client, simulator):
    """The three providers' tables are there, once each, sorted, and nobody is asked."""
    found = await client.compare_prices("Hello")
    targets = [str(each.target) for each in found]

    assert len(targets) == len(set(targets)) > 40
    assert {"openai/gpt-6.1-sol", "gemini/gemini-3.5-flash", "xai/grok-4.3"} < set(targets)
    assert "openai/gpt-6.2-sol" not in targets
    known = [each.high.money for each in found if each.high is not None]
    assert sorted(known) == known
    assert 0 == sum(simulator.sent_to(name).count for name in ("openai", "gemini", "xai"))


async def test_an_estimate_names_who_is_not_there(counted):
    """A provider that is not configured is an error, and no estimate."""
    with pytest.raises(UnknownProviderError):
        await counted.estimate_cost("Hello", provider="nobody")
    with pytest.raises(UnknownProviderError):
        await counted.compare_prices("Hello", ["nobody/x"])


async def test_an_attachment_is_in_it(client):
    """A picture goes into the prompt, before a conversation and in one."""
    picture = tertulia.Image(data=b"\x89PNG\r\n\x1a\n" + bytes(64), media_type="image/png")
    conversation = await client.start(provider="gemini")

    first = await client.estimate_cost("What is this?", attach=picture, provider="gemini")
    then = await conversation.estimate_cost("What is this?", attach=[picture])
    plain = await conversation.estimate_cost("What is this?")

    assert first.input_tokens == then.input_tokens > plain.input_tokens


def test_an_estimate_is_a_value():
    """It compares by what it says, and cannot be changed."""
    estimate = CostEstimate(Target("one", "small"), 1, None, None, None)

    assert attrs.evolve(estimate) == estimate
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        estimate.low = None


@pytest.mark.parametrize("answer", [RuntimeError("boom"), Cost(Money(-5)), Cost(Money(2**63))])
async def test_a_plugin_that_cannot_price_makes_no_estimate_fail(open_client, answer):
    """
    What it raises, or answers with no amount of money, is unknown, as it is once something was sent.
    """

    class Dear:
        @tertulia.hookimpl
        def calculate_cost(self):
            if isinstance(answer, Exception):
                raise answer
            return answer

    plugins = [Counting("one"), Dear()]
    async with open_client(store="memory:", environ={}, providers={}, plugins=plugins) as client:
        estimate = await client.estimate_cost("Hello", provider="one")
        found = await client.compare_prices("Hello")

    assert (None, None, 5) == (estimate.low, estimate.high, estimate.input_tokens)
    assert [] == list(found)
