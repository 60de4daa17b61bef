"""Which conversations are meant, as options say it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import tertulia

STATES = ("active", "archived", "deleted", "any")
ROLES = ("system", "user", "assistant", "tool")
DATE = "DATE"

_OPTIONS: Mapping[str, dict[str, Any]] = {
    "--state": {
        "type": click.Choice(STATES),
        "multiple": True,
        "help": "Where they are kept. Can be repeated. Default: active.",
    },
    "--tag": {
        "metavar": "TAG",
        "multiple": True,
        "help": "With this tag. Can be repeated: with all of them.",
    },
    "--provider": {"metavar": "NAME", "help": "In which this one was asked."},
    "--model": {"metavar": "MODEL", "help": "In which this one was asked."},
    "--role": {"type": click.Choice(ROLES), "help": "That hold a message of it."},
    "--metadata": {
        "metavar": "PATH=VALUE",
        "multiple": True,
        "help": 'Whose metadata has this value, JSON or text: "customer.plan=pro". Can be repeated.',
    },
    "--text": {"metavar": "WORDS", "help": "With all of these words in one message, or in the title."},
    "--created-from": {
        "metavar": DATE,
        "help": "Begun then or later: 2026-11-22, today, or 30d for so long ago.",
    },
    "--created-until": {"metavar": DATE, "help": "Begun before."},
    "--updated-from": {"metavar": DATE, "help": "Used last then or later."},
    "--updated-until": {"metavar": DATE, "help": "Used last before."},
    "--min-messages": {"metavar": "N", "type": click.IntRange(0), "help": "With so many messages at least."},
    "--max-messages": {"metavar": "N", "type": click.IntRange(0), "help": "With so many at most."},
    "--min-cost": {"metavar": "USD", "help": "That cost at least so much, by what is known."},
    "--max-cost": {"metavar": "USD", "help": "That cost at most so much, by what is known."},
    "--unknown-cost/--known-cost": {
        "default": None,
        "help": "Whether the cost of some attempt is not known.",
    },
}


def filter_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that choose conversations, and hand them on as ``where``."""
    names = [option.partition("/")[0].removeprefix("--").replace("-", "_") for option in _OPTIONS]

    @wraps(command)
    def gathered(**arguments: Any) -> int:
        chosen = {name: arguments.pop(name) for name in names}
        return command(**arguments, where=make_filter(chosen))

    for declaration, settings in reversed(list(_OPTIONS.items())):
        gathered = click.option(declaration, **settings)(gathered)
    return gathered


def make_filter(chosen: Mapping[str, Any]) -> tertulia.ConversationFilter:
    """
    Read options into a filter.

    Raises:
        click.UsageError: One of them cannot be read.
    """
    import tertulia
    from tertulia_cli.moments import read_moment

    return tertulia.ConversationFilter(
        states=_read_states(chosen["state"]),
        tags=tuple(chosen["tag"]),
        provider=chosen["provider"],
        model=chosen["model"],
        role=None if chosen["role"] is None else tertulia.Role(chosen["role"]),
        metadata=dict(map(_read_metadata, chosen["metadata"])),
        text=chosen["text"],
        created_from=read_moment("--created-from", chosen["created_from"]),
        created_until=read_moment("--created-until", chosen["created_until"]),
        updated_from=read_moment("--updated-from", chosen["updated_from"]),
        updated_until=read_moment("--updated-until", chosen["updated_until"]),
        min_messages=chosen["min_messages"],
        max_messages=chosen["max_messages"],
        min_cost=read_money("--min-cost", chosen["min_cost"]),
        max_cost=read_money("--max-cost", chosen["max_cost"]),
        has_unknown_cost=chosen["unknown_cost"],
    )


def read_money(option: str, text: str | None) -> tertulia.Money | None:
    """
    Read an amount of dollars.

    Raises:
        click.UsageError: It is none.
    """
    import tertulia

    if text is None:
        return None
    try:
        return tertulia.Money.from_usd(text.strip().removeprefix("$"))
    except ValueError as error:
        raise click.UsageError(f"{option} {text!r} is no amount of dollars: write 0.25.") from error


def _read_states(names: Sequence[str]) -> tuple[tertulia.ConversationState, ...]:
    import tertulia

    if "any" in names:
        return ()
    return tuple(map(tertulia.ConversationState, names or ("active",)))


def _read_metadata(text: str) -> tuple[str, Any]:
    path, separator, value = text.partition("=")
    if not separator or not path.strip():
        raise click.UsageError(f"--metadata {text!r} has no value: write PATH=VALUE.")
    return path.strip(), read_json_or_text(value)


def read_json_or_text(text: str) -> Any:
    """
    Read a value as JSON, or as the text it is where it is none.

    Example:
        >>> read_json_or_text("7"), read_json_or_text("pro"), read_json_or_text('"7"')
        (7, 'pro', '7')
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
