"""What the one module that speaks HTTP does around the drivers."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest
from driver_cases import DRIVERS, send
from raw_server import STREAM_END, STREAM_HEAD, RawServer, answer, chunk, render_events

from tertulia import ConfigurationError, Message, ProviderConfig, Secret, Text
from tertulia.domain.usage import Usage
from tertulia.wire import ErrorBody, parse_retry_after

NOW = datetime(2026, 11, 22, tzinfo=UTC)


async def test_a_proxy_of_the_environment_is_used(connect, monkeypatch):
    """Behind a proxy the call goes through it, and a service on this machine is called directly."""
    driver = DRIVERS["openai"]
    async with RawServer([answer(driver.whole)]) as proxy, RawServer([answer(driver.whole)]) as service:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        for url in ("http://service.example", service.url):
            deltas = connect(driver, url).send_message(driver.ask(stream=False))
            assert "Olá 🌍" == [delta async for delta in deltas][-1].text

        assert ["http://service.example/responses"] == [request.target for request in proxy.requests]
        assert 1 == len(service.requests)


async def test_no_cookie_is_kept(connect, driver):
    """What a service sets to know its visitors by is not sent back."""
    async with RawServer([answer(driver.whole, set_cookie="visitor=1; Path=/")]) as server:
        provider = connect(driver, server.url.replace("127.0.0.1", "localhost"))
        for _ in range(2):
            await send(provider, driver.ask(stream=False))

    assert [False, False] == ["cookie" in request.headers for request in server.requests]


async def test_a_large_history_is_sent_whole(connect):
    """A body of more than a megabyte arrives as it was written, without a warning."""
    driver = DRIVERS["gemini"]
    text = "olá " * 400_000
    async with RawServer([STREAM_HEAD, chunk(render_events(driver.events)), STREAM_END]) as server:
        request = attrs.evolve(driver.ask(), messages=(Message.of("user", text),))
        async for _ in connect(driver, server.url).send_message(request):
            pass

    assert text == server.requests[0].body["contents"][0]["parts"][0]["text"]


@pytest.mark.parametrize("key", ["two\nlines", "nul\x00", "ke\u00fd", "a key"])
def test_a_key_that_no_header_can_hold_is_refused(key, driver):
    """A key copied with something else is refused when the provider is made, and not shown."""
    config = ProviderConfig("mine", "driver", api_key=Secret(key))

    with pytest.raises(
        ConfigurationError, match="the key holds a character that no HTTP header can"
    ) as caught:
        driver.cls(config)

    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6m0s"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "4ms",
            },
            1.0,
        ),
        ({"retry-after": "7", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1s"}, 7.0),
    ],
)
def test_an_empty_bucket_says_when_it_is_full(headers, seconds):
    """The reset of an exhausted bucket is a hint, after all the plainer ones."""
    assert seconds == parse_retry_after(headers, ErrorBody("slow down"), NOW)


def test_usage_adds_up_and_unknown_stays_unknown():
    """Classes are added each for itself, and an unknown one stays unknown."""
    assert Usage(3, 0, 0, 5, None) == Usage(1, 0, 0, 2, 3) + Usage(2, 0, 0, 3, None)
    assert (3, None) == (Usage(3, 0, 0, 5, None).prompt_tokens, Usage(3, 0, 0, 5, None).total_tokens)
    assert Text("a") == Message.of("user", "a").parts[0]
