"""Configuration as values: what is set, not where it was read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import attrs

from tertulia.domain.exchange import Timeouts


class Secret:
    """
    A text that shows itself only when asked.

    Example:
        >>> key = Secret("sk-very-secret")
        >>> key, f"{key}", key.reveal()
        (Secret('…'), '…', 'sk-very-secret')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself: call it where it leaves the process, nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"

    def __str__(self) -> str:
        return "…"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret is not pickled; read the key again where it is needed")


@attrs.frozen
class ProviderConfig:
    """
    One configured provider.

    Attributes:
        name: Its name in this configuration.

        driver: The entry point that brings its code.

        api_key: None when there is none; the driver says what it then needs.

        base_url: Where it is; None for the driver's own origin.

        model: The model to ask for when nobody names one; None for the driver's own default.

        fallback: Names to ask in order when it fails; None for the configuration's own list.

        timeouts: How long to wait.

        settings: What only its driver understands.
    """

    name: str
    driver: str
    api_key: Secret | None = None
    base_url: str | None = None
    model: str | None = None
    fallback: tuple[str, ...] | None = None
    timeouts: Timeouts = Timeouts()
    settings: Mapping[str, Any] = MappingProxyType({})


@attrs.frozen
class Config:
    """
    Everything a client was opened with.

    Attributes:
        providers: Configured providers by name, in order.

        default_provider: Who answers when nobody is named; None to take the first that has a key.

        fallback: ``provider`` or ``provider/model``, asked in order when a send fails.

        owner: Whose conversations these are.

        store: The store's URL; None for the user's own database file.

        max_context_tokens: Tokens a request may hold; None for the model's own window.

        context_window: Recent messages a request may hold; None for no limit.

    """

    providers: Mapping[str, ProviderConfig]
    default_provider: str | None = None
    fallback: tuple[str, ...] = ()
    owner: str = "local"
    store: str | None = None
    max_context_tokens: int | None = None
    context_window: int | None = None


def default_database(data_folder: Path) -> str:
    """The URL of the user's own database file, percent-encoded: its folder may have any name."""
    path = quote(str(data_folder / "conversations.db"), errors="surrogateescape")
    return f"sqlite:///{path}"
