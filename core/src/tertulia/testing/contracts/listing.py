"""What every store promises about lists: filters, orders, pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import attrs

from tertulia.contracts.store import Store
from tertulia.domain.conversation import ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, Order
from tertulia.domain.message import Role
from tertulia.domain.usage import Money
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.shelf import HOURS_BETWEEN, expect, fill_shelf
from tertulia.testing.contracts.talk import OWNER, STRANGER, Talk

ANYWHERE = ConversationFilter(states=())
MORE_THAN_ALL = 100


def make_filters(begun: datetime, used: datetime) -> list[dict[str, Any]]:
    """What can be asked, one thing at a time, by the fields of a filter."""
    days = [begun + timedelta(hours=hours * HOURS_BETWEEN) for hours in (5, 20)]
    return [
        {"states": (ConversationState.ARCHIVED,)},
        {"states": (ConversationState.DELETED, ConversationState.ACTIVE, ConversationState.ACTIVE)},
        {"tags": ("trip",)},
        {"tags": ("work", "trip")},
        {"provider": "openai"},
        {"model": "luna"},
        {"provider": "openai", "model": "sol"},
        {"role": Role.ASSISTANT},
        {"metadata": {"customer.plan": "pro"}},
        {"text": "lisb"},
        {"text": "HOTEL river"},
        {"created_from": days[0]},
        {"created_until": days[1]},
        {"updated_from": used - timedelta(hours=2)},
        {"updated_until": used - timedelta(hours=1)},
        {"min_messages": 1},
        {"max_messages": 0},
        {"min_cost": Money(5)},
        {"max_cost": Money(0)},
        {"has_unknown_cost": True},
        {"has_unknown_cost": False},
    ]


async def find_all(
    store: Store, where: ConversationFilter, order: Order = Order.RECENT, *, limit: int = MORE_THAN_ALL
) -> list[ConversationRecord]:
    """Every page of a list."""
    found: list[ConversationRecord] = []
    after: ConversationRecord | None = None
    while page := await store.find_conversations(OWNER, where=where, order=order, limit=limit, after=after):
        assert len(page) <= limit
        found += page
        after = page[-1]
    return found


class ListContract:
    """Lists of conversations."""

    async def test_every_filter_finds_what_it_says(self, store: Store, clock: StandingClock) -> None:
        """Each thing that can be asked finds exactly the conversations it is true of."""
        begun = clock.now()
        kept = await fill_shelf(store, clock)

        for fields in make_filters(begun, clock.now()):
            where = attrs.evolve(ANYWHERE, **fields)
            expected = expect(kept, where)
            assert 0 < len(expected) < len(kept), fields
            assert (fields, expected) == (fields, [each.id for each in await find_all(store, where)])

    async def test_filters_apply_together(self, store: Store, clock: StandingClock) -> None:
        """Any two things that are asked at once find what both are true of, in every order."""
        begun = clock.now()
        kept = await fill_shelf(store, clock)
        orders = list(Order)

        for number, (one, other) in enumerate(combinations(make_filters(begun, clock.now()), 2)):
            where, order = attrs.evolve(ANYWHERE, **(other | one)), orders[number % len(orders)]
            found = [each.id for each in await find_all(store, where, order)]
            assert (where, order, expect(kept, where, order)) == (where, order, found)

    async def test_every_order_goes_on_from_page_to_page(self, store: Store, clock: StandingClock) -> None:
        """In every order the pages hold all, none twice and none left out, whatever their length."""
        kept = await fill_shelf(store, clock)

        for order in Order:
            for limit in (1, 4, MORE_THAN_ALL):
                found = [each.id for each in await find_all(store, ANYWHERE, order, limit=limit)]
                assert (order, limit, expect(kept, ANYWHERE, order)) == (order, limit, found)

    async def test_filtered_lists_go_on_from_page_to_page(self, store: Store, clock: StandingClock) -> None:
        """So do those of what a filter means."""
        kept = await fill_shelf(store, clock)
        filters = (
            ConversationFilter(tags=("trip",)),
            attrs.evolve(ANYWHERE, provider="openai"),
            attrs.evolve(ANYWHERE, metadata={"customer.plan": "pro"}),
            attrs.evolve(ANYWHERE, min_messages=1, max_cost=Money(5)),
        )
        for where in filters:
            for order in Order:
                found = [each.id for each in await find_all(store, where, order, limit=2)]
                assert (where, order, expect(kept, where, order)) == (where, order, found)

    async def test_a_listed_conversation_is_what_is_read_of_it(
        self, store: Store, clock: StandingClock
    ) -> None:
        """A list has the same records as reading each, tags and metadata included."""
        kept = await fill_shelf(store, clock)

        listed = {record.id: record for record in await find_all(store, ANYWHERE)}
        assert {each.record.id: each.record for each in kept} == listed

    async def test_without_a_filter_only_active_ones_are_listed(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What is archived or deleted is not in the usual list."""
        kept = await fill_shelf(store, clock)

        listed = await store.find_conversations(OWNER, limit=MORE_THAN_ALL)
        assert expect(kept, ConversationFilter()) == [record.id for record in listed]
        assert {ConversationState.ACTIVE} == {record.state for record in listed}

    async def test_zero_is_a_number_in_a_filter(self, store: Store, clock: StandingClock) -> None:
        """At most 0 messages, a cost of at most 0 and an empty word ask something; None does not."""
        empty = await Talk.begin(store, clock)
        used = await Talk.begin(store, clock)
        await used.answer(await used.ask("Hello"))

        async def find(**fields: Any) -> list[Any]:
            return [each.id for each in await find_all(store, ConversationFilter(**fields))]

        assert [empty.id] == await find(max_messages=0)
        assert [empty.id] == await find(max_cost=Money(0))
        assert [used.id, empty.id] == await find(min_messages=0, min_cost=Money(0))
        assert [used.id, empty.id] == await find(max_messages=None, max_cost=None)
        nothing: list[dict[str, Any]] = [
            {"provider": ""},
            {"model": ""},
            {"tags": ("",)},
            {"text": ""},
            {"text": "?!"},
        ]
        assert [[]] * 5 == [await find(**fields) for fields in nothing]

    async def test_metadata_are_compared_as_json(self, store: Store, clock: StandingClock) -> None:
        """Numbers by what they are worth, no truth with one, null with a null, lists and objects whole."""
        kept = await fill_shelf(store, clock)
        wanted: list[tuple[dict[str, Any], set[int]]] = [
            ({"customer.seats": 1}, {2, 5}),
            ({"customer.seats": 1.0}, {2, 5}),
            ({"customer.seats": True}, {3}),
            ({"customer.seats": 0}, {1}),
            ({"customer.seats": False}, set()),
            ({"customer.plan": None}, {2}),
            ({"customer": "pro"}, {4}),
            ({"customer": {"seats": 0, "plan": "pro"}}, {1}),
            ({"customer.rooms": ["a", {"b": 1.0}]}, {3}),
            ({"customer.rooms": ["a"]}, set()),
            ({"customer.plan": "pro", "customer.seats": 1}, {5}),
            ({"ünïcode.": "empty"}, {5}),
            ({"nothing": None}, set()),
            ({"": None}, set()),
        ]
        for metadata, remainders in wanted:
            found = {each.id for each in await find_all(store, attrs.evolve(ANYWHERE, metadata=metadata))}
            expected = {each.record.id for number, each in enumerate(kept) if number % 6 in remainders}
            assert (metadata, expected) == (metadata, found)

    async def test_a_provider_and_a_model_are_of_one_call(self, store: Store, clock: StandingClock) -> None:
        """Who asked one provider, and another one for the model, is not meant; nobody is found twice."""
        kept = await fill_shelf(store, clock)

        where = attrs.evolve(ANYWHERE, provider="openai", model="sol")
        both = [each.record.id for each in kept if ("openai", "sol") in each.targets]
        assert sorted(both) == sorted(each.id for each in await find_all(store, where))
        for order in Order:
            found = await find_all(store, attrs.evolve(ANYWHERE, provider="openai"), order)
            assert len(found) == len({each.id for each in found})

    async def test_pages_stand_while_others_write(self, store: Store, clock: StandingClock) -> None:
        """What is added or changed between two pages moves nothing but itself."""
        kept = await fill_shelf(store, clock)
        expected = expect(kept, ConversationFilter())
        first = await store.find_conversations(OWNER, limit=5)
        clock.advance(60)
        await Talk.begin(store, clock, "new")
        await store.update_title(OWNER, first[-1].id, "used again", clock.now())
        await store.update_title(OWNER, expected[-1], "used again", clock.now())

        second = await store.find_conversations(OWNER, limit=MORE_THAN_ALL, after=first[-1])
        assert expected[:5] == [each.id for each in first]
        assert expected[5:-1] == [each.id for each in second]

    async def test_no_limit_below_one_finds_anything(self, store: Store, clock: StandingClock) -> None:
        """A page of none is empty."""
        await Talk.begin(store, clock)

        assert [[], []] == [await store.find_conversations(OWNER, limit=limit) for limit in (0, -1)]

    async def test_bounds_that_no_column_holds_are_bounds(self, store: Store, clock: StandingClock) -> None:
        """Numbers beyond 64 bits and the ends of time are compared like others."""
        talk = await Talk.begin(store, clock)
        most, zone = 2**70, clock.now().tzinfo
        everything = ConversationFilter(
            max_messages=most,
            min_messages=-most,
            max_cost=Money(most),
            created_from=datetime.min.replace(tzinfo=zone),
            created_until=datetime.max.replace(tzinfo=zone),
            updated_from=datetime.min.replace(tzinfo=zone),
            updated_until=datetime.max.replace(tzinfo=zone),
        )

        for order in Order:
            assert [talk.id] == [each.id for each in await find_all(store, everything, order)]
            for nothing in (ConversationFilter(min_messages=most), ConversationFilter(min_cost=Money(most))):
                assert [] == await find_all(store, nothing, order)

    async def test_strange_words_in_a_filter_find_nothing(self, store: Store, clock: StandingClock) -> None:
        """Quotes, wildcards, NUL and lone surrogates are words like others."""
        kept = await fill_shelf(store, clock, 6)
        assert kept

        for word in ("'; DROP TABLE conversation; --", "%", "_", "\0", "\ud800", "a" * 100_000, "openai\0"):
            for fields in (
                {"provider": word},
                {"model": word},
                {"tags": (word,)},
                {"metadata": {word: word}},
            ):
                assert [] == await find_all(store, attrs.evolve(ANYWHERE, **fields))

    async def test_another_owner_has_another_list(self, store: Store, clock: StandingClock) -> None:
        """No filter and no order finds what belongs to another owner."""
        begun = clock.now()
        await fill_shelf(store, clock, 12)

        for number, fields in enumerate(make_filters(begun, clock.now())):
            where = attrs.evolve(ANYWHERE, **fields)
            order = list(Order)[number % len(Order)]
            assert [] == await store.find_conversations(STRANGER, where=where, order=order)
        assert {} == await store.find_tags(STRANGER)
