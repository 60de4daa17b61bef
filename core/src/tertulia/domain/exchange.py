"""What travels between the caller, the core and a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt
from tertulia.domain.message import FinishReason, Message, Part, join_text
from tertulia.domain.usage import Billing, Cost, Usage
from tertulia.errors import ErrorKind


@attrs.frozen
class Options:
    """
    What a caller may ask of an answer. Nothing is sent that is not set.

    A provider that does not know an option that is set fails the call before anything is sent
    (``unsupported="error"``), or leaves it out and says so in ``Reply.warnings`` (``"warn"``).

    Attributes:
        temperature: Randomness; usually 0 to 2.

        top_p: Nucleus sampling: the share of probability to choose from.

        top_k: How many words to choose from.

        max_output_tokens: The longest answer, reasoning included.

        stop: Texts that end the answer.

        seed: For repeatable sampling.

        presence_penalty: Against returning to what was mentioned.

        frequency_penalty: Against repeating often.

        service_tier: The provider's word for speed against price.

        safety_settings: Threshold by harm category, in the provider's words.

        unsupported: What to do about an option the provider does not know.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    service_tier: str | None = None
    safety_settings: Mapping[str, str] | None = None
    unsupported: Literal["error", "warn"] = "error"

    def chosen(self) -> dict[str, object]:
        """The options that are set, by name."""
        return {
            field.name: value
            for field in attrs.fields(Options)
            if field.name != "unsupported" and (value := getattr(self, field.name)) is not None
        }


@attrs.frozen
class Target:
    """A provider's configured name and one of its models."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@attrs.frozen
class Timeouts:
    """
    How long to wait, in seconds. Only time spent waiting for the provider counts, except for ``total``.

    Attributes:
        connect: For a connection.

        first_content: From then to the first content; comments and empty events do not count. None: 60
            for a streamed answer, 300 where the model reasons before it speaks, and as long as ``total``
            for an answer that comes as a whole.

        idle: Between two pieces of content.

        total: For the whole send, retries and fallbacks included.
    """

    connect: float = 5.0
    first_content: float | None = None
    idle: float = 60.0
    total: float = 600.0


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
    """

    target: Target
    messages: tuple[Message, ...]
    options: Options = Options()
    stream: bool = True
    conversation_id: UUID | None = None
    timeouts: Timeouts = Timeouts()
    deadline: float | None = None


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

        latency_seconds: Of the attempt that answered.

        first_content_seconds: Until its first content; None when it had none.

        request_id: The provider's name for the call; None when it gave none.

        safety: Why something was held back; None when nothing was.

        context: What the model was sent and what was left out.

        warnings: What was converted, left out or ignored, a sentence each.
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
    latency_seconds: float
    first_content_seconds: float | None
    request_id: str | None
    safety: SafetyOutcome | None
    context: ContextReport
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The words of the answer."""
        return self.message.text

    @property
    def parts(self) -> tuple[Part, ...]:
        """The answer, in order."""
        return self.message.parts


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
class Completed:
    """The last event: the whole answer."""

    reply: Reply


Event: TypeAlias = (
    TextDelta | ReasoningDelta | ToolCallDelta | RetryScheduled | FallbackTaken | Restarted | Completed
)
"""What a caller of ``stream`` sees, in order."""


@attrs.frozen
class Window:
    """
    How much a request may hold.

    Attributes:
        max_tokens: Tokens for everything that is sent; None when there is no known limit.

        max_messages: Recent messages at most, the system's not counted; None for no limit.

        reserved_tokens: Of the model's window, what is left free for the answer.
    """

    max_tokens: int | None = None
    max_messages: int | None = None
    reserved_tokens: int = 0


@attrs.frozen
class Dropped:
    """
    Messages that were left out of one request for one reason.

    Attributes:
        message_ids: Which, oldest first.

        tokens: Their estimated tokens together.

        reason: Why, in words.
    """

    message_ids: tuple[UUID | None, ...]
    tokens: int
    reason: str


@attrs.frozen
class ContextReport:
    """
    What was sent and what was left out.

    Attributes:
        kept_count: Messages sent.

        tokens: Their estimated tokens.

        budget: The tokens there were; None for no limit.

        dropped: What was left out of this request only; it stays in the history.
    """

    kept_count: int
    tokens: int
    budget: int | None = None
    dropped: tuple[Dropped, ...] = ()


@attrs.frozen
class Context:
    """What one request holds, oldest first, and the report about it."""

    messages: tuple[Message, ...]
    report: ContextReport
