"""What xAI says: costs, errors, its lists of models, whether it takes a key, how long a text is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import attrs
import pytest
from driver_cases import DRIVERS, check_for_secrets, fail, read
from raw_server import Act, RawServer, answer
from test_xai_requests import SEARCHED, WEATHER

from tertulia import (
    Capability,
    CostSource,
    Message,
    Money,
    ProviderError,
    Reasoning,
    ResponseSchema,
    Text,
    Timeouts,
    Usage,
)
from tertulia_xai.models import MODELS

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TEAM = "Your team 00000000 has either used all available credits or reached its monthly spending limit."


def test_the_cost_that_xai_names_is_the_cost_of_record():
    """
    A recorded search cost two fees besides its tokens; the price rows come to the same amount.
    """
    provider = DRIVERS["xai"].make(None)

    reply = read(provider, SEARCHED)

    assert Usage(3641, 2048, 0, 199, 245) == reply.usage
    assert {"web_search": 2} == reply.billing.tool_calls
    assert Money(160_708_500 * 100) == reply.billing.reported
    cost = provider.calculate_cost("grok-4.3", reply.usage, reply.billing, NOW)
    assert (reply.billing.reported, CostSource.COMPUTED) == (cost.money, cost.source)
    assert SEARCHED["usage"] == reply.billing.raw


@pytest.mark.parametrize("name", ["xai", "xai-chat"])
@pytest.mark.parametrize("usage", [None, {}, {"cost_in_usd_ticks": None}, {"cost_in_usd_ticks": "many"}])
def test_a_cost_that_is_not_named_is_unknown(name, usage):
    """
    Unknown is None, and never zero.
    """
    driver = DRIVERS[name]

    reply = read(driver.make(None), {**driver.whole, "usage": usage})

    assert (None, {}) == (reply.billing.reported, reply.billing.tool_calls)


@pytest.mark.parametrize(
    ("completion", "total", "expected"),
    [
        (9, 161, Usage(24, 8, 0, 9, 120)),
        (129, 161, Usage(24, 8, 0, 9, 120)),
        (9, None, Usage(24, 8, 0, 9, 120)),
    ],
    ids=["beside", "inside", "not told"],
)
def test_the_total_of_a_completion_tells_what_is_in_it(completion, total, expected):
    """
    Where it is more than prompt and completion, reasoning comes on top, and so it does where none is told.
    """
    driver = DRIVERS["xai-chat"]
    usage = {
        "prompt_tokens": 32,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": 120},
        "total_tokens": total,
    }

    assert expected == read(driver.make(None), {**driver.whole, "usage": usage}).usage


@pytest.mark.parametrize(
    ("url", "region", "factor"),
    [
        (None, None, Decimal(1)),
        ("https://us-east-1.api.x.ai/v1", "us-east-1", Decimal("1.1")),
        ("https://eu-west-1.api.x.ai/v1", "eu-west-1", None),
        ("https://api.x.ai.example/v1", None, Decimal(1)),
        ("https://evil-api.x.ai/v1", None, Decimal(1)),
    ],
)
def test_the_host_of_a_region_is_in_the_price(url, region, factor):
    """
    What a region costs more is in the computed price; where no factor is known, that is unknown.
    """
    driver = DRIVERS["xai"]
    provider = driver.make(url)

    reply = read(provider, {**driver.whole, "usage": {"input_tokens": 1_000_000, "output_tokens": 0}})

    cost = provider.calculate_cost("grok-4.3", reply.usage, reply.billing, NOW)
    expected = None if factor is None else Money.from_usd(Decimal("2.5") * factor)
    assert (region, expected) == (reply.billing.region, cost and cost.money)


NO_CREDITS = "Your newly created team doesn't have any credits or licenses yet."
ERRORS = {
    "authentication": [
        (400, {"code": "x", "error": "Incorrect API key provided: xa***."}),
        (401, {"error": "Missing or malformed Authorization header."}),
        (200, {"code": "unauthenticated", "error": "No."}),
    ],
    "quota_exhausted": [
        (403, {"code": "x", "error": NO_CREDITS}),
        (403, {"code": "x", "error": TEAM}),
        (429, {"code": "x", "error": TEAM}),
        (403, {"code": "personal-team-blocked:spending-limit", "error": "No."}),
        (403, {"error": "Your team has used all available credits."}),
    ],
    "permission": [
        (403, {"code": "permission-denied", "error": "No."}),
        (403, {"error": "The model grok-9 is not allowed for this key."}),
    ],
    "unsupported_parameter": [
        (400, {"error": "This model does not support parameter reasoningEffort."}),
        (400, {"error": "This model does not support 'reasoning_effort' value 'none'."}),
        (400, {"error": "Argument not supported: metadata"}),
    ],
    "invalid_request": [
        (400, {"code": "Client specified an invalid argument", "error": "Empty messages"}),
        (400, {"error": {"message": "Bad.", "type": "x", "param": None, "code": None}}),
        (405, {"error": "Method not allowed."}),
        (415, {"error": "Expected request with `Content-Type: application/json`"}),
        (422, {"error": "Failed to deserialize the JSON body: missing field `model`"}),
    ],
    "content_filter": [(400, {"error": "Content violates usage guidelines."})],
    "model_not_found": [
        (404, {"error": "The model grok-9 does not exist or your team does not have access to it."})
    ],
    "rate_limited": [(429, {"code": "Some resource has been exhausted", "error": "Too many requests."})],
    "server": [(500, {"error": "Internal error"})],
    "overloaded": [
        (503, {"code": "The service is currently unavailable", "error": "At capacity."}),
        (200, {"code": "The service is currently unavailable", "error": "Busy."}),
    ],
}
RETRYABLE = {"rate_limited", "server", "overloaded"}


@pytest.mark.parametrize(
    ("kind", "status", "body"), [(kind, *error) for kind, errors in ERRORS.items() for error in errors]
)
@pytest.mark.parametrize("name", ["xai", "xai-chat"])
async def test_an_error_is_told_by_its_words_before_its_status(connect, name, kind, status, body):
    """
    A wrong key comes with 400 and an empty account with 403; whatever its shape, the error is one of ours.
    """
    async with RawServer([answer(body, status)]) as server:
        _, error = await fail(connect(DRIVERS[name], server.url), DRIVERS[name].ask())

    assert (kind, kind in RETRYABLE) == (error.kind, error.retryable)


async def test_a_prompt_that_is_too_long_says_by_how_much(connect):
    """
    Both numbers are read out of the words.
    """
    words = "This model's maximum prompt length is 131072 but the request contains 136973 tokens."
    async with RawServer([answer({"error": words}, 400)]) as server:
        _, error = await fail(connect(DRIVERS["xai"], server.url), DRIVERS["xai"].ask())

    assert ("context_length", 131_072, 136_973) == (error.kind, error.limit, error.requested)


async def test_live_search_is_gone_and_the_error_says_what_came_after_it(connect):
    """
    The old parameter is answered with 410.
    """
    async with RawServer([answer({"error": "Live search is deprecated."}, 410)]) as server:
        _, error = await fail(connect(DRIVERS["xai-chat"], server.url), DRIVERS["xai-chat"].ask())

    assert ("invalid_request", "offer the hosted tools web_search and x_search instead") == (
        error.kind,
        error.next_step,
    )


def listed(name: str, **members: object) -> dict[str, object]:
    """An entry of the list with prices."""
    prices = {"prompt_text_token_price": 12500, "completion_text_token_price": 25000}
    return {"id": name, "created": 1_767_225_600, "input_modalities": ["text", "image"], **prices, **members}


async def list_models(connect, *scripts):
    async with RawServer(*scripts) as server:
        models = await connect(DRIVERS["xai"], server.url).list_models()
    assert ["/language-models", "/models"] == [request.target for request in server.requests[:2]]
    return models


async def test_two_lists_make_one(connect):
    """
    Prices, aliases and dates come from one list, windows from the other; what neither says is bundled.
    """
    first = {"models": [listed("grok-4.3", aliases=["grok-4.3-latest"]), listed("grok-4.5")]}
    second = {"data": [{"id": "grok-4.3", "context_length": 2_000_000}]}

    newer, older = await list_models(connect, [answer(first)], [answer(second)])

    assert (2_000_000, 500_000) == (newer.context_window, older.context_window)
    assert (("grok-4.3-latest",), datetime(2026, 1, 1, tzinfo=UTC)) == (newer.aliases, newer.created)
    assert (Decimal("1.25"), Decimal("2.5"), None) == (
        newer.price.rates.input,
        newer.price.rates.output,
        newer.price.rates.cache_read,
    )
    assert ("none", "low", "medium", "high") == newer.reasoning_efforts


async def test_a_listed_price_knows_regions_and_fees(connect):
    """
    The list does not name them, and they hold all the same.
    """
    (model,) = await list_models(connect, [answer({"models": [listed("grok-4.3")]})], [answer({"data": []})])

    assert (Decimal("1.1"), Decimal(5)) == (model.price.regions["us-east-1"], model.price.fees["web_search"])


@pytest.mark.parametrize(
    "trouble",
    [
        [answer({"error": "Sorry."}, 500)],
        [answer({"error": "No."}, 403)],
        [answer({"object": "surprise"})],
        [answer(b"<html>", 200, "text/html")],
        [Act.CLOSE],
    ],
)
async def test_the_list_of_windows_may_fail(connect, trouble):
    """
    Windows are then the bundled ones.
    """
    (model,) = await list_models(connect, [answer({"models": [listed("grok-4.3")]})], trouble)

    assert (1_000_000, Decimal("1.25")) == (model.context_window, model.price.rates.input)


async def test_a_list_of_windows_that_does_not_come_is_not_waited_for(connect):
    """
    It has no more time than its provider gives it.
    """
    async with RawServer([answer({"models": [listed("grok-4.3")]})], [Act.HANG]) as server:
        provider = connect(DRIVERS["xai"], server.url, timeouts=Timeouts(total=0.1))
        async with asyncio.timeout(5):
            (model,) = await provider.list_models()

    assert 1_000_000 == model.context_window


@pytest.mark.parametrize(
    ("name", "modalities", "expected"),
    [
        ("grok-4.3", ["text", "image"], True),
        ("grok-4.3", ["text"], False),
        ("grok-4.3", [], True),
        ("brand-new", ["text", "image"], None),
    ],
)
async def test_the_list_says_which_models_see(connect, name, modalities, expected):
    """
    Of a model that is new to us that alone would say too little: what it can do stays unknown.
    """
    body = {"models": [listed(name, input_modalities=modalities)]}

    (model,) = await list_models(connect, [answer(body)], [answer({"data": []})])

    assert expected == (None if model.capabilities is None else Capability.VISION in model.capabilities)


@pytest.mark.parametrize("created", [None, 0, "yesterday", 2**62, True])
async def test_a_date_that_is_none_is_unknown(connect, created):
    """
    A list with odd entries is still a list.
    """
    body = {"models": [listed("grok-4.3", created=created)]}

    (model,) = await list_models(connect, [answer(body)], [answer({"data": [{"id": "grok-4.3"}]})])

    assert (None, 1_000_000) == (model.created, model.context_window)


async def test_the_simulated_service_lists_every_current_model(simulator, connect):
    """
    What it lists is known, and priced.
    """
    models = await connect(DRIVERS["xai"], simulator.providers()["xai"]["base_url"]).list_models()

    assert {model.id for model in models} < {info.id for info in MODELS}
    assert all(model.price and model.context_window and model.created for model in models)


KEY_INFO = {
    "name": "mine",
    "redacted_api_key": "xa***",
    "team_blocked": False,
    "api_key_blocked": False,
    "api_key_disabled": False,
}


async def test_a_good_key_is_verified_without_a_message(connect):
    """
    One free call, and no answer is paid for.
    """
    async with RawServer([answer(KEY_INFO)]) as server:
        await connect(DRIVERS["xai"], server.url).verify()

    assert [("/api-key", None)] == [(request.target, request.body) for request in server.requests]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([answer({**KEY_INFO, "api_key_blocked": True})], "authentication"),
        ([answer({**KEY_INFO, "api_key_disabled": True})], "authentication"),
        ([answer({**KEY_INFO, "team_blocked": True})], "permission"),
        ([answer({"error": "Incorrect API key provided: xa***"}, 400)], "authentication"),
        ([answer({"error": TEAM}, 403)], "quota_exhausted"),
        ([answer([])], "protocol"),
        ([answer({"error": "Sorry."}, 500)], "server"),
        ([Act.CLOSE], "connection"),
    ],
)
async def test_a_key_that_is_not_taken_is_an_error(connect, script, kind):
    """
    Blocked, disabled or wrong: each is an error of its kind, without the key.
    """
    async with RawServer(script) as server:
        provider = connect(DRIVERS["xai"], server.url)
        with pytest.raises(ProviderError) as caught:
            await provider.verify()

    check_for_secrets(caught.value, provider)
    assert kind == caught.value.kind


async def test_a_blocked_key_says_where_to_look(connect):
    """
    The error has the service's word for it.
    """
    async with RawServer([answer({**KEY_INFO, "api_key_disabled": True})]) as server:
        with pytest.raises(ProviderError) as caught:
            await connect(DRIVERS["xai"], server.url).verify()

    assert "provider 'mine': xAI says of the key: api_key_disabled" == caught.value.message
    assert ("api_key_disabled", "look at the key and its team on https://console.x.ai") == (
        caught.value.code,
        caught.value.next_step,
    )


TOKENS = {"token_ids": [{"token_id": 13902, "string_token": "Hello", "token_bytes": [72]}, {"token_id": 0}]}


async def test_texts_are_counted_by_the_service(connect):
    """
    All texts of a request in one call, by the tokens of its model, and what is around them by estimate.
    """
    driver = DRIVERS["xai"]
    messages = (
        Message.of("system", "Be brief."),
        Message.of("user", "Hello"),
        Message.of("assistant", "Hi."),
    )
    async with RawServer([answer(TOKENS)]) as server:
        request = attrs.evolve(driver.ask(), messages=messages)
        counted = await connect(driver, server.url).count_input_tokens(request)

    assert 2 + 189 + 3 * 3 == counted
    assert [("/tokenize-text", {"model": "grok-4.3", "text": "Be brief.\nHello\nHi."})] == [
        (request.target, request.body) for request in server.requests
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"tools": (WEATHER,)},
        {"response_schema": ResponseSchema("person", {"type": "object"})},
        {"messages": (attrs.evolve(Message.of("user", "x"), parts=(Text("x"), Reasoning("Hm."))),)},
    ],
)
async def test_what_is_not_text_cannot_be_counted(connect, more):
    """
    No call is made for half a number.
    """
    driver = DRIVERS["xai"]
    async with RawServer([answer(TOKENS)]) as server:
        request = attrs.evolve(driver.ask(), **more)
        counted = await connect(driver, server.url).count_input_tokens(request)

    assert (None, 0) == (counted, server.connections)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([answer({"token_ids": None})], "protocol"),
        ([answer({"tokens": []})], "protocol"),
        ([answer({"error": "The model x does not exist."}, 404)], "model_not_found"),
        ([answer({"error": "Sorry."}, 500)], "server"),
    ],
)
async def test_a_count_that_cannot_be_had_is_an_error(connect, script, kind):
    """
    A failure is not read as a count of zero.
    """
    driver = DRIVERS["xai"]
    async with RawServer(script) as server:
        provider = connect(driver, server.url)
        with pytest.raises(ProviderError) as caught:
            await provider.count_input_tokens(driver.ask())

    check_for_secrets(caught.value, provider)
    assert kind == caught.value.kind
