"""What an answer cost: one number wherever one looks, the user's own prices first, and never a guess."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import repeat

import attrs
import pytest

import tertulia
from tertulia import (
    Billing,
    ConfigurationError,
    Cost,
    CostSource,
    CostTotal,
    FinishReason,
    LongContext,
    Money,
    Price,
    ProviderConfig,
    ProviderReply,
    Rates,
    Text,
    UnknownProviderError,
    Usage,
)
from tertulia.testing import ScriptedProvider, StandingClock

MODELS = {"openai": "gpt-6.1-sol", "gemini": "gemini-3.5-flash", "xai": "grok-4.3"}
TOKENS = Usage(1_000, 0, 0, 1_000, 0)
PLAIN = Rates.per_million("1", "2", "0.1", "1.25")


class Billed(ScriptedProvider):
    """
    Answers with a usage and a bill that the test wants.

    Args:
        config: What is configured beside the name.
        answered_by: The model as it is named in the answer.
    """

    def __init__(self, name="one", *, usage=TOKENS, answered_by=None, bill=None, **config):
        super().__init__(name)
        self.config = ProviderConfig(name, "scripted", **config)
        self.reply = ProviderReply(
            (Text("Hi"),),
            FinishReason.STOP,
            usage=usage,
            billing=bill or Billing(raw={"tokens": 1}),
            model=answered_by,
        )

    async def send_message(self, request):
        yield self.reply


async def cost_of(provider, **settings):
    """What one send to a provider cost."""
    async with tertulia.open(
        store="memory:", config=False, environ={}, plugins=[provider], **settings
    ) as client:
        return (await client.ask("Hello", provider=provider.name)).cost


@pytest.mark.parametrize("provider", MODELS)
async def test_a_cost_is_one_number_wherever_one_looks(client, provider):
    """Reply, message, attempts, sessions, report and list say the same of one answer, now and once stored."""
    conversation = await client.start(provider=provider, model=MODELS[provider])
    reply = await conversation.send("My name is John.")
    stored = await client.get(conversation.id)
    (attempt,) = await stored.attempts()
    (session,) = await stored.sessions()
    report = await stored.cost()
    *_, answer = await stored.history()
    (record,) = await client.list()

    cost = reply.cost
    assert cost is not None
    assert [cost] * 4 == [reply.message.cost, reply.attempts[0].cost, attempt.cost, answer.cost]
    assert [CostTotal(cost.money)] * 6 == [
        reply.total_cost,
        session.cost,
        record.cost,
        report.total,
        report.by_provider[provider],
        report.by_model[f"{provider}/{MODELS[provider]}"],
    ]
    assert reply.usage == reply.message.usage == attempt.usage == answer.usage == session.usage
    assert (CostSource.REPORTED if provider == "xai" else CostSource.COMPUTED) == cost.source


async def test_what_a_cost_rests_on_is_stored(open_client, database):
    """An attempt keeps its tokens, the provider's own usage, the reported amount, and the computed one."""
    usage = Usage(11, 2, 3, 4, 5)
    bill = Billing(reported=Money(123), raw={"in": 16, "nested": {"out": 9}})
    provider = Billed(usage=usage, bill=bill)

    async with open_client(store=database, environ={}, plugins=[provider]) as client:
        conversation = await client.ask("Hello", provider="one")
        (attempt,) = await (await client.get((await client.list())[0].id)).attempts()

    assert Cost(Money(123), CostSource.REPORTED, computed=Money(29_000_000)) == attempt.cost
    assert (usage, '{"in":16,"nested":{"out":9}}') == (attempt.usage, attempt.raw_usage)
    assert (attempt,) == conversation.attempts


async def test_a_million_rows_add_up_exactly():
    """Unequal amounts and unknown ones, a million of each, are one exact sum that says what it lacks."""
    costs = [Cost(Money(pico)) for pico in range(1, 1_001)] * 1_000

    total = CostTotal.of(costs) + CostTotal.of(repeat(None, 1_000_000))

    assert CostTotal(Money(500_500_000), 1_000_000) == total
    assert "at least $0.0005005" == str(total)


def own(model, rate, **others):
    """A table of the user's, with one price for what goes in and what comes out."""
    return {"model": model, "input": rate, "output": rate, **others}


@pytest.mark.parametrize(
    ("prices", "dollars", "row"),
    [
        ([], "0.003", "scripted/1"),
        ([own("one/scripted-1", "0.5")], "0.001", "user/one/scripted-1/always"),
        ([own("one/scripted-1", 0)], "0", "user/one/scripted-1/always"),
        ([Price("mine", "one/scripted-1", PLAIN)], "0.003", "user/mine"),
        ([own("one/scripted", 9)], "0.018", "user/one/scripted/always"),
        ([own("one/scripted", 9), own("one/scripted-1", 1)], "0.002", "user/one/scripted-1/always"),
        ([own("one/other", 9)], "0.003", "scripted/1"),
        ([own("two/scripted-1", 9)], "0.003", "scripted/1"),
        ([own("one/scripted-1", 9, valid_from=date(2026, 11, 23))], "0.003", "scripted/1"),
        (
            [
                own("one/scripted-1", 7, valid_from=date(2026, 11, 1)),
                own("one/scripted-1", 5, valid_from=date(2026, 11, 22)),
            ],
            "0.01",
            "user/one/scripted-1/2026-11-22",
        ),
    ],
    ids=[
        "none",
        "table",
        "free",
        "value",
        "of its snapshots",
        "exact first",
        "other model",
        "other provider",
        "not yet",
        "the newest",
    ],
)
async def test_the_users_own_prices_come_first(prices, dollars, row):
    """A row of the user's for that provider, model and day is what an answer costs, and its id says so."""
    provider, other, clock = Billed(), Billed("two"), StandingClock()
    async with tertulia.open(
        store="memory:", config=False, environ={}, clock=clock, plugins=[provider, other], prices=prices
    ) as client:
        cost = (await client.ask("Hello", provider="one")).cost

    assert (Decimal(dollars), CostSource.COMPUTED, row) == (cost.usd, cost.source, cost.price_row)


@pytest.mark.parametrize(
    ("answered_by", "dollars"),
    [("scripted-1-2026-01-01", "0.006"), ("its-own-name", "0.006"), (None, "0.006")],
)
async def test_an_own_price_holds_for_what_was_asked_and_for_what_answered(answered_by, dollars):
    """A service that calls the model something else in its answers does not lose the user's price."""
    cost = await cost_of(Billed(answered_by=answered_by), prices=[own("one/scripted-1", 3)])

    assert Decimal(dollars) == cost.usd


async def test_an_own_price_that_says_too_little_is_unknown():
    """Nothing is taken from the table where the user's row has no price for a class or a tier."""
    prices = [own("one/scripted-1", 3)]

    assert await cost_of(Billed(usage=Usage(1, 1, 0, 1, 0)), prices=prices) is None
    assert await cost_of(Billed(bill=Billing(service_tier="flex")), prices=prices) is None


async def test_an_own_price_has_all_that_a_row_can_say():
    """Cliffs, tiers, regions, fees and classes of tokens are read from a table."""
    prices = [
        own(
            "one/scripted-1",
            "1",
            cache_read="0.1",
            cache_write="1.25",
            cache_write_12h=2,
            audio_input=10,
            audio_cache_read=5,
            long_context={"from_tokens": 2_000, "input": 2, "output": 4, "tiers": {}},
            tiers={"flex": "0.5"},
            regions={"eu": "1.1"},
            fees={"web_search": 10},
            source="my contract",
        )
    ]
    bill = Billing(
        service_tier="flex",
        region="eu",
        cache_write_12h_tokens=50,
        audio_input_tokens=10,
        audio_cache_read_tokens=10,
        tool_calls={"web_search": 2},
    )
    usage = Usage(100, 100, 100, 100, 100)
    # 90 + 10·10 + 90·0.1 + 10·5 + 50·1.25 + 50·2 + 200 = 611.5 millionths, halved, a tenth more; 2 searches
    assert Decimal("0.020336325") == (await cost_of(Billed(usage=usage, bill=bill), prices=prices)).usd
    long = Billed(usage=Usage(2_000, 0, 0, 1, 0))
    assert Decimal("0.004004") == (await cost_of(long, prices=prices)).usd
    flex = Billed(usage=Usage(2_000, 0, 0, 1, 0), bill=Billing(service_tier="flex"))
    assert await cost_of(flex, prices=prices) is None


@pytest.mark.parametrize(
    ("factor", "dollars", "row"),
    [
        (Decimal("0.5"), "0.0015", "scripted/1 * user/price_factor=0.5"),
        (Decimal(0), "0", "user/one/price_factor=0"),
    ],
)
async def test_a_factor_is_for_all_that_a_provider_charges(factor, dollars, row):
    """What the table says is multiplied; where nothing is charged, nothing needs a price."""
    cost = await cost_of(Billed(price_factor=factor))

    assert (Decimal(dollars), row) == (cost.usd, cost.price_row)


async def test_a_factor_makes_no_price_known_but_the_free_one():
    """A model without a price has no half price either; it is free where all is free."""
    usage = Usage(1, None, 0, 1, 0)

    assert await cost_of(Billed(usage=usage, price_factor=Decimal("0.5"))) is None
    assert Decimal(0) == (await cost_of(Billed(usage=usage, price_factor=Decimal(0)))).usd


async def test_a_factor_is_not_for_the_users_own_prices():
    """Who says what a model costs has said it."""
    cost = await cost_of(Billed(price_factor=Decimal(0)), prices=[own("one/scripted-1", 1)])

    assert Decimal("0.002") == cost.usd


async def test_what_the_provider_reports_stays_the_cost_of_record():
    """The user's own price is what a reported cost is compared with, and no more."""
    provider = Billed(bill=Billing(reported=Money(7)), price_factor=Decimal(0))

    assert Cost(Money(7), CostSource.REPORTED, computed=Money(0)) == await cost_of(provider)
    assert Cost(Money(7), CostSource.REPORTED, computed=Money(2_000_000_000)) == await cost_of(
        provider, prices=[own("one/scripted-1", 1)]
    )


def test_an_unknown_provider_has_no_price():
    """A price for a provider that is not configured is a mistake, and the error says which are."""
    with pytest.raises(UnknownProviderError) as caught:
        tertulia.open(providers={"openai": {}}, prices=[own("opnai/gpt-5", 1)], environ={})

    assert "no provider is configured as 'opnai'; did you mean 'openai'?" == str(caught.value)


def test_prices_in_python_are_checked_too():
    """A float among the rates of a value is refused before anything costs anything."""
    wrong = Price("mine", "one/m", Rates(0.1, Decimal(1)))  # type: ignore[arg-type]

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open(providers={}, plugins=[Billed()], prices=[wrong], environ={})

    assert (
        'prices[0].input must be an exact amount; write it as a text, such as "0.5", or as a whole number'
        == str(caught.value)
    )


def test_a_price_changes_at_midnight_in_utc():
    """
    Wherever the caller's clock is, the day of a price is the same for all.
    """
    provider = Billed()
    provider.PRICES = (
        Price("before", "m", PLAIN, valid_until=date(2026, 12, 1)),
        Price("after", "m", PLAIN, valid_from=date(2026, 12, 1)),
    )
    tokyo = timezone(timedelta(hours=9))
    moments = [
        datetime(2026, 12, 1, 8, 59, 59, tzinfo=tokyo),
        datetime(2026, 12, 1, 9, tzinfo=tokyo),
        datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
    ]

    assert ["before", "after"] * 2 == [provider.find_price("m", at).id for at in moments]


@pytest.mark.parametrize(
    "billing",
    [
        Billing(region="mars"),
        Billing(tool_calls={"time_travel": 1}),
        Billing(cache_write_12h_tokens=None),
        Billing(cache_write_12h_tokens=2),
        Billing(service_tier="express"),
        Billing(tool_calls={"time_travel": -1}),
    ],
    ids=["region", "fee", "unsure", "more than there are", "tier", "less than no call"],
)
def test_what_a_row_does_not_say_is_unknown(billing):
    """No factor, no fee or no count: no cost, and never zero."""
    price = Price("row", "m", PLAIN)

    assert price.cost(Usage(1, 0, 1, 1, 0), billing) is None
    assert price.cost(Usage(1, 0, 1, 1, 0), Billing(tool_calls={"time_travel": 0})) is not None


def test_sound_costs_like_text_where_it_has_no_price_of_its_own():
    """Without a price for sound its count changes nothing, not even one that cannot be."""
    price = Price("row", "m", PLAIN)

    assert price.cost(Usage(5, 0, 0, 0, 0)) == price.cost(Usage(5, 0, 0, 0, 0), Billing(audio_input_tokens=9))


def test_each_request_of_an_answer_is_priced_by_itself():
    """Two prompts below the cliff are not one beyond it; one without a price leaves the answer without."""
    price = Price("row", "m", PLAIN, LongContext(10, Rates.per_million("9", "9")))
    short, searched = Usage(6, 0, 0, 0, 0), Billing(tool_calls={"time_travel": 1})
    twice = Billing(requests=((short, Billing()), (short, Billing())))

    assert Money(12_000_000) == price.cost(short + short, twice).money
    assert Money(108_000_000) == price.cost(short + short, Billing()).money
    assert price.cost(short + short, Billing(requests=((short, Billing()), (short, searched)))) is None


def test_a_fee_is_not_rounded_before_it_is_added():
    """Half a pico-dollar of tokens and half a pico-dollar of fees are a whole one."""
    price = Price("row", "m", Rates.per_million("0.0000005", "0"), fees={"search": Decimal("0.0000000005")})

    assert Money(1) == price.cost(Usage(1, 0, 0, 0, 0), Billing(tool_calls={"search": 1})).money


def test_a_cliff_has_its_own_tiers():
    """Beyond the cliff only the tiers named there count; where none are named, those of the row."""
    tiers = {"flex": Decimal("0.5"), "priority": Decimal(2)}
    ends = Price("row", "m", PLAIN, LongContext(10, PLAIN, {"flex": Decimal("0.5")}), tiers)
    goes_on = attrs.evolve(ends, long_context=LongContext(10, PLAIN))
    priority = Billing(service_tier="priority")

    assert Money(18_000_000) == ends.cost(Usage(9, 0, 0, 0, 0), priority).money
    assert ends.cost(Usage(10, 0, 0, 0, 0), priority) is None
    assert Money(20_000_000) == goes_on.cost(Usage(10, 0, 0, 0, 0), priority).money
