"""One attempt while it runs: what it was asked with, what came, and whether that is an answer."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import attrs

from tertulia.domain.context import Context
from tertulia.domain.conversation import Attempt
from tertulia.domain.event import Event
from tertulia.domain.exchange import (
    Delta,
    ProviderReply,
    ReasoningDelta,
    Target,
    TextDelta,
    ToolCallDelta,
    Translated,
)
from tertulia.domain.message import FinishReason, Part, Reasoning, Refusal, Text
from tertulia.errors import (
    ContentFilteredError,
    EmptyResponseError,
    ErrorKind,
    PluginError,
    ProtocolError,
    ProviderError,
    ServerError,
)
from tertulia.runtime.clock import Clock
from tertulia.wire.errors import ERROR_CLASSES, NEXT_STEPS

WORDS = (TextDelta, ReasoningDelta)  # a union would be made anew for each delta


@attrs.define(eq=False)
class Trial:
    """
    One attempt while it runs.

    Attributes:
        answer_id: The id its answer will have.

        began: On the monotonic clock.

        text: The pieces of text handed to the caller.

        thoughts: The pieces of reasoning handed to the caller.

        warnings: What was converted or left out, a sentence each.

        first_content: Seconds until content was handed to the caller: the commit point; None before it.

        context: What was chosen to be sent; None while nothing has been sent.

        reply: The driver's last word; None before it.

        max_tokens: What the context may hold after the provider found it too long; None for what is usual.

        queued: Seconds it waited for its place; None where it did not.

        was_sent: Whether the driver was called.
    """

    target: Target
    attempt: Attempt
    answer_id: UUID
    began: float
    text: list[str] = attrs.field(factory=list[str])
    thoughts: list[str] = attrs.field(factory=list[str])
    warnings: list[str] = attrs.field(factory=list[str])
    first_content: float | None = None
    context: Context | None = None
    reply: ProviderReply | None = None
    max_tokens: int | None = None
    queued: float | None = None
    was_sent: bool = False

    @property
    def shown(self) -> bool:
        """Whether content was handed to the caller."""
        return self.first_content is not None

    @property
    def shown_parts(self) -> tuple[Part, ...]:
        """What was handed to the caller, as parts of a message."""
        thoughts = (Reasoning("".join(self.thoughts)),) if self.thoughts else ()
        return (*thoughts, Text("".join(self.text))) if self.text else thoughts

    def elapsed(self, clock: Clock) -> float:
        """Seconds since the attempt began, in whole microseconds, as they are stored."""
        return round(clock.monotonic() - self.began, 6)

    def take(self, delta: Delta, clock: Clock) -> Event | None:
        """Remember what a delta says, and return it when there is content in it for the caller."""
        event = self._remember(delta)
        if event is not None and self.first_content is None:
            self.first_content = self.elapsed(clock)
        return event

    def _remember(self, delta: Delta) -> Event | None:
        if isinstance(delta, WORDS):
            if not isinstance(cast("object", delta.text), str):
                raise TypeError(f"{type(delta).__name__} holds no text")
            (self.text if isinstance(delta, TextDelta) else self.thoughts).append(delta.text)
            return delta if delta.text else None
        if isinstance(delta, ToolCallDelta):
            return delta
        if isinstance(delta, Translated):
            self.warnings.extend(delta.notes)
        elif isinstance(cast("object", delta), ProviderReply):
            self.reply = delta
        else:
            raise TypeError(f"a driver may not yield {type(delta).__name__}")
        return None

    def check_reply(self) -> None:
        """
        Take for an answer only what is one.

        Raises:
            PluginError: The driver ended without its last word.
            ProtocolError: The provider itself says that it has not finished.
            ProviderError: The provider says that the answer failed, and of which kind the failure is.
            ContentFilteredError: Everything was held back.
            EmptyResponseError: The answer is complete and holds nothing.
        """
        if self.reply is None:
            raise PluginError(
                f"provider {self.target.provider!r} ended without a ProviderReply",
                hook="send_message",
                provider=self.target.provider,
            )
        if self.reply.finish_reason in (FinishReason.PAUSE, FinishReason.CANCELLED):
            raise self._failure(ProtocolError, f"the answer is not finished ({self.reply.raw_finish_reason})")
        if self.reply.finish_reason is FinishReason.ERROR:
            raise self._failed(self.reply.error_kind or ErrorKind.SERVER)
        if any(_says_something(part) for part in self.reply.parts):
            return
        if self.reply.finish_reason is FinishReason.CONTENT_FILTER:
            raise self._blocked(self.reply)
        if self.reply.finish_reason in (FinishReason.STOP, FinishReason.UNKNOWN):
            raise self._failure(EmptyResponseError, "the answer is complete and holds nothing")

    def _failed(self, kind: ErrorKind) -> ProviderError:
        assert self.reply is not None  # noqa: S101  # asked by check_reply
        reason = f"the answer failed ({self.reply.raw_finish_reason})"
        error = self._failure(ERROR_CLASSES.get(kind, ServerError), reason)
        error.next_step = NEXT_STEPS.get(kind, error.next_step)
        return error

    def _blocked(self, reply: ProviderReply) -> ProviderError:
        reason = reply.safety.reason if reply.safety else reply.raw_finish_reason
        stage = reply.safety.stage if reply.safety else "answer"
        error = self._failure(
            ContentFilteredError, f"the {stage} was blocked ({reason})", safety=reply.safety
        )
        error.next_step = "change the message, or the safety settings where the provider has them"
        return error

    def _failure(self, kind: type[ProviderError], what: str, **extra: Any) -> ProviderError:
        assert self.reply is not None  # noqa: S101  # asked by check_reply
        return kind(
            f"provider {self.target.provider!r}: {what}",
            provider=self.target.provider,
            model=self.target.model,
            code=self.reply.raw_finish_reason,
            request_id=self.reply.request_id,
            usage=self.reply.usage,
            next_step="send again, or name a fallback",
            **extra,
        )


def _says_something(part: Part) -> bool:
    """Thoughts alone are no answer, nor is an empty text that only carries a provider's state."""
    if isinstance(part, Text | Refusal):
        return part.text != ""
    return not isinstance(part, Reasoning)
