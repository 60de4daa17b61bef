"""Errors in one line, for somebody who types commands and not Python."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tertulia.errors import AllProvidersFailed, StoreError, TertuliaError

_METHOD = re.compile(r"\b(resume|retry|regenerate)\(\)")


def explain(error: TertuliaError) -> str:
    """What happened, what was kept, and what to do next."""
    happened, kept, next_step = error.message, error.kept, error.next_step
    if isinstance(error, AllProvidersFailed) and error.errors:
        happened = f"every target failed: {_describe_failures(error.errors)}"
        next_step = error.errors[-1].next_step
    elif isinstance(error, StoreError) and error.reply is not None:
        kept = "your message is stored, and the answer is only what you see of it here"
    return "; ".join(said.rstrip(".") for said in (happened, kept, next_step) if said)


def _describe_failures(failures: Iterable[TertuliaError]) -> str:
    """Each in its words, and those that were the same in every try once."""
    counts = Counter(failure.message.rstrip(".") for failure in failures)
    return "; ".join(f"{what} ({count} times)" if count > 1 else what for what, count in counts.items())


def explain_in_chat(error: TertuliaError) -> str:
    """The same where methods are commands."""
    return _METHOD.sub(r"/\1", explain(error))
