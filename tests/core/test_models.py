"""The models that are known: what a sync keeps, what it refuses, and where it counts."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

import tertulia
from tertulia import (
    Billing,
    Capability,
    ErrorKind,
    LongContext,
    MissingKeyError,
    ModelChange,
    ModelChanges,
    ModelInfo,
    ModelNotFoundError,
    Price,
    ProtocolError,
    Rates,
    ServerError,
    Timeouts,
    UnknownProviderError,
    Usage,
)
from tertulia.testing import ScriptedProvider, StandingClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Lister(ScriptedProvider):
    """Lists what a test told it to list, and counts how often it was asked."""

    def __init__(self, name: str = "one", *models: str | ModelInfo) -> None:
        super().__init__(name)
        self.asked = 0
        self.error: Exception | None = None
        self.lists(*models)

    def lists(self, *models: str | ModelInfo) -> None:
        self.listed: Any = [
            model if isinstance(model, ModelInfo) else self.describe(model) for model in models
        ]

    async def list_models(self) -> Any:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.listed


@pytest.fixture
def one() -> Lister:
    return Lister("one", "a", "b", "c")


@pytest.fixture
def two() -> Lister:
    return Lister("two", "d")


@pytest.fixture
def opened(database: str) -> Callable[..., tertulia.Client]:
    """Open a client with these providers, all on one database."""

    def opened(*providers: object, **settings: Any) -> tertulia.Client:
        common = {"store": database, "providers": {}, "environ": {}, "clock": StandingClock(NOON)}
        return tertulia.open(plugins=providers, **{**common, **settings})

    return opened


def names(models: Any) -> list[str]:
    return [f"{info.provider}/{info.id}" for info in models]


async def test_a_sync_says_what_each_provider_offers(open_client, one, two, database):
    """
    Every configured provider is asked, and the report has them in their order; either API.
    """
    async with open_client(store=database, providers={}, environ={}, plugins=[one, two]) as client:
        report = await client.sync_models()
        again = await client.sync_models("one")
        known = await client.models()
        default = await client.model("one/a")
        verified = await client.verify("two")

    assert (True, False) == (report.ok, report.dry_run)
    assert [("one", 3, None), ("two", 1, None)] == [
        (each.provider, each.model_count, each.error) for each in report.providers
    ]
    assert [["a", "b", "c"], ["d"]] == [[info.id for info in each.changes.added] for each in report.providers]
    assert [ModelChanges()] == [each.changes for each in again.providers]
    assert ["one/a", "one/b", "one/c", "two/d"] == names(known)
    assert ModelInfo("one", "a") == default
    assert ("two", True, None) == (verified.provider, verified.ok, verified.error)


async def test_what_was_listed_is_known_without_asking_again(opened, one):
    """
    A later client of the same store knows it, and asks nobody.
    """
    async with opened(one) as client:
        await client.sync_models()
    later = Lister("one")
    async with opened(later) as client:
        assert ["one/a", "one/b", "one/c"] == names(await client.models("one"))

    assert (1, 0) == (one.asked, later.asked)


async def test_nothing_is_asked_implicitly(opened, one):
    """
    Neither opening, talking nor listing what is known asks for a list.
    """
    one.says("Hi.")
    async with opened(one) as client:
        await client.ask("Hello", provider="one")
        await client.models()
        await client.model("one")

    assert 0 == one.asked


async def test_a_change_is_told_field_by_field(opened, one):
    """
    What is new, what is different and what is gone since the last list, each model once.
    """
    async with opened(one) as client:
        await client.sync_models()
        larger = ModelInfo("one", "b", context_window=1_000, display_name="B")
        one.lists("a", larger, "e")
        report = await client.sync_models()

    (synced,) = report.providers
    gone = ModelInfo("one", "c", gone_at=NOON)
    change = ModelChange(ModelInfo("one", "b"), larger)
    assert ModelChanges((ModelInfo("one", "e"),), (change,), (gone,)) == synced.changes
    assert ("display_name", "context_window") == change.fields


async def test_all_are_asked_at_once(opened, one, two):
    """
    A slow provider keeps nobody waiting: each list comes only when both were asked.
    """
    both = asyncio.Barrier(2)

    async def meet(lister: Lister) -> Any:
        await both.wait()
        return lister.listed

    one.list_models = lambda: meet(one)
    two.list_models = lambda: meet(two)
    async with asyncio.timeout(10), opened(one, two) as client:
        report = await client.sync_models()

    assert report.ok


async def test_a_failure_harms_no_other_and_keeps_what_was_known(opened, one, two):
    """
    The report says who failed and why; the catalogue has the last good list.
    """
    async with opened(one, two) as client:
        await client.sync_models()
        one.error = ServerError("provider 'one': HTTP 503", provider="one")
        two.lists("d", "f")
        report = await client.sync_models()
        known = await client.models()

    failed, taken = report.providers
    assert not report.ok
    assert (one.error, None, None) == (failed.error, failed.changes, failed.model_count)
    assert (("f",), None) == (tuple(info.id for info in taken.changes.added), taken.error)
    assert ["one/a", "one/b", "one/c", "two/d", "two/f"] == names(known)


async def test_a_driver_that_breaks_is_told_of_as_well(opened, one, two):
    """
    An exception of its own, or an answer that is no list of models, is a PluginError of that provider.
    """
    async with opened(one, two) as client:
        one.error = RuntimeError("boom")
        broken, _ = (await client.sync_models()).providers
        one.error = None
        wrong = []
        for answer in (None, "abc", [1], {"a": 1}):
            one.listed = answer
            wrong.append((await client.sync_models("one")).providers[0].error)

    assert isinstance(broken.error, tertulia.PluginError)
    assert "RuntimeError: boom" in broken.error.message
    assert {"list_models of provider 'one' answered no sequence of ModelInfo"} == {
        error.message for error in wrong
    }


@pytest.mark.parametrize(
    ("known", "listed", "is_taken"),
    [
        ("abcdefghijkl", "", False),
        ("abcdefghijkl", "abcde", False),
        ("abcdefghijkl", "abcdexyz", False),
        ("abcdefghijkl", "abcdef", True),
        ("abcdefghijkl", "abcdefxyz", True),
        ("abcdefghijk", "abcde", False),
        ("abcdefghij", "a", True),  # of few, most may go: so it is with a server on one's own machine
        ("abc", "x", True),
        ("abc", "", False),
    ],
)
async def test_a_list_that_lacks_too_much_is_refused(opened, known, listed, is_taken):
    """
    One that is empty, or lacks more than half where there were more than ten, leaves the catalogue as it was.
    """
    one = Lister("one", *known)
    async with opened(one) as client:
        await client.sync_models()
        one.lists(*listed)
        (synced,) = (await client.sync_models()).providers
        there = {info.id for info in await client.models() if info.gone_at is None}

    assert is_taken == (synced.error is None)
    assert there == (set(listed) if is_taken else set(known))
    if not is_taken:
        assert isinstance(synced.error, ProtocolError)
        assert f"its list has {len(listed)} models, and had {len(known)}" in synced.error.message
        assert "the list before is kept" == synced.error.kept


async def test_force_takes_any_list(opened, one):
    """
    Whoever knows that it is right can say so, even of an empty one.
    """
    async with opened(one) as client:
        await client.sync_models()
        one.lists()
        report = await client.sync_models(force=True)
        known = await client.models()

    assert (True, 0) == (report.ok, report.providers[0].model_count)
    assert [("a", NOON), ("b", NOON), ("c", NOON)] == [(info.id, info.gone_at) for info in known]


async def test_a_first_list_that_is_empty_is_refused(opened):
    """
    No service offers nothing.
    """
    async with opened(Lister("one")) as client:
        (synced,) = (await client.sync_models()).providers

    assert "its list has 0 models, and had 0" in synced.error.message


async def test_gone_models_do_not_count_as_lost_again(opened):
    """
    What was gone before the last list is not missed by the next.
    """
    one = Lister("one", *"abcdefghijklmnopqrstuv")
    async with opened(one) as client:
        await client.sync_models()
        one.lists(*"abcdefghijk")
        await client.sync_models()
        one.lists(*"abcdef")
        assert (await client.sync_models()).ok


async def test_a_dry_run_changes_nothing(opened, one):
    """
    It says what a sync would change, and writes nothing.
    """
    async with opened(one) as client:
        await client.sync_models()
        one.lists("a", "b", "e")
        report = await client.sync_models(dry_run=True)
        known = await client.models()
        taken = await client.sync_models()

    (synced,) = report.providers
    assert report.dry_run
    assert (["e"], ["c"]) == tuple(
        [info.id for info in each] for each in (synced.changes.added, synced.changes.gone)
    )
    assert ["one/a", "one/b", "one/c"] == names(known)
    assert synced.changes == taken.providers[0].changes


async def test_a_gone_model_is_kept_and_can_be_asked(opened, one):
    """
    It is in the catalogue with its mark, and a message to it goes out: only the service knows.
    """
    one.says("Still here.")
    async with opened(one) as client:
        await client.sync_models()
        one.lists("a", "b")
        await client.sync_models()
        gone = await client.model("one/c")
        reply = await client.ask("Hello", provider="one", model="c")

    assert (NOON, "Still here.") == (gone.gone_at, reply.text)


async def test_what_the_list_says_comes_before_what_is_bundled(opened):
    """
    Field by field: the list's word counts, and where it is silent the bundled table's.
    """
    bundled = ModelInfo("scripted", "m", "M", 1_000, 900, 100, frozenset({Capability.TOOLS}))
    one = Lister("one")
    one.MODELS = (bundled,)
    one.lists(ModelInfo("whatever", "m", context_window=2_000), ModelInfo("whatever", "new"))
    async with opened(one) as client:
        await client.sync_models()
        known = await client.models()

    complete = attrs.evolve(bundled, provider="one", context_window=2_000)
    assert [complete, ModelInfo("one", "new")] == known
    assert complete == one.find_model("m")
    assert one.can("m", Capability.TOOLS)


async def test_a_better_table_counts_at_once(opened):
    """
    What a driver filled into its list from its own table is not kept: another release may know better.
    """
    one = Lister("one")
    one.MODELS = (ModelInfo("scripted", "m", context_window=1_000),)
    one.lists("m")
    async with opened(one) as client:
        await client.sync_models()
    upgraded = Lister("one")
    upgraded.MODELS = (ModelInfo("scripted", "m", context_window=5_000),)
    upgraded.lists("m")
    async with opened(upgraded) as client:
        assert [ModelInfo("one", "m", context_window=5_000)] == await client.models()
        assert [ModelChanges()] == [each.changes for each in (await client.sync_models()).providers]


async def test_a_wandering_name_belongs_to_the_model_that_is_listed_with_it(opened):
    """
    The alias of a bundled model that the list gives to another is that one's.
    """
    one = Lister("one")
    one.MODELS = (
        ModelInfo("scripted", "m-1", context_window=1, aliases=("latest", "old")),
        ModelInfo("scripted", "m-2", context_window=2),
    )
    before = one.find_model("latest")
    one.lists(ModelInfo("one", "m-1"), ModelInfo("one", "m-2", aliases=("latest",)))
    async with opened(one) as client:
        await client.sync_models()
        assert ("m-2", 2) == ((await client.model("one/latest")).id, one.find_model("latest").context_window)
        assert ("m-1", ("old",)) == ((await client.model("one/old")).id, one.find_model("m-1").aliases)

    assert "m-1" == before.id


async def test_bundled_models_stand_in_where_nothing_was_listed(opened):
    """
    Of a provider that was never synced the bundled ones are listed, under its configured name.
    """
    bundled = ModelInfo("fast", "scripted-1", context_window=100_000, price=ScriptedProvider.PRICES[0])
    async with opened(ScriptedProvider("fast")) as client:
        assert [bundled] == await client.models()
        assert bundled == await client.model("fast")


async def test_a_listed_window_is_the_window(opened):
    """
    The context of the next message is cut to what the list says the model takes.
    """
    one = Lister("one").says("ok").says("ok").says("ok")
    one.lists(ModelInfo("one", "scripted-1", context_window=6_000))
    async with opened(one) as client:
        talk = await client.start(provider="one")
        await talk.send("word " * 1_500)
        await talk.send("word " * 1_500)
        assert 3 == len(one.requests[-1].messages)
        await client.sync_models()
        await talk.send("Hello", context=tertulia.ContextOptions(recall="never"))

    assert "Hello" == one.texts[-1]
    assert len(one.requests[-1].messages) < 5


DOLLAR = Rates(Decimal(1), Decimal(1))


@pytest.mark.parametrize(
    "facts",
    [
        {"context_window": 0},
        {"context_window": -5, "max_output_tokens": 0},
        {"max_input_tokens": 10**400},
        {"context_window": True},
        {"context_window": "many"},
        {"context_window": math.nan},
        {"price": Price("p", "m", attrs.evolve(DOLLAR, input=Decimal("NaN")))},
        {"price": Price("p", "m", attrs.evolve(DOLLAR, input=Decimal("sNaN")))},
        {"price": Price("p", "m", attrs.evolve(DOLLAR, output=Decimal("Infinity")))},
        {"price": Price("p", "m", attrs.evolve(DOLLAR, output=Decimal("-0.01")))},
        {"price": Price("p", "m", attrs.evolve(DOLLAR, cache_read=Decimal("1e99999")))},
        {"price": Price("p", "m", attrs.evolve(DOLLAR, cache_read=Decimal("1e-99999")))},
        {"price": Price("p", "m", attrs.evolve(DOLLAR, input=0.5))},
        {"price": Price("p", "m", DOLLAR, LongContext(0, DOLLAR))},
        {"price": Price("p", "m", DOLLAR, LongContext(9, attrs.evolve(DOLLAR, input=Decimal(-1))))},
        {"price": Price("p", "m", DOLLAR, tiers={"flex": Decimal(-1)})},
        {"aliases": (1, "", "x" * 201, "\x1b[2J")},
    ],
)
async def test_absurd_figures_of_a_list_are_not_known(opened, facts):
    """
    What cannot be is left out, and the model is listed, asked and compared as any that little is known of.
    """
    one = Lister("one").says("Hi.")
    one.lists(ModelInfo("one", "m", **facts))
    async with opened(one) as client:
        first = (await client.sync_models()).providers[0]
        again = (await client.sync_models()).providers[0]
        (known,) = (info for info in await client.models() if info.id == "m")
        (estimate,) = await client.compare_prices("Hello", ["one/m"])
        await client.ask("Hello", provider="one", model="m")

    assert (1, ModelChanges()) == (len(first.changes.added), again.changes)
    assert ModelInfo("one", "m") == known
    assert (None, None) == (estimate.low, estimate.high)


async def test_entries_without_a_usable_name_are_passed_over(opened):
    """
    One that is empty, too long, or not to be shown is no model; of two of a name the first counts.
    """
    wrong = ("", "x" * 201, "a\0b", "a\ud800", "a\nb", 5, None)
    one = Lister("one")
    one.listed = [ModelInfo("one", name) for name in wrong]
    one.listed += [ModelInfo("one", "m", display_name="first \ud800"), ModelInfo("one", "m")]
    async with opened(one) as client:
        (synced,) = (await client.sync_models()).providers
        (again,) = (await client.sync_models()).providers
        known = await client.models()

    assert (1, None, ModelChanges()) == (synced.model_count, synced.error, again.changes)
    assert [("m", "first \ufffd")] == [(info.id, info.display_name) for info in known]


@pytest.mark.parametrize("facts", [{"created": "2020"}, {"reasoning_efforts": 5}, {"shutdown_on": 5}])
async def test_a_driver_that_mixes_up_types_harms_only_itself(opened, two, facts):
    """
    What a store could not give back is not stored: the catalogue stays readable.
    """
    one = Lister("one")
    one.listed = [ModelInfo("one", "m", **facts)]
    async with opened(one, two) as client:
        report = await client.sync_models()
        known = await client.models("two")

    assert isinstance(report.providers[0].error, tertulia.PluginError)
    assert "facts of the wrong type" in report.providers[0].error.message
    assert (None, ["two/d"]) == (report.providers[1].error, names(known))


class Hanging(Lister):
    """Never answers."""

    async def list_models(self) -> Any:
        await asyncio.Event().wait()


async def test_a_provider_that_hangs_is_not_waited_for_without_end(opened, two):
    """
    It is given up when its time is over, whatever its driver does, and the others are synced.
    """
    one = Hanging("one")
    one.config = attrs.evolve(one.config, timeouts=Timeouts(total=0.05))
    async with opened(one, two) as client:
        report = await client.sync_models()
        verified = await client.verify("one")

    assert [ErrorKind.TIMEOUT, None] == [each.error and each.error.kind for each in report.providers]
    assert ErrorKind.TIMEOUT == verified.error.kind


async def test_a_list_of_thousands_does_not_hold_anybody_up(opened):
    """
    A model is found without a look at every other: 5,000 times 5,000 of them would take minutes.
    """
    one = Lister("one")
    one.listed = [ModelInfo("one", f"m{number}") for number in range(5_000)]
    async with opened(one) as client:
        await client.sync_models()
        started = time.process_time()
        known = await client.models()

    assert 5_000 == len(known)
    assert time.process_time() - started < 5


LISTED = Price("one/scripted-2/listed", "scripted-2", Rates(Decimal(3), Decimal(4)), source="the list")


async def test_a_listed_price_is_a_price(opened):
    """
    A model that no bundled row prices costs what the list says, from the day it was seen.
    """
    one = Lister("one").says("Hi.").says("Hi.")
    one.lists(ModelInfo("one", "scripted-2", price=LISTED))
    one._script = [
        attrs.evolve(line, reply=attrs.evolve(line.reply, model="scripted-2")) for line in one._script
    ]
    async with opened(one) as client:
        before = await client.ask("Hello", provider="one", model="scripted-2")
        await client.sync_models()
        after = await client.ask("Hello", provider="one", model="scripted-2")

    # 10 tokens in at $3 and 5 out at $4 per million.
    assert (None, Decimal("0.00005")) == (before.cost, after.cost.money.usd)
    assert "one/scripted-2/listed/2026-11-22" == after.cost.price_row


@pytest.mark.parametrize(
    ("valid_from", "rates", "row"),
    [
        (None, Rates(Decimal(3), Decimal(4)), "bundled"),  # the same figures
        (None, Rates(Decimal(1), Decimal(4)), "listed/2026-11-22"),
        (date(2026, 11, 22), Rates(Decimal(1), Decimal(4)), "listed/2026-11-22"),
        (date(2026, 11, 23), Rates(Decimal(1), Decimal(4)), "bundled"),  # announced, and in force since
    ],
)
async def test_of_two_prices_the_newer_counts(opened, valid_from, rates, row):
    """
    Where list and table differ, the row that holds since later is right.
    """
    one = Lister("one")
    one.PRICES = (Price("bundled", "m", rates, valid_from=valid_from),)
    one.lists(ModelInfo("one", "m", price=Price("listed", "m", Rates(Decimal(3), Decimal(4)))))
    async with opened(one) as client:
        await client.sync_models()

    assert row == one.find_price("m", LATER).id
    if valid_from is None:
        assert "bundled" == one.find_price("m", datetime(2026, 11, 21, tzinfo=UTC)).id


BUNDLED = Price(
    "bundled",
    "m",
    Rates(Decimal(1), Decimal(4), Decimal("0.1")),
    LongContext(100, Rates(Decimal(2), Decimal(8), Decimal("0.2")), {"flex": Decimal("0.6")}),
    tiers={"flex": Decimal("0.5")},
    regions={"eu": Decimal("1.1")},
    fees={"search": Decimal(10)},
)
DEARER = Rates(Decimal(2), Decimal(8), Decimal("0.2"))


async def test_a_listed_price_keeps_the_factors_that_no_list_tells(opened):
    """
    New rates leave tiers, regions and fees as they are: what a search costs is known as it was before.
    """
    one = Lister("one")
    one.PRICES = (BUNDLED,)
    cliff = LongContext(200, Rates(Decimal(4), Decimal(16)))
    one.lists(ModelInfo("one", "m", price=Price("listed", "m", DEARER, cliff, source="the list")))
    async with opened(one) as client:
        await client.sync_models()

    price = one.find_price("m", LATER)
    usage = Usage(10, 0, 0, 10, 0)
    costs = [
        price.cost(usage, Billing(**bill))
        for bill in ({}, {"service_tier": "flex"}, {"region": "eu"}, {"tool_calls": {"search": 1}})
    ]
    assert ("listed/2026-11-22", "the list") == (price.id, price.source)
    assert [100, 50, 110, 10_100] == [cost.money.pico // 10**6 for cost in costs]
    long = price.cost(Usage(200, 0, 0, 10, 0), Billing(service_tier="flex"))
    assert (200 * 4 + 10 * 16) * 6 // 10 == long.money.pico // 10**6


@pytest.mark.parametrize(("rates", "is_known"), [(BUNDLED.rates, True), (DEARER, False)])
async def test_a_list_that_is_silent_on_long_requests_does_not_make_them_cheap(opened, rates, is_known):
    """
    With the figures of the table its cliff holds; with others nobody knows what is beyond it.
    """
    one = Lister("one")
    one.PRICES = (BUNDLED,)
    one.lists(ModelInfo("one", "m", price=Price("listed", "m", rates)))
    async with opened(one) as client:
        await client.sync_models()

    price = one.find_price("m", LATER)
    assert price.cost(Usage(99, 0, 0, 10, 0)) is not None
    assert is_known == (price.cost(Usage(100, 0, 0, 10, 0)) is not None)


async def test_a_model_costs_what_the_user_says(opened):
    """
    The price shown is the one that answers are computed by: the user's own, or the table's by the factor.
    """
    one = Lister("one", "m", "n")
    one.config = attrs.evolve(one.config, price_factor=Decimal("0.25"))
    one.PRICES = (BUNDLED,)
    own = Price("n", "one/n", Rates(Decimal(7), Decimal(9)))
    async with opened(one, prices=[own]) as client:
        await client.sync_models()
        shown = {info.id: info.price for info in await client.models()}
        again = (await client.model("one/m")).price

    row = "bundled * user/price_factor=0.25"
    assert (row, Decimal("0.25"), Decimal(1)) == (again.id, again.rates.input, again.rates.output)
    assert (Decimal("0.5"), None) == (again.long_context.rates.input, again.long_context.rates.cache_write)
    assert {"search": Decimal("2.5")} == again.fees
    assert again == shown["m"]
    assert ("user/n", Decimal(7)) == (shown["n"].id, shown["n"].rates.input)


async def test_a_provider_that_is_registered_later_knows_as_well(opened, one):
    """
    A provider that joins an open client is told what the catalogue holds of it.
    """
    one.lists(ModelInfo("one", "a", context_window=7))
    async with opened(one) as client:
        await client.sync_models()
    later = Lister("one")
    async with opened() as client:
        client.register(later)
        assert 7 == later.find_model("a").context_window


async def test_what_another_client_has_synced_is_seen(opened, one):
    """
    Asking for what is known reads it from the store, and the provider knows it from then on.
    """
    one.lists(ModelInfo("one", "a", context_window=7))
    waiting = Lister("one")
    async with opened(waiting) as reader, opened(one) as writer:
        await writer.sync_models()
        assert waiting.find_model("a") is None
        assert ["one/a"] == names(await reader.models())

    assert 7 == waiting.find_model("a").context_window


async def test_each_owner_has_a_catalogue_of_its_own(opened, one):
    """
    Another owner's key may see other models.
    """
    async with opened(one, owner="ada") as client:
        await client.sync_models()
    async with opened(Lister("one"), owner="bob") as client:
        assert ["one/scripted-1"] == names(await client.models())


async def test_a_model_is_found_by_every_name_it_has(opened):
    """
    Its id, an alias, a dated snapshot of it, and the provider alone for its default.
    """
    one = Lister("one", ModelInfo("one", "m-2", context_window=9, aliases=("m-latest",)))
    async with opened(one) as client:
        await client.sync_models()
        found = [await client.model(f"one/{name}") for name in ("m-2", "m-latest", "m-2-2026-08-21")]
        default = await client.model("one")

    whole = ModelInfo("one", "m-2", context_window=9, aliases=("m-latest",))
    snapshot = ModelInfo("one", "m-2-2026-08-21", context_window=9)
    assert [whole, whole, snapshot] == found
    assert "scripted-1" == default.id


async def test_an_unknown_model_is_not_made_up(opened, one, two):
    """
    It is a ModelNotFoundError that names the closest one, and nothing was sent.
    """
    one.lists("grok-4.7", "other")
    async with opened(one, two) as client:
        await client.sync_models("one")
        with pytest.raises(ModelNotFoundError) as caught:
            await client.model("one/grok-4.8x")
        with pytest.raises(UnknownProviderError, match="did you mean 'one'"):
            await client.models("onee")
        with pytest.raises(UnknownProviderError):
            await client.sync_models("onee")
        with pytest.raises(UnknownProviderError):
            await client.verify("onee")
        with pytest.raises(UnknownProviderError):
            await client.model("onee/grok-4.7")

    error = caught.value
    assert ("one", "grok-4.8x", False, 0) == (
        error.provider,
        error.model,
        error.sent,
        len(error.attempts),
    )
    assert "did you mean 'grok-4.7'?" == error.next_step


def test_what_takes_the_place_of_a_model_is_suggested():
    """
    Its successor where one is known, else the closest that is still there, else any.
    """
    provider = Lister("one")
    provider.MODELS = (
        ModelInfo("scripted", "old-1", successor="new-1"),
        ModelInfo("scripted", "old-2", gone_at=NOON),
        ModelInfo("scripted", "old-3"),
    )
    assert "use 'new-1', which takes its place" == provider.suggest_model("old-1")
    assert "did you mean 'old-3'?" == provider.suggest_model("old-2")
    assert "choose another, for example 'old-1'" == provider.suggest_model("zzz")
    provider.MODELS = ()
    provider.learn([ModelInfo("one", "listed")])
    assert "choose another, for example 'listed'" == provider.suggest_model("zzz")
    provider.learn([])
    assert provider.suggest_model("zzz") is None


async def test_a_driver_that_is_not_installed_fails_alone(opened, one):
    """
    Its provider is in the report with the reason; what was known of its models still is.
    """
    table = {"one": {"driver": "openai"}, "gone": {"driver": "no-such-driver"}}
    async with tertulia.open(store="memory:", providers=table, environ={}) as client:
        report = await client.sync_models()
        await client._open.store.replace_models("local", "gone", [ModelInfo("gone", "m")], NOON)
        known = await client.models("gone")

    kinds = [type(each.error).__name__ for each in report.providers]
    assert ["MissingKeyError", "DriverNotInstalledError"] == kinds
    assert ["gone/m"] == names(known)


class Refusing(Lister):
    """Its check fails as a test wants it to."""

    async def verify(self) -> None:
        if self.error is not None:
            raise self.error


async def test_verifying_says_what_is_wrong(opened):
    """
    An error is in the answer, with how long it took; nothing was sent where no key is set.
    """
    provider = Refusing("one")
    clock = StandingClock(NOON)
    async with opened(provider, clock=clock) as client:
        fine = await client.verify("one")
        provider.error = ServerError("HTTP 503")
        failed = await client.verify("one")
        provider.error = MissingKeyError("no key is set")
        keyless = await client.verify("one")
        provider.error = ValueError("boom")
        broken = await client.verify("one")

    assert ("one", True, 0.0, None) == (fine.provider, fine.ok, fine.latency_seconds, fine.error)
    assert (False, 0.0, "HTTP 503") == (failed.ok, failed.latency_seconds, failed.error.message)
    assert (False, None) == (keyless.ok, keyless.latency_seconds)
    assert "provider 'one' raised ValueError in verify: boom" == broken.error.message


async def test_a_catalogue_that_cannot_be_read_stops_nothing(opened, one, tmp_path: Path, caplog):
    """
    A damaged entry is a warning when a client opens, and an error only of who asks for the catalogue.
    """
    async with opened(one) as client:
        await client.sync_models()
    with closing(sqlite3.connect(tmp_path / "conversations.db")) as connection, connection:
        connection.execute("UPDATE model SET facts = 'nonsense' WHERE id = 'b'")

    one.says("Hi.")
    with caplog.at_level(logging.WARNING, "tertulia"):
        async with opened(one) as client:
            assert "Hi." == (await client.ask("Hello", provider="one")).text
            with pytest.raises(tertulia.StoreCorruptError):
                await client.models()
            (synced,) = (await client.sync_models()).providers

    assert isinstance(synced.error, tertulia.StoreCorruptError)
    assert "the catalogue of models cannot be read, so only bundled facts count" in caplog.messages[0]


async def test_a_later_versions_words_are_passed_over(opened, one, tmp_path: Path):
    """
    A fact or a capability that this version does not know harms nothing.
    """
    async with opened(one) as client:
        await client.sync_models()
    facts = '{"capabilities": ["telepathy", "tools"], "smell": 3, "context_window": 5}'
    with closing(sqlite3.connect(tmp_path / "conversations.db")) as connection, connection:
        connection.execute("UPDATE model SET facts = ? WHERE id = 'b'", [facts])

    async with opened(one) as client:
        known = await client.model("one/b")

    assert ModelInfo("one", "b", context_window=5, capabilities=frozenset({Capability.TOOLS})) == known


async def test_a_closed_client_says_so(opened, one):
    """
    Before it is opened and after it is closed there is no catalogue.
    """
    client = opened(one)
    for _ in range(2):
        with pytest.raises(tertulia.TertuliaError, match="the client is not open"):
            await client.models()
        async with client:
            pass
