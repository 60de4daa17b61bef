"""The driver: where OpenAI is, what it calls things, and how it says no."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from typing import ClassVar
from urllib.parse import urlsplit

import attrs

from tertulia import (
    ChatCompletionsProvider,
    ModelInfo,
    Price,
    ProviderConfig,
    ProviderReply,
    Request,
    TokenWeights,
)
from tertulia.wire import Json, Wire, read_count, read_list, read_text
from tertulia.wire.chat_completions import ChatCompletionsWire, Dialect
from tertulia.wire.responses import ResponsesWire
from tertulia_openai import media
from tertulia_openai.models import DEFAULT_MODEL, MODELS
from tertulia_openai.prices import PRICES
from tertulia_openai.refusals import find_refusal
from tertulia_openai.tokens import find_weights

CHAT_DIALECT = Dialect(
    answer_limit="max_completion_tokens",
    members={"store": False},
    end_user="safety_identifier",
    strict_tools=True,
    prompt_cache_key=True,
)
"""OpenAI's own; a server that is compatible with it knows little of this."""

ATTACHMENTS = ("images", "documents", "audio")
"""What may be said to be taken, beginning with what nearly every server takes."""

COUNTED = frozenset(
    {
        "model",
        "instructions",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "text",
        "reasoning",
        "truncation",
    }
)
"""The members of a request that the service counts."""


class OpenAIProvider(ChatCompletionsProvider):
    """
    OpenAI, stateless: nothing is kept at OpenAI. And every server that speaks Chat Completions.

    Settings: ``organization`` and ``project``, sent as headers; ``api``, which is ``"responses"`` at
    OpenAI's own origin and ``"chat"`` at any other ``base_url``, unless it is set; ``vendor``, which is
    ``"openai"`` at that origin and where Responses are spoken, else ``"other"``: a server that is
    compatible, and needs no key; ``attachments``, the kinds that are taken: of another vendor images alone,
    unless it is set.
    """

    BASE_URL: ClassVar[str] = "https://api.openai.com/v1"
    DEFAULT_MODEL = DEFAULT_MODEL
    KEY_VARIABLES = ("AI_OPENAI_API_KEY", "OPENAI_API_KEY")
    SETTINGS = frozenset({"api", "attachments", "organization", "project", "vendor"})
    MODELS = MODELS
    PRICES = PRICES

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        speaks_responses = self.api == "responses"
        taken = self._choose_attachments()
        images = media.IMAGES if speaks_responses else type(self).IMAGES
        documents = media.DOCUMENTS if speaks_responses else media.CHAT_DOCUMENTS
        self.IMAGES = images if "images" in taken else None
        self.DOCUMENTS = documents if "documents" in taken else None
        self.AUDIO = media.AUDIO if "audio" in taken else None

    @cached_property
    def api(self) -> str:
        """Which of OpenAI's two formats it speaks: ``"responses"`` or ``"chat"``."""
        default = "responses" if self.is_at_origin else "chat"
        return self.choose("api", among=("responses", "chat"), default=default)

    @cached_property
    def is_openai(self) -> bool:
        """Whether it is OpenAI that answers, if at another address, and not a server compatible with it."""
        default = "openai" if self.is_at_origin or self.api == "responses" else "other"
        return self.choose("vendor", among=("openai", "other"), default=default) == "openai"

    @property
    def vendor(self) -> str | None:
        """Whose prices hold, as the settings say."""
        return self.config.driver if self.is_openai else None

    @property
    def needs_key(self) -> bool:
        """A compatible server may want none."""
        return self.is_openai

    @property
    def region(self) -> str | None:
        """The region that data stays in, ``eu`` at ``eu.api.openai.com``; None at the general host."""
        return self._region

    @cached_property  # asked for each answer, and two URLs are taken apart for it
    def _region(self) -> str | None:
        host, own = (urlsplit(url).hostname or "" for url in (self.base_url, self.BASE_URL))
        return host.removesuffix(f".{own}") if host.endswith(f".{own}") else None

    def make_wire(self) -> Wire:
        """Responses, or Chat Completions in the dialect that the server understands."""
        if self.api == "responses":
            return ResponsesWire(self.name, self.reasons)
        return ChatCompletionsWire(self.name, CHAT_DIALECT if self.is_openai else Dialect())

    @property
    def bundled_models(self) -> Sequence[ModelInfo]:
        """Of a compatible server nothing is bundled, whatever its models are called."""
        return self.MODELS if self.is_openai else ()

    @property
    def bundled_prices(self) -> Sequence[Price]:
        """Of a compatible server none, whatever its models are called."""
        return self.PRICES if self.is_openai else ()

    def find_token_weights(self, model: str) -> TokenWeights:
        """By the model: an image is from 85 tokens to 30,000. Of a compatible server nothing is known."""
        if not self.is_openai:
            return self.TOKEN_WEIGHTS
        return find_weights(model, reasons=self.reasons(model) is not False)

    def render_headers(self, request: Request | None) -> dict[str, str]:
        """The organisation and the project, where they are set."""
        names = {"organization": "openai-organization", "project": "openai-project"}
        return {
            header: str(self.config.settings[name])
            for name, header in names.items()
            if name in self.config.settings
        }

    def find_refusal(self, request: Request, option: str, value: object) -> str | None:
        """Say why a model is known to refuse an option; of a compatible server nothing is known."""
        refusal = super().find_refusal(request, option, value)
        if refusal is not None or not self.is_openai:
            return refusal
        return find_refusal(request, option, value, api=self.api)

    def annotate(self, reply: ProviderReply) -> ProviderReply:
        """Say in which region the answer was made, for which some models cost more."""
        if self.region is None:
            return reply
        return attrs.evolve(reply, billing=attrs.evolve(reply.billing, region=self.region))

    def _choose_attachments(self) -> Sequence[str]:
        default = ATTACHMENTS if self.is_openai else ATTACHMENTS[:1]
        return self.choose_several("attachments", among=ATTACHMENTS, default=default)

    async def list_models(self) -> Sequence[ModelInfo]:
        """List the models of the key; the list has dates, and all else comes from the bundled table."""
        body = await self.get_json("/models", member="data")
        return [
            _with_dates(self.describe(identifier), item)
            for item in read_list(body, "data")
            if (identifier := read_text(item, "id"))
        ]

    async def count_input_tokens(self, request: Request) -> int | None:
        """Ask OpenAI how many tokens a request is; None where only Chat Completions are spoken."""
        if self.api != "responses":
            return None
        rendered = self.wire.render_request(request)
        counted = {name: value for name, value in rendered.body.items() if name in COUNTED}
        answer = await self.call(
            "/responses/input_tokens",
            counted,
            timeouts=request.timeouts,
            deadline=request.deadline,
            model=request.target.model,
        )
        return read_count(answer, "input_tokens")


def _with_dates(info: ModelInfo, item: Json) -> ModelInfo:
    """When the model came, and when it goes, where the list says it."""
    created, shutdown = read_count(item, "created"), _read_day(item, "shutdown_date")
    return attrs.evolve(
        info,
        created=info.created if created is None else _read_moment(created),
        shutdown_on=shutdown or info.shutdown_on,
    )


def _read_moment(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _read_day(item: Json, name: str) -> date | None:
    """A day, whether it is written as one, as a moment, or in seconds."""
    if (seconds := read_count(item, name)) is not None:
        moment = _read_moment(seconds)
        return None if moment is None else moment.date()
    try:
        return date.fromisoformat((read_text(item, name) or "")[:10])
    except ValueError:
        return None
