"""No key is anywhere it could be read, whatever went wrong on the wire."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import traceback
from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path

import pytest
from fault_cases import FIN, HANG, RESET, WELL, answer, complete, data, refuse_google, say, says, send, stream
from fault_player import Fault, FaultPlayer, Step

import tertulia
from tertulia import TertuliaError
from torture import TORTURED

KEYS = {
    "openai": "sk-proj-" + "a1B2c3" * 20,
    "gemini": "AIzaSy" + "d4E5f6" * 5 + "abc",
    "xai": "xai-" + "g7H8" * 20,
    "anthropic": "sk-ant-api03-" + "j9K0" * 20,
    "short": "k3y-of-ours",
    "with marks": "p+w0rd/=._~" * 3,
}


def find_keys() -> Mapping[str, str]:
    """The shapes of keys; with the folder of test data, those in it as well."""
    path = Path(os.environ.get("TERTULIA_TEST_DATA") or "") / "security_cases.json"
    cases = json.loads(path.read_text("utf-8"))["secrets"] if path.is_file() else []
    ours = KEYS if TORTURED else {kind: KEYS[kind] for kind in ("openai", "with marks")}
    return ours | {f"recorded {case['kind']}": case["value"] for case in cases}


def repeat(key: str) -> Mapping[str, list[Step]]:
    """What a service, or whatever lies between, may do with a key that it was sent."""
    error = {"error": {"message": f"Incorrect API key provided: {key}.", "code": f"no_{key}", "param": key}}
    content = json.dumps(error).encode()
    return {
        "refused": answer(error, 401),
        "refused with a flat error": answer({"error": f"No key {key}", "code": key}, 403),
        "refused by Google": refuse_google(
            400, "INVALID_ARGUMENT", f"API key {key} not valid.", {"key": key}
        ),
        "too fast": answer(error, 429, retry_after_ms="10"),
        "a page": answer(f"<html>Bearer {key}</html>".encode(), 200, "text/html"),
        "a page that failed": answer(f"<html>Bearer {key}</html>".encode(), 502, "text/html"),
        "half a document": answer(content[:-20]),
        "an error under 200": answer(error),
        "in headers": answer({"error": {"message": "No."}}, 400, x_request_id=key, x_key=key),
        "a redirect": answer(b"", 307, location=f"http://127.0.0.1:9/?key={key}"),
        "no HTTP": [send(f"220 {key}\r\n".encode()), FIN],
        "no header": [send(f"HTTP/1.1 200 OK\r\n{key}\r\n\r\n".encode()), FIN],
        "no gzip": answer(content, content_encoding="gzip"),
        "less than was promised": [send(b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n" + content), FIN],
        "an error in a stream": stream(say("Hello"), data(error)),
        "half an event": stream(say("Hello"), b"data: " + content[:-20] + b"\n\n"),
        "a bare document in a stream": stream(content),
        "a stream that is cut": stream(say("Hello"), b"data: " + content[:-20], then=[FIN]),
        "reset": [{"op": "read"}, RESET],
        "nothing": [{"op": "read"}, HANG],
        "well": [*WELL],
        "well, with headers": answer(complete(), x_request_id=key),
    }


def everything(error: BaseException) -> str:
    """All that a debugger could print of an error: causes, contexts, frames and their local variables."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    inside = [frame for frame in shown.stack if "/tests/" not in frame.filename]
    linked = [each for each in (error.__cause__, error.__context__) if each is not None]
    texts = [
        str(error),
        repr(error),
        repr(vars(error)),
        *(f"{frame.name}: {frame.locals}" for frame in inside),
    ]
    return "\n".join([*texts, *(everything(each) for each in linked)])


async def play(key: str, folder: Path) -> list[str]:
    """Play everything, and return all that anybody could read of it."""
    scripts = repeat(key)
    seen: list[str] = []
    async with AsyncExitStack() as stack:
        faults = [
            Fault(name, name, dialect, True, says(), attempts=[script])
            for (name, script), dialect in zip(scripts.items(), cycle(("openai", "gemini")), strict=False)
        ]
        faults += [
            Fault(target, target, "openai", True, says(), target=target)
            for target in ("closed_port", "bad_dns")
        ]
        players = [await stack.enter_async_context(FaultPlayer(fault)) for fault in faults]
        providers = {
            f"p{number}": {
                "driver": fault.dialect,
                "base_url": player.url,
                "api_key": key,
                "model": "fake-1",
                "timeouts": {"connect": 0.5, "first_content": 0.5, "idle": 0.5, "total": 0.5},
            }
            for number, (fault, player) in enumerate(zip(faults, players, strict=True))
        }
        client = await stack.enter_async_context(
            tertulia.open(store=f"sqlite:///{folder / 'secrets.db'}", providers=providers, environ={})
        )
        seen += [repr(client), str(client)]
        seen += await asyncio.gather(
            *(_send(client, name, is_streamed) for name in providers for is_streamed in (True, False))
        )
        seen += [repr(client.providers), repr(await client.health()), repr(await client.statistics())]
        await client.export(folder / "exported.jsonl")
    return seen


def read_files(folder: Path) -> list[str]:
    """The bytes of all files, as text."""
    return [path.read_bytes().decode("latin-1") for path in folder.iterdir()]


async def _send(client: tertulia.Client, provider: str, is_streamed: bool) -> str:
    conversation = await client.start(provider=provider)
    try:
        if is_streamed:
            async with conversation.stream("Hi") as answer:
                seen = [repr(event) async for event in answer]
        else:
            seen = [repr(await conversation.send("Hi"))]
    except TertuliaError as error:
        seen = [everything(error), *(everything(each) for each in getattr(error, "errors", ()))]
    seen += [repr(conversation), repr(await conversation.history()), repr(await conversation.attempts())]
    return "\n".join(seen)


@pytest.mark.parametrize("kind", find_keys())
async def test_no_key_is_anywhere_it_could_be_read(tmp_path, caplog, kind):
    """
    Errors with their frames, values, logs at DEBUG, the export and the bytes of the database hold none of it.
    """
    caplog.set_level(logging.DEBUG)
    key = find_keys()[kind]
    seen = [*await play(key, tmp_path), caplog.text, *read_files(tmp_path)]

    assert [] == [text[max(0, text.index(key) - 300) : text.index(key) + 200] for text in seen if key in text]
