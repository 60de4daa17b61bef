"""The commands about providers and their models."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tertulia_cli.command_parts import help_alone, json_option, show_examples, store_option


@click.group(
    invoke_without_command=True, epilog=show_examples("tertulia models list", "tertulia models sync")
)
@click.pass_context
def models(context: click.Context) -> None:
    """Show which models there are, and ask for their lists."""
    help_alone(context)


@models.command(
    "list",
    epilog=show_examples(
        "tertulia models list", "tertulia models list --provider xai --all", "tertulia models list --json"
    ),
)
@click.option("-p", "--provider", metavar="NAME", help="Only this one's. Default: everybody's.")
@click.option("-a", "--all", "with_gone", is_flag=True, help="Those that are gone as well.")
@store_option
@json_option("Print a JSON list.")
def list_models(*, provider: str | None, with_gone: bool, store: str | None, as_json: bool) -> int:
    """
    List the models that are known, without asking anybody.

    They are those of the last "tertulia models sync", and of a provider that was never synced those that its
    driver comes with.
    """
    from tertulia_cli.models import list_models

    return list_models(provider=provider, with_gone=with_gone, store=store, as_json=as_json)


@models.command(
    "sync",
    epilog=show_examples(
        "tertulia models sync",
        "tertulia models sync --provider xai --dry-run",
        "tertulia models sync --provider openai --force",
    ),
)
@click.option("-p", "--provider", metavar="NAME", help="Ask only this one. Default: all, at once.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option(
    "--force",
    is_flag=True,
    help="Take a list also where it is empty, or lacks more than half of many models.",
)
@store_option
@json_option("Print a JSON list.")
def sync_models(*, provider: str | None, dry_run: bool, force: bool, store: str | None, as_json: bool) -> int:
    """
    Ask the providers which models they offer now, and keep what they say.

    Where one fails, what was known of its models stays. Models that are no longer listed are marked as gone,
    and stay as well. Providers without a key are passed over, unless one is named.
    """
    from tertulia_cli.syncing import sync_models

    return sync_models(provider=provider, dry_run=dry_run, force=force, store=store, as_json=as_json)


@models.command(
    "show",
    epilog=show_examples(
        "tertulia models show openai/gpt-6.1-sol",
        "tertulia models show xai",
        "tertulia models show xai/grok-latest --json",
    ),
)
@click.argument("model", metavar="PROVIDER[/MODEL]")
@store_option
@json_option("Print one JSON object.")
def show_model(model: str, *, store: str | None, as_json: bool) -> int:
    """
    Show all that is known of a model, and what it costs.

    An alias will do; without MODEL it is the one that is asked when nobody names one.
    """
    from tertulia_cli.models import show_model

    return show_model(model, store=store, as_json=as_json)


@models.command(
    "compare",
    epilog=show_examples(
        'tertulia models compare "Three days in Lisbon, please."',
        "tertulia models compare 'Hello!' --target openai --target xai/grok-4.3",
        'tertulia models compare "$(cat report.txt)" --max-output-tokens 500 --json',
    ),
)
@click.argument("text")
@click.option(
    "-t",
    "--target",
    "targets",
    multiple=True,
    metavar="PROVIDER[/MODEL]",
    help="Compare only this one. Can be repeated. Default: every model with a known price.",
)
@click.option(
    "--max-output-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="The longest answer to reckon with. Default: 1000.",
)
@store_option
@json_option("Print a JSON list.")
def compare_prices(
    text: str, *, targets: Sequence[str], max_output_tokens: int | None, store: str | None, as_json: bool
) -> int:
    """
    Estimate what it would cost to ask TEXT, model by model, the cheapest first.

    It costs between the prompt with an answer of one token, and the prompt with the longest answer. Nothing
    is sent, and no key is needed. Where no price is known it says so.
    """
    from tertulia_cli.comparing import compare_prices

    return compare_prices(
        text, targets=targets, max_output_tokens=max_output_tokens, store=store, as_json=as_json
    )


@click.group(
    invoke_without_command=True,
    epilog=show_examples("tertulia providers", "tertulia providers list", "tertulia providers verify"),
)
@store_option
@json_option("Print a JSON list.")
@click.pass_context
def providers(context: click.Context, *, store: str | None, as_json: bool) -> int:
    """
    Show how providers have been doing.

    By what was asked of them lately: whether they are asked now or passed over for a while, how much they
    may be asked, and how they failed last. Nobody is asked.
    """
    if context.invoked_subcommand is not None:
        if store is not None or as_json:
            raise click.UsageError(f"Its options come after it: {context.invoked_subcommand} --json.")
        return 0
    from tertulia_cli.health import show_health

    return show_health(store=store, as_json=as_json)


@providers.command("list", epilog=show_examples("tertulia providers list", "tertulia providers list --json"))
@json_option("Print a JSON list.")
def list_providers(*, as_json: bool) -> int:
    """
    List the configured providers: driver, default model, whether there is a key, and where they are.

    Nobody is asked, and a key is never shown.
    """
    from tertulia_cli.providers import list_providers

    return list_providers(as_json=as_json)


@providers.command(
    "verify",
    epilog=show_examples(
        "tertulia providers verify",
        "tertulia providers verify openai xai",
        "tertulia providers verify --json",
    ),
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option("Print a JSON list.")
def verify_providers(names: Sequence[str], *, as_json: bool) -> int:
    """
    Find out whether providers can be reached and take their keys, at no cost.

    Without a NAME it is all of them, and those without a key are passed over.
    """
    from tertulia_cli.providers import verify_providers

    return verify_providers(names, as_json=as_json)
