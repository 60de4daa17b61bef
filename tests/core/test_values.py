"""Values: JSON and back, ids, money, estimates."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia import (
    Foreign,
    Message,
    Money,
    OpaqueState,
    ProtocolError,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from tertulia.runtime.clock import SystemClock, make_uuid7
from tertulia.runtime.serialization import decode_json, decode_parts, encode_json, encode_parts
from tertulia.services.context.tokens import estimate_messages, estimate_text

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
    assert b'{"a":["x?y"]}' == encode_json({"a": ("x\ud800y",)})


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


def test_a_million_prices_add_up():
    """What a float cannot add, money can."""
    total = sum([Money.from_usd("0.0000001")] * 1_000_000, Money(0))

    assert Decimal("0.1") == total.usd


@pytest.mark.parametrize(
    ("sample", "tokens"),
    [
        ("The quick brown fox", 4.75),
        ("12345678", 2.8),
        ("Grüße", 1.75),
        ("Привет", 1.8),
        ("नमस्ते", 2.1),
        ("你好世界", 3.0),
        ("🙂", 1.6),
        ("", 0.0),
    ],
)
def test_tokens_are_estimated_by_script(sample, tokens):
    """Each script weighs its own characters."""
    assert tokens == pytest.approx(estimate_text(sample))


def test_every_part_counts():
    """Calls, results and opaque state are in the estimate, with a constant for each message."""
    message = Message(
        Role.ASSISTANT,
        (
            Text("x" * 40),
            ToolCall("1", "add", {"a": 1}),
            ToolResult("1", "add", "y" * 40),
            Foreign("web_search_call", OpaqueState("openai", "z" * 40)),
        ),
    )

    # 10 of text, 0.75 + 2.1 of call, 0.75 + 10 of result, 10 of state, rounded up; and 4 for the message.
    assert 38 == estimate_messages([message])
