"""
Deferred completions: a question is left with xAI, and its answer is fetched once it is there.

The service answers the question with a ticket. It keeps the answer for 24 hours and hands it out once, so
nothing that may pass ends the waiting: only the deadline does, or a refusal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import quote

from tertulia import ProtocolError, ProviderError, ProviderTimeoutError
from tertulia.wire import Json, read_text

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.5, 10.0, 1.5
"""Seconds between two looks: half as many again each time."""

GONE = 404
"""The status of an answer that was handed out, or that nobody knows."""


def grow_pauses() -> Iterator[float]:
    """The seconds to wait before each look, without end."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST_PAUSE)


def get_path(ticket: str) -> str:
    """Where the answer to a question is."""
    return f"/chat/deferred-completion/{quote(ticket, safe='')}"


def read_ticket(body: object) -> str | None:
    """The ticket that a question was answered with; None when that is no ticket."""
    return read_text(body, "request_id")


async def wait_for_answer(
    look: Callable[[], Awaitable[Json | None]],
    ticket: str,
    *,
    deadline: float,
    now: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> Json:
    """
    Look for an answer until it is there.

    Args:
        look: Asks once; None when there is no answer yet, an error with status 404 when there is none.
        ticket: Goes into every error, because the answer may still be fetched with it.
        deadline: When to give up, on the clock of ``now``.
        sleep: Waits some seconds.

    Raises:
        ProviderError: It was refused, it is gone, or it was not there in time.
    """
    last: ProviderError | None = None
    pauses = grow_pauses()
    while True:
        asked = 0.0 if last is None else last.retry_after or 0.0
        if (left := deadline - now()) <= 0:
            raise _leave(_too_late(ticket, last), ticket)
        await sleep(min(max(next(pauses), asked), left))
        try:
            answer, last = await look(), None
        except ProviderError as error:
            if error.status == GONE:
                raise
            # A page is a proxy's, which knows nothing of the answer; a look cut short says that time is over.
            if not (error.retryable or isinstance(error, ProtocolError | ProviderTimeoutError)):
                raise _leave(error, ticket) from None
            last = error
        else:
            if answer is not None:
                return answer


def _too_late(ticket: str, last: ProviderError | None) -> ProviderError:
    words = f"the deferred answer {ticket} was not there in time"
    # That a look was cut short says no more than that time was over.
    if last is not None and not isinstance(last, ProviderTimeoutError):
        reason = last.message.removeprefix(f"provider {last.provider!r}: ")
        words = f"{words}, and the last look at it failed: {reason}"
    error = ProviderTimeoutError(words, timer="total")
    error.retryable = False
    return error


def _leave(error: ProviderError, ticket: str) -> ProviderError:
    """Say in an error where the answer is that will still be there."""
    error.request_id = ticket
    error.next_step = f"fetch the answer within 24 hours: fetch_deferred({ticket!r})"
    return error


def make_gone_error(ticket: str, provider: str) -> ProviderError:
    """Say that an answer is not there, nor will be; the status alone would speak of the model."""
    return ProtocolError(
        f"provider {provider!r}: the deferred answer {ticket} is not there: it was fetched before, "
        "or is older than 24 hours",
        provider=provider,
        status=GONE,
        request_id=ticket,
        next_step="send again",
    )
