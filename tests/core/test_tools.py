"""Tools: what a model may call, what comes of it, and how a conversation with them is kept."""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated, Literal

import attrs
import msgspec
import pytest

import tertulia
import tertulia.testing
from tertulia import (
    Completed,
    HostedTool,
    InvalidOutputError,
    MessageStatus,
    Options,
    ProviderReply,
    Role,
    ServerError,
    StepCompleted,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolEnded,
    ToolError,
    ToolLoopError,
    ToolResult,
    ToolStarted,
)

WEATHER = Tool(
    "get_weather",
    "Forecast the weather.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Its name in English."},
            "days": {"type": "integer", "default": 1},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)


def get_weather(city: str, days: int = 1) -> str:
    """
    Forecast the weather.

    Args:
        city: Its name in English.
    """
    return f"{days} sunny day(s) in {city}"


async def find_hotel(city: str) -> dict[str, object]:
    """Find a hotel."""
    return {"hotel": "Tejo", "city": city, "price": 120}


@pytest.fixture
def open_one(open_client, one, two, database):
    return lambda: open_client(
        store=database, providers={}, plugins=[one, two], environ={}, routing={"max_retries": 0}
    )


def results(message):
    return [(part.call_id, part.output, part.is_error) for part in message.parts]


async def test_a_function_is_described_by_its_hints_and_its_docstring():
    """Name, description and JSON Schema come from the function itself."""
    assert WEATHER == tertulia.function_tool(get_weather).tool


async def test_hints_of_every_kind_become_json_schema():
    """Choices, unions, data classes, constraints and None have the schema that says the same."""

    @attrs.frozen
    class Place:
        name: str
        lat: float

    def search(
        place: Place,
        kind: Literal["hotel", "flat"],
        guests: Annotated[int, msgspec.Meta(ge=1)],
        tags: list[str] | None = None,
    ) -> None: ...

    search.__annotations__ = {**search.__annotations__, "place": Place}

    schema = tertulia.function_tool(search).tool.parameters

    assert {
        "place": {"$ref": "#/$defs/Place"},
        "kind": {"enum": ["flat", "hotel"]},
        "guests": {"type": "integer", "minimum": 1},
        "tags": {
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
            "default": None,
        },
    } == schema["properties"]
    assert ["place", "kind", "guests"] == schema["required"]
    assert {"name", "lat"} == schema["$defs"]["Place"]["properties"].keys()


async def test_a_model_calls_a_function_and_answers_with_what_it_returned(open_one, one):
    """The function is called, its result is sent, and the answer to that is the reply."""
    one.calls(("get_weather", {"city": "Lisbon", "days": 3})).says("Take no coat.")
    async with open_one() as client:
        trip = await client.start(provider="one")
        reply = await trip.send("Do I need a coat?", tools=[get_weather])
        history = await trip.history()

    assert ("Take no coat.", 1) == (reply.text, len(reply.steps))
    assert [Role.USER, Role.ASSISTANT, Role.TOOL, Role.ASSISTANT] == [message.role for message in history]
    assert [("call_1", "3 sunny day(s) in Lisbon", False)] == results(history[2])
    assert [message.parts for message in history[:3]] == [
        message.parts for message in one.requests[1].messages
    ]
    assert (WEATHER,) == one.requests[0].tools == one.requests[1].tools


async def test_parallel_calls_run_at_the_same_time_and_keep_their_order(open_one, one):
    """Calls of one answer are under way together; their results are one message, in their order."""
    met = threading.Barrier(2, timeout=10)

    def first() -> str:
        met.wait()
        return "one"

    def second() -> str:
        met.wait()
        return "two"

    one.calls(("first", {}), ("second", {})).says("Done.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Go.", tools=[first, second])
        history = await talk.history()

    assert [("call_1", "one", False), ("call_2", "two", False)] == results(history[2])


async def test_every_step_is_an_event(open_one, one):
    """A reader sees the pieces of the call, that it began and ended, each answer, and the last one."""
    one.calls(("find_hotel", {"city": "Lisbon"}), text="Let me see. ").says("The Tejo.")
    async with open_one() as client:
        trip = await client.start(provider="one")
        events = [event async for event in trip.stream("A hotel?", tools=[find_hotel])]

    said, *pieces, step, began, ended, answer, completed = events
    assert TextDelta("Let me see. ") == said
    assert '{"city": "Lisbon"}' == "".join(piece.arguments for piece in pieces)
    assert {ToolCallDelta} == {type(piece) for piece in pieces}
    call = ToolCall("call_1", "find_hotel", {"city": "Lisbon"})
    assert isinstance(step, StepCompleted)
    assert (1, (call,)) == (step.number, step.reply.tool_calls)
    assert ToolStarted(call) == began
    assert isinstance(ended, ToolEnded)
    assert (call, call.result('{"hotel":"Tejo","city":"Lisbon","price":120}'), None) == (
        ended.call,
        ended.result,
        ended.error,
    )
    assert TextDelta("The Tejo.") == answer
    assert isinstance(completed, Completed)
    assert (step.reply,) == completed.reply.steps


async def fail(reason: str) -> str:
    """Fail."""
    raise ValueError(reason)


@pytest.mark.parametrize(
    ("call", "output"),
    [
        (("fail", {"reason": "no such city"}), "ValueError: no such city"),
        (("fail", {}), "MismatchError: Object missing required field `reason`"),
        (("fail", {"reason": 3}), "MismatchError: Expected `str`, got `int` - at `$.reason`"),
        (("fail", {"reason": "x", "mood": 1}), "MismatchError: Object contains unknown field `mood`"),
        (("fly", {}), "ToolError: there is no tool 'fly'; there are: fail"),
    ],
)
async def test_what_goes_wrong_in_a_call_is_its_result(open_one, one, call, output):
    """The model is told what went wrong, and goes on; the caller's event has the error itself."""
    one.calls(call).says("I am sorry.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        events = [event async for event in talk.stream("Go.", tools=[fail])]

    (ended,) = (event for event in events if isinstance(event, ToolEnded))
    assert ToolResult("call_1", call[0], output, is_error=True) == ended.result
    assert output.split(":")[0] == type(ended.error).__name__
    assert "I am sorry." == events[-1].reply.text


async def test_arguments_that_are_no_object_are_an_error_of_the_call(open_one, one):
    """What a model wrote instead of arguments is told back to it."""
    broken = ToolCall("c", "get_weather", None, "[1")
    one.replies(ProviderReply((broken,), tertulia.FinishReason.TOOL_CALLS)).says("Sorry.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Go.", tools=[get_weather])
        history = await talk.history()

    assert [("c", "ValueError: the arguments are no JSON object: [1", True)] == results(history[2])


async def test_a_function_that_takes_too_long_is_given_up(open_one, one):
    """A call has the time its tool allows."""

    async def wait() -> str:
        await asyncio.Event().wait()
        return "never"

    one.calls(("wait", {})).says("Too slow.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Go.", tools=[tertulia.function_tool(wait, timeout_seconds=0.001)])
        history = await talk.history()

    assert [("call_1", "TimeoutError: it took too long", True)] == results(history[2])


async def test_a_loop_without_end_ends_with_an_error(open_one, one):
    """After as many answers as allowed nothing more is called; all is stored, and can be resumed."""
    one.calls(("get_weather", {"city": "A"})).calls(("get_weather", {"city": "B"}))
    async with open_one() as client:
        talk = await client.start(provider="one")
        with pytest.raises(ToolLoopError, match="2 answers called tools, and none was the last") as caught:
            await talk.send("Go.", tools=[get_weather], max_steps=2)
        assert ["B"] == [call.arguments["city"] for call in caught.value.reply.tool_calls]
        assert 4 == len(await talk.history())

        one.says("Enough.")
        reply = await talk.resume(tools=[get_weather])
        history = await talk.history()

    assert "Enough." == reply.text
    assert [("call_2", "1 sunny day(s) in B", False)] == results(history[4])


async def test_calls_without_a_function_are_the_callers(open_one, one):
    """A tool that is only described is called by nobody here: the caller says what it returned."""
    one.calls(("get_weather", {"city": "Lisbon"})).says("Sunny.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        reply = await talk.send("Weather?", tools=[WEATHER, find_hotel])
        (call,) = reply.tool_calls
        answer = await talk.submit_results([call.result("sun")], tools=[WEATHER, find_hotel])
        history = await talk.history()

    assert "Sunny." == answer.text
    assert [Role.USER, Role.ASSISTANT, Role.TOOL, Role.ASSISTANT] == [message.role for message in history]
    assert [("call_1", "sun", False)] == results(one.requests[1].messages[2])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "call 'call_1' has no result"),
        ([ToolResult("call_1", "get_weather", "a")], "call 'call_2' has no result"),
        (
            [ToolResult(f"call_{n}", "get_weather", "a") for n in (1, 2, 3)],
            "nobody made the call 'call_3'",
        ),
        ([ToolResult(f"call_{n}", "get_weather", "a") for n in (1, 2, 2)], "a call has two results"),
    ],
)
async def test_results_that_do_not_fit_the_calls_are_refused(open_one, one, given, problem):
    """Nothing is stored or sent when a result is missing, double, or answers nothing."""
    one.calls(("get_weather", {}), ("get_weather", {}))
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Weather?", tools=[WEATHER])
        with pytest.raises(ToolError, match=problem):
            await talk.submit_results(given)

        assert (2, 1) == (len(await talk.history()), len(one.requests))


async def test_there_must_be_calls_to_answer(open_one, one):
    """Results are refused where the newest message calls nothing."""
    one.says("Hello.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Hi.")
        with pytest.raises(ToolError, match="the newest message calls no tools"):
            await talk.submit_results([ToolResult("a", "b", "c")])


async def test_an_unanswered_call_does_not_spoil_the_conversation(open_one, one):
    """Who goes on without answering a call is understood: the call is sent with an error as its result."""
    one.calls(("get_weather", {"city": "Lisbon"})).says("Never mind.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Weather?", tools=[WEATHER])
        reply = await talk.send("Forget it.")

    assert ("1 tool call(s) without a result were sent with an error as their result",) == reply.warnings
    roles = [message.role for message in one.requests[1].messages]
    assert [Role.USER, Role.ASSISTANT, Role.TOOL, Role.USER] == roles
    assert [("call_1", "There is no result: the call was not carried out.", True)] == results(
        one.requests[1].messages[2]
    )


async def test_whoever_answered_goes_on_with_the_results(open_one, one, two):
    """After a fallback the results go to the provider that called, not to the one that failed."""
    one.refuses(ServerError, status=500)
    two.calls(("get_weather", {"city": "Lisbon"})).says("Sunny.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        reply = await talk.send("Weather?", tools=[get_weather], fallback=["two"])
        attempts = await talk.attempts()

    assert ("Sunny.", "two", 1) == (reply.text, reply.provider, len(one.requests))
    assert ["one", "two", "two"] == [attempt.provider for attempt in attempts]
    assert [attempt.id for attempt in attempts] == [
        attempt.id for each in (*reply.steps, reply) for attempt in each.attempts
    ]
    assert tertulia.CostTotal.of(attempt.cost for attempt in attempts) == reply.total_cost
    assert reply.total_cost.exact


async def test_results_nobody_answered_are_sent_again(open_one, one):
    """When the provider fails after a call, what the tool returned is stored, and resume() asks again."""
    one.calls(("get_weather", {"city": "Lisbon"})).refuses(ServerError, status=500).says("Sunny.")
    called = []

    def look(city: str) -> str:
        called.append(city)
        return "sun"

    tool = tertulia.function_tool(look, name="get_weather")
    async with open_one() as client:
        talk = await client.start(provider="one")
        with pytest.raises(ServerError) as caught:
            await talk.send("Weather?", tools=[tool])
        reply = await talk.resume(tools=[tool])
        history = await talk.history()

    assert "every answer so far" in caught.value.kept
    assert "resume(tools=…) asks again, without calling anything twice" == caught.value.next_step
    assert ("Sunny.", ["Lisbon"], 4) == (reply.text, called, len(history))
    assert [Role.USER, Role.ASSISTANT, Role.TOOL] == [message.role for message in one.requests[2].messages]


async def test_nobody_gets_between_the_steps(open_one, one):
    """A message that is sent while a tool runs waits for the last answer."""
    gate, started, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def wait() -> str:
        loop.call_soon_threadsafe(started.set)
        return f"waited: {gate.wait(10)}"

    one.calls(("wait", {})).says("First.").says("Second.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(_send(talk, "One.", [wait]))
            await started.wait()
            second = tasks.create_task(_send(talk, "Two.", []))
            loop.call_soon(gate.set)
        history = await talk.history()

    assert ("First.", "Second.") == (first.result().text, second.result().text)
    assert ["One.", "", "", "First.", "Two.", "Second."] == [message.text for message in history]


async def _send(talk, text, tools):
    return await talk.send(text, tools=tools)


async def test_a_turn_with_tools_is_sent_whole(open_one, one):
    """The question, the calls and their results of the turn that is under way are sent in order."""
    one.says("Hello.").calls(("get_weather", {"city": "Lisbon"})).says("Sunny.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Hi.")
        reply = await talk.send("Weather?", tools=[get_weather])

    assert "Sunny." == reply.text
    assert ["Hi.", "Hello.", "Weather?", "", ""] == one.texts


async def test_a_small_window_keeps_the_open_turn(open_client, one, database):
    """A window of one message holds the newest question, its calls and their results."""
    one.says("Hello.").calls(("get_weather", {"city": "Lisbon"})).says("Sunny.")
    settings = {"store": database, "providers": {}, "plugins": [one], "environ": {}, "context_window": 1}
    async with open_client(**settings, context={"recall": "never"}) as client:
        talk = await client.start(provider="one")
        await talk.send("Hi.")
        reply = await talk.send("Weather?", tools=[get_weather])

    assert ["Weather?", "", ""] == one.texts
    assert (3, 2) == (reply.context.kept_count, sum(len(each.message_ids) for each in reply.context.dropped))


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        ([lambda city: city], "'<lambda>' cannot be the name of a tool"),
        ([get_weather, get_weather], "two tools are called 'get_weather'"),
        ([Tool("a b")], "'a b' cannot be the name of a tool"),
        ([3], "an int cannot be called, so it is no tool"),
        (get_weather, "tools is a list"),
        ([lambda *cities: cities], "cannot be the name"),
    ],
)
async def test_tools_that_cannot_be_offered_are_refused(open_one, one, tools, problem):
    """Nothing is stored or sent when a tool cannot be told to a model."""
    async with open_one() as client:
        talk = await client.start(provider="one")
        with pytest.raises(ToolError, match=problem):
            await talk.send("Hi.", tools=tools)

        assert ([], []) == (await talk.history(), one.requests)


def variadic(*cities: str) -> None: ...
def positional(city: str, /) -> None: ...
def unknown(place: asyncio.Event) -> None: ...


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (variadic, "tool 'variadic': \\*cities.* cannot be given by name"),
        (positional, "tool 'positional': city.* cannot be given by name"),
        (
            unknown,
            "tool 'unknown': no JSON Schema can be made of its type hints: type .*Event.* not supported",
        ),
    ],
)
async def test_functions_that_cannot_be_described_are_refused(function, problem):
    """The error names the tool and what of it cannot be told."""
    with pytest.raises(ToolError, match=problem):
        tertulia.function_tool(function)


async def test_a_schema_can_be_given_with_the_function(open_one, one):
    """With parameters= the arguments are held against that schema and passed by name."""
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    tool = tertulia.function_tool(lambda n: n * 2, name="double", description="Double.", parameters=schema)
    one.calls(("double", {"n": 21}), ("double", {"n": 0})).says("42")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Double 21 and 0.", tools=[tool])
        history = await talk.history()

    assert [
        ("call_1", "42", False),
        ("call_2", "MismatchError: 0 is less than the minimum of 1 - at `$.n`", True),
    ] == results(history[2])


async def test_hosted_tools_are_for_the_provider(open_one, one):
    """What the provider runs itself is part of the request, and nothing is called here."""
    one.says("Found.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        reply = await talk.send("Search.", tools=[HostedTool("web_search")])

    assert ("Found.", (HostedTool("web_search"),)) == (reply.text, one.requests[0].tools)


async def test_a_forced_tool_is_forced_once(open_one, one):
    """After the call the model is free to answer."""
    one.calls(("get_weather", {"city": "Lisbon"})).says("Sunny.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Go.", tools=[get_weather], options=Options(tool_choice="required"))

    assert ["required", None] == [request.options.tool_choice for request in one.requests]


async def test_another_answer_to_what_tools_returned(open_one, one):
    """regenerate() asks again with the same results; the tools are not called again."""
    one.calls(("get_weather", {"city": "Lisbon"})).says("Sunny.").says("Bright.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        await talk.send("Weather?", tools=[get_weather])
        reply = await talk.regenerate(tools=[get_weather])

    assert ("Bright.", 3) == (reply.text, len(one.requests))
    asked = [[(message.role, message.parts) for message in each.messages] for each in one.requests]
    assert asked[1] == asked[2]


@attrs.frozen
class Trip:
    """A trip."""

    city: str
    days: int = 1


async def test_an_answer_has_the_shape_that_was_asked_for(open_one, one):
    """A class is told to the provider as JSON Schema, and the reply has a value of it."""
    one.says('{"city": "Lisbon", "days": 3.0}')
    async with open_one() as client:
        talk = await client.start(provider="one")
        reply = await talk.send("Plan.", schema=Trip)

    assert Trip("Lisbon", 3) == reply.parsed
    assert ("Trip", ["city"]) == (
        one.requests[0].response_schema.name,
        one.requests[0].response_schema.schema["required"],
    )


async def test_an_answer_that_is_no_object_is_wrapped_for_the_provider(open_one, one):
    """A list comes back as a list, although providers are asked for an object."""
    one.says('```json\n{"value": [{"city": "Lisbon"}]}\n```')
    async with open_one() as client:
        talk = await client.start(provider="one")
        reply = await talk.send("Plan.", schema=list[Trip])

    assert [Trip("Lisbon")] == reply.parsed
    assert {"value"} == one.requests[0].response_schema.schema["properties"].keys()


async def test_a_json_schema_gives_plain_json(open_one, one):
    """With a JSON Schema the value is what JSON says, held against it."""
    schema = {"title": "A Trip", "type": "object", "properties": {"days": {"type": "integer"}}}
    one.says('{"days": 3}').says('{"days": "many"}')
    async with open_one() as client:
        talk = await client.start(provider="one")
        reply = await talk.send("Plan.", schema=schema)
        with pytest.raises(
            InvalidOutputError, match="the answer is no A_Trip: 'many' is not of type 'integer'"
        ):
            await talk.send("Again.", schema=schema)

    assert ({"days": 3}, "A_Trip") == (reply.parsed, one.requests[0].response_schema.name)


@pytest.mark.parametrize(
    ("text", "finish", "problem"),
    [
        ("Certainly!", "stop", "the answer is not valid JSON"),
        ('{"city": 3}', "stop", "Expected `str`, got `int`"),
        ('{"city": "Lis', "length", "it was cut off, because it was longer than it may be"),
    ],
)
async def test_an_answer_of_another_shape_is_an_error_and_kept(open_one, one, text, finish, problem):
    """The error has the reply, which is stored all the same."""
    one.replies(ProviderReply((Text(text),), tertulia.FinishReason(finish)), text)
    async with open_one() as client:
        talk = await client.start(provider="one")
        with pytest.raises(InvalidOutputError, match=problem) as caught:
            await talk.send("Plan.", schema=Trip)
        history = await talk.history()

    assert (text, text) == (caught.value.reply.text, history[-1].text)
    assert MessageStatus.COMPLETE is history[-1].status


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (asyncio.Event, "no JSON Schema can be made of"),
        ({"type": "array"}, "a schema describes an object"),
        ({"type": "object", "properties": 3}, "this is no JSON Schema: 3 is not of type 'object'"),
    ],
)
async def test_a_bad_schema_is_refused_before_anything_is_sent(open_one, one, schema, problem):
    """What cannot be asked for is not asked for."""
    async with open_one() as client:
        talk = await client.start(provider="one")
        with pytest.raises(tertulia.ConfigurationError, match=problem):
            await talk.send("Hi.", schema=schema)

        assert ([], []) == (await talk.history(), one.requests)


async def test_tools_and_a_shape_go_together(open_one, one):
    """The answer after the last call has the shape; the ones before it need not."""
    one.calls(("get_weather", {"city": "Lisbon"})).says('{"city": "Lisbon", "days": 2}')
    async with open_one() as client:
        reply = await client.ask("Plan.", provider="one", tools=[get_weather], schema=Trip)

    assert (Trip("Lisbon", 2), None) == (reply.parsed, reply.steps[0].parsed)


async def test_leaving_while_a_function_runs_stops_it_and_keeps_the_call(open_one, one):
    """Whoever leaves a stream during a call cancels the function; the answer that called is stored."""
    stopped = threading.Event()

    async def wait() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "never"

    one.calls(("wait", {})).says("Let us go on.")
    async with open_one() as client:
        talk = await client.start(provider="one")
        async with talk.stream("Go.", tools=[wait]) as stream:
            async for event in stream:
                if isinstance(event, ToolStarted):
                    break
        kept = [(message.role, message.status) for message in await talk.history()]
        reply = await talk.send("Never mind.")

    assert [(Role.USER, MessageStatus.COMPLETE), (Role.ASSISTANT, MessageStatus.COMPLETE)] == kept
    assert ("Let us go on.", 1) == (reply.text, len(reply.warnings))
    assert stopped.is_set()


async def test_results_go_beside_what_another_process_said_meanwhile(open_client, one, database):
    """When somebody went on during a call, its results and the answer are on a branch of their own."""
    settings = {"store": database, "providers": {}, "environ": {}}
    other = tertulia.testing.ScriptedProvider("one").says("Mine.")
    loop = asyncio.get_running_loop()

    async def go_on() -> str:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_say(), loop))

    async def _say() -> str:
        async with tertulia.open(**settings, plugins=[other]) as client:
            return (await (await client.get(talk.id)).send("Me first.")).text

    one.calls(("go_on", {})).says("Done.")
    async with open_client(**settings, plugins=[one]) as client:
        talk = await client.start(provider="one")
        reply = await talk.send("Go.", tools=[go_on])
        main = await client.get(talk.id, branch="main")
        histories = [[message.text for message in await each.history()] for each in (talk, main)]

    assert ("Done.", "main-2") == (reply.text, talk.branch)
    assert [["Go.", "", "", "Done."], ["Go.", "", "Me first.", "Mine."]] == histories
