"""What plugins answer, and what is said of answers that cannot be used."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from math import isnan
from typing import cast

from tertulia.domain.exchange import Target
from tertulia.errors import PluginError, UnknownProviderError


def explain_failure(hook: str, error: Exception) -> PluginError:
    """Say which hook a plugin failed in."""
    return PluginError(
        f"a plugin failed in {hook}: {type(error).__name__}: {error}",
        hook=hook,
        next_step="see the cause below; TERTULIA_PLUGINS= (empty) runs without installed plugins",
    )


def keep_known(order: Iterable[object], targets: Sequence[Target]) -> list[Target]:
    """What an override may decide is the order: what it adds of its own is not taken."""
    return [target for target in order if isinstance(target, Target) and target in targets]


def refuse_answer(hook: str, answer: object, wanted: str) -> PluginError:
    """Say what a plugin answered, and what it should have."""
    return PluginError(
        f"{hook} answered {type(answer).__name__}, not {wanted}", hook=hook, next_step="correct the plugin"
    )


def read_scores(found: object, count: int) -> Sequence[float]:
    """
    Read the scores that a plugin gave.

    Raises:
        PluginError: They are not so many numbers.
    """
    scores = list(cast("Iterable[object]", found)) if hasattr(found, "__iter__") else []
    numbers = [float(cast("float", score)) for score in scores if _is_number(score)]
    if len(numbers) != count or len(scores) != count:
        raise refuse_answer("rank_messages", found, f"{count} numbers, one for each candidate")
    return numbers


def _is_number(score: object) -> bool:
    """Whether it orders: what a library of numbers calls one does, and what is not a number does not."""
    try:
        return not isinstance(score, str | bytes) and not isnan(float(cast("float", score)))
    except Exception:  # noqa: BLE001  # what foreign numbers raise is their own affair
        return False


def unknown_provider(name: str, known: Iterable[str]) -> UnknownProviderError:
    """Say that no provider is configured under a name, and which are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1) if isinstance(cast("object", name), str) else []
    if close:
        advice = f"did you mean {close[0]!r}?"
    elif names:
        advice = f"configured are: {', '.join(names)}"
    else:
        advice = f'no provider is installed: try "pip install tertulia-{name}"'
    return UnknownProviderError(
        f"no provider is configured as {name!r}", provider=name, value=name, next_step=advice
    )
