"""What one provider can take: options it does not know and images it cannot see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from tertulia.domain.exchange import Options, Target
from tertulia.domain.message import Image, Message, Part, Text
from tertulia.domain.model import Capability, ImageLimits
from tertulia.errors import ProviderError, TooLargeError, UnsupportedMediaError, UnsupportedParameterError
from tertulia.services.core import Core


def fit_options(core: Core, options: Options, target: Target) -> tuple[Options, list[str]]:
    """
    Leave out what the provider does not know, or refuse it, as the caller chose.

    Returns:
        The options it knows, and what was left out, a sentence each.

    Raises:
        UnsupportedParameterError: It does not know an option that is set.
    """
    provider = core.plugins.get_provider(target.provider)
    unknown = sorted(options.chosen().keys() - provider.OPTIONS)
    if not unknown:
        return options, []
    if options.unsupported == "error":
        error = UnsupportedParameterError(
            f"provider {target.provider!r} has no option {unknown[0]!r}, so nothing was sent",
            provider=target.provider,
            model=target.model,
            parameter=unknown[0],
            next_step='leave it out, or set unsupported="warn" to go on without it',
        )
        raise _not_sent(error)
    fitted: dict[str, Any] = dict.fromkeys(unknown)
    warnings = [f"option {name!r} was left out: {target} has none" for name in unknown]
    return attrs.evolve(options, **fitted), warnings


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


def _find_limits(core: Core, target: Target) -> ImageLimits | None:
    """What a model takes; one that is not in the table is believed to take what its provider does."""
    provider = core.plugins.get_provider(target.provider)
    info = provider.find_model(target.model)
    if info is not None and info.capabilities is not None and Capability.VISION not in info.capabilities:
        return None
    return provider.IMAGES


class _Gauge:
    """Measures the images of one request, the newest first."""

    def __init__(self, target: Target, limits: ImageLimits | None) -> None:
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
