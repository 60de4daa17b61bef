"""Plugins and drivers that do what they must not: an answer is kept where there is one, and nothing hangs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from process_cases import SOON, history, outcomes

import tertulia
from tertulia import (
    AttemptOutcome,
    Cost,
    ErrorKind,
    MessageStatus,
    Money,
    PluginError,
    PluginRejectedError,
    ProviderReply,
    ProviderTimeoutError,
    StreamInterruptedError,
    TertuliaError,
    TextDelta,
    Timeouts,
    hookimpl,
)
from tertulia.testing import ScriptedProvider

SHORT = Timeouts(total=0.1)
UNANSWERED = [("Hello", MessageStatus.FAILED)]


def open_with(*plugins: object, store: str = "memory:", **settings: Any) -> tertulia.Client:
    return tertulia.open(store=store, providers={}, plugins=plugins, environ={}, **settings)


class Foreign(ScriptedProvider):
    """Does what a test wants instead of answering."""

    def __init__(self, *deeds: Any) -> None:
        super().__init__("foreign")
        self.deeds = deeds

    async def send_message(self, request: tertulia.Request) -> AsyncIterator[tertulia.Delta]:
        for deed in self.deeds:
            if isinstance(deed, BaseException):
                raise deed
            if deed is HANG:
                await asyncio.Event().wait()
            elif deed is CLING:
                for _ in range(3):
                    with suppress(asyncio.CancelledError):
                        await asyncio.Event().wait()
            else:
                yield deed


HANG, CLING = object(), object()
WORD = TextDelta("Olá")
WRONG: dict[str, tuple[tuple[Any, ...], type[TertuliaError]]] = {
    "a text": (("Olá",), PluginError),
    "nothing at all": ((), PluginError),
    "None": ((None,), PluginError),
    "a delta of bytes": ((TextDelta(b"Ol\xc3\xa1"),), PluginError),  # type: ignore[arg-type]
    "an error of its own": ((ZeroDivisionError("oops"),), PluginError),
    "the end of an iteration": ((StopIteration(),), PluginError),
    "a time-out of its own": ((TimeoutError(),), PluginError),
    "an error of the memory": ((MemoryError(),), PluginError),
    "no end": ((WORD,), PluginError),
    "an error after a word": ((WORD, ZeroDivisionError("oops")), PluginError),
    "a wrong thing after a word": ((WORD, 5), PluginError),
}


@pytest.mark.parametrize(("deeds", "expected"), WRONG.values(), ids=WRONG)
async def test_whatever_a_driver_does_the_error_is_ours_and_names_it(database, deeds, expected):
    """The message is stored, the attempt is settled, shown words are kept, and others can answer."""
    other = ScriptedProvider("other").says("Here.")
    async with open_with(Foreign(*deeds), other, store=database) as client:
        trip = await client.start(provider="foreign")
        with pytest.raises(expected, match="'foreign'") as caught:
            await asyncio.wait_for(trip.stream("Hello").read(), SOON)

        shown = [("Olá", MessageStatus.INTERRUPTED)] if WORD in deeds else []
        said = [("Hello", MessageStatus.COMPLETE if shown else MessageStatus.FAILED)]
        assert said + shown == await history(trip)
        assert AttemptOutcome.PENDING not in await outcomes(trip)
        assert caught.value.kept
        await trip.switch("other")
        assert "Here." == (await trip.send("Hello")).text


@pytest.mark.parametrize("words", [(), (WORD,)], ids=["before a word", "after one"])
async def test_a_driver_that_hangs_is_cut_off_at_the_deadline(words):
    """The call ends, and what was shown is kept."""
    async with open_with(Foreign(*words, HANG)) as client:
        trip = await client.start(provider="foreign")
        began = asyncio.get_running_loop().time()
        with pytest.raises(StreamInterruptedError if words else ProviderTimeoutError) as caught:
            await asyncio.wait_for(trip.stream("Hello", timeouts=SHORT).read(), SOON)
        taken = asyncio.get_running_loop().time() - began

        assert ErrorKind.TIMEOUT is caught.value.kind
        assert 0.1 <= taken < 2.0
        assert len(words) == len(await history(trip)) - 1


async def test_a_driver_that_swallows_its_end_is_cut_off_too():
    """It is cancelled until it gives up; what it leaves is no answer."""
    async with open_with(Foreign(WORD, CLING)) as client:
        trip = await client.start(provider="foreign")
        with pytest.raises(PluginError, match="ended without a ProviderReply"):
            await asyncio.wait_for(trip.stream("Hello", timeouts=SHORT).read(), SOON)

        assert "Olá" == (await trip.history())[-1].text


class HangingContext:
    @hookimpl
    async def format_context(self):
        await asyncio.Event().wait()


class HangingWrapper:
    @hookimpl(wrapper=True)
    def send_message(self):
        iterator = yield

        async def wrapped():
            await asyncio.Event().wait()
            async for delta in iterator:
                yield delta

        return wrapped()


@pytest.mark.parametrize("plugin", [HangingContext(), HangingWrapper()], ids=lambda each: type(each).__name__)
async def test_a_plugin_that_hangs_is_cut_off_at_the_deadline(database, plugin):
    """Nothing is sent, the message is stored, and the attempt is settled."""
    provider = ScriptedProvider("one").says("Hi.")
    async with open_with(plugin, provider, store=database) as client:
        trip = await client.start(provider="one")
        with pytest.raises(ProviderTimeoutError):
            await asyncio.wait_for(trip.send("Hello", timeouts=SHORT), SOON)

        assert (UNANSWERED, [AttemptOutcome.FAILED]) == (await history(trip), await outcomes(trip))
        assert [] == provider.requests


class HangingClose(ScriptedProvider):
    async def send_message(self, request):
        try:
            async for delta in super().send_message(request):
                yield delta
        finally:
            await asyncio.Event().wait()


async def test_a_driver_that_hangs_while_it_closes_holds_nobody_up(caplog):
    """The answer was whole, so it is the answer."""
    async with open_with(HangingClose("one").says("Hi.")) as client:
        reply = await asyncio.wait_for(client.ask("Hello", provider="one", timeouts=SHORT), SOON)

    assert "Hi." == reply.text


COSTS: dict[str, Any] = {
    "no number": Cost(Money(Decimal("NaN"))),  # type: ignore[arg-type]
    "negative": Cost(Money(-1)),
    "a fraction": Cost(Money(0.1)),  # type: ignore[arg-type]
    "infinite": Cost(Money(float("inf"))),  # type: ignore[arg-type]
    "true": Cost(Money(True)),
    "more than there is": Cost(Money(2**63)),
    "a text": "5",
    "a float": 0.1,
    "money": Money(5),
    "no money": Cost(None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
async def test_what_is_no_amount_of_money_leaves_the_cost_unknown(cost):
    """The answer is kept, with a warning; no sum has anything of it in it."""

    class Expensive:
        @hookimpl
        def calculate_cost(self):
            return cost

    async with open_with(Expensive(), ScriptedProvider("one").says("Hi.")) as client:
        reply = await client.ask("Hello", provider="one")
        (record,) = await client.list()

    assert ("Hi.", None) == (reply.text, reply.cost)
    assert 1 == len(reply.warnings)
    assert reply.warnings[0].startswith("the cost is unknown: ")
    assert (Money(0), 1) == (record.cost.money, record.cost.unknown_count)


async def test_a_cost_that_a_driver_reports_is_held_against_the_same_rule(database):
    """A service that says that it owes us money is not believed."""
    billing = tertulia.Billing(reported=Money(-5))
    reply = ProviderReply((tertulia.Text("Hi."),), tertulia.FinishReason.STOP, "stop", billing=billing)
    provider = ScriptedProvider("one").replies(reply, "Hi.")
    async with open_with(provider, store=database) as client:
        answer = await client.ask("Hello", provider="one")

    assert answer.cost is None or answer.cost.money.pico >= 0


BROKEN = {
    "raises_at_import": "raise RuntimeError('broken')",
    "misses_a_package": "import a_package_that_nobody_has",
    "is_no_python": "def (",
    "exits": "import sys\nsys.exit(3)",
    "has_no_plugin": "Other = 5",
    "raises_when_made": "class Plugin:\n    def __init__(self):\n        raise RuntimeError('broken')\n",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_package_that_cannot_be_loaded_breaks_nothing_else(monkeypatch, tmp_path, name):
    """It is listed with the reason; everybody else works."""
    install(monkeypatch, tmp_path, name, BROKEN[name])
    async with open_with(ScriptedProvider("one").says("Hi.")) as client:
        reply = await client.ask("Hello", provider="one")
        (report,) = [each for each in client.plugins() if each.name == name]

    assert "Hi." == reply.text
    assert ("refused", True) == (report.status, bool(report.reason))


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, code: str) -> None:
    """Lay out a package as an installer would."""
    (folder / f"{name}.py").write_text(code)
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[tertulia.plugins]\n{name} = {name}:Plugin\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)


@attrs.frozen
class Uncallable:
    """What is no plugin at all."""


@pytest.mark.parametrize("plugin", [None, 5, "plugin", object(), Uncallable(), Uncallable])
async def test_what_is_no_plugin_is_refused(plugin):
    """Said at once, when the client is configured."""
    with pytest.raises(PluginRejectedError):
        open_with(plugin)
