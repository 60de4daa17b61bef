"""Worked examples of tokens, prices, waits and errors, through the real providers."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from driver_cases import DRIVERS, fail, read, send
from raw_server import RawServer, answer, stream

from tertulia import Billing, Cost, CostSource, Money, Usage
from tertulia.wire import ErrorBody, parse_retry_after
from tertulia.wire.errors import parse_duration

TODAY = datetime(2026, 11, 22, 12, tzinfo=UTC)


def usage_of(
    input_tokens: int, output_tokens: int, *, cached: int = 0, written: int = 0, reasoning: int = 0
) -> Any:
    """A usage object of the Responses format."""
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning},
    }


def completion_usage_of(
    prompt: int, completion: int, *, cached: int = 0, written: int = 0, reasoning: int = 0
) -> Any:
    """A usage object of the Chat Completions format as xAI writes it: the reasoning beside the completion."""
    return {
        "prompt_tokens": prompt,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + completion + reasoning,
    }


def counts_of(prompt: int, candidates: int, *, cached: int = 0, thoughts: int = 0, tools: int = 0) -> Any:
    """A usage object of the ``generateContent`` format."""
    return {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": cached,
        "candidatesTokenCount": candidates,
        "thoughtsTokenCount": thoughts,
        "toolUsePromptTokenCount": tools,
        "totalTokenCount": prompt + candidates + thoughts + tools,
    }


def kept(usage: Any, details: str, tokens: int) -> Any:
    """The same, with so many of the written tokens kept for 12 hours."""
    return {**usage, details: {**usage[details], "ttl_12h_tokens": tokens}}


def grounded(*queries: str) -> Any:
    """The candidate of a ``generateContent`` answer that was searched for."""
    content = {"role": "model", "parts": [{"text": "Rain."}]}
    metadata = {"webSearchQueries": list(queries)}
    return {"candidates": [{"content": content, "finishReason": "STOP", "groundingMetadata": metadata}]}


MESSAGE = [{"type": "message", "content": [{"type": "output_text", "text": "Olá"}]}]
SOL = usage_of(10_000, 1_000, cached=6_000, written=2_000, reasoning=400)

VECTORS = [
    pytest.param(
        "openai", "gpt-5.6-sol", {"usage": SOL}, Usage(2_000, 6_000, 2_000, 600, 400), "0.0404", id="1"
    ),
    pytest.param(
        "openai",
        "gpt-5.6-sol",
        {"usage": SOL, "service_tier": "flex"},
        Usage(2_000, 6_000, 2_000, 600, 400),
        "0.0202",
        id="2",
    ),
    pytest.param(
        "gemini",
        "gemini-3.5-flash",
        {"usageMetadata": counts_of(1_000, 200, cached=400, thoughts=300, tools=50)},
        Usage(650, 400, 0, 200, 300),
        "0.005535",
        id="3",
    ),
    pytest.param(
        "xai-chat",
        "grok-4.3",
        {"usage": completion_usage_of(32, 9, cached=8, reasoning=120)},
        Usage(24, 8, 0, 9, 120),
        "0.0003541",
        id="4",
    ),
    pytest.param(
        "xai",
        "grok-4.3",
        {"usage": usage_of(32, 129, cached=8, reasoning=120)},
        Usage(24, 8, 0, 9, 120),
        "0.0003541",
        id="5",
    ),
    pytest.param(
        "openai",
        "gpt-6.1-sol",
        {"usage": usage_of(300_000, 1_000)},
        Usage(300_000, 0, 0, 1_000, 0),
        "1.215",
        id="7",
    ),
    pytest.param(
        "gemini",
        "gemini-3.1-pro-preview",
        {"usageMetadata": counts_of(200_000, 100)},
        Usage(200_000, 0, 0, 100, 0),
        "0.4012",
        id="8: at the threshold",
    ),
    pytest.param(
        "gemini",
        "gemini-3.1-pro-preview",
        {"usageMetadata": counts_of(200_001, 100)},
        Usage(200_001, 0, 0, 100, 0),
        "0.801804",
        id="8: above it",
    ),
    pytest.param(
        "xai",
        "grok-4.3",
        {"usage": usage_of(199_999, 100)},
        Usage(199_999, 0, 0, 100, 0),
        "0.25024875",
        id="9: below the threshold",
    ),
    pytest.param(
        "xai",
        "grok-4.3",
        {"usage": usage_of(200_000, 100)},
        Usage(200_000, 0, 0, 100, 0),
        "0.5005",
        id="9: at it",
    ),
    pytest.param(
        "openai",
        "no-such-model",
        {"usage": usage_of(1, 1)},
        Usage(1, 0, 0, 1, 0),
        None,
        id="an unknown model has an unknown cost",
    ),
    pytest.param("openai", "gpt-5.6-sol", {}, Usage(), None, id="unknown tokens have an unknown cost"),
    pytest.param(
        "openai",
        "gpt-5.6-sol",
        {"usage": SOL, "service_tier": "scale"},
        Usage(2_000, 6_000, 2_000, 600, 400),
        None,
        id="an unknown tier has an unknown cost",
    ),
    pytest.param(
        "openai",
        "gpt-5.6-sol",
        {"usage": SOL, "service_tier": "ultrafast"},
        Usage(2_000, 6_000, 2_000, 600, 400),
        "0.2424",
        id="the fastest tier is six times as dear",
    ),
    pytest.param(
        "openai",
        "gpt-5.5",
        {"usage": usage_of(272_000, 0), "service_tier": "priority"},
        Usage(272_000, 0, 0, 0, 0),
        "3.4",
        id="a tier with a factor of its own",
    ),
    pytest.param(
        "openai",
        "gpt-5.5",
        {"usage": usage_of(272_001, 0), "service_tier": "priority"},
        Usage(272_001, 0, 0, 0, 0),
        None,
        id="a tier that ends at the cliff",
    ),
    pytest.param(
        "openai",
        "gpt-5.5",
        {"usage": usage_of(272_001, 0), "service_tier": "flex"},
        Usage(272_001, 0, 0, 0, 0),
        "1.360005",
        id="a tier that goes beyond it",
    ),
    pytest.param(
        "openai",
        "gpt-5.6-sol",
        {"usage": kept(SOL, "input_tokens_details", 500)},
        Usage(2_000, 6_000, 2_000, 600, 400),
        "0.0419",
        id="tokens cached for 12 hours cost twice the input",
    ),
    pytest.param(
        "openai",
        "gpt-5.6-sol",
        {"usage": kept(usage_of(10_000, 1_000), "input_tokens_details", 1)},
        Usage(10_000, 0, 0, 1_000, 0),
        None,
        id="more of them than were written have an unknown cost",
    ),
    pytest.param(
        "openai",
        "gpt-6.1-sol",
        {
            "usage": usage_of(1_000, 0),
            "tool_usage": {"web_search": {"num_requests": 3}},
            "service_tier": "flex",
        },
        Usage(1_000, 0, 0, 0, 0),
        "0.031",
        id="each search has a fee, which no tier changes",
    ),
    pytest.param(
        "openai",
        "gpt-6.1-sol",
        {"usage": usage_of(1_000, 0), "output": [*MESSAGE, {"type": "code_interpreter_call"}]},
        Usage(1_000, 0, 0, 0, 0),
        None,
        id="a tool whose fee is unknown has an unknown cost",
    ),
    pytest.param(
        "gemini",
        "gemini-3.5-flash",
        {"usageMetadata": counts_of(1_000, 0), **grounded("Lisbon weather", "Lisbon rain")},
        Usage(1_000, 0, 0, 0, 0),
        "0.0295",
        id="Gemini 3 charges each query",
    ),
    pytest.param(
        "gemini",
        "gemini-2.5-flash",
        {"usageMetadata": counts_of(1_000, 0), **grounded("Lisbon weather", "Lisbon rain")},
        Usage(1_000, 0, 0, 0, 0),
        "0.0353",
        id="Gemini 2.5 charges each grounded prompt",
    ),
    pytest.param(
        "gemini",
        "gemini-4-argon",
        {"usageMetadata": counts_of(1_000, 0), **grounded("Lisbon weather")},
        Usage(1_000, 0, 0, 0, 0),
        None,
        id="what Gemini 4 charges for a search is unknown",
    ),
    pytest.param(
        "xai",
        "grok-4.3",
        {"usage": {**usage_of(1_000, 0), "server_side_tool_usage_details": {"x_search_calls": 2}}},
        Usage(1_000, 0, 0, 0, 0),
        "0.01125",
        id="xAI charges its own searches",
    ),
    pytest.param(
        "xai",
        "grok-4.3",
        {"usage": usage_of(1_000, 0), "service_tier": "priority"},
        Usage(1_000, 0, 0, 0, 0),
        None,
        id="the factor of xAI's priority is not published",
    ),
    pytest.param(
        "openai-chat",
        "llama3.3",
        {"usage": completion_usage_of(5, 2)},
        Usage(5, 0, 0, 2, 0),
        None,
        id="a model of a compatible server has an unknown cost",
    ),
    pytest.param(
        "gemini",
        "gemini-2.5-flash-001",
        {
            "usageMetadata": {
                **counts_of(100, 10),
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 90}],
            }
        },
        Usage(100, 0, 0, 10, 0),
        "0.000118",
        id="spoken tokens are priced apart",
    ),
]


@pytest.mark.parametrize(("name", "model", "members", "usage", "dollars"), VECTORS)
def test_tokens_and_their_price(name, model, members, usage, dollars):
    """
    The tokens of an answer fall into these classes, and cost exactly this much on 22 November 2026.
    """
    driver = DRIVERS[name]
    provider = driver.make("http://localhost")
    body = {name: value for name, value in driver.whole.items() if name not in ("usage", "usageMetadata")}

    reply = read(provider, {**body, **members})
    cost = provider.calculate_cost(model, reply.usage, reply.billing, TODAY)

    assert (usage, dollars and Decimal(dollars)) == (reply.usage, cost and cost.usd)


def test_tokens_kept_for_12_hours_cost_the_same_in_both_formats():
    """
    OpenAI's Chat Completions names what it wrote to a cache as its Responses does, and charges as much.
    """
    chat = DRIVERS["openai-chat"]
    provider = chat.make(None)
    usage = kept(completion_usage_of(10_000, 600, cached=6_000, written=2_000), "prompt_tokens_details", 500)

    reply = read(provider, {**chat.whole, "usage": usage})
    cost = provider.calculate_cost("gpt-5.6-sol", reply.usage, reply.billing, TODAY)

    assert (Usage(2_000, 6_000, 2_000, 600, 0), Decimal("0.0339")) == (reply.usage, cost.usd)


def test_the_row_that_a_cost_was_computed_from():
    """
    A computed cost names the dated row behind it.
    """
    provider = DRIVERS["xai"].make("http://localhost")

    cost = provider.calculate_cost("grok-4.3", Usage(24, 8, 0, 9, 120), Billing(), TODAY)

    assert Cost(Money(354_100_000), CostSource.COMPUTED, "xai/grok-4.3/2026-11-22") == cost


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("xai", usage_of(213, 39, cached=128)),
        ("xai-chat", completion_usage_of(213, 3, cached=128, reasoning=36)),
    ],
)
async def test_the_cost_that_xai_reports_is_exact(connect, name, usage):
    """
    Vector 6: 4,680,000 ticks are $0.000468, beside what the table would say.
    """
    driver = DRIVERS[name]
    async with RawServer(
        [answer({**driver.whole, "usage": {**usage, "cost_in_usd_ticks": 4_680_000}})]
    ) as server:
        _, reply = await send(connect(driver, server.url), driver.ask(stream=False))

    assert Decimal("0.000468") == reply.billing.reported.usd


@pytest.mark.parametrize(
    ("model", "modality", "heard", "cached", "dollars"),
    [
        ("gemini-2.5-flash", "TEXT", 100, 0, "0.0000692"),
        ("gemini-2.5-flash", "AUDIO", 0, 0, "0.0000692"),
        ("gemini-2.5-flash", "AUDIO", 10, 0, "0.0000762"),
        ("gemini-2.5-flash", "AUDIO", 60, 0, "0.0001112"),
        ("gemini-2.5-flash", "AUDIO", 100, 40, "0.000114"),
        ("gemini-2.5-flash", "AUDIO", 10, 40, None),
        ("gemini-2.5-flash", "AUDIO", 90, 0, None),
        ("gemini-2.5-pro", "AUDIO", 100, 40, "0.00028"),
    ],
)
def test_only_what_was_heard_is_priced_apart(model, modality, heard, cached, dollars):
    """
    Of 100 tokens, 40 of them cached, those of sound have their own prices, where there are such; more sound
    than there are tokens of a class has an unknown cost.
    """
    details = [
        [{"modality": modality, "tokenCount": heard}],
        [{"modality": modality, "tokenCount": cached}],
    ]
    counts = {
        **counts_of(100, 20, cached=40),
        "promptTokensDetails": details[0],
        "cacheTokensDetails": details[1],
    }
    gemini = DRIVERS["gemini"]
    provider = gemini.make(None)

    reply = read(provider, {**gemini.whole, "usageMetadata": counts})
    cost = provider.calculate_cost(model, reply.usage, reply.billing, TODAY)

    assert (dollars and Decimal(dollars)) == (cost and cost.usd)


async def test_each_request_of_a_paused_answer_has_its_own_price(connect):
    """
    Vector 29: two prompts of 150,000 tokens each are summed, and priced as two short ones.
    """
    gemini = DRIVERS["gemini"]
    candidate = {"content": {"role": "model", "parts": [{"text": "One"}]}}
    pause = {"candidates": [{**candidate, "finishReason": "CONTINUATION", "continuationToken": "token"}]}
    whole = {"candidates": [{**candidate, "finishReason": "STOP"}]}
    counts = {"usageMetadata": counts_of(150_000, 100)}
    async with RawServer([answer({**pause, **counts})], [answer({**whole, **counts})]) as server:
        provider = connect(gemini, server.url)
        _, reply = await send(provider, gemini.ask(stream=False, model="gemini-3.1-pro-preview"))

    cost = provider.calculate_cost("gemini-3.1-pro-preview", reply.usage, reply.billing, TODAY)

    assert (Usage(300_000, 0, 0, 200, 0), Decimal("0.6024")) == (reply.usage, cost.usd)


@pytest.mark.parametrize(
    ("name", "base_url", "model", "dollars"),
    [
        ("openai", "https://api.openai.com/v1", "gpt-5.6-sol", "0.004"),
        ("openai", "http://localhost/v1", "gpt-5.6-sol", "0.004"),
        ("openai", "https://us.api.openai.com/v1", "gpt-5.6-sol", "0.0044"),
        ("openai", "https://EU.api.openai.com/v1", "gpt-5.6-sol", "0.0044"),
        ("openai-chat", "https://eu.api.openai.com/v1", "gpt-5.6-sol", "0.0044"),
        ("openai", "https://eu.api.openai.com/v1", "gpt-5.2", "0.00175"),
        ("openai", "https://xx.api.openai.com/v1", "gpt-5.6-sol", None),
        ("xai", "https://api.x.ai/v1", "grok-4.3", "0.00125"),
        ("xai", "https://us-east-1.api.x.ai/v1", "grok-4.3", "0.001375"),
        ("xai-chat", "https://us-west-1.api.x.ai/v1", "grok-4.3", "0.001375"),
        ("xai", "https://eu-west-1.api.x.ai/v1", "grok-4.3", None),
    ],
)
def test_the_hosts_of_a_region_have_their_own_price(name, base_url, model, dollars):
    """
    Where data stays in a region new models of OpenAI, and all of xAI in the US, cost 10 % more; what another
    region costs is unknown.
    """
    driver = DRIVERS[name]
    provider = driver.make(base_url)
    usage = completion_usage_of(1_000, 0) if name.endswith("chat") else usage_of(1_000, 0)

    reply = read(provider, {**driver.whole, "usage": usage})
    cost = provider.calculate_cost(model, reply.usage, reply.billing, TODAY)

    assert (dollars and Decimal(dollars)) == (cost and cost.usd)


@pytest.mark.parametrize(
    ("day", "dollars"),
    [(datetime(2026, 11, 30, 23, 59, tzinfo=UTC), 2), (datetime(2026, 12, 1, tzinfo=UTC), 4)],
)
def test_a_price_has_a_date(day, dollars):
    """
    Vector 10: the same million tokens cost twice as much from the first of December on.
    """
    provider = DRIVERS["gemini"].make("http://localhost")

    cost = provider.calculate_cost("gemini-4-argon", Usage(1_000_000, 0, 0, 0, 0), Billing(), day)

    assert Decimal(dollars) == cost.usd


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4ms", 0.004),
        ("0s", 0.0),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("34.4s", 34.4),
        ("51820.638305887s", 51820.638305887),
        ("850ms", 0.85),
        ("2h", 7200.0),
        ("5m", 300.0),
        (" 1s ", 1.0),
        ("", None),
        ("s", None),
        ("-1s", None),
        ("1.2.3s", None),
        ("1", None),
        ("soon", None),
    ],
)
def test_a_duration(text, seconds):
    """
    Vector 12: durations as Go and protobuf write them; anything else is none.
    """
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, {}, 1.5),
        ({"retry-after": "1.5"}, {}, 1.5),
        ({"retry-after": "0"}, {}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, {}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 -0000"}, {}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, {}, 0.0),
        ({"retry-after": "7"}, {"details": ({"retryDelay": "34.4s"},)}, 7.0),
        ({}, {"details": ({"@type": "Help"}, {"retryDelay": "34.4s"})}, 34.4),
        ({}, {"message": "Please retry in 12.3s."}, 12.3),
        ({}, {"message": "Please retry in 850ms."}, 0.85),
        ({}, {"message": "Rate limit reached. Please try again in 1m30.5s. Visit …"}, 90.5),
        ({}, {"message": "Please try again in a moment."}, None),
        *[
            ({"retry-after": senseless}, {}, None)
            for senseless in [
                "",
                "-1",
                "nan",
                "inf",
                "-inf",
                "soon",
                "1e999",
                "Mon, 01 Jan 99999999999 00:00:00 GMT",
            ]
        ],
        ({"retry-after-ms": "nan", "retry-after": "2"}, {}, 2.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, {}, 360.0),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, {}, None),
        ({}, {}, None),
    ],
)
def test_how_long_to_wait(headers, body, seconds):
    """
    Hints are taken in order of trust, and a senseless one is none.
    """
    assert seconds == parse_retry_after(headers, ErrorBody(**{"message": "", **body}), TODAY)


def google(code: int, status: str, message: str = "No.", *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def quota(name: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name}]}


WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}
LONG_WAIT = {**WAIT, "retryDelay": "51820.638305887s"}
WRONG_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
OUT_OF_CREDITS = (
    "Your team x has either used all available credits or reached its monthly spending limit. To continue …"
)


def openai(
    code: str | None, message: str = "No.", kind: str = "invalid_request_error", **members: Any
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code, "param": None, **members}}


def xai(message: str, code: str = "Client specified an invalid argument") -> dict[str, Any]:
    return {"code": code, "error": message}


def vllm(message: str, kind: str, code: int) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


ERRORS = [
    # provider, status, body, kind, attributes; the numbered ones first, then others that are documented
    pytest.param(
        "gemini", 400, google(400, "INVALID_ARGUMENT", "No.", WRONG_KEY), "authentication", {}, id="13"
    ),
    pytest.param(
        "gemini",
        429,
        google(
            429, "RESOURCE_EXHAUSTED", "No.", quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), WAIT
        ),
        "quota_exhausted",
        {"retry_after": 34.4},
        id="14",
    ),
    pytest.param(
        "gemini",
        429,
        google(429, "RESOURCE_EXHAUSTED", "No.", quota("GenerateRequestsPerMinutePerProjectPerModel"), WAIT),
        "rate_limited",
        {"retry_after": 34.4},
        id="15",
    ),
    pytest.param("xai", 403, xai(OUT_OF_CREDITS, "…"), "quota_exhausted", {}, id="16"),
    pytest.param("xai", 400, xai("Incorrect API key provided: xa***"), "authentication", {}, id="17"),
    pytest.param("openai", 400, openai("model_not_found"), "model_not_found", {}, id="18: 400"),
    pytest.param("openai", 404, openai("model_not_found"), "model_not_found", {}, id="18: 404"),
    pytest.param(
        "openai",
        429,
        {"error": {"type": "insufficient_quota", "code": "credit_balance_exhausted"}},
        "quota_exhausted",
        {"code": "credit_balance_exhausted"},
        id="19",
    ),
    pytest.param(
        "xai",
        400,
        xai("This model's maximum prompt length is 131072 but the request contains 136973 tokens."),
        "context_length",
        {"limit": 131072, "requested": 136973},
        id="20",
    ),
    pytest.param(
        "gemini",
        400,
        [google(400, "INVALID_ARGUMENT", "No.", WRONG_KEY)],
        "authentication",
        {},
        id="26: in a list",
    ),
    pytest.param("openai", 401, openai(None), "authentication", {}, id="401"),
    pytest.param("openai", 401, openai("invalid_api_key"), "authentication", {}, id="invalid_api_key"),
    pytest.param("openai", 429, openai("rate_limit_exceeded"), "rate_limited", {}, id="rate_limit_exceeded"),
    pytest.param(
        "openai", 429, openai("slow_down", kind="rate_limit_error"), "rate_limited", {}, id="slow_down"
    ),
    *[
        pytest.param("openai", 429, openai(code), "quota_exhausted", {}, id=code)
        for code in [
            "insufficient_quota",
            "billing_hard_limit_reached",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
        ]
    ],
    pytest.param(
        "openai",
        400,
        openai(
            None,
            "This model's maximum context length is 128000 tokens. However, you requested 130000 tokens.",
        ),
        "context_length",
        {"limit": 128000, "requested": 130000},
        id="openai context length in words",
    ),
    pytest.param(
        "openai",
        400,
        openai("context_length_exceeded"),
        "context_length",
        {"limit": None},
        id="context_length_exceeded",
    ),
    pytest.param(
        "openai",
        400,
        openai(
            "context_length_exceeded",
            "Input tokens exceed the configured limit of 272,000 tokens. "
            "Your messages resulted in 280,009 tokens.",
        ),
        "context_length",
        {"limit": 272000, "requested": 280009},
        id="openai configured limit",
    ),
    pytest.param(
        "openai",
        400,
        openai(None, "Total image size is 50.56MB, which exceeds the allowed limit of 50MB."),
        "too_large",
        {"side": "request"},
        id="openai images",
    ),
    *[
        pytest.param(name, 500, openai(None, words, "server_error"), "overloaded", {}, id=f"{name}: {words}")
        for name in ("openai", "xai")
        for words in ("The model is overloaded.", "We are over capacity.", "There is high demand.")
    ],
    *[
        pytest.param("openai", 400, openai(code), "content_filter", {}, id=code)
        for code in [
            "content_policy_violation",
            "invalid_prompt",
            "image_content_policy_violation",
            "bio_policy",
            "misalignment_policy_violation",
        ]
    ],
    pytest.param(
        "openai",
        400,
        openai(None, "Your request was rejected as a result of our safety system."),
        "content_filter",
        {},
        id="safety system",
    ),
    pytest.param(
        "openai",
        400,
        openai(
            None,
            "Unsupported parameter: 'temperature' is not supported with this model.",
            param="temperature",
        ),
        "unsupported_parameter",
        {"parameter": "temperature"},
        id="unsupported parameter in words",
    ),
    pytest.param(
        "openai",
        400,
        openai("unsupported_value", param="top_p"),
        "unsupported_parameter",
        {"parameter": "top_p"},
        id="unsupported_value",
    ),
    pytest.param("openai", 400, openai("invalid_value"), "invalid_request", {}, id="invalid_value"),
    pytest.param(
        "openai",
        403,
        openai("unsupported_country_region_territory", "Country, region, or territory not supported"),
        "permission",
        {},
        id="openai region",
    ),
    pytest.param("openai", 500, openai("server_error"), "server", {}, id="openai server_error"),
    pytest.param(
        "openai",
        503,
        openai("server_is_overloaded", kind="service_unavailable_error"),
        "overloaded",
        {},
        id="server_is_overloaded",
    ),
    *[
        pytest.param(name, 404, body, "model_not_found", {}, id=f"{name}: {words}")
        for name, words, body in [
            ("openai-chat", "openai", openai("model_not_found")),
            ("openai-chat", "ollama", openai(None, "model 'x' not found, try pulling it first", "api_error")),
            ("openai-chat", "ollama's own", {"error": 'model "x" not found, try pulling it first'}),
            ("openai-chat", "vllm", vllm("The model `x` does not exist.", "NotFoundError", 404)),
            ("xai-chat", "xai", xai("The model x does not exist or your team y does not have access to it.")),
        ]
    ],
    *[
        pytest.param("openai-chat", 400, body, "model_not_found", {}, id=f"openai-chat 400: {words}")
        for words, body in [
            ("openrouter", {"error": {"message": "x is not a valid model ID", "code": 400}}),
            ("litellm", openai(None, "Invalid model name passed in model=x.")),
            ("deepseek", openai("invalid_request_error", "Model Not Exist")),
        ]
    ],
    pytest.param(
        "openai-chat",
        400,
        vllm(
            "This model's maximum context length is 4096 tokens. However, you requested 5000 input tokens.",
            "BadRequestError",
            400,
        ),
        "context_length",
        {"limit": 4096, "requested": 5000},
        id="vllm context length",
    ),
    pytest.param(
        "openai-chat",
        400,
        {
            "error": {
                "code": 400,
                "message": "request (4390 tokens) exceeds the available context size (4096 tokens), try …",
                "type": "exceed_context_size_error",
            }
        },
        "context_length",
        {"limit": 4096, "requested": 4390},
        id="llama.cpp context length",
    ),
    pytest.param(
        "openai-chat",
        400,
        openai(None, "the input length exceeds the context length"),
        "context_length",
        {"limit": None},
        id="ollama context length",
    ),
    pytest.param(
        "openai-chat",
        500,
        {"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}},
        "context_length",
        {},
        id="llama.cpp context length with 500",
    ),
    pytest.param(
        "openai-chat",
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        "overloaded",
        {},
        id="llama.cpp loads its model",
    ),
    pytest.param(
        "openai-chat",
        400,
        openai(
            "unsupported_parameter",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use …",
            param="max_tokens",
        ),
        "unsupported_parameter",
        {"parameter": "max_tokens"},
        id="max_tokens for a reasoning model",
    ),
    pytest.param(
        "openai-chat",
        400,
        openai(None, "Unrecognized request argument supplied: foo"),
        "invalid_request",
        {"retryable": False},
        id="an unknown argument that nobody sent",
    ),
    pytest.param(
        "openai-chat",
        400,
        openai(None, "Unrecognized request argument supplied: messages"),
        "unsupported_parameter",
        {"parameter": "messages"},
        id="an unknown argument that was sent",
    ),
    pytest.param(
        "gemini",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        "context_length",
        {"limit": 1048576, "requested": 1200000},
        id="gemini context length",
    ),
    pytest.param(
        "gemini",
        429,
        google(429, "RESOURCE_EXHAUSTED", "No.", LONG_WAIT),
        "quota_exhausted",
        {"retry_after": 51820.638305887},
        id="gemini long wait",
    ),
    pytest.param(
        "gemini", 429, google(429, "RESOURCE_EXHAUSTED"), "rate_limited", {}, id="gemini 429 without details"
    ),
    pytest.param("gemini", 402, google(402, "RESOURCE_EXHAUSTED"), "quota_exhausted", {}, id="gemini 402"),
    pytest.param("gemini", 401, google(401, "UNAUTHENTICATED"), "authentication", {}, id="UNAUTHENTICATED"),
    pytest.param("gemini", 403, google(403, "PERMISSION_DENIED"), "permission", {}, id="PERMISSION_DENIED"),
    pytest.param(
        "gemini", 400, google(400, "FAILED_PRECONDITION"), "permission", {}, id="FAILED_PRECONDITION"
    ),
    pytest.param("gemini", 404, google(404, "NOT_FOUND"), "model_not_found", {}, id="NOT_FOUND"),
    pytest.param("gemini", 500, google(500, "INTERNAL"), "server", {}, id="INTERNAL"),
    pytest.param("gemini", 503, google(503, "UNAVAILABLE"), "overloaded", {}, id="UNAVAILABLE"),
    pytest.param("gemini", 504, google(504, "DEADLINE_EXCEEDED"), "timeout", {}, id="DEADLINE_EXCEEDED"),
    pytest.param(
        "gemini", 400, google(400, "INVALID_ARGUMENT"), "invalid_request", {}, id="INVALID_ARGUMENT"
    ),
    pytest.param("xai", 401, xai("No API key provided."), "authentication", {}, id="xai no key"),
    pytest.param(
        "xai",
        403,
        xai("Your newly created team doesn't have any credits or licenses yet."),
        "quota_exhausted",
        {},
        id="xai no credits",
    ),
    pytest.param("xai", 429, xai(OUT_OF_CREDITS), "quota_exhausted", {}, id="xai out of credits with 429"),
    pytest.param(
        "xai",
        403,
        xai("No.", "personal-team-blocked:spending-limit"),
        "quota_exhausted",
        {},
        id="xai spending-limit",
    ),
    pytest.param("xai", 403, xai("No.", "permission-denied"), "permission", {}, id="xai permission-denied"),
    pytest.param("xai", 429, xai("Too many requests."), "rate_limited", {"retry_after": None}, id="xai 429"),
    pytest.param(
        "xai",
        404,
        xai("The model grok-9 does not exist or your team x does not have access to it."),
        "model_not_found",
        {},
        id="xai unknown model",
    ),
    pytest.param(
        "xai",
        400,
        xai("The model grok-9 does not exist or your team x does not have access to it."),
        "model_not_found",
        {},
        id="xai unknown model with 400",
    ),
    pytest.param(
        "xai",
        400,
        xai("This model does not support parameter reasoningEffort."),
        "unsupported_parameter",
        {},
        id="xai unsupported parameter",
    ),
    pytest.param(
        "xai",
        400,
        xai("This model does not support 'reasoning_effort' value 'none'."),
        "unsupported_parameter",
        {},
        id="xai unsupported value",
    ),
    *[
        pytest.param("xai", 400, xai(words), "unsupported_parameter", {"parameter": name}, id=words)
        for words, name in [
            ("Argument not supported on this model: stop", "stop"),
            ("Model grok-4.20 does not support parameter reasoningEffort.", "reasoningEffort"),
            ("Model grok-4.5 does not support 'reasoning_effort' value 'none'.", "reasoning_effort"),
        ]
    ],
    pytest.param("xai", 403, xai("No.", "team-blocked"), "quota_exhausted", {}, id="xai blocked"),
    pytest.param(
        "xai",
        403,
        xai("Your team doesn\u2019t have any credits yet."),
        "quota_exhausted",
        {},
        id="xai no credits, in better type",
    ),
    pytest.param(
        "xai",
        403,
        xai("grok-9 does not exist or your team x does not have access to it."),
        "model_not_found",
        {},
        id="xai unknown model, not called one",
    ),
    pytest.param(
        "xai", 403, xai("Content violates usage guidelines."), "content_filter", {}, id="xai safety"
    ),
    pytest.param("xai", 410, {"error": "Live search is deprecated."}, "invalid_request", {}, id="xai 410"),
    pytest.param("xai", 422, {"error": "missing field `model`"}, "invalid_request", {}, id="xai 422"),
    pytest.param("xai", 503, xai("At capacity."), "overloaded", {}, id="xai 503"),
    *[
        pytest.param(name, status, {}, kind, {}, id=f"{name} {status}")
        for name in DRIVERS
        for status, kind in [
            (408, "timeout"),
            (413, "too_large"),
            (429, "rate_limited"),
            (500, "server"),
            (502, "server"),
            (504, "timeout"),
            (529, "overloaded"),
            (418, "invalid_request"),
            (599, "server"),
        ]
    ],
]


@pytest.mark.parametrize(("name", "status", "body", "kind", "attributes"), ERRORS)
async def test_an_error_answer_is_one_class(connect, name, status, body, kind, attributes):
    """
    Code, details, words and status, in this order, make an error answer the same class for all providers.
    """
    driver = DRIVERS[name]
    async with RawServer([answer(body, status)]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask())

    assert (kind, status) == (error.kind, error.status)
    assert attributes == {name: getattr(error, name) for name in attributes}


@pytest.mark.parametrize(
    ("status", "code", "said", "is_retryable"),
    [
        (500, "server_error", None, True),
        (500, "server_error", "false", False),
        (400, "invalid_value", None, False),
        (400, "invalid_value", "true", True),
        (429, "rate_limit_exceeded", "perhaps", True),
    ],
)
async def test_openai_knows_better_than_the_status_whether_to_try_again(
    connect, status, code, said, is_retryable
):
    """
    The header ``x-should-retry`` goes before what the kind of the error says.
    """
    driver = DRIVERS["openai"]
    headers = {} if said is None else {"x_should_retry": said}
    async with RawServer([answer(openai(code), status, **headers)]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask())

    assert is_retryable is error.retryable


UNDER_SUCCESS = [
    *[
        (name, {"code": code, "error": "No."}, kind)
        for name in ("xai", "xai-chat")
        for code, kind in [
            ("The request does not have valid authentication credentials", "authentication"),
            ("The caller does not have permission to execute the specified operation", "permission"),
            ("permission-denied", "permission"),
            ("personal-team-blocked:spending-limit", "quota_exhausted"),
            ("Some resource has been exhausted", "rate_limited"),
            ("rate_limit", "rate_limited"),
            ("rate_limit_exceeded", "rate_limited"),
            ("The service is currently unavailable", "overloaded"),
            ("Deadline expired before operation could complete", "timeout"),
            ("Internal error", "server"),
            ("Client specified an invalid argument", "invalid_request"),
            ("a new one", "server"),
        ]
    ],
    ("xai", xai("Incorrect API key provided: xa***"), "authentication"),
    (
        "xai",
        xai("This model's maximum prompt length is 1 but the request contains 2 tokens."),
        "context_length",
    ),
    ("xai", openai("server_is_overloaded"), "overloaded"),
    ("xai", openai("insufficient_quota"), "quota_exhausted"),
    *[
        (name, openai(code, kind=kind), expected)
        for name in ("openai", "openai-chat")
        for code, kind, expected in [
            ("rate_limit_exceeded", "requests", "rate_limited"),
            (None, "rate_limit_error", "rate_limited"),
            ("invalid_api_key", "invalid_request_error", "authentication"),
            ("insufficient_quota", "insufficient_quota", "quota_exhausted"),
            (None, "invalid_request_error", "invalid_request"),
            (None, "server_error", "server"),
            (None, "overloaded_error", "overloaded"),
            ("data_residency_mismatch", "", "permission"),
            ("vector_store_timeout", "", "timeout"),
            ("image_too_large", "", "too_large"),
            ("image_file_too_large", "", "too_large"),
            ("image_content_policy_violation", "", "content_filter"),
            *[
                (code, "", "invalid_request")
                for code in [
                    "invalid_image",
                    "invalid_image_format",
                    "invalid_base64_image",
                    "invalid_image_url",
                    "invalid_image_mode",
                    "image_too_small",
                    "image_parse_error",
                    "unsupported_image_media_type",
                    "empty_image_file",
                    "failed_to_download_image",
                    "image_file_not_found",
                ]
            ],
        ]
    ],
    ("xai", xai("Content violates usage guidelines.", "…"), "content_filter"),
    ("gemini", {"error": {"message": "The model is overloaded."}}, "overloaded"),
    ("gemini", google(429, "RESOURCE_EXHAUSTED"), "rate_limited"),
    ("gemini", {"error": {"status": "INVALID_ARGUMENT", "message": "No."}}, "invalid_request"),
    ("gemini", {"error": {"status": "UNAVAILABLE", "message": "No."}}, "overloaded"),
    ("gemini", {"error": {"code": 400, "message": "No."}}, "invalid_request"),
    *[("gemini", {"error": {"code": code, "message": "No."}}, "server") for code in (7, 200, 600, 400.5)],
]


@pytest.mark.parametrize(("name", "body", "kind"), UNDER_SUCCESS)
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_an_error_under_status_200_is_what_its_code_says(connect, name, body, kind, is_streamed):
    """
    Where the status says nothing, the code does, in a document and in an event.
    """
    driver = DRIVERS[name]
    async with RawServer(stream(body) if is_streamed else [answer(body)]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask(stream=is_streamed))

    assert kind == error.kind
