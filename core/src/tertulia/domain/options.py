"""What a caller may ask of an answer, and how long it may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs


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

        reasoning_effort: How hard to think before answering: ``"none"``, ``"minimal"``, ``"low"``,
            ``"medium"``, ``"high"``, ``"xhigh"`` or ``"max"``; which of them there are depends on the model.

        reasoning_summary: Ask for the thoughts in words, as parts of the answer: ``"auto"``, ``"concise"``
            or ``"detailed"``.

        verbosity: How much to say: ``"low"``, ``"medium"`` or ``"high"``.

        tool_choice: Whether tools are called: ``"auto"``, ``"none"``, ``"required"``, or the name of the one
            to call.

        parallel_tool_calls: Whether one answer may call several tools.

        end_user: A name for the person the answer is for, without saying who it is: a hash.

        metadata: Words by key that the provider keeps with the call, for its own reports.

        extra: Members of the request for which there is no neutral name, by the configured name of the
            provider that gets them: ``{"openai": {"truncation": "auto"}}``.

        unsupported: What to do about an option the provider, or the model, does not take.
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
    reasoning_effort: str | None = None
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    end_user: str | None = None
    metadata: Mapping[str, str] | None = None
    extra: Mapping[str, Mapping[str, Any]] | None = None
    unsupported: Literal["error", "warn"] = "error"

    def chosen(self) -> dict[str, object]:
        """The options that are set, by name; ``extra`` is none of them."""
        return {
            field.name: value
            for field in attrs.fields(Options)
            if field.name not in ("unsupported", "extra") and (value := getattr(self, field.name)) is not None
        }


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
