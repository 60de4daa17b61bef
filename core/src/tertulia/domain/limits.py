"""How much a provider may be asked at a time: what we allow ourselves, and what it says is left."""

from __future__ import annotations

import attrs

from tertulia.errors import ConfigurationError


@attrs.frozen
class Limits:
    """
    How much one provider may be asked at a time, by one client.

    Attributes:
        concurrent: Calls under way at once; None for no limit.

        requests_per_minute: Calls begun within any minute; None for no limit.

        tokens_per_minute: Tokens sent within any minute, as they are estimated; None for no limit.

        max_wait: Seconds a call waits for its place at most; None for as long as it takes, 0 to be refused at
            once. Time spent waiting here is no part of any timeout.

    Raises:
        ConfigurationError: A value is of another type, or none that makes sense.
    """

    concurrent: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_wait: float | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("concurrent", "requests_per_minute", "tokens_per_minute"):
            check_count(name, getattr(self, name), least=1)
        wait = self.max_wait
        if wait is not None and not (type(wait) in (int, float) and 0 <= wait < float("inf")):
            raise ConfigurationError(
                f"max_wait is a number of seconds from 0 on, and not {wait!r}",
                value=wait,
                next_step="leave it out to wait as long as it takes",
            )

    @property
    def are_none(self) -> bool:
        """Whether there is no limit at all."""
        return self.concurrent is None and self.requests_per_minute is None and self.tokens_per_minute is None


@attrs.frozen
class RateLimits:
    """
    What a service says is left to us, after a call.

    Attributes:
        requests: Calls that may still be made; None when it did not say.

        requests_reset: Seconds until it may be asked as often as ever; None when it did not say.

        tokens: Tokens that may still be sent; None when it did not say.

        tokens_reset: Seconds until as many may be sent as ever; None when it did not say.
    """

    requests: int | None = None
    requests_reset: float | None = None
    tokens: int | None = None
    tokens_reset: float | None = None


def check_count(name: str, value: object, *, least: int) -> None:
    """Refuse what is no whole number of at least so much; None is none."""
    if value is not None and not (type(value) is int and value >= least):
        raise ConfigurationError(
            f"{name} is a whole number from {least} on, and not {value!r}",
            value=value,
            next_step="leave it out, or set it to one that is",
        )
