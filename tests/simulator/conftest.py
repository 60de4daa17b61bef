"""A simulator on the test's own event loop, and a client that speaks to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from tertulia_simulator import Simulator

from .dialects import DIALECTS, Dialect

MODELS = {"openai": "gpt-6.1-terra", "gemini": "gemini-3.5-flash", "xai": "grok-4.3"}


class Caller:
    """Speaks each service's protocol, as plainly as that can be done."""

    def __init__(self, session: aiohttp.ClientSession, simulator: Simulator) -> None:
        self.session = session
        self.url = simulator.url

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, str]:
        """Send a request, bytes as they are: the status, the headers and the text of its answer."""
        sent = {"authorization": "Bearer sim-key", "x-goog-api-key": "sim-key"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in (sent | {"content-type": "application/json"}).items() if value}
        # A large body is written from a file, or aiohttp warns.
        written = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        content = None if written is None else BytesIO(written)
        async with self.session.request(method, self.url + path, data=content, headers=sent) as response:
            return response.status, response.headers, await response.text()

    async def get(self, path: str) -> Any:
        """The JSON of a GET."""
        return json.loads((await self.call("GET", path))[2])

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """The status and the JSON of a POST."""
        status, _, text = await self.call("POST", path, body, **headers)
        return status, json.loads(text)

    async def ask(self, service: str, text: str, **headers: str) -> tuple[int, Any]:
        """The status and the JSON of the answer to one user text."""
        return await self.post(endpoint(service), render(service, text), **headers)

    async def stream(self, service: str, text: str, **body: Any) -> list[Any]:
        """The decoded events of a streamed answer to one user text."""
        path, stream = endpoint(service), {"stream": True}
        if service == "gemini":
            path, stream = path.replace(":generate", ":streamGenerate") + "?alt=sse", {}
        _, _, answer = await self.call("POST", path, render(service, text) | stream | body)
        lines = [line.strip() for line in answer.split("\n")]
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]

    async def put(self, dialect: Dialect, body: Any) -> Any:
        """The whole answer to a request in a dialect."""
        _, answer = await self.post(dialect.path, body)
        return answer

    async def stream_chat(self, dialect: Dialect, text: str, **body: Any) -> list[Any]:
        """The decoded chunks of a streamed answer in Chat Completions, without the end."""
        _, _, answer = await self.call("POST", dialect.path, dialect.render_stream(text, **body))
        events = [line.removeprefix("data: ") for line in answer.split("\n") if line.startswith("data: {")]
        return [json.loads(event) for event in events]

    async def hear(self, dialect: Dialect, *texts: str) -> list[str]:
        """The pieces of text in the streamed answer to a conversation."""
        _, _, body = await self.call("POST", dialect.stream_path, dialect.render_stream(*texts))
        return dialect.hear(body)


def endpoint(service: str) -> str:
    """Where a service generates."""
    return {
        "openai": "/openai/v1/responses",
        "xai": "/xai/v1/responses",
        "gemini": f"/gemini/v1/models/{MODELS['gemini']}:generateContent",
    }[service]


def render(service: str, text: str) -> Any:
    """A request with one user text."""
    if service == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    return {"model": MODELS[service], "input": [{"role": "user", "content": text}], "store": False}


def said(answer: Any) -> str:
    """The text of an answer of any service."""
    if "candidates" in answer:
        return "".join(part["text"] for part in answer["candidates"][0]["content"]["parts"])
    return answer["output"][0]["content"][0]["text"]


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each of the six ways to ask for an answer."""
    return DIALECTS[request.param]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def caller(simulator: Simulator) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(session, simulator)
