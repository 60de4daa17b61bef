"""``tertulia simulate``: the three services on loopback, for other programs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import attrs
import click

from tertulia_cli.terminal import note
from tertulia_simulator import Simulator


@attrs.frozen
class Fault:
    """A service that is to fail, how, and for how many requests."""

    service: str
    kind: str
    times: int | None = 1


def parse_fault(text: str) -> Fault:
    """
    Read ``SERVICE=KIND``, which fails once, ``SERVICE=KIND:TIMES`` or ``SERVICE=KIND:always``.

    Example:
        >>> parse_fault("xai=rate_limit:3"), parse_fault("xai=quota:always").times
        (Fault(service='xai', kind='rate_limit', times=3), None)
    """
    service, _, rest = text.partition("=")
    kind, colon, times = rest.partition(":")
    if service and kind and times == "always":
        return Fault(service, kind, None)
    count = int(times) if times.isdecimal() else 0 if colon else 1
    if not service or not kind or count < 1:
        raise click.UsageError(f"--fail {text!r} is not like openai=overloaded or openai=overloaded:3.")
    return Fault(service, kind, count)


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
        simulator.fail(fault.service, fault.kind, times=fault.times)
    except ValueError as error:
        raise click.UsageError(f"--fail: {error}.") from error


async def _serve(simulator: Simulator) -> None:
    async with simulator:
        click.echo(_instructions(simulator))
        await asyncio.Event().wait()


def _instructions(simulator: Simulator) -> str:
    lines = [f"# Simulated OpenAI, Gemini and xAI at {simulator.url} until Ctrl-C. In another terminal:"]
    for name, settings in simulator.providers().items():
        lines.append(f"export AI_{name.upper()}_BASE_URL={settings['base_url']}")
        lines.append(f"export AI_{name.upper()}_API_KEY={settings['api_key']}")
    return "\n".join([*lines, '# Then, for example: tertulia ask "My name is John."'])
