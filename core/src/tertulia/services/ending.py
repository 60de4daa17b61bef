"""How one attempt ends: what is written of it, and what it leaves open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import attrs

from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.exchange import Delta, Target
from tertulia.domain.usage import Usage
from tertulia.errors import ErrorKind, PluginError, TertuliaError
from tertulia.runtime.serialization import encode_json
from tertulia.services.core import Core
from tertulia.services.pricing import price_trial
from tertulia.services.trial import Trial

CLOSE_SECONDS = 0.2
"""For a driver to close what it has open; one that takes longer is left to itself."""

_log = logging.getLogger("tertulia")


def end_attempt(
    core: Core, trial: Trial, outcome: AttemptOutcome, error: TertuliaError | None = None
) -> Attempt:
    """The attempt as it ended, with whatever the provider reported of it."""
    reply = trial.reply
    kind = None if error is None else error.kind
    return attrs.evolve(
        trial.attempt,
        lease_until=None,
        outcome=outcome,
        error_kind=ErrorKind.CANCELLED if outcome is AttemptOutcome.CANCELLED else kind,
        error_message=None if error is None else error.message,
        latency_seconds=trial.elapsed(core.clock),
        first_content_seconds=trial.first_content,
        usage=_usage_of(error) if reply is None else reply.usage,
        cost=price_trial(core, trial, error),
        queued_seconds=trial.queued,
        request_id=getattr(error, "request_id", None) if reply is None else reply.request_id,
        raw_usage=None if reply is None else _encode_raw(reply.billing.raw),
    )


async def close_iterator(iterator: AsyncIterator[Delta], trial: Trial) -> None:
    """Close an iterator; one that fails at it has nothing to say about the answer."""
    if getattr(iterator, "ag_frame", iterator) is None:
        return  # a generator that has come to its end, as nearly all have: there is nothing to wait for
    close = getattr(iterator, "aclose", None)
    try:
        if close is not None:
            async with asyncio.timeout(CLOSE_SECONDS):
                await close()
    except Exception as error:  # noqa: BLE001  # foreign code, after its work is done
        _log.warning("provider %r failed while closing: %s", trial.target.provider, type(error).__name__)


def explain_foreign(error: Exception, target: Target) -> PluginError:
    """What a driver may not raise, as an error of ours."""
    return PluginError(
        f"provider {target.provider!r}, or a plugin around it, raised {type(error).__name__}: {error}",
        provider=target.provider,
        hook="send_message",
        next_step="see the cause below; a driver raises tertulia.ProviderError only",
    )


def _encode_raw(usage: object) -> str | None:
    """The provider's own usage object as text; None where there is none, or none that can be written."""
    try:
        return None if usage is None else encode_json(usage).decode()
    except (TypeError, ValueError, RecursionError):
        return None


def _usage_of(error: TertuliaError | None) -> Usage:
    usage = getattr(error, "usage", None)
    return usage if isinstance(usage, Usage) else Usage()
