"""What one provider can take: options it does not know and images it cannot see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from tertulia.domain.exchange import Request, Target
from tertulia.domain.media import Image
from tertulia.domain.message import Message, Part, Text
from tertulia.domain.model import Capability, MediaLimits
from tertulia.domain.tool import HostedTool, Tool
from tertulia.errors import ProviderError, TooLargeError, UnsupportedMediaError, UnsupportedParameterError
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
        elif reason := provider.find_refusal(target.model, name, value):
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
        raise _not_sent(error)
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


def fit_images(
    core: Core, messages: Sequence[Message], target: Target, *, newest: Message
) -> tuple[tuple[Message, ...], list[str]]:
    """
    Refuse images of the newest message that the provider does not take; replace earlier ones by a note.

    Of images that are too many together the earliest go first.

    Returns:
        The messages as they can be sent, and what was replaced, a sentence each.

    Raises:
        UnsupportedMediaError: The provider, or the model, does not take an image of the newest message.
        TooLargeError: One is larger than it takes, or all of them together.
    """
    gauge = _Gauge(target, _find_limits(core, target))
    fitted = [gauge.fit(message, newest=newest) for message in reversed(messages)]
    return tuple(reversed(fitted)), gauge.warnings()


def _find_limits(core: Core, target: Target) -> MediaLimits | None:
    """What a model takes; one that is not in the table is believed to take what its provider does."""
    provider = core.plugins.get_provider(target.provider)
    info = provider.find_model(target.model)
    if info is not None and info.capabilities is not None and Capability.VISION not in info.capabilities:
        return None
    return provider.IMAGES


class _Gauge:
    """Measures the images of one request, the newest first."""

    def __init__(self, target: Target, limits: MediaLimits | None) -> None:
        self._target = target
        self._limits = limits
        self._total = 0
        self._replaced: list[Image] = []

    def fit(self, message: Message, *, newest: Message) -> Message:
        if not any(isinstance(part, Image) for part in message.parts):
            return message
        if message.id == newest.id:
            for image in _images(message.parts):
                if (error := self._find_problem(image)) is not None:
                    raise _not_sent(error)
            return message
        return attrs.evolve(message, parts=tuple(map(self._fit_part, message.parts)))

    def _fit_part(self, part: Part) -> Part:
        if not isinstance(part, Image) or self._find_problem(part) is None:
            return part
        self._replaced.append(part)
        return Text(f"{part} which you cannot see")

    def _find_problem(self, image: Image) -> ProviderError | None:
        """Say why an image cannot be sent; None when it can, and is counted then."""
        limits = self._limits
        if limits is None:
            return self._unsupported(image, f"{self._target} takes no images")
        if image.data is None:
            return None if limits.urls else self._unsupported(image, f"{self._target} fetches no addresses")
        if image.media_type not in limits.media_types:
            known = ", ".join(sorted(limits.media_types))
            return self._unsupported(image, f"{self._target} takes {known}, and not {image.media_type}")
        size, total = len(image.data), self._total + len(image.data)
        if limits.max_bytes is not None and size > limits.max_bytes:
            return self._too_large(f"an image of {size:,} bytes", limits.max_bytes)
        if limits.max_total_bytes is not None and total > limits.max_total_bytes:
            return self._too_large(f"images of {total:,} bytes together", limits.max_total_bytes)
        self._total = total
        return None

    def warnings(self) -> list[str]:
        return [
            f"{image} was replaced by a note: {self._target} does not take it" for image in self._replaced
        ]

    def _unsupported(self, image: Image, why: str) -> UnsupportedMediaError:
        return UnsupportedMediaError(
            f"{why}, so nothing was sent",
            provider=self._target.provider,
            model=self._target.model,
            parameter="attach",
            media_type=image.media_type,
            next_step="convert the image, or ask another provider",
        )

    def _too_large(self, what: str, limit: int) -> TooLargeError:
        return TooLargeError(
            f"{what} is more than the {limit:,} that {self._target} takes, so nothing was sent",
            provider=self._target.provider,
            model=self._target.model,
            side="request",
            next_step="attach a smaller version, or fewer images",
        )


def _images(parts: Iterable[Part]) -> list[Image]:
    return [part for part in parts if isinstance(part, Image)]


def _not_sent(error: ProviderError) -> ProviderError:
    error.sent = False
    return error
