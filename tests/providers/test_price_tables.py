"""The bundled price rows: each has its source, none contradicts another, long prompts cost as published."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import attrs
import pytest

from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

ROWS = [(driver, row) for driver in (OpenAIProvider, GeminiProvider, XAIProvider) for row in driver.PRICES]
TWICE, HALF_AS_MUCH_AGAIN = Decimal(2), Decimal("1.5")


def test_each_row_has_its_own_name():
    """A cost names one row and no other."""
    ids = [row.id for _, row in ROWS]

    assert sorted(set(ids)) == sorted(ids)


@pytest.mark.parametrize("row", [row for _, row in ROWS], ids=lambda row: row.id)
def test_each_row_says_where_it_is_from(row):
    """There is a source, the day it was read, and what goes in and comes out has a price."""
    assert row.source
    assert row.read_on == date(2026, 11, 22)
    assert None not in (row.rates.input, row.rates.output)


@pytest.mark.parametrize("driver", [OpenAIProvider, GeminiProvider, XAIProvider])
def test_no_two_rows_of_a_model_hold_on_one_day(driver):
    """On each day around a change exactly one row holds, and none of them ends before the next begins."""
    changes = {row.valid_from for row in driver.PRICES if row.valid_from is not None}
    days = {date(2026, 11, 22), *changes, *(day - timedelta(1) for day in changes)}
    models = {row.model for row in driver.PRICES}

    held = {
        (model, day): sum(row.model == model and row.is_valid(day) for row in driver.PRICES)
        for model in models
        for day in days
    }
    assert {1} == set(held.values())


@pytest.mark.parametrize(
    ("driver", "row"), [pytest.param(driver, row, id=row.id) for driver, row in ROWS if row.long_context]
)
def test_a_long_prompt_costs_what_the_vendor_says(driver, row):
    """All goes up twofold at xAI; at the others what goes in does, and what comes out by a half."""
    answers = TWICE if driver is XAIProvider else HALF_AS_MUCH_AGAIN
    factors = {name: answers if name == "output" else TWICE for name in attrs.asdict(row.rates)}
    thresholds = {OpenAIProvider: 272_001, GeminiProvider: 200_001, XAIProvider: 200_000}

    assert thresholds[driver] == row.long_context.from_tokens
    assert {
        name: None if rate is None else rate * factors[name] for name, rate in attrs.asdict(row.rates).items()
    } == attrs.asdict(row.long_context.rates)


@pytest.mark.parametrize("row", [row for _, row in ROWS if row.rates.cache_write], ids=lambda row: row.id)
def test_writing_to_a_cache_costs_by_its_term(row):
    """Since gpt-5.6, 30 minutes are a quarter more than the input, and 12 hours twice as much."""
    rates = row.rates

    assert (rates.input * Decimal("1.25"), rates.input * 2) == (rates.cache_write, rates.cache_write_12h)
