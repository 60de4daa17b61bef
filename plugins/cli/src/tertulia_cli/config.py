"""``tertulia config show``: what is set, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import tertulia
from tertulia_cli.terminal import align, output_width, write, write_json

DEFAULT = "default"


def show_settings(*, with_origin: bool, as_json: bool) -> int:
    """Print the settings that are in effect; return the exit code."""
    settings = tertulia.read_settings()
    if as_json:
        write_json([_render(setting) for setting in settings])
    else:
        write("\n".join(_lines(settings, with_origin=with_origin)))
    return 0


def _lines(settings: Sequence[tertulia.Setting], *, with_origin: bool) -> list[str]:
    if with_origin:
        rows = [(each.key, _describe(each.value), each.origin) for each in settings]
        return align([("setting", "value", "origin"), *rows], width=output_width())
    return align(
        [(each.key, _describe(each.value)) for each in settings if each.value is not None],
        width=output_width(),
    )


def _describe(value: object) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return str(value).lower()
        case tertulia.Secret():
            return "set, and not shown"
        case list() | tuple():
            return ", ".join(map(str, cast("Sequence[object]", value))) or "none"
        case _:
            return str(value)


def _render(setting: tertulia.Setting) -> dict[str, Any]:
    is_secret = isinstance(setting.value, tertulia.Secret)
    return {
        "key": setting.key,
        "value": None if is_secret else setting.value,
        "is_secret": is_secret,
        "origin": setting.origin,
    }
