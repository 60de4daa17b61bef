"""The drivers' model lists, from the simulated services and from servers that fail."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import pytest
from driver_cases import DRIVERS, KEY, check_for_secrets
from raw_server import Act, RawServer, answer

from tertulia import Capability, HTTPProvider, ModelInfo, ProtocolError, ProviderError, Rates
from tertulia.domain.model import find_model
from tertulia_xai.listing import parse_price
from tertulia_xai.prices import PRICES


@pytest.fixture
def services(simulator) -> dict[str, str]:
    """The address of each simulated service."""
    return {name: provider["base_url"] for name, provider in simulator.providers().items()}


async def test_openai_lists_its_models_with_bundled_limits(services, connect):
    """
    OpenAI names no limits, so those are the bundled ones; a model that is new to us has none.
    """
    models = await connect(DRIVERS["openai"], services["openai"]).list_models()

    assert 20 == len(models)
    assert ("mine", 1_050_000, 922_000, 128_000, ()) == limits_of(find_model(models, "gpt-6.1-sol"))
    assert {"mine"} == {model.provider for model in models}


async def test_gemini_lists_what_generates_with_googles_limits(services, connect):
    """
    Names lose their prefix, limits are the service's own, and a model that only embeds is left out.
    """
    models = await connect(DRIVERS["gemini"], services["gemini"]).list_models()

    names = [model.id for model in models]
    assert ("mine", 1_048_576, 1_048_576, 65_536, ()) == limits_of(find_model(models, "gemini-3.5-flash"))
    assert (14, "gemini-4-argon", "Gemini 4 Argon") == (len(names), names[0], models[0].display_name)
    assert "gemini-embedding-001" not in names
    assert not [name for name in names if name.endswith("-latest")]


async def test_the_latest_names_are_listed_where_they_exist(services, connect):
    """
    On ``v1beta`` the list has the ``-latest`` names as well.
    """
    provider = connect(DRIVERS["gemini"], services["gemini"], settings={"api_version": "v1beta"})

    names = [model.id for model in await provider.list_models()]

    assert ["gemini-flash-latest", "gemini-flash-lite-latest", "gemini-pro-latest"] == names[-3:]


async def test_xai_lists_its_models_with_their_aliases(services, connect):
    """
    Aliases are the service's own, windows the bundled ones.
    """
    models = await connect(DRIVERS["xai"], services["xai"]).list_models()

    assert ["grok-4.7", "grok-4.6", "grok-4.5", "grok-4.3", "grok-build-0.1"] == [
        model.id for model in models
    ]
    assert ("mine", 500_000, None, None, ("grok-4.6-latest", "grok-latest")) == limits_of(models[1])


async def test_the_bundled_prices_of_xai_are_those_it_lists(services, connect):
    """
    What the list says a model costs is what the bundled table says, long prompts included.
    """
    models = await connect(DRIVERS["xai"], services["xai"]).list_models()

    bundled = {price.model: price for price in PRICES}
    assert [(bundled[model.id].rates, bundled[model.id].long_context) for model in models] == [
        (model.price.rates, model.price.long_context) for model in models
    ]


def test_listed_prices_are_ten_thousandths_of_a_dollar():
    """
    Vector 11: 12500 in the list is $1.25 per million tokens; an entry without prices has none.
    """
    listed = parse_price({"prompt_text_token_price": 12500, "completion_text_token_price": 25000}, "grok-4.3")

    assert Rates(Decimal("1.25"), Decimal("2.5")) == listed.rates
    assert (None, None) == (listed.long_context, parse_price({"id": "grok-4.3"}, "grok-4.3"))


async def test_a_model_that_is_new_to_us_is_listed_without_facts(connect):
    """
    What is not known is None, which is not zero and not "nothing".
    """
    lists = {
        "openai": {"data": [{"id": "brand-new"}]},
        "gemini": {
            "models": [{"name": "models/brand-new", "supportedGenerationMethods": ["generateContent"]}]
        },
        "xai": {"models": [{"id": "brand-new"}]},
    }
    for name, body in lists.items():
        async with RawServer([answer(body)]) as server:
            assert [ModelInfo("mine", "brand-new")] == await connect(DRIVERS[name], server.url).list_models()


@pytest.mark.parametrize("odd", [None, 5, "text", [], [5], {"id": 5}, {"name": []}])
async def test_an_entry_of_another_type_is_passed_over(connect, driver, odd):
    """
    An entry, or a member of one, that is not what the format says spoils neither the list nor the program.
    """
    methods = {"supportedGenerationMethods": ["generateContent", odd]}
    good = {"id": "one", "name": "models/one", "aliases": ["uno", odd], **methods}
    entries = [odd, {**good, "aliases": odd, "supportedGenerationMethods": odd, "id": odd}, good]
    async with RawServer([answer({"data": entries, "models": entries})]) as server:
        models = await connect(driver, server.url).list_models()

    assert "one" == models[-1].id


async def test_gemini_reads_every_page(connect):
    """
    Pages are asked for with the token of the page before, and joined in order.
    """
    methods = {
        "supportedGenerationMethods": ["generateContent"],
        "inputTokenLimit": 1000,
        "outputTokenLimit": 10,
    }
    pages = [
        {"models": [{"name": "models/one", **methods}], "nextPageToken": "a/b+c="},
        {"models": [], "nextPageToken": "d"},
        {"models": [{"name": "models/two", **methods}]},
    ]
    async with RawServer(*([answer(page)] for page in pages)) as server:
        models = await connect(DRIVERS["gemini"], server.url).list_models()

    assert [("one", 1000, 10), ("two", 1000, 10)] == [
        (model.id, model.context_window, model.max_output_tokens) for model in models
    ]
    assert [["1000"], ["1000", "a/b+c="], ["1000", "d"]] == [
        [value for _, value in parse_qsl(urlsplit(request.target).query)] for request in server.requests
    ]


async def test_a_list_without_an_end_is_an_error(connect):
    """
    A service that always names another page is not asked for ever.
    """
    driver = DRIVERS["gemini"]
    async with RawServer([answer({"models": [], "nextPageToken": "more"})]) as server:
        with pytest.raises(ProtocolError, match="the list of models has no end"):
            await connect(driver, server.url).list_models()

    assert 100 == len(server.requests)


async def test_a_page_that_fails_fails_the_list(connect):
    """
    Half a list is no list.
    """
    first = {"models": [], "nextPageToken": "a"}
    async with RawServer([answer(first)], [answer({"error": {"status": "UNAVAILABLE"}}, 503)]) as server:
        error = await fail_to_list(connect(DRIVERS["gemini"], server.url))

    assert "overloaded" == error.kind


async def test_a_wrong_key_lists_nothing(services, connect, driver):
    """
    A refused key is an error, and never an empty list.
    """
    name = driver.service

    error = await fail_to_list(connect(driver, services[name], key="not-" + KEY))

    assert "authentication" == error.kind


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([answer({"error": "Sorry."}, 500)], "server"),
        ([answer({"data": [], "models": []}, 500)], "server"),
        ([answer({"error": {"message": "Sorry.", "code": "x"}}, 200)], "server"),
        ([answer(b"<html>", 200, "text/html")], "protocol"),
        ([answer(b"", 200)], "protocol"),
        ([answer(b"{", 200)], "protocol"),
        ([answer({"object": "list"}, 200)], "protocol"),
        ([Act.CLOSE], "connection"),
    ],
)
async def test_a_list_that_cannot_be_had_is_an_error(connect, driver, script, kind):
    """
    Whatever goes wrong, a failure never reads as an empty list.
    """
    async with RawServer(script) as server:
        error = await fail_to_list(connect(driver, server.url))

    assert kind == error.kind


@pytest.mark.parametrize("name", ["openai", "gemini", "xai"])
async def test_without_a_key_nothing_is_asked(connect, name):
    """
    A missing key is noticed before a connection is made.
    """
    driver = DRIVERS[name]
    async with RawServer([answer({})]) as server:
        error = await fail_to_list(connect(driver, server.url, key=None))

    assert (False, 0) == (error.sent, server.connections)


def test_a_known_model_says_what_it_can(driver):
    """
    The default model of each driver is in its table.
    """
    info = driver.make(None).describe(driver.cls.DEFAULT_MODEL)

    assert ("mine", driver.cls.DEFAULT_MODEL) == (info.provider, info.id)
    assert Capability.REASONING in info.capabilities


def limits_of(info: ModelInfo | None) -> tuple[object, ...]:
    assert info is not None
    return (info.provider, info.context_window, info.max_input_tokens, info.max_output_tokens, info.aliases)


async def fail_to_list(provider: HTTPProvider) -> ProviderError:
    """Ask for a list that cannot be had: the error, which does not know the key."""
    with pytest.raises(ProviderError) as caught:
        await provider.list_models()
    check_for_secrets(caught.value, provider)
    return caught.value
