"""The driver: where Gemini is, what it calls things, and how it says no."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence, Sized
from contextlib import aclosing
from typing import ClassVar, cast
from urllib.parse import quote

import attrs

from tertulia import (
    Capability,
    ConfigurationError,
    Delta,
    ErrorKind,
    HostedTool,
    HTTPProvider,
    ModelInfo,
    ModelNotFoundError,
    ProtocolError,
    ProviderError,
    ProviderReply,
    Request,
    Secret,
    TextDelta,
    TokenWeights,
    Tool,
)
from tertulia.wire import ErrorRule, ErrorRules, Json, Wire, read_count, read_list, read_text, read_texts
from tertulia_gemini.continuing import LongAnswer
from tertulia_gemini.limits import AUDIO, DOCUMENTS, IMAGES, VIDEO
from tertulia_gemini.models import DEFAULT_MODEL, MODELS, find_successor
from tertulia_gemini.prices import PRICES
from tertulia_gemini.safety import find_problem
from tertulia_gemini.thinking import guess_efforts, takes_budget
from tertulia_gemini.tokens import find_weights
from tertulia_gemini.wire import GenerateContentWire, render_model_path

MOST = {"stop": 5, "tools": 512}
"""How many there may be of what can be several."""

MOST_PAGES = 100
"""Of a thousand models each: a list that goes on is none."""

ERROR_RULES: ErrorRules = (
    ErrorRule(ErrorKind.AUTHENTICATION, details="API_KEY_INVALID|API_KEY_EXPIRED"),
    ErrorRule(ErrorKind.AUTHENTICATION, codes=frozenset({"UNAUTHENTICATED"})),
    ErrorRule(ErrorKind.QUOTA_EXHAUSTED, statuses=frozenset({402})),
    ErrorRule(ErrorKind.QUOTA_EXHAUSTED, details=r"quotaId'?: '[^']*(PerDay|Daily)"),
    ErrorRule(ErrorKind.QUOTA_EXHAUSTED, pattern="prepayment credits are depleted"),
    ErrorRule(ErrorKind.RATE_LIMITED, codes=frozenset({"RESOURCE_EXHAUSTED"})),
    ErrorRule(ErrorKind.CONTEXT_LENGTH, pattern=r"input token count.*exceeds the maximum number of tokens"),
    ErrorRule(ErrorKind.TOO_LARGE, pattern="request payload size exceeds the limit"),
    ErrorRule(ErrorKind.MODEL_NOT_FOUND, codes=frozenset({"NOT_FOUND"})),
    ErrorRule(ErrorKind.UNSUPPORTED_PARAMETER, pattern='Unknown name "|is not supported (for|by) this model'),
    ErrorRule(ErrorKind.PERMISSION, codes=frozenset({"PERMISSION_DENIED", "FAILED_PRECONDITION"})),
    ErrorRule(ErrorKind.OVERLOADED, codes=frozenset({"UNAVAILABLE"})),
    ErrorRule(ErrorKind.OVERLOADED, pattern="overloaded|high demand", statuses=frozenset({500, 503, None})),
    ErrorRule(ErrorKind.TIMEOUT, codes=frozenset({"DEADLINE_EXCEEDED"})),
    ErrorRule(ErrorKind.SERVER, codes=frozenset({"INTERNAL", "CANCELLED"})),
    ErrorRule(ErrorKind.INVALID_REQUEST, codes=frozenset({"INVALID_ARGUMENT"}), statuses=frozenset({None})),
)
"""A daily quota comes with a short delay to wait, so the quota's name is looked at before the delay."""


class GeminiProvider(HTTPProvider):
    """
    Google Gemini over ``generateContent``, which keeps nothing.

    Settings: ``safety_settings``, a threshold by harm category for every request, which a request's own
    settings override category by category; ``api_version``, ``"v1"`` unless set. The ``…-latest`` names of
    models exist on ``"v1beta"`` only.
    """

    BASE_URL: ClassVar[str] = "https://generativelanguage.googleapis.com"
    DEFAULT_MODEL = DEFAULT_MODEL
    KEY_VARIABLES = ("AI_GEMINI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")
    SETTINGS = frozenset({"safety_settings", "api_version"})
    MODELS = MODELS
    PRICES = PRICES
    IMAGES = IMAGES
    DOCUMENTS = DOCUMENTS
    AUDIO = AUDIO
    VIDEO = VIDEO
    ERROR_RULES = ERROR_RULES

    def find_token_weights(self, model: str) -> TokenWeights:
        """By the generation of the model."""
        return find_weights(model)

    def make_wire(self) -> Wire:
        """``generateContent``, with the safety settings of every request."""
        settings: object = self.config.settings.get("safety_settings") or {}
        if not isinstance(settings, Mapping):
            raise ConfigurationError(
                f"provider {self.name!r}: safety_settings must be a table of thresholds by category",
                provider=self.name,
                value=settings,
            )
        safety = dict(cast("Mapping[str, str]", settings))
        if problem := find_problem(safety):
            raise ConfigurationError(
                f"provider {self.name!r}: {problem[0]}", provider=self.name, next_step=problem[1]
            )
        return GenerateContentWire(self.name, self._version, safety, self.base_url)

    def render_key(self, key: Secret) -> dict[str, Secret]:
        """The key goes into a header of Google's own, never into the URL, which ends up in logs."""
        return {"x-goog-api-key": key}

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """
        Send a request and yield the answer, however many calls it takes.

        Where Gemini pauses it is asked to go on, each time with the time that is left. The answer ends with
        finish reason ``pause`` only where it would go on without an end.
        """
        answer = LongAnswer(request)
        next_request: Request | None = request
        while next_request is not None:
            call = cast("AsyncGenerator[Delta]", super().send_message(next_request))
            try:
                async with aclosing(call) as hop:
                    async for delta in hop:
                        if isinstance(delta, TextDelta):
                            yield delta  # what is said needs no renaming, and there is much of it
                        elif isinstance(delta, ProviderReply):
                            next_request = answer.add(delta)
                        elif (passed := answer.pass_on(delta)) is not None:
                            yield passed
            except ProviderError as error:
                answer.charge(error)
                raise
        yield answer.join()

    async def list_models(self) -> Sequence[ModelInfo]:
        """List the models that generate, page by page, with the limits Google names."""
        found: list[ModelInfo] = []
        page = ""
        for _ in range(MOST_PAGES):
            body = await self.get_json(f"/{self._version}/models?pageSize=1000{page}", member="models")
            found += [
                self._parse_model(item)
                for item in read_list(body, "models")
                if "generateContent" in read_texts(item, "supportedGenerationMethods")
            ]
            token = read_text(body, "nextPageToken")
            if not token:
                return found
            page = f"&pageToken={quote(token, safe='')}"
        raise ProtocolError(f"provider {self.name!r}: the list of models has no end", provider=self.name)

    async def verify(self) -> None:
        """Ask for a list of one model, which is free and needs the key."""
        await self.get_json(f"/{self._version}/models?pageSize=1", member="models")

    async def count_input_tokens(self, request: Request) -> int | None:
        """Ask Google, which counts tools and the system instruction along."""
        model = request.target.model
        body = {"model": f"models/{model.removeprefix('models/')}", **self.wire.render_request(request).body}
        answer = await self.call(
            f"{render_model_path(self._version, model)}:countTokens",
            {"generateContentRequest": body},
            timeouts=request.timeouts,
            deadline=request.deadline,
            model=model,
        )
        return read_count(answer, "totalTokens")

    def find_refusal(self, request: Request, option: str, value: object) -> str | None:
        """As the table of models says, and where it says nothing of efforts, as the words there are."""
        model = request.target.model
        info = self.find_model(model)
        if option == "reasoning_effort" and (info is None or info.reasoning_efforts is None):
            efforts = guess_efforts(model)
            if value not in efforts:
                return f"{model} takes {', '.join(efforts) or 'none'}"
        if option == "tool_choice" and any(
            isinstance(tool, HostedTool) and tool.name == value for tool in request.tools
        ):
            return "Gemini can be told to call a function only"
        if option == "response_schema" and takes_budget(model) and _has_functions(request):
            return f"{model} gives its answers a shape only where it has no functions to call"
        most = MOST.get(option)
        if most is not None and isinstance(value, Sized) and len(value) > most:
            return f"Gemini takes at most {most} of them, not {len(value)}"
        return super().find_refusal(request, option, value)

    def suggest_model(self, model: str) -> str | None:
        """Say what to ask for instead of a model that is not there; whole generations are gone."""
        if (successor := find_successor(model)) is not None:
            return f"use {successor!r}, which takes its place"
        return super().suggest_model(model)

    def advise(self, error: ProviderError, model: str | None) -> None:
        """Say where the ``-latest`` names are."""
        if (
            isinstance(error, ModelNotFoundError)
            and (model or "").endswith("-latest")
            and find_successor(model or "") is None
            and self._version == "v1"
        ):
            error.next_step = f'{model!r} exists on v1beta only: set api_version = "v1beta", or name a model'

    @property
    def _version(self) -> str:
        return str(self.config.settings.get("api_version", "v1"))

    def _parse_model(self, item: Json) -> ModelInfo:
        info = self.describe((read_text(item, "name") or "").removeprefix("models/"))
        window = read_count(item, "inputTokenLimit")
        return attrs.evolve(
            info,
            display_name=read_text(item, "displayName"),
            context_window=window or info.context_window,
            max_input_tokens=window or info.max_input_tokens,
            max_output_tokens=read_count(item, "outputTokenLimit") or info.max_output_tokens,
            capabilities=_parse_capabilities(item, info),
            gone_at=None,
        )


def _has_functions(request: Request) -> bool:
    return any(isinstance(tool, Tool) for tool in request.tools)


def _parse_capabilities(item: Json, info: ModelInfo) -> frozenset[Capability] | None:
    """What is known, and whether it thinks, which the list says of every model."""
    if info.capabilities is None or not isinstance(item.get("thinking"), bool):
        return info.capabilities
    thinks = frozenset({Capability.REASONING})
    return info.capabilities | thinks if item["thinking"] else info.capabilities - thinks
