"""``tertulia compare``: one message to several targets, and their answers one below the other."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import attrs
import click

import tertulia
from tertulia_cli.access import Access, open_client, take_up
from tertulia_cli.answers import NOTHING_SENT, News, describe_news, render_cost, say_where, title_of
from tertulia_cli.exits import FAILED
from tertulia_cli.explaining import explain
from tertulia_cli.loop import exit_code, is_echoed, run
from tertulia_cli.statistics import render_usage
from tertulia_cli.terminal import STATUS, align, note, output_width, write, write_json

HEAD = ("target", "seconds", "tokens in", "tokens out", "cost", "branch")
KEPT = "your message and what came of the answers are kept"
UNKNOWN = "-"


@attrs.frozen
class Wish:
    """
    What to ask, and of whom.

    Attributes:
        targets: ``provider`` or ``provider/model``.

        branch: Where a stored conversation is gone on with; None for where it was last.
    """

    access: Access
    text: str
    targets: Sequence[str]
    system: str | None = None
    branch: str | None = None
    as_json: bool = False


def compare_answers(wish: Wish) -> int:
    """Ask, print the answers, and return the exit code, which is 1 when one of them failed."""
    comparing = _Comparing(wish)
    try:
        comparison = run(comparing.compare())
    except KeyboardInterrupt as interruption:
        if not STATUS.clear() and is_echoed(interruption):
            click.echo(err=True)
        note(comparing.kept, label="interrupted", color="yellow")
        return exit_code(interruption)
    finally:
        STATUS.clear()
    if wish.as_json:
        write_json(_render(comparison, comparing.conversation_id))
    else:
        write(describe_comparison(comparison))
    note_ends(comparison)
    if comparing.is_kept:
        note(f"kept as conversation {comparing.conversation_id}")
    return FAILED if any(answer.error is not None for answer in comparison.answers) else 0


class _Comparing:
    """
    A comparison on its way.

    Attributes:
        kept: What the store holds of it, in words, for when it is interrupted.

        is_kept: Whether that outlives the command.

        conversation_id: Where it is; None until it is anywhere.
    """

    def __init__(self, wish: Wish) -> None:
        self.kept = NOTHING_SENT
        self.is_kept = True
        self.conversation_id: UUID | None = None
        self._wish = wish

    async def compare(self) -> tertulia.Comparison:
        wish = self._wish
        async with AsyncExitStack() as stack:
            first = _name_first(wish)
            opened = await open_client(first, stack)
            self.is_kept = opened.is_kept
            if wish.access.conversation is not None:
                conversation = await take_up(opened.client, wish.access, wish.branch)
            else:
                conversation = await opened.client.start(
                    title_of(wish.text), provider=first.provider, model=first.model, system=wish.system
                )
            self.conversation_id = conversation.id
            stream = conversation.compare(wish.text, wish.targets, **wish.access.bounds())
            try:
                return await watch_comparison(stream, is_quiet=wish.as_json)
            except asyncio.CancelledError:
                self.kept = say_where(KEPT, conversation.id, outlives=opened.is_kept)
                raise


def _name_first(wish: Wish) -> Access:
    """The same access, with whoever begins a new conversation: the first one that is asked."""
    provider, _, model = wish.targets[0].partition("/")
    return attrs.evolve(wish.access, provider=provider, model=model or None)


async def watch_comparison(
    stream: tertulia.ComparisonStream, *, is_quiet: bool = False
) -> tertulia.Comparison:
    """Read a comparison to its end, and show meanwhile what happens to the answers."""
    over = 0
    async with stream:
        async for compared in stream:
            over += isinstance(compared.event, tertulia.ComparedAnswer)
            news = _describe_event(compared, over=over)
            if news is not None and not is_quiet:
                STATUS.show(news.text, label=news.label)
    STATUS.clear()
    return stream.comparison


def _describe_event(compared: tertulia.ComparedEvent, *, over: int) -> News | None:
    if not isinstance(compared.event, tertulia.ComparedAnswer):
        return describe_news(compared.event)
    how = "answered" if compared.event.error is None else "failed"
    took = f"after {compared.event.seconds:.1f} s"
    return News("compare", f"{compared.target} {how} {took}; that makes {over}")


def note_ends(comparison: tertulia.Comparison) -> None:
    """Say why somebody did not answer, and what was unusual about an answer, a line each."""
    for answer in comparison.answers:
        if answer.error is not None:
            note(f"{answer.target}: {explain(answer.error)}", label="error", color="red")
        for warning in answer.reply.warnings if answer.reply else ():
            note(f"{answer.target}: {warning}", label="note")


def describe_comparison(comparison: tertulia.Comparison) -> str:
    """Every answer, and a table of what each took."""
    said = [
        f"{answer.target}\n{textwrap.indent(text, '   ')}"
        for answer in comparison.answers
        if (text := _text(answer))
    ]
    table = align([HEAD, *map(_row, comparison.answers)], width=output_width())
    return "\n\n".join([*said, "\n".join(table)])


def _text(answer: tertulia.ComparedAnswer) -> str:
    """What came of an answer, which may be something also where it failed."""
    if answer.reply is not None:
        return answer.reply.text
    partial = getattr(answer.error, "partial", None)
    return "" if partial is None else partial.text


def _row(answer: tertulia.ComparedAnswer) -> tuple[str, ...]:
    usage = answer.usage
    output, reasoning = usage.output_tokens, usage.reasoning_tokens
    produced = None if output is None or reasoning is None else output + reasoning
    return (
        str(answer.target),
        f"{answer.seconds:.2f}",
        _count(usage.prompt_tokens),
        _count(produced),
        str(answer.cost),
        answer.branch or UNKNOWN,
    )


def _count(tokens: int | None) -> str:
    return UNKNOWN if tokens is None else f"{tokens:,}"


def _render(comparison: tertulia.Comparison, conversation_id: UUID | None) -> dict[str, Any]:
    return {
        "conversation": str(conversation_id),
        "message": str(comparison.message.id),
        "cost": render_cost(comparison.cost),
        "unknown_costs": comparison.cost.unknown_count,
        "answers": [_render_answer(answer) for answer in comparison.answers],
    }


def _render_answer(answer: tertulia.ComparedAnswer) -> dict[str, Any]:
    error = answer.error
    return {
        "provider": answer.target.provider,
        "model": answer.target.model,
        "branch": answer.branch,
        "text": _text(answer),
        "finish_reason": None if answer.reply is None else answer.reply.finish_reason,
        "seconds": round(answer.seconds, 3),
        **render_usage(answer.usage),
        "cost": render_cost(answer.cost),
        "unknown_costs": answer.cost.unknown_count,
        "attempts": len(answer.attempts),
        "error": None if error is None else explain(error),
        "kind": None if error is None else error.kind,
    }
