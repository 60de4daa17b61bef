"""Long conversations, read in part: what is sent is what it would be had all of it been read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import attrs
import pytest
from context_stores import SHARED, Opener
from context_worlds import PICTURE

import tertulia
from tertulia import Client, ContextOptions, Conversation, Image, Message, Role, Routing, Strategy, Text
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.model import MediaLimits
from tertulia.services import path
from tertulia.services.context import view
from tertulia.testing import MemoryStore, ScriptedProvider, StandingClock

FEW = 4
RECENT = ContextOptions(strategy="recent", max_tokens=200)


class Counted(SQLStore):
    """A store that says how many messages it has handed out."""

    handed_out = 0

    async def get_messages(self, *args: Any, **named: Any) -> list[Message]:
        found = await super().get_messages(*args, **named)
        self.handed_out += len(found)
        return found


class Seeing(ScriptedProvider):
    """Takes pictures."""

    IMAGES = MediaLimits(frozenset({"image/png"}))


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some messages are a long conversation here."""
    monkeypatch.setattr(path, "WHOLE", FEW)
    monkeypatch.setattr(view, "WHOLE", FEW)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def store(clock: StandingClock) -> Counted:
    return Counted("memory:", clock)


@pytest.fixture
def one() -> ScriptedProvider:
    return ScriptedProvider("one")


@pytest.fixture
async def client(one: ScriptedProvider, store: Counted, clock: StandingClock) -> AsyncIterator[Client]:
    async with reopen(store, clock, one) as client:
        yield client


def reopen(store: tertulia.Store, clock: StandingClock, *providers: ScriptedProvider) -> Any:
    """Another client of the same store, that has read nothing yet."""
    return tertulia.open(
        store=SHARED, providers={}, plugins=[Opener(store), *providers], environ={}, clock=clock
    )


async def begin(client: Client, turns: int, **settings: Any) -> Conversation:
    """A conversation of so many turns, of about 20 tokens each."""
    talk = await client.start(provider="one", **settings)
    await chat(talk, turns)
    return talk


async def chat(talk: Conversation, turns: int) -> None:
    """Go on for so many turns."""
    for number in range(turns):
        await talk.append(Message.of("user", f"Question {number}: how is the weather there?"))
        await talk.append(attrs.evolve(Message.of("assistant", f"Answer {number}: fine."), provider="one"))


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


async def test_a_pinned_picture_of_long_ago_is_not_sent_to_whom_takes_none(client, one):
    """What is pinned was not read with the recent messages, and is fitted to its reader all the same."""
    talk = await begin(client, 1)
    seen = await talk.append(Message(Role.USER, (PICTURE, Text("My house."))))
    await talk.append(Message.of("assistant", "A fine house."))
    await chat(talk, 200)
    await talk.pin(seen)
    one.says("Yes.")

    await talk.send("And now?", context=ContextOptions(strategy="recent", max_tokens=1_500))

    sent = next(message for message in one.requests[0].messages if message.id == seen.id)
    assert not any(isinstance(part, Image) for part in sent.parts)


async def test_what_a_pinned_answer_answers_is_fitted_too(client, one):
    """The picture stands in the question before it, which nobody marked."""
    talk = await client.start(provider="one")
    seen = await talk.append(Message(Role.USER, (PICTURE, Text("My house."))))
    answer = await talk.append(Message.of("assistant", "A fine house."))
    await chat(talk, 200)
    await talk.pin(answer)
    one.says("Yes.")

    await talk.send("And now?", context=ContextOptions(strategy="recent", max_tokens=1_500))

    sent = next(message for message in one.requests[0].messages if message.id == seen.id)
    assert not any(isinstance(part, Image) for part in sent.parts)


async def test_what_nobody_answered_is_not_sent_for_being_pinned(client, one):
    """A message that was refused never reached a model, however long ago, and whatever is said of it."""
    talk = await begin(client, 1)
    one.fails(tertulia.InvalidRequestError("no", provider="one"))
    with pytest.raises(tertulia.InvalidRequestError):
        await talk.send("A question that is refused.")
    refused = (await talk.history())[-1]
    await talk.pin(refused)
    await chat(talk, 20)

    chosen = await talk.preview_context("And now?", context=RECENT)

    assert refused.id not in {message.id for message in chosen.messages}


async def test_what_is_hidden_between_two_readings_does_not_stop_the_reading(client):
    """Fewer messages are there than were read before, and all of them are found."""
    talk = await begin(client, 50)
    history = await talk.history()
    read = path.Path()
    newest = attrs.evolve(Message.of("user", "Now?"), depth=100, parent_id=history[-1].id)
    core = client._core
    await read.read(core, talk.id, "main", newest)
    await read.read_messages(core, talk.id, "main", 4)
    for message in history[:99]:
        await talk.hide(message)  # of which this path knows nothing, as that of another process

    await read.read_messages(core, talk.id, "main", None)

    assert (True, ["Answer 49: fine."]) == (read.is_whole, texts(read.messages))


async def test_a_branch_read_in_part_is_not_kept_whole(client, one):
    """However long a process goes on with a conversation, it remembers a bounded part of it."""
    talk = await begin(client, 20)
    kept = list[int]()
    for number in range(40):
        one.says("Well.")
        await talk.send(f"Question {number}?", context=RECENT)
        kept.append(len(talk._line.path.messages))

    assert max(kept) <= 50


async def test_a_long_conversation_that_fits_whole_is_not_read_anew_in_each_turn(client, one, store):
    """What was read is extended, until it has doubled."""
    talk = await begin(client, 20)
    one.says("Well.")
    await talk.send("Once.")
    store.handed_out = 0
    for _ in range(5):
        one.says("Well.")
        await talk.send("Again.")

    assert (0, 51) == (store.handed_out, len(one.requests[-1].messages))


async def test_a_window_of_messages_reads_no_more_than_it_takes(client, one, store):
    """Also where nobody knows how much the model can hold."""
    one.MODELS = ()
    talk = await begin(client, 80)
    store.handed_out = 0
    one.says("Well.")

    await talk.send("Now?", context=ContextOptions("recent", max_messages=5))

    assert (5, True) == (len(one.requests[0].messages), store.handed_out < 80)


async def test_pins_of_long_ago_are_looked_up_once(client, one, store):
    """What a pinned answer answers is the same in the next turn."""
    talk = await begin(client, 100)
    for message in (await talk.history())[1:21:2]:
        await talk.pin(message)
    wide = attrs.evolve(RECENT, max_tokens=600)
    one.says("Well.").says("Well.")
    await talk.send("Now?", context=wide)
    store.handed_out = 0

    await talk.send("And now?", context=wide)

    sent = texts(one.requests[-1].messages)
    assert {"Question 0: how is the weather there?", "Answer 9: fine."} <= {*sent}
    assert 0 == store.handed_out


async def test_many_pins_are_refused_at_once(client, one, store):
    """That they cannot fit is known from what they take together."""
    talk = await begin(client, 100)
    for message in (await talk.history())[1::2]:
        await talk.pin(message)
    store.handed_out = 0

    with pytest.raises(tertulia.ContextOverflowError, match="pinned"):
        await talk.preview_context("Now?", context=RECENT)

    assert store.handed_out < 100


async def test_what_expires_while_tools_are_at_work_is_not_sent_again(client, one, clock):
    """The context of a turn is remembered for its later steps, and what expires in between is left out."""
    talk = await begin(client, 1)
    secret = await talk.append(Message.of("user", "The code is 4711."))
    await talk.append(Message.of("assistant", "Noted."))
    await talk.mark(secret, expires_at=clock.now() + timedelta(minutes=1))

    def wait() -> str:
        """Wait."""
        clock.advance(120)
        return "Waited."

    one.calls(("wait", {})).says("Done.")

    await talk.send("Go.", tools=[wait])

    first, second = (texts(request.messages) for request in one.requests)
    assert (True, False) == ("The code is 4711." in first, "The code is 4711." in second)


async def test_another_way_to_choose_is_heeded_in_the_middle_of_a_turn(client, one):
    """The caller who hands in results says how the context is chosen now."""
    talk = await begin(client, 30)
    tool = tertulia.Tool("look", "Look.", {"type": "object", "properties": {}})
    one.calls(("look", {}))
    recall = attrs.evolve(RECENT, strategy="recall")
    reply = await talk.send("What was answer 2?", tools=[tool], context=recall)
    one.says("Done.")

    await talk.submit_results([call.result("sun") for call in reply.tool_calls], context=RECENT)

    first, second = (
        [message for message in request.messages if message.text.endswith("What was answer 2?")]
        for request in one.requests
    )
    assert (2, 1) == (len(first[0].parts), len(second[0].parts))


async def test_who_answered_last_goes_on_in_a_long_conversation(clock):
    """Sticky routing knows who that was without having read all of it."""
    one, two, store = ScriptedProvider("one"), ScriptedProvider("two"), MemoryStore(clock)
    async with reopen(store, clock, one, two) as client:
        talk = await begin(client, 20)
        await talk.append(Message.of("user", "Who?"))
        last = attrs.evolve(Message.of("assistant", "I, two."), provider="two", model="scripted-1")
        await talk.append(last)
    async with reopen(store, clock, one, two) as client:
        talk = await client.get(talk.id)
        two.says("Two.")

        reply = await talk.send(
            "Now?", fallback=["two"], routing=Routing(strategy=Strategy.CAPABLE, sticky=True), context=RECENT
        )

    assert "two" == reply.provider


async def test_who_takes_the_pictures_of_a_long_conversation_is_asked_first(clock):
    """What is needed is seen in what was said last."""
    blind, seeing, store = ScriptedProvider("one"), Seeing("two").says("A house."), MemoryStore(clock)
    async with reopen(store, clock, blind, seeing) as client:
        talk = await begin(client, 20)
        await talk.append(Message(Role.USER, (PICTURE, Text("My house."))))
        await talk.append(Message.of("assistant", "A fine house."))
    async with reopen(store, clock, blind, seeing) as client:
        talk = await client.get(talk.id)

        reply = await talk.send(
            "What is on it?", fallback=["two"], routing=Routing(strategy=Strategy.CAPABLE, sticky=False)
        )

    assert "two" == reply.provider


@pytest.mark.parametrize("few", [FEW, 1_000])
@pytest.mark.parametrize(
    "mark", [{"hidden": True}, {"expires_at": timedelta(minutes=1)}], ids=["hidden", "expired"]
)
async def test_what_is_hidden_stays_so_when_it_is_asked_again(client, one, clock, monkeypatch, few, mark):
    """Whoever asks a hidden message again sees it answered; it is in no later request."""
    monkeypatch.setattr(path, "WHOLE", few)
    talk = await begin(client, 3)
    one.says("A secret!").says("A secret.").says("Well.")
    await talk.send("The code is 4711.")
    secret = (await talk.history())[-2]
    mark = {name: clock.now() + each if isinstance(each, timedelta) else each for name, each in mark.items()}
    await talk.mark(secret, **mark)
    await talk.regenerate()
    clock.advance(120)

    await talk.send("And now?")

    assert "The code is 4711." not in texts(one.requests[-1].messages)


async def test_what_is_pinned_stays_so_when_it_is_asked_again(client, one, monkeypatch):
    """A later request of a small window holds it, in the process that asked."""
    monkeypatch.setattr(path, "WHOLE", 1_000)
    talk = await begin(client, 3)
    for number in range(40):
        one.says(f"Well {number}.")
    await talk.send("The code is 4711.")
    await talk.pin((await talk.history())[-2])
    await talk.regenerate()
    for number in range(30):
        await talk.send(f"Question {number}: how is the weather there?", context=RECENT)

    assert "The code is 4711." in texts(one.requests[-1].messages)


@pytest.mark.parametrize("few", [FEW, 1_000])
async def test_a_hidden_result_counts_alike_however_much_was_read(client, one, monkeypatch, few):
    """Where the recent messages begin does not depend on what a process has read."""
    monkeypatch.setattr(path, "WHOLE", few)
    talk = await begin(client, 3)
    look = tertulia.Tool("look", "Look.", {"type": "object", "properties": {}})
    one.calls(("look", {})).says("Fine.")
    reply = await talk.send("Look.", tools=[look])
    await talk.submit_results([call.result("sun") for call in reply.tool_calls], tools=[look])
    result = next(message for message in await talk.history() if message.role is Role.TOOL)
    await talk.hide(result)
    said = [message for message in await talk.history() if message is not result]
    read, newest = path.Path(), attrs.evolve(Message.of("user", "Now?"), depth=len(said) + 1)

    await read.read(client._core, talk.id, "main", newest)

    assert sum(message.tokens or 0 for message in said if message.id != result.id) == read.tokens
