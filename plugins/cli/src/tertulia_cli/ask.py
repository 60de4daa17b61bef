"""``tertulia ask``: one question, and its answer as it comes."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from enum import Enum
from typing import Any
from uuid import UUID

import attrs

import tertulia
from tertulia_cli.access import Access, open_client, take_up
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


class Asked(Enum):
    """What is asked for: an answer to something new, the rest of one, or one to what has none."""

    SAY = "say"
    RESUME = "resume"
    RETRY = "retry"


@attrs.frozen
class Question:
    """
    What to ask, and of whom.

    Attributes:
        text: None for what is stored already.

        branch: Where a stored conversation is gone on with; None for where it was last.

        attached: Files that go with it.

        client_id: The name of the message; None without one.
    """

    access: Access
    text: str | None
    asked: Asked = Asked.SAY
    system: str | None = None
    branch: str | None = None
    attached: Sequence[tertulia.Media] = ()
    client_id: str | None = None
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
    note_end(reply, explains=question.access.explains)
    if asking.new_branch is not None:
        note(f"on the new branch {asking.new_branch}")
    return 0


class _Asking:
    """
    A question on its way.

    Attributes:
        kept: What the store holds of it, in words, for when it is interrupted.

        conversation_id: Where it is; None until it is anywhere.

        new_branch: The branch that was made for the answer; None without one.
    """

    def __init__(self, question: Question) -> None:
        self.screen = Screen(None, is_quiet=True) if question.as_json else Screen(sys.stdout)
        self.kept = NOTHING_SENT
        self.conversation_id: UUID | None = None
        self.new_branch: str | None = None
        self._question = question
        self._is_kept = True

    async def ask(self) -> tertulia.Reply:
        async with AsyncExitStack() as stack:
            opened = await open_client(self._question.access, stack)
            self._is_kept = opened.is_kept
            conversation = await self._find_conversation(opened.client)
            self.conversation_id = conversation.id
            before = conversation.branch
            try:
                reply = await self.screen.play(self._begin(conversation))
            except asyncio.CancelledError:
                newest = await conversation.history(limit=1)
                kept, _ = describe_kept(newest, was_shown=self.screen.has_shown)
                self.kept = say_where(kept, conversation.id, outlives=self._is_kept)
                raise
            self.new_branch = None if conversation.branch == before else conversation.branch
            return reply

    async def _find_conversation(self, client: tertulia.Client) -> tertulia.Conversation:
        question, access = self._question, self._question.access
        if access.conversation is not None:
            return await take_up(client, access, question.branch)
        return await client.start(
            title_of(question.text or ""),
            provider=access.provider,
            model=access.model,
            system=question.system,
        )

    def _begin(self, conversation: tertulia.Conversation) -> tertulia.ReplyStream:
        question, asking = self._question, self._question.access.asking()
        match question.asked:
            case Asked.RESUME:
                return conversation.resume(**asking)
            case Asked.RETRY:
                return conversation.retry(**asking)
            case Asked.SAY:
                if question.client_id is not None:
                    asking["client_id"] = question.client_id
                return conversation.stream(question.text or "", attach=question.attached, **asking)

    def advise(self, error: tertulia.TertuliaError) -> None:
        """Let an error say what is kept, and how to go on, on the command line."""
        if not self._is_kept:
            error.kept = None
        error.next_step = self._find_next_step(error) or error.next_step

    def _find_next_step(self, error: tertulia.TertuliaError) -> str | None:
        """What to type next; None where the error's own words will do."""
        store, is_kept = self._question.access.store, error.kept is not None
        # A URL with a password is typed, and not shown.
        where = (
            f"{self.conversation_id}{f' --store {shlex.quote(store)}' if store and '@' not in store else ''}"
        )
        match error:
            case tertulia.StreamInterruptedError():
                return f'"tertulia resume {where}" asks for the rest' if self._is_kept else "ask again"
            case tertulia.ProviderError(retryable=True) if is_kept:
                return f'"tertulia retry {where}" asks again'
            case tertulia.BudgetExceededError() if is_kept and self._could_be_shorter(error):
                shorter = f'"tertulia retry {where} --max-output-tokens 1000" asks for a shorter answer'
                return f"{error.next_step}: {shorter}"
            case tertulia.BranchError() if self.conversation_id is not None:
                return f'"tertulia ask --conversation {where} TEXT" goes on'
            case _:
                return None

    def _could_be_shorter(self, error: tertulia.BudgetExceededError) -> bool:
        return error.needed is not None and self._question.access.max_output_tokens is None


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
        "queued_seconds": round(reply.queued_seconds, 3),
        "was_stored": reply.was_stored,
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
        "queued_seconds": attempt.queued_seconds,
    }
