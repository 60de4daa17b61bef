"""Values: JSON and back, ids, money, estimates."""

from __future__ import annotations

from decimal import Decimal, localcontext
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia import (
    Billing,
    Foreign,
    Money,
    OpaqueState,
    Price,
    ProtocolError,
    Rates,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from tertulia.runtime.clock import SystemClock, make_uuid7
from tertulia.runtime.serialization import decode_json, decode_parts, encode_json, encode_parts

text = st.text(st.characters(codec="utf-8"))
json_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
json_object = st.dictionaries(text, json_value, max_size=3)
opaque = st.none() | st.builds(OpaqueState, text, json_value)
part = st.one_of(
    st.builds(Text, text, opaque),
    st.builds(Refusal, text, opaque),
    st.builds(Reasoning, text, opaque),
    st.builds(ToolCall, text, text, st.none() | json_object, st.none() | text, opaque),
    st.builds(ToolResult, text, text, text, st.booleans(), opaque),
    st.builds(Foreign, text, opaque),
)


@given(st.lists(part, max_size=5).map(tuple))
def test_parts_survive_json(parts):
    """Any parts, written as JSON and read again, are the same."""
    assert parts == decode_parts(encode_parts(parts))


def test_what_is_stored_is_plain():
    """The names in the database are the field's words and outlive the classes."""
    parts = (ToolCall("1", "add", {"a": 1}), Text("x"))

    assert (
        b'[{"id":"1","name":"add","arguments":{"a":1},"type":"tool_call"},{"text":"x","type":"text"}]'
    ) == encode_parts(parts)


def test_text_that_utf8_cannot_hold_is_replaced():
    """A lone surrogate does not break what is around it."""
    assert b'{"a":["x\xef\xbf\xbdy"]}' == encode_json({"a": ("x\ud800y",)})


def test_broken_json_says_where():
    """JSON that is none is a protocol error with the place."""
    with pytest.raises(ProtocolError, match=r"the answer is not valid JSON: .* at character"):
        decode_json(b'{"a": ')


def test_json_with_broken_utf8_is_read():
    """A byte that is no UTF-8 is replaced, and the rest is read."""
    assert {"a": "x\ufffdy"} == decode_json(b'{"a": "x\xffy"}')


def test_ids_are_uuid7_and_in_order():
    """Ids of a process are version 7, of variant RFC 9562, and each sorts after the one before."""
    clock = SystemClock()
    ids = [clock.new_id() for _ in range(2000)]

    assert ids == sorted(set(ids))
    assert {(7, "specified in RFC 4122")} == {(each.version, each.variant) for each in ids}
    assert UUID("017f22e2-79b0-7000-8000-000000000000") == make_uuid7(0x017F22E279B0 * 4096, 0)


@given(st.decimals(min_value=0, max_value=10**6, places=12))
def test_money_is_exact(usd):
    """An amount of at most twelve decimals comes back as it was."""
    assert usd == Money.from_usd(usd).usd


@pytest.mark.parametrize(
    ("usd", "written"),
    [("0", "$0"), ("100", "$100"), ("0.000468", "$0.000468"), ("1.50", "$1.5"), ("0.0000000000005", "$0")],
)
def test_money_is_written_plainly(usd, written):
    """Without exponents or trailing zeros; half a pico-dollar goes to the even one."""
    assert written == str(Money.from_usd(usd))


@pytest.mark.parametrize(
    ("usd", "pico"),
    [
        ("0.0000000000015", 2),
        ("0.0000000000025", 2),
        ("-0.0000000000015", -2),
        ("-0.0000000000025", -2),
        ("0.0000000000025000001", 3),
        (Decimal("1.5"), 1_500_000_000_000),
        (3, 3_000_000_000_000),
    ],
)
def test_dollars_are_rounded_half_even(usd, pico):
    """Half a pico-dollar goes to the even one, up as well as down."""
    assert Money(pico) == Money.from_usd(usd)


@pytest.mark.parametrize(
    ("usd", "error", "message"),
    [
        (0.1, TypeError, "0.1 is a float: write an amount as a text, a Decimal or an int"),
        (None, TypeError, "None is a NoneType: write an amount as a text, a Decimal or an int"),
        ("NaN", ValueError, "'NaN' is no finite number"),
        (Decimal("-Infinity"), ValueError, "Decimal('-Infinity') is no finite number"),
        ("a dime", ValueError, "'a dime' is no number"),
    ],
)
def test_what_is_no_exact_amount_is_refused(usd, error, message):
    """A float is not the number that was written, and what is not finite is no amount."""
    with pytest.raises(error) as caught:
        Money.from_usd(usd)

    assert message == str(caught.value)


def test_money_does_not_depend_on_the_callers_precision():
    """An amount is read, priced and written exactly where the caller's decimals have one digit."""
    price = Price("row", "m", Rates.per_million("1.2345678", "0"), tiers={"flex": Decimal("0.51")})

    with localcontext(prec=1):
        read = Money.from_usd("1234567.890123456789")
        cost = price.cost(Usage(1_000_001, 0, 0, 0, 0), Billing(service_tier="flex"))
        written = (read.usd, str(read), str(Money(-1_500_000_000_000)))

    assert Money(1_234_567_890_123_456_789) == read
    assert (Decimal("1234567.890123456789"), "$1234567.890123456789", "$-1.5") == written
    assert Money(629_630_207_630) == cost.money  # 1,000,001 x 1,234,567.8 x 0.51 = 629,630,207,629.578


@pytest.mark.parametrize(
    ("usage", "tier", "pico"),
    [
        (Usage(3, 0, 0, 0, 0), None, 2),
        (Usage(5, 0, 0, 0, 0), None, 2),
        (Usage(1, 0, 0, 1, 0), None, 1),
        (Usage(3, 0, 0, 3, 0), "flex", 2),
        (Usage(5, 0, 0, 0, 0), "flex", 1),
    ],
)
def test_a_cost_is_rounded_half_even_and_once(usage, tier, pico):
    """At half a pico-dollar a token, 1.5 and 2.5 are both 2; classes and tier are put together before."""
    rates = Rates.per_million("0.0000005", "0.0000005")
    price = Price("row", "m", rates, tiers={"flex": Decimal("0.5")})

    assert Money(pico) == price.cost(usage, Billing(service_tier=tier)).money


@pytest.mark.parametrize("billing", [Billing(service_tier="ultrafast"), Billing(batch=True)])
def test_a_tier_that_the_row_does_not_name_has_an_unknown_cost(billing):
    """Without a factor for the tier nothing is guessed."""
    price = Price("row", "m", Rates.per_million("1", "1"), tiers={"flex": Decimal("0.5")})

    assert price.cost(Usage(1, 0, 0, 1, 0), billing) is None


def test_a_million_prices_add_up():
    """What a float cannot add, money can."""
    total = sum([Money.from_usd("0.0000001")] * 1_000_000, Money(0))

    assert Decimal("0.1") == total.usd
