"""The base of every provider whose service speaks Chat Completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tertulia.domain.model import MediaLimits, ModelInfo
from tertulia.runtime.http_provider import HTTPProvider
from tertulia.wire.chat_completions import ChatCompletionsWire, Dialect
from tertulia.wire.errors import ErrorRules
from tertulia.wire.openai_errors import ERROR_RULES
from tertulia.wire.protocol import Wire, read_list, read_text

IMAGES = MediaLimits(
    frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"}), max_total_bytes=50 * 2**20, urls=True
)
"""What OpenAI takes; of GIF, only what does not move."""


class ChatCompletionsProvider(HTTPProvider):
    """
    A provider whose service speaks Chat Completions: a subclass says where it is, and is done.

    A service needs a key when ``KEY_VARIABLES`` names variables for it. Whatever differs from what most
    servers do is one more attribute: ``OPTIONS``, ``PRICES``, ``MODELS``, ``IMAGES``, ``ERROR_RULES``.

    Attributes:
        DIALECT: Where the service's format differs.

    Example::

        class Sobremesa(tertulia.ChatCompletionsProvider):
            BASE_URL = "https://api.sobremesa.example/v1"
            KEY_VARIABLES = ("SOBREMESA_API_KEY",)
            DEFAULT_MODEL = "sobremesa-large"
    """

    DIALECT: ClassVar[Dialect] = Dialect()
    ERROR_RULES: ClassVar[ErrorRules] = ERROR_RULES
    IMAGES: MediaLimits | None = IMAGES

    def make_wire(self) -> Wire:
        """Chat Completions, in the dialect of the service."""
        return ChatCompletionsWire(self.name, self.DIALECT)

    async def list_models(self) -> Sequence[ModelInfo]:
        """List the models of the key; the format names no limits, so those come from the bundled table."""
        body = await self.get_json("/models", member="data")
        return [
            self.describe(identifier)
            for item in read_list(body, "data")
            if (identifier := read_text(item, "id"))
        ]
