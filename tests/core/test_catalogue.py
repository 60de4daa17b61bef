"""The catalogue as values: what holds of every list, whatever a service puts into it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia import Capability, LongContext, ModelInfo, Price, Rates
from tertulia.domain.catalogue import compare_models, complete_models, leave_out, merge_models
from tertulia.domain.model import find_model
from tertulia.runtime.serialization import decode_model, encode_model

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = st.text("ab-@1", min_size=1, max_size=6) | st.sampled_from(
    ["m", "m-1", "m-2", "m-2026-01-01", "m-latest"]
)
MONEY = st.none() | st.decimals(0, 10**6, allow_nan=False)
RATES = st.builds(Rates, MONEY, MONEY, MONEY, MONEY)
DAYS = st.none() | st.dates()
PRICES = st.builds(
    Price,
    st.text(),
    NAMES,
    RATES,
    st.none() | st.builds(LongContext, st.integers(0, 10**9), RATES),
    st.dictionaries(st.text(max_size=5), st.decimals(0, 10, allow_nan=False), max_size=2),
    valid_from=DAYS,
    valid_until=DAYS,
    source=st.text(),
    read_on=DAYS,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
MODELS = st.builds(
    ModelInfo,
    st.just("p"),
    NAMES,
    st.none() | TEXTS,
    st.none() | st.integers(0, 2**63),
    capabilities=st.none() | st.frozensets(st.sampled_from(list(Capability))),
    aliases=st.lists(NAMES, max_size=2).map(tuple),
    price=st.none() | PRICES,
    reasoning_efforts=st.none() | st.lists(TEXTS, max_size=2).map(tuple),
    refused_options=st.frozensets(TEXTS, max_size=2),
    created=st.none() | st.datetimes(timezones=st.just(UTC)),
    shutdown_on=DAYS,
    successor=st.none() | TEXTS,
    gone_at=st.none() | st.just(NOON),
)
LISTS = st.lists(MODELS, max_size=4)
QUICK = settings(max_examples=20, deadline=None)


@QUICK
@given(MODELS)
def test_what_is_known_of_a_model_survives_the_database(info):
    """
    Every fact comes back equal from its JSON.
    """
    assert info == decode_model(encode_model(info).decode(), "p", info.id)


@QUICK
@given(LISTS, LISTS)
def test_the_changes_lead_from_one_list_to_the_next(before, after):
    """
    Who applies them has each model of the new list, and the others marked as gone; then nothing changes.
    """
    known = {info.id: attrs.evolve(info, price=None) for info in before}
    listed = [attrs.evolve(info, price=None) for info in after]
    changes = compare_models(known.values(), listed, NOON)
    for info in (*changes.added, *(change.after for change in changes.changed), *changes.gone):
        known[info.id] = info

    there = {info.id for info in known.values() if info.gone_at is None}
    assert {info.id for info in listed} == there
    assert not compare_models(known.values(), listed, NOON)


@QUICK
@given(LISTS, LISTS)
def test_a_listed_model_is_completed_from_the_closest_bundled_one(bundled, listed):
    """
    The bundled facts are those that a search through all of them finds, and the listed ones win.
    """
    for info, complete in zip(listed, complete_models(bundled, listed), strict=True):
        found = find_model(bundled, info.id)
        window = info.context_window
        if window is None and found is not None:
            window = found.context_window
        assert (info.id, window) == (complete.id, complete.context_window)


@QUICK
@given(LISTS)
def test_leaving_out_what_is_bundled_loses_nothing(models):
    """
    What only repeats the table is left out, and comes back from the table.
    """
    for info in models:
        own = leave_out(info, info)
        assert ModelInfo("p", info.id) == own
        whole = complete_models([attrs.evolve(info, aliases=())], [own])[0]
        assert attrs.evolve(info, aliases=()) == whole


@QUICK
@given(LISTS, LISTS)
def test_no_name_means_two_models_because_a_list_moved_it(bundled, listed):
    """
    A name that the list gives to a model is no bundled model's alias any more.
    """
    claimed = {name for info in listed for name in (info.id, *info.aliases)}
    own = {info.id for info in listed}
    others = [info for info in merge_models("p", bundled, listed) if info.id not in own]

    assert [] == [name for info in others for name in info.aliases if name in claimed]


def test_a_price_keeps_the_day_it_was_first_seen():
    """
    The row's name has that day, so that a cost says by which price it was computed.
    """
    price = Price("listed", "m", Rates(Decimal(1), Decimal(2)))
    (first,) = compare_models([], [ModelInfo("p", "m", price=price)], NOON).added

    assert ("listed/2026-11-22", date(2026, 11, 22)) == (first.price.id, first.price.valid_from)
    later = datetime(2026, 12, 1, tzinfo=UTC)
    assert not compare_models([first], [ModelInfo("p", "m", price=price)], later)
