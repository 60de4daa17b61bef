"""The Chat Completions format, which OpenAI, xAI and many servers speak, as pure functions."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia import (
    Billing,
    FinishReason,
    Foreign,
    Image,
    Message,
    OpaqueState,
    Options,
    Part,
    ProtocolError,
    ProviderReply,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Request,
    Role,
    SafetyOutcome,
    Target,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Usage,
)
from tertulia.wire import ErrorAnswer, StreamEnd
from tertulia.wire.chat_completions import (
    ChatCompletionsStream,
    Dialect,
    parse_response,
    parse_usage,
    render_request,
)

COMPATIBLE = Dialect()
OPENAI = Dialect(answer_limit="max_completion_tokens", members={"store": False})
XAI = Dialect(answer_limit="max_completion_tokens", reasoning_in_completion=False)

HELLO = Message.of("user", "Hello")
USER_HELLO = {"role": "user", "content": "Hello"}
CALL = ToolCall("call_1", "get_weather", {"city": "Lisbon"})
CALL_ITEM = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Lisbon"}'},
}
DOT = b"\x89PNG\r\n\x1a\n"


def render(*messages: Message, dialect: Dialect = COMPATIBLE, **request: Any) -> dict[str, Any]:
    """The body for a provider named ``mine``."""
    return render_all(*messages, dialect=dialect, **request)[0]


def render_all(
    *messages: Message, dialect: Dialect = COMPATIBLE, stream: bool = False, **request: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    rendered = render_request(
        Request(Target("mine", "some-model"), messages, stream=stream, **request), dialect
    )
    return rendered.body, rendered.notes


def answer(*parts: Part, provider: str | None = None) -> Message:
    return Message(Role.ASSISTANT, parts, provider=provider)


def test_the_smallest_request():
    """
    Nothing is sent that nobody asked for.
    """
    assert {"model": "some-model", "messages": [USER_HELLO]} == render(HELLO)


def test_a_stream_is_asked_to_count_its_tokens():
    """
    Without ``include_usage`` a stream does not say what it cost.
    """
    assert {
        "model": "some-model",
        "messages": [USER_HELLO],
        "stream": True,
        "stream_options": {"include_usage": True},
    } == render(HELLO, stream=True)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("temperature", 0.0, {"temperature": 0.0}),
        ("top_p", 0.9, {"top_p": 0.9}),
        ("max_output_tokens", 100, {"max_tokens": 100}),
        ("stop", ("END", "STOP"), {"stop": ["END", "STOP"]}),
        ("seed", 0, {"seed": 0}),
        ("presence_penalty", -0.5, {"presence_penalty": -0.5}),
        ("frequency_penalty", 0.5, {"frequency_penalty": 0.5}),
        ("service_tier", "flex", {"service_tier": "flex"}),
    ],
)
def test_an_option_is_one_member(option, value, expected):
    """
    An option that is set is sent under its name, also where its value is zero.
    """
    body = render(HELLO, options=Options(**{option: value}))

    assert {"model": "some-model", "messages": [USER_HELLO], **expected} == body


def test_what_every_request_of_a_dialect_has():
    """
    OpenAI is told to keep nothing, and knows the limit by its new name only.
    """
    assert {
        "model": "some-model",
        "store": False,
        "messages": [USER_HELLO],
        "max_completion_tokens": 9,
    } == render(HELLO, dialect=OPENAI, options=Options(max_output_tokens=9))


def test_a_whole_history():
    """
    Every role has its own form; calls stand beside the words they were made with, results follow one by one.
    """
    second = ToolCall("call_2", "get_time", raw_arguments='{"zone":')
    results = (ToolResult("call_1", "get_weather", "sunny"), ToolResult("call_2", "get_time", "?", True))

    body, notes = render_all(
        Message.of("system", "Be kind."),
        HELLO,
        answer(Text("One "), Text("moment."), CALL, second),
        Message(Role.TOOL, results),
        answer(CALL),
        HELLO,
        HELLO,
    )

    assert [
        {"role": "system", "content": "Be kind."},
        USER_HELLO,
        {
            "role": "assistant",
            "content": "One moment.",
            "tool_calls": [
                CALL_ITEM,
                {
                    "id": "call_2",
                    "type": "function",
                    "function": {"name": "get_time", "arguments": '{"zone":'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_2", "content": "Error: ?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL_ITEM]},
        USER_HELLO,
        USER_HELLO,
    ] == body["messages"]
    assert () == notes


def test_a_refusal_goes_back_in_the_words_it_was_said_in():
    """
    Not every server knows refusals, but all know words.
    """
    body = render(HELLO, answer(Refusal("I won't.")))

    assert {"role": "assistant", "content": "I won't."} == body["messages"][1]


def test_opaque_state_and_the_thoughts_of_others_stay_away():
    """
    Nothing that another provider wrote for itself is sent, and the reply will say what was left out.
    """
    theirs = OpaqueState("theirs", {"encrypted_content": "theirs"})
    reply = answer(
        Reasoning("Hm.", theirs),
        Reasoning("Hm.", theirs),
        Text("Hi.", theirs),
        Foreign("web_search_call", theirs),
        provider="theirs",
    )

    body, notes = render_all(HELLO, reply)

    assert [USER_HELLO, {"role": "assistant", "content": "Hi."}] == body["messages"]
    assert (
        "2 reasoning part(s) that cannot be sent to this provider were left out",
        "1 web_search_call part(s) that cannot be sent to this provider were left out",
    ) == notes


def test_its_own_thoughts_are_not_missed():
    """
    The format takes no reasoning back from anybody, so leaving a provider's own out is no loss.
    """
    _, notes = render_all(HELLO, answer(Reasoning("Hm."), Text("Hi."), provider="mine"))

    assert () == notes


@pytest.mark.parametrize("parts", [(), (Text(""),), (Reasoning("Hm."),)])
def test_an_answer_without_words_or_calls_is_not_sent(parts):
    """
    An answer that broke off while it thought is no message, which servers refuse without content.
    """
    assert [USER_HELLO, USER_HELLO] == render(HELLO, answer(*parts), HELLO)["messages"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(Image(DOT, "image/png"), {"url": "data:image/png;base64,iVBORw0KGgo="}, id="bytes"),
        pytest.param(
            Image(url="https://example.org/a.png"), {"url": "https://example.org/a.png"}, id="address"
        ),
        pytest.param(
            Image(url="https://example.org/a.png", detail="low"),
            {"url": "https://example.org/a.png", "detail": "low"},
            id="detail",
        ),
    ],
)
def test_an_image_is_a_part_of_the_content(image, expected):
    """
    Bytes go as a data URL, an address as it is, and the detail only where somebody asked for one.
    """
    body = render(Message(Role.USER, (image, Text("What is this?"))))

    assert [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": expected},
                {"type": "text", "text": "What is this?"},
            ],
        }
    ] == body["messages"]


def test_an_image_in_an_answer_is_left_out():
    """
    Only users can show something.
    """
    body, notes = render_all(HELLO, answer(Text("Look."), Image(DOT, "image/png")))

    assert [USER_HELLO, {"role": "assistant", "content": "Look."}] == body["messages"]
    assert ("1 image part(s) that cannot be sent to this provider were left out",) == notes


def test_a_rendered_image_does_not_show():
    """
    No base64 gets into a log or a traceback by way of the request.
    """
    request = Request(Target("mine", "m"), (Message(Role.USER, (Image(DOT, "image/png"),)),))

    assert "iVBOR" not in repr(render_request(request, COMPATIBLE)) + repr(request)


def complete(message: dict[str, Any], finish: str | None = "stop", **members: Any) -> dict[str, Any]:
    """A whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m-1", "choices": [choice], **members}


def parse(message: dict[str, Any], finish: str | None = "stop", **members: Any) -> ProviderReply:
    return parse_response(complete(message, finish, **members), COMPATIBLE)


def test_a_whole_answer():
    """
    Text, tokens, tier, model and id are where the format has them.
    """
    usage = {
        "prompt_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "completion_tokens": 50,
        "completion_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 150,
    }

    reply = parse({"content": "Hi.", "refusal": None}, usage=usage, service_tier="flex")

    assert (
        ProviderReply(
            parts=(Text("Hi."),),
            finish_reason=FinishReason.STOP,
            raw_finish_reason="stop",
            usage=Usage(10, 60, 30, 30, 20),
            billing=Billing(service_tier="flex", raw=usage),
            model="m-1",
            request_id="chatcmpl-1",
        )
        == reply
    )


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": None}, ()),
        ({"content": ""}, ()),
        ({}, ()),
        ({"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}, (Text("Hello"),)),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, (Refusal("No."),)),
        ({"content": ["Hello", None, {"text": 5}]}, ()),
        ({"content": None, "refusal": "No."}, (Refusal("No."),)),
        ({"content": "Hi.", "reasoning_content": "Hm."}, (Reasoning("Hm."), Text("Hi."))),
        ({"content": "Hi.", "reasoning": "Hm."}, (Reasoning("Hm."), Text("Hi."))),
        ({"content": "Hi.", "reasoning": "Hm.", "reasoning_content": "Hm."}, (Reasoning("Hm."), Text("Hi."))),
        ({"content": "Hi.", "reasoning": {"text": "Hm."}}, (Text("Hi."),)),
        ({"content": "Hi.", "tool_calls": [CALL_ITEM]}, (Text("Hi."), CALL)),
        (
            {"tool_calls": [{**CALL_ITEM, "id": None}]},
            (ToolCall("chatcmpl-1-0", "get_weather", {"city": "Lisbon"}),),
        ),
        (
            {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]},
            (ToolCall("a", "f", {"x": 1}),),
        ),
        (
            {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "[1"}}]},
            (ToolCall("a", "f", None, "[1"),),
        ),
        (
            {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}]},
            (ToolCall("a", "f", {}),),
        ),
        ({"tool_calls": [None, 5, {"id": 5, "function": None}]}, (ToolCall("chatcmpl-1-0", "", {}),)),
        (
            {"function_call": {"name": "f", "arguments": '{"x": 1}'}},
            (ToolCall("chatcmpl-1-0", "f", {"x": 1}),),
        ),
    ],
)
def test_what_a_message_holds(message, parts):
    """
    Content of any form, refusals, thoughts under either name, and calls of either version become parts.
    """
    assert parts == parse(message).parts


@pytest.mark.parametrize(
    ("finish", "message", "expected"),
    [
        ("stop", {"content": "Hi."}, "stop"),
        ("length", {"content": "Hi."}, "length"),
        ("content_filter", {"content": ""}, "content_filter"),
        ("tool_calls", {"tool_calls": [CALL_ITEM]}, "tool_calls"),
        ("function_call", {"function_call": CALL_ITEM["function"]}, "tool_calls"),
        ("stop", {"tool_calls": [CALL_ITEM]}, "tool_calls"),
        pytest.param("", {"tool_calls": [CALL_ITEM]}, "tool_calls", id="vector 27"),
        ("length", {"tool_calls": [CALL_ITEM]}, "length"),
        ("stop", {"refusal": "No."}, "refusal"),
        ("stop", {"content": "Hi.", "refusal": "No."}, "stop"),
        ("tool_calls", {"content": "Hi."}, "unknown"),
        ("", {"content": "Hi."}, "unknown"),
        (None, {"content": "Hi."}, "unknown"),
        ("eos_token", {"content": "Hi."}, "unknown"),
        ("abort", {"content": "Hi."}, "cancelled"),
        ("error", {"content": "Hi."}, "error"),
        ("insufficient_system_resource", {"content": "Hi."}, "error"),
    ],
)
def test_a_finish_reason(finish, message, expected):
    """
    Calls are told by the answer, not by the reason; one that is new to us is unknown, and never an error.
    """
    reply = parse(message, finish)

    assert (expected, finish) == (reply.finish_reason, reply.raw_finish_reason)


def test_a_filtered_answer_says_what_had_been_said():
    """
    The outcome of a content filter names the stage, the reason and the partial text.
    """
    assert (
        SafetyOutcome("answer", "content_filter", (), "It is")
        == parse({"content": "It is"}, "content_filter").safety
    )


@pytest.mark.parametrize("choices", [None, [], [None], "text", [{"index": 1, "message": {"content": "Hi."}}]])
def test_an_answer_without_a_first_choice_is_empty(choices):
    """
    What has choices, if not one, is an answer: empty, which the core says.
    """
    reply = parse_response({"id": "1", "choices": choices}, COMPATIBLE)

    assert ((), FinishReason.UNKNOWN) == (reply.parts, reply.finish_reason)


@pytest.mark.parametrize(
    "body", [{}, {"output": []}, {"candidates": []}, {"message": "Hi."}, {"error": None}]
)
def test_another_format_is_no_answer(body):
    """
    An object without choices is refused, not read as an empty answer.
    """
    with pytest.raises(ProtocolError):
        parse_response(body, COMPATIBLE)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "x", "message": "Sorry."}}, "x", "Sorry."),
        ({"error": {"code": "x", "message": "Sorry."}, "choices": []}, "x", "Sorry."),
        ({"error": "Sorry."}, None, "Sorry."),
        ({"code": "x", "error": "Sorry."}, "x", "Sorry."),
        ({"object": "error", "message": "Sorry.", "type": "BadRequestError", "code": 400}, None, "Sorry."),
    ],
)
def test_an_error_in_place_of_an_answer(body, code, message):
    """
    An error document is one, whatever stands beside it.
    """
    with pytest.raises(ErrorAnswer) as caught:
        parse_response(body, COMPATIBLE)

    assert (code, message) == (caught.value.body.code, caught.value.body.message)


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_no_error_is_no_error(error):
    """
    A member that is there and says nothing is not the end of an answer, nor is a code of success.
    """
    body = complete({"content": "Hi."}) | {"error": error, "code": 0, "message": "success"}

    assert "Hi." == parse_response(body, COMPATIBLE).text


@pytest.mark.parametrize(
    ("usage", "dialect", "expected"),
    [
        pytest.param(None, COMPATIBLE, Usage(), id="none"),
        pytest.param({}, COMPATIBLE, Usage(None, 0, 0, None, 0), id="empty"),
        pytest.param(
            {
                "prompt_tokens": 32,
                "prompt_tokens_details": {"cached_tokens": 8},
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 120},
                "total_tokens": 161,
            },
            XAI,
            Usage(24, 8, 0, 9, 120),
            id="vector 4: reasoning beside the completion",
        ),
        pytest.param(
            {
                "prompt_tokens": 32,
                "completion_tokens": 129,
                "completion_tokens_details": {
                    "reasoning_tokens": 20,
                    "accepted_prediction_tokens": 40,
                    "rejected_prediction_tokens": 60,
                },
                "total_tokens": 161,
            },
            COMPATIBLE,
            Usage(32, 0, 0, 109, 20),
            id="what was predicted in vain is paid like what was said",
        ),
        pytest.param(
            {
                "prompt_tokens": 32,
                "completion_tokens": 129,
                "completion_tokens_details": {"reasoning_tokens": 120},
                "total_tokens": 161,
            },
            XAI,
            Usage(32, 0, 0, 9, 120),
            id="the total says that it is within",
        ),
        pytest.param(
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 120},
            },
            XAI,
            Usage(32, 0, 0, 9, 120),
            id="without a total, beside as xAI counts",
        ),
        pytest.param(
            {
                "prompt_tokens": 32,
                "completion_tokens": 129,
                "completion_tokens_details": {"reasoning_tokens": 120},
            },
            COMPATIBLE,
            Usage(32, 0, 0, 9, 120),
            id="without a total, within as OpenAI counts",
        ),
        pytest.param(
            {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 161},
            COMPATIBLE,
            Usage(32, 0, 0, 9, 120),
            id="in the total alone",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "prompt_tokens_details": None,
                "completion_tokens": 5,
                "completion_tokens_details": None,
                "total_tokens": 15,
            },
            COMPATIBLE,
            Usage(10, 0, 0, 5, 0),
            id="details are null",
        ),
        pytest.param(
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "completion_tokens_details": {"reasoning_tokens": 6},
            },
            COMPATIBLE,
            Usage(10, 0, 0, None, 6),
            id="a part that is more than its total",
        ),
        pytest.param(
            {"prompt_tokens": "10", "completion_tokens": 5.5, "total_tokens": True},
            COMPATIBLE,
            Usage(None, 0, 0, None, 0),
            id="no counts",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 3},
            COMPATIBLE,
            Usage(10, 0, 0, 5, 0),
            id="a total that is too small",
        ),
    ],
)
def test_usage_is_disjoint(usage, dialect, expected):
    """
    The total says where reasoning was counted; a missing detail is zero, a missing object unknown.
    """
    assert expected == parse_usage(usage, dialect)


def chunk(delta: object = None, finish: str | None = None, **members: Any) -> dict[str, Any]:
    """One chunk of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "model": "m-1", "choices": [choice], **members}


def call(index: int | None = 0, identifier: str | None = None, name: str | None = None, arguments: str = ""):
    """A chunk with one fragment of a call."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    fragment: dict[str, Any] = {"function": function}
    if index is not None:
        fragment["index"] = index
    if identifier is not None:
        fragment["id"] = identifier
    return chunk({"tool_calls": [fragment]})


def read(
    *events: dict[str, Any], how: StreamEnd = StreamEnd.CLOSED, dialect: Dialect = COMPATIBLE
) -> tuple[list[Any], ProviderReply]:
    stream = ChatCompletionsStream(dialect)
    deltas = [delta for event in events for delta in stream.read(event)]
    assert not stream.complete
    return deltas, stream.end(how)


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_a_stream_is_deltas_and_then_the_whole_answer():
    """
    Words, thoughts and calls come as deltas; the reply has them whole, with the facts of all chunks.
    """
    deltas, reply = read(
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"reasoning_content": "Hm."}),
        chunk({"content": "He"}, service_tier="flex"),
        chunk({"content": "llo"}),
        call(0, "call_1", "get_weather"),
        call(0, arguments='{"city":'),
        call(1, "call_2", "get_time"),
        call(1, arguments="{}"),
        call(0, arguments=' "Lisbon"}'),
        chunk({}, "tool_calls"),
        {"id": "chatcmpl-1", "model": "m-1", "choices": [], "usage": USAGE},
        how=StreamEnd.DONE,
    )

    assert [
        ReasoningDelta("Hm."),
        TextDelta("He"),
        TextDelta("llo"),
        ToolCallDelta(0, "call_1", "get_weather"),
        ToolCallDelta(0, arguments='{"city":'),
        ToolCallDelta(1, "call_2", "get_time"),
        ToolCallDelta(1, arguments="{}"),
        ToolCallDelta(0, arguments=' "Lisbon"}'),
    ] == deltas
    assert (
        ProviderReply(
            parts=(Reasoning("Hm."), Text("Hello"), CALL, ToolCall("call_2", "get_time", {})),
            finish_reason=FinishReason.TOOL_CALLS,
            raw_finish_reason="tool_calls",
            usage=Usage(5, 0, 0, 2, 0),
            billing=Billing(service_tier="flex", raw=USAGE),
            model="m-1",
            request_id="chatcmpl-1",
        )
        == reply
    )


@pytest.mark.parametrize(
    "nothing",
    [
        chunk(None),
        chunk({}),
        chunk({"role": "assistant"}),
        chunk({"content": ""}),
        chunk({"content": None, "refusal": None, "tool_calls": None}),
        {"choices": []},
        {"choices": None},
        {"choices": [], "prompt_filter_results": []},
        {"moderation": {}},
        {},
    ],
)
def test_an_empty_chunk_is_no_content(nothing):
    """
    Who speaks, and that nothing was said, is not handed out as content.
    """
    deltas, reply = read(nothing, chunk({"content": "Hi."}), nothing, chunk({}, "stop"), nothing)

    assert ([TextDelta("Hi.")], "Hi.") == (deltas, reply.text)


def test_a_refusal_is_streamed_as_words():
    """
    The words of a refusal are shown as they come.
    """
    deltas, reply = read(chunk({"refusal": "I "}), chunk({"refusal": "won't."}), chunk({}, "stop"))

    assert ([TextDelta("I "), TextDelta("won't.")], FinishReason.REFUSAL) == (deltas, reply.finish_reason)
    assert (Refusal("I won't."),) == reply.parts


FRAGMENTS = [
    pytest.param(
        [call(0, "a", "f", '{"x'), call(0, "a", "f", '":1}')],
        [("a", "f", {"x": 1})],
        id="id and name are repeated",
    ),
    pytest.param(
        [call(None, "a", "f", '{"x'), call(None, None, None, '":1}'), call(None, "b", "g", "{}")],
        [("a", "f", {"x": 1}), ("b", "g", {})],
        id="no index",
    ),
    pytest.param(
        [call(None, None, "f", "{}"), call(None, None, "g", "{}")],
        [("chatcmpl-1-0", "f", {}), ("chatcmpl-1-1", "g", {})],
        id="neither index nor id",
    ),
    pytest.param(
        [call(0, "a", "f", "{}"), call(0, "b", "g", "{}")],
        [("a", "f", {}), ("b", "g", {})],
        id="one index for all",
    ),
    pytest.param(
        [call(0, "a", "f", "{}"), call(0, "b", "g", '{"x'), call(1, None, None, '":1}')],
        [("a", "f", {}), ("b", "g", {"x": 1})],
        id="an index that comes late",
    ),
    pytest.param(
        [call(0, "a", "f", '{"x'), call(0, "other", None, '":1}')],
        [("a", "f", {"x": 1})],
        id="a new id for each fragment",
    ),
    pytest.param(
        [call(1, "a", "f", "{}"), call(3, "b", "g", "{}")],
        [("a", "f", {}), ("b", "g", {})],
        id="an index that counts other things as well",
    ),
    pytest.param(
        [call(0, "a", None, ""), call(0, None, "f", '{"x'), call(0, None, None, '":1}')],
        [("a", "f", {"x": 1})],
        id="a name that comes late",
    ),
    pytest.param(
        [call(0, None, "f", '{"x'), call(0, "a", "f", '":1}')],
        [("chatcmpl-1-0", "f", {"x": 1})],
        id="an id that comes late",
    ),
    pytest.param(
        [call(0, "a", "f", '{"x'), call(1, "b", "g", "{}"), call(7, "a", None, '":1}')],
        [("a", "f", {"x": 1}), ("b", "g", {})],
        id="an id that is known goes before its index",
    ),
    pytest.param(
        [chunk({"function_call": {"name": "f"}}), chunk({"function_call": {"arguments": '{"x":1}'}})],
        [("chatcmpl-1-0", "f", {"x": 1})],
        id="the first version of the format",
    ),
    pytest.param(
        [chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]})],
        [("a", "f", {"x": 1})],
        id="arguments that are no text",
    ),
    pytest.param(
        [chunk({"tool_calls": [None, "x", {"function": "f"}, {"index": "0", "id": 1}]})],
        [("chatcmpl-1-0", "", {})],
        id="noise",
    ),
]


@pytest.mark.parametrize(("events", "expected"), FRAGMENTS)
def test_fragments_of_calls_find_together(events, expected):
    """
    However a server marks the fragments of its calls, the calls are those that were made.
    """
    deltas, reply = read(*events, chunk({}, "tool_calls"))

    assert expected == [(part.id, part.name, part.arguments) for part in reply.parts]
    firsts = [delta for delta in deltas if delta.id is not None]
    assert [identifier for identifier, _, _ in expected] == [delta.id for delta in firsts]
    assert list(range(len(expected))) == [delta.index for delta in firsts]


def test_a_fragment_without_news_is_no_content():
    """
    An id and a name that are only repeated say nothing.
    """
    deltas, _ = read(call(0, "a", "f"), call(0, "a", "f"), call(0, "a"), chunk({}, "tool_calls"))

    assert [ToolCallDelta(0, "a", "f")] == deltas


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([chunk({}, "stop"), {"choices": [], "usage": USAGE}], id="after the end"),
        pytest.param([chunk({}, "stop", usage=USAGE)], id="with the finish reason"),
        pytest.param([chunk({}, None, usage=USAGE), chunk({}, "stop")], id="before the finish reason"),
        pytest.param(
            [
                chunk({}, "stop", usage={**USAGE, "completion_tokens": 1, "total_tokens": 6}),
                {"choices": [], "usage": USAGE},
            ],
            id="cumulative",
        ),
        pytest.param(
            [
                chunk({}, "stop", usage=USAGE),
                {"choices": [], "usage": None},
                {"choices": [], "usage": {"prompt_tokens": None, "completion_tokens": 2}},
            ],
            id="taken back",
        ),
    ],
)
def test_usage_is_found_wherever_it_stands(events):
    """
    The last count of each kind is the one that holds, and a null takes none away.
    """
    _, reply = read(chunk({"content": "Hello"}), *events, how=StreamEnd.DONE)

    assert (Usage(5, 0, 0, 2, 0), USAGE) == (reply.usage, reply.billing.raw)


def test_a_stream_without_usage_has_unknown_tokens():
    """
    What was not counted is unknown, and not nothing.
    """
    _, reply = read(chunk({"content": "Hello"}, "stop"))

    assert (Usage(), None) == (reply.usage, reply.billing.raw)


HI = chunk({"content": "Hi."})
WHOLE = [
    # what was said, how the stream ended, finish reason, raw finish reason
    pytest.param([HI, chunk({}, "stop")], StreamEnd.DONE, "stop", "stop", id="both"),
    pytest.param([HI, chunk({}, "stop")], StreamEnd.CLOSED, "stop", "stop", id="a finish reason"),
    pytest.param([HI, chunk({}, "odd")], StreamEnd.CLOSED, "unknown", "odd", id="a new finish reason"),
    pytest.param([HI], StreamEnd.DONE, "unknown", None, id="[DONE] after content"),
    pytest.param([call(0, "a", "f", "{}")], StreamEnd.DONE, "unknown", None, id="[DONE] after a call"),
    pytest.param([call(0, "a", "f", "{}"), chunk({}, "")], StreamEnd.DONE, "tool_calls", "", id="vector 27"),
    pytest.param([HI, chunk({}, ""), chunk({}, "stop")], StreamEnd.CLOSED, "stop", "stop", id="empty first"),
    pytest.param([HI, chunk({}, "stop"), chunk({}, "")], StreamEnd.CLOSED, "stop", "stop", id="empty last"),
    pytest.param([], StreamEnd.DONE, "unknown", None, id="[DONE] alone"),
    pytest.param(
        [chunk({}, "stop"), HI, chunk({}, "length")], StreamEnd.CLOSED, "length", "length", id="two"
    ),
    pytest.param([HI, chunk({}, "stop")], StreamEnd.BROKEN, "stop", "stop", id="broken after the end"),
    pytest.param(
        [HI, chunk({}, "stop"), {"choices": [], "usage": USAGE}],
        StreamEnd.BROKEN,
        "stop",
        "stop",
        id="broken after the usage",
    ),
]


@pytest.mark.parametrize(("events", "how", "finish", "raw"), WHOLE)
def test_a_stream_with_a_sign_that_it_is_whole(events, how, finish, raw):
    """
    A finish reason says so, and so does ``[DONE]``.
    """
    _, reply = read(*events, how=how)

    assert (finish, raw) == (reply.finish_reason, reply.raw_finish_reason)


HALF = [
    pytest.param([], StreamEnd.CLOSED, id="nothing"),
    pytest.param([HI], StreamEnd.CLOSED, id="words"),
    pytest.param([HI, chunk({}, "")], StreamEnd.CLOSED, id="an empty finish reason"),
    pytest.param([HI, {"choices": [], "usage": USAGE}], StreamEnd.CLOSED, id="usage"),
    pytest.param([HI], StreamEnd.BROKEN, id="broken"),
    pytest.param([chunk({"content": "Hi."}, "stop"), HI], StreamEnd.BROKEN, id="broken after more"),
    pytest.param(
        [chunk({"content": "Hi."}, "stop"), chunk({"content": "Hi."}, "stop")],
        StreamEnd.BROKEN,
        id="broken where every chunk has a finish reason",
    ),
]


@pytest.mark.parametrize(("events", "how"), HALF)
def test_a_stream_without_that_sign_is_no_answer(events, how):
    """
    However much text came, it is not called whole without evidence.
    """
    with pytest.raises(ProtocolError):
        read(*events, how=how)


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": "server_error", "message": "Sorry."}},
        {"error": {"code": "server_error", "message": "Sorry."}, "choices": []},
        chunk({"content": ""}, "error", error={"code": "server_error", "message": "Sorry."}),
    ],
)
def test_an_error_in_the_stream_is_raised_at_once(error):
    """
    An error ends the answer, also where a router sends it with a choice that has ended.
    """
    stream = ChatCompletionsStream(COMPATIBLE)
    stream.read(HI)

    with pytest.raises(ErrorAnswer) as caught:
        stream.read(error)

    assert ("server_error", "Sorry.") == (caught.value.body.code, caught.value.body.message)


def test_only_the_first_choice_is_read():
    """
    Nobody asked for a second one.
    """
    second = {"choices": [{"index": 1, "delta": {"content": "Bye."}, "finish_reason": "length"}]}

    _, reply = read(HI, second, chunk({}, "stop"))

    assert ("Hi.", FinishReason.STOP) == (reply.text, reply.finish_reason)


@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=10))
def test_words_cut_anywhere_are_the_same_answer(text, cuts):
    """
    However many chunks a text comes in, it is the text of a whole answer, and so are its facts.
    """
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(edges)]

    deltas, reply = read(*(chunk({"content": piece}) for piece in pieces), chunk({}, "stop", usage=USAGE))

    assert text == "".join(delta.text for delta in deltas)
    assert parse({"content": text}, usage=USAGE) == reply
