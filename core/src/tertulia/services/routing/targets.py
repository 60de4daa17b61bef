"""Whom a send may ask: provider and model, by name and by what falls back on what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from tertulia.domain.config import Config, follow_fallbacks
from tertulia.domain.exchange import Target
from tertulia.errors import ConfigurationError, DriverNotInstalledError, PluginRejectedError
from tertulia.runtime.plugins import Plugins


def parse_target(text: str, plugins: Plugins) -> Target:
    """
    Read ``provider`` or ``provider/model``; without a model it is the provider's default.

    Raises:
        UnknownProviderError: No provider of that name is configured.
        DriverNotInstalledError: Its driver is not installed.
    """
    if not isinstance(cast("object", text), str) or text.endswith("/"):
        raise ConfigurationError(
            f"a target is provider or provider/model, and not {text!r}",
            value=text,
            next_step='write it as a text: "openai", "gemini/gemini-3.5-flash"',
        )
    name, _, model = text.partition("/")
    provider = plugins.get_provider(name)
    return Target(name, model or provider.default_model)


def make_targets(
    own: Target, fallback: Sequence[str] | None, config: Config, plugins: Plugins
) -> tuple[list[Target], list[str]]:
    """
    Say who is asked for an answer, in order, each once.

    A configured fallback that is not installed is passed over: another one may still answer. So is the own
    provider, where another one is left.

    Args:
        own: The conversation's own provider and model.
        fallback: Whom the caller names, which is taken as it is: an empty sequence is nobody. None for what
            is configured for the own provider, or else for all; that is followed to its end.
        config: The configuration.
        plugins: The providers.

    Returns:
        The targets, and who was passed over, a sentence each.

    Raises:
        UnknownProviderError: No provider of a name is configured.
        DriverNotInstalledError: The driver of one is not installed.
    """
    if isinstance(fallback, str):
        fallback = (fallback,)  # as in a file
    if fallback is not None and not isinstance(cast("object", fallback), Iterable):
        raise ConfigurationError(
            f"fallback is a list of targets, and not {fallback!r}",
            value=fallback,
            next_step='write fallback=["gemini"]',
        )
    if fallback is not None:
        named = [parse_target(target, plugins) for target in fallback]
        missing = _find_missing(own, plugins)
        if missing is not None and not named:
            raise missing
        found = [*([] if missing else [own]), *named]
        return list(dict.fromkeys(found)), _tell(own, missing)
    return _follow_configuration(own, config, plugins)


def _follow_configuration(own: Target, config: Config, plugins: Plugins) -> tuple[list[Target], list[str]]:
    names = _find_configured(own, config, plugins)
    missing = _find_missing(own, plugins)
    found = [] if missing else [own]
    notes = _tell(own, missing)
    for name in names:
        try:
            found.append(parse_target(name, plugins))
        except (DriverNotInstalledError, PluginRejectedError) as error:
            notes.append(f"{name} is passed over: {error.message}")
    if not found:
        assert missing is not None  # noqa: S101  # else it would be among them
        raise missing
    return list(dict.fromkeys(found)), notes


def _find_configured(own: Target, config: Config, plugins: Plugins) -> Iterable[str]:
    def links(name: str) -> Sequence[str]:
        provider = config.providers.get(name)
        if provider is None:
            provider = plugins.get_provider(name).config
        return provider.fallback or ()

    configured = config.providers.get(own.provider)
    if configured is None and own.provider in plugins.providers:
        configured = plugins.get_provider(own.provider).config
    first = None if configured is None else configured.fallback
    return follow_fallbacks(config.fallback if first is None else first, links)


def _find_missing(own: Target, plugins: Plugins) -> ConfigurationError | PluginRejectedError | None:
    """Why the conversation's own provider cannot be asked; None when it can."""
    try:
        plugins.get_provider(own.provider)
    except (ConfigurationError, PluginRejectedError) as error:
        if not isinstance(error, PluginRejectedError):
            going_on = "or go on with another provider: switch()"
            error.next_step = f"{error.next_step}, {going_on}" if error.next_step else going_on
        return error
    return None


def _tell(own: Target, missing: Exception | None) -> list[str]:
    if missing is None:
        return []
    return [f"{own} is passed over: {getattr(missing, 'message', missing)}"]
