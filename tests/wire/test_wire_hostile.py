"""Answers that are long, deep or odd on purpose: read in time that grows with them, and storable."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from tertulia import ProtocolError, Text, ToolCall
from tertulia.runtime.serialization import decode_json, decode_parts, encode_json, encode_parts
from tertulia.wire import classify, parse_error_body, parse_retry_after
from tertulia.wire.chat_completions import ChatCompletionsStream, Dialect, parse_response, parse_usage
from tertulia.wire.protocol import MOST_LEVELS, parse_arguments
from tertulia_gemini.wire import GeminiStream

pytestmark = pytest.mark.no_cover  # much of the same: measuring it would take longer than doing it


def nest(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


class Compared(str):
    """A text that counts how often it is compared."""

    times = 0
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str(self) == other


def test_many_tool_calls_are_not_compared_with_one_another():
    """
    The call of a fragment is found at once, however many there are.
    """
    stream = ChatCompletionsStream(Dialect())
    for number in range(1000):
        call = {
            "index": number,
            "id": Compared(f"call_{number}"),
            "function": {"name": "f", "arguments": "{}"},
        }
        stream.read({"choices": [{"delta": {"tool_calls": [call]}}]})
    stream.read({"choices": [{"finish_reason": "tool_calls"}]})

    assert 1000 == len(stream.end().parts)
    assert Compared.times < 10_000


@pytest.mark.parametrize("index", [10**9, 10**40, -1, 0.5, "0", None, [], True])
def test_an_index_of_any_kind_makes_one_call(index):
    """
    A call's place is what came first, whatever the service calls it.
    """
    stream = ChatCompletionsStream(Dialect())
    for fragment in ({"id": "call_1", "function": {"name": "f"}}, {"function": {"arguments": "{}"}}):
        stream.read({"choices": [{"delta": {"tool_calls": [{**fragment, "index": index}]}}]})
    stream.read({"choices": [{"finish_reason": "tool_calls"}]})

    assert (ToolCall("call_1", "f", {}),) == stream.end().parts


def test_a_long_answer_of_gemini_takes_time_with_its_length():
    """
    A hundred thousand chunks are a second's work, not a minute's.
    """
    stream = GeminiStream("gemini")
    began = time.process_time()
    for _ in range(100_000):
        stream.read({"candidates": [{"content": {"parts": [{"text": "0123456789"}]}}]})
    stream.read({"candidates": [{"finishReason": "STOP"}]})

    assert (Text("0123456789" * 100_000),) == stream.end().parts
    assert time.process_time() - began < 10


@pytest.mark.parametrize("raw", ['{"a": 1e999}', '{"a": -1e999}', '{"a": NaN}', nest(MOST_LEVELS + 1)])
def test_arguments_that_could_not_be_sent_again_stay_as_they_were_written(raw):
    """
    A number beyond all floats, or too many levels, are kept as text and lose nothing.
    """
    assert parse_arguments(raw) is None
    call = {"id": "call_1", "function": {"name": "f", "arguments": raw}}
    body = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}

    assert (ToolCall("call_1", "f", None, raw),) == parse_response(body, Dialect()).parts


def test_the_deepest_arguments_there_may_be_can_be_stored():
    """
    What is read can be written, and read back.
    """
    parts = (ToolCall("call_1", "f", parse_arguments(nest(MOST_LEVELS))),)

    assert json.loads(nest(MOST_LEVELS)) == parts[0].arguments
    assert parts == decode_parts(encode_parts(parts))


def test_half_a_character_in_arguments_is_replaced():
    """
    A lone surrogate could be neither stored nor sent; a pair is one character.
    """
    assert {"a\ufffd": ["\ufffdx", "💧"]} == parse_arguments('{"a\\ud83d": ["\\udca7x", "\\ud83d\\udca7"]}')


def test_json_deeper_than_can_be_written_is_refused():
    """
    Not only what Python cannot read, also what it could read and not write.
    """
    assert json.loads(nest(MOST_LEVELS)) == decode_json(nest(MOST_LEVELS))
    for levels in (MOST_LEVELS + 1, 900, 100_000):
        with pytest.raises(ProtocolError, match="nested too deeply"):
            decode_json(nest(levels))


def test_a_mark_before_json_is_passed_over():
    """
    Windows servers begin a file with a byte order mark.
    """
    assert {"a": 1} == decode_json(b'\xef\xbb\xbf{"a": 1}') == decode_json('\ufeff{"a": 1}')


def test_half_a_character_in_an_answer_is_replaced():
    """
    A lone surrogate becomes U+FFFD, in names too; a pair, and what looks like an escape, stay.
    """
    assert {"a\ufffd": ["Hello \ufffd", "💧", "\\ud83d"]} == decode_json(
        b'{"a\\ud83d": ["Hello \\ud83d", "\\ud83d\\udca7", "\\\\ud83d"]}'
    )


def test_a_number_that_is_none_is_written_as_null():
    """
    Beside a number that only the standard library writes, too.
    """
    assert b'{"a":null}' == encode_json({"a": float("inf")})
    assert b'{"a":null,"b":%d}' % 10**40 == encode_json({"a": float("inf"), "b": 10**40})


@pytest.mark.parametrize(
    "body",
    [
        [],
        [None],
        [[{"error": "No."}]],
        [["error"]],
        {"error": 5},
        {"error": []},
        {"error": [{"message": "x"}]},
    ],
)
def test_what_only_resembles_an_error_is_none(body):
    """
    A list in a list is nobody's way to say no, and what is no text says nothing.
    """
    assert parse_error_body(body) is None


@pytest.mark.parametrize("count", [2**63, 10**40, 1e19, -1, 0.5, "7", True, None, [7]])
def test_a_count_that_is_none_is_unknown(count):
    """
    What no database can keep was never counted.
    """
    usage = {"prompt_tokens": count, "completion_tokens": 2**63 - 1}

    assert (None, 2**63 - 1) == (
        parse_usage(usage, Dialect()).input_tokens,
        parse_usage(usage, Dialect()).output_tokens,
    )


def test_a_wait_beyond_all_numbers_is_no_hint():
    """
    A wait of thousands of digits is no number of seconds.
    """
    body = parse_error_body({"error": f"Please retry in {'9' * 4000}s."})

    assert body is not None
    assert parse_retry_after({}, body, datetime(2026, 11, 22, tzinfo=UTC)) is None


def test_an_error_of_a_million_words_is_cut():
    """
    Every text of an error is as long as anybody reads, and no longer.
    """
    long = "x" * 10**6
    error = {"message": long, "code": long, "type": long, "param": long, "details": [{"a": long}]}
    for document in ({"error": error}, {"error": long, "code": long}, {"type": "error", **error}):
        body = parse_error_body(document)
        assert body is not None
        found = classify((), body, status=400, headers={}, now=datetime(2026, 11, 22, tzinfo=UTC))
        words = (body.message, body.code, body.type, body.parameter, found.message, found.code)
        assert 8192 == max(len(word or "") for word in words)
