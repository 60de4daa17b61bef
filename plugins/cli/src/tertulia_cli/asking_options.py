"""The options of the commands that ask for an answer: who gives it, at what cost, and where it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import click

from tertulia_cli.command_parts import store_option

C = TypeVar("C", bound=Callable[..., Any])

STRATEGIES = ("configured", "cheapest", "fastest", "capable")
ON_INTERRUPT = ("keep", "restart", "continue")

_PROVIDER = click.option(
    "-p", "--provider", metavar="NAME", help="Who answers. Default: whoever did, or the first that has a key."
)
_MODEL = click.option("-m", "--model", metavar="MODEL", help="Which model. Default: the provider's own.")
_FALLBACK = click.option(
    "-f",
    "--fallback",
    multiple=True,
    metavar="NAME[/MODEL],…",
    help="Who is asked, in order, when the provider fails. Can be repeated.",
)
_ROUTING = (
    click.option("--strategy", type=click.Choice(STRATEGIES), help="Which of them is asked first."),
    click.option(
        "--on-interrupt",
        type=click.Choice(ON_INTERRUPT),
        help="What becomes of an answer that breaks off. Default: what came of it is kept.",
    ),
)
_BOUNDS = (
    click.option(
        "--budget", metavar="USD", help="Refuse a call with which an answer might cost more than that."
    ),
    click.option(
        "--max-output-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="The longest answer. Default: as long as the model makes them.",
    ),
)
_CONTEXT = click.option(
    "--context",
    multiple=True,
    metavar="KEY=VALUE",
    help="How what is sent is chosen: strategy, max_tokens, max_messages, recall, … Can be repeated.",
)
_EXPLAIN = click.option("-v", "--explain", is_flag=True, help="Say what was sent, and what was left out.")
_SIMULATOR = click.option(
    "--simulator",
    is_flag=True,
    help="Ask services simulated on this machine; nothing is kept without --store.",
)

system_option = click.option(
    "-s", "--system", metavar="TEXT", help="Instructions for whoever answers; of a new conversation."
)
conversation_option = click.option(
    "-c", "--conversation", metavar="ID", help="Go on with a conversation; the beginning of its id will do."
)
branch_option = click.option(
    "-b", "--branch", metavar="NAME", help="On which branch of it. Default: where it was last."
)


def asking(command: C) -> C:
    """Add the options of who answers; the command is called with an ``Access`` in their place."""
    return _add_options(command, (_PROVIDER, _MODEL, _FALLBACK, *_ROUTING), (_EXPLAIN,))


def asking_those(command: C) -> C:
    """The same for a command that names whoever answers in a way of its own."""
    return _add_options(command, (), ())


def _add_options(
    command: C, first: Sequence[Callable[[Any], Any]], last: Sequence[Callable[[Any], Any]]
) -> C:
    called: Any = _take_access(command)
    for option in reversed((*first, *_BOUNDS, _CONTEXT, *last, store_option, _SIMULATOR)):
        called = option(called)
    return cast("C", called)


def _take_access(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def called(
        *,
        store: str | None,
        simulator: bool,
        budget: str | None,
        max_output_tokens: int | None,
        context: Sequence[str],
        explain: bool = False,
        provider: str | None = None,
        model: str | None = None,
        fallback: Sequence[str] = (),
        strategy: str | None = None,
        on_interrupt: str | None = None,
        conversation: str | None = None,
        **others: Any,
    ) -> Any:
        from tertulia_cli.access import Access, read_budget
        from tertulia_cli.context_options import read_options

        if conversation is not None and simulator and store is None:
            raise click.UsageError("A conversation with --simulator needs --store: where is it kept?")
        access = Access(
            provider=provider,
            model=model,
            fallback=split_names(fallback),
            store=store,
            simulator=simulator,
            conversation=conversation,
            strategy=strategy,
            on_interrupt=on_interrupt,
            budget=read_budget(budget),
            max_output_tokens=max_output_tokens,
            context=read_options("--context", context),
            explains=explain,
        )
        return command(access=access, **others)

    return called


def split_names(values: Sequence[str]) -> tuple[str, ...] | None:
    """The names in options that may be repeated and hold several; None without any option."""
    names = tuple(name.strip() for value in values for name in value.split(",") if name.strip())
    return names if values else None
