"""OpenAI's and xAI's Chat Completions, held against recorded answers."""

from __future__ import annotations

import pytest

from .dialects import DIALECTS

BOTH = ["openai", "xai"]
OPENAI, XAI = DIALECTS["openai-chat"], DIALECTS["xai-chat"]
USAGE = {"stream_options": {"include_usage": True}}

# The keys of answers recorded from OpenAI, gpt-4o and gpt-5-mini, streamed and whole, in 2025 and 2026.
CHUNK = {"id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "obfuscation"}
WHOLE = {"id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "usage"}
INPUT_DETAILS = {"cached_tokens", "audio_tokens"}
OUTPUT_DETAILS = {
    "reasoning_tokens",
    "audio_tokens",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
}


async def ask(caller, service, text="Count to 3.", **more):
    dialect = DIALECTS[f"{service}-chat"]
    return await caller.post(dialect.path, dialect.render(text, **more))


async def test_a_whole_answer_has_the_recorded_shape(caller):
    """
    OpenAI's whole answers and their parts carry what they were recorded to carry.
    """
    _, answer = await ask(caller, "openai")
    (choice,) = answer["choices"]

    assert (WHOLE, "chat.completion") == (answer.keys(), answer["object"])
    assert {"index", "message", "finish_reason", "logprobs"} == choice.keys()
    assert {
        "role": "assistant",
        "content": "1, 2, 3.",
        "refusal": None,
        "annotations": [],
    } == choice["message"]
    assert (INPUT_DETAILS, OUTPUT_DETAILS) == (
        answer["usage"]["prompt_tokens_details"].keys(),
        answer["usage"]["completion_tokens_details"].keys(),
    )


async def test_a_stream_has_the_recorded_chunks(caller):
    """
    Who speaks, a chunk a word, why no more comes, the usage without a choice, and the end.
    """
    _, headers, body = await caller.call("POST", OPENAI.path, OPENAI.render_stream("Count to 3.", **USAGE))
    chunks = await caller.stream_chat(OPENAI, "Count to 3.", **USAGE)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]

    assert "text/event-stream; charset=utf-8" == headers["content-type"]
    assert body.endswith("data: [DONE]\n\n")
    assert [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "1,"},
        {"content": " 2,"},
        {"content": " 3."},
        {},
    ] == [choice["delta"] for choice in choices]
    assert [None] * 4 + ["stop"] == [choice["finish_reason"] for choice in choices]
    assert {"index", "delta", "logprobs", "finish_reason"} == choices[0].keys()
    assert {frozenset(CHUNK | {"usage"})} == {frozenset(chunk) for chunk in chunks}
    assert [None] * 5 == [chunk["usage"] for chunk in chunks[:-1]]
    assert ([], 7, 2, 9) == (
        chunks[-1]["choices"],
        *(chunks[-1]["usage"][f"{name}_tokens"] for name in ("prompt", "completion", "total")),
    )


@pytest.mark.parametrize("service", BOTH)
async def test_usage_comes_with_a_stream_only_when_asked_for(caller, service):
    """
    Without the option no chunk is without a choice, and none has a usage.
    """
    dialect = DIALECTS[f"{service}-chat"]
    plain = await caller.stream_chat(dialect, "Count to 3.")
    counted = await caller.stream_chat(dialect, "Count to 3.", **USAGE)

    assert (True, False) == (
        all(chunk["choices"] for chunk in plain),
        any("usage" in chunk for chunk in plain),
    )
    assert ([], 9) == (counted[-1]["choices"], counted[-1]["usage"]["total_tokens"])


async def test_padding_can_be_left_out(caller):
    """
    On a trusted network it is saved.
    """
    chunks = await caller.stream_chat(OPENAI, "Hello", stream_options={"include_obfuscation": False})

    assert not any("obfuscation" in chunk for chunk in chunks)


async def test_openai_counts_reasoning_into_the_completion(caller):
    """
    16 tokens of thought and 2 of answer are a completion of 18, in both of its APIs.
    """
    responses = DIALECTS["openai"].render("Count to 3.", reasoning={"effort": "low"})
    chat = (await ask(caller, "openai", reasoning_effort="low"))[1]["usage"]
    response = (await caller.put(DIALECTS["openai"], responses))["usage"]

    assert (7, 18, 25) == tuple(chat[f"{name}_tokens"] for name in ("prompt", "completion", "total"))
    assert (7, 18, 25) == tuple(response[f"{name}_tokens"] for name in ("input", "output", "total"))
    assert 16 == chat["completion_tokens_details"]["reasoning_tokens"]
    assert 16 == response["output_tokens_details"]["reasoning_tokens"]


async def test_xai_counts_reasoning_beside_the_completion(caller):
    """
    16 tokens of thought come on top of a completion of 2, in the total and in the bill, as in Responses.
    """
    responses = DIALECTS["xai"].render("Count to 3.", reasoning={"effort": "low"})
    _, answer = await ask(caller, "xai", reasoning_effort="low")
    response = await caller.put(DIALECTS["xai"], responses)

    assert {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 7 + 2 + 16,
        "prompt_tokens_details": {"text_tokens": 7, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 0},
        "completion_tokens_details": dict.fromkeys(OUTPUT_DETAILS, 0) | {"reasoning_tokens": 16},
        "num_sources_used": 0,
        "cost_in_usd_ticks": 7 * 12_500 + 18 * 25_000,
    } == answer["usage"]
    assert 7 * 12_500 + 18 * 25_000 == response["usage"]["cost_in_usd_ticks"]
    assert (18, 25) == (response["usage"]["output_tokens"], response["usage"]["total_tokens"])


@pytest.mark.parametrize("service", BOTH)
async def test_a_cut_answer_ends_for_its_length(caller, service):
    """
    The limit is kept, and told as the reason.
    """
    _, answer = await ask(caller, service, "Count to 9.", max_completion_tokens=2)
    (choice,) = answer["choices"]

    assert ("1, 2, 3,", "length") == (choice["message"]["content"], choice["finish_reason"])
    assert 2 == answer["usage"]["completion_tokens"]


async def test_thoughts_use_up_the_limit(caller):
    """
    A limit of 17 tokens leaves one for the answer after 16 of thought; one of 10 leaves none.
    """
    answers = [
        (await ask(caller, "openai", reasoning_effort="low", max_completion_tokens=limit))[1]
        for limit in (17, 10)
    ]

    assert [("1, 2", "length", 17), ("", "length", 10)] == [
        (
            OPENAI.said(answer),
            answer["choices"][0]["finish_reason"],
            answer["usage"]["completion_tokens"],
        )
        for answer in answers
    ]


@pytest.mark.parametrize("stop", [" 3", [" 9", " 3"]])
async def test_an_answer_ends_before_a_stop(caller, stop):
    """
    A model that does not reason stops where it is told to.
    """
    body = OPENAI.render("Count to 5.", model="gpt-4.1", stop=stop)
    answer = await caller.put(OPENAI, body)

    assert ("1, 2,", "stop") == (OPENAI.said(answer), answer["choices"][0]["finish_reason"])


async def test_the_old_limit_is_for_models_that_do_not_reason(caller):
    """
    ``max_tokens`` is kept by these, and refused by the others in the recorded words.
    """
    _, answer = await ask(caller, "openai", model="gpt-4.1", max_tokens=1)
    status, body = await ask(caller, "openai", max_tokens=1)

    assert "1, 2" == OPENAI.said(answer)
    assert (400, "max_tokens", "unsupported_parameter") == (
        status,
        body["error"]["param"],
        body["error"]["code"],
    )
    assert (
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead."
    ) == body["error"]["message"]


USER = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"input": "Hello"}, "input", "unknown_parameter"),
        ({"messages": "Hello"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": None}, "messages", "empty_array"),
        ({"messages": ["Hello"]}, "messages[0]", "invalid_type"),
        ({"messages": [USER, {"role": "robot", "content": "Hello"}]}, "messages[1].role", "invalid_value"),
        ({"messages": [{"content": "Hello"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", None),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        (
            {"messages": [{"role": "tool", "content": "5"}]},
            "messages[0].tool_call_id",
            "missing_required_parameter",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
            "messages[0]",
            "invalid_value",
        ),
        ({"store": "no"}, "store", "invalid_type"),
        ({"max_completion_tokens": "5"}, "max_completion_tokens", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"temperature": 0.5}, "temperature", None),
        ({"stop": ["."]}, "stop", None),
        ({"reasoning_effort": "max"}, "reasoning_effort", "unsupported_value"),
        (
            {"messages": [{"role": "user", "content": "x" * 4 * 922_000}]},
            "messages",
            "context_length_exceeded",
        ),
    ],
)
async def test_openai_refuses_what_openai_refuses(caller, change, param, code):
    """
    A bad request is refused with the parameter and the code that name the fault.
    """
    status, body = await ask(caller, "openai", **change)

    assert (400, "invalid_request_error", param, code) == (
        status,
        *(body["error"][name] for name in ("type", "param", "code")),
    )


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("model", "you must provide a model parameter"),
        ("messages", "Missing required parameter: 'messages'."),
    ],
)
async def test_openai_wants_a_model_and_messages(caller, missing, message):
    """
    Each is asked for in its own words.
    """
    body = OPENAI.render("Hello")
    del body[missing]

    status, answer = await caller.post(OPENAI.path, body)

    assert (400, message) == (status, answer["error"]["message"])


async def test_openai_does_not_find_an_unknown_model(caller):
    """
    Here it is a 404, where the Responses API says 400.
    """
    status, body = await ask(caller, "openai", model="none")

    assert (404, "model_not_found") == (status, body["error"]["code"])
    assert "The model `none` does not exist or you do not have access to it." == body["error"]["message"]


async def test_sampling_is_allowed_without_reasoning(caller):
    """
    A model told not to reason takes a temperature.
    """
    status, _ = await ask(caller, "openai", temperature=0.5, reasoning_effort="none")

    assert 200 == status


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"messages": "Hello"}, 422, "messages: invalid type, expected a sequence"),
        (
            {"messages": [{"role": "robot", "content": "Hi"}]},
            422,
            "messages[0].role: unknown variant `robot`",
        ),
        ({"messages": [{"content": "Hi"}]}, 422, "messages[0].role: missing field"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_text"}]}]},
            422,
            "messages[0].content[0].type: unknown variant `input_text`, expected one of `text`, `image_url`",
        ),
        ({"max_tokens": "5"}, 422, "max_tokens: invalid type"),
        ({"stop": ["."]}, 400, "Argument not supported on this model: stop"),
        ({"presence_penalty": 0.1}, 400, "presencePenalty"),
        ({"frequency_penalty": 0.1}, 400, "frequencyPenalty"),
        ({"reasoning_effort": "xhigh"}, 400, "does not support 'reasoning_effort' value 'xhigh'"),
        ({"search_parameters": {"mode": "on"}}, 410, "Live search is deprecated."),
        ({"model": "none"}, 404, "The model none does not exist or your team"),
        ({"messages": []}, 400, "Empty messages"),
        (
            {"messages": [{"role": "user", "content": "x" * 4 * 1_000_000}]},
            400,
            "maximum prompt length is 1000000 but the request contains 1000004",
        ),
    ],
)
async def test_xai_refuses_what_xai_refuses(caller, change, status, words):
    """
    A bad request is refused in a sentence.
    """
    answered, body = await ask(caller, "xai", **change)

    assert status == answered
    assert words in body["error"]


@pytest.mark.parametrize("missing", ["model", "messages"])
async def test_xai_wants_a_model_and_messages(caller, missing):
    """
    A field that is not there cannot be deserialised.
    """
    body = XAI.render("Hello")
    del body[missing]

    status, answer = await caller.post(XAI.path, body)

    assert (422, True) == (status, answer["error"].endswith(f"missing field `{missing}`"))


async def test_xai_ignores_what_it_does_not_know(caller):
    """
    An unknown parameter does no harm.
    """
    assert 200 == (await ask(caller, "xai", colour="blue"))[0]


async def test_an_effort_belongs_to_a_model(caller):
    """
    The same word is refused by one model of xAI and taken by another, in both APIs.
    """
    efforts = [("grok-4.3", "none"), ("grok-4.5", "none"), ("grok-4.6", "xhigh"), ("grok-build-0.1", "none")]
    chat = [(await ask(caller, "xai", model=model, reasoning_effort=effort))[0] for model, effort in efforts]
    responses = [
        (
            await caller.post(
                "/xai/v1/responses",
                DIALECTS["xai"].render("Hi", model=model, reasoning={"effort": effort}),
            )
        )[0]
        for model, effort in efforts
    ]

    assert [200, 400, 200, 200] == chat == responses


@pytest.mark.parametrize(("asked", "answered"), [("grok-latest", "grok-4.6"), ("grok-3", "grok-3")])
async def test_xai_resolves_aliases_but_keeps_retired_names(caller, asked, answered):
    """
    An alias is answered under the model's id, a retired name under itself.
    """
    assert answered == (await ask(caller, "xai", model=asked))[1]["model"]


@pytest.mark.parametrize("service", BOTH)
@pytest.mark.parametrize(
    ("kind", "openai", "xai"),
    [("auth", 401, 400), ("rate_limit", 429, 429), ("overloaded", 503, 503), ("quota", 429, 403)],
)
async def test_faults_meet_both_apis(caller, simulator, service, kind, openai, xai):
    """
    A fault of a service is a fault of each of its APIs, in the same words.
    """
    simulator.fail(service, kind, times=2)

    chat = await ask(caller, service)
    responses = await caller.ask(service, "Hello")

    assert {"openai": openai, "xai": xai}[service] == chat[0]
    assert chat == responses


CALL = {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{}"}}


@pytest.mark.parametrize("service", BOTH)
async def test_what_was_sent_is_read_from_either_api(caller, simulator, service):
    """
    The newest request counts, whichever API it came by; those before it count with it.
    """
    await caller.ask(service, "Hello")
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "My name is John."}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": "5"},
        {"role": "user", "content": "What is my name?"},
    ]
    status, answer = await ask(caller, service, messages=messages)
    sent = simulator.sent_to(service)

    assert (200, "Your name is John.") == (status, OPENAI.said(answer))
    assert ("Be brief.", ["My name is John.", "What is my name?"], 2) == (sent.system, sent.texts, sent.count)
    assert sent.tool_results == [("add", "5")]
