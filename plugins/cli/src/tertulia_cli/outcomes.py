"""How a command ends that asked several providers."""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.errors import ConfigurationError, MissingKeyError, TertuliaError
from tertulia_cli.exits import FAILED, USAGE


def is_passed_over(error: TertuliaError, *, named: bool) -> bool:
    """Whether a provider that nobody named was not asked because it has no key: that is no failure."""
    return isinstance(error, MissingKeyError) and not named


def exit_code(errors: Sequence[TertuliaError | None], *, named: bool) -> int:
    """
    The exit code of a command that asked several providers.

    Args:
        errors: How each ended; None where it went well.
        named: Whether somebody named them.

    Raises:
        ConfigurationError: Nobody could be asked.
    """
    if not errors:
        raise ConfigurationError("no provider is installed", next_step='try "pip install tertulia-openai"')
    failures = [error for error in errors if error is not None and not is_passed_over(error, named=named)]
    if not failures and None not in errors:
        variables = "OPENAI_API_KEY, GEMINI_API_KEY or XAI_API_KEY"
        raise ConfigurationError("no provider has a key", next_step=f"set {variables}")
    if not failures:
        return 0
    is_usage = all(isinstance(error, ConfigurationError | MissingKeyError) for error in failures)
    return USAGE if is_usage else FAILED
