"""``tertulia simulate``: the services on loopback, for other programs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import click

from tertulia_cli.terminal import note
from tertulia_simulator import Simulator


@attrs.frozen
class Fault:
    """A service that is to fail, how, for how many requests, and what else there is to say about it."""

    service: str
    kind: str
    times: int | None = 1
    details: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


def parse_fault(text: str) -> Fault:
    """
    Read ``SERVICE:KIND``, and after more colons how often and how it fails.

    How often is a number or ``always``, and once where nothing is said. How is ``retry_after=SECONDS``,
    ``hint=HOW``, ``after=PIECES``, ``seconds=SECONDS`` or ``reset``. ``SERVICE=KIND`` is the same.

    Example:
        >>> parse_fault("xai:rate_limit:3"), parse_fault("xai:quota:always").times
        (Fault(service='xai', kind='rate_limit', times=3, details={}), None)
        >>> parse_fault("openai:cut_stream:after=3:reset").details
        {'after': 3, 'reset': True}
    """
    service, _, rest = re.sub("[=:]", "\n", text, count=1).partition("\n")
    kind, *words = rest.split(":")
    try:
        said = dict(map(_parse_word, words))
    except ValueError:
        said = None
    if not service or not kind or said is None:
        raise click.UsageError(
            f"--fault {text!r} is not like openai:overloaded, openai:overloaded:3 or openai:stall:after=2."
        )
    return Fault(service, kind, said.pop("times", 1), said)


def _parse_word(word: str) -> tuple[str, Any]:
    name, _, value = word.partition("=")
    match name:
        case "after":
            return name, int(value)
        case "seconds" | "retry_after":
            return name, float(value)
        case "hint" if value:
            return name, value
        case "always" | "reset" if word == name:
            return ("times", None) if name == "always" else (name, True)
        case _ if word.isdecimal() and int(word) > 0:
            return "times", int(word)
        case _:
            raise ValueError(word)


def list_faults() -> int:
    """Print every fault there is, what else can be said about it, and what happens."""
    for kind in Simulator.faults.values():
        said = "".join(f":{name}" for name in kind.options)
        notes = [f"{kind.scope} answers only"] if kind.scope != "both" else []
        notes += [f"{', '.join(kind.services)} only"] if kind.services else []
        click.echo(f"{kind.name + said:30} {kind.summary}" + (f" ({'; '.join(notes)})" if notes else ""))
    return 0


def serve(port: int, faults: Sequence[Fault]) -> int:
    """Serve until Ctrl-C, which is how it is meant to end: exit code 0."""
    simulator = Simulator(port=port)
    for fault in faults:
        _order(simulator, fault)
    try:
        asyncio.run(_serve(simulator))
    except KeyboardInterrupt:
        note("stopped")
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on port {port}: {error.strerror}; choose another --port"
        ) from error
    return 0


def _order(simulator: Simulator, fault: Fault) -> None:
    try:
        simulator.fail(fault.service, fault.kind, times=fault.times, **fault.details)
    except ValueError as error:
        raise click.UsageError(f"--fault: {error}{'' if str(error).endswith('?') else '.'}") from error


async def _serve(simulator: Simulator) -> None:
    async with simulator:
        click.echo(_instructions(simulator))
        await asyncio.Event().wait()


def _instructions(simulator: Simulator) -> str:
    lines = [f"# Simulated OpenAI, Gemini and xAI at {simulator.url} until Ctrl-C. In another terminal:"]
    for name, settings in simulator.providers().items():
        lines.append(f"export AI_{name.upper()}_BASE_URL={settings['base_url']}")
        lines.append(f"export AI_{name.upper()}_API_KEY={settings['api_key']}")
        if "api" in settings:
            lines.append(f"export AI_{name.upper()}_API={settings['api']}")
    local = simulator.providers(local=True)["local"]
    lines.append(f"# A local server, without a key: {local['base_url']} with the model {local['model']}")
    return "\n".join([*lines, '# Then, for example: tertulia ask "My name is John."'])
