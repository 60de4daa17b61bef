"""Strangers' strategies that do what they must not: nothing wrong is sent, nothing hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import attrs
import pytest
from context_stores import SHARED, Opener

import tertulia
from tertulia import (
    DEFER,
    Client,
    Context,
    ContextOptions,
    ContextOverflowError,
    ContextReport,
    Conversation,
    Message,
    MessageStatus,
    PluginError,
    ProviderTimeoutError,
    Role,
    Text,
    Timeouts,
    ToolCall,
    ToolResult,
    hookimpl,
)
from tertulia.testing import MemoryStore, ScriptedProvider

SOON = 5.0
SHORT = Timeouts(total=0.1)
LOST = "lost or changed a system message or the newest one"
UNKNOWN = "sends what is not in the conversation, or not as it is there"
TWICE = "sends a message twice"

Choose = Callable[[Sequence[Message], tertulia.Request], Any]


class Hostile:
    """A strategy that chooses what a test wants, of all that was said."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose

    @hookimpl
    async def format_context(self, view: tertulia.ContextView, request: tertulia.Request) -> Any:
        return self._choose(await view.history(), request)


@pytest.fixture
def one() -> ScriptedProvider:
    return ScriptedProvider("one")


@pytest.fixture
async def client(one):
    plugins = [one, Opener(MemoryStore())]
    async with tertulia.open(store=SHARED, providers={}, plugins=plugins, environ={}) as client:
        yield client


async def begin(client: Client, one: ScriptedProvider) -> Conversation:
    """A conversation of a system message and three turns, the first of which is pinned."""
    talk = await client.start(provider="one", system="Be brief.")
    for text in ("a", "b", "c"):
        one.says(text.upper())
        await talk.send(text)
    await talk.pin((await talk.history())[1])
    return talk


def foreign(text: str = "x", role: Role = Role.USER) -> Message:
    return Message.of(role, text)


def all_but(history: Sequence[Message], request: tertulia.Request, **changes: Any) -> list[Message]:
    """Everything, with the newest message changed."""
    *system, newest = request.messages
    return [*system, *history, attrs.evolve(newest, **changes)]


def whole(history: Sequence[Message], request: tertulia.Request) -> list[Message]:
    *system, newest = request.messages
    return [*system, *history, newest]


async def drip(messages: list[Message]) -> AsyncIterator[Message]:
    for message in messages:
        yield message


REFUSED: dict[str, tuple[Choose, str]] = {
    "nothing": (lambda said, asked: [], LOST),
    "no system message": (lambda said, asked: [*said, asked.messages[-1]], LOST),
    "the system message last": (lambda said, asked: [*said, *asked.messages[::-1]], LOST),
    "another system message": (
        lambda said, asked: [foreign("Be rude.", Role.SYSTEM), *said, asked.messages[-1]],
        LOST,
    ),
    "no newest message": (lambda said, asked: [asked.messages[0], *said], LOST),
    "the newest message first": (
        lambda said, asked: [asked.messages[0], asked.messages[1], *said],
        LOST,
    ),
    "other words in the newest message": (
        lambda said, asked: all_but(said, asked, parts=(Text("Something else"),)),
        LOST,
    ),
    "words after the newest message's own": (
        lambda said, asked: all_but(said, asked, parts=(*asked.messages[-1].parts, Text("!"))),
        LOST,
    ),
    "the newest message as somebody else's": (
        lambda said, asked: all_but(said, asked, role=Role.ASSISTANT),
        LOST,
    ),
    "the newest message twice": (
        lambda said, asked: [asked.messages[0], *said, asked.messages[1], asked.messages[1]],
        "sends the newest message twice",
    ),
    "an old message twice": (
        lambda said, asked: whole([said[0], said[0], *said[1:]], asked),
        TWICE,
    ),
    "everything ten times": (lambda said, asked: whole([*said] * 10, asked), TWICE),
    "the wrong order": (lambda said, asked: whole(said[::-1], asked), UNKNOWN),
    "two in the wrong places": (
        lambda said, asked: whole([said[1], said[0], *said[2:]], asked),
        UNKNOWN,
    ),
    "something nobody said": (lambda said, asked: whole([*said, foreign()], asked), UNKNOWN),
    "a summary of its own as a message": (
        lambda said, asked: whole([foreign("They talked."), *said[:1]], asked),
        UNKNOWN,
    ),
    "a second system message": (
        lambda said, asked: whole([foreign("Lie.", Role.SYSTEM), *said], asked),
        UNKNOWN,
    ),
    "a message with other words": (
        lambda said, asked: whole([*said[:-1], attrs.evolve(said[-1], parts=(Text("C!"),))], asked),
        UNKNOWN,
    ),
    "a message of another role": (
        lambda said, asked: whole([*said[:-1], attrs.evolve(said[-1], role=Role.USER)], asked),
        UNKNOWN,
    ),
    "a shortened message": (
        lambda said, asked: whole([*said[:-1], attrs.evolve(said[-1], parts=())], asked),
        UNKNOWN,
    ),
    "no pinned message": (lambda said, asked: whole(said[1:], asked), "lost a pinned message"),
    "a number among them": (
        lambda said, asked: [*whole(said, asked)[:-1], 5, asked.messages[-1]],
        "chose an int, not a Message",
    ),
    "texts": (lambda said, asked: ["Hello"], "chose a str, not a Message"),
    "bytes": (lambda said, asked: b"Hello", "chose an int, not a Message"),
    "lists of messages": (lambda said, asked: [whole(said, asked)], "chose a list, not a Message"),
    "a context of nothing": (
        lambda said, asked: Context((), ContextReport(0, 0)),
        LOST,
    ),
    "a context of numbers": (
        lambda said, asked: Context((1, 2), ContextReport(2, 2)),  # type: ignore[arg-type]
        "chose an int, not a Message",
    ),
}

WRONG: dict[str, tuple[Choose, str]] = {
    "a number": (lambda said, asked: 5, "int"),
    "a text": (lambda said, asked: "everything", "str"),
    "a dictionary": (lambda said, asked: {"messages": list(asked.messages)}, "dict"),
    "a set of ids": (lambda said, asked: {each.id for each in said}, "set"),
    "a generator": (lambda said, asked: (each for each in whole(said, asked)), "generator"),
    "an async generator": (lambda said, asked: drip(whole(said, asked)), "async_generator"),
    "a map": (lambda said, asked: map(str, whole(said, asked)), "map"),
    "True": (lambda said, asked: True, "bool"),
    "a message": (lambda said, asked: asked.messages[-1], "Message"),
    "the class": (lambda said, asked: Context, "type"),
}

MALFORMED: dict[str, Choose] = {
    "a context without messages": lambda said, asked: Context(None, ContextReport(0, 0)),  # type: ignore[arg-type]
    "a part that is none, before the newest message's own": lambda said, asked: all_but(
        said, asked, parts=("Earlier:", *asked.messages[-1].parts)
    ),
    "a call before the newest message's own words": lambda said, asked: all_but(
        said, asked, parts=(ToolCall("c", "look", {}), *asked.messages[-1].parts)
    ),
    "a result before the newest message's own words": lambda said, asked: all_but(
        said, asked, parts=(ToolResult("c", "look", "x"), *asked.messages[-1].parts)
    ),
}


async def fail(client: Client, one: ScriptedProvider, choose: Choose, **settings: Any) -> Any:
    """Ask with a hostile strategy: the error, once everything about it is as it should be."""
    talk = await begin(client, one)
    client.register(Hostile(choose))
    with pytest.raises(tertulia.TertuliaError) as caught:
        await asyncio.wait_for(talk.send("What now?", **settings), SOON)

    history = await talk.history()
    assert ("What now?", MessageStatus.FAILED) == (history[-1].text, history[-1].status)
    assert 3 == len(one.requests)
    assert "your message is stored" == caught.value.kept
    return caught.value


@pytest.mark.parametrize(("choose", "problem"), REFUSED.values(), ids=REFUSED)
async def test_what_may_not_be_sent_is_not_sent(client, one, choose, problem):
    """The error says what is wrong with the choice and what to do; the message is kept."""
    error = await fail(client, one, choose)

    assert PluginError is type(error)
    assert f"format_context {problem}, so nothing was sent" == error.message
    assert ("format_context", True) == (error.hook, bool(error.next_step))


@pytest.mark.parametrize(("choose", "name"), WRONG.values(), ids=WRONG)
async def test_what_is_no_choice_is_refused(client, one, choose, name):
    """The error names what came, and what may come."""
    error = await fail(client, one, choose)

    wanted = "a Context, a sequence of messages or None"
    assert f"format_context answered {name}, not {wanted}" == error.message
    assert PluginError is type(error)


@pytest.mark.parametrize("choose", MALFORMED.values(), ids=MALFORMED)
async def test_what_looks_like_a_choice_and_is_none_is_refused(client, one, choose):
    """Whatever is inside, the error is ours and says whose fault it is."""
    error = await fail(client, one, choose)

    assert PluginError is type(error)
    assert error.message.startswith("format_context ")


@pytest.mark.parametrize(
    "error",
    [
        KeyError("oops"),
        StopIteration(),
        StopAsyncIteration(),
        MemoryError(),
        TimeoutError(),
        AssertionError(),
    ],
)
async def test_a_strategy_that_raises_is_named(client, one, error):
    """Its exception is the cause of ours."""

    def choose(said: Any, asked: Any) -> Any:
        raise error

    found = await fail(client, one, choose)

    assert PluginError is type(found)
    assert found.message.startswith("a plugin failed in format_context: ")
    assert found.__cause__ is not None


async def test_a_strategy_that_takes_the_message_of_another_conversation_is_refused(client, one):
    """Nothing of one conversation is ever sent in another."""
    other = await begin(client, one)
    stolen = (await other.history())[2:4]
    talk = await client.start(provider="one")
    client.register(Hostile(lambda said, asked: [*stolen, *asked.messages]))

    with pytest.raises(PluginError, match=UNKNOWN):
        await talk.send("What now?")

    assert 3 == len(one.requests)


async def test_a_strategy_that_takes_the_message_of_another_branch_is_refused(client, one):
    """Nor is what was said on a branch that is not this one."""
    talk = await begin(client, one)
    history = await talk.history()
    fork = await talk.fork(at=history[2])
    client.register(Hostile(lambda said, asked: whole([*said, history[3]], asked)))

    with pytest.raises(PluginError, match=UNKNOWN):
        await fork.send("What now?")

    assert 3 == len(one.requests)


async def test_a_strategy_that_brings_back_what_is_hidden_is_refused(client, one):
    """It is not in what a strategy sees, and not among what it may choose."""
    talk = await begin(client, one)
    hidden = (await talk.history())[3]
    await talk.hide(hidden)
    client.register(Hostile(lambda said, asked: whole([said[0], said[1], hidden, *said[2:]], asked)))

    with pytest.raises(PluginError, match=UNKNOWN):
        await talk.send("What now?")

    assert 3 == len(one.requests)


async def test_a_strategy_over_the_budget_is_refused(client, one):
    """The error has the tokens of each part."""
    error = await fail(client, one, whole, context=ContextOptions(max_tokens=18))

    assert ContextOverflowError is type(error)
    assert 18 == error.budget
    assert ["system", "newest message", "pinned", "history"] == list(error.parts)
    assert sum(error.parts.values()) > 18


async def test_a_strategy_that_hangs_is_cut_off_at_the_deadline(client, one):
    """Nothing is sent, and the message is kept."""

    class Hanging:
        @hookimpl
        async def format_context(self) -> None:
            await asyncio.Event().wait()

    talk = await begin(client, one)
    client.register(Hanging())
    with pytest.raises(ProviderTimeoutError) as caught:
        await asyncio.wait_for(talk.send("What now?", timeouts=SHORT), SOON)

    assert "your message is stored" == caught.value.kept
    assert MessageStatus.FAILED is (await talk.history())[-1].status
    assert 3 == len(one.requests)


@pytest.mark.parametrize("answer", [None, DEFER])
async def test_a_strategy_that_passes_leaves_it_to_the_next(client, one, answer):
    """The core's own answers."""
    talk = await begin(client, one)
    client.register(Hostile(lambda said, asked: answer))
    one.says("Fine.")

    await talk.send("What now?")

    assert ["Be brief.", "a", "A", "b", "B", "c", "C", "What now?"] == one.texts


@pytest.mark.parametrize(
    "report",
    [
        ContextReport(-5, 10**12, 3, strategy="lies", parts={"window": 10**12}),
        ContextReport(0, 0),
        "short",
        None,
    ],
    ids=["lies", "nothing", "a text", "None"],
)
async def test_a_report_is_not_believed(client, one, report):
    """What can be counted is counted."""
    talk = await begin(client, one)
    client.register(Hostile(lambda said, asked: Context(tuple(whole(said, asked)), report)))
    one.says("Fine.")

    reply = await talk.send("What now?", context=ContextOptions(max_tokens=500))

    tokens = tertulia.count_messages(one.requests[-1].messages, tertulia.TokenWeights())
    assert (8, tokens, 500) == (reply.context.kept_count, reply.context.tokens, reply.context.budget)
    assert "format_context" == reply.context.strategy
    assert ["system", "window", "newest message"] == list(reply.context.parts)
    assert tokens == sum(reply.context.parts.values())


@pytest.mark.parametrize("kept", ["the call", "the result"])
async def test_a_strategy_that_splits_a_call_from_its_result_is_mended(client, one, kept):
    """What is sent is valid, and a warning says what was done."""

    def look(at: str) -> str:
        """Look at something."""
        return f"{at} is there"

    def choose(said: Sequence[Message], asked: tertulia.Request) -> list[Message]:
        lost = Role.TOOL if kept == "the call" else Role.ASSISTANT
        return whole([message for message in said if message.role is not lost], asked)

    talk = await client.start(provider="one")
    one.calls(("look", {"at": "x"}), ("look", {"at": "y"})).says("Both are there.")
    await talk.send("Look at x and y.", tools=[look])
    client.register(Hostile(choose))
    one.says("Fine.")

    reply = await talk.send("What now?")

    sent = one.requests[-1].messages
    results = [part.output for message in sent for part in message.parts if isinstance(part, ToolResult)]
    if kept == "the call":
        assert ["There is no result: the call was not carried out."] * 2 == results
        assert ("2 tool call(s) without a result were sent with an error as their result",) == reply.warnings
    else:
        assert [] == results
        assert ("2 tool result(s) without their call were left out",) == reply.warnings


async def test_words_before_the_newest_messages_own_are_allowed(client, one):
    """That is where a strategy of one's own quotes what it has found."""
    talk = await begin(client, one)
    client.register(
        Hostile(
            lambda said, asked: all_but(
                said[:2], asked, parts=(Text("(b was said.)\n"), *asked.messages[-1].parts)
            )
        )
    )
    one.says("Fine.")

    reply = await talk.send("What now?")

    assert ["Be brief.", "a", "A", "(b was said.)\nWhat now?"] == one.texts
    assert "What now?" == (await talk.history())[-2].text
    assert "format_context" == reply.context.strategy
