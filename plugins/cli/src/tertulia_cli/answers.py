"""What is shown of an answer: its words as they come, how it ended, and what was kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO
from uuid import UUID

import click

import tertulia
from tertulia_cli.loop import is_echoed
from tertulia_cli.terminal import note, sanitise

NOTHING_SENT = "nothing was sent"


class Screen:
    """
    What a person sees of an answer: its words on ``out``, the rest beside it.

    Args:
        out: None where the words are shown later, as a whole.

    Attributes:
        has_shown: Whether anything of the answer came.
    """

    def __init__(self, out: TextIO | None) -> None:
        self.has_shown = False
        self._out = out
        # What goes into a pipe is not for a terminal's eyes, and goes unchanged.
        self._is_terminal = out is not None and out.isatty()
        self._in_line = False

    async def play(self, stream: tertulia.ReplyStream) -> tertulia.Reply:
        """Show an answer as it comes, and return it."""
        async with stream:
            async for event in stream:
                self.show(event)
        return stream.reply

    def show(self, event: tertulia.Event) -> None:
        """Show what happened, if it is anything to see."""
        match event:
            case tertulia.TextDelta(text=text):
                self.has_shown = True
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

    def end_line(self, interruption: KeyboardInterrupt | None = None) -> None:
        """Leave the line that the answer ended in, or that a terminal shows Ctrl-C in."""
        if self._in_line:
            self._write("\n")
        elif is_echoed(interruption):
            click.echo(err=True)

    def _write(self, text: str) -> None:
        if self._out is not None:
            self._out.write(sanitise(text) if self._is_terminal else text)
            self._out.flush()
            self._in_line = not text.endswith("\n")


def note_end(reply: tertulia.Reply) -> None:
    """Say who answered, what it cost, and whatever was unusual about it."""
    for warning in reply.warnings:
        note(warning, label="note")
    finish = "" if reply.finish_reason is tertulia.FinishReason.STOP else f", finish {reply.finish_reason}"
    # Of all attempts for the answer: one that failed may have cost money too.
    cost = describe_costs(attempt.cost for attempt in reply.attempts)
    note(f"{reply.provider}/{reply.model}, {cost}{finish}")


def describe_kept(newest: Sequence[tertulia.Message], *, was_shown: bool) -> tuple[str, str]:
    """
    What the store holds of a message that was interrupted, in words, and how a chat goes on with it.

    Args:
        newest: The newest message of its branch, where there is any.
        was_shown: Whether anything of the answer was.
    """
    match newest[-1] if newest else None:
        case tertulia.Message(status=tertulia.MessageStatus.INTERRUPTED):
            return "your message and what you saw of the answer are kept", "/resume asks for the rest"
        case tertulia.Message(role=tertulia.Role.ASSISTANT) if was_shown:
            return "your message and the answer are kept", "it was complete"
        case tertulia.Message(role=tertulia.Role.ASSISTANT):
            return "what was said before is kept", "there is no other answer yet"
        case tertulia.Message(role=tertulia.Role.USER):
            return "your message is kept", "/resume asks again"
        case _:
            return NOTHING_SENT, "say something"


def say_where(kept: str, conversation_id: UUID, *, outlives: bool) -> str:
    """Say in which conversation something is kept, or that it is gone when the command ends."""
    if kept == NOTHING_SENT:
        return kept
    if not outlives:
        return "nothing is kept, because the store is in memory"
    return f"{kept} in conversation {conversation_id}"


def describe_bill(report: tertulia.CostReport) -> list[tuple[str, str]]:
    """What each provider cost, and all of them."""
    return [
        *((provider, str(total)) for provider, total in report.by_provider.items()),
        ("total", str(report.total)),
    ]


def describe_costs(costs: Iterable[tertulia.Cost | None]) -> str:
    """
    A sum of costs in words.

    Example:
        >>> describe_costs([None]), describe_costs([])
        ('cost unknown', '$0')
    """
    known = list(costs)
    total = tertulia.CostTotal.of(known)
    return "cost unknown" if known and total.unknown_count == len(known) else str(total)


def render_cost(cost: tertulia.Cost | tertulia.CostTotal | None) -> str | None:
    """An amount for JSON: a decimal number of dollars as text."""
    return None if cost is None else f"{cost.usd:f}"


def title_of(text: str, length: int = 60) -> str | None:
    """The first words of a message, for a conversation's title; None where there are none."""
    return " ".join(text.split())[:length] or None


def _words(kind: tertulia.ErrorKind) -> str:
    return kind.replace("_", " ")
