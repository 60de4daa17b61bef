"""A provider that says what a test told it to say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.config import ProviderConfig
from tertulia.domain.exchange import Delta, ProviderReply, Request, TextDelta, ToolCallDelta
from tertulia.domain.message import FinishReason, Part, Text, ToolCall
from tertulia.domain.model import ModelInfo
from tertulia.domain.price import Price, Rates
from tertulia.domain.usage import Usage
from tertulia.errors import ProviderError, TertuliaError


@attrs.frozen
class _Line:
    """One scripted answer: pieces of text, then an error or the whole."""

    pieces: tuple[str, ...]
    error: BaseException | None
    reply: ProviderReply | None

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.reply.parts if isinstance(part, ToolCall)) if self.reply else ()


class ScriptedProvider(Provider):
    """
    Answers from a script, without a network, and refuses to make anything up.

    Example::

        provider = ScriptedProvider("fake").says("Hello John.")
        async with tertulia.open(store="memory:", providers={}, plugins=[provider]) as client:
            reply = await client.ask("My name is John.", provider="fake")
        assert provider.texts == ["My name is John."]

    Attributes:
        requests: Every request it was sent, in order.
    """

    DEFAULT_MODEL = "scripted-1"
    OPTIONS = frozenset(
        {"temperature", "max_output_tokens", "tool_choice", "tools", "hosted_tools", "response_schema"}
    )
    MODELS = (ModelInfo("scripted", "scripted-1", context_window=100_000),)
    PRICES = (Price("scripted/1", "scripted-1", Rates(Decimal(1), Decimal(2), Decimal(0), Decimal(0))),)

    def __init__(self, name: str = "scripted") -> None:
        super().__init__(ProviderConfig(name, "scripted"))
        self.requests: list[Request] = []
        self._script: list[_Line] = []
        self._call_count = 0

    def says(self, *pieces: str, usage: Usage = Usage(10, 0, 0, 5, 0)) -> ScriptedProvider:
        """Answer once, in these pieces."""
        text = "".join(pieces)
        parts = (Text(text),) if text else ()
        reply = ProviderReply(parts, FinishReason.STOP, "stop", usage, model=self.default_model)
        self._script.append(_Line(pieces, None, reply))
        return self

    def calls(
        self, *calls: tuple[str, Mapping[str, Any]], text: str = "", usage: Usage = Usage(10, 0, 0, 5, 0)
    ) -> ScriptedProvider:
        """Call tools once, each by its name and its arguments; the calls are ``call_1``, ``call_2``, …"""
        parts: list[Part] = [Text(text)] if text else []
        for name, arguments in calls:
            self._call_count += 1
            parts.append(ToolCall(f"call_{self._call_count}", name, arguments))
        reply = ProviderReply(
            tuple(parts), FinishReason.TOOL_CALLS, "tool_calls", usage, model=self.default_model
        )
        self._script.append(_Line((text,) if text else (), None, reply))
        return self

    def replies(self, reply: ProviderReply, *pieces: str) -> ScriptedProvider:
        """Answer once with this very reply, after these pieces."""
        self._script.append(_Line(pieces, None, reply))
        return self

    def fails(self, error: BaseException, *pieces: str) -> ScriptedProvider:
        """Fail once with this error, after these pieces."""
        if isinstance(error, TertuliaError):
            error.provider = error.provider or self.name
        self._script.append(_Line(pieces, error, None))
        return self

    @property
    def texts(self) -> list[str]:
        """The texts of the last request, oldest first."""
        return [message.text for message in self.requests[-1].messages]

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """Give the next scripted answer."""
        self.requests.append(request)
        if not self._script:
            raise AssertionError(
                f"{self.name!r} was asked {request.messages[-1].text!r}, and its script has no answer left"
            )
        line = self._script.pop(0)
        for piece in line.pieces:
            yield TextDelta(piece)
        if line.error is not None:
            raise line.error
        for index, call in enumerate(line.calls):
            written = json.dumps(dict(call.arguments or {}))
            yield ToolCallDelta(index, call.id, call.name, written[: len(written) // 2])
            yield ToolCallDelta(index, arguments=written[len(written) // 2 :])
        if line.reply is not None:
            yield line.reply

    async def list_models(self) -> Sequence[ModelInfo]:
        """The one model there is."""
        return [self.describe(self.DEFAULT_MODEL)]

    def refuses(self, kind: type[ProviderError], *, status: int | None = None) -> ScriptedProvider:
        """Fail once before any content, as a service does that answers with an HTTP status."""
        return self.fails(kind(f"provider {self.name!r}: scripted failure", status=status))
