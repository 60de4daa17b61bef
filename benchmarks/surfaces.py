"""The four ways in which the three services are spoken to, and each as someone writes it without Tertulia."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs

from benchmarks import raw
from tertulia import HTTPProvider, Message, ProviderConfig, Request, Secret, Target
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

Body = dict[str, Any]


@attrs.frozen
class Format:
    """
    A wire format, written by hand.

    Attributes:
        name: What the peer calls it.

        render_body: Makes the body of a request of what was said.

        read_text: Finds the text of a whole answer.

        read_delta: Finds the words of an event; None where it has none.

        path: Of a call, below the base URL; ``{model}`` and ``{method}`` are put into it.

        stream: The members that ask for a stream.
    """

    name: str
    render_body: Callable[[Sequence[raw.Turn]], Body]
    read_text: Callable[[Body], str]
    read_delta: Callable[[Body], str | None]
    path: str
    stream: Mapping[str, Any]


def _read_response_delta(event: Body) -> str | None:
    return event["delta"] if event["type"] == "response.output_text.delta" else None


def _render_chat(turns: Sequence[raw.Turn]) -> Body:
    return {"model": raw.MODEL, "messages": [{"role": role, "content": text} for role, text in turns]}


def _read_chat_delta(event: Body) -> str | None:
    return event["choices"][0]["delta"].get("content") if event["choices"] else None


def _render_gemini(turns: Sequence[raw.Turn]) -> Body:
    roles = {"user": "user", "assistant": "model"}
    return {"contents": [{"role": roles[role], "parts": [{"text": text}]} for role, text in turns]}


def _read_gemini(event: Body) -> str:
    text: str = event["candidates"][0]["content"]["parts"][0]["text"]
    return text


RESPONSES = Format(
    "responses",
    raw.render_body,
    lambda answer: answer["output"][0]["content"][0]["text"],
    _read_response_delta,
    "/responses",
    {"stream": True},
)
CHAT = Format(
    "chat",
    _render_chat,
    lambda answer: answer["choices"][0]["message"]["content"],
    _read_chat_delta,
    "/chat/completions",
    {"stream": True, "stream_options": {"include_usage": True}},
)
GEMINI = Format("gemini", _render_gemini, _read_gemini, _read_gemini, "/v1/models/{model}:{method}", {})


@attrs.frozen
class Surface:
    """
    One service in one format.

    Attributes:
        headers: With the key, as its service wants it.

        settings: Of the driver.
    """

    name: str
    form: Format
    driver: Callable[[ProviderConfig], HTTPProvider]
    headers: Mapping[str, str] = raw.HEADERS
    settings: Mapping[str, str] = attrs.field(factory=dict)

    @asynccontextmanager
    async def open_driver(self, url: str, scenario: str) -> AsyncIterator[HTTPProvider]:
        """Open a driver for one of the peer's scenarios, with connections of its own."""
        driver = self.driver(
            ProviderConfig(
                "service",
                "driver",
                api_key=Secret("sk-benchmark"),
                base_url=f"{url}/{self.form.name}.{scenario}",
                settings=dict(self.settings),
            )
        )
        try:
            yield driver
        finally:
            await driver.aclose()

    def find_url(self, url: str, scenario: str, *, stream: bool) -> str:
        """Where a call by hand goes."""
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"{url}/{self.form.name}.{scenario}" + self.form.path.format(model=raw.MODEL, method=method)


SURFACES = (
    Surface("OpenAI Responses", RESPONSES, OpenAIProvider, settings={"api": "responses"}),
    Surface("OpenAI Chat", CHAT, OpenAIProvider, settings={"api": "chat"}),
    Surface(
        "Gemini",
        GEMINI,
        GeminiProvider,
        {"x-goog-api-key": "sk-benchmark", "Content-Type": "application/json"},
    ),
    Surface("xAI Responses", RESPONSES, XAIProvider),
)


def make_request(turns: Sequence[raw.Turn], *, stream: bool) -> Request:
    """A request as the core makes it."""
    messages = tuple(Message.of(role, text) for role, text in turns)
    return Request(Target("service", raw.MODEL), messages, stream=stream)


async def call(session: aiohttp.ClientSession, surface: Surface, url: str, body: Body) -> str:
    """Ask for a whole answer by hand, and return its text."""
    content = json.dumps(body).encode()
    async with session.post(url, data=content, headers=surface.headers) as response:
        return surface.form.read_text(json.loads(await response.read()))


async def read_stream(session: aiohttp.ClientSession, surface: Surface, url: str, body: Body) -> int:
    """Ask for a streamed answer by hand, and return how many deltas it had."""
    content = json.dumps({**body, **surface.form.stream}).encode()
    pieces: list[str] = []
    async with session.post(url, data=content, headers=surface.headers) as response:
        async for line in response.content:
            if line.startswith(b"data: ") and line != b"data: [DONE]\n":
                words = surface.form.read_delta(json.loads(line[6:]))
                if words:
                    pieces.append(words)
    return len(pieces)
