"""``tertulia doctor``: what is set up, what is kept, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

import tertulia
from tertulia_cli.exits import FAILED
from tertulia_cli.health import describe_health, read_health, render_health
from tertulia_cli.loop import run
from tertulia_cli.opening import IN_MEMORY, configured_store, find_missing, open_existing, refuse_missing
from tertulia_cli.providers import ListedProvider, read_providers
from tertulia_cli.terminal import align, note, one_line, write, write_json

REFUSED = "refused"


@attrs.frozen
class Problem:
    """
    Something that is wrong.

    Attributes:
        area: ``configuration``, ``plugins`` or ``store``.

        kind: What kind of thing it is; of a store as :class:`tertulia.StoreProblem` has it.

        repair: What to do about it; None where nobody can say.
    """

    area: str
    kind: str
    description: str
    repair: str | None = None
    conversation: str | None = None


@attrs.frozen
class Examination:
    """
    What was found.

    Attributes:
        providers: Who is configured; None where that could not be read.

        plugins: Drivers, plugins and providers; None where they could not be looked at.

        store: None where it could not be opened, and where there is none yet.

        repaired: What was made anew, with how much it was; None where nobody asked for it.

        health: How providers have been doing, by what the store holds.
    """

    problems: Sequence[Problem]
    providers: Sequence[ListedProvider] | None = None
    plugins: Sequence[tertulia.PluginReport] | None = None
    store: tertulia.StoreReport | None = None
    repaired: tuple[int, int] | None = None
    health: Sequence[tertulia.ProviderHealth] = ()


def examine(*, repair: bool, store: str | None, as_json: bool) -> int:
    """Print what is found; return the exit code, which is 1 when something is wrong."""
    if store is not None:
        refuse_missing(store)
    found = run(_examine(store, repair=repair))
    if as_json:
        write_json(_render(found))
    else:
        _print(found)
    return FAILED if found.problems else 0


async def _examine(store: str | None, *, repair: bool) -> Examination:
    try:
        where = configured_store() if store is None else store
        plugins, providers = await _look_at_plugins(), read_providers()
    except tertulia.ConfigurationError as error:
        return Examination([Problem("configuration", "configuration", *_explain(error))])
    problems = [
        Problem("plugins", REFUSED, f"{each.kind} {each.name!r} was refused: {each.reason}")
        for each in plugins
        if each.status == REFUSED
    ]
    if where == IN_MEMORY or find_missing(where) is not None:
        return Examination(problems, providers, plugins)
    try:
        report, repaired, health = await _look_at_store(store, repair=repair)
    except tertulia.TertuliaError as error:
        return Examination([*problems, Problem("store", error.kind, *_explain(error))], providers, plugins)
    problems += [
        Problem("store", each.kind, each.description, each.repair, _text(each.conversation_id))
        for each in report.problems
    ]
    return Examination(problems, providers, plugins, report, repaired, health)


async def _look_at_plugins() -> Sequence[tertulia.PluginReport]:
    # The database is another question.
    async with tertulia.open(store=IN_MEMORY) as client:
        return client.plugins()


async def _look_at_store(
    store: str | None, *, repair: bool
) -> tuple[tertulia.StoreReport, tuple[int, int] | None, Sequence[tertulia.ProviderHealth]]:
    async with open_existing(store) as client:
        repaired = None
        if repair:
            repaired = await client.rebuild_statistics(), await client.rebuild_search()
        return await client.check_store(), repaired, await read_health(client)


def _explain(error: tertulia.TertuliaError) -> tuple[str, str | None]:
    return error.message, error.next_step


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _print(found: Examination) -> None:
    rows = list(_describe(found))
    if rows:
        write("\n".join(align([(name, one_line(text)) for name, text in rows])))
    for problem in found.problems:
        label = f"{problem.area}: {problem.description}"
        note("; ".join(filter(None, (label, problem.repair))), label="problem", color="red")
    if not found.problems:
        note("all is well")


def _describe(found: Examination) -> Iterator[tuple[str, str]]:
    if found.providers is not None:
        yield "providers", ", ".join(map(_describe_provider, found.providers)) or "none"
    for health in found.health:
        if health.targets or not health.limits.are_none:
            yield f"  {health.provider}", describe_health(health)
    if found.plugins is not None:
        yield "plugins", _describe_plugins(found.plugins)
    report = found.store
    if report is None:
        if found.plugins is not None and not any(each.area == "store" for each in found.problems):
            yield "store", "nothing is kept yet"
        return
    yield "store", report.location
    yield "engine", f"{report.engine}, tables of version {report.version}"
    if report.size_bytes is not None:
        yield "size", f"{report.size_bytes:,} bytes"
    yield "holds", ", ".join(f"{count:,} {name}" for name, count in report.counts.items()) or "nothing"
    if found.repaired is not None:
        conversations, entries = found.repaired
        yield "repaired", f"counters of {conversations:,} conversations, search index of {entries:,} texts"


def _describe_provider(listed: ListedProvider) -> str:
    return f"{listed.name} ({'has a key' if listed.has_key else 'no key'})"


def _describe_plugins(plugins: Sequence[tertulia.PluginReport]) -> str:
    refused = sum(each.status == REFUSED for each in plugins)
    return f"{len(plugins) - refused} well{f', {refused} refused' if refused else ''}"


def _render(found: Examination) -> dict[str, Any]:
    report = found.store
    return {
        "ok": not found.problems,
        "providers": None if found.providers is None else [attrs.asdict(each) for each in found.providers],
        "plugins": None if found.plugins is None else [attrs.asdict(each) for each in found.plugins],
        "store": None
        if report is None
        else {
            "location": report.location,
            "engine": report.engine,
            "version": report.version,
            "size_bytes": report.size_bytes,
            "counts": dict(report.counts),
        },
        "repaired": None
        if found.repaired is None
        else {"conversations": found.repaired[0], "search_entries": found.repaired[1]},
        "health": [render_health(each) for each in found.health],
        "problems": [attrs.asdict(problem) for problem in found.problems],
    }
