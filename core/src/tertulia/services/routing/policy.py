"""What an error means for the send it happened in: one table for all providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from tertulia.contracts.provider import Provider
from tertulia.domain.config import Config, follow_fallbacks
from tertulia.domain.exchange import Target
from tertulia.errors import ErrorKind, ProviderError, TooLargeError
from tertulia.runtime.plugins import Plugins


class FallBack(Enum):
    """Whether another provider may be asked."""

    YES = "yes"
    LARGER_WINDOW = "only one with a larger context window"
    NO = "no"


FALL_BACK: Mapping[ErrorKind, FallBack] = {
    ErrorKind.CONNECTION: FallBack.YES,
    ErrorKind.TIMEOUT: FallBack.YES,
    ErrorKind.SERVER: FallBack.YES,
    ErrorKind.OVERLOADED: FallBack.YES,
    ErrorKind.PROTOCOL: FallBack.YES,
    ErrorKind.RATE_LIMITED: FallBack.YES,
    ErrorKind.QUOTA_EXHAUSTED: FallBack.YES,
    ErrorKind.AUTHENTICATION: FallBack.YES,
    ErrorKind.PERMISSION: FallBack.YES,
    ErrorKind.MODEL_NOT_FOUND: FallBack.YES,
    ErrorKind.CONTEXT_LENGTH: FallBack.LARGER_WINDOW,
    ErrorKind.CONTENT_FILTER: FallBack.NO,
    ErrorKind.UNSUPPORTED_PARAMETER: FallBack.YES,
    ErrorKind.INVALID_REQUEST: FallBack.NO,
    ErrorKind.TOO_LARGE: FallBack.NO,  # but for two cases: see targets_after
    ErrorKind.EMPTY_RESPONSE: FallBack.YES,
    ErrorKind.INTERRUPTED: FallBack.NO,  # two answers are never spliced
    ErrorKind.CANCELLED: FallBack.NO,
    ErrorKind.BUDGET: FallBack.NO,
    ErrorKind.PLUGIN: FallBack.NO,
    ErrorKind.STORE: FallBack.NO,
    ErrorKind.CONFIGURATION: FallBack.NO,
    ErrorKind.NOT_FOUND: FallBack.NO,
    ErrorKind.CONFLICT: FallBack.NO,
}
"""By kind. Nothing that a bug of ours could cause falls back: it would fail, and cost, everywhere."""


def parse_target(text: str, plugins: Plugins) -> Target:
    """
    Read ``provider`` or ``provider/model``; without a model it is the provider's default.

    Raises:
        UnknownProviderError: No provider of that name is configured.
        DriverNotInstalledError: Its driver is not installed.
    """
    name, _, model = text.partition("/")
    return Target(name, model or plugins.get_provider(name).default_model)


def make_targets(
    own: Target, fallback: Sequence[str] | None, config: Config, plugins: Plugins
) -> list[Target]:
    """
    Say who is asked for an answer, in order, each once.

    Args:
        own: The conversation's own provider and model.
        fallback: Whom the caller names, which is taken as it is: an empty sequence is nobody. None for what
            is configured for the own provider, or else for all; that is followed to its end.
        config: The configuration.
        plugins: The providers.

    Raises:
        UnknownProviderError: No provider of a name is configured.
        DriverNotInstalledError: The driver of one is not installed.
    """
    if isinstance(fallback, str):
        fallback = (fallback,)  # as in a file
    if fallback is None:
        configured = plugins.get_provider(own.provider).config.fallback
        fallback = follow_fallbacks(
            config.fallback if configured is None else configured,
            lambda name: plugins.get_provider(name).config.fallback or (),
        )
    return list(dict.fromkeys((own, *(parse_target(target, plugins) for target in fallback))))


def targets_after(
    error: ProviderError, failed: Target, remaining: Sequence[Target], plugins: Plugins
) -> Sequence[Target]:
    """Return those of the remaining targets that may still be asked after a failure before any content."""
    decision = FALL_BACK[error.kind]
    if isinstance(error, TooLargeError) and (error.side == "response" or not error.sent):
        decision = FallBack.YES  # what was not even sent is beyond this target's limits, and not ours
    if decision is FallBack.NO:
        return ()
    if decision is FallBack.YES:
        return remaining
    limit = _window(plugins.get_provider(failed.provider), failed.model) or 0
    return [
        target
        for target in remaining
        if (_window(plugins.get_provider(target.provider), target.model) or 0) > limit
    ]


def _window(provider: Provider, model: str) -> int | None:
    info = provider.find_model(model)
    return None if info is None else info.context_window
