"""Configuration as values: what is set, not where it was read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import attrs

from tertulia.domain.budget import Budget
from tertulia.domain.context import NO_CONTEXT_OPTIONS, ContextOptions
from tertulia.domain.limits import Limits
from tertulia.domain.options import Timeouts
from tertulia.domain.price import Price
from tertulia.domain.routing import Routing


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


def hide_password(url: str | None) -> str | None:
    """
    Return a URL without the password in it, if there is one.

    Example:
        >>> hide_password("postgresql://me:very-secret@localhost/tertulia")
        'postgresql://me:…@localhost/tertulia'
    """
    if url is None:
        return None
    # Up to the last at sign, whatever is before it: a database's password may hold what no other URL does.
    url = re.sub(r"(?s)(?<=://)([^:/?#@]*):.*@", r"\1:…@", url)
    return re.sub(r"(?i)([?&][^=&]*password=)[^&#]*", r"\1…", url)


def _show_names(settings: Mapping[str, Any]) -> str:
    return f"{{{', '.join(f'{name!r}: …' for name in settings)}}}"


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

        fallback: ``provider`` or ``provider/model``, asked in order when it fails; None for the
            configuration's own list.

        timeouts: How long to wait.

        limits: How much it may be asked at a time.

        price_factor: What its table prices are multiplied by, 0 where nothing is charged; None for 1.

        settings: What only its driver understands; it may hold secrets, so only the names show.

        origins: Where each of its settings was set, by key path, for errors; the empty path is the provider's
            own table.
    """

    name: str
    driver: str
    api_key: Secret | None = None
    base_url: str | None = None
    model: str | None = None
    fallback: tuple[str, ...] | None = None
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    price_factor: Decimal | None = None
    settings: Mapping[str, Any] = attrs.field(default=MappingProxyType({}), repr=_show_names)
    origins: Mapping[tuple[str, ...], str] = attrs.field(default=MappingProxyType({}), repr=False, eq=False)


@attrs.frozen
class Setting:
    """
    One setting, and where it was set.

    Attributes:
        key: Its key as a configuration file has it: ``providers.openai.timeouts.idle``.

        value: What is in effect, a :class:`Secret` where it is one; None for not set.

        origin: Where it was set, in words: ``default``, ``argument``, ``environment variable NAME``, or a
            file and a line.
    """

    key: str
    value: Any
    origin: str


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

        context: How contexts are chosen; its ``max_tokens`` and ``max_messages`` are the two above.

        context_of: The same for one provider's requests, or one model's, by ``provider`` or
            ``provider/model``.

        plugins: The only installed plugins to load, by name; None for all.

        fetch_urls: Whether an attachment's address is fetched here for a provider that does not fetch it.

        auto_title: Whether an untitled conversation gets a title from a model, once it has an answer.

        routing: How a send finds its answer.

        budgets: What may be spent.

        prices: What the user says that models cost, before every table; the model of each row is
            ``provider/model``.
    """

    providers: Mapping[str, ProviderConfig]
    default_provider: str | None = None
    fallback: tuple[str, ...] = ()
    owner: str = "local"
    store: str | None = attrs.field(default=None, repr=lambda url: repr(hide_password(url)))
    max_context_tokens: int | None = None
    context_window: int | None = None
    plugins: tuple[str, ...] | None = None
    fetch_urls: bool = False
    auto_title: bool = False
    prices: tuple[Price, ...] = ()
    routing: Routing = Routing()
    budgets: tuple[Budget, ...] = ()
    context: ContextOptions = NO_CONTEXT_OPTIONS
    context_of: Mapping[str, ContextOptions] = MappingProxyType({})

    def find_context(self, provider: str, model: str) -> Iterator[ContextOptions]:
        """What is configured of the contexts of a model's requests, the most specific first."""
        for name in (f"{provider}/{model}", provider):
            if name in self.context_of:
                yield self.context_of[name]
        yield self.context


def default_database(data_folder: Path) -> str:
    """The URL of the user's own database file, percent-encoded: its folder may have any name."""
    path = quote(str(data_folder / "conversations.db"), errors="surrogateescape")
    return f"sqlite:///{path}"


def is_same_origin(url: str, own: str | None) -> bool:
    """
    Whether a URL is at the origin of another one, or at a host below it; never when there is no other.

    Scheme and port are the same, and a host below is written in plain letters: what looks like one need not
    be read so by everybody.

    Example:
        >>> is_same_origin("https://eu.api.openai.com/v1", "https://api.openai.com/v1")
        True
        >>> is_same_origin("http://api.openai.com/v1", "https://api.openai.com/v1")
        False
    """
    if own is None:
        return False
    theirs, ours = urlsplit(url), urlsplit(own)
    below = f"([a-z0-9-]+[.])*{re.escape(ours.hostname or '')}"
    return (
        (theirs.scheme, _find_port(theirs)) == (ours.scheme, _find_port(ours))
        and "@" not in theirs.netloc
        and re.fullmatch(below, theirs.hostname or "") is not None
    )


def _find_port(parts: SplitResult) -> int | None:
    return parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def follow_fallbacks(targets: Iterable[str], links: Callable[[str], Iterable[str]]) -> list[str]:
    """
    Follow a chain of fallbacks to its end.

    Args:
        targets: ``provider`` or ``provider/model``, in the order they are asked.
        links: What a provider itself falls back on.

    Returns:
        Each target followed by what it falls back on in turn, each once. Who names a model has chosen
        exactly that, so there the chain ends.

    Example:
        >>> chain = {"openai": ["gemini", "local"], "gemini": ["xai"], "xai": [], "local": []}
        >>> follow_fallbacks(chain["openai"], chain.__getitem__)
        ['gemini', 'xai', 'local']
        >>> follow_fallbacks(["gemini/gemini-2.5-flash", "local"], chain.__getitem__)
        ['gemini/gemini-2.5-flash', 'local']
    """
    found: dict[str, None] = {}
    waiting = list(targets)[::-1]
    while waiting:
        target = waiting.pop()
        if target in found:
            continue
        found[target] = None
        name, _, model = target.partition("/")
        if not model:
            waiting += list(links(name))[::-1]
    return list(found)


def find_cycle(links: Mapping[str, Iterable[str]]) -> list[str] | None:
    """
    Find providers that fall back on one another in a circle; None when there are none.

    Args:
        links: What each provider falls back on.

    Returns:
        The circle from the provider that comes first in ``links`` back to itself.

    Example:
        >>> find_cycle({"openai": ["gemini"], "gemini": ["openai/gpt-5.5", "openai"]})
        ['openai', 'gemini', 'openai']
    """
    split = {name: [target.partition("/") for target in targets] for name, targets in links.items()}
    bare = {name: [to for to, _, model in targets if not model] for name, targets in split.items()}
    try:
        TopologicalSorter(bare).prepare()
    except CycleError as error:
        circle = error.args[1][:0:-1]  # the sorter tells it from the one fallen back on to who falls back
        start = circle.index(next(name for name in links if name in circle))
        return [*circle[start:], *circle[: start + 1]]
    return None
