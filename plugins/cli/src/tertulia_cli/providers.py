"""``tertulia providers``: who is configured, and whether they answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

import tertulia
from tertulia_cli.explaining import explain
from tertulia_cli.loop import run
from tertulia_cli.outcomes import exit_code, is_passed_over
from tertulia_cli.terminal import align, note, output_width, write, write_json

HEAD = ("provider", "driver", "model", "key", "where")


@attrs.frozen
class ListedProvider:
    """
    What is shown of a provider.

    Attributes:
        origin: Scheme, host and port; None where that is not known.
    """

    name: str
    driver: str
    model: str | None
    has_key: bool
    origin: str | None


def list_providers(*, as_json: bool) -> int:
    """Print the configured providers; return the exit code."""
    listed = read_providers()
    if as_json:
        write_json([attrs.asdict(each) for each in listed])
    elif listed:
        write("\n".join(align([HEAD, *map(_row, listed)], width=output_width())))
    else:
        note('no provider is installed; try "pip install tertulia-openai"')
    return 0


def verify_providers(names: Sequence[str], *, as_json: bool) -> int:
    """Print who answers; return the exit code."""
    verified = run(_verify(names))
    named = bool(names)
    if as_json:
        write_json([_render(each) for each in verified])
    else:
        rows = [_describe(each, named=named) for each in verified]
        if rows:
            write("\n".join(align(rows)))
    return exit_code([each.error for each in verified], named=named)


async def _verify(names: Sequence[str]) -> list[tertulia.Verification]:
    # Nothing is said in this client, so nothing needs a database.
    async with tertulia.open(store="memory:") as client:
        return await asyncio.gather(*map(client.verify, names or client.providers))


def _describe(verified: tertulia.Verification, *, named: bool) -> tuple[str, str, str]:
    took = "" if verified.latency_seconds is None else f"{verified.latency_seconds:.2f} s"
    if verified.error is None:
        return verified.provider, "ok", took
    if is_passed_over(verified.error, named=named):
        return verified.provider, "no key", ""
    return verified.provider, "failed", explain(verified.error)


def _render(verified: tertulia.Verification) -> dict[str, Any]:
    took, error = verified.latency_seconds, verified.error
    return {
        "provider": verified.provider,
        "ok": verified.ok,
        "latency_seconds": None if took is None else round(took, 3),
        "error": None if error is None else explain(error),
        "kind": None if error is None else error.kind,
    }


def read_providers() -> list[ListedProvider]:
    """Every configured provider, without asking any."""
    return [
        ListedProvider(
            _unquote(name),
            table["driver"],
            table.get("model"),
            table.get("api_key") is not None,
            _find_origin(table.get("base_url")),
        )
        for name, table in _read_tables().items()
        if "driver" in table
    ]


def read_limits() -> dict[str, tertulia.Limits]:
    """How much each configured provider may be asked."""
    ending = ".limits"
    return {
        _unquote(name.removesuffix(ending)): tertulia.Limits(**table)
        for name, table in _read_tables().items()
        if name.endswith(ending)
    }


def _read_tables() -> dict[str, dict[str, Any]]:
    """What is set below ``providers``, by the names of its tables."""
    tables: dict[str, dict[str, Any]] = {}
    for setting in tertulia.read_settings():
        head, _, rest = setting.key.partition(".")
        name, _, key = rest.rpartition(".")
        if head == "providers":
            tables.setdefault(name, {})[key] = setting.value
    return tables


def _unquote(name: str) -> str:
    return json.loads(name) if name.startswith('"') else name


def _find_origin(url: str | None) -> str | None:
    """The part of an address that holds no secret: neither a password nor a path."""
    if not url:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _row(listed: ListedProvider) -> tuple[str, ...]:
    key = "set" if listed.has_key else "not set"
    return listed.name, listed.driver, listed.model or "", key, listed.origin or ""
