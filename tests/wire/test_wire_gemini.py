"""The ``generateContent`` format as pure functions."""

from __future__ import annotations

import itertools
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia import (
    Billing,
    ConfigurationError,
    FinishReason,
    Foreign,
    Image,
    InvalidRequestError,
    Message,
    OpaqueState,
    Options,
    Part,
    ProtocolError,
    ProviderConfig,
    ProviderReply,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Request,
    Role,
    SafetyOutcome,
    SafetyRating,
    Target,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Usage,
)
from tertulia.wire import ErrorAnswer, StreamEnd
from tertulia_gemini import GeminiProvider
from tertulia_gemini.answers import GeminiStream, parse_response
from tertulia_gemini.contents import FOREIGN_CALL_SIGNATURE
from tertulia_gemini.safety import CATEGORIES, NOTED, REFUSED, THRESHOLDS
from tertulia_gemini.usage import parse_usage
from tertulia_gemini.wire import render_request

HELLO = Message.of("user", "Hello")
USER_HELLO = {"role": "user", "parts": [{"text": "Hello"}]}
NOTHING = [{"role": "user", "parts": [{"text": ""}]}]
OPENING = {"role": "user", "parts": [{"text": "(The conversation begins with your message.)"}]}
HARASSMENT, HATE = "HARM_CATEGORY_HARASSMENT", "HARM_CATEGORY_HATE_SPEECH"


def render(*messages: Message, options: Options = Options()) -> dict[str, Any]:
    """The body for a provider named ``mine``, without safety settings."""
    return render_request(Request(Target("mine", "some-model"), messages, options), {}).body


def answer(*parts: Part) -> Message:
    return Message(Role.ASSISTANT, parts)


def signed(signature: str, provider: str = "mine") -> OpaqueState:
    return OpaqueState(provider, {"thoughtSignature": signature})


def test_the_smallest_request():
    """
    Nothing is sent that nobody asked for; the model is in the path, not in the body.
    """
    assert {"contents": [USER_HELLO]} == render(HELLO)


@pytest.mark.parametrize("history", [(), (Message.of("system", "Be kind."),), (Message.of("user", ""),)])
def test_nothing_said_is_an_empty_turn(history):
    """
    Gemini answers to nothing but an instruction, while a request without any turn is refused.
    """
    assert NOTHING == render(*history)["contents"]


def test_system_messages_stand_apart():
    """
    Several system messages are the parts of one instruction, in order, wherever they stood.
    """
    body = render(Message.of("system", "Be kind."), HELLO, Message.of("system", "Be brief."))

    assert {
        "systemInstruction": {"parts": [{"text": "Be kind."}, {"text": "Be brief."}]},
        "contents": [USER_HELLO],
    } == body


def test_neighbours_of_one_role_are_one_content():
    """
    Two user messages in a row are two parts of one turn, and so are two answers.
    """
    body = render(
        HELLO,
        Message.of("user", "Anyone?"),
        Message.of("assistant", "Yes."),
        Message.of("assistant", "Me."),
        HELLO,
    )

    assert [
        {"role": "user", "parts": [{"text": "Hello"}, {"text": "Anyone?"}]},
        {"role": "model", "parts": [{"text": "Yes."}, {"text": "Me."}]},
        USER_HELLO,
    ] == body["contents"]


def test_the_first_turn_is_the_users():
    """
    A history that begins with an answer gets a user turn before it, and the reply will say so.
    """
    request = Request(Target("mine", "some-model"), (Message.of("assistant", "Welcome."), HELLO))

    rendered = render_request(request, {})

    assert [OPENING, {"role": "model", "parts": [{"text": "Welcome."}]}, USER_HELLO] == rendered.body[
        "contents"
    ]
    assert ("a user turn was put before the first answer, which Gemini requires",) == rendered.notes


def test_calls_and_their_results():
    """
    Parallel calls are parts of one answer; their results are parts of one user turn, in call order.
    """
    calls = answer(
        ToolCall("1", "get_weather", {"city": "Lisbon"}, opaque=signed("c2ln")),
        ToolCall("2", "get_time", {}),
    )
    results = Message(
        Role.TOOL,
        (ToolResult("1", "get_weather", "sunny"), ToolResult("2", "get_time", "no clock", is_error=True)),
    )

    assert [
        USER_HELLO,
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "1", "name": "get_weather", "args": {"city": "Lisbon"}},
                    "thoughtSignature": "c2ln",
                },
                {"functionCall": {"id": "2", "name": "get_time", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "1", "name": "get_weather", "response": {"output": "sunny"}}},
                {"functionResponse": {"id": "2", "name": "get_time", "response": {"error": "no clock"}}},
            ],
        },
    ] == render(HELLO, calls, results)["contents"]


def test_a_call_that_gemini_did_not_make_skips_the_validator():
    """
    A foreign step's first call carries the documented word in base64, as recorded; the others nothing.
    """
    theirs = OpaqueState("theirs", {"id": "fc_1"})

    parts = render(HELLO, answer(ToolCall("1", "a", {}, opaque=theirs), ToolCall("2", "b", {})))["contents"][
        1
    ]

    first, second = parts["parts"]
    assert b"skip_thought_signature_validator" == b64decode(first.pop("thoughtSignature"), validate=True)
    assert {"functionCall": {"id": "1", "name": "a", "args": {}}} == first
    assert {"functionCall": {"id": "2", "name": "b", "args": {}}} == second


STEP = answer(ToolCall("1", "a", {}))
RESULT = Message(Role.TOOL, (ToolResult("1", "a", "x"),))


@pytest.mark.parametrize(
    ("model", "marked"),
    [
        ("gemini-3.5-flash", True),
        ("brand-new", True),
        ("gemini-2.5-pro", False),
        ("models/gemini-2.0-flash", False),
        ("gemma-4-27b-it", False),
    ],
)
def test_every_step_is_marked_for_models_that_look(model, marked):
    """
    Each step of the open turn, and of those before, begins with a signature or the word that stands for one.

    Models before Gemini 3 do not look for it, and were never seen to take the word.
    """
    history = (HELLO, STEP, RESULT, STEP, RESULT, Message.of("assistant", "Done."), HELLO, STEP, RESULT)

    contents = render_request(Request(Target("mine", model), history), {}).body["contents"]

    calls = [part for content in contents for part in content["parts"] if "functionCall" in part]
    assert [marked] * 3 == ["thoughtSignature" in call for call in calls]


def test_opaque_state_of_others_stays_away():
    """
    Another provider's thoughts, items and empty texts are left out; its words are sent plain.
    """
    theirs = OpaqueState("theirs", {"type": "reasoning", "encrypted_content": "theirs"})
    reply = answer(
        Reasoning("Hm.", theirs),
        Text("", theirs),
        Text("Hi.", theirs),
        Refusal("No."),
        Foreign("compaction", theirs),
    )

    rendered = render_request(Request(Target("mine", "some-model"), (HELLO, reply)), {})

    assert [USER_HELLO, {"role": "model", "parts": [{"text": "Hi."}, {"text": "No."}]}] == rendered.body[
        "contents"
    ]
    assert (
        "1 reasoning part(s) that cannot be sent to this provider were left out",
        "1 compaction part(s) that cannot be sent to this provider were left out",
    ) == rendered.notes


DOT = b"\x89PNG\r\n\x1a\n"


def test_an_image_in_an_answer_of_another_is_left_out():
    """
    A picture that somebody else drew is no part of what Gemini said.
    """
    reply = answer(Text("Look."), Image(DOT, "image/png", opaque=OpaqueState("theirs", {})))

    rendered = render_request(Request(Target("mine", "some-model"), (HELLO, reply)), {})

    assert [USER_HELLO, {"role": "model", "parts": [{"text": "Look."}]}] == rendered.body["contents"]
    assert ("1 image part(s) that cannot be sent to this provider were left out",) == rendered.notes


opaque_states = st.none() | st.builds(
    OpaqueState,
    st.sampled_from(["mine", "theirs"]),
    st.fixed_dictionaries({"thoughtSignature": st.text("ab", min_size=1)}),
)
texts = st.text(max_size=3)
words = st.builds(Text, texts, opaque_states)
thoughts = st.builds(Reasoning, texts, opaque_states)
refusals = st.builds(Refusal, texts)
names = st.sampled_from(["a", "b", "c"])
calls = st.builds(ToolCall, names, names, st.just({}), opaque=opaque_states)
results = st.builds(ToolResult, names, names, texts, st.booleans())
histories = st.lists(
    st.one_of(
        st.builds(Message, st.just(Role.SYSTEM), st.tuples(words)),
        st.builds(Message, st.just(Role.USER), st.lists(words, max_size=3).map(tuple)),
        st.builds(Message, st.just(Role.TOOL), st.lists(results, max_size=3).map(tuple)),
        st.builds(
            Message,
            st.just(Role.ASSISTANT),
            st.lists(words | thoughts | refusals | calls, max_size=4).map(tuple),
        ),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(histories)
def test_any_history_is_turns_that_gemini_accepts(history):
    """
    Whatever was said: turns alternate, the user begins, nothing is empty, and nothing said is lost or moved.
    """
    body = render(*history)
    contents = body["contents"]
    parts = [part for content in contents if content != OPENING for part in content["parts"]]
    spoken = [message for message in history if message.role is not Role.SYSTEM]

    assert ["user", "model"] * (len(contents) // 2) + ["user"] * (len(contents) % 2) == [
        content["role"] for content in contents
    ]
    assert all(content["parts"] for content in contents)
    assert contents == NOTHING or all(part.get("text") != "" or "thoughtSignature" in part for part in parts)
    assert "".join(message.text for message in spoken) == "".join(
        part["text"] for part in parts if "text" in part and "thought" not in part
    )
    assert [
        (part.call_id, part.output)
        for message in spoken
        for part in message.parts
        if isinstance(part, ToolResult)
    ] == [
        (result["id"], *result["response"].values())
        for part in parts
        if (result := part.get("functionResponse"))
    ]
    assert [part.id for message in spoken for part in message.parts if isinstance(part, ToolCall)] == [
        part["functionCall"]["id"] for part in parts if "functionCall" in part
    ]
    assert [message.text for message in history if message.role is Role.SYSTEM and message.text] == [
        part["text"] for part in body.get("systemInstruction", {"parts": []})["parts"]
    ]


@settings(deadline=None)
@given(histories)
def test_any_history_begins_its_steps_with_a_signature(history):
    """
    However calls are mixed, the first of an answer is signed, and one that nobody signed carries the word.
    """
    steps = [message.tool_calls for message in history if message.role is Role.ASSISTANT]
    expected = [
        [
            state.value["thoughtSignature"]
            if (state := call.opaque) is not None and state.provider == "mine"
            else FOREIGN_CALL_SIGNATURE
            if place == 0
            else None
            for place, call in enumerate(step)
        ]
        for step in steps
    ]

    assert [signature for step in expected for signature in step] == [
        part.get("thoughtSignature")
        for content in render(*history)["contents"]
        for part in content["parts"]
        if "functionCall" in part
    ]


@settings(deadline=None)
@given(histories)
def test_any_history_keeps_the_signatures_of_its_own_parts(history):
    """
    A signature of ours is sent with its own part and no other, and one of another provider with none.
    """
    expected = [
        (kind_of(part), part.opaque.value["thoughtSignature"])
        for message in history
        if message.role is not Role.SYSTEM
        for part in message.parts
        if part.opaque is not None and part.opaque.provider == "mine"
    ]

    assert expected == [
        ("call" if "functionCall" in part else part["text"], part["thoughtSignature"])
        for content in render(*history)["contents"]
        for part in content["parts"]
        if "thoughtSignature" in part and not part["thoughtSignature"].startswith("c2tpcF90")
    ]


def kind_of(part: Part) -> str:
    return "call" if isinstance(part, ToolCall) else part.text


def render_with(configured: Any, options: Options) -> dict[str, Any]:
    """The body that a provider with these configured safety settings sends."""
    settings = {} if configured is None else {"safety_settings": configured}
    provider = GeminiProvider(ProviderConfig("mine", "gemini", settings=settings))
    return provider.wire.render_request(Request(Target("mine", "some-model"), (HELLO,), options)).body


def test_no_safety_settings_are_sent_unless_somebody_sets_them():
    """
    Google's own defaults hold until somebody says otherwise.
    """
    assert {"contents": [USER_HELLO]} == render_with(None, Options())
    assert {"contents": [USER_HELLO]} == render_with({}, Options(safety_settings={}))


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("category", [*CATEGORIES, *NOTED])
def test_every_category_takes_every_threshold(category, threshold):
    """
    All documented categories and thresholds can be configured, and asked for.
    """
    expected = [{"category": category, "threshold": threshold}]

    assert expected == render_with({category: threshold}, Options())["safetySettings"]
    assert expected == render_with(None, Options(safety_settings={category: threshold}))["safetySettings"]


def test_a_request_overrides_the_configuration_by_category():
    """
    What a request does not name stays as it is configured.
    """
    configured = {HARASSMENT: "BLOCK_NONE", HATE: "BLOCK_NONE"}

    body = render_with(configured, Options(safety_settings={HATE: "OFF"}))

    assert [
        {"category": HARASSMENT, "threshold": "BLOCK_NONE"},
        {"category": HATE, "threshold": "OFF"},
    ] == body["safetySettings"]


def test_a_category_that_gemini_takes_but_does_not_mean_has_a_note():
    """
    An obsolete category is sent, and the reply says what it is.
    """
    safety = {HATE: "OFF", "HARM_CATEGORY_CIVIC_INTEGRITY": "OFF"}

    rendered = render_request(Request(Target("mine", "some-model"), (HELLO,)), safety)

    assert list(safety) == [setting["category"] for setting in rendered.body["safetySettings"]]
    assert (
        "harm category HARM_CATEGORY_CIVIC_INTEGRITY is obsolete: Gemini takes it and ignores it",
    ) == rendered.notes


@pytest.mark.parametrize(
    ("settings", "message", "next_step"),
    [
        pytest.param(
            {"HARM_CATEGORY_IMAGE_HATE": "OFF"},
            "harm category 'HARM_CATEGORY_IMAGE_HATE' exists on Vertex AI only",
            f"use one of {', '.join(CATEGORIES)}",
            id="Vertex AI",
        ),
        pytest.param(
            {"HARM_CATEGORY_JAILBREAK": "OFF"},
            "harm category 'HARM_CATEGORY_JAILBREAK' is meant for Vertex AI",
            f"use one of {', '.join(CATEGORIES)}",
            id="meant for Vertex AI",
        ),
        pytest.param(
            {"HARM_CATEGORY_TOXICITY": "OFF"},
            "harm category 'HARM_CATEGORY_TOXICITY' went with the PaLM models",
            f"use one of {', '.join(CATEGORIES)}",
            id="PaLM",
        ),
        pytest.param(
            {"hate speech": "OFF"},
            "there is no harm category 'hate speech'",
            "did you mean 'HARM_CATEGORY_HATE_SPEECH'?",
            id="in words",
        ),
        pytest.param(
            {HATE: "block_only_hihg"},
            "there is no threshold 'block_only_hihg'",
            "did you mean 'BLOCK_ONLY_HIGH'?",
            id="misspelt",
        ),
        pytest.param(
            {HATE: 5}, "there is no threshold 5", f"use one of {', '.join(THRESHOLDS)}", id="a number"
        ),
    ],
)
def test_an_invalid_safety_setting_says_what_to_write(settings, message, next_step):
    """
    The error tells a word that never was from one that is gone and from one of another service.
    """
    with pytest.raises(ConfigurationError) as caught:
        render_with(settings, Options())

    assert (f"provider 'mine': {message}", next_step) == (caught.value.message, caught.value.next_step)


INVALID_SETTINGS = [
    *({category: "OFF"} for category in REFUSED),
    {"harassment": "OFF"},
    {HATE: "BLOCK_SOME"},
    {HATE: "off"},
    {HATE: ""},
]


@pytest.mark.parametrize("settings", [*INVALID_SETTINGS, {HATE: ["OFF"]}, "OFF", ["OFF"]])
def test_invalid_safety_settings_are_refused_when_they_are_configured(settings):
    """
    A provider with a setting that Google does not know is not made.
    """
    with pytest.raises(ConfigurationError):
        render_with(settings, Options())


@pytest.mark.parametrize("settings", INVALID_SETTINGS)
def test_invalid_safety_settings_of_a_request_are_refused_before_it_is_sent(settings):
    """
    A request with such a setting is the caller's error, and cost nothing.
    """
    with pytest.raises(InvalidRequestError) as caught:
        render_with(None, Options(safety_settings=settings))

    assert caught.value.sent is False


def chunk(*parts: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    """One chunk of a stream, or a whole answer."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **members}


def read(*chunks: dict[str, Any]) -> tuple[list[Any], ProviderReply]:
    stream = GeminiStream("mine")
    return [delta for piece in chunks for delta in stream.read(piece)], stream.end()


def test_a_whole_answer():
    """
    Text, tokens, tier, model and id are where the format has them.
    """
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12, "serviceTier": "FLEX"}
    body = chunk({"text": "Hi."}, finish="STOP", usageMetadata=usage, modelVersion="m-1", responseId="r-1")

    assert ProviderReply(
        parts=(Text("Hi."),),
        finish_reason=FinishReason.STOP,
        raw_finish_reason="STOP",
        usage=Usage(10, 0, 0, 2, 0),
        billing=Billing(service_tier="flex", raw=usage),
        model="m-1",
        request_id="r-1",
    ) == parse_response(body, "mine")


def test_a_list_of_chunks_is_one_answer():
    """
    A stream that was asked for without SSE is a list, and is read as a whole.
    """
    body = [chunk({"text": "He"}), chunk({"text": "llo"}, finish="STOP")]

    assert (Text("Hello"),) == parse_response(body, "mine").parts


# Section 3.5 of the vendor's schema names these, and no others.
FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "OTHER": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
    "PUP_LIMITED_DISABLED": "error",
    "FINISH_REASON_UNSPECIFIED": "unknown",
    "BORED": "unknown",
}


@pytest.mark.parametrize(("raw", "expected"), FINISH_REASONS.items())
def test_every_finish_reason_has_its_place(raw, expected):
    """
    Each documented reason is exactly one of the common vocabulary; a new one is unknown, not an error.
    """
    reply = parse_response(chunk({"text": "It is"}, finish=raw), "mine")

    assert (expected, raw) == (reply.finish_reason, reply.raw_finish_reason)
    assert (
        SafetyOutcome("answer", raw, (), "It is") if expected == "content_filter" else None
    ) == reply.safety


FAILURES = {
    "MISSING_THOUGHT_SIGNATURE": "invalid_request",
    "PUP_LIMITED_DISABLED": "permission",
    "MALFORMED_FUNCTION_CALL": "protocol",
    "MALFORMED_RESPONSE": "protocol",
    "UNEXPECTED_TOOL_CALL": "protocol",
    "TOO_MANY_TOOL_CALLS": "protocol",
    "NO_IMAGE": "empty_response",
    "OTHER": "server",
    "IMAGE_OTHER": "server",
}


def test_every_failure_is_of_a_kind():
    """
    Whether another try may help depends on it; what is no failure has none.
    """
    found = {
        raw: parse_response(chunk({"text": "It is"}, finish=raw), "mine").error_kind for raw in FINISH_REASONS
    }

    assert {raw: FAILURES.get(raw) for raw in FINISH_REASONS} == found


@pytest.mark.parametrize("raw", [raw for raw, kind in FAILURES.items() if kind == "protocol"])
def test_a_mistake_that_leaves_nothing_is_an_empty_answer(raw):
    """
    Where the model went wrong before it said anything, one more try is worth it.
    """
    assert "empty_response" == parse_response(chunk(finish=raw), "mine").error_kind


def test_a_count_that_a_later_chunk_does_not_know_is_kept():
    """
    A null is no 0, and no news.
    """
    stream = GeminiStream("mine")
    stream.read({"usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 4}})
    stream.read({**chunk({"text": "Hi"}, finish="STOP"), "usageMetadata": {"cachedContentTokenCount": None}})

    assert 4 == stream.end().usage.cache_read_tokens


def test_stop_after_a_call_is_tool_calls():
    """
    Google says STOP when it called functions; the call says otherwise.
    """
    reply = parse_response(chunk({"functionCall": {"name": "get_time"}}, finish="STOP"), "mine")

    assert (FinishReason.TOOL_CALLS, "STOP") == (reply.finish_reason, reply.raw_finish_reason)


def test_a_pause_says_how_to_go_on():
    """
    The token of a long answer's next request is kept.
    """
    body = chunk({"text": "One"}, finish="CONTINUATION")
    body["candidates"][0]["continuationToken"] = "go-on"

    assert (FinishReason.PAUSE, "go-on") == (
        parse_response(body, "mine").finish_reason,
        parse_response(body, "mine").continuation,
    )


BLOCK_REASONS = (
    "SAFETY",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "IMAGE_SAFETY",
    "MODEL_ARMOR",
    "JAILBREAK",
    "BORED",
)


@pytest.mark.parametrize("reason", BLOCK_REASONS)
def test_a_blocked_prompt_is_an_outcome(reason):
    """
    Vector 22: no candidate and a block reason are a typed outcome of the prompt, and its tokens are counted.
    """
    ratings = [
        {"category": HARASSMENT, "probability": "HIGH", "blocked": True},
        {"category": HATE, "probability": "LOW"},
    ]
    body = {
        "promptFeedback": {"blockReason": reason, "safetyRatings": ratings},
        "usageMetadata": {"promptTokenCount": 12, "totalTokenCount": 12},
    }

    reply = parse_response(body, "mine")

    assert (FinishReason.CONTENT_FILTER, reason, Usage(12, 0, 0, 0, 0)) == (
        reply.finish_reason,
        reply.raw_finish_reason,
        reply.usage,
    )
    expected = (SafetyRating(HARASSMENT, "HIGH", blocked=True), SafetyRating(HATE, "LOW"))
    assert SafetyOutcome("prompt", reason, expected) == reply.safety


def test_a_blocked_answer_says_what_had_been_said():
    """
    An answer that a filter stopped keeps its ratings and its partial text, across chunks.
    """
    last = chunk(finish="SAFETY")
    last["candidates"][0]["safetyRatings"] = [{"category": HATE, "probability": "MEDIUM", "blocked": True}]

    _, reply = read(chunk({"text": "It "}), chunk({"text": "is"}), last)

    assert (
        SafetyOutcome("answer", "SAFETY", (SafetyRating(HATE, "MEDIUM", blocked=True),), "It is")
        == reply.safety
    )


def test_a_signed_call_and_an_empty_end():
    """
    Vector 21: the signature stays on the call, the empty text is not shown, and the reply ends for the call.
    """
    call = {
        "functionCall": {"id": "1", "name": "get_time", "args": {"zone": "WET"}},
        "thoughtSignature": "c2ln",
    }

    deltas, reply = read(chunk(call), chunk({"text": ""}, finish="STOP"))

    assert [ToolCallDelta(0, "1", "get_time", '{"zone": "WET"}')] == deltas
    assert (ToolCall("1", "get_time", {"zone": "WET"}, opaque=signed("c2ln")),) == reply.parts
    assert FinishReason.TOOL_CALLS == reply.finish_reason


def test_a_call_without_an_id_gets_one():
    """
    The id is made of the answer's own, so reading the answer again makes the same one.
    """
    body = chunk(
        {"functionCall": {"name": "a"}}, {"functionCall": {"name": "b"}}, finish="STOP", responseId="r-1"
    )

    parts = parse_response(body, "mine").parts

    assert (ToolCall("r-1-0", "a", {}), ToolCall("r-1-1", "b", {})) == parts
    assert parts == parse_response(body, "mine").parts


def test_text_is_joined_but_never_across_a_signature():
    """
    Deltas of one kind are one part; thoughts, words and signed parts stay apart.
    """
    deltas, reply = read(
        chunk({"text": "Hm", "thought": True}),
        chunk({"text": ".", "thought": True}),
        chunk({"text": "He"}),
        chunk({"text": "llo"}),
        chunk({"text": "!", "thoughtSignature": "c2ln"}),
        chunk({"text": "Bye"}),
        chunk({"text": "", "thoughtSignature": "ZW5k"}, finish="STOP"),
    )

    assert (
        Reasoning("Hm."),
        Text("Hello"),
        Text("!", signed("c2ln")),
        Text("Bye"),
        Text("", signed("ZW5k")),
    ) == reply.parts
    assert [
        ReasoningDelta("Hm"),
        ReasoningDelta("."),
        *(TextDelta(text) for text in ("He", "llo", "!", "Bye")),
    ] == deltas


response_parts = st.one_of(
    st.fixed_dictionaries({"text": texts}, optional={"thoughtSignature": st.text("ab", min_size=1)}),
    st.fixed_dictionaries(
        {"text": texts, "thought": st.just(True)}, optional={"thoughtSignature": st.text("ab", min_size=1)}
    ),
    st.fixed_dictionaries(
        {"functionCall": st.fixed_dictionaries({"id": names, "name": names, "args": st.just({"n": 1})})},
        optional={"thoughtSignature": st.text("ab", min_size=1)},
    ),
    st.fixed_dictionaries(
        {"executableCode": st.fixed_dictionaries({"code": texts})},
        optional={"thoughtSignature": st.text("ab", min_size=1)},
    ),
)


@settings(deadline=None)
@given(st.lists(response_parts, min_size=1, max_size=6), st.data())
def test_signatures_survive_the_way_there_and_back(sent, data):
    """
    However an answer's parts are spread over chunks, each signed part goes back as it came, in its place.
    """
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)))))
    chunks = [chunk(*sent[start:end]) for start, end in itertools.pairwise([0, *cuts, len(sent)])]

    _, reply = read(*chunks, chunk(finish="STOP"))
    contents = render(HELLO, answer(*reply.parts))["contents"]
    returned = contents[1]["parts"] if len(contents) > 1 else []

    assert [part for part in sent if "thoughtSignature" in part] == [
        part
        for part in returned
        if "thoughtSignature" in part and not part["thoughtSignature"].startswith("c2tpcF90")
    ]
    assert "".join(part["text"] for part in sent if "text" in part and "thought" not in part) == "".join(
        part["text"] for part in returned if "text" in part and "thought" not in part
    )


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param({}, Usage(), id="none"),
        pytest.param(
            {
                "promptTokenCount": 1000,
                "cachedContentTokenCount": 400,
                "candidatesTokenCount": 200,
                "thoughtsTokenCount": 300,
                "toolUsePromptTokenCount": 50,
                "totalTokenCount": 1550,
            },
            Usage(650, 400, 0, 200, 300),
            id="everything",
        ),
        pytest.param({"promptTokenCount": 12, "totalTokenCount": 12}, Usage(12, 0, 0, 0, 0), id="no answer"),
        pytest.param(
            {"promptTokenCount": 12, "thoughtsTokenCount": 8, "totalTokenCount": 20},
            Usage(12, 0, 0, 0, 8),
            id="all thought",
        ),
        pytest.param({"candidatesTokenCount": 5, "totalTokenCount": 5}, Usage(0, 0, 0, 5, 0), id="no prompt"),
        pytest.param({"promptTokenCount": 12}, Usage(12, 0, 0, None, 0), id="no total"),
        pytest.param({"totalTokenCount": 12}, Usage(None, 0, 0, None, 0), id="only a total"),
        pytest.param(
            {"promptTokenCount": 1, "cachedContentTokenCount": 2, "candidatesTokenCount": 3},
            Usage(None, 2, 0, 3, 0),
            id="a part that is more than its total",
        ),
    ],
)
def test_usage_is_disjoint(usage, expected):
    """
    A count of zero is not sent; a headline that is missing is what the total leaves, or unknown.
    """
    assert expected == parse_usage(usage)


def test_usage_is_merged_over_chunks():
    """
    A later chunk that leaves a count out does not take it back.
    """
    first = {"promptTokenCount": 10, "cachedContentTokenCount": 4, "totalTokenCount": 10}
    last = {"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12}

    _, reply = read(chunk({"text": "Hi"}, usageMetadata=first), chunk(finish="STOP", usageMetadata=last))

    assert Usage(6, 4, 0, 2, 0) == reply.usage


def test_usage_may_follow_the_finish_reason():
    """
    A stream is read to its end: its last counts may come after the reason it ended.
    """
    stream = GeminiStream("mine")
    stream.read(chunk({"text": "Hi"}, finish="STOP"))
    is_complete = stream.complete
    stream.read({"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}})

    assert (False, Usage(1, 0, 0, 2, 0)) == (is_complete, stream.end().usage)


def test_a_connection_that_breaks_after_the_end_does_no_harm():
    """
    An answer that has its finish reason is whole, however its connection ends.
    """
    stream = GeminiStream("mine")
    stream.read(chunk({"text": "Hi"}, finish="STOP"))

    assert "Hi" == stream.end(StreamEnd.BROKEN).text


@pytest.mark.parametrize("finish", [None, "STOP"])
def test_an_answer_that_goes_on_after_its_finish_reason_may_be_cut(finish):
    """
    Where words follow a finish reason it is no sign that the answer is whole when the connection breaks.
    """
    stream = GeminiStream("mine")
    stream.read(chunk({"text": "Hi"}, finish="STOP"))
    stream.read(chunk({"text": " there"}, finish=finish))

    with pytest.raises(ProtocolError):
        stream.end(StreamEnd.BROKEN)


@pytest.mark.parametrize("body", [{}, [], [{}], {"candidates": []}, chunk({"text": "Hello"}), "Hello", None])
def test_an_answer_without_an_end_is_no_answer(body):
    """
    However much text came, an answer without a finish or block reason is not whole.
    """
    with pytest.raises(ProtocolError):
        parse_response(body, "mine")


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}},
        [{"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}],
        [chunk({"text": "He"}), {"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}],
    ],
)
def test_an_error_inside_an_answer_is_raised(body):
    """
    Vector 26: an error is one, bare, in a list, or after the first chunks.
    """
    with pytest.raises(ErrorAnswer) as caught:
        parse_response(body, "mine")

    assert ("UNAVAILABLE", "Busy.") == (caught.value.body.code, caught.value.body.message)
