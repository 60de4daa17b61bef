"""An answer that is too long for one call: Gemini pauses, and goes on when it is asked again."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from tertulia import (
    Billing,
    Delta,
    FinishReason,
    Part,
    ProviderError,
    ProviderReply,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolCallDelta,
    Translated,
    Usage,
)

MOST_HOPS = 64
"""Twice what the longest answer of any model takes, at 32,768 tokens each: one that goes on is none."""

_REFUSED = 400


class LongAnswer:
    """The hops of one answer, which the caller sees as one."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._hops: list[ProviderReply] = []
        self._calls: list[str] = []

    def pass_on(self, delta: Delta) -> Delta | None:
        """Return what a delta of the present hop is in the whole answer; None for what was said before."""
        if isinstance(delta, ToolCallDelta):
            name = None if delta.id is None else self._rename(delta.id)
            return ToolCallDelta(len(self._calls) + delta.index, name, delta.name, delta.arguments)
        return None if isinstance(delta, Translated) and self._hops else delta

    def add(self, reply: ProviderReply) -> Request | None:
        """Take the end of a hop; return the request that goes on, or None when this was the last."""
        parts = tuple(
            attrs.evolve(part, id=self._rename(part.id)) if isinstance(part, ToolCall) else part
            for part in reply.parts
        )
        self._calls += [part.id for part in parts if isinstance(part, ToolCall)]
        self._hops.append(attrs.evolve(reply, parts=parts) if self._calls else reply)
        paused = reply.finish_reason is FinishReason.PAUSE and reply.continuation is not None
        if not paused or len(self._hops) == MOST_HOPS or self._is_spent():
            return None
        return attrs.evolve(self._request, continuation=reply.continuation)

    def charge(self, error: ProviderError) -> None:
        """Say in an error what the hops before it were charged; unknown where its own may have been, too."""
        was_refused = (error.status or 0) >= _REFUSED or not error.sent
        if self._hops and was_refused:
            error.usage = _sum_usage(self._hops)
            error.sent = True

    def join(self) -> ProviderReply:
        """Return the whole answer: every hop was billed, its prompt included."""
        *before, last = self._hops
        if last.finish_reason is FinishReason.PAUSE and self._is_spent():
            last = attrs.evolve(last, finish_reason=FinishReason.LENGTH, continuation=None)
        if not before:
            return last
        parts = tuple(_join_parts(part for hop in self._hops for part in hop.parts))
        called = last.finish_reason is FinishReason.STOP and bool(self._calls)
        reply = attrs.evolve(
            last,
            parts=parts,
            finish_reason=FinishReason.TOOL_CALLS if called else last.finish_reason,
            usage=_sum_usage(self._hops),
            billing=attrs.evolve(
                _join_billing([hop.billing for hop in self._hops]),
                requests=tuple((hop.usage, hop.billing) for hop in self._hops),
            ),
        )
        if last.safety is not None and last.safety.stage == "answer":
            said = "".join(part.text for part in parts if isinstance(part, Text))
            return attrs.evolve(reply, safety=attrs.evolve(last.safety, partial_text=said))
        return reply

    def _is_spent(self) -> bool:
        """Whether the limit of the answer, which is one for all hops, is reached."""
        limit = self._request.options.max_output_tokens
        usages = [hop.usage for hop in self._hops]
        spent = sum((usage.output_tokens or 0) + (usage.reasoning_tokens or 0) for usage in usages)
        return limit is not None and spent >= limit

    def _rename(self, call: str) -> str:
        """Keep apart the calls of two hops that have one name: results are told by it."""
        return f"{call}-{len(self._hops)}" if call in self._calls else call


def _sum_usage(hops: list[ProviderReply]) -> Usage:
    return sum((hop.usage for hop in hops[1:]), hops[0].usage)


def _join_parts(parts: Iterable[Part]) -> list[Part]:
    """Join words that a pause cut in two, but never across a signature."""
    joined: list[Part] = []
    for part in parts:
        before = joined[-1] if joined else None
        if isinstance(part, Text) and isinstance(before, Text) and not (part.opaque or before.opaque):
            joined[-1] = Text(before.text + part.text)
        elif (
            isinstance(part, Reasoning)
            and isinstance(before, Reasoning)
            and not (part.opaque or before.opaque)
        ):
            joined[-1] = Reasoning(before.text + part.text)
        else:
            joined.append(part)
    return joined


def _join_billing(billings: list[Billing]) -> Billing:
    tools: dict[str, int] = {}
    for billing in billings:
        for tool, count in billing.tool_calls.items():
            tools[tool] = tools.get(tool, 0) + count
    sound = [Usage(billing.audio_input_tokens, billing.audio_cache_read_tokens) for billing in billings]
    counts = sum(sound[1:], sound[0])
    return attrs.evolve(
        billings[-1],
        raw=[billing.raw for billing in billings],
        audio_input_tokens=counts.input_tokens,
        audio_cache_read_tokens=counts.cache_read_tokens,
        tool_calls=tools,
    )
