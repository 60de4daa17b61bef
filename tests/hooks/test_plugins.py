"""The one rule of the hooks, and what is refused at registration."""

from __future__ import annotations

import logging
from datetime import datetime

import attrs
import pytest

import tertulia
from tertulia import (
    DEFER,
    Cost,
    Money,
    OverloadedError,
    PluginError,
    PluginRejectedError,
    TextDelta,
    hookimpl,
)
from tertulia.testing import ScriptedProvider

ONCE = tertulia.Routing(max_retries=0)


@pytest.fixture
def one() -> ScriptedProvider:
    return ScriptedProvider("one")


@pytest.fixture
def two() -> ScriptedProvider:
    return ScriptedProvider("two")


@pytest.fixture
async def client(one, two):
    async with tertulia.open(store="memory:", providers={}, plugins=[one, two], environ={}) as client:
        yield client


class TestTheRule:
    async def test_only_the_addressed_provider_is_asked(self, client, one, two):
        """Nobody sees a message that is not theirs."""
        two.says("Hi.")

        await client.ask("Hello", provider="two")

        assert ([], 1) == (one.requests, len(two.requests))

    async def test_an_override_answers_first(self, client, one):
        """An override is asked before the provider, and one that answers None passes."""

        class House:
            @hookimpl
            def calculate_cost(self, model, usage):
                return Cost(Money(usage.input_tokens)) if usage.output_tokens == 1 else None

        client.register(House())
        one.says("a", usage=tertulia.Usage(3, 0, 0, 1, 0)).says("b", usage=tertulia.Usage(3, 0, 0, 2, 0))

        first = await client.ask("Hello", provider="one")
        second = await client.ask("Hello", provider="one")

        assert (Money(3), Money(7_000_000)) == (first.cost.money, second.cost.money)

    async def test_nobody_knows_the_price(self, client, one):
        """An unknown cost is None, never zero."""
        one.says("Hi.")
        reply = await client.ask("Hello", provider="one")
        conversation = await client.start(provider="one", model="new-model")
        one.replies(attrs.evolve(_reply("Hi."), model="new-model"), "Hi.")

        unknown = await conversation.send("Hello")

        assert (Money(20_000_000), None) == (reply.cost.money, unknown.cost)
        assert "at least $0" == str(await conversation.cost())

    async def test_a_wrapper_stands_around_whoever_answers(self, client, one):
        """A wrapper of send_message sees the request and every delta, and may change them."""
        seen = []

        class Loud:
            @hookimpl(wrapper=True)
            def send_message(self, request):
                seen.append(request.messages[-1].text)
                answer = yield
                return self.shout(answer)

            async def shout(self, answer):
                async for delta in answer:
                    yield TextDelta(delta.text.upper()) if isinstance(delta, TextDelta) else delta

        client.register(Loud())
        one.says("hi", " there")
        conversation = await client.start(provider="one")

        async with conversation.stream("Hello") as stream:
            words = [event.text async for event in stream if isinstance(event, TextDelta)]

        assert (["HI", " THERE"], ["Hello"]) == (words, seen)

    async def test_a_careless_wrapper_does_not_leave_the_provider_open(self, client):
        """The core closes the provider's own iterator, also when a wrapper around it does not."""
        closed = []

        class Endless(ScriptedProvider):
            async def send_message(self, request):
                try:
                    while True:
                        yield TextDelta("more ")
                finally:
                    closed.append(self.name)

        class Careless:
            @hookimpl(wrapper=True)
            def send_message(self):
                answer = yield
                return self.forward(answer)

            async def forward(self, answer):
                async for delta in answer:
                    yield delta

        client.register(Careless())
        client.register(Endless("endless"))
        conversation = await client.start(provider="endless")
        async with conversation.stream("Hello") as stream:
            await anext(stream)

        assert ["endless"] == closed

    async def test_targets_can_be_reordered(self, client, one, two):
        """order_targets decides who is asked, first and after each failure; it adds nobody."""
        calls = []

        class Cheapest:
            @hookimpl
            def order_targets(self, targets, failed):
                calls.append(([t.provider for t in targets], [(t.provider, kind) for t, kind in failed]))
                return [*reversed(targets), *targets, tertulia.Target("nobody", "x")]

        client.register(Cheapest())
        two.refuses(OverloadedError, status=503)
        one.says("Hi.")
        conversation = await client.start(provider="one")

        reply = await conversation.send("Hello", fallback=["two"], routing=ONCE)

        assert ["two", "one"] == [attempt.provider for attempt in reply.attempts]
        assert [(["one", "two"], []), (["one"], [("two", "overloaded")])] == calls


def _reply(text):
    return tertulia.ProviderReply(
        (tertulia.Text(text),), tertulia.FinishReason.STOP, usage=tertulia.Usage(1, 0, 0, 1, 0)
    )


class TestFormatContext:
    async def test_an_override_chooses_what_is_sent(self, client, one):
        """A plain list is enough, and its report is made by the core."""

        class LastTwo:
            @hookimpl
            async def format_context(self, view, request):
                *system, newest = request.messages
                return [*system, *(await view.history(limit=2)), newest]

        client.register(LastTwo())
        one.says("a").says("b").says("c")
        conversation = await client.start(provider="one", system="Be brief.")
        for text in ("1", "2", "3"):
            reply = await conversation.send(text)

        assert ["Be brief.", "2", "b", "3"] == one.texts
        assert 4 == reply.context.kept_count

    @pytest.mark.parametrize("answer", [None, DEFER])
    async def test_an_override_may_pass(self, client, one, answer):
        """An async override that returns DEFER, or None, lets the next one answer."""
        asked = []

        class Shy:
            @hookimpl
            async def format_context(self, window):
                asked.append(window.max_tokens)
                return answer

        client.register(Shy())
        one.says("Hi.")

        await client.ask("Hello", provider="one")

        assert (["Hello"], [86313]) == (one.texts, asked)

    @pytest.mark.parametrize("loses", ["system", "newest", "everything"])
    async def test_no_override_loses_what_must_be_sent(self, client, one, loses):
        """A choice without the system message or the newest one is refused, and nothing is sent."""

        class Lossy:
            @hookimpl
            def format_context(self, request):
                system, newest = request.messages
                return {"system": [newest], "newest": [system], "everything": []}[loses]

        client.register(Lossy())
        conversation = await client.start(provider="one", system="Be brief.")

        with pytest.raises(PluginError, match="lost or changed a system message or the newest one"):
            await conversation.send("Hello")

        assert [] == one.requests

    async def test_no_override_goes_over_the_budget(self, one):
        """A choice over the budget is a typed error, and nothing is sent."""

        class Greedy:
            @hookimpl
            async def format_context(self, view, request):
                return [*(await view.history()), *request.messages]

        plugins = [one.says("a " * 50), Greedy()]
        async with tertulia.open(
            store="memory:", providers={}, plugins=plugins, environ={}, max_context_tokens=30
        ) as client:
            conversation = await client.start(provider="one")
            await conversation.send("Hello")
            with pytest.raises(tertulia.ContextOverflowError) as caught:
                await conversation.send("Hello")

        assert {"system": 0, "newest message": 5, "history": 59} == caught.value.parts

    async def test_a_strategys_own_count_is_not_evidence(self, one):
        """A choice that claims to be small is counted again."""

        class Liar:
            @hookimpl
            async def format_context(self, view, request):
                messages = (*(await view.history()), *request.messages)
                return tertulia.Context(messages, tertulia.ContextReport(0, 0))

        plugins = [one.says("a " * 50), Liar()]
        async with tertulia.open(
            store="memory:", providers={}, plugins=plugins, environ={}, max_context_tokens=30
        ) as client:
            conversation = await client.start(provider="one")
            await conversation.send("Hello")
            with pytest.raises(tertulia.ContextOverflowError):
                await conversation.send("Hello")

    async def test_an_override_that_raises_is_named(self, client, one):
        """A plugin's exception is ours on the way out, with its cause."""

        class Broken:
            @hookimpl
            async def format_context(self):
                raise KeyError("oops")

        client.register(Broken())
        with pytest.raises(
            PluginError, match="a plugin failed in format_context: KeyError: 'oops'"
        ) as caught:
            await client.ask("Hello", provider="one")

        assert "your message is stored" == caught.value.kept


class TestObservers:
    async def test_each_event_is_told_once(self, client, one, two):
        """A send with a fallback, streamed, tells of each attempt, the fallback and the answer, once."""
        notices = []

        class Log:
            @hookimpl
            def observe(self, notice):
                notices.append(type(notice).__name__)

        client.register(Log())
        one.refuses(OverloadedError, status=503)
        two.says("Hi", " there")
        conversation = await client.start(provider="one")

        async with conversation.stream("Hello", fallback=["two"], routing=ONCE) as stream:
            async for _ in stream:
                pass
        await conversation.switch("two")

        assert [
            "AttemptStarted",
            "AttemptEnded",
            "FellBack",
            "AttemptStarted",
            "AttemptEnded",
            "Answered",
            "Switched",
        ] == notices

    async def test_a_failure_is_told_once(self, client, one):
        """A send that fails tells of its attempt and of its end."""
        notices = []

        class Log:
            @hookimpl
            def observe(self, notice):
                notices.append(type(notice).__name__)

        client.register(Log())
        one.refuses(OverloadedError, status=503)
        with pytest.raises(OverloadedError):
            await client.ask("Hello", provider="one", routing=ONCE)

        assert ["AttemptStarted", "AttemptEnded", "SendFailed"] == notices

    async def test_a_failing_observer_harms_nobody(self, client, one, caplog):
        """It is logged by name, and the next observer and the caller do not notice."""
        told = []

        class Broken:
            @hookimpl
            def observe(self):
                raise ValueError("oops")

        class Fine:
            @hookimpl
            def observe(self, notice):
                told.append(notice)

        client.register(Fine())
        client.register(Broken(), "broken")
        one.says("Hi.")

        with caplog.at_level(logging.ERROR, "tertulia"):
            reply = await client.ask("Hello", provider="one")

        assert ("Hi.", 3) == (reply.text, len(told))
        assert {
            "observer 'broken' failed at AttemptStarted",
            "observer 'broken' failed at AttemptEnded",
            "observer 'broken' failed at Answered",
        } == {record.message for record in caplog.records}


class Fine:
    @hookimpl
    def observe(self, notice):
        pass


class Misspelt:
    @hookimpl
    def send_mesage(self, request):
        pass


class WrongArguments:
    @hookimpl
    def observe(self, event):
        pass


class Asynchronous:
    @hookimpl
    async def calculate_cost(self):
        pass


class AsynchronousSend:
    @hookimpl
    async def send_message(self, request):
        return None


class AsynchronousWrapper:
    @hookimpl(wrapper=True)
    async def send_message(self):
        yield


@attrs.define
class Unhashable:
    @hookimpl
    def observe(self):
        pass


class FromTheFuture(Fine):
    TERTULIA_API = 2


class WithoutHooks:
    pass


class AsynchronousPrice(ScriptedProvider):
    async def calculate_cost(self, model, usage, billing, at: datetime):  # type: ignore[override]
        return None


class ObserveWrapper:
    @hookimpl(wrapper=True)
    def observe(self):
        yield


class TestWrongAnswers:
    @pytest.mark.parametrize("hook", ["order_targets", "format_context", "calculate_cost"])
    async def test_an_answer_of_another_kind_is_named(self, client, one, hook):
        """What a hook does not allow is a plugin error that names the hook, or leaves the cost unknown."""

        def answer(self):
            return 5

        plugin = type("Wrong", (), {hook: hookimpl(answer)})()
        client.register(plugin)
        one.says("Hi.")
        conversation = await client.start(provider="one")

        if hook == "calculate_cost":
            reply = await conversation.send("Hello", fallback=["two"])
            assert ("the cost is unknown: calculate_cost answered int, not a Cost or None",) == reply.warnings
        else:
            with pytest.raises(PluginError, match=f"{hook} answered int, not"):
                await conversation.send("Hello", fallback=["two"])

    async def test_a_list_of_models_that_raises_is_named(self, client):
        """A driver's foreign exception is ours on the way out."""

        class Broken(ScriptedProvider):
            async def list_models(self):
                raise KeyError("oops")

        client.register(Broken("broken"))

        with pytest.raises(PluginError, match="a plugin failed in list_models: KeyError"):
            await client.list_models("broken")


class TestRefusals:
    @pytest.mark.parametrize(
        ("plugin", "message"),
        [
            (Misspelt(), "there is no hook 'send_mesage'; did you mean 'send_message'?"),
            (WrongArguments(), r"use the arguments of the hook's specification"),
            (Asynchronous(), "'calculate_cost' may not be `async def`; write `def`"),
            (AsynchronousSend(), "'send_message' may not be `async def`; make it an async generator"),
            (AsynchronousWrapper(), "its wrapper of 'send_message' is an async generator; write `def`"),
            (Unhashable(), r"it is not hashable; write @attrs.define\(eq=False\)"),
            (FromTheFuture(), "it is written for plugin API 2, and this is API 1"),
            (WithoutHooks(), "it has no hook; mark a method with @tertulia.hookimpl"),
            (AsynchronousPrice("price"), "'calculate_cost' may not be `async def`"),
            (ObserveWrapper(), "'observe' has no wrappers; write a plain observer"),
            (Fine, "Fine is a class; register an instance of it"),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    async def test_a_plugin_that_cannot_work_is_refused(self, client, one, plugin, message):
        """It is refused at registration with what to do about it, and nothing of it stays."""
        with pytest.raises(PluginRejectedError, match=message):
            client.register(plugin)

        one.says("Hi.")
        assert "Hi." == (await client.ask("Hello", provider="one")).text

    async def test_a_name_is_given_once(self, client):
        """A second provider, or plugin, of the same name is refused."""
        client.register(Fine(), "fine")

        for plugin, name in ((Fine(), "fine"), (ScriptedProvider("one"), None), (Fine(), "two")):
            with pytest.raises(PluginRejectedError, match="the name is taken"):
                client.register(plugin, name)

    async def test_a_registered_provider_is_a_provider_like_any_other(self, client):
        """One registry: it can be asked, switched to, fallen back to, and its models listed."""
        client.register(ScriptedProvider("three").says("a").says("b"))

        assert "a" == (await client.ask("Hello", provider="three")).text
        conversation = await client.start(provider="one")
        await conversation.switch("three")
        assert "b" == (await conversation.send("Hello")).text
        assert ["one", "two", "three"] == client.providers
        assert ["scripted-1"] == [model.id for model in await client.list_models("three")]
