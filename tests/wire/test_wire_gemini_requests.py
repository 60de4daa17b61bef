"""What is asked for in a ``generateContent`` request besides what was said, and what is attached."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tertulia import (
    Audio,
    Document,
    Foreign,
    HostedTool,
    Image,
    Message,
    OpaqueState,
    Options,
    Part,
    ProviderConfig,
    ProviderFile,
    Request,
    ResponseSchema,
    Role,
    Target,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    UnsupportedParameterError,
    Video,
)
from tertulia.wire import Rendered
from tertulia_gemini import GeminiProvider
from tertulia_gemini.wire import OPTIONS

HELLO = Message.of("user", "Hello")
CONTENTS = [{"role": "user", "parts": [{"text": "Hello"}]}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Say the weather.", PARAMETERS)
DECLARED = {
    "functionDeclarations": [
        {"name": "get_weather", "description": "Say the weather.", "parametersJsonSchema": PARAMETERS}
    ]
}
SEARCH = HostedTool("googleSearch")


def render(
    *messages: Message, model: str = "gemini-3.5-flash", options: Options = Options(), **members: Any
) -> Rendered:
    """What a provider named ``mine`` sends."""
    provider = GeminiProvider(ProviderConfig("mine", "gemini"))
    request = Request(Target("mine", model), messages or (HELLO,), options, **members)
    return provider.wire.render_request(request)


def show(part: Part, **target: Any) -> list[dict[str, Any]]:
    """The parts that an attachment of a user is sent as."""
    (content,) = render(Message(Role.USER, (part,)), **target).body["contents"]
    return content["parts"]


OPTION_BODIES = {
    "temperature": (0.0, {"generationConfig": {"temperature": 0.0}}),
    "top_p": (0.9, {"generationConfig": {"topP": 0.9}}),
    "top_k": (40, {"generationConfig": {"topK": 40}}),
    "max_output_tokens": (100, {"generationConfig": {"maxOutputTokens": 100}}),
    "stop": (("END", "STOP"), {"generationConfig": {"stopSequences": ["END", "STOP"]}}),
    "seed": (0, {"generationConfig": {"seed": 0}}),
    "presence_penalty": (-0.5, {"generationConfig": {"presencePenalty": -0.5}}),
    "frequency_penalty": (0.5, {"generationConfig": {"frequencyPenalty": 0.5}}),
    "service_tier": ("flex", {"serviceTier": "flex"}),
    "reasoning_effort": ("low", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}),
    "reasoning_summary": ("auto", {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}),
    "metadata": ({"team": "blue"}, {"labels": {"team": "blue"}}),
    "safety_settings": (
        {"HARM_CATEGORY_HARASSMENT": "OFF"},
        {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]},
    ),
}
PART_BODIES = {
    "tools": ((WEATHER,), {"tools": [DECLARED]}),
    "hosted_tools": ((SEARCH,), {"tools": [{"googleSearch": {}}]}),
    "response_schema": (
        ResponseSchema("weather", PARAMETERS),
        {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": PARAMETERS}},
    ),
}


@pytest.mark.parametrize("option", OPTION_BODIES)
def test_an_option_alone_is_one_member(option):
    """
    Each option has its own name and place, and nothing else is sent when it alone is set.
    """
    value, expected = OPTION_BODIES[option]

    assert (
        Rendered({"contents": CONTENTS, **expected}).body == render(options=Options(**{option: value})).body
    )


@pytest.mark.parametrize("part", PART_BODIES)
def test_a_part_of_a_request_alone_is_one_member(part):
    """
    Functions, hosted tools and a schema have their places.
    """
    value, expected = PART_BODIES[part]
    name = {"hosted_tools": "tools"}.get(part, part)

    assert {"contents": CONTENTS, **expected} == render(**{name: value}).body


def test_every_option_that_the_driver_names_is_in_the_tables():
    """
    What the driver says it can send is what the tables above, and that of the tool choice below, are about.
    """
    assert {*OPTION_BODIES, *PART_BODIES, "tool_choice"} == OPTIONS
    assert GeminiProvider(ProviderConfig("mine", "gemini")).OPTIONS == OPTIONS


def test_all_options_together():
    """
    Members that belong together are one object, and what was asked for is remembered by its place.
    """
    options = Options(
        max_output_tokens=50,
        stop=("END",),
        reasoning_effort="high",
        reasoning_summary="auto",
        tool_choice="auto",
    )

    rendered = render(options=options, tools=(WEATHER,), response_schema=ResponseSchema("s", PARAMETERS))

    assert {
        "contents": CONTENTS,
        "tools": [DECLARED],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {
            "maxOutputTokens": 50,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseJsonSchema": PARAMETERS,
            "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True},
        },
    } == rendered.body
    assert {
        "generationConfig.maxOutputTokens": "max_output_tokens",
        "generationConfig.stopSequences": "stop",
        "generationConfig.thinkingConfig.thinkingLevel": "reasoning_effort",
        "generationConfig.thinkingConfig.includeThoughts": "reasoning_summary",
    } == rendered.asked


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("gemini-4-argon", "low", {"thinkingLevel": "LOW"}),
        ("gemini-3.5-flash", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("models/gemini-3.5-flash", "medium", {"thinkingLevel": "MEDIUM"}),
        ("brand-new", "xhigh", {"thinkingLevel": "XHIGH"}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "minimal", {"thinkingBudget": 512}),
        ("gemini-2.5-pro", "low", {"thinkingBudget": 1024}),
        ("models/gemini-2.5-flash-lite", "medium", {"thinkingBudget": 8192}),
        ("gemini-2.5-pro-002", "high", {"thinkingBudget": 24576}),
    ],
)
def test_effort_is_a_level_or_a_budget(model, effort, expected):
    """
    Models of 2.5 are told a number of tokens, all others a word, and nobody both.
    """
    body = render(model=model, options=Options(reasoning_effort=effort)).body

    assert {"thinkingConfig": expected} == body["generationConfig"]


@pytest.mark.parametrize(("model", "effort"), [("gemini-3.5-flash", "max"), ("gemini-2.5-pro", "xhigh")])
def test_an_effort_for_which_there_is_no_word_is_refused(model, effort):
    """
    It is not sent as something else, and the error says which there are.
    """
    with pytest.raises(UnsupportedParameterError) as caught:
        render(model=model, options=Options(reasoning_effort=effort))

    error = caught.value
    assert (False, "reasoning_effort") == (error.sent, error.parameter)
    assert f"there is no reasoning_effort {effort!r} for {model}, so nothing was sent" == error.message


@pytest.mark.parametrize(
    ("wanted", "notes"),
    [
        ("auto", ()),
        ("concise", ("thoughts are summarised in Gemini's own way: there is no concise one to ask for",)),
        ("detailed", ("thoughts are summarised in Gemini's own way: there is no detailed one to ask for",)),
    ],
)
def test_thoughts_are_asked_for_in_geminis_own_way(wanted, notes):
    """
    How long the summary is cannot be chosen, and the reply says so to whom chose.
    """
    rendered = render(options=Options(reasoning_summary=wanted))

    assert {"thinkingConfig": {"includeThoughts": True}} == rendered.body["generationConfig"]
    assert notes == rendered.notes


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("get_weather", {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}),
    ],
)
def test_a_tool_choice_is_a_mode(choice, expected):
    """
    A name is the only function that may be called, and then has to be.
    """
    body = render(options=Options(tool_choice=choice), tools=(WEATHER,)).body

    assert {"functionCallingConfig": expected} == body["toolConfig"]


@pytest.mark.parametrize("tools", [(), (SEARCH,)])
def test_a_tool_choice_without_functions_is_left_out(tools):
    """
    Gemini refuses it where there is nothing to choose from, so it is not sent, and the reply says so.
    """
    rendered = render(options=Options(tool_choice="required"), tools=tools)

    assert "toolConfig" not in rendered.body
    assert ("option 'tool_choice' was left out: there are no functions to choose from",) == rendered.notes


def test_functions_are_one_tool_and_each_hosted_tool_is_another():
    """
    All declarations are together, hosted tools have their settings, and both kinds together say so.
    """
    stores = HostedTool("fileSearch", {"fileSearchStoreNames": ["fileSearchStores/mine"]})

    body = render(tools=(SEARCH, WEATHER, stores, Tool("get_time"))).body

    assert [
        {
            "functionDeclarations": [
                *DECLARED["functionDeclarations"],
                {"name": "get_time", "parametersJsonSchema": {"type": "object", "properties": {}}},
            ]
        },
        {"googleSearch": {}},
        {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/mine"]}},
    ] == body["tools"]
    assert {"includeServerSideToolInvocations": True} == body["toolConfig"]


def test_an_older_model_is_not_told_that_both_kinds_of_tools_are_there():
    """
    Models of 2.5 do not know the member.
    """
    assert "toolConfig" not in render(model="gemini-2.5-flash", tools=(SEARCH, WEATHER)).body


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (PARAMETERS, {"description": "A city.", **PARAMETERS}),
        ({"description": "Its own.", **PARAMETERS}, {"description": "Its own.", **PARAMETERS}),
    ],
)
def test_a_schema_is_described_by_itself(described, expected):
    """
    A description goes into the schema, unless it has one.
    """
    body = render(response_schema=ResponseSchema("city", described, "A city.")).body

    assert expected == body["generationConfig"]["responseJsonSchema"]


def test_a_continuation_is_the_token_beside_the_same_request():
    """
    Whoever goes on sends everything again, and the token.
    """
    assert {"contents": CONTENTS, "continuationToken": "go-on"} == render(continuation="go-on").body


def test_extra_members_are_merged_into_the_body():
    """
    What has no neutral name is sent as it is, beside what has one, to this provider only.
    """
    extra = {
        "mine": {
            "generationConfig": {"responseModalities": ["TEXT"], "thinkingConfig": {"includeThoughts": True}},
            "cachedContent": "cachedContents/1",
        },
        "other": {"store": True},
    }

    body = render(options=Options(extra=extra, seed=1, reasoning_effort="low")).body

    assert {
        "contents": CONTENTS,
        "generationConfig": {
            "seed": 1,
            "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
            "responseModalities": ["TEXT"],
        },
        "cachedContent": "cachedContents/1",
    } == body


BYTES = {"data": b"%PDF-1.7"}
INLINE = "JVBERi0xLjc="


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param(
            Image(b"\x89PNG\r\n\x1a\n", "image/png"),
            [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}],
            id="image",
        ),
        pytest.param(
            Document(media_type="application/pdf", **BYTES),
            [{"inlineData": {"mimeType": "application/pdf", "data": INLINE}}],
            id="document",
        ),
        pytest.param(
            Document(media_type="application/pdf", name="report.pdf", **BYTES),
            [{"text": "report.pdf:"}, {"inlineData": {"mimeType": "application/pdf", "data": INLINE}}],
            id="document with a name",
        ),
        pytest.param(
            Audio(b"RIFF", "audio/wav"),
            [{"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}],
            id="sound",
        ),
        pytest.param(
            Video(b"ftyp", "video/mp4"),
            [{"inlineData": {"mimeType": "video/mp4", "data": "ZnR5cA=="}}],
            id="film",
        ),
        pytest.param(
            Video(url="https://youtu.be/lCdaVNyHtjU"),
            [{"fileData": {"fileUri": "https://youtu.be/lCdaVNyHtjU"}}],
            id="address",
        ),
        pytest.param(
            Document(url="https://example.com/Prices.CSV?at=a.pdf#2"),
            [{"fileData": {"mimeType": "text/csv", "fileUri": "https://example.com/Prices.CSV?at=a.pdf#2"}}],
            id="address with an extension",
        ),
        pytest.param(
            Audio(media_type="audio/flac", url="https://example.com/a.wav"),
            [{"fileData": {"mimeType": "audio/flac", "fileUri": "https://example.com/a.wav"}}],
            id="address of what somebody knows better",
        ),
        pytest.param(
            Document(file=ProviderFile("mine", "https://files.example/v1/files/a.pdf")),
            [{"fileData": {"fileUri": "https://files.example/v1/files/a.pdf"}}],
            id="uploaded file, whose type Google knows",
        ),
        pytest.param(
            Audio(media_type="audio/mpeg", file=ProviderFile("mine", "https://files.example/v1/files/a")),
            [{"fileData": {"mimeType": "audio/mpeg", "fileUri": "https://files.example/v1/files/a"}}],
            id="uploaded file, by address",
        ),
        pytest.param(
            Document(media_type="application/pdf", file=ProviderFile("mine", "files/abc")),
            [
                {
                    "fileData": {
                        "mimeType": "application/pdf",
                        "fileUri": "https://generativelanguage.googleapis.com/v1/files/abc",
                    }
                }
            ],
            id="uploaded file, by name",
        ),
    ],
)
def test_an_attachment_is_a_part_of_its_turn(part, expected):
    """
    Bytes stand in the request, Google fetches addresses itself, and a file's name goes before it.
    """
    assert expected == show(part)


@pytest.mark.parametrize("kind", [Image, Document, Audio, Video])
def test_a_file_of_another_provider_is_left_out(kind):
    """
    Nobody but the provider that has it can read it, and the reply says so.
    """
    part = kind(file=ProviderFile("theirs", "file-1"))

    rendered = render(Message(Role.USER, (part, Text("What is it?"))))

    assert [{"role": "user", "parts": [{"text": "What is it?"}]}] == rendered.body["contents"]
    assert (
        f"1 {kind.__name__.lower()} part(s) that cannot be sent to this provider were left out",
    ) == rendered.notes


DOT = Image(b"\x89PNG\r\n\x1a\n", "image/png")


@pytest.mark.parametrize(
    ("detail", "level"),
    [
        ("low", "MEDIA_RESOLUTION_LOW"),
        ("high", "MEDIA_RESOLUTION_HIGH"),
        ("original", "MEDIA_RESOLUTION_ULTRA_HIGH"),
    ],
)
def test_the_detail_of_an_image_is_a_level(detail, level):
    """
    Each image has its own, beside its data.
    """
    (part,) = show(attrs.evolve(DOT, detail=detail))

    assert {"level": level} == part["mediaResolution"]


@pytest.mark.parametrize("detail", [None, "auto"])
def test_no_detail_is_sent_that_nobody_chose(detail):
    """
    What Gemini is to choose is not said.
    """
    (part,) = show(attrs.evolve(DOT, detail=detail))

    assert {"inlineData"} == set(part)


def test_an_older_model_has_one_detail_for_all_images():
    """
    Models of 2.5 know no detail of a part; the reply says so, once.
    """
    images = tuple(attrs.evolve(DOT, detail=detail) for detail in ("low", "high", "auto"))

    rendered = render(Message(Role.USER, images), model="gemini-2.5-flash")

    assert [{"inlineData"}] * 3 == [set(part) for part in rendered.body["contents"][0]["parts"]]
    assert ("the detail of images was left out: gemini-2.5-flash has one for all",) == rendered.notes


def test_what_stood_beside_an_answer_is_no_part_of_the_next_request():
    """
    Sources are kept with the answer, and sending them back would be refused; it is no loss that needs a note.
    """
    sources = Foreign(
        "groundingMetadata", OpaqueState("mine", {"groundingMetadata": {"webSearchQueries": []}})
    )

    rendered = render(HELLO, Message(Role.ASSISTANT, (Text("Rain."), sources)))

    assert [*CONTENTS, {"role": "model", "parts": [{"text": "Rain."}]}] == rendered.body["contents"]
    assert () == rendered.notes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("default_api.get:weather-2", "default_api.get:weather-2"),
        ("o tempo", "o_tempo"),
        ("x" * 129, "x" * 128),
        ("", "unknown"),
    ],
)
def test_a_call_of_another_provider_gets_a_name_that_google_takes(name, expected):
    """
    The call and its result have the same.
    """
    call = Message(Role.ASSISTANT, (ToolCall("c1", name, {}),))
    result = Message(Role.TOOL, (ToolResult("c1", name, "Rain."),))

    _, asked, told = render(HELLO, call, result).body["contents"]

    assert [expected] * 2 == [
        asked["parts"][0]["functionCall"]["name"],
        told["parts"][0]["functionResponse"]["name"],
    ]


def test_a_system_message_that_says_nothing_is_no_instruction():
    """
    A template may come out empty.
    """
    silence = Message.of("system", "")

    assert "systemInstruction" not in render(silence, HELLO).body
    assert {"parts": [{"text": "Be brief."}]} == render(
        silence, Message.of("system", "Be brief."), HELLO
    ).body["systemInstruction"]


def test_what_is_in_a_cache_is_not_beside_it():
    """
    Google refuses a request that says again what is in its cache; whoever asks for it is told.
    """
    extra = {"mine": {"cachedContent": "cachedContents/abc"}}

    rendered = render(
        Message.of("system", "Be brief."),
        HELLO,
        options=Options(tool_choice="auto", extra=extra),
        tools=(WEATHER,),
    )

    assert {"contents": CONTENTS, "cachedContent": "cachedContents/abc"} == rendered.body
    assert [
        f"{name} was left out: what is in cachedContent goes before it"
        for name in ("systemInstruction", "tools", "toolConfig")
    ] == list(rendered.notes)
