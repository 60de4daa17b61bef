"""What a caller sees while an answer comes."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from tertulia.domain.exchange import ReasoningDelta, Reply, Target, TextDelta, ToolCallDelta
from tertulia.domain.message import ToolCall, ToolResult
from tertulia.errors import ErrorKind


@attrs.frozen
class RetryScheduled:
    """The same provider will be asked again."""

    target: Target
    attempt: int
    kind: ErrorKind
    wait_seconds: float


@attrs.frozen
class FallbackTaken:
    """
    A target failed before any content, and the next one is asked.

    Attributes:
        failed: Who failed.

        next: Who is asked now.

        kind: What happened.

        message: The error in words.
    """

    failed: Target
    next: Target
    kind: ErrorKind
    message: str


@attrs.frozen
class Restarted:
    """The answer begins again from its first word; what came before is kept on a branch of its own."""

    target: Target


@attrs.frozen
class StepCompleted:
    """
    The answer called tools: it is whole and stored, and what they return is sent next.

    Attributes:
        number: Which answer of the send, from 1.

        reply: The answer.
    """

    number: int
    reply: Reply


@attrs.frozen
class ToolStarted:
    """A function is called as the model asked; several may be at work at once."""

    call: ToolCall


@attrs.frozen
class ToolEnded:
    """
    A function returned, or failed.

    Attributes:
        call: Which call.

        result: What the model is told.

        seconds: How long it took.

        error: What it raised; None when it returned.
    """

    call: ToolCall
    result: ToolResult
    seconds: float
    error: Exception | None = None


@attrs.frozen
class Completed:
    """The last event: the whole answer."""

    reply: Reply


Event: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | RetryScheduled
    | FallbackTaken
    | Restarted
    | StepCompleted
    | ToolStarted
    | ToolEnded
    | Completed
)
"""What a caller of ``stream`` sees, in order."""
