"""What all services promise, over real HTTP."""

from __future__ import annotations

import json

import pytest

from .conftest import MODELS, endpoint, render, said

SERVICES = ["openai", "gemini", "xai"]


async def test_an_answer_is_whole(caller, dialect):
    """
    Each service answers one user text in its own shape.
    """
    status, answer = await caller.post(dialect.path, dialect.render("Count to 3."))

    assert (status, dialect.said(answer)) == (200, "1, 2, 3.")


async def test_a_stream_has_a_delta_for_each_word(caller, dialect):
    """
    The deltas of a stream are the words of the answer.
    """
    deltas = await caller.hear(dialect, "Count to 1000.")

    assert ["1,", *(f" {number}," for number in range(2, 1000)), " 1000."] == deltas


async def test_a_broken_answer_is_gone_on_with(caller, dialect):
    """
    Asked for the rest of its own words, each service says exactly that.
    """
    go_on = "Your answer broke off. Go on exactly where it stopped, without repeating any of it."

    assert [" 4,", " 5."] == await caller.hear(dialect, "Count to 5.", "1, 2, 3,", go_on)


@pytest.mark.parametrize(
    ("service", "header", "status", "where", "reason"),
    [
        ("openai", "authorization", 401, ["error", "code"], "invalid_api_key"),
        ("gemini", "x_goog_api_key", 400, ["error", "details", 0, "reason"], "API_KEY_INVALID"),
        (
            "xai",
            "authorization",
            400,
            ["error"],
            "Incorrect API key provided: xa***ey. You can obtain an API key from https://console.x.ai.",
        ),
    ],
)
async def test_a_wrong_key_is_refused(caller, service, header, status, where, reason):
    """
    Each service refuses a wrong key with its own status and words.
    """
    key = "xai-secret-key" if service == "gemini" else "Bearer xai-secret-key"

    answered, body = await caller.ask(service, "Hello", **{header: key})

    for step in where:
        body = body[step]
    assert (answered, body) == (status, reason)


@pytest.mark.parametrize(("service", "status"), [("openai", 401), ("gemini", 403), ("xai", 401)])
async def test_a_missing_key_is_refused(caller, service, status):
    """
    Each service refuses a request without a key, and two of them with another status than a wrong one.
    """
    answered, _ = await caller.ask(service, "Hello", authorization="", x_goog_api_key="")

    assert answered == status


async def test_openai_hides_the_middle_of_a_wrong_key(caller):
    """
    The key is shown as OpenAI shows it.
    """
    _, body = await caller.ask("openai", "Hello", authorization="Bearer test-condition-key")

    assert "test-con******-key. You" in body["error"]["message"]


@pytest.mark.parametrize(
    ("service", "status", "code"),
    [
        ("openai", 400, "model_not_found"),
        ("xai", 404, None),
        ("gemini", 404, 404),
    ],
)
async def test_an_unknown_model_is_refused(caller, service, status, code):
    """
    Each service has its own status for a model that does not exist.
    """
    path = endpoint(service).replace(MODELS[service], "none")

    answered, body = await caller.post(
        path, render(service, "Hello") | ({} if service == "gemini" else {"model": "none"})
    )

    assert answered == status
    assert code is None or body["error"]["code"] == code


FAULTS = {
    ("openai", "auth"): (401, "invalid_api_key"),
    ("openai", "rate_limit"): (429, "rate_limit_exceeded"),
    ("openai", "overloaded"): (503, "server_is_overloaded"),
    ("openai", "quota"): (429, "insufficient_quota"),
    ("gemini", "auth"): (400, "API_KEY_INVALID"),
    ("gemini", "rate_limit"): (429, "GenerateRequestsPerMinutePerProjectPerModel"),
    ("gemini", "overloaded"): (503, "UNAVAILABLE"),
    ("gemini", "quota"): (429, "GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
    ("xai", "auth"): (400, "Incorrect API key provided: si***ey."),
    ("xai", "rate_limit"): (429, "Too many requests for team"),
    ("xai", "overloaded"): (503, "at capacity"),
    ("xai", "quota"): (403, "used all available credits"),
}


@pytest.mark.parametrize(("service", "kind"), FAULTS)
async def test_a_fault_is_answered_once_as_the_vendor_does(caller, simulator, service, kind):
    """
    A fault meets one request in the vendor's words, and the next one is well.
    """
    simulator.fail(service, kind)

    status, body = await caller.ask(service, "Hello")

    assert status == FAULTS[service, kind][0]
    assert FAULTS[service, kind][1] in json.dumps(body)
    assert (await caller.ask(service, "Hello"))[0] == 200


async def test_faults_come_in_order_and_as_often_as_ordered(caller, simulator):
    """
    Two overloads, then a rate limit, then health.
    """
    simulator.fail("openai", "overloaded", times=2)
    simulator.fail("openai", "rate_limit")

    assert [(await caller.ask("openai", "Hello"))[0] for _ in range(4)] == [503, 503, 429, 200]


async def test_an_endless_fault_ends_when_healed(caller, simulator):
    """
    A fault without a number of times stays until the service is healed, and spares the others.
    """
    simulator.fail("xai", "overloaded", times=None)

    assert [(await caller.ask("xai", "Hello"))[0] for _ in range(3)] == [503] * 3
    assert (await caller.ask("openai", "Hello"))[0] == 200
    simulator.heal("xai")
    assert (await caller.ask("xai", "Hello"))[0] == 200


async def test_a_fault_spares_the_model_list(caller, simulator):
    """
    Faults meet generation requests only.
    """
    simulator.fail("openai", "overloaded")

    assert (await caller.call("GET", "/openai/v1/models"))[0] == 200
    assert (await caller.ask("openai", "Hello"))[0] == 503


async def test_a_rate_limit_says_when_to_try_again(caller, simulator):
    """
    OpenAI says it in headers, Gemini in the body, xAI not at all.
    """
    for service in SERVICES:
        simulator.fail(service, "rate_limit", retry_after=0.25)

    _, headers, _ = await caller.call("POST", endpoint("openai"), render("openai", "Hello"))
    _, body = await caller.ask("gemini", "Hello")
    _, silent, _ = await caller.call("POST", endpoint("xai"), render("xai", "Hello"))

    assert (headers["retry-after"], headers["retry-after-ms"]) == ("1", "250")
    assert body["error"]["details"][2]["retryDelay"] == "0.25s"
    assert "retry-after" not in silent


@pytest.mark.parametrize(
    ("service", "kind", "times"),
    [("mistral", "quota", 1), ("openai", "bad_hair_day", 1), ("openai", "quota", 0)],
)
async def test_an_impossible_fault_is_refused(simulator, service, kind, times):
    """
    A misspelt service, a misspelt fault and a fault that never occurs are errors of the test.
    """
    with pytest.raises(ValueError, match=r"no service|no fault|once or more"):
        simulator.fail(service, kind, times=times)


@pytest.mark.parametrize("service", SERVICES)
async def test_what_was_sent_can_be_read_back(caller, simulator, service):
    """
    The texts, the system text and the number of requests are those of the newest generation request.
    """
    talk = ["My name is John.", "Hello John.", "What is my name?"]
    speakers = ["user", "model" if service == "gemini" else "assistant", "user"]
    if service == "gemini":
        contents = [
            {"role": role, "parts": [{"text": text}]} for role, text in zip(speakers, talk, strict=True)
        ]
        body = {"contents": contents, "systemInstruction": {"parts": [{"text": "Be brief."}]}}
    else:
        items = [{"role": role, "content": text} for role, text in zip(speakers, talk, strict=True)]
        body = render(service, "") | {"input": [{"role": "system", "content": "Be brief."}, *items]}
    await caller.ask(service, "Hello")
    _, answer = await caller.post(endpoint(service), body)
    sent = simulator.sent_to(service)

    assert said(answer) == "Your name is John."
    assert (sent.texts, sent.system, sent.count, sent.body) == (talk, "Be brief.", 2, body)


async def test_nothing_sent_is_nothing_read(simulator):
    """
    A service that was never asked has an empty record.
    """
    sent = simulator.sent_to("gemini")

    assert (sent.texts, sent.system, sent.body, sent.count) == ([], None, None, 0)


async def test_requests_are_recorded_in_order(caller, simulator):
    """
    Every request is kept with its path, query, headers and body.
    """
    await caller.get("/gemini/v1/models?pageSize=2")
    await caller.ask("xai", "Hello")
    first, second = simulator.requests

    assert (first.service, first.method, first.path, first.query) == (
        "gemini",
        "GET",
        "/gemini/v1/models",
        {"pageSize": "2"},
    )
    assert (first.headers["x-goog-api-key"], first.body) == ("sim-key", None)
    assert (second.service, second.body) == ("xai", render("xai", "Hello"))
    assert "sim-key" not in repr(simulator.requests)


async def test_an_unknown_service_is_not_found(caller):
    """
    A path outside the services is a plain 404.
    """
    assert (await caller.call("GET", "/mistral/v1/models"))[0] == 404


@pytest.mark.parametrize("path", ["/openai/v1/threads", "/xai/v1/threads", "/gemini/v1/threads"])
async def test_an_unknown_endpoint_is_not_found(caller, path):
    """
    What the simulator does not speak is a 404 in the vendor's shape.
    """
    status, body = await caller.post(path, {})

    assert (status, "error" in body) == (404, True)


@pytest.mark.parametrize("text", ['"\\ud83d"', "[" * 100_000 + "]" * 100_000])
async def test_a_body_that_no_answer_could_repeat_is_refused(caller, dialect, text):
    """
    Half a character, or endless brackets, are no JSON for a service, and harm nobody.
    """
    body = json.dumps(dialect.render("Hello")).replace('"Hello"', text).encode()

    assert 400 <= (await caller.call("POST", dialect.path, body))[0] < 500
    assert 200 == (await caller.post(dialect.path, dialect.render("Hello")))[0]
