"""Tools, models and schemas at their worst: nothing hangs, nothing leaks, and what is said is true."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import gc
import http.server
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

import attrs
import pydantic
import pytest

import tertulia
import tertulia.sync
from tertulia import (
    Completed,
    ContextOverflowError,
    ConversationBusyError,
    FinishReason,
    InvalidOutputError,
    MessageStatus,
    ProviderReply,
    Role,
    ServerError,
    StoreError,
    StreamInterruptedError,
    Text,
    Tool,
    ToolCall,
    ToolEnded,
    ToolError,
    ToolLoopError,
)

if TYPE_CHECKING:
    from nowhere import Weather

LOOK = Tool("look", "Look.")


@pytest.fixture
def settings(one, two):
    return {"store": "memory:", "providers": {}, "plugins": [one, two], "environ": {}}


@pytest.fixture
def open_one(settings):
    return lambda: tertulia.open(**settings)


@pytest.fixture
def open_both(open_client, settings):
    return lambda: open_client(**settings)


def results(message):
    return [(part.call_id, part.output, part.is_error) for part in message.parts]


async def run_once(open_one, one, function, arguments=None, name=None):
    """Let a model call a function once; the result of the call."""
    tool = tertulia.function_tool(function, name=name)
    one.calls((tool.tool.name, arguments or {})).says("Done.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        async with asyncio.timeout(10):
            events = [event async for event in talk.stream("Go.", tools=[tool])]
    (ended,) = (event for event in events if isinstance(event, ToolEnded))
    assert "Done." == events[-1].reply.text
    return ended


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


async def cancels_itself() -> str:
    asyncio.current_task().cancel()
    await asyncio.sleep(0)
    return "never"


async def waits_for_what_is_cancelled() -> str:
    cancelled = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    return await cancelled


def is_unspeakable() -> str:
    raise UnspeakableError


def stops() -> str:
    return next(iter(()))


def is_closed() -> str:
    raise GeneratorExit


def is_a_group() -> str:
    raise ExceptionGroup("both", [ValueError("one"), KeyError("two")])


def is_a_knot() -> list[object]:
    knot: list[object] = []
    knot.append(knot)
    return knot


def is_anything() -> object:
    return object()


@pytest.mark.parametrize(
    ("function", "output"),
    [
        (cancels_itself, "the call was cancelled"),
        (waits_for_what_is_cancelled, "the call was cancelled"),
        (is_unspeakable, "UnspeakableError"),
        (stops, "RuntimeError: coroutine raised StopIteration"),
        (is_closed, "the call was cancelled"),
        (is_a_group, "ExceptionGroup: both (2 sub-exceptions)"),
        (is_a_knot, "RecursionError: maximum recursion depth exceeded while serializing an object"),
        (is_anything, "TypeError: Encoding objects of type object is unsupported"),
    ],
)
async def test_a_function_may_fail_in_any_way(open_both, one, function, output):
    """However a call ends, it ends, and the model is told."""
    ended = await run_once(open_both, one, function, name="call")

    assert (output, True) == (ended.result.output, ended.result.is_error)
    assert isinstance(ended.error, Exception)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, pytest.fail.Exception])
@pytest.mark.parametrize("is_async", [True, False])
async def test_what_ends_a_program_ends_it(open_both, one, kind, is_async):
    """SystemExit in a function is raised where the answer is read; the conversation can be gone on with."""

    def leave() -> None:
        raise kind("bye")

    async def leave_later() -> None:
        leave()

    one.calls(("leave", {})).says("Still here.")
    function = tertulia.function_tool(leave_later if is_async else leave, name="leave")
    async with open_both() as client:
        talk = await client.start(provider="one")
        with pytest.raises(kind, match="bye"):
            async with asyncio.timeout(10):
                await talk.send("Go.", tools=[function])
        reply = await talk.send("And now?")

    assert ("Still here.", 1) == (reply.text, len(reply.warnings))


def tell(city: str, key: str = "none") -> str:
    """Tell the key."""
    return f"{city}: {key}"


class Teller:
    """Tells."""

    def __init__(self, func: str = "not a function") -> None:
        self.func = func

    async def __call__(self, city: str) -> str:
        return f"{city}: called"

    def tell(self, city: str) -> str:
        return f"{city}: {self.func}"

    @classmethod
    async def tell_all(cls, city: str) -> str:
        return f"{city}: {cls.__name__}"

    @staticmethod
    def tell_none(city: str) -> str:
        return f"{city}: none"


async def tell_later(city: str) -> str:
    return f"{city}: later"


def traced(function):
    @functools.wraps(function)
    def call(*arguments, **named):
        return function(*arguments, **named)

    return call


@pytest.mark.parametrize(
    ("function", "output"),
    [
        (tell, "Faro: none"),
        (functools.partial(tell, key="k"), "Faro: k"),
        (functools.partial(functools.partial(Teller.tell, Teller())), "Faro: not a function"),
        (Teller(), "Faro: called"),
        (functools.partial(Teller()), "Faro: called"),
        (Teller().tell, "Faro: not a function"),
        (Teller.tell_all, "Faro: Teller"),
        (Teller.tell_none, "Faro: none"),
        (traced(tell_later), "Faro: later"),
        (functools.lru_cache(tell), "Faro: none"),
        (lambda city: tell_later(city.upper()), "FARO: later"),
    ],
)
async def test_whatever_can_be_called_is_a_tool(open_one, one, function, output):
    """Methods, partials, objects that can be called and decorated functions are described and called."""
    ended = await run_once(open_one, one, function, {"city": "Faro"}, name="tell")

    assert (output, None) == (ended.result.output, ended.error)


async def test_what_a_partial_holds_is_told_to_nobody():
    """A bound argument is neither in the schema nor in the repr, and a model cannot replace it."""
    tool = tertulia.function_tool(functools.partial(tell, key="sk-secret"))

    assert Tool("tell", "Tell the key.", tool.tool.parameters) == tool.tool
    assert {"city": {"type": "string"}} == tool.tool.parameters["properties"]
    assert "sk-secret" not in repr(tool)
    assert "Teller object" not in repr(tertulia.function_tool(Teller().tell))
    assert "Faro: sk-secret" == await tool.call({"city": "Faro"})
    with pytest.raises(Exception, match="unknown field `key`"):
        await tool.call({"city": "Faro", "key": "other"})


def generate() -> Iterator[int]:
    yield 1


async def generate_later() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [generate, generate_later, functools.partial(generate)])
async def test_a_generator_is_no_tool(function):
    """It returns nothing that could be sent, and nobody would close it."""
    with pytest.raises(ToolError, match=r"'generate.*' is a generator"):
        tertulia.function_tool(function)


async def test_only_the_hints_of_the_arguments_count():
    """What is returned may have a hint that is not there at run time; any name may be an argument's."""

    def look(__city: str, _days: int = 2, limit: float = float("inf")) -> Weather: ...  # noqa: PYI063

    schema = tertulia.function_tool(look).tool.parameters

    assert {
        "__city": {"type": "string"},
        "_days": {"type": "integer", "default": 2},
        "limit": {"type": "number"},
    } == schema["properties"]


class Guest(pydantic.BaseModel):
    name: str = pydantic.Field(alias="n")
    friends: list[Guest] = []


async def test_pydantic_models_may_be_in_anything():
    """As an argument, and in a list, a pydantic model is described and made."""

    def greet(guests: list[Guest]) -> str:
        return " ".join(guest.name for guest in guests)

    tool = tertulia.function_tool(greet)

    assert "Guest" in tool.tool.parameters["$defs"]
    assert "A B" == await tool.call({"guests": [{"n": "A"}, {"n": "B", "friends": [{"n": "C"}]}]})
    with pytest.raises(Exception, match="Field required"):
        await tool.call({"guests": [{}]})


@pytest.mark.parametrize(
    ("tool", "problem"),
    [
        (Tool("look", "", {"type": "array"}), "its parameters describe no object"),
        (Tool("look", "", {"type": "object", "properties": {"a": {"enum": {1}}}}), "are no JSON"),
        (lambda: tertulia.function_tool(tell, parameters={}), "describe no object"),
    ],
)
async def test_parameters_are_an_object_in_json(open_one, one, tool, problem):
    """What no provider takes is refused before anything is stored."""
    tool = tool if isinstance(tool, Tool) else tool()
    async with open_one() as client:
        talk = await client.start(provider="one")
        with pytest.raises(ToolError, match=problem):
            await talk.send("Hi.", tools=[tool])

        assert ([], []) == (await talk.history(), one.requests)


async def test_dozens_of_calls_run_at_the_same_time(open_both, one):
    """There are as many threads as calls: none waits for another one to return."""
    met = threading.Barrier(40, timeout=10)

    def meet(n: int) -> int:
        met.wait()
        return n

    one.calls(*(("meet", {"n": n}) for n in range(40))).says("Done.")
    async with open_both() as client:
        talk = await client.start(provider="one")
        await talk.send("Go.", tools=[meet])
        history = await talk.history()

    assert [(f"call_{n + 1}", str(n), False) for n in range(40)] == results(history[2])


def test_a_program_ends_although_a_function_never_does(tmp_path):
    """A plain function that was given up and blocks for ever does not keep the interpreter alive."""
    import subprocess

    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio, threading, tertulia\n"
        "from tertulia.testing import ScriptedProvider\n"
        "def block() -> str:\n"
        "    threading.Event().wait()\n"
        "async def main():\n"
        "    one = ScriptedProvider('one').calls(('block', {})).says('Gave up.')\n"
        "    tool = tertulia.function_tool(block, timeout_seconds=0.01)\n"
        "    async with tertulia.open(store='memory:', providers={}, plugins=[one], environ={}) as client:\n"
        "        print((await client.ask('Go.', provider='one', tools=[tool])).text)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=20, check=True)

    assert "Gave up.\n" == done.stdout


async def test_a_function_that_sends_on_its_own_branch_does_not_wait_for_itself(open_one, one):
    """It is told at once that it cannot; on a fork it can."""
    one.calls(("think", {})).says("Done.").says("Elsewhere.")

    async with open_one() as client:
        talk = await client.start(provider="one")

        async def think() -> str:
            return (await talk.send("Hm?")).text

        async with asyncio.timeout(10):
            events = [event async for event in talk.stream("Go.", tools=[think])]

    (ended,) = (event for event in events if isinstance(event, ToolEnded))
    assert isinstance(ended.error, ConversationBusyError)
    assert "the answer under way on this branch waits for the function that sends here" in ended.result.output
    assert "Done." == events[-1].reply.text


def test_a_blocking_function_that_sends_on_its_own_branch_does_not_wait_for_itself(one, settings):
    """The same in the blocking API, where the function runs in another thread; a fork is free."""
    one.calls(("think", {}), ("think", {"forks": True})).says("Beside.").says("Done.")
    with tertulia.sync.open(**settings) as client:
        talk = client.start(provider="one")

        def think(forks: bool = False) -> str:
            return (talk.fork() if forks else talk).send("Hm?").text

        reply = talk.send("Go.", tools=[think])
        history = talk.history()

    assert "Done." == reply.text
    (busy, beside) = results(history[2])
    assert "waits for the function that sends here" in busy[1]
    assert ("call_2", "Beside.", False) == beside


async def test_what_a_function_leaves_behind_may_send_later(open_one, one):
    """Once the calls are over, what they started waits its turn like anybody else."""
    one.calls(("later", {})).says("Done.").says("Later.")
    begin, tasks = asyncio.Event(), []
    async with open_one() as client:
        talk = await client.start(provider="one")

        async def send() -> str:
            await begin.wait()
            return (await talk.send("And then?")).text

        async def later() -> str:
            tasks.append(asyncio.get_running_loop().create_task(send()))
            return "begun"

        async for event in talk.stream("Go.", tools=[later]):
            if isinstance(event, Completed):
                begin.set()
        async with asyncio.timeout(10):
            assert ["Later."] == await asyncio.gather(*tasks)


def pair(*outputs):
    return [("c", output, False) for output in outputs]


async def test_calls_with_the_same_id_keep_their_own_results(open_one, one):
    """Some servers name two calls of one answer alike: each result stays with its call."""
    calls = (ToolCall("c", "tell", {"city": "A"}), ToolCall("c", "tell", {"city": "B"}))
    one.replies(ProviderReply(calls, FinishReason.TOOL_CALLS)).says("Done.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Go.", tools=[tell])
        history = await talk.history()

    assert pair("A: none", "B: none") == results(history[2]) == results(one.requests[1].messages[2])


async def test_results_for_calls_with_the_same_id_are_given_in_their_order(open_one, one):
    """One result for each call, as reply.tool_calls has them; one too few or too many is refused."""
    calls = (ToolCall("c", "look", {"n": 1}), ToolCall("c", "look", {"n": 2}))
    one.replies(ProviderReply(calls, FinishReason.TOOL_CALLS)).says("Done.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        reply = await talk.send("Go.", tools=[LOOK])
        given = [call.result(str(call.arguments["n"])) for call in reply.tool_calls]
        with pytest.raises(ToolError, match="call 'c' has no result"):
            await talk.submit_results(given[:1])
        with pytest.raises(ToolError, match="a call has two results"):
            await talk.submit_results([*given, given[0]])
        await talk.submit_results(given)

    assert pair("1", "2") == results(one.requests[1].messages[2])


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda call: call.result("sun"), "results is a list, and this is a ToolResult"),
        (lambda call: ["sun"], "a str is no result of a call"),
        (lambda call: [call.result({"sun": True})], "the result of call 'call_1' is a dict, and not text"),
    ],
)
async def test_what_is_no_result_is_refused(open_one, one, make, problem):
    """What could not be stored and read again is not stored."""
    one.calls(("look", {}))
    async with open_one() as client:
        talk = await client.start(provider="one")
        reply = await talk.send("Go.", tools=[LOOK])
        with pytest.raises(ToolError, match=problem):
            await talk.submit_results(make(reply.tool_calls[0]))

        assert 2 == len(await talk.history())


async def test_max_steps_is_a_number(open_one):
    """What is none is refused in our own words."""
    async with open_one() as client:
        talk = await client.start(provider="one")
        for wrong in ("3", 0):
            with pytest.raises(tertulia.ConfigurationError, match="max_steps"):
                await talk.send("Go.", tools=[tell], max_steps=wrong)


NOT_RETURNED = (
    "your message and every answer so far are stored, but not what the tools return that the last one called"
)


async def test_results_that_could_not_be_stored_are_not_said_to_be(one, settings):
    """When the store fails between the calls and the next answer, the error does not claim the results."""
    one.calls(("tell", {"city": "Faro"})).says("Done.")
    async with tertulia.open(**settings) as client:
        talk = await client.start(provider="one")
        store = client._core.store
        add = store.add_user_message

        async def add_question(*arguments, **named):
            if arguments[3].role is Role.TOOL:
                raise StoreError("the disk is full")
            return await add(*arguments, **named)

        store.add_user_message = add_question
        with pytest.raises(StoreError) as caught:
            await talk.send("Go.", tools=[tell])
        del store.add_user_message

        assert (NOT_RETURNED, 2) == (caught.value.kept, len(await talk.history()))
        assert "Done." == (await talk.resume(tools=[tell])).text


async def test_who_is_stopped_during_a_call_is_told_what_is_stored(one, settings):
    """A reader whose stream is closed while a function runs learns that its result is not stored."""
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    one.calls(("wait", {}))
    async with tertulia.open(**settings) as client:
        talk = await client.start(provider="one")
        stream = talk.stream("Go.", tools=[wait])
        reader = asyncio.ensure_future(stream.read())
        await started.wait()
        await client.aclose()
        with pytest.raises(StreamInterruptedError) as caught:
            await reader

    assert NOT_RETURNED == caught.value.kept


async def test_what_a_loop_error_says_of_the_last_calls_stays(open_one, one):
    """However many steps there were, it says that the last calls were not carried out."""
    one.calls(("tell", {"city": "A"})).calls(("tell", {"city": "B"}))
    async with open_one() as client:
        talk = await client.start(provider="one")
        with pytest.raises(ToolLoopError) as caught:
            await talk.send("Go.", tools=[tell], max_steps=2)

    assert "everything said so far is stored; what the last answer calls was not called" == caught.value.kept


async def test_nothing_is_called_after_a_cancellation(one, settings):
    """A cancellation that comes while an answer is stored is not lost: its calls are not carried out."""
    called = []
    one.calls(("call", {})).says("Never.")
    async with tertulia.open(**settings) as client:
        talk = await client.start(provider="one")
        tool = tertulia.function_tool(lambda: called.append(1), name="call")

        async def read() -> None:
            async for _ in talk.stream("Go.", tools=[tool]):
                asyncio.current_task().cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(read())

        assert ([], 1, 2) == (called, len(one.requests), len(await talk.history()))


class CutShort(tertulia.testing.ScriptedProvider):
    """Breaks off after the first piece of a call."""

    async def send_message(self, request):
        async for delta in super().send_message(request):
            yield delta
            if isinstance(delta, tertulia.ToolCallDelta):
                raise ServerError("cut", status=500)


async def test_the_beginning_of_a_call_is_no_message(settings):
    """An answer that breaks off within its first call leaves nothing: it is asked for again where it is."""
    one = CutShort("one").calls(("tell", {"city": "Faro"})).says("Done.")
    async with tertulia.open(**{**settings, "plugins": [one]}) as client:
        talk = await client.start(provider="one")
        with pytest.raises(StreamInterruptedError) as caught:
            await talk.send("Go.", tools=[tell])
        left = [(message.role, message.status) for message in await talk.history()]
        reply = await talk.resume(tools=[tell])
        outcomes = [attempt.outcome for attempt in await talk.attempts()]

    assert "your message is stored" == caught.value.kept
    assert [(Role.USER, MessageStatus.FAILED)] == left
    assert ("Done.", "main", ["interrupted", "succeeded"]) == (reply.text, talk.branch, outcomes)


@pytest.mark.parametrize("budget", range(80, 360, 40))
async def test_results_that_are_added_count(one, settings, budget):
    """What is added for calls without a result has its place in the budget, and the report counts it."""
    calls = [("look", {"n": 1}), ("look", {"n": 2}), ("look", {"n": 3})]
    async with tertulia.open(**settings, max_context_tokens=budget) as client:
        talk = await client.start(provider="one")
        for _ in range(5):
            one.calls(*calls)
            reply = await talk.send("Look around, please.", tools=[LOOK])
            request = one.requests[-1]
            counted = client._core.plugins.count_tokens(request.target, request.messages)

            assert (counted, len(request.messages)) == (reply.context.tokens, reply.context.kept_count)
            assert counted <= reply.context.budget <= budget


async def test_results_too_long_for_the_window_have_a_way_out(one, settings):
    """The error says so: with another function the user's message is asked once more, elsewhere."""
    one.calls(("read", {})).calls(("read", {})).says("Short enough.")
    async with tertulia.open(**settings, max_context_tokens=200) as client:
        talk = await client.start(provider="one")
        long = tertulia.function_tool(lambda: "word " * 500, name="read")
        with pytest.raises(ContextOverflowError, match=r"regenerate.* the user's message") as caught:
            await talk.send("Go.", tools=[long])
        short = tertulia.function_tool(lambda: "word", name="read")
        reply = await talk.regenerate((await talk.history())[0], tools=[short])

    assert (
        "your message and every answer so far are stored, with what the tools returned" == caught.value.kept
    )
    assert "Short enough." == reply.text


@pytest.mark.parametrize("stops_at", range(14))
async def test_whoever_leaves_anywhere_leaves_nothing_behind(one, settings, stops_at):
    """At each event: no task is left, nothing is pending, and the conversation can be gone on with."""

    async def look(n: int) -> str:
        await asyncio.sleep(0)
        return str(n)

    one.calls(("look", {"n": 1}), ("look", {"n": 2}), text="Hm. ").says("Fine", ".").says("Resumed.")
    async with tertulia.open(**settings) as client:
        talk = await client.start(provider="one")
        async with talk.stream("Go.", tools=[look]) as stream:
            for _ in range(stops_at):
                if isinstance(await anext(stream), Completed):
                    break
        left = asyncio.all_tasks() - {asyncio.current_task()} - client._core.tasks
        history, attempts = await talk.history(), await talk.attempts()
        one._script = one._script[-1:]
        with contextlib.suppress(tertulia.BranchError):
            async with asyncio.timeout(10):
                await talk.resume(tools=[look])
        gc.collect()

    assert not [task for task in left if "look" in repr(task) or "run" in task.get_coro().__qualname__]
    assert MessageStatus.PENDING not in {message.status for message in history}
    assert "pending" not in {attempt.outcome for attempt in attempts}


@attrs.frozen
class Trip:
    city: str
    days: int = attrs.field(default=1, validator=attrs.validators.gt(0))


@attrs.frozen
class Fussy:
    city: str

    def __attrs_post_init__(self) -> None:
        raise KeyError(self.city)


@dataclasses.dataclass
class Place:
    name: str
    near: list[Place] = dataclasses.field(default_factory=list)


class Host(pydantic.BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def check(cls, name: str) -> str:
        raise LookupError(name)


OPEN = {"type": "object", "properties": {"n": {"multipleOf": 0.1}}}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (Trip, '\ufeff{"city": "A", "city": "Faro"}', Trip("Faro")),
        (Trip, '```JSON\r\n{"city": "Faro", "days": 2.0}\r\n```', Trip("Faro", 2)),
        (Place, '{"name": "A", "near": [{"name": "B"}]}', Place("A", [Place("B")])),
        (Place | None, '{"value": null}', None),
        (list[Guest], '{"value": [{"n": "A"}]}', [Guest(n="A")]),
        (float, '{"value": 1e300}', 1e300),
        (int, f'{{"value": 1{"0" * 400}}}', 10**400),
    ],
)
async def test_answers_are_read_as_they_are_written(open_one, one, schema, text, value):
    """Marks, fences, repeated members and numbers of any size give the value they stand for."""
    one.says(text)
    async with open_one() as client:
        reply = await client.ask("Go.", provider="one", schema=schema)

    assert value == reply.parsed


@pytest.mark.parametrize(
    ("schema", "text", "problem"),
    [
        (Trip, '{"city": "Faro", "days": 0}', "'days' must be > 0: 0"),
        (Fussy, '{"city": "Faro"}', "KeyError: 'Faro'"),
        (Host, '{"name": "A"}', "LookupError: A"),
        (Trip, "```json\n" + "\n" * 5000, "not valid JSON"),
        (Trip, '{"city": NaN}', "not valid JSON"),
        (float, '{"value": 1e999}', "not valid JSON"),
        (float, f'{{"value": 1{"0" * 400}}}', "Number out of range"),
        (Place, '{"name": "A", "near": ' * 150 + "[]" + "}" * 150, "Expected"),
        (Place, "[" * 5000 + "]" * 5000, "nested too deeply"),
        (OPEN, f'{{"n": 1{"0" * 400}}}', "it cannot be checked: OverflowError"),
        ({"type": "object", "maxProperties": 0}, f'{{"n": "{"x" * 5000}"}}', "x{400,500}… - at"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_in_the_error(open_one, one, schema, text, problem):
    """Whatever a class, a schema or a text does, the paid answer is stored and in our own error, at once."""
    one.says(text)
    async with open_one() as client:
        talk = await client.start(provider="one")
        began = time.monotonic()
        with pytest.raises(InvalidOutputError, match=problem) as caught:
            await talk.send("Go.", schema=schema)
        history = await talk.history()

    assert 5 > time.monotonic() - began
    assert text == caught.value.reply.text == history[-1].text
    assert len(str(caught.value)) < 1000


def nested(depth):
    schema: dict[str, object] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


class Uncallable(pydantic.BaseModel):
    call: Callable[[], int]


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}, "it refers to '#/\\$defs/a'"),
        ({"type": "object", "$ref": "#"}, "refers to itself for ever"),
        (nested(2000), "nested too deeply"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "'\\(' is not a 'regex'"),
        ({"type": "object", "properties": {"a": {"default": {1}}}}, "no JSON"),
        (Uncallable, "Cannot generate a JsonSchema"),
        ("Trip", "no JSON Schema can be made of 'Trip'"),
    ],
)
async def test_a_schema_that_could_not_be_checked_is_refused(open_one, one, schema, problem):
    """Nothing is paid for that could not be read."""
    async with open_one() as client:
        talk = await client.start(provider="one")
        with pytest.raises(tertulia.ConfigurationError, match=problem):
            await talk.send("Hi.", schema=schema)

        assert ([], []) == (await talk.history(), one.requests)


async def test_nothing_is_fetched_for_a_schema(open_one, one):
    """What a schema refers to must be in it: no address is asked for the rest."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments): ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/a.json"
            one.says('{"a": {"b": 1}}')
            for inside in ({}, {"$defs": {"x": {"$id": "https://example.com/x", "type": "integer"}}}):
                schema = {"type": "object", "properties": {"a": {"$ref": address}}, **inside}
                async with open_one() as client:
                    with pytest.raises((tertulia.ConfigurationError, InvalidOutputError)):
                        await client.ask("Go.", provider="one", schema=schema)
        finally:
            server.shutdown()

    assert [] == asked


@pytest.mark.parametrize("reason", ["refusal", "content_filter", "length"])
async def test_an_answer_that_was_held_back_is_explained(open_one, one, reason):
    """The error says why there is no value, rather than that it is no JSON."""
    one.replies(ProviderReply((Text("I can"),), FinishReason(reason)), "I can")
    async with open_one() as client:
        talk = await client.start(provider="one")
        with pytest.raises(InvalidOutputError) as caught:
            await talk.stream("Go.", schema=Trip).read()

    assert "JSON" not in caught.value.message
    assert caught.value.reply.cost is not None or reason


async def test_a_function_cannot_close_the_client_that_waits_for_it(open_one, one):
    """It is told so, and may open and close another client."""
    one.calls(("close", {}), ("close", {"other": True})).says("Done.")
    async with open_one() as client:
        talk = await client.start(provider="one")

        async def close(other: bool = False) -> str:
            closing = tertulia.open(store="memory:", providers={}, environ={}) if other else client
            await closing.__aexit__(None, None, None)
            return "closed"

        async with asyncio.timeout(10):
            await talk.send("Go.", tools=[close])
        refused, closed = results((await talk.history())[2])

    assert "an answer of this client waits for the function that would close it" in refused[1]
    assert ("call_2", "closed", False) == closed


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "10"])
async def test_a_time_limit_is_a_number_above_zero(seconds):
    """What is none is refused when the tool is made, not when it is called."""
    with pytest.raises(ToolError, match="timeout_seconds is a number above 0"):
        tertulia.function_tool(tell, timeout_seconds=seconds)


async def test_tools_are_a_list(open_one):
    """What cannot be gone through is refused in our own words."""
    async with open_one() as client:
        with pytest.raises(ToolError, match="tools is a list"):
            await client.ask("Go.", provider="one", tools=3)


@attrs.frozen
class Converted:
    _city: str = attrs.field(alias="town")
    days: int = attrs.field(default=1, converter=lambda days: days + 1)


async def test_fields_of_attrs_go_by_their_attributes(open_one, one):
    """As the schema names them; and converters, which are for whoever calls the class, are not run."""
    one.says('{"_city": "Faro", "days": 2}')
    async with open_one() as client:
        reply = await client.ask("Go.", provider="one", schema=Converted)

    assert {"_city", "days"} == one.requests[0].response_schema.schema["properties"].keys()
    assert ("Faro", 2) == (reply.parsed._city, reply.parsed.days)


async def test_a_recursive_pydantic_model_is_the_root(open_one, one):
    """It is not wrapped: the answer is the object itself."""
    one.says('{"n": "A", "friends": [{"n": "B"}]}')
    async with open_one() as client:
        reply = await client.ask("Go.", provider="one", schema=Guest)

    assert Guest(n="A", friends=[Guest(n="B")]) == reply.parsed


class Patient(tertulia.testing.ScriptedProvider):
    """Gives its second answer when it may."""

    def __init__(self, name):
        super().__init__(name)
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def send_message(self, request):
        if len(self.requests) == 1:
            self.asked.set()
            await self.may_answer.wait()
        async for delta in super().send_message(request):
            yield delta


async def test_the_turn_goes_along_to_another_branch(database):
    """Where results had to go beside what another process said, the next message waits there."""
    one = Patient("one").calls(("go_on", {})).says("Done.").says("Next.")
    other = tertulia.testing.ScriptedProvider("one").says("Mine.")
    settings = {"store": database, "providers": {}, "environ": {}}
    async with tertulia.open(**settings, plugins=[one]) as client:
        talk = await client.start(provider="one")

        async def go_on() -> str:
            async with tertulia.open(**settings, plugins=[other]) as elsewhere:
                return (await (await elsewhere.get(talk.id)).send("Me first.")).text

        first = asyncio.ensure_future(talk.send("Go.", tools=[go_on]))
        await one.asked.wait()
        second = asyncio.ensure_future(talk.send("And then?"))
        await asyncio.sleep(0)
        one.may_answer.set()
        async with asyncio.timeout(10):
            replies = await asyncio.gather(first, second)

    assert ["Done.", "Next."] == [reply.text for reply in replies]
    assert "main-2" == talk.branch


async def test_whoever_is_cancelled_twice_leaves_no_function_behind(open_one, one):
    """The second cancellation ends what the function does at the end, and is waited for as well."""
    started, cleaning, cleaned = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append(True)

    one.calls(("work", {}))
    async with open_one() as client:
        talk = await client.start(provider="one")
        reader = asyncio.ensure_future(talk.send("Go.", tools=[work]))
        for reached in (started, cleaning):
            await reached.wait()
            reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(10):
                await reader

        assert [True] == cleaned
