"""Conversations by chance: whatever may stand in a history, and whatever may be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import attrs
from context_listeners import SERVICES, Heard

import tertulia
from tertulia import (
    Audio,
    Client,
    ContextOptions,
    Conversation,
    Document,
    Image,
    Message,
    MessageStatus,
    OpaqueState,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from tertulia.testing import StandingClock

STRATEGIES = ("recall", "recent", "important", "summary")
BUDGETS = (None, 10, 60, 150, 300, 600, 600, 1_200, 1_200, 2_500, 2_500, 5_000)
WORDS = (
    "bridge river museum ticket invoice password server deploy garden sister train hotel Lisbon Porto",
    "Brücke Fluss Museum Fahrkarte Rechnung Kennwort Garten Schwester Zug",
    "桥 河 博物馆 车票 发票 密码 花园 姐姐 火车",
    "جسر نهر متحف تذكرة فاتورة حديقة أخت قطار",
)
PICTURE = Image(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f8"
        "0f00010501012718e3660000000049454e44ae426082"
    ),
    "image/png",
)


def make_chance(seed: object) -> Random:
    """Chance that can be repeated."""
    return Random(str(seed))  # noqa: S311  # that is what it is for


class Speaker:
    """Says things by chance, each of them once."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self._said = 0

    def text(self) -> str:
        """A sentence that nobody has said, in some language; now and then a long one."""
        self._said += 1
        words = self.chance.choice(WORDS).split()
        length = self.chance.choice((1, 4, 4, 12, 12, 30, 200))
        return f"No. {self._said}: " + " ".join(self.chance.choices(words, k=length)) + "."

    def turn(self) -> list[Message]:
        """What may follow each other in a history, for good or ill."""
        chance = self.chance
        kinds = (self.pair, self.pair, self.pair, self.tools, self.tools, self.file, self.oddity)
        return chance.choice(kinds)()

    def user(self, *parts: Part, status: MessageStatus = MessageStatus.COMPLETE) -> Message:
        return Message(Role.USER, (*parts, Text(self.text())), status=status)

    def assistant(self, *parts: Part) -> Message:
        return Message(Role.ASSISTANT, (*parts, Text(self.text())), provider=self.chance.choice(SERVICES))

    def pair(self) -> list[Message]:
        return [self.user(), self.assistant()]

    def tools(self) -> list[Message]:
        """Parallel calls, and results of all, some or none of them, in one message or several."""
        chance = self.chance
        self._said += 1
        ids = [f"call_{self._said}_{number}" for number in range(chance.randint(1, 3))]
        if chance.random() < 0.1:
            ids = ids[:1] * len(ids)  # as some servers do
        calls = [ToolCall(each, "look", {"at": self.text()}) for each in ids]
        words = (Text(self.text()),) if chance.random() < 0.3 else ()
        results = [ToolResult(each, "look", self.text()) for each in ids if chance.random() < 0.9]
        if chance.random() < 0.5:
            answers = [Message(Role.TOOL, (each,)) for each in results]
        else:
            answers = [Message(Role.TOOL, tuple(results))] if results else []
        asked = Message(Role.ASSISTANT, (*words, *calls), provider=chance.choice(SERVICES))
        ending = [self.assistant()] if chance.random() < 0.85 else []
        return [self.user(), asked, *answers, *ending]

    def file(self) -> list[Message]:
        """Something attached: a text, a picture, a sound; now and then the same one again."""
        words = self.chance.choice((self.text() * 5, "The terms of the lease. " * 20))
        notes = Document(words.encode(), "text/plain", name="notes.txt")
        part = self.chance.choice((notes, PICTURE, Audio(b"RIFF" * 50, "audio/wav")))
        return [self.user(part), self.assistant()]

    def oddity(self) -> list[Message]:
        """What a history should not hold, and may."""
        thought = Reasoning("hm", OpaqueState(self.chance.choice(SERVICES), {"type": "reasoning", "id": "r"}))
        lost = ToolResult(f"lost_{self._said}", "look", self.text())
        return self.chance.choice(
            (
                [self.user(status=MessageStatus.FAILED)],
                [self.user()],
                [self.assistant()],
                [self.user(), self.assistant(thought)],
                [Message(Role.TOOL, (lost,))],
                [Message.of(Role.SYSTEM, self.text())],
                [attrs.evolve(self.assistant(), status=MessageStatus.INTERRUPTED)],
            )
        )


@attrs.frozen
class World:
    """
    One request in the making, and all that is known of its conversation.

    Attributes:
        history: What was stored on the branch when it was asked, oldest first.

        options: As of the call.

        question: What is said.
    """

    seed: int
    service: str
    talk: Conversation
    history: Sequence[Message]
    options: ContextOptions
    question: str
    tools: Sequence[Any] = ()
    now: Any = None


@attrs.frozen
class Outcome:
    """What became of it: what the provider has heard, or why it has not."""

    heard: Sequence[Heard] = ()
    reply: tertulia.Reply | None = None
    error: tertulia.TertuliaError | None = None
    newest: Message | None = None


def look(at: str) -> str:
    """Look at something."""
    return f"There is {at}."


async def make_world(client: Client, clock: StandingClock, seed: int) -> World:
    """Make a conversation of a seed, by appending what was said elsewhere, and decide what is asked of it."""
    chance = make_chance(seed)
    speaker = Speaker(chance)
    service = SERVICES[seed % len(SERVICES)]
    system = chance.choice((None, "Be brief.", speaker.text()))
    talk = await client.start(provider=service, system=system)
    said = await say(talk, speaker, chance.choice((0, 1, 3, 8, 16)))
    if said and chance.random() < 0.3:
        talk = await talk.fork(at=chance.choice(said))
        said += await say(talk, speaker, chance.randint(0, 4))
    await mark(talk, said, chance, clock)
    options = ContextOptions(
        strategy=chance.choice((None, *STRATEGIES)),
        max_tokens=chance.choice(BUDGETS),
        max_messages=chance.choice((None, None, None, 1, 2, 5, 10)),
        recall=chance.choice((None, "always", "never")),
        optimise=chance.choice((None, "off", "superseded")),
    )
    question = f"{speaker.text()} What was that of the {chance.choice(WORDS[0].split())}?"
    tools = (look,) if chance.random() < 0.2 else ()
    return World(seed, service, talk, await talk.history(), options, question, tools, clock.now())


async def say(talk: Conversation, speaker: Speaker, turns: int) -> list[Message]:
    """Append so many turns."""
    return [await talk.append(message) for _ in range(turns) for message in speaker.turn()]


async def mark(talk: Conversation, said: Sequence[Message], chance: Random, clock: StandingClock) -> None:
    """Say something of some of the messages."""
    pins = chance.choice((0, 0, 0.1, 0.3))
    for message in said:
        is_pinned, is_hidden = chance.random() < pins, chance.random() < 0.06
        if message.role is Role.TOOL:  # of a hidden result it is said that it is not shown: nothing to pin
            is_pinned = is_pinned and not is_hidden
        await talk.mark(message, pinned=is_pinned, hidden=is_hidden)
        if chance.random() < 0.06:
            later = timedelta(seconds=chance.choice((-60, 60)))
            await talk.mark(message, expires_at=clock.now() + later)
        if chance.random() < 0.1:
            await talk.mark(message, importance=chance.random())


async def ask(world: World, provider: Any) -> Outcome:
    """Ask as anybody would."""
    provider.heard.clear()
    provider.calls[:] = [[ToolCall("now_1", "look", {"at": "it"})]] if world.tools else []
    try:
        reply = await world.talk.send(world.question, tools=world.tools, context=world.options, fallback=())
    except tertulia.TertuliaError as error:
        newest = (await world.talk.history())[len(world.history)]
        return Outcome(list(provider.heard), error=error, newest=newest)
    newest = (await world.talk.history())[len(world.history)]
    return Outcome(list(provider.heard), reply, newest=newest)
