"""Providers that render what they are sent as the real drivers do, and answer without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import attrs

import tertulia
from providers.driver_cases import DRIVERS
from tertulia import Delta, FinishReason, HTTPProvider, Message, ProviderReply, Request, Text, ToolCall

SERVICES = tuple(DRIVERS)


@attrs.frozen
class Heard:
    """
    One request, as the core made it and as the driver would send it.

    Attributes:
        tokens: What its messages take, by the weights of the provider.
    """

    request: Request
    body: dict[str, Any]
    tokens: int

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.request.messages


class Listener:
    """
    What every driver here has beside its own: it remembers, and answers from a script.

    Attributes:
        heard: Every request, in order.

        calls: What the next answers call; where there is nothing left, the answer is a word.
    """

    heard: list[Heard]
    calls: list[Sequence[ToolCall]]

    async def send_message(self: Any, request: Request) -> AsyncIterator[Delta]:
        weights = self.find_token_weights(request.target.model)
        tokens = tertulia.count_messages(request.messages, weights)
        self.heard.append(Heard(request, self.wire.render_request(request).body, tokens))
        calls = self.calls.pop(0) if self.calls and request.tools else ()
        reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        yield ProviderReply((*calls,) or (Text("Understood."),), reason, reason.value)


def listen(service: str) -> Any:
    """A driver under its own name, that nobody is behind."""
    driver = DRIVERS[service]
    real: type[HTTPProvider] = driver.cls
    cls: Any = type(real.__name__, (Listener, real), {})
    settings = {**driver.settings, "vendor": "openai"} if service == "openai-chat" else driver.settings
    name = service.partition("-")[0]
    config = tertulia.ProviderConfig(service, name, settings=settings, model=driver.model)
    provider = cls(config)
    provider.heard, provider.calls = [], []
    return provider
