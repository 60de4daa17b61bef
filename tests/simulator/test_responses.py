"""OpenAI's and xAI's Responses API, held against recorded answers."""

from __future__ import annotations

import pytest

from tertulia_simulator.models import XAI_MODELS

from .conftest import render

BOTH = ["openai", "xai"]

# The keys of responses recorded from the services: gpt-5.5 and grok-4.3, streamed, in 2026.
RECORDED = """
    background completed_at created_at error frequency_penalty id incomplete_details instructions
    max_output_tokens max_tool_calls metadata model object output parallel_tool_calls
    presence_penalty previous_response_id prompt_cache_key reasoning safety_identifier service_tier
    status store temperature text tool_choice tools top_logprobs top_p truncation usage user
"""
RECORDED_FROM_OPENAI = {"moderation", "prompt_cache_retention"}
SEQUENCE = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


@pytest.mark.parametrize("service", BOTH)
async def test_a_stream_has_the_recorded_events(caller, service):
    """
    The events come in the recorded order, are numbered, and end with the recorded object.
    """
    events = await caller.stream(service, "My name is John.")

    assert [event["type"] for event in events] == SEQUENCE
    assert [event["sequence_number"] for event in events] == list(range(10))
    extras = RECORDED_FROM_OPENAI if service == "openai" else ()
    assert events[-1]["response"].keys() == {*RECORDED.split(), *extras}
    assert events[0]["response"].keys() == events[-1]["response"].keys()


@pytest.mark.parametrize("service", BOTH)
async def test_an_event_is_named_twice(caller, service):
    """
    Each event has an event line and a data line, and a blank one after them.
    """
    body = render(service, "My name is John.") | {"stream": True}
    _, headers, text = await caller.call("POST", f"/{service}/v1/responses", body)

    assert headers["content-type"].startswith("text/event-stream")
    assert text.startswith('event: response.created\ndata: {"type":"response.created",')
    assert text.count("\n\n") == len(SEQUENCE)


async def test_the_parts_of_an_openai_stream_have_the_recorded_keys(caller):
    """
    Items, parts and deltas carry what they were recorded to carry.
    """
    events = {event["type"]: event for event in await caller.stream("openai", "My name is John.")}

    assert events["response.output_item.done"]["item"].keys() == {
        "id",
        "type",
        "status",
        "content",
        "phase",
        "role",
    }
    assert events["response.content_part.done"]["part"].keys() == {"type", "annotations", "logprobs", "text"}
    assert events["response.output_text.delta"].keys() == {
        *(
            "type",
            "content_index",
            "delta",
            "item_id",
            "logprobs",
            "obfuscation",
            "output_index",
            "sequence_number",
        )
    }


async def test_obfuscation_can_be_left_out(caller):
    """
    On a trusted network the padding is saved.
    """
    events = await caller.stream("openai", "Hello", stream_options={"include_obfuscation": False})

    assert not any("obfuscation" in event for event in events)


async def test_openai_counts_input_and_output(caller):
    """
    The total is the sum of both, by the simulator's own rule.
    """
    _, answer = await caller.ask("openai", "Count to 3.")

    assert answer["usage"] == {
        "input_tokens": 3 + 4,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 9,
    }


async def test_xai_tells_the_exact_cost(caller):
    """
    7 tokens at 1.25 and 2 at 2.5 dollars a million are 137,500 ticks.
    """
    _, answer = await caller.ask("xai", "Count to 3.")

    assert answer["usage"]["cost_in_usd_ticks"] == 7 * 12_500 + 2 * 25_000 == 137_500
    assert answer["usage"]["total_tokens"] == 9


@pytest.mark.parametrize(("prompt", "ticks"), [(199_999, 199_999 * 12_500), (200_000, 200_000 * 25_000)])
def test_a_long_prompt_costs_twice_as_much(prompt, ticks):
    """
    From 200,000 prompt tokens on, every token of the request is dearer.
    """
    grok = next(model for model in XAI_MODELS if model.id == "grok-4.3")

    assert grok.cost(prompt, 0) == ticks


@pytest.mark.parametrize("service", BOTH)
async def test_a_cut_answer_is_incomplete(caller, service):
    """
    The limit is kept, and the length is told as the reason.
    """
    events = await caller.stream(service, "Count to 9.", max_output_tokens=2)
    response = events[-1]["response"]

    assert events[-1]["type"] == "response.incomplete"
    assert (response["status"], response["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert (response["output"][0]["content"][0]["text"], response["usage"]["output_tokens"]) == (
        "1, 2, 3,",
        2,
    )


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"stop": ["."]}, "stop", "unknown_parameter"),
        ({"store": "no"}, "store", "invalid_type"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": ["Hello"]}, "input[0]", "invalid_type"),
        ({"input": [{"role": "robot", "content": "Hello"}]}, "input[0].role", "invalid_value"),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "Hello"}]}]},
            "input[0].content[0]",
            "invalid_value",
        ),
        ({"temperature": 0.5}, "temperature", None),
        ({"input": "x" * 4 * 922_000}, "input", "context_length_exceeded"),
    ],
)
async def test_openai_refuses_what_openai_refuses(caller, change, param, code):
    """
    A bad request is refused with the parameter and the code that name the fault.
    """
    status, body = await caller.post("/openai/v1/responses", render("openai", "Hello") | change)

    assert (status, body["error"]["param"], body["error"]["code"]) == (400, param, code)


async def test_sampling_is_allowed_without_reasoning(caller):
    """
    A model told not to reason takes a temperature.
    """
    body = render("openai", "Hello") | {"temperature": 0.5, "reasoning": {"effort": "none"}}

    assert (await caller.post("/openai/v1/responses", body))[0] == 200


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"metadata": {"a": "b"}}, 400, "Argument not supported: metadata"),
        ({"reasoning": {"summary": "auto"}}, 400, "reasoning.summary"),
        ({"presence_penalty": 0.1}, 400, "Argument not supported on this model: presencePenalty"),
        ({"frequency_penalty": 0.1}, 400, "frequencyPenalty"),
        ({"input": 5}, 422, "Failed to deserialize"),
        ({"max_output_tokens": "5"}, 422, "max_output_tokens"),
        (
            {"input": "x" * 4 * 1_000_000},
            400,
            "maximum prompt length is 1000000 but the request contains 1000004",
        ),
    ],
)
async def test_xai_refuses_what_xai_refuses(caller, change, status, words):
    """
    A bad request is refused in a sentence.
    """
    answered, body = await caller.post("/xai/v1/responses", render("xai", "Hello") | change)

    assert answered == status
    assert words in body["error"]


async def test_xai_takes_earlier_answers_as_strings_and_as_parts(caller, simulator):
    """
    Both spellings of an assistant message are understood.
    """
    parts = {"role": "assistant", "content": [{"type": "output_text", "text": "two"}]}
    items = [{"role": "assistant", "content": "one"}, parts, {"role": "user", "content": "three"}]

    await caller.post("/xai/v1/responses", render("xai", "") | {"input": items})

    assert simulator.sent_to("xai").texts == ["one", "two", "three"]


@pytest.mark.parametrize(("asked", "answered"), [("grok-latest", "grok-4.6"), ("grok-3", "grok-3")])
async def test_xai_resolves_aliases_but_keeps_retired_names(caller, asked, answered):
    """
    An alias is answered under the model's id, a retired name under itself.
    """
    _, answer = await caller.post("/xai/v1/responses", render("xai", "Hello") | {"model": asked})

    assert answer["model"] == answered


async def test_openai_lists_its_models(caller):
    """
    The list and its entries have OpenAI's shape, and an unknown id is a 404 here.
    """
    listed = await caller.get("/openai/v1/models")
    one = await caller.get("/openai/v1/models/gpt-4o")
    status, _, _ = await caller.call("GET", "/openai/v1/models/none")

    assert {model["object"] for model in listed["data"]} == {"model"}
    assert one in listed["data"]
    assert (one["shutdown_date"], status) == ("2027-01-14", 404)


async def test_xai_lists_its_prices(caller):
    """
    12,500 in the list is 1.25 dollars a million.
    """
    priced = (await caller.get("/xai/v1/language-models"))["models"]
    plain = (await caller.get("/xai/v1/models"))["data"]
    grok = await caller.get("/xai/v1/language-models/grok-4.3")

    assert grok in priced
    assert (grok["prompt_text_token_price"], grok["completion_text_token_price_long_context"]) == (
        12_500,
        50_000,
    )
    assert {model["id"]: model["context_length"] for model in plain}["grok-4.3"] == 1_000_000


@pytest.mark.parametrize(("asked", "billed"), [("flex", "flex"), ("fast", "priority"), ("auto", "default")])
async def test_openai_tells_the_billed_tier(caller, asked, billed):
    """
    The tier in the answer is the one that is billed.
    """
    _, answer = await caller.post("/openai/v1/responses", render("openai", "Hello") | {"service_tier": asked})

    assert answer["service_tier"] == billed


async def test_answers_tell_the_limits(caller):
    """
    OpenAI says when its limits reset, xAI does not.
    """
    _, openai, _ = await caller.call("POST", "/openai/v1/responses", render("openai", "Hello"))
    _, xai, _ = await caller.call("POST", "/xai/v1/responses", render("xai", "Hello"))

    assert (openai["x-ratelimit-limit-requests"], openai["x-ratelimit-reset-requests"]) == ("15000", "4ms")
    assert xai["x-ratelimit-limit-requests"] == "1800"
    assert "x-ratelimit-reset-requests" not in xai
