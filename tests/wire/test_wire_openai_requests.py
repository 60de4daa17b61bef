"""What a request can hold besides words, in both of OpenAI's formats."""

from __future__ import annotations

from typing import Any
from uuid import UUID

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
    ProviderFile,
    Reasoning,
    Request,
    ResponseSchema,
    Role,
    Target,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Video,
)
from tertulia.wire import Rendered, chat_completions, responses

HELLO = Message.of("user", "Hello")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
STRICT_CITY = {**CITY, "additionalProperties": False}
LOOSE = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("get_weather", "The weather of a city.", CITY)
GUESS = Tool("guess", "", LOOSE)
SEARCH = HostedTool("web_search", {"search_context_size": "low"})
TRIP = ResponseSchema("trip", LOOSE, "A trip.")
STRICT_TRIP = {**STRICT_CITY, "required": ["city"]}
CONVERSATION = UUID("01890000-0000-7000-8000-000000000001")

OPENAI_CHAT = chat_completions.Dialect(
    answer_limit="max_completion_tokens",
    members={"store": False},
    end_user="safety_identifier",
    strict_tools=True,
    prompt_cache_key=True,
)


def render(
    *messages: Message,
    dialect: Any = None,
    reasons: bool | None = None,
    model: str = "some-model",
    stream: bool = False,
    **request: Any,
) -> Rendered:
    """A request of the Responses API, or, in a dialect of Chat Completions, for a chat completion."""
    asked = Request(Target("mine", model), messages or (HELLO,), stream=stream, **request)
    if isinstance(dialect, chat_completions.Dialect):
        return chat_completions.render_request(asked, dialect)
    return responses.render_request(asked, dialect or responses.Dialect(), reasons=reasons)


def members(**request: Any) -> dict[str, Any]:
    """The members that a request of one message has because of something."""
    body = dict(render(**request).body)
    for name in ("model", "input", "messages", "store"):
        body.pop(name, None)
    return body


RESPONSES, CHAT = responses.Dialect(), chat_completions.Dialect()


@pytest.mark.parametrize(
    ("options", "of_responses", "of_chat", "of_openai_chat"),
    [
        (
            {"reasoning_effort": "high"},
            {"reasoning": {"effort": "high"}},
            {"reasoning_effort": "high"},
            {"reasoning_effort": "high"},
        ),
        (
            {"reasoning_effort": "low", "reasoning_summary": "auto"},
            {"reasoning": {"effort": "low", "summary": "auto"}},
            None,
            None,
        ),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}, {"verbosity": "low"}, {"verbosity": "low"}),
        (
            {"end_user": "a1b2"},
            {"safety_identifier": "a1b2"},
            {"user": "a1b2"},
            {"safety_identifier": "a1b2"},
        ),
        ({"metadata": {"team": "blue"}}, {"metadata": {"team": "blue"}}, None, None),
        (
            {"max_output_tokens": 9},
            {"max_output_tokens": 9},
            {"max_tokens": 9},
            {"max_completion_tokens": 9},
        ),
        ({"stop": ("a", "b")}, None, {"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"seed": 7}, None, {"seed": 7}, {"seed": 7}),
        (
            {"extra": {"mine": {"truncation": "auto"}, "theirs": {"n": 2}}},
            {"truncation": "auto"},
            {"truncation": "auto"},
            {"truncation": "auto"},
        ),
        (
            {"reasoning_effort": "low", "extra": {"mine": {"reasoning": {"mode": "pro"}}}},
            {"reasoning": {"effort": "low", "mode": "pro"}},
            {"reasoning_effort": "low", "reasoning": {"mode": "pro"}},
            {"reasoning_effort": "low", "reasoning": {"mode": "pro"}},
        ),
    ],
)
def test_an_option_is_a_member_of_the_format(options, of_responses, of_chat, of_openai_chat):
    """
    Each option has its place in each format that has it; the members of another provider are not sent.
    """
    expected = ((RESPONSES, of_responses), (CHAT, of_chat), (OPENAI_CHAT, of_openai_chat))

    for dialect, member in expected:
        if member is not None:
            assert member == members(options=Options(**options), dialect=dialect)


@pytest.mark.parametrize(
    ("wire", "missing"),
    [
        (responses.ResponsesWire("mine", bool), {"stop", "seed", "presence_penalty", "frequency_penalty"}),
        (
            chat_completions.ChatCompletionsWire("mine"),
            {"metadata", "reasoning_summary", "hosted_tools"},
        ),
    ],
)
def test_a_format_names_what_it_has(wire, missing):
    """
    What neither format has are Google's own options; a dialect takes away from the rest.
    """
    names = {name for name in Options.__annotations__ if name not in ("unsupported", "extra")}
    parts = {"tools", "hosted_tools", "response_schema"}

    assert (names | parts) - {"top_k", "safety_settings"} - missing == wire.options


def test_a_dialect_takes_options_away():
    """
    What a speaker does not have is no option of its wire.
    """
    wire = responses.ResponsesWire("mine", bool, responses.Dialect(without=frozenset({"metadata"})))

    assert {"metadata"} == responses.OPTIONS - wire.options


def test_tools_in_responses():
    """
    Functions are flat and strict where they can be; hosted tools are named by their type.
    """
    assert {
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": "The weather of a city.",
                "parameters": STRICT_CITY,
                "strict": True,
            },
            {"type": "function", "name": "guess", "description": "", "parameters": LOOSE, "strict": False},
            {"type": "web_search", "search_context_size": "low"},
        ]
    } == members(tools=(WEATHER, GUESS, SEARCH))


def test_tools_in_a_dialect_that_is_not_strict():
    """
    The parameters are sent as they are, and nothing is said about it.
    """
    described = {"name": "get_weather", "description": "The weather of a city.", "parameters": CITY}
    flat = responses.Dialect(strict_tools=False)

    assert {"tools": [{"type": "function", **described}]} == members(tools=(WEATHER,), dialect=flat)
    assert {"tools": [{"type": "function", "function": described}]} == members(tools=(WEATHER,), dialect=CHAT)


def test_tools_in_chat():
    """
    Functions are nested; a hosted tool cannot be said, and the request has a note of it.
    """
    rendered = render(tools=(WEATHER, SEARCH), dialect=OPENAI_CHAT)

    assert [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "The weather of a city.",
                "parameters": STRICT_CITY,
                "strict": True,
            },
        }
    ] == rendered.body["tools"]
    assert ("1 hosted tool(s) were left out: the format has none",) == rendered.notes


@pytest.mark.parametrize(
    ("choice", "of_responses", "of_chat"),
    [
        ("auto", "auto", "auto"),
        ("none", "none", "none"),
        ("required", "required", "required"),
        (
            "get_weather",
            {"type": "function", "name": "get_weather"},
            {"type": "function", "function": {"name": "get_weather"}},
        ),
        ("web_search", {"type": "web_search"}, {"type": "function", "function": {"name": "web_search"}}),
    ],
)
def test_a_tool_can_be_chosen(choice, of_responses, of_chat):
    """
    A word is sent as it is, and a name as what is called so.
    """
    asked = {"tools": (WEATHER, SEARCH), "options": Options(tool_choice=choice, parallel_tool_calls=False)}

    assert (of_responses, False) == read(members(**asked), "tool_choice", "parallel_tool_calls")
    assert (of_chat, False) == read(members(**asked, dialect=CHAT), "tool_choice", "parallel_tool_calls")


def read(body: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(body[name] for name in names)


@pytest.mark.parametrize(
    ("dialect", "what"), [(RESPONSES, "the request has no tools"), (CHAT, "the request has no functions")]
)
def test_options_of_tools_without_tools_are_noted(dialect, what):
    """
    Services refuse a choice where there is none.
    """
    rendered = render(options=Options(tool_choice="auto", parallel_tool_calls=True), dialect=dialect)

    assert {"tool_choice", "parallel_tool_calls"}.isdisjoint(rendered.body)
    assert (
        f"option 'tool_choice' was left out: {what}",
        f"option 'parallel_tool_calls' was left out: {what}",
    ) == rendered.notes


def test_the_shape_of_an_answer():
    """
    Everything is required in it, so that the model can be held to it; beside it there is room.
    """
    shape = {"name": "trip", "description": "A trip.", "schema": STRICT_TRIP, "strict": True}

    assert {"text": {"format": {"type": "json_schema", **shape}, "verbosity": "low"}} == members(
        response_schema=TRIP, options=Options(verbosity="low")
    )
    assert {"response_format": {"type": "json_schema", "json_schema": shape}} == members(
        response_schema=TRIP, dialect=CHAT
    )


def test_a_shape_that_cannot_be_strict_is_sent_as_it_is():
    """
    The model is told of it, and not held to it.
    """
    schema = {"type": "object", "additionalProperties": True}
    shape = {"type": "json_schema", "name": "any", "schema": schema, "strict": False}

    assert {"text": {"format": shape}} == members(response_schema=ResponseSchema("any", schema))


PDF = Document(b"%PDF", "application/pdf", name="plan.pdf")
PDF_URL = "data:application/pdf;base64,JVBERg=="
OURS, THEIRS = ProviderFile("mine", "file-1"), ProviderFile("theirs", "file-2")


@pytest.mark.parametrize(
    ("part", "of_responses", "of_chat"),
    [
        pytest.param(
            PDF,
            {"type": "input_file", "filename": "plan.pdf", "file_data": PDF_URL},
            {"type": "file", "file": {"filename": "plan.pdf", "file_data": PDF_URL}},
            id="a document",
        ),
        pytest.param(
            Document(b"%PDF", "application/pdf"),
            {"type": "input_file", "filename": "document.pdf", "file_data": PDF_URL},
            {"type": "file", "file": {"filename": "document.pdf", "file_data": PDF_URL}},
            id="a document without a name",
        ),
        pytest.param(
            Document(b"Hi", "text/x-new"),
            {"type": "input_file", "filename": "document", "file_data": "data:text/x-new;base64,SGk="},
            None,
            id="a document that is no PDF",
        ),
        pytest.param(
            Document(url="https://example.org/plan.pdf"),
            {"type": "input_file", "file_url": "https://example.org/plan.pdf"},
            None,
            id="a document at an address",
        ),
        pytest.param(
            Document(file=OURS),
            {"type": "input_file", "file_id": "file-1"},
            {"type": "file", "file": {"file_id": "file-1"}},
            id="an uploaded document",
        ),
        pytest.param(Document(file=THEIRS), None, None, id="a document uploaded elsewhere"),
        pytest.param(
            Image(file=OURS, detail="low"),
            {"type": "input_image", "file_id": "file-1", "detail": "low"},
            None,
            id="an uploaded image",
        ),
        pytest.param(Image(file=THEIRS), None, None, id="an image uploaded elsewhere"),
        pytest.param(
            Audio(b"RIFF", "audio/x-wav"),
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            id="sound",
        ),
        pytest.param(
            Audio(b"ID3", "audio/mpeg"),
            {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
            {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
            id="other sound",
        ),
        pytest.param(Audio(b"OggS", "audio/ogg"), None, None, id="sound of another kind"),
        pytest.param(Audio(url="https://example.org/a.wav"), None, None, id="sound at an address"),
        pytest.param(Video(b"...", "video/mp4"), None, None, id="a film"),
    ],
)
def test_an_attachment_is_a_part_or_a_note(part: Part, of_responses, of_chat):
    """
    What a format cannot say is left out, and counted in a note; never silently.
    """
    message = Message(Role.USER, (Text("See."), part))
    note = f"1 {type(part).__name__.lower()} part(s) that cannot be sent to this provider were left out"

    for dialect, expected, first, name in (
        (RESPONSES, of_responses, "input_text", "input"),
        (CHAT, of_chat, "text", "messages"),
    ):
        rendered = render(message, dialect=dialect)
        content = [{"type": first, "text": "See."}, *([] if expected is None else [expected])]
        assert [{"role": "user", "content": content}] == rendered.body[name]
        assert (() if expected is not None else (note,)) == rendered.notes


@pytest.mark.parametrize(
    ("part", "dialect"),
    [
        (PDF, responses.Dialect(file_data=False)),
        (Audio(b"RIFF", "audio/wav"), responses.Dialect(audio=False)),
        (PDF, chat_completions.Dialect(documents=False)),
        (Audio(b"RIFF", "audio/wav"), chat_completions.Dialect(audio=False)),
    ],
)
def test_a_dialect_may_know_less(part, dialect):
    """
    A speaker without documents or sound is not sent any.
    """
    rendered = render(Message(Role.USER, (Text("See."), part)), dialect=dialect)

    assert 1 == len(rendered.notes)


@pytest.mark.parametrize(
    ("output", "expected"),
    [("no such city", "Error: no such city"), ("Error: no", "Error: no"), ("", "Error: ")],
)
def test_that_a_call_failed_is_said_in_words(output, expected):
    """
    Neither format has a flag for it, so the model reads it, and not twice.
    """
    message = Message(Role.TOOL, (ToolResult("call_1", "get_weather", output, is_error=True),))

    assert expected == render(message).body["input"][0]["output"]
    assert expected == render(message, dialect=CHAT).body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("get_weather-2", "get_weather-2"),
        ("default_api.get:weather", "default_api_get_weather"),
        ("o tempo", "o_tempo"),
        ("x" * 65, "x" * 64),
        ("", "unknown"),
    ],
)
def test_a_call_of_another_provider_gets_a_name_that_openai_takes(name, expected):
    """
    Gemini has longer names, with dots in them, and a model may call what nobody offered.
    """
    call = Message(Role.ASSISTANT, (ToolCall("c1", name, {}),))

    of_responses = render(HELLO, call).body["input"][1]["name"]
    of_chat = render(HELLO, call, dialect=CHAT).body["messages"][1]["tool_calls"][0]["function"]["name"]

    assert [expected] * 2 == [of_responses, of_chat]


def test_a_system_message_that_says_nothing_is_no_message():
    """
    A template may come out empty, and a service may refuse what is.
    """
    silence, system = Message.of("system", ""), Message.of("system", "Be brief.")
    as_items = responses.Dialect(system_as_instructions=False)

    assert "instructions" not in render(silence, HELLO).body
    assert "Be brief." == render(silence, system, HELLO).body["instructions"]
    assert ["user"] == [item["role"] for item in render(silence, HELLO, dialect=as_items).body["input"]]
    assert ["user"] == [item["role"] for item in render(silence, HELLO, dialect=CHAT).body["messages"]]


def test_arguments_are_written_as_models_write_them():
    """
    Without spaces and escapes, so that what the service has cached of the model's own words is found again.
    """
    message = Message(Role.ASSISTANT, (ToolCall("call_1", "f", {"città": "Forlì", "n": [1, 2]}),))

    assert '{"città":"Forlì","n":[1,2]}' == render(message).body["input"][0]["arguments"]


def test_what_nobody_asked_for_is_known():
    """
    Each format says which members were added, so that one a model refuses is not missed.
    """
    everything = {"stream": True, "conversation_id": CONVERSATION}

    assert {"include", "prompt_cache_key"} == render(reasons=True, **everything).added
    assert {"prompt_cache_key", "stream_options"} == render(dialect=OPENAI_CHAT, **everything).added
    assert {"stream_options"} == render(dialect=CHAT, **everything).added
    assert str(CONVERSATION) == render(dialect=OPENAI_CHAT, **everything).body["prompt_cache_key"]


def test_a_member_the_caller_insists_on_was_asked_for():
    """
    ``extra`` may take the place of what is added, and then it is not left out any more.
    """
    rendered = render(options=Options(extra={"mine": {"store": True}}))

    assert (True, frozenset(), {}) == (rendered.body["store"], rendered.added, rendered.asked)


def test_what_is_merged_stays_with_its_request():
    """
    The members of a dialect are there for all requests, and one request's are not added to them.
    """
    dialect = chat_completions.Dialect(members={"provider": {"sort": "price"}})
    extra = Options(extra={"mine": {"provider": {"only": ["a"]}}})

    first = render(options=extra, dialect=dialect).body["provider"]

    assert ({"sort": "price", "only": ["a"]}, {"sort": "price"}) == (
        first,
        render(dialect=dialect).body["provider"],
    )


def test_what_was_asked_for_is_known_by_its_place():
    """
    An option is found again by where its member is.
    """
    options = Options(temperature=0.5, reasoning_effort="low", verbosity="low", max_output_tokens=9)

    assert {
        "store": "store",
        "temperature": "temperature",
        "reasoning.effort": "reasoning_effort",
        "text.verbosity": "verbosity",
        "max_output_tokens": "max_output_tokens",
    } == render(options=options).asked
    assert "max_completion_tokens" in render(options=options, dialect=OPENAI_CHAT).asked


def mine(value: Any) -> OpaqueState:
    return OpaqueState("mine", value)


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAA"}
CALL = ToolCall("call_1", "get_weather", {})
CALL_ITEM = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}
SEARCH_ITEM = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
FORGOTTEN = {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "Hm."}]}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param((Reasoning("", mine(THOUGHT)), CALL), [THOUGHT, CALL_ITEM], id="with its follower"),
        pytest.param((Reasoning("", mine(THOUGHT)),), [], id="without a follower"),
        pytest.param((CALL, Reasoning("", mine(THOUGHT))), [CALL_ITEM], id="broken off after a thought"),
        pytest.param(
            (Reasoning("", mine(THOUGHT)), Foreign("x", OpaqueState("theirs", {})), CALL),
            [CALL_ITEM],
            id="its follower is not sent",
        ),
        pytest.param(
            (Reasoning("", mine(THOUGHT)), Text(""), CALL), [THOUGHT, CALL_ITEM], id="a mark between"
        ),
        pytest.param(
            (Reasoning("Hm.", mine(FORGOTTEN)), CALL), [CALL_ITEM], id="a name for what nobody has kept"
        ),
        pytest.param(
            (Reasoning("Hm.", mine(FORGOTTEN)), Foreign("web_search_call", mine(SEARCH_ITEM)), CALL),
            [{"type": "web_search_call", "status": "completed"}, CALL_ITEM],
            id="a search whose thought is not sent",
        ),
        pytest.param(
            (Foreign("web_search_call", mine(SEARCH_ITEM)), CALL), [SEARCH_ITEM, CALL_ITEM], id="a search"
        ),
        pytest.param(
            (Reasoning("", mine({"type": "reasoning", "content": [{"text": "Hm."}]})), CALL),
            [{"type": "reasoning", "content": [{"text": "Hm."}]}, CALL_ITEM],
            id="thoughts in the open",
        ),
    ],
)
def test_a_thought_is_sent_with_what_followed_it_or_not_at_all(parts, expected):
    """
    An orphan is a 400, and so is the name of a thought that was not stored.
    """
    assert expected == render(Message(Role.ASSISTANT, parts)).body["input"]


def test_a_model_that_does_not_reason_is_sent_no_thoughts():
    """
    It would refuse them; one that nobody knows gets them back, and is not asked for more.
    """
    message = Message(Role.ASSISTANT, (Reasoning("", mine(THOUGHT)), CALL))

    assert [CALL_ITEM] == render(message, reasons=False).body["input"]
    assert [THOUGHT, CALL_ITEM] == render(message, reasons=None).body["input"]
    assert "include" not in render(message, reasons=None).body


def test_fees_are_counted_from_the_answer():
    """
    Searches as the service counts them, else the items of tools that were run; those that failed are free.
    """
    items = [
        {"type": "web_search_call", "status": "completed"},
        {"type": "web_search_call", "status": "failed"},
        {"type": "file_search_call"},
        {"type": "code_interpreter_call", "status": "completed"},
        {"type": "mcp_call", "status": "completed"},
    ]
    body = {"status": "completed", "output": items}
    counted = {**body, "tool_usage": {"web_search": {"num_requests": 3}}}

    assert {"web_search": 1, "file_search": 1, "code_interpreter": 1} == (
        responses.parse_response(body, "mine").billing.tool_calls
    )
    assert {"web_search": 3, "file_search": 1, "code_interpreter": 1} == (
        responses.parse_response(counted, "mine").billing.tool_calls
    )


def test_what_is_priced_apart_is_counted_apart():
    """
    Sound, and what stays cached for twelve hours.
    """
    details = {"audio_tokens": 5, "ttl_12h_tokens": 7, "cached_tokens": None}
    answer = {"status": "completed", "output": [], "usage": {"input_tokens_details": details}}
    completion = {"choices": [], "usage": {"prompt_tokens_details": details}}

    for billing in (
        responses.parse_response(answer, "mine").billing,
        chat_completions.parse_response(completion, CHAT).billing,
    ):
        assert (5, 7) == (billing.audio_input_tokens, billing.cache_write_12h_tokens)
