"""What every store promises about the catalogue of models."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal

import attrs

from tertulia.contracts.store import Store
from tertulia.domain.catalogue import ModelChange, ModelChanges
from tertulia.domain.model import Capability, ModelInfo
from tertulia.domain.price import LongContext, Price, Rates
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import OWNER, STRANGER

PRICE = Price(
    "listed",
    "grok-4.7",
    Rates(Decimal("2.00"), Decimal(6), Decimal("0.5")),
    LongContext(200_000, Rates(Decimal(4), Decimal("12.0001"), None, Decimal(0))),
    {"priority": Decimal("1.5")},
    valid_from=date(2026, 11, 22),
    source="the list",
    read_on=date(2026, 11, 22),
)
KNOWN = ModelInfo(
    "xai",
    "grok-4.7",
    display_name="Grok 4.7 \N{ROCKET}",
    context_window=500_000,
    max_input_tokens=400_000,
    max_output_tokens=100_000,
    capabilities=frozenset({Capability.VISION, Capability.TOOLS}),
    aliases=("grok-4.7-latest", "grok-latest"),
    price=PRICE,
    reasoning_efforts=("low", "high"),
    refused_options=frozenset({"stop", "seed"}),
    created=datetime(2026, 9, 21, 12, 30, 0, 250_000, tzinfo=UTC),
    shutdown_on=date(2027, 4, 1),
    successor="grok-5",
)
BARE = ModelInfo("xai", "grok-4.6")


class CatalogueContract:
    """Lists of models, and what becomes of them."""

    async def test_a_model_comes_back_with_all_that_is_known_of_it(self, store: Store) -> None:
        """Money, dates, sets and what is not known at all come back equal."""
        unknown = ModelInfo("xai", "grok-4.6", capabilities=None, reasoning_efforts=None)
        nothing = ModelInfo("xai", "grok-4.5", capabilities=frozenset(), reasoning_efforts=())
        at = datetime(2026, 11, 22, tzinfo=UTC)
        known = attrs.evolve(KNOWN, price=None)
        await store.replace_models(OWNER, "xai", [unknown, known, nothing], at)

        assert [nothing, unknown, known] == await store.get_models(OWNER, "xai")

    async def test_a_listed_price_holds_from_the_day_it_is_seen(
        self, store: Store, clock: StandingClock
    ) -> None:
        """A price is dated when it is new or another one, and keeps its day while it stays the same."""
        price = attrs.evolve(PRICE, valid_from=None, read_on=None)
        listed = attrs.evolve(KNOWN, price=price)
        await store.replace_models(OWNER, "xai", [listed], clock.now())
        clock.advance(3 * 86_400)
        same = await store.replace_models(OWNER, "xai", [listed], clock.now())
        dearer = attrs.evolve(listed, price=attrs.evolve(price, rates=Rates(Decimal(3), Decimal(7))))
        other = await store.replace_models(OWNER, "xai", [dearer], clock.now())

        assert ModelChanges() == same
        (change,) = other.changed
        first, second = change.before.price, change.after.price
        assert first is not None
        assert second is not None
        assert (
            attrs.evolve(price, id=first.id, valid_from=first.valid_from, read_on=first.valid_from) == first
        )
        assert (3, f"listed/{clock.now().date()}") == (
            (_day(second.valid_from) - _day(first.valid_from)).days,
            second.id,
        )

    async def test_a_list_says_what_it_changes(self, store: Store, clock: StandingClock) -> None:
        """The difference to the list before is told, and nothing else."""
        first = await store.replace_models(OWNER, "xai", [BARE, ModelInfo("xai", "grok-3")], clock.now())
        clock.advance(60)
        larger = attrs.evolve(BARE, context_window=1_000)
        new = ModelInfo("xai", "grok-5")
        second = await store.replace_models(OWNER, "xai", [new, larger], clock.now())

        assert ModelChanges(added=(BARE, ModelInfo("xai", "grok-3"))) == first
        gone = ModelInfo("xai", "grok-3", gone_at=clock.now())
        assert ModelChanges((new,), (ModelChange(BARE, larger),), (gone,)) == second
        assert ("context_window",) == second.changed[0].fields
        assert [gone, larger, new] == await store.get_models(OWNER, "xai")

    async def test_a_gone_model_stays_and_may_come_back(self, store: Store, clock: StandingClock) -> None:
        """It is marked with when it was first missed, and loses the mark when it is listed again."""
        await store.replace_models(OWNER, "xai", [BARE], clock.now())
        clock.advance(60)
        missed = clock.now()
        await store.replace_models(OWNER, "xai", [], missed)
        clock.advance(60)
        again = await store.replace_models(OWNER, "xai", [], clock.now())
        gone = await store.get_models(OWNER)
        back = await store.replace_models(OWNER, "xai", [BARE], clock.now())

        assert ModelChanges() == again
        assert [attrs.evolve(BARE, gone_at=missed)] == gone
        assert (("gone_at",), BARE) == (back.changed[0].fields, back.changed[0].after)
        assert [BARE] == await store.get_models(OWNER)

    async def test_the_same_list_changes_nothing(self, store: Store, clock: StandingClock) -> None:
        """Neither its order nor an entry that comes twice counts."""
        other = ModelInfo("xai", "grok-4.5", context_window=1)
        await store.replace_models(OWNER, "xai", [BARE, other], clock.now())
        twice = attrs.evolve(other, context_window=2)

        assert not await store.replace_models(OWNER, "xai", [other, BARE, twice], clock.now())
        assert [other, BARE] == await store.get_models(OWNER)

    async def test_providers_do_not_touch_one_another(self, store: Store, clock: StandingClock) -> None:
        """A list is of one configured provider; all come back by provider and id."""
        here, there = ModelInfo("a", "same"), ModelInfo("b", "same", context_window=1)
        await asyncio.gather(
            store.replace_models(OWNER, "b", [there], clock.now()),
            store.replace_models(OWNER, "a", [ModelInfo("a", "z"), here], clock.now()),
        )
        await store.replace_models(OWNER, "c", [], clock.now())

        assert [here, ModelInfo("a", "z"), there] == await store.get_models(OWNER)
        assert [there] == await store.get_models(OWNER, "b")
        assert [] == await store.get_models(OWNER, "c")

    async def test_a_catalogue_is_its_owners(self, store: Store, clock: StandingClock) -> None:
        """Another owner finds nothing, and changes nothing."""
        await store.replace_models(OWNER, "xai", [BARE], clock.now())

        assert [] == await store.get_models(STRANGER)
        assert ModelChanges() == await store.replace_models(STRANGER, "xai", [], clock.now())
        assert [BARE] == await store.get_models(OWNER)


def _day(day: date | None) -> date:
    assert day is not None
    return day
