"""What travels between the caller, the core and a provider."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias
from uuid import UUID

import attrs

from tertulia.domain.context import ContextReport
from tertulia.domain.conversation import Attempt
from tertulia.domain.limits import RateLimits
from tertulia.domain.message import FinishReason, Message, Part, ToolCall, join_text
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.tool import HostedTool, ResponseSchema, Tool
from tertulia.domain.usage import Billing, Cost, CostTotal, Usage
from tertulia.errors import ErrorKind


@attrs.frozen
class Target:
    """A provider's configured name and one of its models."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@attrs.frozen
class Request:
    """
    One call to one provider, as one value.

    Attributes:
        target: Who is asked, and for which model.

        messages: What is sent, oldest first; system messages come first of all.

        options: What the caller asked for.

        stream: Whether the answer may come in pieces. Either way the driver yields deltas.

        conversation_id: For providers that route by conversation; None outside one.

        timeouts: How long to wait.

        deadline: The moment on the event loop's clock at which the send ends; None for no end.

        tools: What the model may call.

        response_schema: The shape the answer must have; None for any.

        continuation: What a paused answer said to send to go on; None at the beginning.
    """

    target: Target
    messages: tuple[Message, ...]
    options: Options = Options()
    stream: bool = True
    conversation_id: UUID | None = None
    timeouts: Timeouts = Timeouts()
    deadline: float | None = None
    tools: tuple[Tool | HostedTool, ...] = ()
    response_schema: ResponseSchema | None = None
    continuation: str | None = None


@attrs.define
class TextDelta:
    """The next words."""

    text: str


@attrs.define
class ReasoningDelta:
    """The next words of thought."""

    text: str


@attrs.define
class ToolCallDelta:
    """
    The next piece of a tool call.

    Attributes:
        index: Which call of the answer, from 0.

        id: The call's name, on its first piece.

        name: The function's name, on its first piece.

        arguments: The next characters of the arguments' JSON.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@attrs.frozen
class Translated:
    """
    What a driver changed on the way to its wire format.

    Attributes:
        notes: One sentence for each thing that was converted or could not be represented.
    """

    notes: tuple[str, ...]


@attrs.frozen
class SafetyRating:
    """How likely a provider thinks a category of harm."""

    category: str
    probability: str
    blocked: bool = False


@attrs.frozen
class SafetyOutcome:
    """
    Why a provider held something back.

    Attributes:
        stage: Whether the prompt or the answer was stopped.

        reason: The provider's own word.

        ratings: What it rated.

        partial_text: What had been said when an answer was stopped.
    """

    stage: Literal["prompt", "answer"]
    reason: str
    ratings: tuple[SafetyRating, ...] = ()
    partial_text: str = ""


@attrs.frozen
class ProviderReply:
    """
    A driver's last word: the whole answer, on positive evidence that it is whole.

    Attributes:
        parts: The answer, in order.

        finish_reason: Why it ended.

        raw_finish_reason: The same in the provider's own word.

        usage: Tokens; all None when the provider did not say.

        billing: What else changes the price.

        model: The model that answered, as the provider names it; None when it does not.

        request_id: The provider's name for the call; None when it gave none.

        safety: Why something was held back; None when nothing was.

        continuation: What to send to go on after a pause; None otherwise.

        rate_limits: What the service says is left to us; None when it did not say.

        error_kind: With finish reason ``error``, what kind of failure it is: whether to send again, or to ask
            somebody else, depends on it. None: the provider failed inside.
    """

    parts: tuple[Part, ...]
    finish_reason: FinishReason
    raw_finish_reason: str | None = None
    usage: Usage = Usage()
    billing: Billing = Billing()
    model: str | None = None
    request_id: str | None = None
    safety: SafetyOutcome | None = None
    continuation: str | None = None
    error_kind: ErrorKind | None = None
    rate_limits: RateLimits | None = None

    @property
    def text(self) -> str:
        """The words of the answer, a refusal's included, joined."""
        return join_text(self.parts)


Delta: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Translated | ProviderReply
"""What a driver yields: pieces, then exactly one :class:`ProviderReply`."""


@attrs.frozen
class Reply:
    """
    An answer as the caller gets it.

    Attributes:
        message: The stored assistant message.

        provider: Who answered.

        model: The model that was asked.

        resolved_model: The model that answered, as the provider names it; None when it does not.

        finish_reason: Why the answer ended.

        raw_finish_reason: The same in the provider's own word.

        usage: Tokens in disjoint classes.

        raw_usage: The provider's own usage object; None when there was none.

        cost: What this answer cost; None when unknown. Failed attempts are in ``attempts``.

        attempts: Every call made for this answer, the last one being the one that answered.

        latency_seconds: Of the attempt that answered; None where it is not known any more.

        first_content_seconds: Until its first content; None when it had none.

        request_id: The provider's name for the call; None when it gave none.

        safety: Why something was held back; None when nothing was.

        context: What the model was sent and what was left out; None for an answer that was there already.

        warnings: What was converted, left out or ignored, a sentence each.

        parsed: The answer as a value of the schema that was asked for; None without a schema.

        queued_seconds: How long its calls waited for their places under the limits of this client.

        was_stored: Whether it was there already: the message has been sent before with this ``client_id``.

        steps: The answers before this one that called tools, oldest first; each has its own cost.
    """

    message: Message
    provider: str
    model: str
    resolved_model: str | None
    finish_reason: FinishReason
    raw_finish_reason: str | None
    usage: Usage
    raw_usage: object
    cost: Cost | None
    attempts: tuple[Attempt, ...]
    latency_seconds: float | None
    first_content_seconds: float | None
    request_id: str | None
    safety: SafetyOutcome | None
    context: ContextReport | None
    warnings: tuple[str, ...] = ()
    parsed: Any = None
    steps: tuple[Reply, ...] = ()
    queued_seconds: float = 0.0
    was_stored: bool = False

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls in the answer that nobody has answered: it waits for their results."""
        return self.message.tool_calls

    @property
    def total_cost(self) -> CostTotal:
        """What the whole send cost: every attempt of every step, failed ones included."""
        attempts = [attempt for reply in (*self.steps, self) for attempt in reply.attempts]
        return CostTotal.of(attempt.cost for attempt in attempts)

    @property
    def text(self) -> str:
        """The words of the answer."""
        return self.message.text

    @property
    def parts(self) -> tuple[Part, ...]:
        """The answer, in order."""
        return self.message.parts
