"""What a caller may ask of an answer, and how long it may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Literal

import attrs

from tertulia.errors import ConfigurationError


def _to_texts(value: Any) -> Any:
    """One text is a list of one, as the providers have it."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


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

        stop: Texts that end the answer; a single text is one of them.

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

    Raises:
        ConfigurationError: A value is of another type, or none of the words there are.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] | None = attrs.field(default=None, converter=_to_texts)
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

    def __attrs_post_init__(self) -> None:
        for name, (is_right, wanted) in _CHECKS.items():
            value = getattr(self, name)
            if value is not None and not is_right(value):
                raise ConfigurationError(
                    f"option {name!r} is {wanted}, and not {value!r}",
                    value=value,
                    next_step="leave it out, or set it to one that is",
                )

    def chosen(self) -> dict[str, object]:
        """The options that are set, by name; ``extra`` is none of them."""
        return {name: value for name in _CHOICES if (value := getattr(self, name)) is not None}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(_is_text, value))  # pyright: ignore[reportUnknownArgumentType]


def _are_words_by_key(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(each, str)
        for item in value.items()  # pyright: ignore[reportUnknownVariableType]
        for each in item  # pyright: ignore[reportUnknownVariableType]
    )


def _are_members(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(members, Mapping)
        for name, members in value.items()  # pyright: ignore[reportUnknownVariableType]
    )


def _is_one_of(*words: str) -> tuple[Callable[[object], bool], str]:
    return words.__contains__, f"one of {', '.join(map(repr, words))}"


_NUMBER = (_is_number, "a number")
_COUNT = (_is_count, "a whole number above 0")
_TEXT = (_is_text, "a text")
_WORDS = (_are_words_by_key, "a mapping of texts")
_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "unsupported": _is_one_of("error", "warn"),
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "top_k": _COUNT,
    "max_output_tokens": _COUNT,
    "stop": (_are_texts, "a text, or a tuple of texts"),
    "seed": (_is_whole, "a whole number"),
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "service_tier": _TEXT,
    "safety_settings": _WORDS,
    "reasoning_effort": _TEXT,
    "reasoning_summary": _is_one_of("auto", "concise", "detailed"),
    "verbosity": _is_one_of("low", "medium", "high"),
    "tool_choice": _TEXT,
    "parallel_tool_calls": (lambda value: isinstance(value, bool), "True or False"),
    "end_user": _TEXT,
    "metadata": _WORDS,
    "extra": (_are_members, "a mapping of mappings: {provider: {member: value}}"),
}
_CHOICES = tuple(field.name for field in attrs.fields(Options) if field.name not in ("unsupported", "extra"))


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
