"""Which settings there are, and of which form; each has its reader here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, cast, get_args

import attrs

from tertulia.domain.config import Setting
from tertulia.domain.context import ContextOptions, OptimiseMode, RecallMode
from tertulia.domain.limits import Limits
from tertulia.domain.options import Timeouts
from tertulia.domain.routing import FALL_BACK_ON_DEMAND, OnInterrupt, Routing, Strategy
from tertulia.errors import ErrorKind
from tertulia.runtime.configuration.budgets import read_budgets
from tertulia.runtime.configuration.contexts import OLDER_NAMES, SUMMARY_MODEL
from tertulia.runtime.configuration.prices import read_amount, read_prices
from tertulia.runtime.configuration.tables import Given, Table, make_table, refuse, suggest, write_key
from tertulia.runtime.configuration.values import (
    is_blank,
    read_count,
    read_names,
    read_owner,
    read_seconds,
    read_secret,
    read_text,
    read_url,
    read_wait,
    read_word,
    read_yes_or_no,
)

Node: TypeAlias = Given | Table[Given]
Entry: TypeAlias = Setting | Table[Setting]
Reader: TypeAlias = Callable[[Node], Entry | None]


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


def _read_contexts(node: Node) -> Table[Setting]:
    tables = _read_table(
        node,
        readers={},
        others=partial(_read_record, ContextOptions, _CONTEXT_OF, " of options", others=_refuse_of_model),
        advice='write a table for each: context.models."provider/model"',
    )
    for name, table in tables.entries.items():
        provider, slash, model = name.partition("/")
        if not provider.strip() or (slash and not model.strip()):
            raise refuse(
                cast("Table[Setting]", table),
                "names no provider or model",
                value=name,
                next_step="write it as provider, or as provider/model",
            )
    return tables


def _refuse_in_context(node: Node) -> Entry:
    key = node.path[-1]
    older = OLDER_NAMES.get(key)
    advice = suggest(key, _CONTEXT) if older is None else f"it is conversation.{older}"
    raise refuse(node, "is no setting", value=key, next_step=advice)


def _refuse_of_model(node: Node) -> Entry:
    key = node.path[-1]
    is_model = isinstance(node, Table)
    advice = 'name a model as in context.models."provider/model"' if is_model else suggest(key, _CONTEXT_OF)
    raise refuse(node, "is no setting", value=key, next_step=advice)


def _read_provider(node: Node) -> Table[Setting]:
    known = ", ".join(_PROVIDER)
    return _read_table(
        node, readers=_PROVIDER, others=_read_own, advice=f"its keys are: {known}, and its driver's own"
    )


def _read_own(node: Node) -> Entry | None:
    """What only the driver understands, checked by the driver; further down it says what is empty."""
    is_empty = isinstance(node, Given) and (node.value is None or is_blank(node.value))
    return None if is_empty else _read_below(node)


def _read_below(node: Node) -> Entry:
    if isinstance(node, Table):
        return _read_table(node, readers={}, others=_read_below)
    return _setting(node, node.value)


def _read(convert: Callable[[Given], Any], node: Node) -> Setting | None:
    given = _as_value(node)
    return None if given.value is None else _setting(node, convert(given))


def _read_optional(convert: Callable[[Given], Any], node: Node) -> Setting | None:
    return None if is_blank(_as_value(node).value) else _read(convert, node)


def _read_timeout(node: Node) -> Setting:
    given = _as_value(node)
    can_be_none = getattr(Timeouts(), node.path[-1]) is None
    return _setting(node, None if given.value is None and can_be_none else read_seconds(given))


def _read_limit(convert: Callable[[Given], Any], node: Node) -> Setting:
    """Read a limit; None is said, too: there is none."""
    given = _as_value(node)
    return _setting(node, None if given.value is None else convert(given))


def _read_kinds(given: Given) -> tuple[ErrorKind, ...]:
    names = read_names(given)
    return tuple(read_word(FALL_BACK_ON_DEMAND, attrs.evolve(given, value=name)) for name in names)


def _read_record(
    kind: type[Any], readers: Mapping[str, Reader], what: str, node: Node, *, others: Reader | None = None
) -> Table[Setting] | None:
    """Read a table that may be given as a value, too, which says all that it holds."""
    match node:
        case Given(value=None):
            return None
        case Given(origin=origin) if isinstance(node.value, kind):
            fields = attrs.asdict(node.value, recurse=False)
            node = make_table(fields, origin=lambda _: origin, path=node.path)
        case Given() if not _is_mapping(node.value):
            raise refuse(node, f"must be a table{what}", value=node.value)
        case _:
            pass
    return _read_table(node, readers=readers, others=others)


def _as_value(node: Node) -> Given:
    """A table is a value of no form that is asked for, and so is an empty mapping."""
    return Given(node.path, node.key, node.origin, {}) if isinstance(node, Table) else node


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _setting(node: Node, value: object) -> Setting:
    return Setting(write_key(node.path), value, node.origin)


_TIMEOUTS: Mapping[str, Reader] = {field.name: _read_timeout for field in attrs.fields(Timeouts)}
_LIMITS: Mapping[str, Reader] = {
    "concurrent": partial(_read_limit, read_count),
    "requests_per_minute": partial(_read_limit, read_count),
    "tokens_per_minute": partial(_read_limit, read_count),
    "max_wait": partial(_read_limit, read_wait),
}
_PROVIDER: Mapping[str, Reader] = {
    "driver": partial(_read, read_text),
    "api_key": partial(_read_optional, read_secret),
    "base_url": partial(_read_optional, read_url),
    "model": partial(_read_optional, read_text),
    "fallback": partial(_read_optional, read_names),
    "timeouts": partial(_read_record, Timeouts, _TIMEOUTS, " of seconds"),
    "limits": partial(_read_record, Limits, _LIMITS, " of limits"),
    "price_factor": partial(_read_optional, read_amount),
}
_CONVERSATION: Mapping[str, Reader] = {
    "context_window": partial(_read, read_count),
    "max_context_tokens": partial(_read, read_count),
    "auto_title": partial(_read, read_yes_or_no),
}
_CHOICE: Mapping[str, Reader] = {
    "strategy": partial(_read_optional, read_text),
    "recall": partial(_read_optional, partial(read_word, get_args(RecallMode))),
    "max_recall_tokens": partial(_read, partial(read_count, least=0)),
    "reserve_tokens": partial(_read, partial(read_count, least=0)),
    "optimise": partial(_read_optional, partial(read_word, get_args(OptimiseMode))),
    SUMMARY_MODEL: partial(_read_optional, read_text),
}
_CONTEXT_OF: Mapping[str, Reader] = {
    "max_tokens": partial(_read, read_count),
    "max_messages": partial(_read, read_count),
    **_CHOICE,
}
_CONTEXT: Mapping[str, Reader] = {**_CHOICE, "models": _read_contexts}
_ROUTING: Mapping[str, Reader] = {
    "strategy": partial(_read_optional, partial(read_word, tuple(Strategy))),
    "sticky": partial(_read, read_yes_or_no),
    "on_interrupt": partial(_read_optional, partial(read_word, tuple(OnInterrupt))),
    "max_retries": partial(_read, partial(read_count, least=0)),
    "max_attempts": partial(_read, read_count),
    "fall_back_on": partial(_read_optional, _read_kinds),
}
_TOP: Mapping[str, Reader] = {
    "default_provider": partial(_read_optional, read_text),
    "fallback": partial(_read_optional, read_names),
    "owner": partial(_read, read_owner),
    "store": partial(_read_optional, read_text),
    "plugins": partial(_read, read_names),
    "fetch_urls": partial(_read, read_yes_or_no),
    "prices": partial(_read, read_prices),
    "budgets": partial(_read, read_budgets),
    "routing": partial(_read_record, Routing, _ROUTING, f": its keys are {', '.join(_ROUTING)}"),
    "conversation": partial(_read_table, readers=_CONVERSATION),
    "context": partial(_read_table, readers=_CONTEXT, others=_refuse_in_context),
    "providers": _read_providers,
}

TOP_KEYS = frozenset(_TOP)
PROVIDER_KEYS = frozenset(_PROVIDER)
