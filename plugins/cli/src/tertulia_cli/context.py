"""``tertulia context``: what a model would get to see next, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs
import click

import tertulia
from tertulia_cli.changing import name_of
from tertulia_cli.context_options import change_options, describe_options, said
from tertulia_cli.finding import find_conversation
from tertulia_cli.loop import run
from tertulia_cli.opening import open_existing
from tertulia_cli.terminal import align, note, one_line, output_width, shorten, write, write_json
from tertulia_cli.transcript import describe_parts, render_message, speaker_of

PIPED_WIDTH = 80
STRATEGIES = ("recall", "recent", "important", "summary")
_NEWEST = "newest message"


@attrs.frozen
class Preview:
    """
    What to look at.

    Attributes:
        message: What would be said next; None for the newest user message, asked again.
    """

    conversation: str
    message: str | None
    attached: Sequence[str]
    branch: str | None = None
    provider: str | None = None
    model: str | None = None
    strategy: str | None = None
    max_tokens: int | None = None
    max_messages: int | None = None
    recall: Any = None

    def options(self) -> tertulia.ContextOptions:
        """What it says of the choice."""
        return tertulia.ContextOptions(self.strategy, self.max_tokens, self.max_messages, recall=self.recall)


@attrs.frozen
class Seen:
    """
    What would be sent.

    Attributes:
        own: How the conversation's own contexts are chosen.

        target: Who would be asked, as far as the command says.

        wanted: The strategy that the command or the conversation asks for; None where neither does.

        recalled: What is quoted, by id.
    """

    conversation_id: UUID
    branch: str
    target: str
    wanted: str | None
    own: tertulia.ContextOptions
    context: tertulia.Context
    recalled: Mapping[UUID, tertulia.Message]


def preview_context(preview: Preview, *, store: str | None, as_json: bool) -> int:
    """Print what would be sent, and why; return the exit code."""
    if preview.message is None and preview.attached:
        raise click.UsageError("--attach needs --message: with what would it go?")
    seen = run(_look(preview, store))
    if as_json:
        write_json(_render(seen))
    else:
        write(describe_seen(seen))
    return 0


def set_options(conversation_id: str, texts: Sequence[str], *, store: str | None, as_json: bool) -> int:
    """Keep options with a conversation, and print all it has then; return the exit code."""
    record, options = run(_set(conversation_id, texts, store))
    if as_json:
        write_json(said(options))
    else:
        what = one_line(describe_options(options)) or "none of its own"
        note(f"the context options of {name_of(record)} are {what}")
    return 0


async def _set(
    conversation_id: str, texts: Sequence[str], store: str | None
) -> tuple[tertulia.ConversationRecord, tertulia.ContextOptions]:
    async with open_existing(store) as client:
        conversation = await client.get(await find_conversation(client, conversation_id))
        options = change_options(conversation.context, "--set", texts)
        await conversation.set_context(options)
        return await conversation.record(), options


async def _look(preview: Preview, store: str | None) -> Seen:
    async with open_existing(store) as client:
        found = await find_conversation(client, preview.conversation)
        conversation = await client.get(found, branch=preview.branch)
        return await look(
            conversation,
            preview.message,
            attached=[tertulia.load_attachment(source) for source in preview.attached],
            provider=preview.provider,
            model=preview.model,
            options=preview.options(),
        )


async def look(
    conversation: tertulia.Conversation,
    message: str | None,
    *,
    attached: Sequence[tertulia.Media] = (),
    provider: str | None = None,
    model: str | None = None,
    options: tertulia.ContextOptions | None = None,
) -> Seen:
    """Find out what would be sent with a message; None for the newest user message, asked again."""
    context = await conversation.preview_context(
        message, attach=attached, provider=provider, model=model, context=options
    )
    return Seen(
        conversation.id,
        conversation.branch,
        _name_target(conversation, provider, model),
        (options and options.strategy) or conversation.context.strategy,
        conversation.context,
        context,
        await _find_recalled(conversation, context.report),
    )


def _name_target(conversation: tertulia.Conversation, provider: str | None, model: str | None) -> str:
    """Who would be asked; another provider's own model is not named."""
    is_own = provider in (None, conversation.provider)
    name = model or (conversation.model if is_own else None)
    return "/".join(filter(None, (provider or conversation.provider, name)))


async def _find_recalled(
    conversation: tertulia.Conversation, report: tertulia.ContextReport
) -> dict[UUID, tertulia.Message]:
    """What is quoted, read from the earliest of it on."""
    if not report.recalled:
        return {}
    wanted = {recalled.message_id for recalled in report.recalled}
    end = next(each.head_depth for each in await conversation.branches() if each.name == conversation.branch)
    newest = end + 1 - min(recalled.depth for recalled in report.recalled)
    history = await conversation.history(max(1, newest))
    return {message.id: message for message in history if message.id is not None and message.id in wanted}


def describe_seen(seen: Seen) -> str:
    """What would be sent, and why, in tables."""
    return "\n\n".join("\n".join(lines) for lines in _describe(seen))


def _describe(seen: Seen) -> Iterator[list[str]]:
    report = seen.context.report
    width = output_width()
    yield [one_line(line) for line in _head(seen)]
    yield align([("part", "messages", "tokens", "share"), *_part_rows(seen.context)], width=width)
    if report.recalled:
        yield _list_recalled(seen, width)
    if report.dropped:
        rows = ((f"{each.count:,}", f"{each.tokens:,}", each.reason) for each in report.dropped)
        yield align([("left out", "tokens", "why"), *rows], width=width)


def _head(seen: Seen) -> Iterator[str]:
    report = seen.context.report
    yield f"{seen.conversation_id}, branch {seen.branch}, {seen.target}, strategy {report.strategy}"
    if seen.own != tertulia.ContextOptions():
        yield f"its own options: {describe_options(seen.own)}"
    if seen.wanted not in (None, report.strategy) and report.strategy in STRATEGIES:
        yield f"{report.strategy} stands in for the strategy {seen.wanted}, which cannot be shown yet"
    if report.looks_back is not None:
        yield f"{report.looks_back:.0%} of what is asked for is known only from before the recent messages"
    if report.optimised_tokens:
        yield f"{report.optimised_tokens:,} tokens are saved, since equal things are sent once"
    yield from report.warnings


def _part_rows(context: tertulia.Context) -> Iterator[tuple[str, ...]]:
    report, counts = context.report, _count_messages(context)
    for part, tokens in report.parts.items():
        yield part, f"{counts[part]:,}", f"{tokens:,}", _share(tokens, report)
    yield "all", f"{report.kept_count:,}", f"{report.tokens:,}", _share(report.tokens, report)
    if report.budget is not None:
        left = report.budget - report.tokens
        yield "left", "", f"{left:,}", _share(left, report)


def _share(tokens: int, report: tertulia.ContextReport) -> str:
    return "" if report.budget is None else f"{tokens / report.budget:.1%}"


def _count_messages(context: tertulia.Context) -> Counter[str]:
    """How many messages each part has; what is quoted stands in another one, and so does a summary."""
    counts = Counter(_part_of(context))
    counts["recalled"] = len(context.report.recalled)
    counts["summary"] = int("summary" in context.report.parts)
    return counts


def _part_of(context: tertulia.Context) -> Iterator[str]:
    roles = [message.role for message in context.messages]
    said = [place for place, role in enumerate(roles) if role is tertulia.Role.USER]
    newest = said[-1] if said else len(roles)
    for place, message in enumerate(context.messages):
        if message.role is tertulia.Role.SYSTEM:
            yield "system"
        elif place >= newest:
            yield _NEWEST if place == newest else "tool calls"
        else:
            yield "pinned" if message.mark.pinned else "window"


def _list_recalled(seen: Seen, width: int | None) -> list[str]:
    """A line for each that is quoted, below a head, and its first words below it."""
    recalled = seen.context.report.recalled
    head, *lines = align(
        [
            ("quoted", "date", "who", "score", "tokens", "why"),
            *(_recalled_row(each, seen) for each in recalled),
        ],
        width=width,
    )
    said = (f"   {_words(each, seen, (width or PIPED_WIDTH) - 3)}" for each in recalled)
    return [head, *(line for pair in zip(lines, said, strict=True) for line in pair)]


def _recalled_row(recalled: tertulia.Recalled, seen: Seen) -> tuple[str, ...]:
    message = seen.recalled.get(recalled.message_id)
    at = None if message is None else message.created_at
    return (
        str(recalled.depth + 1),
        "" if at is None else at.astimezone().strftime("%Y-%m-%d"),
        "" if message is None else speaker_of(message),
        f"{recalled.score:.2f}",
        f"{recalled.tokens:,}",
        one_line(", ".join(recalled.reasons)),
    )


def _words(recalled: tertulia.Recalled, seen: Seen, length: int) -> str:
    message = seen.recalled.get(recalled.message_id)
    words = "" if message is None else describe_parts(message)
    return shorten(words if recalled.is_whole else f"in part: {words}", length)


def _render(seen: Seen) -> dict[str, Any]:
    report, counts = seen.context.report, _count_messages(seen.context)
    return {
        "conversation": str(seen.conversation_id),
        "branch": seen.branch,
        "target": seen.target,
        "options": said(seen.own),
        "strategy": report.strategy,
        "tokens": report.tokens,
        "budget": report.budget,
        "kept": report.kept_count,
        "looks_back": report.looks_back,
        "optimised_tokens": report.optimised_tokens,
        "warnings": list(report.warnings),
        "parts": [
            {"part": part, "messages": counts[part], "tokens": tokens}
            for part, tokens in report.parts.items()
        ],
        "recalled": [_render_recalled(each, seen) for each in report.recalled],
        "left_out": [
            {"messages": each.count, "tokens": each.tokens, "reason": each.reason} for each in report.dropped
        ],
        "messages": [_render_message(message) for message in seen.context.messages],
    }


def _render_message(message: tertulia.Message) -> dict[str, Any]:
    """A message for JSON, which has no place where it would be said next."""
    place = {"number": None, "id": None} if message.depth is None else {}
    return {**render_message(message), **place}


def _render_recalled(recalled: tertulia.Recalled, seen: Seen) -> dict[str, Any]:
    message = seen.recalled.get(recalled.message_id)
    at = None if message is None else message.created_at
    return {
        "number": recalled.depth + 1,
        "id": str(recalled.message_id),
        "role": None if message is None else message.role,
        "created_at": None if at is None else at.isoformat(),
        "score": recalled.score,
        "tokens": recalled.tokens,
        "reasons": list(recalled.reasons),
        "is_whole": recalled.is_whole,
        "text": None if message is None else message.text,
    }
