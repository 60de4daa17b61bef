"""The driver: where OpenAI is, what it calls things, and how it says no."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from urllib.parse import urlsplit

from tertulia import Billing, Capability, ChatCompletionsProvider, Cost, ModelInfo, Usage
from tertulia.wire import Wire, read_count
from tertulia.wire.chat_completions import ChatCompletionsWire, Dialect
from tertulia.wire.responses import ResponsesWire
from tertulia_openai.models import DEFAULT_MODEL, MODELS
from tertulia_openai.prices import PRICES

CHAT_DIALECT = Dialect(answer_limit="max_completion_tokens", members={"store": False})
"""OpenAI's own; a server that is compatible with it knows neither of the two."""


class OpenAIProvider(ChatCompletionsProvider):
    """
    OpenAI, stateless: nothing is kept at OpenAI. And every server that speaks Chat Completions.

    Settings: ``organization`` and ``project``, sent as headers; ``api``, which is ``"responses"`` at
    OpenAI's own origin and ``"chat"`` at any other ``base_url``, unless it is set. A server elsewhere that
    speaks Chat Completions needs no key.
    """

    BASE_URL: ClassVar[str] = "https://api.openai.com/v1"
    DEFAULT_MODEL = DEFAULT_MODEL
    KEY_VARIABLES = ("AI_OPENAI_API_KEY", "OPENAI_API_KEY")
    SETTINGS = frozenset({"api", "organization", "project"})
    MODELS = MODELS
    PRICES = PRICES

    @property
    def api(self) -> str:
        """Which of OpenAI's two formats it speaks: ``"responses"`` or ``"chat"``."""
        default = "responses" if self.is_at_origin else "chat"
        return self.choose("api", among=("responses", "chat"), default=default)

    @property
    def is_openai(self) -> bool:
        """Whether it is OpenAI that answers, if at another address, and not a server compatible with it."""
        return self.is_at_origin or self.api == "responses"

    @property
    def needs_key(self) -> bool:
        """A compatible server may want none."""
        return self.is_openai

    def make_wire(self) -> Wire:
        """Responses, or Chat Completions in the dialect that the server understands."""
        if self.api == "responses":
            return ResponsesWire(self.name, lambda model: self.can(model, Capability.REASONING))
        return ChatCompletionsWire(self.name, CHAT_DIALECT if self.is_openai else Dialect())

    def find_model(self, model: str) -> ModelInfo | None:
        """Return the bundled facts; of a compatible server none are known, whatever its models are called."""
        return super().find_model(model) if self.is_openai else None

    def render_headers(self) -> dict[str, str]:
        """The organisation and the project, where they are set."""
        names = {"organization": "openai-organization", "project": "openai-project"}
        return {
            header: str(self.config.settings[name])
            for name, header in names.items()
            if name in self.config.settings
        }

    def calculate_cost(self, model: str, usage: Usage, billing: Billing, at: datetime) -> Cost | None:
        """
        Price by the dated rows.

        Returns:
            None also for what no row prices: tokens cached for 12 hours, the hosts of a region, and a
            compatible server, whatever its models are called.
        """
        if not self.is_openai:
            return None
        details = ("input_tokens_details", "prompt_tokens_details")
        kept_long = any(read_count(billing.raw, name, "ttl_12h_tokens") for name in details)
        if kept_long or self._is_regional:
            return None
        return super().calculate_cost(model, usage, billing, at)

    @property
    def _is_regional(self) -> bool:
        """Whether data stays in a region (``eu.api.openai.com``), for which some models cost 10 % more."""
        return (urlsplit(self.base_url).hostname or "").endswith(f".{urlsplit(self.BASE_URL).hostname}")
