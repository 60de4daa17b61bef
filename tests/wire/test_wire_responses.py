"""The Responses format, which OpenAI and xAI speak, as pure functions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

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
from tertulia.wire import ErrorAnswer
from tertulia.wire.responses import Dialect, ResponsesStream, parse_response, parse_usage, render_request

OPENAI = Dialect()
XAI = Dialect(system_as_instructions=False, assistant_as_string=True)

HELLO = Message.of("user", "Hello")
USER_HELLO = {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAA"}
CALL = ToolCall("call_1", "get_weather", {"city": "Lisbon"})
CALL_ITEM = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"city":"Lisbon"}',
}


def render(*messages: Message, dialect: Dialect = OPENAI, **request: Any) -> dict[str, Any]:
    """The body for a provider named ``mine``."""
    return render_all(*messages, dialect=dialect, **request)[0]


def render_all(
    *messages: Message,
    dialect: Dialect = OPENAI,
    reasons: bool | None = None,
    stream: bool = False,
    **request: Any,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    rendered = render_request(
        Request(Target("mine", "some-model"), messages, stream=stream, **request),
        dialect,
        reasons=reasons,
    )
    return rendered.body, rendered.notes


def answer(*parts: Part) -> Message:
    return Message(Role.ASSISTANT, parts)


def mine(value: Any) -> OpaqueState:
    return OpaqueState("mine", value)


def test_the_smallest_request():
    """
    Nothing is sent that nobody asked for, and nothing is kept at the service.
    """
    assert {"model": "some-model", "store": False, "input": [USER_HELLO]} == render(HELLO)


def test_everything_that_a_request_can_hold():
    """
    The options of the format, the stream, the cache key and the question for encrypted reasoning.
    """
    options = Options(temperature=0.5, top_p=0.9, max_output_tokens=100, service_tier="flex")
    conversation = UUID("01890000-0000-7000-8000-000000000001")

    body = render(HELLO, options=options, stream=True, reasons=True, conversation_id=conversation)

    assert {
        "model": "some-model",
        "store": False,
        "input": [USER_HELLO],
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "01890000-0000-7000-8000-000000000001",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 100,
        "service_tier": "flex",
        "stream": True,
    } == body


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("temperature", 0.0),
        ("temperature", 2.0),
        ("top_p", 1.0),
        ("max_output_tokens", 1),
        ("service_tier", "priority"),
    ],
)
def test_an_option_is_one_member(option, value):
    """
    An option that is set is sent under its name, also where its value is zero.
    """
    body = render(HELLO, options=Options(**{option: value}))

    assert {"model": "some-model", "store": False, "input": [USER_HELLO], option: value} == body


def test_system_messages_are_instructions():
    """
    Several system messages are one text of instructions, in order, with a blank line between.
    """
    body = render(Message.of("system", "Be kind."), Message.of("system", "Be brief."), HELLO)

    assert {
        "model": "some-model",
        "store": False,
        "instructions": "Be kind.\n\nBe brief.",
        "input": [USER_HELLO],
    } == body


def test_system_messages_are_items():
    """
    In xAI's dialect each system message is an item, and there are no instructions.
    """
    body = render(Message.of("system", "Be kind."), HELLO, dialect=XAI)

    assert {
        "model": "some-model",
        "store": False,
        "input": [{"role": "system", "content": "Be kind."}, USER_HELLO],
    } == body


@pytest.mark.parametrize(
    ("dialect", "content"),
    [
        pytest.param(OPENAI, [{"type": "output_text", "text": "Hi."}], id="parts"),
        pytest.param(XAI, "Hi.", id="string"),
    ],
)
def test_an_earlier_answer(dialect, content):
    """
    What was answered before goes back as parts, or in xAI's dialect as a plain string.
    """
    body = render(HELLO, Message.of("assistant", "Hi."), HELLO, dialect=dialect)

    assert [USER_HELLO, {"role": "assistant", "content": content}, USER_HELLO] == body["input"]


@pytest.mark.parametrize(
    ("dialect", "content"),
    [
        pytest.param(OPENAI, [{"type": "refusal", "refusal": "I won't."}], id="parts"),
        pytest.param(XAI, "I won't.", id="string"),
    ],
)
def test_an_earlier_refusal(dialect, content):
    """
    A refusal goes back as one, or in xAI's dialect as the words it was said in.
    """
    body = render(HELLO, answer(Refusal("I won't.")), dialect=dialect)

    assert [USER_HELLO, {"role": "assistant", "content": content}] == body["input"]


def test_own_reasoning_goes_back_before_what_followed_it():
    """
    A reasoning item is sent again unchanged, directly before the call that followed it.
    """
    reply = answer(Reasoning("", mine(THOUGHT)), CALL, Text("One moment."))
    result = Message(Role.TOOL, (ToolResult("call_1", "get_weather", "sunny"),))

    body, notes = render_all(HELLO, reply, result)

    assert [
        USER_HELLO,
        THOUGHT,
        CALL_ITEM,
        {"role": "assistant", "content": [{"type": "output_text", "text": "One moment."}]},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    ] == body["input"]
    assert () == notes


def test_the_phase_of_an_earlier_answer_goes_back():
    """
    What OpenAI called commentary or final answer is called so again.
    """
    body = render(HELLO, answer(Text("Hi.", mine({"phase": "final_answer"}))))

    assert {
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hi."}],
        "phase": "final_answer",
    } == body["input"][1]


@pytest.mark.parametrize("dialect", [OPENAI, XAI])
def test_opaque_state_of_others_stays_away(dialect):
    """
    Reasoning and items of another provider are left out, and the reply will say so.
    """
    theirs = OpaqueState("theirs", {"type": "reasoning", "encrypted_content": "theirs"})
    reply = answer(
        Reasoning("Hm.", theirs),
        Reasoning("Hm.", theirs),
        Text("Hi.", OpaqueState("theirs", {"thoughtSignature": "theirs"})),
        Foreign("executableCode", theirs),
    )

    body, notes = render_all(HELLO, reply, dialect=dialect)

    assert "theirs" not in json.dumps(body)
    assert 2 == len(body["input"])
    assert (
        "2 reasoning part(s) that cannot be sent to this provider were left out",
        "1 executableCode part(s) that cannot be sent to this provider were left out",
    ) == notes


def test_own_foreign_items_go_back_unchanged():
    """
    An item that has no neutral form returns to the provider that wrote it, as it was.
    """
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "Lisbon"}}

    body, notes = render_all(HELLO, answer(Foreign("web_search_call", mine(item)), Text("Sunny.")))

    assert (item, ()) == (body["input"][1], notes)


def test_reasoning_that_nothing_followed_is_dropped():
    """
    An answer that broke off while it thought leaves no reasoning item behind, which would be a 400.
    """
    reply = answer(Text("Hi."), Reasoning("", mine(THOUGHT)), Reasoning("", mine(THOUGHT)))

    assert [
        USER_HELLO,
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
        USER_HELLO,
    ] == render(HELLO, reply, HELLO)["input"]


@pytest.mark.parametrize("dialect", [OPENAI, XAI])
def test_an_empty_text_is_not_sent(dialect):
    """
    The empty text that carries Gemini's signature is nothing to xAI but a 400.
    """
    signed = Text("", OpaqueState("gemini", {"thoughtSignature": "c2ln"}))

    assert render(HELLO, answer(CALL), dialect=dialect) == render(
        HELLO, answer(CALL, signed), dialect=dialect
    )


def test_arguments_that_are_no_object_go_back_as_they_were():
    """
    What a model wrote in place of a JSON object is what it sees again.
    """
    body = render(HELLO, answer(ToolCall("call_1", "get_weather", raw_arguments='{"city":')))

    assert {**CALL_ITEM, "arguments": '{"city":'} == body["input"][1]


DOT = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("dialect", [OPENAI, XAI])
@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(
            Image(DOT, "image/png"), {"image_url": "data:image/png;base64,iVBORw0KGgo="}, id="bytes"
        ),
        pytest.param(
            Image(url="https://example.org/a.png"), {"image_url": "https://example.org/a.png"}, id="address"
        ),
        pytest.param(
            Image(url="https://example.org/a.png", detail="original"),
            {"image_url": "https://example.org/a.png", "detail": "original"},
            id="detail",
        ),
    ],
)
def test_an_image_is_a_part_of_the_content(dialect, image, expected):
    """
    Bytes go as a data URL, an address as it is, and the detail only where somebody asked for one.
    """
    body = render(Message(Role.USER, (image, Text("What is this?"))), dialect=dialect)

    content = [{"type": "input_image", **expected}, {"type": "input_text", "text": "What is this?"}]
    assert [{"role": "user", "content": content}] == body["input"]


def test_an_image_in_an_answer_is_left_out():
    """
    Only users can show something.
    """
    body, notes = render_all(HELLO, answer(Text("Look."), Image(DOT, "image/png")))

    assert 1 == len(body["input"][1]["content"])
    assert ("1 image part(s) that cannot be sent to this provider were left out",) == notes


def item(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": kind, **members}


def said(text: str, **members: Any) -> dict[str, Any]:
    return item("message", role="assistant", content=[item("output_text", text=text)], **members)


def respond(*output: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A Responses object."""
    return {"id": "resp_1", "status": "completed", "model": "some-model-1", "output": list(output), **members}


def test_a_whole_answer():
    """
    Text, tokens, tier, model and id are where the format has them.
    """
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 150,
    }

    reply = parse_response(respond(said("Hi."), usage=usage, service_tier="flex", error=None), "mine")

    assert (
        ProviderReply(
            parts=(Text("Hi."),),
            finish_reason=FinishReason.STOP,
            raw_finish_reason="completed",
            usage=Usage(10, 60, 30, 30, 20),
            billing=Billing(service_tier="flex", raw=usage),
            model="some-model-1",
            request_id="resp_1",
        )
        == reply
    )


def test_reasoning_before_a_call_is_kept():
    """
    Vector 28: a reasoning item and then a call are opaque state and then a call, which the reply ends for.
    """
    thought = {**THOUGHT, "summary": [{"type": "summary_text", "text": "Weather."}]}

    reply = parse_response(respond(thought, {**CALL_ITEM, "id": "fc_1"}), "mine")

    assert (FinishReason.TOOL_CALLS, (Reasoning("Weather.", mine(thought)), CALL)) == (
        reply.finish_reason,
        reply.parts,
    )


def test_what_was_parsed_is_what_goes_back():
    """
    Parsed and rendered again, an answer's items are the service's own, in their order.
    """
    search = item("web_search_call", id="ws_1", status="completed")
    output = [THOUGHT, search, said("Looking.", phase="commentary"), THOUGHT, CALL_ITEM]

    rendered = render(HELLO, answer(*parse_response(respond(*output), "mine").parts))

    spoken = {
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Looking."}],
        "phase": "commentary",
    }
    assert [USER_HELLO, THOUGHT, search, spoken, THOUGHT, CALL_ITEM] == rendered["input"]


def test_items_of_unknown_types_are_kept():
    """
    An item that is new to us is kept whole under its own name.
    """
    dream = item("dream", id="dr_1", depth=3)

    assert (Foreign("dream", mine(dream)), Text("Hi.")) == parse_response(
        respond(dream, said("Hi.")), "mine"
    ).parts


@pytest.mark.parametrize(
    ("members", "output", "finish", "raw"),
    [
        ({"status": "completed"}, [said("Hi.")], "stop", "completed"),
        ({"status": "completed"}, [], "stop", "completed"),
        ({"status": "completed"}, [said("One moment."), CALL_ITEM], "tool_calls", "completed"),
        ({"incomplete_details": {"reason": "max_output_tokens"}}, [], "length", "max_output_tokens"),
        ({"incomplete_details": {"reason": "content_filter"}}, [], "content_filter", "content_filter"),
        ({"incomplete_details": {"reason": "steered"}}, [], "pause", "steered"),
        ({"incomplete_details": {"reason": "max_messages"}}, [], "pause", "max_messages"),
        ({"incomplete_details": {"reason": "bored"}}, [], "unknown", "bored"),
        ({"status": "queued"}, [], "pause", "queued"),
        ({"status": "in_progress"}, [], "pause", "in_progress"),
        ({"status": "cancelled"}, [], "cancelled", "cancelled"),
        ({"status": "dreaming"}, [], "unknown", "dreaming"),
    ],
)
def test_a_status_is_a_finish_reason(members, output, finish, raw):
    """
    Every documented status has its place in the common vocabulary, and a new one is unknown, not an error.
    """
    reply = parse_response(respond(*output, **{"status": "incomplete", **members}), "mine")

    assert (finish, raw) == (reply.finish_reason, reply.raw_finish_reason)


def test_a_refusal_ends_with_refusal():
    """
    An answer of nothing but a refusal is one, and its words are the answer's text.
    """
    refused = item("message", role="assistant", content=[item("refusal", refusal="I won't.")])

    reply = parse_response(respond(refused), "mine")

    assert (FinishReason.REFUSAL, (Refusal("I won't."),), "I won't.") == (
        reply.finish_reason,
        reply.parts,
        reply.text,
    )


def test_a_filtered_answer_says_what_had_been_said():
    """
    The outcome of a content filter names the stage, the reason and the partial text.
    """
    body = respond(said("It is"), status="incomplete", incomplete_details={"reason": "content_filter"})

    assert SafetyOutcome("answer", "content_filter", (), "It is") == parse_response(body, "mine").safety


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(None, Usage(), id="none"),
        pytest.param({}, Usage(None, 0, 0, None, 0), id="empty"),
        pytest.param(
            {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": None},
            Usage(10, 0, 0, 5, 0),
            id="vector 30: details are null",
        ),
        pytest.param(
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "input_tokens_details": {"cached_tokens": None},
                "output_tokens_details": {"reasoning_tokens": None},
            },
            Usage(10, 0, 0, 5, 0),
            id="a detail is null",
        ),
        pytest.param(
            {"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 6}},
            Usage(10, 0, 0, None, 6),
            id="a part that is more than its total",
        ),
        pytest.param(
            {"input_tokens": "10", "output_tokens": 5.5}, Usage(None, 0, 0, None, 0), id="no counts"
        ),
    ],
)
def test_usage_is_disjoint(usage, expected):
    """
    A missing detail is zero, a missing object is unknown, and a contradiction is unknown as well.
    """
    assert expected == parse_usage(usage)


@pytest.mark.parametrize("body", [{}, {"output": None}, {"output": "Hi."}, {"choices": []}])
def test_another_format_is_no_answer(body):
    """
    An object without a list of output is refused, not read as an empty answer.
    """
    with pytest.raises(ProtocolError):
        parse_response(body, "mine")


@pytest.mark.parametrize(
    "body",
    [
        respond(status="failed", error={"code": "server_error", "message": "Sorry."}),
        {"error": {"code": "server_error", "message": "Sorry."}},
    ],
)
def test_a_failed_response_is_the_error_it_names(body):
    """
    A response that failed is an error with the service's code and words.
    """
    with pytest.raises(ErrorAnswer) as caught:
        parse_response(body, "mine")

    assert ("server_error", "Sorry.") == (caught.value.body.code, caught.value.body.message)


def read(*events: dict[str, Any]) -> tuple[list[Any], ProviderReply]:
    stream = ResponsesStream("mine")
    return [delta for event in events for delta in stream.read(event)], stream.end()


def event(name: str, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{name}", **members}


def stream_of(*output: dict[str, Any], before: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    return [event("created"), event("in_progress"), *before, event("completed", response=respond(*output))]


def test_a_stream_is_deltas_and_then_the_whole_answer():
    """
    Words, thoughts and calls come as deltas; the reply is what the last event says.
    """
    before = [
        event("output_item.added", output_index=0, item=item("reasoning")),
        event("reasoning_summary_text.delta", output_index=0, delta="Hm."),
        event("output_item.done", output_index=0, item=THOUGHT),
        event("output_item.added", output_index=1, item=item("message")),
        event("output_text.delta", output_index=1, content_index=0, delta="He"),
        event("output_text.delta", output_index=1, content_index=0, delta="llo"),
        event("something.new", output_index=1, delta="?"),
        event("output_item.added", output_index=2, item={**CALL_ITEM, "arguments": ""}),
        event("function_call_arguments.delta", output_index=2, delta='{"city":'),
        event("output_item.added", output_index=3, item={**CALL_ITEM, "call_id": "call_2"}),
        event("function_call_arguments.delta", output_index=3, delta="{}"),
        event("function_call_arguments.delta", output_index=2, delta=' "Lisbon"}'),
    ]

    deltas, reply = read(*stream_of(THOUGHT, said("Hello"), CALL_ITEM, before=before))

    assert [
        ReasoningDelta("Hm."),
        TextDelta("He"),
        TextDelta("llo"),
        ToolCallDelta(0, "call_1", "get_weather"),
        ToolCallDelta(0, arguments='{"city":'),
        ToolCallDelta(1, "call_2", "get_weather"),
        ToolCallDelta(1, arguments="{}"),
        ToolCallDelta(0, arguments=' "Lisbon"}'),
    ] == deltas
    assert (Reasoning("", mine(THOUGHT)), Text("Hello"), CALL) == reply.parts


def test_a_refusal_is_streamed_as_words():
    """
    The words of a refusal are shown as they come.
    """
    refused = item("message", content=[item("refusal", refusal="No.")])

    deltas, reply = read(*stream_of(refused, before=[event("refusal.delta", delta="No.")]))

    assert ([TextDelta("No.")], FinishReason.REFUSAL) == (deltas, reply.finish_reason)


def test_items_stand_in_for_a_last_event_without_output():
    """
    A service that leaves the output out of its last event is taken by the items it finished, in order.
    """
    before = [
        event("output_item.done", output_index=1, item=said("Hi.")),
        event("output_item.done", output_index=0, item=THOUGHT),
    ]

    assert (Reasoning("", mine(THOUGHT)), Text("Hi.")) == read(*stream_of(before=before))[1].parts


@pytest.mark.parametrize("last", ["completed", "incomplete", "done"])
def test_a_terminal_event_completes_the_stream(last):
    """
    Each of the events that end a stream says that nothing of use can follow.
    """
    stream = ResponsesStream("mine")
    stream.read(event("created"))
    before = stream.complete

    stream.read(event(last, response=respond(said("Hi."))))

    assert (False, True, "Hi.") == (before, stream.complete, stream.end().text)


def test_a_stream_without_its_last_event_is_no_answer():
    """
    However much text came, a stream that nothing completed is not whole.
    """
    stream = ResponsesStream("mine")
    stream.read(event("output_text.delta", delta="Hello"))

    with pytest.raises(ProtocolError):
        stream.end()


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "error": {"type": "x", "code": "insufficient_quota", "message": "No money."}},
        {"type": "error", "code": "insufficient_quota", "message": "No money.", "param": None},
    ],
)
def test_an_error_in_the_stream_is_raised_at_once(error):
    """
    Vector 23: the error event ends the stream, whether it is nested, as recorded, or flat, as documented.
    """
    stream = ResponsesStream("mine")
    stream.read(event("created"))
    stream.read(event("in_progress"))

    with pytest.raises(ErrorAnswer) as caught:
        stream.read(error)

    assert ("insufficient_quota", "No money.") == (caught.value.body.code, caught.value.body.message)


def test_a_failed_stream_is_the_error_it_names():
    """
    A stream that ends in ``response.failed`` without an error event is that response's error.
    """
    failed = respond(status="failed", error={"code": "server_error", "message": "Sorry."})

    with pytest.raises(ErrorAnswer) as caught:
        read(event("created"), event("failed", response=failed))

    assert "server_error" == caught.value.body.code


def test_the_sources_of_an_answer_are_kept_and_not_sent_again():
    """
    They stand behind the words they belong to, and go back to nobody.
    """
    source = {"type": "url_citation", "url": "https://example.org/", "start_index": 0, "end_index": 4}
    content = {"type": "output_text", "text": "Rain.", "annotations": [source]}
    body = {"status": "completed", "output": [{"type": "message", "content": [content]}]}

    parts = parse_response(body, "mine").parts
    again = render_request(
        Request(Target("mine", "m"), (Message(Role.ASSISTANT, parts),)), OPENAI, reasons=True
    )

    assert (Text("Rain."), Foreign("annotations", OpaqueState("mine", {"annotations": [source]}))) == parts
    assert [{"role": "assistant", "content": [{"type": "output_text", "text": "Rain."}]}] == again.body[
        "input"
    ]
    assert () == again.notes
