"""What the drivers are sent and say, in the formats of their services."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from tertulia import (
    Delta,
    HTTPProvider,
    Message,
    ProviderConfig,
    ProviderError,
    ProviderReply,
    Request,
    Secret,
    Target,
)
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

KEY = "sim-very-secret-0123456789"
"""Begins as the simulator wants it."""


@attrs.frozen
class Driver:
    """
    A driver and its service's words.

    Attributes:
        cls: The class.

        model: One of its models.

        key_header: The header and value that carry the key.

        paths: The path of a call that is streamed, and of one that is not.

        whole: An answer ``Olá 🌍`` that comes in one piece.

        events: The same as a stream; the second and third have its text.

        failure: An event that says the service is overloaded.

        failure_class: The name of the error that it is.

        settings: What makes the driver speak so.
    """

    cls: type[HTTPProvider]
    model: str
    key_header: tuple[str, str]
    paths: Mapping[bool, str]
    whole: dict[str, Any]
    events: tuple[dict[str, Any] | bytes, ...]
    failure: dict[str, Any]
    failure_class: str
    settings: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def service(self) -> str:
        """The name of the simulated service."""
        return self.cls.__name__.removesuffix("Provider").lower()

    def make(
        self,
        url: str | None,
        *,
        key: str | None = KEY,
        settings: Mapping[str, Any] = MappingProxyType({}),
        **config: Any,
    ) -> HTTPProvider:
        """A provider named ``mine`` at an address."""
        return self.cls(
            ProviderConfig(
                "mine",
                "driver",
                api_key=None if key is None else Secret(key),
                base_url=url,
                settings={**self.settings, **settings},
                **config,
            )
        )

    def ask(self, *, stream: bool = True, model: str | None = None, **request: Any) -> Request:
        """A request of one message."""
        return Request(
            Target("mine", model or self.model), (Message.of("user", "Hello"),), stream=stream, **request
        )


_RESPONSE = {
    "id": "resp_1",
    "status": "completed",
    "model": "some-model-1",
    "error": None,
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Olá 🌍"}]}],
    "usage": {"input_tokens": 2, "output_tokens": 3},
}
_RESPONSE_EVENTS = (
    {"type": "response.created", "response": {"id": "resp_1"}},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Olá"},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": " 🌍"},
    {"type": "response.completed", "response": _RESPONSE},
)


_COMPLETION = {
    "id": "resp_1",
    "object": "chat.completion",
    "model": "some-model-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Olá 🌍"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
}


def _chat(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "resp_1", "model": "some-model-1", "choices": [choice]}


_CHAT_EVENTS = (
    _chat({"role": "assistant", "content": ""}),
    _chat({"content": "Olá"}),
    _chat({"content": " 🌍"}),
    _chat({}, "stop"),
    {"id": "resp_1", "model": "some-model-1", "choices": [], "usage": _COMPLETION["usage"]},
    b"[DONE]",
)


def _gemini(text: str, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, **candidate}]}


_GEMINI_FACTS = {
    "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 3, "totalTokenCount": 5},
    "modelVersion": "some-model-1",
    "responseId": "resp_1",
}

DRIVERS = {
    "openai": Driver(
        OpenAIProvider,
        "gpt-6.1-terra",
        ("authorization", f"Bearer {KEY}"),
        {True: "/responses", False: "/responses"},
        _RESPONSE,
        _RESPONSE_EVENTS,
        {"type": "error", "error": {"code": "server_is_overloaded", "message": "Busy."}},
        "OverloadedError",
        {"api": "responses"},
    ),
    "openai-chat": Driver(
        OpenAIProvider,
        "gpt-6.1-terra",
        ("authorization", f"Bearer {KEY}"),
        {True: "/chat/completions", False: "/chat/completions"},
        _COMPLETION,
        _CHAT_EVENTS,
        {"error": {"code": "server_is_overloaded", "message": "Busy."}},
        "OverloadedError",
        {"api": "chat"},
    ),
    "xai": Driver(
        XAIProvider,
        "grok-4.3",
        ("authorization", f"Bearer {KEY}"),
        {True: "/responses", False: "/responses"},
        _RESPONSE,
        _RESPONSE_EVENTS,
        {"type": "error", "message": "The service is currently unavailable"},
        "OverloadedError",
    ),
    "xai-chat": Driver(
        XAIProvider,
        "grok-4.3",
        ("authorization", f"Bearer {KEY}"),
        {True: "/chat/completions", False: "/chat/completions"},
        _COMPLETION,
        _CHAT_EVENTS,
        {"code": "The service is currently unavailable", "error": "Busy."},
        "OverloadedError",
        {"api": "chat"},
    ),
    "gemini": Driver(
        GeminiProvider,
        "gemini-3.5-flash",
        ("x-goog-api-key", KEY),
        {
            True: "/v1/models/gemini-3.5-flash:streamGenerateContent?alt=sse",
            False: "/v1/models/gemini-3.5-flash:generateContent",
        },
        {**_gemini("Olá 🌍", finishReason="STOP"), **_GEMINI_FACTS},
        (
            {"candidates": [{}], "modelVersion": "some-model-1"},
            _gemini("Olá"),
            _gemini(" 🌍"),
            {"candidates": [{"finishReason": "STOP"}], **_GEMINI_FACTS},
        ),
        {"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}},
        "OverloadedError",
    ),
}


async def send(provider: HTTPProvider, request: Request) -> tuple[list[Delta], ProviderReply]:
    """Send a request: the deltas, and the reply they end with."""
    *deltas, reply = [delta async for delta in provider.send_message(request)]
    assert isinstance(reply, ProviderReply)
    return deltas, reply


async def fail(provider: HTTPProvider, request: Request) -> tuple[list[Delta], ProviderError]:
    """Send a request that fails: the deltas before it did, and an error that does not know the key."""
    deltas: list[Delta] = []
    try:
        async with asyncio.timeout(5):
            async for delta in provider.send_message(request):
                deltas.append(delta)  # noqa: PERF401  # what came before the error is of interest
    except ProviderError as error:
        check_for_secrets(error, provider)
        return deltas, error
    raise AssertionError(f"nothing failed: {deltas}")


def read(provider: HTTPProvider, body: dict[str, Any]) -> ProviderReply:
    """What a provider makes of a whole answer."""
    return provider.annotate(provider.wire.parse_response(body))


def check_for_secrets(error: ProviderError, provider: HTTPProvider) -> None:
    """The key is in nothing that an error or a provider shows."""
    shown = [repr(error), str(error), *traceback.format_exception(error), repr(provider), repr(vars(error))]
    shown += [repr(cause) for cause in (error.__cause__, error.__context__)]
    assert [] == [text for text in shown if KEY in text]
    assert "mine" == error.provider
