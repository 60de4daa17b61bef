"""``tertulia models sync``: ask the providers which models they offer, and show what is different."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import tertulia
from tertulia_cli.explaining import explain
from tertulia_cli.loop import run
from tertulia_cli.outcomes import exit_code, is_passed_over
from tertulia_cli.terminal import align, note, output_width, write, write_json


def sync_models(*, provider: str | None, dry_run: bool, force: bool, store: str | None, as_json: bool) -> int:
    """Print what changes; return the exit code."""
    synced = run(_sync(provider, dry_run=dry_run, force=force, store=store))
    if as_json:
        write_json([_render(each) for each in synced])
    else:
        rows = [row for each in synced if each.changes is not None for row in _rows(each, each.changes)]
        if rows:
            write("\n".join(align(rows, width=output_width())))
    return exit_code([each.error for each in synced], named=provider is not None)


async def _sync(
    provider: str | None, *, dry_run: bool, force: bool, store: str | None
) -> list[tertulia.SyncedProvider]:
    async with tertulia.open(store=store) as client:

        async def sync_one(name: str) -> tertulia.SyncedProvider:
            (synced,) = (await client.sync_models(name, dry_run=dry_run, force=force)).providers
            _tell(synced, dry_run=dry_run, named=provider is not None)
            return synced

        names = client.providers if provider is None else [provider]
        return await asyncio.gather(*map(sync_one, names))


def _tell(synced: tertulia.SyncedProvider, *, dry_run: bool, named: bool) -> None:
    """One line as soon as a provider has answered."""
    if synced.changes is not None:
        note(f"{synced.provider}: {_sum_up(synced, synced.changes, dry_run=dry_run)}")
    elif synced.error is not None and is_passed_over(synced.error, named=named):
        note(f"{synced.provider}: passed over, no key is set")
    elif synced.error is not None:
        note(explain(synced.error), label="error", color="red")


def _sum_up(synced: tertulia.SyncedProvider, changes: tertulia.ModelChanges, *, dry_run: bool) -> str:
    count = f"{synced.model_count} model{'' if synced.model_count == 1 else 's'} in {synced.seconds:.1f} s"
    told = [
        f"{len(found)} {word}"
        for word, found in (("new", changes.added), ("changed", changes.changed), ("gone", changes.gone))
        if found
    ]
    return f"{count}, {', '.join(told) or 'nothing new'}{' (a dry run)' if dry_run else ''}"


def _rows(synced: tertulia.SyncedProvider, changes: tertulia.ModelChanges) -> Iterator[tuple[str, str]]:
    for info in changes.added:
        yield f"+ {synced.provider}/{info.id}", ""
    for change in changes.changed:
        yield f"~ {synced.provider}/{change.after.id}", _name_fields(change.fields)
    for info in changes.gone:
        yield f"- {synced.provider}/{info.id}", ""


def _name_fields(fields: Sequence[str]) -> str:
    return ", ".join("back again" if name == "gone_at" else name.replace("_", " ") for name in fields)


def _render(synced: tertulia.SyncedProvider) -> dict[str, Any]:
    changes = synced.changes
    return {
        "provider": synced.provider,
        "models": synced.model_count,
        "added": None if changes is None else [info.id for info in changes.added],
        "changed": None
        if changes is None
        else {change.after.id: list(change.fields) for change in changes.changed},
        "gone": None if changes is None else [info.id for info in changes.gone],
        "seconds": round(synced.seconds, 3),
        "error": None if synced.error is None else explain(synced.error),
    }
