"""What is shown of an answer: its words as they come, how it ended, and what was kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TextIO
from uuid import UUID

import click

import tertulia
from tertulia_cli.loop import is_echoed
from tertulia_cli.terminal import STATUS, note, sanitise

NOTHING_SENT = "nothing was sent"
WORTH_SAYING = 0.1


class Screen:
    """
    What a person sees of an answer: its words on ``out``, the rest beside it.

    Args:
        out: None where the words are shown later, as a whole.
        is_quiet: Whether waits, retries and fallbacks are not told.

    Attributes:
        has_shown: Whether anything of the answer came.
    """

    def __init__(self, out: TextIO | None, *, is_quiet: bool = False) -> None:
        self.has_shown = False
        self._out = out
        self._is_quiet = is_quiet
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
            case tertulia.Completed(reply=reply) if reply.was_stored:
                self._write(reply.text)  # which nobody gave just now
            case _ if self._is_quiet:
                pass
            case _ if (news := describe_news(event)) is not None:
                self._tell(news)
            case _:
                STATUS.clear()  # somebody answers, or works

    def end_line(self, interruption: KeyboardInterrupt | None = None) -> None:
        """Leave the line that the answer ended in, or that a terminal shows Ctrl-C in."""
        had_status = STATUS.clear()
        if self._in_line:
            self._write("\n")
        elif is_echoed(interruption) and not had_status:  # in that line Ctrl-C was shown, and is gone
            click.echo(err=True)

    def _tell(self, news: News) -> None:
        # In a pipe what goes on after a break is one text; a new beginning is another one.
        if self._is_terminal or news.begins_again:
            self.end_line()
        if news.stays:
            note(news.text, label=news.label, color="yellow")
        else:
            STATUS.show(news.text, label=news.label, color="yellow")

    def _write(self, text: str) -> None:
        STATUS.clear()
        if self._out is not None:
            self._out.write(sanitise(text) if self._is_terminal else text)
            self._out.flush()
            self._in_line = not text.endswith("\n")


class News(NamedTuple):
    """
    What happens to an answer on its way, in words.

    Attributes:
        stays: Whether it explains what is seen above it; else it is gone when something else is shown.

        begins_again: Whether the answer does.
    """

    label: str
    text: str
    stays: bool = False
    begins_again: bool = False


def describe_news(event: tertulia.Event) -> News | None:
    """Say what a wait, a failure or a new beginning is; None for what is none of them."""
    match event:
        case tertulia.Queued():
            return News("queue", f"waiting for {event.target}{_describe_wait(event)}")
        case tertulia.RetryScheduled(target=target, wait_seconds=seconds):
            again = f"asking it again in {seconds:.1f} s" if seconds else "asking it again"
            return News("retry", f"{target} failed ({_words(event.kind)}); {again}")
        case tertulia.FallbackTaken(failed=failed, kind=kind):
            what = f"failed ({_words(kind)})" if event.was_asked else f"is passed over ({_words(kind)})"
            return News("fallback", f"{failed} {what}; asking {event.next}")
        case tertulia.Restarted(target=target, kind=kind):
            what = f"the answer broke off{_reason(kind)}; {target} begins it again, on a branch of its own"
            return News("restart", what, stays=True, begins_again=True)
        case tertulia.Continued(target=target, kind=kind):
            return News("continue", f"the answer broke off{_reason(kind)}; {target} goes on", stays=True)
        case _:
            return None


def _describe_wait(event: tertulia.Queued) -> str:
    seconds = "" if event.wait_seconds is None else f", for {event.wait_seconds:.1f} s at least"
    if not event.position:
        return seconds
    calls = "1 call goes" if event.position == 1 else f"{event.position:,} calls go"
    return f"{seconds}; {calls} first"


def _reason(kind: tertulia.ErrorKind) -> str:
    return "" if kind is tertulia.ErrorKind.INTERRUPTED else f" ({_words(kind)})"


def note_end(reply: tertulia.Reply, *, explains: bool = False) -> None:
    """
    Say who answered, what it cost, and whatever was unusual about it.

    Args:
        explains: Whether to say what was sent, too.
    """
    for warning in reply.warnings:
        note(warning, label="note")
    if reply.was_stored:
        note("that message was sent before, so nobody was asked; this is its answer", label="note")
    if explains and reply.context is not None:
        note(describe_context(reply.context), label="context")
    note(", ".join([f"{reply.provider}/{reply.model}", *_describe_end(reply)]))


def describe_context(report: tertulia.ContextReport) -> str:
    """What was sent and what was left out, in one line."""
    budget = "" if report.budget is None else f" of {report.budget:,}"
    quoted = f"{len(report.recalled):,} of the past quoted" if report.recalled else ""
    left_out = (f"{left.count:,} left out ({left.reason})" for left in report.dropped)
    messages = "1 message" if report.kept_count == 1 else f"{report.kept_count:,} messages"
    pieces = [f"{messages} with {report.tokens:,}{budget} tokens", quoted, *left_out]
    return f"{report.strategy}, {', '.join(filter(None, pieces))}"


def _describe_end(reply: tertulia.Reply) -> Iterator[str]:
    # Of all attempts for the answer: one that failed may have cost money too.
    yield describe_costs(attempt.cost for attempt in reply.attempts)
    if reply.finish_reason is not tertulia.FinishReason.STOP:
        yield f"finish {reply.finish_reason}"
    failed = sum(attempt.outcome is not tertulia.AttemptOutcome.SUCCEEDED for attempt in reply.attempts)
    if failed:
        yield f"after {failed} failed call{'s' if failed > 1 else ''}"
    if reply.queued_seconds >= WORTH_SAYING:
        yield f"queued for {reply.queued_seconds:.1f} s"


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
