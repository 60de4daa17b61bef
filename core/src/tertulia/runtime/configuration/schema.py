"""Which settings there are, and of which form; each has its reader here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import attrs

from tertulia.domain.config import Secret, Setting
from tertulia.domain.options import Timeouts
from tertulia.runtime.configuration.prices import read_amount, read_prices
from tertulia.runtime.configuration.tables import Given, Table, make_table, refuse, suggest, write_key

Node: TypeAlias = Given | Table[Given]
Entry: TypeAlias = Setting | Table[Setting]
Reader: TypeAlias = Callable[[Node], Entry | None]

MAX_OWNER = 200
_URL_FORM = "write it as https://HOST/PATH"


def check(table: Table[Given]) -> Table[Setting]:
    """
    Read what one source says. An empty text is as good as none, unless it says who owns what.

    Raises:
        ConfigurationError: A key is unknown, or its value of the wrong form; the error says where.
    """
    return _read_table(table, readers=_TOP)


def _read_table(
    node: Node, *, readers: Mapping[str, Reader], others: Reader | None = None, advice: str | None = None
) -> Table[Setting]:
    entries: dict[str, Entry] = {}
    for key, entry in _entries(node, advice or f"its keys are: {', '.join(sorted(readers))}").items():
        reader = readers.get(key, others)
        if reader is None:
            raise refuse(entry, "is no setting", value=key, next_step=suggest(key, readers))
        read = reader(entry)
        if read is not None:
            entries[key] = read
    return Table(node.path, node.key, node.origin, entries)


def _entries(node: Node, advice: str) -> Mapping[str, Node]:
    if isinstance(node, Table):
        return node.entries
    if not _is_mapping(node.value):
        raise refuse(node, "must be a table", next_step=advice)
    names = cast("Mapping[object, object]", node.value)
    wrong = next(name for name in names if not isinstance(name, str))
    raise refuse(node, f"has the name {wrong!r}, which is no text", value=wrong)


def _read_providers(node: Node) -> Table[Setting]:
    tables = _read_table(
        node, readers={}, others=_read_provider, advice="write a table for each name: providers.NAME"
    )
    for name, table in tables.entries.items():
        if not name.strip() or "/" in name:
            raise refuse(
                cast("Table[Setting]", table),
                "is no provider's name: it is empty or has a slash in it",
                value=name,
                next_step="take another: fallbacks are written as provider/model",
            )
    return tables


def _read_provider(node: Node) -> Table[Setting]:
    known = ", ".join(_PROVIDER)
    return _read_table(
        node, readers=_PROVIDER, others=_read_own, advice=f"its keys are: {known}, and its driver's own"
    )


def _read_own(node: Node) -> Entry | None:
    """What only the driver understands, checked by the driver; further down it says what is empty."""
    is_empty = isinstance(node, Given) and (node.value is None or _is_blank(node.value))
    return None if is_empty else _read_below(node)


def _read_below(node: Node) -> Entry:
    if isinstance(node, Table):
        return _read_table(node, readers={}, others=_read_below)
    return _setting(node, node.value)


def _read(convert: Callable[[Given], Any], node: Node) -> Setting | None:
    given = _as_value(node)
    return None if given.value is None else _setting(node, convert(given))


def _read_optional(convert: Callable[[Given], Any], node: Node) -> Setting | None:
    return None if _is_blank(_as_value(node).value) else _read(convert, node)


def _read_seconds(node: Node) -> Setting:
    given = _as_value(node)
    can_be_none = getattr(Timeouts(), node.path[-1]) is None
    return _setting(node, None if given.value is None and can_be_none else _seconds(given))


def _read_timeouts(node: Node) -> Table[Setting] | None:
    match node:
        case Given(value=None):
            return None
        case Given(origin=origin, value=Timeouts() as timeouts):
            node = make_table(attrs.asdict(timeouts), origin=lambda _: origin, path=node.path)
        case Given() if not _is_mapping(node.value):
            raise refuse(node, "must be a table of seconds", value=node.value)
        case _:
            pass
    return _read_table(node, readers=_TIMEOUTS)


def _as_value(node: Node) -> Given:
    """A table is a value of no form that is asked for, and so is an empty mapping."""
    return Given(node.path, node.key, node.origin, {}) if isinstance(node, Table) else node


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_blank(value: object) -> bool:
    text = value.reveal() if isinstance(value, Secret) else value
    return isinstance(text, str) and not text.strip()


def _setting(node: Node, value: object) -> Setting:
    return Setting(write_key(node.path), value, node.origin)


def _text(given: Given) -> str:
    if not isinstance(given.value, str) or not given.value.strip():
        raise refuse(given, "must be a text")
    return given.value.strip()


def _owner(given: Given) -> str:
    """A name that every database tells from every other one."""
    name = _text(given)
    if len(name) > MAX_OWNER or "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise refuse(
            given, f"must be a text of at most {MAX_OWNER} characters, none of them null or half of one"
        )
    return name


def _secret(given: Given) -> Secret:
    return given.value if isinstance(given.value, Secret) else Secret(_text(given))


def _url(given: Given) -> str:
    problem = _find_problem(_text(given))
    if problem is not None:
        what, next_step = problem
        raise refuse(given, what, next_step=next_step)
    return _text(given)


# Apart, because its values may hold a password, and who raises an error shows them.
def _find_problem(url: str) -> tuple[str, str] | None:
    """What is wrong with a URL, and what to do about it; None when nothing is."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # is read, and refused, on demand
    except ValueError:
        return "is no URL", _URL_FORM
    if "@" in parts.netloc:
        return "has a user or a password in it", "put the key in api_key"
    return None if parts.hostname else ("has no host", _URL_FORM)


def _names(given: Given) -> tuple[str, ...]:
    names: object = (given.value,) if isinstance(given.value, str) else given.value
    if not isinstance(names, Sequence) or not all(
        isinstance(name, str) for name in cast("Sequence[object]", names)
    ):
        raise refuse(given, "must be a text or a list of texts")
    return tuple(cast("Sequence[str]", names))


def _yes_or_no(given: Given) -> bool:
    if not isinstance(given.value, bool):
        raise refuse(given, "must be true or false", value=given.value)
    return given.value


def _positive(given: Given) -> int:
    if not isinstance(given.value, int) or isinstance(given.value, bool):
        raise refuse(given, "must be a whole number", value=given.value)
    if given.value < 1:
        raise refuse(given, "must be at least 1", value=given.value)
    return given.value


def _seconds(given: Given) -> float:
    if not isinstance(given.value, int | float) or isinstance(given.value, bool):
        raise refuse(given, "must be a number of seconds", value=given.value)
    if not given.value > 0:  # nor is NaN
        raise refuse(given, "must be more than 0 seconds", value=given.value)
    return given.value


_TIMEOUTS: Mapping[str, Reader] = {field.name: _read_seconds for field in attrs.fields(Timeouts)}
_PROVIDER: Mapping[str, Reader] = {
    "driver": partial(_read, _text),
    "api_key": partial(_read_optional, _secret),
    "base_url": partial(_read_optional, _url),
    "model": partial(_read_optional, _text),
    "fallback": partial(_read_optional, _names),
    "timeouts": _read_timeouts,
    "price_factor": partial(_read_optional, read_amount),
}
_CONVERSATION: Mapping[str, Reader] = {
    "context_window": partial(_read, _positive),
    "max_context_tokens": partial(_read, _positive),
    "auto_title": partial(_read, _yes_or_no),
}
_TOP: Mapping[str, Reader] = {
    "default_provider": partial(_read_optional, _text),
    "fallback": partial(_read_optional, _names),
    "owner": partial(_read, _owner),
    "store": partial(_read_optional, _text),
    "plugins": partial(_read, _names),
    "fetch_urls": partial(_read, _yes_or_no),
    "prices": partial(_read, read_prices),
    "conversation": partial(_read_table, readers=_CONVERSATION),
    "providers": _read_providers,
}

TOP_KEYS = frozenset(_TOP)
PROVIDER_KEYS = frozenset(_PROVIDER)
