"""A server without keys that speaks Chat Completions, as Ollama does."""

from __future__ import annotations

import json

import pytest

from .dialects import DIALECTS

LOCAL = DIALECTS["local"]


async def test_a_whole_answer_has_the_shape_of_ollama(caller):
    """
    No vendor's extras: an answer, a reason and three counts.
    """
    status, answer = await caller.post(LOCAL.path, LOCAL.render("Count to 3."))
    del answer["created"]

    assert 200 == status
    assert {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "llama-sim",
        "system_fingerprint": "fp_ollama",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "1, 2, 3."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    } == answer


async def test_usage_is_on_the_last_chunk_unasked(caller):
    """
    The chunk that says why no more comes has the counts too, and a choice like every other.
    """
    chunks = await caller.stream_chat(LOCAL, "Count to 3.")
    _, _, body = await caller.call("POST", LOCAL.path, LOCAL.render_stream("Count to 3."))

    assert ["1,", " 2,", " 3.", ""] == [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
    assert {"assistant"} == {chunk["choices"][0]["delta"]["role"] for chunk in chunks}
    assert [None, None, None, "stop"] == [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert [False, False, False, True] == ["usage" in chunk for chunk in chunks]
    assert 9 == chunks[-1]["usage"]["total_tokens"]
    assert body.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("key", ["", "Bearer wrong", "Basic abc"])
async def test_any_key_will_do_and_none(caller, key):
    """
    Nobody is asked who they are.
    """
    assert 200 == (await caller.post(LOCAL.path, LOCAL.render("Hello"), authorization=key))[0]


async def test_it_sends_no_header_of_a_vendor(caller):
    """
    There are none but those of HTTP.
    """
    _, headers, _ = await caller.call("POST", LOCAL.path, LOCAL.render("Hello"))

    assert {"content-type", "content-length", "date", "server"} == {name.lower() for name in headers}


async def test_it_has_one_model(caller):
    """
    The list has it, and another is to be pulled first.
    """
    listed = await caller.get("/local/v1/models")
    status, body = await caller.post(LOCAL.path, LOCAL.render("Hello", model="llama3.3"))

    assert ["llama-sim"] == [model["id"] for model in listed["data"]]
    assert 404 == status
    assert {
        "message": 'model "llama3.3" not found, try pulling it first',
        "type": "not_found_error",
        "param": None,
        "code": None,
    } == body["error"]


@pytest.mark.parametrize("path", ["responses", "models/llama-sim", "embeddings"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_it_has_nothing_else(caller, method, path):
    """
    Other endpoints of OpenAI are not there, and that is said in plain text.
    """
    status, headers, text = await caller.call(method, f"/local/v1/{path}", {"model": "llama-sim"})

    assert (404, "404 page not found") == (status, text)
    assert headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "invalid JSON"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, "model is required"),
        ({"model": "llama-sim"}, "[] is too short - 'messages'"),
        ({"model": "llama-sim", "messages": [{"role": "user"}]}, "invalid message content type: NoneType"),
        (
            {"model": "llama-sim", "messages": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "invalid message format",
        ),
        (
            {"model": "llama-sim", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": "5"},
            "cannot unmarshal str into field max_tokens of type int",
        ),
        (
            {"model": "llama-sim", "messages": [{"role": "user", "content": "x" * 4 * 32_768}]},
            "the input length exceeds the context length",
        ),
    ],
)
async def test_it_refuses_what_it_cannot_read(caller, body, message):
    """
    A bad request is refused in OpenAI's shape, with few words.
    """
    status, _, text = await caller.call("POST", LOCAL.path, body)

    assert (400, "invalid_request_error", message) == (
        status,
        *(json.loads(text)["error"][name] for name in ("type", "message")),
    )


async def test_parameters_are_taken_as_they_come(caller):
    """
    Old limits, unknown names and everything else: what it does not know, it ignores.
    """
    body = LOCAL.render("Count to 9.", max_tokens=2, temperature=3, colour="blue", store=False)
    answer = await caller.put(LOCAL, body)

    assert ("1, 2, 3,", "length") == (LOCAL.said(answer), answer["choices"][0]["finish_reason"])


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("auth", 401, None),
        ("rate_limit", 429, None),
        ("overloaded", 503, None),
        ("quota", 402, "insufficient_quota"),
    ],
)
async def test_it_fails_and_heals_like_the_others(caller, simulator, kind, status, code):
    """
    A fault stays until healed, and spares the services of vendors.
    """
    simulator.fail("local", kind, times=None, retry_after=0.25)
    _, headers, _ = await caller.call("POST", LOCAL.path, LOCAL.render("Hello"))
    answered, body = await caller.post(LOCAL.path, LOCAL.render("Hello"))

    assert (status, code) == (answered, body["error"]["code"])
    assert ("0.25" if kind == "rate_limit" else None) == headers.get("retry-after")
    assert 200 == (await caller.ask("openai", "Hello"))[0]
    simulator.heal("local")
    assert 200 == (await caller.post(LOCAL.path, LOCAL.render("Hello")))[0]


async def test_what_it_was_sent_can_be_read_back(caller, simulator):
    """
    The texts, the system text and the number of requests are those of the newest.
    """
    talk = LOCAL.render("My name is John.", "Hello John.", "What is my name?")
    talk["messages"].insert(0, {"role": "system", "content": "Be brief."})

    answer = await caller.put(LOCAL, talk)
    sent = simulator.sent_to("local")

    assert "Your name is John." == LOCAL.said(answer)
    assert (["My name is John.", "Hello John.", "What is my name?"], "Be brief.", 1) == (
        sent.texts,
        sent.system,
        sent.count,
    )
