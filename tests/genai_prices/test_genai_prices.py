"""The plugin genai-prices: an answer where nobody else has one, and no guess where it has none itself."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

import attrs
import pytest

import tertulia
from tertulia import (
    Billing,
    Cost,
    CostSource,
    Money,
    ProviderConfig,
    ProviderReply,
    Text,
    Usage,
    hookimpl,
)
from tertulia.testing import ScriptedProvider
from tertulia_genai_prices import Prices
from tertulia_genai_prices.prices import find_cost
from tertulia_openai import OpenAIProvider

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROW = f"genai-prices-{version('genai-prices')}"


class Old(ScriptedProvider):
    """A provider that says of an answer what the test wants."""

    def __init__(self, config, reply):
        super().__init__("router")
        self.config = attrs.evolve(self.config, **config)
        self.reply = reply

    async def send_message(self, request):
        yield self.reply


def reply_of(model, usage, **billing):
    return ProviderReply(
        (Text("Hi"),), tertulia.FinishReason.STOP, usage=usage, billing=Billing(**billing), model=model
    )


async def cost_of(reply, *plugins, driver="openai"):
    """What a send cost, by a client with these plugins and no other."""
    provider = Old({"driver": driver}, reply)
    async with tertulia.open(
        store="memory:", config=False, environ={}, plugins=[provider, *plugins]
    ) as client:
        return (await client.ask("Hello", provider="router")).cost


async def test_a_model_that_nobody_priced_is_priced():
    """What no row knows has the price of genai-prices, with its version in the name of the row."""
    reply = reply_of("gpt-4-turbo", Usage(10, 0, 0, 1, 0))

    assert Cost(Money.from_usd("0.00013"), CostSource.COMPUTED, f"{ROW}/openai/gpt-4-turbo") == await cost_of(
        reply, Prices()
    )
    assert await cost_of(reply) is None


async def test_whoever_else_knows_is_right():
    """A price by another plugin stays as it is."""

    class House:
        @hookimpl
        def calculate_cost(self):
            return Cost(Money(7))

    assert Cost(Money(7)) == await cost_of(reply_of("gpt-4-turbo", Usage(1, 0, 0, 1, 0)), House(), Prices())


async def test_a_row_of_the_drivers_comes_first():
    """A model in the driver's table is priced by it, to the row."""
    provider = OpenAIProvider(ProviderConfig("openai", "openai"))
    async with tertulia.open(
        store="memory:", config=False, environ={}, plugins=[provider, Prices()]
    ) as client:
        estimate = await client.estimate_cost("Hello", provider="openai", model="gpt-6.1-sol")
        old = await client.estimate_cost("Hello", provider="openai", model="gpt-4-turbo")

    assert ("openai/gpt-6.1-sol/2026-11-22", f"{ROW}/openai/gpt-4-turbo") == (
        estimate.low.price_row,
        old.low.price_row,
    )


async def test_a_reported_cost_gets_no_second_opinion():
    """Where the service itself says what a call cost, nothing is looked up."""
    reply = reply_of("gpt-4-turbo", Usage(10, 0, 0, 1, 0), reported=Money(5))

    assert Cost(Money(5), CostSource.REPORTED) == await cost_of(reply, Prices())


async def test_a_vendor_without_a_driver_is_named():
    """A gateway's prices are known when one says whose they are, and not before."""
    reply = reply_of("gpt-4-turbo", Usage(10, 0, 0, 1, 0))

    assert await cost_of(reply, Prices(), driver="something") is None
    assert (await cost_of(reply, Prices({"router": "openai"}), driver="something")).money == Money.from_usd(
        "0.00013"
    )


@pytest.mark.parametrize(("base_url", "vendor"), [(None, "openai"), ("http://localhost:11434/v1", None)])
async def test_what_another_address_charges_is_not_known(base_url, vendor):
    """The prices of a vendor are for its own address, whatever the models elsewhere are called."""
    provider = OpenAIProvider(ProviderConfig("openai", "openai", base_url=base_url))
    async with tertulia.open(
        store="memory:", config=False, environ={}, plugins=[provider, Prices()]
    ) as client:
        estimate = await client.estimate_cost("Hello", provider="openai", model="gpt-4-turbo")

    assert (vendor, vendor is None) == (provider.vendor, estimate.low is None)


@pytest.mark.parametrize(
    ("provider", "model", "usage", "billing", "dollars"),
    [
        ("openai", "gpt-6.1-sol", Usage(300_000, 0, 0, 600, 400), {}, "1.215"),
        ("openai", "gpt-6.1-sol", Usage(1_000, 0, 0, 1_000, 0), {"service_tier": "default"}, "0.012"),
        ("openai", "gpt-6.1-sol", Usage(1_000, 0, 0, 1_000, 0), {"service_tier": "flex"}, "0.006"),
        ("openai", "gpt-6.1-sol", Usage(1_000, 0, 0, 1_000, 0), {"batch": True}, "0.006"),
        ("openai", "gpt-5.6-sol", Usage(2_000, 6_000, 2_000, 600, 400), {}, "0.0404"),
        ("google", "gemini-2.5-flash", Usage(100, 0, 0, 10, 0), {"audio_input_tokens": 90}, "0.000118"),
        (
            "google",
            "gemini-2.5-flash",
            Usage(0, 100, 0, 10, 0),
            {"audio_cache_read_tokens": 90},
            "0.0000343",
        ),
        ("x-ai", "grok-3-mini", Usage(100, 0, 0, 10, 0), {}, "0.000035"),
    ],
)
def test_what_it_knows(provider, model, usage, billing, dollars):
    """Our classes of tokens, tiers and batches are those of genai-prices, whole prompts included."""
    cost = find_cost(provider, model, usage, Billing(**billing), NOW)

    assert Decimal(dollars) == cost.usd


@pytest.mark.parametrize(
    ("provider", "model", "usage", "billing"),
    [
        pytest.param("openai", "no-such-model", Usage(1, 0, 0, 1, 0), {}, id="model"),
        pytest.param("no-such-vendor", "gpt-5", Usage(1, 0, 0, 1, 0), {}, id="vendor"),
        pytest.param("openai", "gpt-5", Usage(1, None, 0, 1, 0), {}, id="prompt"),
        pytest.param("openai", "gpt-5", Usage(1, 0, 0, 1, None), {}, id="answer"),
        pytest.param("openai", "gpt-6.1-sol", Usage(1, 0, 0, 1, 0), {"service_tier": "ultrafast"}, id="tier"),
        pytest.param("google", "gemini-3.5-flash", Usage(1, 0, 0, 1, 0), {"service_tier": "flex"}, id="flex"),
        pytest.param("openai", "gpt-5.5-pro", Usage(1, 1, 0, 1, 0), {}, id="cached"),
        pytest.param("openai", "gpt-5.5", Usage(1, 0, 1, 1, 0), {}, id="written"),
        pytest.param("openai", "gpt-5.5", Usage(1, 0, 0, 1, 0), {"audio_input_tokens": 1}, id="sound"),
        pytest.param("openai", "gpt-5.5", Usage(1, 0, 0, 1, 0), {"audio_input_tokens": None}, id="unsure"),
        pytest.param("openai", "gpt-6.1-sol", Usage(1, 0, 1, 1, 0), {"cache_write_12h_tokens": 1}, id="12 h"),
        pytest.param("openai", "gpt-6.1-sol", Usage(1, 0, 0, 1, 0), {"region": "eu"}, id="region"),
        pytest.param(
            "openai",
            "gpt-5.5",
            Usage(2, 0, 0, 2, 0),
            {"requests": ((Usage(1, 0, 0, 1, 0), Billing()),) * 2},
            id="several",
        ),
        pytest.param("openai", "gpt-5.5", Usage(1, 0, 0, 1, 0), {"tool_calls": {"web_search": 1}}, id="fee"),
    ],
)
def test_what_it_does_not_know_is_unknown(provider, model, usage, billing):
    """Where genai-prices would take another price, or none, the cost stays unknown: it is never zero."""
    assert find_cost(provider, model, usage, Billing(**billing), NOW) is None


def test_a_price_has_a_date():
    """What was asked before a price fell costs what it cost then."""
    usage = Usage(1_000_000, 0, 0, 0, 0)
    before, after = datetime(2026, 8, 20, tzinfo=UTC), datetime(2026, 8, 22, tzinfo=UTC)

    assert [Decimal(10), Decimal(8)] == [
        find_cost("openai", "gpt-5.6-sol", usage, Billing(), at).usd for at in (before, after)
    ]


def test_a_tier_has_no_price_before_it_was_read():
    """Before genai-prices had the prices of a tier, nobody knows what it cost."""
    at = datetime(2026, 10, 1, tzinfo=UTC)

    assert find_cost("openai", "gpt-6.1-sol", Usage(1, 0, 0, 1, 0), Billing(service_tier="flex"), at) is None
