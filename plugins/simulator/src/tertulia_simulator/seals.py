"""What a service gives away and wants back unchanged: it knows its own seal, and what it was put on."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from hashlib import sha256
from hmac import compare_digest, new
from typing import Any

KEY = b"the simulator's own"
DIGEST_SIZE = sha256().digest_size


def seal(service: str, content: object, **facts: Any) -> str:
    """Make the base64 of ``facts`` under a seal that only fits ``content``."""
    payload = json.dumps(facts, sort_keys=True).encode()
    return b64encode(_digest(service, content, payload) + payload).decode()


def unseal(service: str, content: object, sealed: str) -> dict[str, Any] | None:
    """Read the facts under a seal; None where it was changed, or is another service's or content's."""
    try:
        raw = b64decode(sealed, validate=True)
    except ValueError:
        return None
    digest, payload = raw[:DIGEST_SIZE], raw[DIGEST_SIZE:]
    if not compare_digest(digest, _digest(service, content, payload)):
        return None
    facts: dict[str, Any] = json.loads(payload)
    return facts


def _digest(service: str, content: object, payload: bytes) -> bytes:
    written = json.dumps([service, content], sort_keys=True, ensure_ascii=True).encode()
    return new(KEY, written + payload, sha256).digest()
