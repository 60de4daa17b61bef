"""What one provider can take: options it does not know and attachments it cannot read."""

from __future__ import annotations

from collections.abc import Iterable
from operator import is_
from typing import Any

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.context import Context
from tertulia.domain.exchange import Request, Target
from tertulia.domain.media import Audio, Document, Image, Media, ProviderFile, Video
from tertulia.domain.media_type import is_among, is_text_type
from tertulia.domain.message import Message, Part, Text
from tertulia.domain.model import Capability, MediaLimits
from tertulia.domain.tool import HostedTool, Tool
from tertulia.errors import (
    AttachmentError,
    ContextOverflowError,
    ProviderError,
    TooLargeError,
    UnsupportedMediaError,
    UnsupportedParameterError,
)
from tertulia.services.core import Core


def fit_options(core: Core, request: Request) -> tuple[Request, list[str]]:
    """
    Leave out what the provider or the model does not take, or refuse it, as the caller chose.

    Returns:
        The request with what it takes, and what was left out, a sentence each.

    Raises:
        UnsupportedParameterError: It does not take an option that is set, or the tools or the schema.
    """
    provider, target = core.plugins.get_provider(request.target.provider), request.target
    asked = _list_asked(request)
    refused: dict[str, str] = {}
    for name, value in asked.items():
        if name not in provider.OPTIONS:
            refused[name] = f"provider {target.provider!r} has no option {name!r}"
        elif reason := provider.find_refusal(request, name, value):
            refused[name] = f"{target} does not take option {name!r}: {reason}"
    if not refused:
        return request, []
    if request.options.unsupported == "error":
        name, reason = next(iter(refused.items()))
        error = UnsupportedParameterError(
            f"{reason}, so nothing was sent",
            provider=target.provider,
            model=target.model,
            parameter=name,
            next_step='leave it out, or set unsupported="warn" to go on without it',
        )
        error.sent = False
        raise error
    return _leave_out(request, refused), [
        f"option {name!r} was left out: {why}" for name, why in refused.items()
    ]


def _list_asked(request: Request) -> dict[str, object]:
    """What is set, by the names that a provider's ``OPTIONS`` have."""
    asked = request.options.chosen()
    if tools := [tool for tool in request.tools if isinstance(tool, Tool)]:
        asked["tools"] = tools
    if hosted := [tool for tool in request.tools if isinstance(tool, HostedTool)]:
        asked["hosted_tools"] = hosted
    if request.response_schema is not None:
        asked["response_schema"] = request.response_schema
    return asked


def _leave_out(request: Request, names: Iterable[str]) -> Request:
    fields: dict[str, Any] = {name: None for name in names if name not in _PARTS}
    tools = tuple(tool for tool in request.tools if _PART_OF[type(tool)] not in names)
    schema = None if "response_schema" in names else request.response_schema
    options = attrs.evolve(request.options, **fields)
    return attrs.evolve(request, options=options, tools=tools, response_schema=schema)


_PART_OF: dict[type, str] = {Tool: "tools", HostedTool: "hosted_tools"}
_PARTS = frozenset({*_PART_OF.values(), "response_schema"})


async def fit_attachments(
    core: Core, context: Context, target: Target, *, newest: Message, deadline: float
) -> tuple[Context, list[str]]:
    """
    Refuse attachments of the newest message that the provider does not take; note what earlier ones were.

    A text that the provider takes no other way is sent as words. Where the caller allows it, an address that
    the provider does not fetch is fetched here. Of attachments that are too many together the earliest go
    first.

    Args:
        context: What was chosen to be sent.
        newest: The user message that opened the turn.
        deadline: On the loop's clock.

    Returns:
        The messages as they can be sent, counted as they are now, and what was changed, a sentence each.

    Raises:
        UnsupportedMediaError: The provider, or the model, does not take an attachment of the newest message.
        TooLargeError: One is larger than it takes, or all of them together.
        ContextOverflowError: What was fetched is more than was reckoned with.
    """
    gauge = _Gauge(core, target, deadline)
    fitted = [await gauge.fit(message, newest=newest) for message in reversed(context.messages)]
    fitted_context = _recount(core, context, target, tuple(reversed(fitted)))
    if gauge.has_fetched:
        _check_budget(fitted_context, target)
    return fitted_context, gauge.warnings


def _recount(core: Core, context: Context, target: Target, messages: tuple[Message, ...]) -> Context:
    """A note is shorter than what it stands for, and what is learned is learned of what is sent."""
    changed = [pair for pair in zip(context.messages, messages, strict=True) if pair[0] is not pair[1]]
    if not changed:
        return context
    parts, total = dict(context.report.parts), 0
    for old, new in changed:
        more = core.plugins.count_tokens(target, (new,)) - core.plugins.count_tokens(target, (old,))
        name = "newest message" if new is messages[-1] else "window"
        parts[name], total = parts.get(name, 0) + more, total + more
    tokens = max(0, context.report.tokens + total)
    return Context(messages, attrs.evolve(context.report, tokens=tokens, parts=parts))


def _check_budget(context: Context, target: Target) -> None:
    """Nobody knew how long it is when the context was chosen."""
    tokens, budget = context.report.tokens, context.report.budget
    if budget is None or tokens <= budget:
        return
    raise ContextOverflowError(
        f"what was fetched makes {tokens:,} tokens, and {budget:,} are allowed, so nothing was sent",
        provider=target.provider,
        budget=budget,
        parts={"request": tokens},
        next_step="attach less, or allow more max_context_tokens",
    )


@attrs.frozen
class _Kind:
    """What the attachments of one kind are called, and what a model has to be able to do."""

    words: str
    needed: Capability


_KINDS: dict[type[Media], _Kind] = {
    Image: _Kind("images", Capability.VISION),
    Document: _Kind("documents", Capability.DOCUMENTS),
    Audio: _Kind("sound", Capability.AUDIO),
    Video: _Kind("films", Capability.VIDEO),
}


def _find_limits(provider: Provider, target: Target, part: Media) -> MediaLimits | None:
    """What a model takes; one that is not in the table is believed to take what its provider does."""
    info = provider.find_model(target.model)
    known = None if info is None else info.capabilities
    if known is not None and _KINDS[type(part)].needed not in known:
        return None
    match part:
        case Image():
            return provider.IMAGES
        case Document():
            return provider.DOCUMENTS
        case Audio():
            return provider.AUDIO
        case Video():
            return provider.VIDEO


class _Gauge:
    """Measures the attachments of one request, the newest first."""

    def __init__(self, core: Core, target: Target, deadline: float) -> None:
        self.warnings: list[str] = []
        self.has_fetched = False
        self._deadline = deadline
        self._fetcher = core.fetcher
        self._provider = core.plugins.get_provider(target.provider)
        self._target = target
        self._total = 0

    async def fit(self, message: Message, *, newest: Message) -> Message:
        if not any(isinstance(part, Media) for part in message.parts):
            return message
        fitted: list[Part] = []
        for part in message.parts:
            try:
                fitted.append(await self._fit_part(part) if isinstance(part, Media) else part)
            except ProviderError as error:
                if message.id == newest.id:
                    error.message = f"{error.message}, so nothing was sent"
                    error.sent = False
                    raise
                fitted.append(Text(f"{part} which you cannot see"))
                self.warnings.append(f"{part} was replaced by a note: {error.message}")
        same = all(map(is_, message.parts, fitted))
        return message if same else attrs.evolve(message, parts=tuple(fitted))

    async def _fit_part(self, part: Media) -> Part:
        """
        Return a part as it can be sent, and count it.

        Raises:
            ProviderError: It cannot.
        """
        limits = _find_limits(self._provider, self._target, part)
        if part.url is not None and not (limits and limits.urls):
            part = await self._fetch(part, limits)
        try:
            self._check(part, limits)
        except UnsupportedMediaError:
            words = _find_words(part)
            if words is None:
                raise
            self.warnings.append(f"{part} was sent as words: {self._target} does not take it as a file")
            return words
        return part

    async def _fetch(self, part: Media, limits: MediaLimits | None) -> Media:
        """Put the bytes in the place of an address, where the caller allows it and it helps."""
        takes_data = isinstance(part, Document) or (limits is not None and limits.data)
        if self._fetcher is None or not takes_data:
            return part
        try:
            fetched = await self._fetcher.fetch(part, deadline=self._deadline)
        except AttachmentError as error:
            why = f"{error.message}, and {self._target} fetches no {_KINDS[type(part)].words} itself"
            raise self._unsupported(part, why, "attach the file itself, or ask another provider") from error
        self.has_fetched = True
        return fetched

    def _check(self, part: Media, limits: MediaLimits | None) -> None:
        words = _KINDS[type(part)].words
        if limits is None:
            raise self._unsupported(part, f"{self._target} takes no {words}")
        if part.media_type is not None and not is_among(part.media_type, limits.media_types):
            known = ", ".join(sorted(limits.media_types))
            raise self._unsupported(part, f"{self._target} takes {known}, and not {part.media_type}")
        if part.file is not None:
            self._check_file(part, part.file, limits)
        elif part.url is not None and not limits.urls:
            raise self._unsupported(
                part,
                f"{self._target} takes {words} only {'as bytes' if limits.data else 'uploaded before'}",
                "attach the file itself, or open the client with fetch_urls=True",
            )
        elif part.data is not None:
            self._check_data(part, part.data, limits)

    def _check_file(self, part: Media, file: ProviderFile, limits: MediaLimits) -> None:
        if file.provider != self._target.provider:
            raise self._unsupported(
                part,
                f"{file} cannot be read by {self._target}",
                f"ask {file.provider}, or attach the file itself",
            )
        if not limits.files:
            words = _KINDS[type(part)].words
            raise self._unsupported(
                part, f"{self._target} takes no uploaded {words}", "attach the file itself"
            )

    def _check_data(self, part: Media, data: bytes, limits: MediaLimits) -> None:
        words = _KINDS[type(part)].words
        if not limits.data:
            raise self._unsupported(
                part,
                f"{self._target} takes {words} only from an address or uploaded before",
                "attach its address, or ask another provider",
            )
        if part.media_type is None:
            raise self._unsupported(part, f"nobody knows of what type {part} is", "set its media_type")
        size, total = len(data), self._total + len(data)
        if limits.max_bytes is not None and size > limits.max_bytes:
            raise self._too_large(f"{part}", limits.max_bytes, "attach a smaller version")
        if limits.max_total_bytes is not None and total > limits.max_total_bytes:
            what = f"attachments of {total:,} bytes together"
            raise self._too_large(what, limits.max_total_bytes, "attach smaller versions, or fewer")
        self._total = total

    def _unsupported(
        self, part: Media, why: str, next_step: str = "convert it, or ask another provider"
    ) -> UnsupportedMediaError:
        return UnsupportedMediaError(
            why,
            provider=self._target.provider,
            model=self._target.model,
            parameter="attach",
            media_type=part.media_type,
            next_step=next_step,
        )

    def _too_large(self, what: str, limit: int, next_step: str) -> TooLargeError:
        return TooLargeError(
            f"{what} is more than the {limit:,} bytes that {self._target} takes",
            provider=self._target.provider,
            model=self._target.model,
            side="request",
            next_step=next_step,
        )


def _find_words(part: Media) -> Text | None:
    """A text document as words, whole and with its name; None for what is no text."""
    if not isinstance(part, Document) or part.data is None or not is_text_type(part.media_type or ""):
        return None
    try:
        words = part.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    name = (part.name or "document").replace('"', "'")
    return Text(f'<document name="{name}" type="{part.media_type}">\n{words}\n</document>\n')
