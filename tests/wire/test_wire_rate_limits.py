"""What the headers of an answer say of limits and of waiting."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tertulia import RateLimits
from tertulia.wire import ErrorBody, parse_retry_after
from tertulia.wire.rate_limits import parse_rate_limits

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        (
            {
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-limit-tokens": "200000",
                "x-ratelimit-remaining-tokens": "199978",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            RateLimits(499, 0.12, 199_978, 360.0),
        ),
        ({"x-ratelimit-remaining-requests": "0"}, RateLimits(requests=0)),
        ({"x-ratelimit-reset-tokens": "7.66"}, RateLimits(tokens_reset=7.66)),
        ({"x-ratelimit-reset-tokens": "0"}, RateLimits(tokens_reset=0.0)),
        (
            {"x-ratelimit-remaining-requests": "many", "x-ratelimit-remaining-tokens": "3"},
            RateLimits(tokens=3),
        ),
    ],
)
def test_what_is_left_is_read(headers, limits):
    """
    Counts are whole numbers, and times are durations or seconds.
    """
    assert limits == parse_rate_limits(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit-requests": "500"},
        {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "-1s"},
        {"x-ratelimit-remaining-requests": "1e3", "x-ratelimit-reset-requests": "soon"},
        {"x-ratelimit-remaining-tokens": "9" * 19, "x-ratelimit-reset-tokens": "nan"},
        {"x-ratelimit-remaining-tokens": "9" * 5000, "x-ratelimit-reset-tokens": "9" * 5000},
        {"x-ratelimit-remaining-tokens": "\u0663", "x-ratelimit-reset-tokens": ""},
    ],
)
def test_what_makes_no_sense_is_not_said(headers):
    """
    A service that says nothing usable says nothing.
    """
    assert parse_rate_limits(headers) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1.0),
        ("0", 0.0),
        ("0.25", 0.25),
        ("-5", None),
        ("-0.001", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("-1e999", None),
        ("", None),
        ("soon", None),
        ("1s", None),
        ("9" * 400, None),
        ("Sun, 22 Nov 2026 12:00:02 GMT", 2.0),
        ("Sun, 22 Nov 2026 13:00:02 +0100", 2.0),
        ("Sun, 22 Nov 2026 12:00:02", 2.0),
        ("Sat, 01 Jan 2022 00:00:00 GMT", 0.0),
        ("Sun, 99 Nov 2026 12:00:02 GMT", None),
        ("Sun, 22 Nov 99999 12:00:02 GMT", None),
        ("Sun, 22 Nov 2026 12:00:02 +9999999999", None),
    ],
)
def test_a_retry_after_is_a_number_or_a_moment(value, seconds):
    """
    A moment that is past is now, and what makes no sense is no hint.
    """
    assert seconds == parse_retry_after({"retry-after": value}, ErrorBody("Slow."), NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("300", 0.3), ("0", 0.0), ("-1", None), ("nan", None), ("1e999", None), ("x", None)],
)
def test_a_retry_after_may_be_in_milliseconds(value, seconds):
    """
    OpenAI's own header, which goes first where it makes sense.
    """
    assert seconds == parse_retry_after({"retry-after-ms": value}, ErrorBody("Slow."), NOW)
    expected = 7.0 if seconds is None else seconds
    assert expected == parse_retry_after(
        {"retry-after-ms": value, "retry-after": "7"}, ErrorBody("Slow."), NOW
    )


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("1.5s", 1.5),
        ("0s", 0.0),
        ("36s", 36.0),
        ("-1s", None),
        ("1e3s", None),
        ("", None),
        (3, None),
        (None, None),
    ],
)
def test_google_says_how_long_in_a_detail(delay, seconds):
    """
    ``RetryInfo`` is a duration of protobuf.
    """
    details = ({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},)

    assert seconds == parse_retry_after({}, ErrorBody("Slow.", details=details), NOW)
