"""``tertulia ask``: one question, and its answer as it comes."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import attrs

import tertulia
from tertulia_cli.access import Access, open_client
from tertulia_cli.answers import (
    NOTHING_SENT,
    Screen,
    describe_kept,
    note_end,
    render_cost,
    say_where,
    title_of,
)
from tertulia_cli.loop import exit_code, run
from tertulia_cli.terminal import note, write_json


@attrs.frozen
class Question:
    """
    What to ask, and of whom.

    Attributes:
        attached: Files that go with it.
    """

    text: str
    access: Access
    system: str | None = None
    attached: Sequence[tertulia.Media] = ()
    as_json: bool = False


def ask_question(question: Question) -> int:
    """Ask, and return the exit code."""
    asking = _Asking(question)
    try:
        reply = run(asking.ask())
    except KeyboardInterrupt as interruption:
        asking.screen.end_line(interruption)
        note(asking.kept, label="interrupted", color="yellow")
        return exit_code(interruption)
    except tertulia.TertuliaError as error:
        asking.advise(error)
        if question.as_json and isinstance(error, tertulia.StoreError) and error.reply is not None:
            write_json(_render(error.reply, asking.conversation_id))
        raise
    finally:
        asking.screen.end_line()
    if question.as_json:
        write_json(_render(reply, asking.conversation_id))
    note_end(reply)
    return 0


class _Asking:
    """
    A question on its way.

    Attributes:
        kept: What the store holds of it, in words, for when it is interrupted.

        conversation_id: Where it is; None until it is anywhere.
    """

    def __init__(self, question: Question) -> None:
        self.screen = Screen(None if question.as_json else sys.stdout)
        self.kept = NOTHING_SENT
        self.conversation_id: UUID | None = None
        self._question = question
        self._is_kept = True

    async def ask(self) -> tertulia.Reply:
        question = self._question
        access = question.access
        async with AsyncExitStack() as stack:
            opened = await open_client(access, stack)
            self._is_kept = opened.is_kept
            conversation = await opened.client.start(
                title_of(question.text), provider=access.provider, model=access.model, system=question.system
            )
            self.conversation_id = conversation.id
            stream = conversation.stream(question.text, attach=question.attached, fallback=access.fallback)
            try:
                return await self.screen.play(stream)
            except asyncio.CancelledError:
                newest = await conversation.history(limit=1)
                kept, _ = describe_kept(newest, was_shown=self.screen.has_shown)
                self.kept = say_where(kept, conversation.id, outlives=self._is_kept)
                raise

    def advise(self, error: tertulia.TertuliaError) -> None:
        """Let an error say what is kept, and how to go on, on the command line."""
        if not self._is_kept:
            error.kept = None
        if isinstance(error, tertulia.StreamInterruptedError):
            store = self._question.access.store
            # A URL with a password is typed, and not shown.
            where = f" --store {shlex.quote(store)}" if store and "@" not in store else ""
            again = (
                f'"tertulia chat --conversation {self.conversation_id}{where}" and /resume ask for the rest'
            )
            error.next_step = again if self._is_kept else "ask again"


def _render(reply: tertulia.Reply, conversation_id: UUID | None) -> dict[str, Any]:
    return {
        "text": reply.text,
        "provider": reply.provider,
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "usage": attrs.asdict(reply.usage),
        "cost": render_cost(reply.cost),
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
        "cost": render_cost(attempt.cost),
        "latency_seconds": attempt.latency_seconds,
    }
