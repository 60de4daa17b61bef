"""The user's own prices in configuration: who may set them, how they are read, and what is refused."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from configuration_cases import configure, origins

import tertulia
from tertulia import ConfigurationError, LongContext, Price, Rates

ROW = """
[[prices]]
model = "openai/gpt-6.1-sol"
input = "1.5"
output = 8
"""


def test_prices_are_read_from_the_users_file(user_file):
    """Each table is a row, exact to the last digit, whose source is the file unless it names another."""
    user_file.write_text(
        ROW
        + """cache_read = "0.075"
valid_from = 2026-11-01
source = "contract 7"

[prices.long_context]
from_tokens = 272_001
input = 3
output = 12

[prices.tiers]
flex = "0.5"

[[prices]]
model = "xai/grok-4.7"
input = "0.10000000000000000000000000001"
output = 0
"""
    )

    prices = configure().prices

    assert (
        Price(
            "user/openai/gpt-6.1-sol/2026-11-01",
            "openai/gpt-6.1-sol",
            Rates(Decimal("1.5"), Decimal(8), Decimal("0.075")),
            LongContext(272_001, Rates(Decimal(3), Decimal(12))),
            tiers={"flex": Decimal("0.5")},
            valid_from=date(2026, 11, 1),
            source="contract 7",
        ),
        Price(
            "user/xai/grok-4.7/always",
            "xai/grok-4.7",
            Rates(Decimal("0.10000000000000000000000000001"), Decimal(0)),
            source=f"{user_file} line 2",
        ),
    ) == prices


def test_a_row_ends_where_the_next_begins(user_file):
    """Who writes down when a price changed need not write down when the one before ended."""
    for day in ("2026-07-01", "2026-09-01"):
        user_file.write_text(f"{ROW}{ROW}valid_from = {day}\n{ROW}valid_from = 2026-08-01")

        periods = [(price.valid_from, price.valid_until) for price in configure().prices]

        first, second = sorted([date.fromisoformat(day), date(2026, 8, 1)])
        assert [(None, first), (first, second), (second, None)] == periods


def test_arguments_are_over_the_file(user_file):
    """The prices of an argument are all there are."""
    user_file.write_text(ROW)
    rows = [{"model": "gemini/gemini-3.5-flash", "input": 1, "output": 2}]

    assert ["gemini/gemini-3.5-flash"] == [price.model for price in configure(prices=rows).prices]
    assert () == configure(prices=[]).prices


def test_a_price_in_the_file_for_a_provider_that_is_not_there_is_left_out(user_file):
    """Arguments that configure other providers do not trip over the file's prices."""
    user_file.write_text(ROW)

    assert () == configure(providers={"xai": {}}).prices


def test_a_factor_is_exact_and_shown(user_file):
    """The factor is read as it is written, and listed with the line it stands in, as are the prices."""
    user_file.write_text(
        f'{ROW}\n[providers.gemini]\nprice_factor = "0"\n[providers.xai]\nprice_factor = "0.9"'
    )

    config = configure()

    assert [None, Decimal(0), Decimal("0.9")] == [
        config.providers[name].price_factor for name in ("openai", "gemini", "xai")
    ]
    listed = {setting.key: setting.value for setting in tertulia.read_settings()}
    assert (("openai/gpt-6.1-sol",), "0.9", None) == (
        listed["prices"],
        listed["providers.xai.price_factor"],
        listed["providers.openai.price_factor"],
    )
    assert {
        "prices": f"{user_file} line 2",
        "providers.gemini.price_factor": f"{user_file} line 8",
        "providers.xai.price_factor": f"{user_file} line 10",
    } == origins()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[[tool.tertulia.prices]]\nmodel = 'openai/gpt-6.1-sol'", "line 1: tool.tertulia.prices"),
        (
            "[tool.tertulia.providers.openai]\nprice_factor = '0'",
            "line 2: tool.tertulia.providers.openai.price_factor",
        ),
    ],
)
def test_a_project_does_not_say_what_things_cost(project_file, text, what):
    """A cloned repository cannot make a dear model look cheap."""
    project_file.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert str(caught.value).startswith(f"{project_file} {what} is not a project's to set")


AMOUNT = 'must be an exact amount; write it as a text, such as "0.5", or as a whole number'
RATES = "audio_cache_read, audio_input, cache_read, cache_write, cache_write_12h"
CLIFF = "from_tokens, input, output, tiers"
KEYS = f"{RATES}, fees, input, long_context, model, output, regions, source, tiers, valid_from, valid_until"
MODEL = (
    'prices[0].model must name a provider and its model; write it as "provider/model", with the '
    "provider as it is configured"
)
OVERLAP = (
    "prices[1] overlaps another price of openai/gpt-6.1-sol; let each period end where the next one begins"
)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("prices = 3", "prices must be a list of tables; write [[prices]] before each of them"),
        ("[prices]\nmodel = 'a'", "prices must be a list of tables; write [[prices]] before each of them"),
        (
            "prices = ['a/b']",
            f"prices[0] must be a table; its keys are: {KEYS}",
        ),
        (f"{ROW}inputs = 3", "prices[0].inputs is no setting; did you mean 'input'?"),
        (
            "[[prices]]\nmodel = 'gpt-5'\ninput = 1\noutput = 1",
            MODEL,
        ),
        (
            "[[prices]]\nmodel = 'openai/'\ninput = 1\noutput = 1",
            MODEL,
        ),
        (
            "[[prices]]\nmodel = 'openai/gpt-5'\noutput = 1",
            "prices[0].input is missing; say what a million tokens cost in dollars",
        ),
        ("[[prices]]\nmodel = 'openai/gpt-5'\ninput = 0.5\noutput = 1", f"prices[0].input {AMOUNT}"),
        ("[[prices]]\nmodel = 'openai/gpt-5'\ninput = 1\noutput = true", f"prices[0].output {AMOUNT}"),
        (
            f"{ROW}cache_read = 'little'",
            'prices[0].cache_read is no number; write it as a text, such as "0.5", or as a whole number',
        ),
        (f"{ROW}cache_read = -1", "prices[0].cache_read must be an amount from 0 to a thousand million"),
        (f"{ROW}cache_read = 'NaN'", "prices[0].cache_read must be an amount from 0 to a thousand million"),
        (
            f"{ROW}cache_read = '1e99999'",
            "prices[0].cache_read must be an amount from 0 to a thousand million",
        ),
        (
            f"{ROW}cache_read = '1e-99999'",
            "prices[0].cache_read must be an amount from 0 to a thousand million",
        ),
        (
            f"{ROW}valid_from = '2026-11-01'",
            "prices[0].valid_from must be a day; write it as 2026-11-01, unquoted",
        ),
        (
            f"{ROW}valid_until = 2026-11-01T00:00:00Z",
            "prices[0].valid_until must be a day; write it as 2026-11-01, unquoted",
        ),
        (f"{ROW}source = 3", "prices[0].source must be a text"),
        (f"{ROW}tiers = 'flex'", "prices[0].tiers must be a table of amounts by name"),
        (f"{ROW}fees = {{ web_search = 0.01 }}", f"prices[0].fees.web_search {AMOUNT}"),
        (
            f"{ROW}long_context = {{ from_tokens = 0, input = 1, output = 1 }}",
            "prices[0].long_context.from_tokens must be a whole number of at least 1",
        ),
        (
            f"{ROW}long_context = {{ from_tokens = 9, input = 1 }}",
            "prices[0].long_context.output is missing; say what a million tokens cost in dollars",
        ),
        (
            f"{ROW}long_context = {{ from_tokens = 9, input = 1, output = 1, tiers = {{ flex = -1 }} }}",
            "prices[0].long_context.tiers.flex must be an amount from 0 to a thousand million",
        ),
        (
            f"{ROW}long_context = 9",
            f"prices[0].long_context must be a table; its keys are: {RATES}, {CLIFF}",
        ),
        (
            f"{ROW}{ROW}",
            OVERLAP,
        ),
        (
            f"{ROW}valid_until = 2026-11-02\n{ROW}valid_from = 2026-11-01",
            OVERLAP,
        ),
        (
            f"{ROW}valid_from = 2026-11-02\nvalid_until = 2026-11-02",
            "prices[0].valid_until must be after valid_from",
        ),
        ("[providers.openai]\nprice_factor = 0.5", f"providers.openai.price_factor {AMOUNT}"),
        (
            "[providers.openai]\nprice_factor = -1",
            "providers.openai.price_factor must be an amount from 0 to a thousand million",
        ),
        (ROW.replace("openai", "opnai"), "no provider is configured as 'opnai'; did you mean 'openai'?"),
    ],
)
def test_a_mistake_in_a_price_is_named(user_file, row, message):
    """Whatever is wrong with a price is said with its line, its place among the prices, and what to do."""
    user_file.write_text(row)

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    where, _, said = str(caught.value).partition(": ")
    assert where.startswith(f"{user_file} line ")
    assert message == said


def test_a_value_is_checked_as_a_table_is():
    """What a type checker would refuse in a row made in Python is refused here too."""
    good = Price("mine", "one/m", Rates(Decimal(1), Decimal(1)))
    wrong = {
        MODEL: Price("mine", "m", good.rates),
        f"prices[0].tiers.flex {AMOUNT}": Price("mine", "one/m", good.rates, tiers={"flex": 0.5}),
        f"prices[0].long_context.tiers.flex {AMOUNT}": Price(
            "mine", "one/m", good.rates, LongContext(1, good.rates, {"flex": 0.5})
        ),
        f"prices[0].input {AMOUNT}": Price("mine", "one/m", good.rates, LongContext(1, Rates(0.5, 1))),
    }
    for message, price in wrong.items():
        with pytest.raises(ConfigurationError) as caught:
            configure(providers={"one": {"driver": "openai"}}, prices=[price])
        assert message == str(caught.value)

    (kept,) = configure(providers={"one": {"driver": "openai"}}, prices=[good]).prices
    assert "user/mine" == kept.id
