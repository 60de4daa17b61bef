"""The pieces of a stream, and how JSON is written in them."""

from __future__ import annotations

import json
from typing import NamedTuple

from tertulia_simulator.recording import Json


class Chunk(NamedTuple):
    """A piece of a stream that is written on its own, and whether it holds some of the answer's text."""

    data: bytes
    is_content: bool = False


def compact(value: Json | list[Json]) -> str:
    """Write JSON on one line, with characters rather than escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
