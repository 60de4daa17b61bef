"""The six ways to ask a service for an answer, as plainly as that can be done."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dialect:
    """One endpoint, the format it speaks, and where a stream of it is asked for."""

    service: str
    path: str
    stream_path: str
    model: str

    def render(self, *texts: str, **more: Any) -> Any:
        """A request with a conversation, the user speaking first."""
        roles = ("user", "assistant") * len(texts)
        return self.render_parts([(role, [text]) for role, text in zip(roles, texts, strict=False)]) | more

    def render_parts(self, messages: Sequence[tuple[str, Sequence[str | bytes]]]) -> Any:
        """A request with messages of several parts: texts, the addresses of images, and images."""
        raise NotImplementedError

    def render_stream(self, *texts: str, **more: Any) -> Any:
        """A request for a stream."""
        return self.render(*texts, stream=True, **more)

    def said(self, answer: Any) -> str:
        """The text of a whole answer."""
        raise NotImplementedError

    def hear(self, body: str) -> list[str]:
        """The pieces of text in a stream, as far as it came."""
        events = [
            line.removeprefix("data: ").strip() for line in body.split("\n") if line.startswith("data: ")
        ]
        pieces = [self.hear_event(json.loads(event)) for event in events if event != "[DONE]"]
        return [piece for piece in pieces if piece]

    def hear_event(self, event: Any) -> str:
        """The text in one event."""
        raise NotImplementedError


class Responses(Dialect):
    def render_parts(self, messages):
        items = [
            {"role": role, "content": [self.render_part(part, role) for part in parts]}
            for role, parts in messages
        ]
        return {"model": self.model, "input": items, "store": False}

    def render_part(self, part, role):
        if (url := image_url(part)) is not None:
            return {"type": "input_image", "image_url": url}
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part}

    def said(self, answer):
        return answer["output"][0]["content"][0]["text"]

    def hear_event(self, event):
        return event["delta"] if event["type"] == "response.output_text.delta" else ""


class Chat(Dialect):
    def render_parts(self, messages):
        items = [
            {"role": role, "content": [self.render_part(part) for part in parts]} for role, parts in messages
        ]
        return {"model": self.model, "messages": items}

    def render_part(self, part):
        if (url := image_url(part)) is not None:
            return {"type": "image_url", "image_url": {"url": url}}
        return {"type": "text", "text": part}

    def said(self, answer):
        return answer["choices"][0]["message"]["content"]

    def hear_event(self, event):
        return "".join(choice["delta"].get("content", "") for choice in event["choices"])


class Gemini(Dialect):
    def render_parts(self, messages):
        roles = {"user": "user", "assistant": "model"}
        contents = [
            {"role": roles[role], "parts": [self.render_part(part) for part in parts]}
            for role, parts in messages
        ]
        return {"contents": contents}

    def render_part(self, part):
        if isinstance(part, bytes):
            data = base64.b64encode(part).decode()
            return {"inlineData": {"mimeType": "image/png", "data": data}}
        if part.startswith("https://"):
            return {"fileData": {"mimeType": "image/png", "fileUri": part}}
        return {"text": part}

    def render_stream(self, *texts, **more):
        return self.render(*texts, **more)

    def said(self, answer):
        return "".join(part["text"] for part in answer["candidates"][0]["content"]["parts"])

    def hear_event(self, event):
        return self.said(event)


def image_url(part: str | bytes) -> str | None:
    """The address of an image, or None where a part is a text."""
    if isinstance(part, bytes):
        return f"data:image/png;base64,{base64.b64encode(part).decode()}"
    return part if part.startswith("https://") else None


def png(width: int = 1, height: int = 1, *, size: int | None = None) -> bytes:
    """A grey PNG, padded to a size with nothing in particular."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(width + 1) * height)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    content = b"\x89PNG\r\n\x1a\n" + chunks
    return content + bytes((size or 0) - len(content)) if size else content


GEMINI = "/gemini/v1/models/gemini-3.5-flash"
DIALECTS: dict[str, Dialect] = {
    "openai": Responses("openai", *["/openai/v1/responses"] * 2, "gpt-6.1-terra"),
    "openai-chat": Chat("openai", *["/openai/v1/chat/completions"] * 2, "gpt-6.1-terra"),
    "gemini": Gemini("gemini", f"{GEMINI}:generateContent", f"{GEMINI}:streamGenerateContent?alt=sse", ""),
    "xai": Responses("xai", *["/xai/v1/responses"] * 2, "grok-4.3"),
    "xai-chat": Chat("xai", *["/xai/v1/chat/completions"] * 2, "grok-4.3"),
    "local": Chat("local", *["/local/v1/chat/completions"] * 2, "llama-sim"),
}
