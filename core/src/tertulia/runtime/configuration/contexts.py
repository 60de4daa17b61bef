"""How contexts are chosen, as a configuration says it: for all requests, a provider's, or a model's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias, cast

import attrs

from tertulia.domain.config import Setting
from tertulia.domain.context import ContextOptions
from tertulia.errors import ConfigurationError
from tertulia.runtime.configuration.tables import ARGUMENT, Given, Table, get_table

ContextTable: TypeAlias = ContextOptions | Mapping[str, Any]
"""What a caller says: options, or a table as in a file, which may have ``models``."""

SUMMARY_MODEL = "summary_model"

# These two have had names of their own for longer than there has been a table of contexts.
OLDER_NAMES = {"max_tokens": "max_context_tokens", "max_messages": "context_window"}
"""Settings of ``[conversation]`` by their names in options."""


def split_argument(context: ContextTable) -> tuple[object, dict[str, Given]]:
    """
    Split what a caller says into the table ``context``, and what stands in ``conversation``.

    Returns:
        The table, unchecked; and by its name there, each setting that has an older one.
    """
    if isinstance(context, ContextOptions):
        context = attrs.asdict(context, filter=lambda _, value: value is not None)
    if not isinstance(cast("object", context), Mapping):
        return context, {}
    older = {
        name: Given(("conversation", name), f"context.{key}", ARGUMENT, context[key])
        for key, name in OLDER_NAMES.items()
        if context.get(key) is not None
    }
    return {key: value for key, value in context.items() if key not in OLDER_NAMES}, older


def refuse_twice(said: Mapping[str, Any], older: Mapping[str, Given]) -> None:
    """Refuse a setting that a caller says under both of its names."""
    for name, given in older.items():
        if name in said:
            raise ConfigurationError(
                f"{name} and {given.key} are one setting, and both are said",
                next_step="leave one of them out",
            )


def make_contexts(
    context: Mapping[str, Any], conversation: Mapping[str, Any]
) -> tuple[ContextOptions, dict[str, ContextOptions]]:
    """Make the options for all requests, and those by ``provider`` or ``provider/model``."""
    values = {key: value for key, value in context.items() if key != "models"}
    values.update({key: conversation.get(name) for key, name in OLDER_NAMES.items()})
    models: Mapping[str, Mapping[str, Any]] = context.get("models", {})
    return ContextOptions(**values), {name: ContextOptions(**said) for name, said in models.items()}


def name_providers(table: Table[Setting]) -> Iterator[tuple[str, str]]:
    """Yield where each provider is named, and its name."""
    context = get_table(table, "context")
    models = get_table(context, "models").entries
    for name, below in models.items():
        yield cast("Table[Setting]", below).origin, provider_of(name)
    for entry in (context, *models.values()):
        summary_model = cast("Table[Setting]", entry).entries.get(SUMMARY_MODEL)
        if isinstance(summary_model, Setting):
            yield summary_model.origin, provider_of(summary_model.value)


def restrict_context(table: Table[Setting], known: Collection[str]) -> Table[Setting]:
    """Leave out what is said of a provider that is not there, and summaries that one would write."""
    if "context" not in table.entries:
        return table
    context = get_table(table, "context")
    models = get_table(context, "models")
    left = {
        name: _restrict_summaries(cast("Table[Setting]", below), known)
        for name, below in models.entries.items()
        if provider_of(name) in known
    }
    entries = {**_restrict_summaries(context, known).entries, "models": attrs.evolve(models, entries=left)}
    return attrs.evolve(table, entries={**table.entries, "context": attrs.evolve(context, entries=entries)})


def _restrict_summaries(table: Table[Setting], known: Collection[str]) -> Table[Setting]:
    model = table.entries.get(SUMMARY_MODEL)
    if not isinstance(model, Setting) or provider_of(model.value) in known:
        return table
    left = {key: entry for key, entry in table.entries.items() if key != SUMMARY_MODEL}
    return attrs.evolve(table, entries=left)


def provider_of(target: str) -> str:
    """The provider of ``provider`` or ``provider/model``."""
    return target.partition("/")[0]
