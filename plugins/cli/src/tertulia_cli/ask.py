"""``tertulia ask``: one question, and its answer as it comes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, TextIO
from uuid import UUID

import attrs

import tertulia
from tertulia_cli.exits import INTERRUPTED
from tertulia_cli.terminal import note, run, sanitise, write_json

TITLE_LENGTH = 60


@attrs.frozen
class Question:
    """
    What to ask, whom, and where to keep it.

    Attributes:
        fallback: ``provider`` or ``provider/model`` in order; None for the configured ones.

        store: None for the configured one.
    """

    text: str
    provider: str | None
    model: str | None
    system: str | None
    fallback: Sequence[str] | None
    store: str | None
    simulator: bool
    as_json: bool

    @property
    def is_kept(self) -> bool:
        """Whether the store outlives the command."""
        return (self.store or os.environ.get("TERTULIA_STORE")) != "memory:"


def ask_question(question: Question) -> int:
    """Ask, and return the exit code."""
    screen = _Screen(None if question.as_json else sys.stdout)
    try:
        conversation_id, reply = run(_ask(question, screen))
    except KeyboardInterrupt:
        screen.end_line()
        note(screen.kept, label="interrupted", color="yellow")
        return INTERRUPTED
    except tertulia.TertuliaError as error:
        error.kept = error.kept if question.is_kept else None
        raise
    finally:
        screen.end_line()
    if question.as_json:
        write_json(_render(reply, conversation_id))
    _note_end(reply)
    return 0


async def _ask(question: Question, screen: _Screen) -> tuple[UUID, tertulia.Reply]:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            tertulia.open(
                store=question.store,
                providers=await _simulate(stack) if question.simulator else None,
                # Also here, so that an unknown name is refused before anything is stored.
                fallback=question.fallback,
            )
        )
        conversation = await client.start(
            " ".join(question.text.split())[:TITLE_LENGTH],
            provider=question.provider,
            model=question.model,
            system=question.system,
        )
        try:
            async with conversation.stream(question.text, fallback=question.fallback) as stream:
                async for event in stream:
                    screen.show(event)
        except asyncio.CancelledError:
            screen.kept = _kept(await conversation.history(), conversation.id, is_kept=question.is_kept)
            raise
        return conversation.id, stream.reply


async def _simulate(stack: AsyncExitStack) -> dict[str, dict[str, str]]:
    from tertulia_simulator import Simulator

    simulator = await stack.enter_async_context(Simulator())
    note(f"no key, no bill: the services are simulated at {simulator.url}", label="simulator")
    return simulator.providers()


class _Screen:
    """
    What a person sees of an answer: its words on ``out``, the rest beside it.

    Attributes:
        kept: What the store holds of it, in words, for when it is interrupted.
    """

    def __init__(self, out: TextIO | None) -> None:
        self.kept = "nothing was sent"
        self._out = out
        # What goes into a pipe is not for a terminal's eyes, and goes unchanged.
        self._is_terminal = out is not None and out.isatty()
        self._in_line = False

    def show(self, event: tertulia.Event) -> None:
        match event:
            case tertulia.TextDelta(text=text):
                self._write(text)
            case tertulia.FallbackTaken(failed=failed, next=following, kind=kind):
                note(
                    f"{failed} failed ({_words(kind)}); asking {following}", label="fallback", color="yellow"
                )
            case tertulia.RetryScheduled(target=target, kind=kind, wait_seconds=seconds):
                note(f"{target} failed ({_words(kind)}); asking it again in {seconds:.1f} s", label="retry")
            case tertulia.Restarted(target=target):
                self.end_line()
                note(f"{target} begins the answer again", label="restart", color="yellow")
            case _:
                pass

    def end_line(self) -> None:
        """Leave the line that the answer ended in."""
        if self._in_line:
            self._write("\n")

    def _write(self, text: str) -> None:
        if self._out is not None:
            self._out.write(sanitise(text) if self._is_terminal else text)
            self._out.flush()
            self._in_line = not text.endswith("\n")


def _kept(history: Sequence[tertulia.Message], conversation_id: UUID, *, is_kept: bool) -> str:
    if not is_kept:
        return "nothing is kept, because the store is in memory"
    where = f"in conversation {conversation_id}"
    match history[-1].role if history else None:
        case tertulia.Role.ASSISTANT:
            return f"your message and what you saw of the answer are kept {where}"
        case tertulia.Role.USER:
            return f"your message is kept {where}"
        case _:
            return "nothing was sent"


def _note_end(reply: tertulia.Reply) -> None:
    for warning in reply.warnings:
        note(warning, label="note")
    finish = "" if reply.finish_reason is tertulia.FinishReason.STOP else f", finish {reply.finish_reason}"
    note(f"{reply.provider}/{reply.model}, {_cost(reply)}{finish}")


def _cost(reply: tertulia.Reply) -> str:
    """Of all attempts for the answer: one that failed may have cost money too."""
    total = tertulia.CostTotal.of(attempt.cost for attempt in reply.attempts)
    return "cost unknown" if total.unknown_count == len(reply.attempts) else str(total)


def _words(kind: tertulia.ErrorKind) -> str:
    return kind.replace("_", " ")


def _render(reply: tertulia.Reply, conversation_id: UUID) -> dict[str, Any]:
    return {
        "text": reply.text,
        "provider": reply.provider,
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "usage": attrs.asdict(reply.usage),
        "cost": _render_cost(reply.cost),
        "conversation": str(conversation_id),
        "attempts": [_render_attempt(attempt) for attempt in reply.attempts],
        "warnings": list(reply.warnings),
    }


def _render_attempt(attempt: tertulia.Attempt) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "outcome": attempt.outcome,
        "error_kind": attempt.error_kind,
        "error": attempt.error_message,
        "cost": _render_cost(attempt.cost),
        "latency_seconds": attempt.latency_seconds,
    }


def _render_cost(cost: tertulia.Cost | None) -> str | None:
    return None if cost is None else f"{cost.usd:f}"
