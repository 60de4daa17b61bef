"""Documents and sounds as OpenAI's formats write them."""

from __future__ import annotations

from collections.abc import Mapping

from tertulia_simulator.conversation import SentFile
from tertulia_simulator.images import decode
from tertulia_simulator.orders import StoredFile
from tertulia_simulator.recording import Json, as_object


def read_file(part: Json, known: Mapping[str, StoredFile]) -> SentFile:
    """Read a document or a sound: its bytes, its address or its id; of either API."""
    if audio := as_object(part.get("input_audio")):
        sound = decode(str(audio.get("data", ""))) or b""
        return SentFile(f"audio/{audio.get('format')}", len(sound))
    file = as_object(part.get("file")) or part
    name = read_text(file, "filename")
    if stored := known.get(str(file.get("file_id"))):
        return SentFile(stored.media_type, len(stored.content), file=stored.id, name=stored.name)
    if (written := read_text(file, "file_data")) is not None:
        media_type, content = read_data_url(written)
        return SentFile(media_type, len(content or b""), name=name)
    return SentFile(url=read_text(file, "file_url"), file=read_text(file, "file_id"), name=name)


def read_data_url(url: str) -> tuple[str | None, bytes | None]:
    """Read the type and the bytes of a data URL; each is None where there is none."""
    if not url.startswith("data:"):
        return None, None
    media_type, separator, text = url.removeprefix("data:").partition(";base64,")
    return media_type, decode(text) if separator else None


def read_text(value: Json, name: str) -> str | None:
    """Read a field that is a text; None where it is none."""
    text = value.get(name)
    return text if isinstance(text, str) else None
