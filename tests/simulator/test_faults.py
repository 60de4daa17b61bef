"""Every fault in every dialect, to the drivers that meet it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import pytest

from tertulia import (
    HTTPProvider,
    Message,
    ProviderConfig,
    ProviderError,
    ProviderReply,
    Request,
    Secret,
    Target,
    TextDelta,
    Timeouts,
)
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_simulator import Simulator
from tertulia_xai import XAIProvider

from .fault_table import BUSY, CASES, COUNTED, HINTS, Case, Outcome

SHORT = Timeouts(connect=0.3, first_content=0.3, idle=0.3, total=0.8)
LONG = Timeouts(connect=10, first_content=20, idle=20, total=40)
GRACE = 0.5
"""The seconds after which a hang must have ended, beyond its deadline."""

HEAVY = {"gzip_bomb", "endless_body", "single_bytes", "huge_event"}
"""The faults that cost much, and are the same to all who speak a format."""


class Driver(NamedTuple):
    """A driver, and the service and the format it speaks to."""

    cls: type[HTTPProvider]
    service: str
    path: str
    model: str
    settings: dict[str, str]


OPENAI, XAI = ("openai", "/openai/v1", "gpt-6.1-terra"), ("xai", "/xai/v1", "grok-4.3")
DRIVERS = {
    "openai": Driver(OpenAIProvider, *OPENAI, {"api": "responses"}),
    "openai-chat": Driver(OpenAIProvider, *OPENAI, {"api": "chat", "vendor": "openai"}),
    "gemini": Driver(GeminiProvider, "gemini", "/gemini", "gemini-3.5-flash", {}),
    "xai": Driver(XAIProvider, *XAI, {"api": "responses"}),
    "xai-chat": Driver(XAIProvider, *XAI, {"api": "chat"}),
    "local": Driver(OpenAIProvider, "local", "/local/v1", "llama-sim", {}),
}


@asynccontextmanager
async def connect(simulator: Simulator, name: str) -> AsyncIterator[HTTPProvider]:
    """A provider that is closed in the end."""
    driver = DRIVERS[name]
    url, key = simulator.url + driver.path, Secret("sim-key")
    provider = driver.cls(
        ProviderConfig("mine", "driver", api_key=key, base_url=url, settings=driver.settings)
    )
    try:
        yield provider
    finally:
        await provider.aclose()


async def ask(simulator: Simulator, name: str, *, is_stream: bool, timeouts: Timeouts = LONG) -> Outcome:
    """What comes of a request to count to five, of a provider of its own."""
    async with connect(simulator, name) as provider:
        return await put(provider, name, is_stream=is_stream, timeouts=timeouts)


async def put(provider: HTTPProvider, name: str, *, is_stream: bool, timeouts: Timeouts = LONG) -> Outcome:
    """What comes of a request to count to five."""
    messages = (Message.of("user", "Count to 5."),)
    request = Request(Target("mine", DRIVERS[name].model), messages, stream=is_stream, timeouts=timeouts)
    text, finish = "", None
    try:
        async for delta in provider.send_message(request):
            if isinstance(delta, TextDelta):
                text += delta.text
            if isinstance(delta, ProviderReply):
                finish = str(delta.finish_reason)
    except ProviderError as error:
        timer = getattr(error, "timer", None)
        facts = (str(error.kind), error.retryable, error.status, error.retry_after, timer)
        return Outcome(text, None, type(error).__name__, *facts)
    return Outcome(text, finish)


async def play(kind: str, case: Case, name: str, *, is_stream: bool) -> Any:
    """Let a driver meet a fault; what came of it, how many were asked, and whether it ended in time."""
    loop = asyncio.get_running_loop()
    timeouts = SHORT if case.is_timed else LONG
    async with Simulator() as simulator:
        simulator.fail(DRIVERS[name].service, kind, **case.order)
        begun = loop.time()
        outcome = await ask(simulator, name, is_stream=is_stream, timeouts=timeouts)
        return outcome, len(simulator.requests), loop.time() - begun < timeouts.total + GRACE


def ways_to_meet(kind: str) -> list[tuple[str, bool]]:
    """The dialects that can have a fault, and whether it is a stream that has it."""
    about = Simulator.faults[kind]
    streams = {"both": (False, True), "whole": (False,), "stream": (True,)}[about.scope]
    names = ["openai", "openai-chat", "gemini"] if kind in HEAVY else list(DRIVERS)
    able = [name for name in names if not about.services or DRIVERS[name].service in about.services]
    return [(name, is_stream) for name in able for is_stream in streams]


def compare_text(outcome: Outcome) -> Outcome:
    """The word that is said for ever was said some times, and a long text is told by its length."""
    text = "1," if set(outcome.text) == {"1", ","} else outcome.text
    return replace(outcome, text=text if len(text) < 100 else f"{len(text)} characters")


@pytest.mark.parametrize("kind", Simulator.faults)
async def test_a_fault_is_what_the_table_says_in_every_dialect(kind):
    """
    The class, the kind and the status of the error, what came before it, and all of it in time.
    """
    case = CASES[kind]
    ways = ways_to_meet(kind)
    met = await asyncio.gather(*(play(kind, case, name, is_stream=is_stream) for name, is_stream in ways))

    assert {
        (name, is_stream): (asdict(compare_text(case.expect(name, is_stream=is_stream))), case.requests, True)
        for name, is_stream in ways
    } == {
        way: (asdict(compare_text(outcome)), requests, is_in_time)
        for way, (outcome, requests, is_in_time) in zip(ways, met, strict=True)
    }


def test_the_table_is_the_catalogue():
    """
    No fault without an expectation, and none that cannot be ordered.
    """
    assert Simulator.faults.keys() == CASES.keys()


@pytest.mark.parametrize("name", ["openai-chat", "gemini"])
async def test_a_provider_is_well_after_every_fault(name):
    """
    A fault takes one request; the next one of the same provider, on whatever connection, is answered.
    """
    service = DRIVERS[name].service
    async with Simulator() as simulator, connect(simulator, name) as provider:
        for kind, case in CASES.items():
            about = Simulator.faults[kind]
            is_slow = case.is_timed or kind in HEAVY or kind in ("slow", "refused")
            if is_slow or (about.services and service not in about.services):
                continue
            simulator.fail(service, kind)
            await put(provider, name, is_stream=about.scope != "whole")
            assert Outcome(COUNTED, "stop") == await put(provider, name, is_stream=True), kind


@pytest.mark.parametrize("hint", HINTS)
async def test_a_rate_limit_says_in_many_ways_when_to_try_again(hint):
    """
    In headers, in words and in Google's details; what is no time at all is none.
    """
    names = ["gemini"] if hint == "details" else list(DRIVERS)
    async with Simulator() as simulator:
        for name in names:
            simulator.fail(DRIVERS[name].service, "rate_limit", hint=hint, retry_after=2)
        met = {name: await ask(simulator, name, is_stream=True) for name in dict.fromkeys(names)}

    assert {name: replace(BUSY, retry_after=HINTS[hint]) for name in met} == met


async def test_a_date_is_a_moment_to_come():
    """
    Whole seconds from now, rounded up.
    """
    async with Simulator() as simulator:
        simulator.fail("openai", "rate_limit", hint="date", retry_after=30)
        met = await ask(simulator, "openai", is_stream=False)

    assert met.retry_after is not None
    assert 25 < met.retry_after <= 31


@pytest.mark.parametrize("name", DRIVERS)
async def test_a_reset_is_no_end(name):
    """
    Half of a whole answer, and a stream after two of its pieces.
    """
    broken = Outcome("", None, "ConnectionFailedError", "connection", retryable=True)
    async with Simulator() as simulator:
        simulator.fail(DRIVERS[name].service, "cut_stream", reset=True, after=2, times=2)
        met = [await ask(simulator, name, is_stream=is_stream) for is_stream in (False, True)]

    assert [broken, replace(broken, text="1, 2,")] == met


@pytest.mark.parametrize("kind", ["cut_stream", "broken_off", "error_event", "broken_event"])
async def test_what_breaks_before_the_first_word_shows_none(kind):
    """
    With nothing before it, nothing is yielded.
    """
    async with Simulator() as simulator:
        for name, driver in DRIVERS.items():
            simulator.fail(driver.service, kind, after=0)
            met = await ask(simulator, name, is_stream=True)

            assert ("", True) == (met.text, met.retryable), name
