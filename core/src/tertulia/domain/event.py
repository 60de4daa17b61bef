"""What a caller sees while an answer comes."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from tertulia.domain.exchange import ReasoningDelta, Reply, Target, TextDelta, ToolCallDelta
from tertulia.domain.message import ToolCall, ToolResult
from tertulia.errors import ErrorKind


@attrs.frozen
class Queued:
    """
    The call waits for its place under the limits of this client, or for a service that said when to come.

    Attributes:
        target: Whom it waits for.

        position: How many calls go first; 0 where only time has to pass.

        wait_seconds: How long it will be at least; None when nobody knows.
    """

    target: Target
    position: int
    wait_seconds: float | None = None


@attrs.frozen
class RetryScheduled:
    """
    The same target will be asked again.

    Attributes:
        target: Who failed, and is asked again.

        attempt: Which call of the answer that will be, from 1.

        kind: What happened.

        wait_seconds: After which time.

        message: The error in words.
    """

    target: Target
    attempt: int
    kind: ErrorKind
    wait_seconds: float
    message: str = ""


@attrs.frozen
class FallbackTaken:
    """
    A target failed before any content, or is passed over after earlier failures, and the next one is asked.

    Attributes:
        failed: Who failed.

        next: Who is asked now.

        kind: What happened.

        message: The error in words.

        was_asked: Whether the one that failed was asked in this send; else it is passed over for a while.
    """

    failed: Target
    next: Target
    kind: ErrorKind
    message: str
    was_asked: bool = True


@attrs.frozen
class Restarted:
    """
    The answer broke off, and begins again from its first word, on a branch of its own; the beginning is kept.

    Attributes:
        target: Who answers now.

        kind: What happened.

        message: The error in words.
    """

    target: Target
    kind: ErrorKind = ErrorKind.INTERRUPTED
    message: str = ""


@attrs.frozen
class Continued:
    """
    The answer broke off, and somebody else goes on where it stopped: the next words follow those before.

    Attributes:
        target: Who goes on.

        kind: What happened.

        message: The error in words.
    """

    target: Target
    kind: ErrorKind
    message: str


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
    | Queued
    | RetryScheduled
    | FallbackTaken
    | Restarted
    | Continued
    | StepCompleted
    | ToolStarted
    | ToolEnded
    | Completed
)
"""What a caller of ``stream`` sees, in order."""
