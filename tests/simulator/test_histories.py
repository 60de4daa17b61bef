"""Conversations that could not have gone like this, and what each service says of them."""

from __future__ import annotations

from typing import Any

import pytest

from .dialects import DIALECTS

ASKED: Any = {"role": "user", "content": "What is 2 + 3?"}
CALL: Any = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"}
OUTPUT: Any = {"type": "function_call_output", "call_id": "call_1", "output": "5"}
CHAT_CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
CALLING: Any = {"role": "assistant", "tool_calls": [CHAT_CALL]}
ANSWERED: Any = {"role": "tool", "tool_call_id": "call_1", "content": "5"}
USER: Any = {"role": "user", "parts": [{"text": "What is 2 + 3?"}]}
SKIPPED = "skip_thought_signature_validator"


def called(*names: str) -> Any:
    """A content of Gemini's with calls, which need not be signed."""
    parts = [{"functionCall": {"name": name, "args": {}}, "thoughtSignature": SKIPPED} for name in names]
    return {"role": "model", "parts": parts}


def returned(*names: str) -> Any:
    """A content of Gemini's with results."""
    parts = [{"functionResponse": {"name": name, "response": {"output": "5"}}} for name in names]
    return {"role": "user", "parts": parts}


NOT_ANSWERED_IN_CHAT = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
    "'tool_call_id'. The following tool_call_ids did not have response messages: call_1"
)
NOT_AFTER_CALLS = "Please ensure that function response turn comes immediately after a function call turn."
NOT_AS_MANY = (
    "Please ensure that the number of function response parts is equal to the number of function call parts "
    "of the function call turn."
)
NOT_AFTER_USER = (
    "Please ensure that function call turn comes immediately after a user turn or after a function response "
    "turn."
)

UNREADABLE = "Failed to deserialize the JSON body into the target type:"
BAD_HISTORIES: list[tuple[str, list[Any], str]] = [
    ("openai", [ASKED, CALL], "No tool output found for function call call_1."),
    ("openai", [ASKED, CALL, ASKED, OUTPUT], "No tool output found for function call call_1."),
    ("openai", [ASKED, OUTPUT], "No tool call found for function call output with call_id call_1."),
    ("openai", [OUTPUT, CALL], "No tool call found for function call output with call_id call_1."),
    ("openai", [ASKED, {**CALL, "call_id": None}], "Missing required parameter: 'input[1].call_id'."),
    (
        "openai",
        [ASKED, {**CALL, "arguments": {}}],
        "Invalid type for 'input[1].arguments': expected a string, but got an object instead.",
    ),
    (
        "openai",
        [ASKED, {**CALL, "id": "call_1"}, OUTPUT],
        "Invalid 'input[1].id': 'call_1'. Expected an ID that begins with 'fc'.",
    ),
    ("openai", [ASKED, CALL, {**OUTPUT, "output": None}], "Missing required parameter: 'input[2].output'."),
    (
        "openai",
        [ASKED, CALL, {**OUTPUT, "output": {}}],
        (
            "Invalid type for 'input[2].output': expected one of an array of objects or string, but got an "
            "object instead."
        ),
    ),
    ("openai-chat", [ASKED, CALLING], NOT_ANSWERED_IN_CHAT),
    ("openai-chat", [ASKED, CALLING, ASKED, ANSWERED], NOT_ANSWERED_IN_CHAT),
    (
        "openai-chat",
        [ASKED, ANSWERED],
        (
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'."
        ),
    ),
    (
        "openai-chat",
        [ASKED, CALLING, {**ANSWERED, "tool_call_id": "call_2"}],
        "Invalid parameter: 'tool_call_id' of 'call_2' not found in 'tool_calls' of previous message.",
    ),
    (
        "openai-chat",
        [ASKED, {"role": "assistant", "tool_calls": [{**CHAT_CALL, "id": None}]}],
        "Missing required parameter: 'messages[1].tool_calls[0].id'.",
    ),
    (
        "openai-chat",
        [ASKED, {"role": "assistant", "tool_calls": [{**CHAT_CALL, "function": {"name": "add"}}]}],
        "Missing required parameter: 'messages[1].tool_calls[0].function.arguments'.",
    ),
    ("xai", [ASKED, CALL], "No tool output found for function call call_1."),
    ("xai", [ASKED, CALL, ASKED, OUTPUT], "No tool output found for function call call_1."),
    ("xai", [ASKED, OUTPUT], "No tool call found for call_id call_1."),
    (
        "xai",
        [ASKED, {**CALL, "arguments": {}}],
        (f"{UNREADABLE} input: data did not match any variant of untagged enum ModelInputItem"),
    ),
    ("xai-chat", [ASKED, CALLING], "No tool output found for function call call_1."),
    ("xai-chat", [ASKED, CALLING, ASKED], "No tool output found for function call call_1."),
    ("xai-chat", [ASKED, ANSWERED], "No tool call found for tool_call_id call_1."),
    (
        "xai-chat",
        [ASKED, {"role": "assistant", "tool_calls": [{"id": "call_1", "function": {"name": "add"}}]}],
        (f"{UNREADABLE} messages: tool_calls: missing field `arguments`"),
    ),
    ("gemini", [USER, called("add")], NOT_AS_MANY),
    ("gemini", [USER, called("add"), USER], NOT_AS_MANY),
    ("gemini", [USER, returned("add")], NOT_AFTER_CALLS),
    ("gemini", [USER, called("add", "add"), returned("add")], NOT_AS_MANY),
    ("gemini", [USER, called("add", "sub"), returned("add"), returned("sub")], NOT_AS_MANY),
    (
        "gemini",
        [USER, called("add", "sub"), returned("sub", "add")],
        "Function response 0 is for 'sub' (None), but function call 0 is 'add' (None).",
    ),
    ("gemini", [{**called("add"), "role": "user"}, returned("add")], NOT_AFTER_USER),
    (
        "gemini",
        [USER, called("add"), {"role": "user", "parts": [{"functionResponse": {"response": {}}}]}],
        "* GenerateContentRequest.contents[2].parts[0].function_response.name: Name cannot be empty.\n",
    ),
    (
        "gemini",
        [
            USER,
            called("add"),
            {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": "5"}}]},
        ],
        (
            "Invalid value at 'contents[2].parts[0].function_response.response' "
            '(type.googleapis.com/google.protobuf.Struct), "5"'
        ),
    ),
]


@pytest.mark.parametrize(("name", "history", "message"), BAD_HISTORIES)
async def test_a_history_that_cannot_be_is_refused(caller, name, history, message):
    """
    Each service refuses it in its own words.
    """
    status, answer = await say(caller, name, history)

    error = answer["error"]
    assert message == (error if isinstance(error, str) else error["message"])
    assert status == (422 if message.startswith(UNREADABLE) else 400)


GOOD_HISTORIES: list[tuple[str, list[Any]]] = [
    ("openai", [ASKED, CALL, {**CALL, "call_id": "call_2"}, {**OUTPUT, "call_id": "call_2"}, OUTPUT]),
    ("openai", [ASKED, CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "5"}]}]),
    ("openai-chat", [ASKED, CALLING, ANSWERED]),
    ("xai", [ASKED, CALL, OUTPUT, CALL, OUTPUT]),
    ("xai-chat", [ASKED, CALLING, ANSWERED, CALLING, ANSWERED]),
    ("gemini", [USER, called("add"), returned("add")]),
    ("gemini", [USER, called("add", "sub"), returned("add", "sub"), called("add"), returned("add")]),
    ("local", [ASKED, ANSWERED]),
]


@pytest.mark.parametrize(("name", "history"), GOOD_HISTORIES)
async def test_a_history_that_can_be_is_answered(caller, name, history):
    """
    Answers may come in another order where they have ids, and steps may follow one another.
    """
    status, _ = await say(caller, name, history)

    assert status == 200


async def test_an_error_of_a_tool_is_told_as_one(caller):
    """
    Gemini can be told that a tool failed.
    """
    result = {"functionResponse": {"name": "add", "response": {"error": "no numbers"}}}
    _, answer = await say(caller, "gemini", [USER, called("add"), {"role": "user", "parts": [result]}])

    assert "add failed: no numbers." == DIALECTS["gemini"].said(answer)


async def say(caller: Any, name: str, history: list[Any]) -> tuple[int, Any]:
    """Send a history as it stands."""
    dialect = DIALECTS[name]
    place = {"openai": "input", "xai": "input", "gemini": "contents"}.get(name, "messages")
    return await caller.post(dialect.path, dialect.render("Hello") | {place: history})
