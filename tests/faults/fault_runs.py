"""Plays faults to a client, several at a time, and compares how they end with how they must."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from fault_cases import WELL_STREAMED, says
from fault_player import Fault, FaultPlayer

import tertulia
from tertulia import AttemptOutcome, ErrorKind, MessageStatus

OTHER = "other"
"""The provider that nothing is wrong with."""

_QUICK = 5

Outcome: TypeAlias = tuple[str, str, MessageStatus]
"""The role, text and status of a message."""


@attrs.frozen
class Ending:
    """
    How one fault ended.

    Attributes:
        error: What was raised; None for an answer.

        reply: The answer; None for an error.

        shown: What the caller saw, of the last one who spoke.

        requests: How often the provider with the fault was asked, as it counts itself.

        gaps: The seconds between those.

        branches: The messages of each branch, as they are stored.

        attempts: Who was asked, what became of it, and why, by the ledger.
    """

    error: BaseException | None
    reply: tertulia.Reply | None
    shown: str
    seconds: float
    requests: int
    gaps: Sequence[float]
    branches: Sequence[Sequence[Outcome]]
    attempts: Sequence[tuple[str, AttemptOutcome, ErrorKind | None]]

    @property
    def fell_back(self) -> bool:
        """Whether the other provider was asked."""
        return any(provider == OTHER for provider, _, _ in self.attempts)


@attrs.frozen
class Played:
    """A fault, and how it ended for a client with no other provider, and for one with another."""

    fault: Fault
    alone: Ending
    beside: Ending


async def play_all(
    faults: Sequence[Fault], folder: Path, timeouts: Mapping[str, float], turns: asyncio.Semaphore
) -> list[Played]:
    """
    Play every fault twice, several at the same time.

    Args:
        faults: What to play.
        folder: For the database.
        timeouts: Of every provider.
        turns: How many are played at a time, beside those that only wait.
    """
    well = Fault("well", "well", "openai", True, says(), attempts=[WELL_STREAMED])
    cases = [(fault, place) for fault in faults for place in ("alone", "beside")]
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(FaultPlayer(well))
        players = [await stack.enter_async_context(FaultPlayer(fault)) for fault, _ in cases]
        providers = {OTHER: _configure(well, other.url, timeouts)} | {
            f"p{number}": _configure(fault, player.url, timeouts)
            for number, ((fault, _), player) in enumerate(zip(cases, players, strict=True))
        }
        opening = tertulia.open(store=f"sqlite:///{folder / 'faults.db'}", providers=providers, environ={})
        client = await stack.enter_async_context(opening)
        await client.ask("Hi", provider=OTHER)  # what is loaded on first use is nobody's delay

        async def play(number: int, fault: Fault, fallback: Sequence[str]) -> Ending:
            async with nullcontext() if fault.expect.max_seconds > _QUICK else turns:
                return await _play(client, f"p{number}", fault, players[number], fallback)

        endings = await asyncio.gather(
            *(
                play(number, fault, [OTHER] if place == "beside" else [])
                for number, (fault, place) in enumerate(cases)
            )
        )
    pairs = zip(faults, endings[::2], endings[1::2], strict=True)
    return [Played(fault, alone, beside) for fault, alone, beside in pairs]


def _configure(fault: Fault, url: str, timeouts: Mapping[str, float]) -> dict[str, Any]:
    return {
        "driver": fault.dialect,
        "base_url": url,
        "api_key": "a-key-of-ours",
        "model": "fake-1",
        "timeouts": dict(timeouts),
    }


async def _play(
    client: tertulia.Client, name: str, fault: Fault, player: FaultPlayer, fallback: Sequence[str]
) -> Ending:
    clock = asyncio.get_running_loop().time
    conversation = await client.start(provider=name)
    routing = tertulia.Routing(on_interrupt="restart" if fallback else "keep")
    shown: list[str] = []
    reply: tertulia.Reply | None = None
    error: BaseException | None = None
    began = clock()
    try:
        if fault.stream:
            reply = await _read(conversation.stream("Hi", fallback=fallback, routing=routing), shown)
        else:
            reply = await conversation.send("Hi", fallback=fallback, routing=routing)
            shown = [reply.text]
    except BaseException as caught:  # noqa: BLE001  # what it is, is what is looked at
        error = caught
    return Ending(
        error=error,
        reply=reply,
        shown="".join(shown),
        seconds=clock() - began,
        requests=len(player.requests) or player.connections,
        gaps=player.gaps,
        branches=[
            await _read_branch(client, conversation, branch.name) for branch in await conversation.branches()
        ],
        attempts=[
            (attempt.provider, attempt.outcome, attempt.error_kind)
            for attempt in await conversation.attempts()
        ],
    )


async def _read(answer: tertulia.ReplyStream, shown: list[str]) -> tertulia.Reply:
    async with answer:
        async for event in answer:
            match event:
                case tertulia.Restarted():
                    shown.clear()
                case tertulia.TextDelta(text=text):
                    shown.append(text)
                case _:
                    pass
    return answer.reply


async def _read_branch(
    client: tertulia.Client, conversation: tertulia.Conversation, branch: str
) -> list[Outcome]:
    opened = await client.get(conversation.id, branch=branch)
    return [(str(message.role), message.text, message.status) for message in await opened.history()]


def find_problems(played: Played) -> Iterator[str]:
    """Say in what a fault ended otherwise than it must."""
    expect, alone = played.fault.expect, played.alone
    yield from _compare_outcome(played.fault, alone)
    yield from _compare_requests(played.fault, alone)
    yield from _compare_store(played.fault, alone)
    for ending in (alone, played.beside):
        if ending.seconds > expect.max_seconds:
            yield f"it took {ending.seconds:.1f} s, and may take {expect.max_seconds}"
        if ending.error is not None and not isinstance(ending.error, tertulia.TertuliaError):
            yield f"{ending.error!r} is none of our errors"
    yield from _compare_fallback(played.fault, played.beside)


def is_cut(fault: Fault) -> bool:
    """Whether a part was shown before the fault."""
    return "interrupted" in fault.expect.stored


def find_text(fault: Fault) -> str | None:
    """What must be shown; None where that is not said."""
    text = fault.expect.text
    repeated = re.fullmatch(r"@(\d+)(.)", text or "")
    return text if repeated is None else repeated[2] * int(repeated[1])


def _compare_outcome(fault: Fault, ending: Ending) -> Iterator[str]:
    expect, error = fault.expect, ending.error
    if expect.outcome == "text":
        if ending.reply is None or ending.reply.text != find_text(fault):
            yield f"the answer should be {expect.text!r}, and is {ending.reply!r:.200} {error!r:.200}"
        return
    if not isinstance(error, tertulia.TertuliaError):
        yield f"there should be an error, and is {ending.reply!r:.200} {error!r:.200}"
        return
    if is_cut(fault) is not isinstance(error, tertulia.StreamInterruptedError):
        yield f"it should be {'' if is_cut(fault) else 'no '}interruption: {error!r}"
    if error.kind != expect.kind:
        yield f"the kind should be {expect.kind}, and is {error.kind}"
    if (text := find_text(fault)) is not None and text != ending.shown:
        yield f"{text!r} should be shown, and {ending.shown!r} was"


def _compare_requests(fault: Fault, ending: Ending) -> Iterator[str]:
    retry = fault.expect.retry
    counts = {"no": (1,), "once": (2,)}.get(retry, (2, 3))
    tries = sum(1 for provider, _, _ in ending.attempts if provider != OTHER)
    if tries not in counts:
        yield f"with retry {retry!r} it was asked {tries} times"
    # The last attempt of a send that runs out of time may have a row, and no request.
    least = tries - 1 if fault.expect.kind == "timeout" else tries
    if fault.target == "server" and not least <= ending.requests <= tries:
        yield f"{tries} attempts are in the ledger, and {ending.requests} came"
    if (wait := re.fullmatch(r"after >=([\d.]+) s", retry)) and min(ending.gaps) < float(wait[1]):
        yield f"it should wait {wait[1]} s, and waited {min(ending.gaps):.3f}"


def _compare_store(fault: Fault, ending: Ending) -> Iterator[str]:
    stored = [message for branch in ending.branches for message in branch]
    if fault.expect.outcome == "text":
        expected = [("user", "Hi", _COMPLETE), ("assistant", find_text(fault), _COMPLETE)]
    elif is_cut(fault):
        expected = [("user", "Hi", _COMPLETE), ("assistant", ending.shown, MessageStatus.INTERRUPTED)]
    else:
        expected = [("user", "Hi", MessageStatus.FAILED)]
    if expected[1:] != stored[1:] or expected[0][:2] != stored[0][:2]:
        yield f"stored should be {expected!r:.200}, and is {stored!r:.200}"
    outcome, kind = ending.attempts[-1][1:] if ending.attempts else (None, None)
    if fault.expect.outcome == "error" and (outcome is AttemptOutcome.SUCCEEDED or kind is None):
        yield f"the last attempt should have its error, and is {outcome}, {kind}"


_COMPLETE = MessageStatus.COMPLETE


def _compare_fallback(fault: Fault, ending: Ending) -> Iterator[str]:
    falls_back = fault.expect.fallback in ("yes", "policy")
    if falls_back is not ending.fell_back:
        yield f"the other should {'' if falls_back else 'not '}be asked: {ending.attempts}"
    if falls_back and (ending.reply is None or ending.reply.text != "Hello world"):
        yield f"the other should answer: {ending.reply!r:.200} {ending.error!r:.200}"


def render_table(played: Sequence[Played]) -> str:
    """A line for each fault: how it ended, how often was asked, and how long it took."""
    rows = [
        "{fault.id:50.50} {ending:22} {asked:5} {beside:9} {seconds:6.2f} s  {verdict}".format(
            fault=each.fault,
            ending="answer"
            if each.alone.error is None
            else str(getattr(each.alone.error, "kind", each.alone.error)),
            asked=each.alone.requests,
            beside="fell back" if each.beside.fell_back else "",
            seconds=each.alone.seconds,
            verdict="; ".join(find_problems(each)) or "as it must",
        )
        for each in played
    ]
    return "\n".join(rows)
