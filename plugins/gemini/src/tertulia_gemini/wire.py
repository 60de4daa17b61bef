"""Google's ``generateContent`` format: where a call goes, and what is in it besides what was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import attrs

from tertulia import (
    HostedTool,
    InvalidRequestError,
    Options,
    ProviderReply,
    Request,
    ResponseSchema,
    Tool,
    UnsupportedParameterError,
)
from tertulia.wire import Json, KeptRenderings, Rendered, merge_extra
from tertulia_gemini.answers import GeminiStream, parse_response
from tertulia_gemini.contents import ContentsWriter
from tertulia_gemini.models import BUDGETS, LEVELS
from tertulia_gemini.safety import find_problem, note_categories
from tertulia_gemini.thinking import render_thinking, takes_budget

SAMPLING = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_output_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""Our option → the member of ``generationConfig``."""

PLACES = {
    **{name: f"generationConfig.{member}" for name, member in SAMPLING.items()},
    "reasoning_summary": "generationConfig.thinkingConfig.includeThoughts",
    "service_tier": "serviceTier",
    "metadata": "labels",
}
"""Our option → where it is, if a model that refuses it can do without."""

OPTIONS = frozenset(
    {
        *PLACES,
        "reasoning_effort",
        "safety_settings",
        "tool_choice",
        "tools",
        "hosted_tools",
        "response_schema",
    }
)

CACHED = ("systemInstruction", "tools", "toolConfig")
"""What is in a cache, and so may not be beside it."""

_IN_CACHE = "{} was left out: what is in cachedContent goes before it"
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_NO_TOOLS = "option 'tool_choice' was left out: there are no functions to choose from"
_ONE_SUMMARY = "thoughts are summarised in Gemini's own way: there is no {} one to ask for"


@attrs.frozen
class GenerateContentWire:
    """
    The format as one provider speaks it; see :class:`tertulia.wire.Wire`.

    Attributes:
        provider: The configured name that opaque state is tagged with.

        version: Of the API: the first segment of every path.

        safety: Threshold by harm category for every request; the request's own go before them.

        base_url: Where the provider is, for the addresses of files that were uploaded to it.
    """

    provider: str
    version: str
    safety: Mapping[str, str]
    base_url: str = ""
    _kept: KeptRenderings = attrs.field(factory=KeptRenderings, init=False, eq=False, repr=False)

    @property
    def options(self) -> frozenset[str]:
        """What can be said in it."""
        return OPTIONS

    def get_path(self, request: Request) -> str:
        """The model is in the path."""
        method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
        return f"{render_model_path(self.version, request.target.model)}:{method}"

    def render_request(self, request: Request) -> Rendered:
        """
        Render a request.

        Raises:
            InvalidRequestError: A safety setting of the request is none.
            UnsupportedParameterError: There is no such effort.
        """
        asked = request.options.safety_settings or {}
        if problem := find_problem(asked):
            raise _not_sent(InvalidRequestError(f"{problem[0]}, so nothing was sent", next_step=problem[1]))
        _check_effort(request)
        files = f"{self.base_url}/{self.version}"
        return render_request(request, {**self.safety, **asked}, files=files, kept=self._kept)

    def parse_response(self, body: object) -> ProviderReply:
        """Read a whole answer."""
        return parse_response(body, self.provider)

    def read_stream(self) -> GeminiStream:
        """Return a reader for one stream of chunks."""
        return GeminiStream(self.provider)


def render_model_path(version: str, model: str) -> str:
    """Where a model is: whatever it is called, it is one segment."""
    name = quote(model.removeprefix("models/"), safe="", errors="replace")
    return f"/{version}/models/{name}"


def render_request(
    request: Request, safety: Mapping[str, str], *, files: str = "", kept: KeptRenderings | None = None
) -> Rendered:
    """
    Render a request.

    Args:
        request: What is asked, with options that the model takes.
        safety: Threshold by harm category; none are sent when it is empty.
        files: The address that uploaded files are below.
        kept: What messages were rendered to before, by the same wire.
    """
    options, model = request.options, request.target.model
    writer = ContentsWriter(request.target.provider, model, files, kept)
    members: Json = {
        "systemInstruction": writer.render_system(request.messages),
        "contents": writer.render(request.messages),
        "tools": _render_tools(request.tools),
        "toolConfig": _render_tool_config(request),
        "generationConfig": {
            **_render_sampling(options),
            **_render_schema(request.response_schema),
            **_named("thinkingConfig", render_thinking(model, options)),
        },
        "safetySettings": [{"category": name, "threshold": level} for name, level in safety.items()],
        "serviceTier": options.service_tier,
        "labels": dict(options.metadata or {}),
        "continuationToken": request.continuation,
    }
    body = {name: value for name, value in members.items() if value or name == "contents"}
    merge_extra(body, request)
    in_cache = [name for name in CACHED if "cachedContent" in body and body.pop(name, None) is not None]
    notes = (
        *[_IN_CACHE.format(name) for name in in_cache],
        *writer.notes,
        *note_categories(safety),
        *_note_options(request),
    )
    asked = {path: name for name, path in PLACES.items() if getattr(options, name) is not None}
    if options.reasoning_effort is not None:
        member = "thinkingBudget" if takes_budget(model) else "thinkingLevel"
        asked[f"generationConfig.thinkingConfig.{member}"] = "reasoning_effort"
    return Rendered(body, notes, asked=asked)


def _named(name: str, value: Json) -> Json:
    return {name: value} if value else {}


def _render_sampling(options: Options) -> Json:
    chosen = {member: getattr(options, name) for name, member in SAMPLING.items()}
    if options.stop is not None:
        chosen["stopSequences"] = list(options.stop)
    return {member: value for member, value in chosen.items() if value is not None}


def _render_schema(schema: ResponseSchema | None) -> Json:
    """Have the answer written as JSON; there is no place for the schema's name."""
    if schema is None:
        return {}
    described = {} if schema.description is None else {"description": schema.description}
    return {"responseMimeType": "application/json", "responseJsonSchema": {**described, **schema.schema}}


def _render_tools(tools: Sequence[Tool | HostedTool]) -> list[Json]:
    functions = [_render_function(tool) for tool in tools if isinstance(tool, Tool)]
    hosted: list[Json] = [{tool.name: dict(tool.settings)} for tool in tools if isinstance(tool, HostedTool)]
    return [*([{"functionDeclarations": functions}] if functions else []), *hosted]


def _render_function(tool: Tool) -> Json:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "parametersJsonSchema": dict(tool.parameters)}


def _render_tool_config(request: Request) -> Json:
    config: Json = {}
    choice = request.options.tool_choice
    functions = _has(request, Tool)
    if choice is not None and functions:
        named = {} if choice in _MODES else {"allowedFunctionNames": [choice]}
        config["functionCallingConfig"] = {"mode": _MODES.get(choice, "ANY"), **named}
    if functions and _has(request, HostedTool) and not takes_budget(request.target.model):
        # Recorded wherever both kinds are offered; its calls and their results come back as signed parts.
        config["includeServerSideToolInvocations"] = True
    return config


def _has(request: Request, kind: type[Tool | HostedTool]) -> bool:
    return any(isinstance(tool, kind) for tool in request.tools)


def _note_options(request: Request) -> list[str]:
    notes: list[str] = []
    if request.options.tool_choice is not None and not _has(request, Tool):
        notes.append(_NO_TOOLS)
    if request.options.reasoning_summary in ("concise", "detailed"):
        notes.append(_ONE_SUMMARY.format(request.options.reasoning_summary))
    return notes


def _check_effort(request: Request) -> None:
    """Refuse what there is no word for; whether the model takes it was asked before."""
    effort, model = request.options.reasoning_effort, request.target.model
    known = tuple(BUDGETS) if takes_budget(model) else LEVELS
    if effort is not None and effort not in known:
        raise _not_sent(
            UnsupportedParameterError(
                f"there is no reasoning_effort {effort!r} for {model}, so nothing was sent",
                parameter="reasoning_effort",
                next_step=f"use one of {', '.join(known)}",
            )
        )


def _not_sent(error: InvalidRequestError) -> InvalidRequestError:
    error.sent = False
    return error
