"""The driver: where xAI is, which formats it speaks, and what it takes in them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, cast
from urllib.parse import urlsplit

import attrs

from tertulia import (
    AuthenticationError,
    ConfigurationError,
    Delta,
    HTTPProvider,
    MediaLimits,
    ModelInfo,
    PermissionDeniedError,
    ProtocolError,
    ProviderConfig,
    ProviderError,
    ProviderReply,
    Refusal,
    Request,
    Text,
    Timeouts,
)
from tertulia.wire import ErrorAnswer, Json, Wire, read_list, read_text
from tertulia.wire.chat_completions import ChatCompletionsWire
from tertulia.wire.chat_completions import Dialect as ChatDialect
from tertulia.wire.responses import Dialect, ResponsesWire
from tertulia_xai.billing import read_billing
from tertulia_xai.deferred import GONE, get_path, make_gone_error, read_ticket, wait_for_answer
from tertulia_xai.errors import ERROR_RULES
from tertulia_xai.listing import merge_listed, parse_windows
from tertulia_xai.models import DEFAULT_MODEL, MODELS, MOST_TOOLS
from tertulia_xai.prices import PRICES
from tertulia_xai.tokens import WEIGHTS

NOT_AT_XAI = frozenset({"reasoning_summary", "verbosity", "metadata"})
"""Options of the formats that xAI refuses, or does not have, whatever the model."""

RESPONSES_DIALECT = Dialect(
    system_as_instructions=False,
    assistant_as_string=True,
    strict_tools=False,
    file_data=False,
    audio=False,
    without=NOT_AT_XAI,
)
CHAT_DIALECT = ChatDialect(
    answer_limit="max_completion_tokens",
    reasoning_in_completion=False,
    documents=False,
    audio=False,
    without=NOT_AT_XAI,
)
DEFERRED_DIALECT = attrs.evolve(CHAT_DIALECT, members=MappingProxyType({"deferred": True}))

DOCUMENTS = MediaLimits(frozenset({"application/*", "text/*"}), data=False, urls=True, files=True)
"""Documents are not sent: xAI fetches them, or has them, and knows itself which it can read."""

BLOCKED: dict[str, type[ProviderError]] = {
    "api_key_disabled": AuthenticationError,
    "api_key_blocked": AuthenticationError,
    "team_blocked": PermissionDeniedError,
}
"""What the service says of a key that it does not take, and which error that is."""

_DATE_INSIDE = re.compile(r"(?<=^grok-4\.20)-\d{4}(?=-)")
_LIST_SECONDS = 10.0


class XAIProvider(HTTPProvider):
    """
    xAI, stateless: nothing is kept at xAI.

    Settings: ``api``, ``"responses"`` unless it is ``"chat"``, which xAI calls legacy; and ``deferred``, with
    ``"chat"`` only: the answer is fetched when it is ready, and comes as a whole.

    Attributes:
        sleep: Waits some seconds between two looks for a deferred answer; a test may have its own.
    """

    BASE_URL: ClassVar[str] = "https://api.x.ai/v1"
    DEFAULT_MODEL = DEFAULT_MODEL
    KEY_VARIABLES = ("AI_XAI_API_KEY", "XAI_API_KEY")
    SETTINGS = frozenset({"api", "deferred"})
    MODELS = MODELS
    PRICES = PRICES
    TOKEN_WEIGHTS = WEIGHTS
    COUNTS_WHOLE_PROMPT = False
    IMAGES = MediaLimits(frozenset({"image/jpeg", "image/png"}), max_bytes=20 * 2**20, urls=True)
    ERROR_RULES = ERROR_RULES

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self.DOCUMENTS = None if self.api == "chat" else DOCUMENTS
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def api(self) -> str:
        """Which of xAI's two formats it speaks: ``"responses"`` or ``"chat"``."""
        return self.choose("api", among=("responses", "chat"), default="responses")

    @property
    def is_deferred(self) -> bool:
        """
        Whether answers are fetched when they are ready.

        Raises:
            ConfigurationError: The setting is no truth value, or the format has no such thing.
        """
        deferred: object = self.config.settings.get("deferred", False)
        if not isinstance(deferred, bool) or (deferred and self.api != "chat"):
            raise ConfigurationError(
                f"provider {self.name!r}: deferred is true or false, and true with api = 'chat' only",
                provider=self.name,
                value="deferred",
                next_step='set api = "chat", or leave deferred out',
            )
        return deferred

    @property
    def region(self) -> str | None:
        """The region whose own host it is at, such as ``us-east-1``; None at the general one."""
        return self._region

    @cached_property  # asked for each answer, and two URLs are taken apart for it
    def _region(self) -> str | None:
        host, own = (urlsplit(url).hostname or "" for url in (self.base_url, self.BASE_URL))
        return host.removesuffix(f".{own}") if host.endswith(f".{own}") else None

    def make_wire(self) -> Wire:
        """Responses, or Chat Completions, each in xAI's dialect."""
        if self.is_deferred:
            return ChatCompletionsWire(self.name, DEFERRED_DIALECT)
        if self.api == "chat":
            return ChatCompletionsWire(self.name, CHAT_DIALECT)
        return ResponsesWire(self.name, self.reasons, RESPONSES_DIALECT)

    def render_headers(self, request: Request | None) -> dict[str, str]:
        """On Chat the conversation is a header: it leads to the machine whose cache is warm."""
        if self.api != "chat" or request is None or request.conversation_id is None:
            return {}
        return {"x-grok-conv-id": str(request.conversation_id)}

    def find_model(self, model: str) -> ModelInfo | None:
        """Return what is known of a model; the name of a 4.20 may have its date in the middle."""
        return super().find_model(model) or super().find_model(_DATE_INSIDE.sub("", model))

    def describe(self, model: str) -> ModelInfo:
        """Return the bundled facts about a model, whose name may have its date in the middle."""
        return attrs.evolve(super().describe(_DATE_INSIDE.sub("", model)), id=model)

    def find_refusal(self, request: Request, option: str, value: object) -> str | None:
        """Say why an option is refused; of tools also that there are too many, of both kinds together."""
        if option in ("tools", "hosted_tools") and (count := len(request.tools)) > MOST_TOOLS:
            return f"xAI takes at most {MOST_TOOLS} of them, not {count}"
        return super().find_refusal(request, option, value)

    def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """Send a request and yield the answer; a deferred one comes as a whole."""
        return super().send_message(attrs.evolve(request, stream=False) if self.is_deferred else request)

    async def resolve_answer(self, body: object, request: Request) -> object:
        """Return the answer itself; where the service gave a ticket, wait until it is there."""
        ticket = read_ticket(body) if self.is_deferred else None
        if ticket is None:
            return body
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.timeouts.total if request.deadline is None else request.deadline
        return await wait_for_answer(
            lambda: self._look(ticket, request.timeouts, deadline),
            ticket,
            deadline=deadline,
            now=loop.time,
            sleep=self.sleep,
        )

    async def fetch_deferred(self, ticket: str) -> ProviderReply | None:
        """
        Fetch a deferred answer whose sending failed: its ticket is the ``request_id`` of the error.

        The service hands it out once, within 24 hours.

        Returns:
            None while it is not ready.

        Raises:
            ProviderError: It could not be had.
        """
        body = await self._look(ticket)
        if body is None:
            return None
        try:
            return self.annotate(ChatCompletionsWire(self.name, CHAT_DIALECT).parse_response(body))
        except (ErrorAnswer, ProtocolError):
            words = f"provider {self.name!r}: the deferred answer {ticket} is no chat completion"
        # Out here it has no context: what the service said instead may repeat the key.
        raise ProtocolError(words, provider=self.name, request_id=ticket)

    async def _look(
        self, ticket: str, timeouts: Timeouts | None = None, deadline: float | None = None
    ) -> Json | None:
        try:
            return await self.poll(get_path(ticket), timeouts=timeouts, deadline=deadline)
        except ProviderError as error:
            if error.status != GONE:
                raise
        raise make_gone_error(ticket, self.name)

    def annotate(self, reply: ProviderReply) -> ProviderReply:
        """Take what xAI says the call cost."""
        return attrs.evolve(reply, billing=read_billing(reply.billing, self.region))

    def advise(self, error: ProviderError, model: str | None) -> None:
        """Name the tools that came after Live Search."""
        if error.status == 410:
            error.next_step = "offer the hosted tools web_search and x_search instead"

    async def list_models(self) -> Sequence[ModelInfo]:
        """
        List the models of the key, with their aliases, what they cost now, and their windows.

        Windows are in another list; without that one they are the bundled ones.
        """
        body = await self.get_json("/language-models", member="models")
        windows = await self._list_windows()
        return [
            merge_listed(self.describe(identifier), item, windows)
            for item in read_list(body, "models")
            if (identifier := read_text(item, "id"))
        ]

    async def _list_windows(self) -> dict[str, int]:
        total = min(_LIST_SECONDS, self.config.timeouts.total)
        try:
            body = await self.call("/models", timeouts=attrs.evolve(self.config.timeouts, total=total))
        except ProviderError:
            return {}
        return parse_windows(body)

    async def verify(self) -> None:
        """
        Find out whether the service takes the key, at no cost.

        Raises:
            ProviderError: It does not: the key is wrong, blocked or disabled, or its team is blocked.
        """
        key = await self.call("/api-key")
        if not key:
            raise ProtocolError(f"provider {self.name!r}: nothing is said of the key", provider=self.name)
        for member, error in BLOCKED.items():
            if key.get(member) is True:
                raise error(
                    f"provider {self.name!r}: xAI says of the key: {member}",
                    provider=self.name,
                    code=member,
                    next_step="look at the key and its team on https://console.x.ai",
                )

    async def count_input_tokens(self, request: Request) -> int | None:
        """
        Ask how many tokens the texts of a request are.

        What xAI itself puts before every prompt, some 150 to 206 tokens, is not in its count: it is added as
        it is estimated.

        Returns:
            None where there is more than text: attachments, tools, a schema, thoughts.
        """
        parts = [part for message in request.messages for part in message.parts]
        texts = [part.text for part in parts if isinstance(part, Text | Refusal)]
        if request.tools or request.response_schema is not None or len(texts) < len(parts):
            return None
        model = request.target.model
        body = await self.call(
            "/tokenize-text",
            {"model": model, "text": "\n".join(texts)},
            timeouts=request.timeouts,
            deadline=request.deadline,
            model=model,
        )
        around = WEIGHTS.per_request + WEIGHTS.per_message * len(request.messages)
        return _count_tokens(body, self.name) + round(around)


def _count_tokens(body: Json, provider: str) -> int:
    tokens: object = body.get("token_ids")
    if not isinstance(tokens, list):
        raise ProtocolError(f"provider {provider!r}: the answer holds no list of tokens", provider=provider)
    return len(cast("list[object]", tokens))
