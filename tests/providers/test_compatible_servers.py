"""Servers that are not OpenAI and speak as it does: by OpenAI's driver, and by a driver of their own."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from driver_cases import DRIVERS, KEY, fail, read, send
from raw_server import RawServer, answer, stream

import tertulia
from tertulia import (
    Billing,
    ChatCompletionsProvider,
    ConfigurationError,
    Image,
    MediaLimits,
    Message,
    MissingKeyError,
    ModelInfo,
    ModelNotFoundError,
    Options,
    PluginRejectedError,
    ProviderConfig,
    Request,
    Role,
    Secret,
    Target,
    Text,
    Usage,
)
from tertulia.wire.chat_completions import Dialect
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

CHAT = DRIVERS["openai-chat"]
RESPONSES = DRIVERS["openai"]
HELLO = {"role": "user", "content": "Hello"}
ELSEWHERE = "http://localhost:11434/v1"


def openai(base_url: str | None = None, *, key: str | None = None, **settings: str) -> OpenAIProvider:
    secret = None if key is None else Secret(key)
    return OpenAIProvider(
        ProviderConfig("mine", "openai", base_url=base_url, api_key=secret, settings=settings)
    )


def ask(model: str = "llama3.3", *, stream: bool = False, options: Options = Options()) -> Request:
    return Request(Target("mine", model), (Message.of("user", "Hello"),), options, stream=stream)


@pytest.mark.parametrize(
    ("base_url", "settings", "path"),
    [
        (None, {}, "/responses"),
        ("https://api.openai.com/v1", {}, "/responses"),
        ("https://eu.api.openai.com/v1", {}, "/responses"),
        ("http://localhost:11434/v1", {}, "/chat/completions"),
        ("https://openrouter.ai/api/v1", {}, "/chat/completions"),
        ("https://api.openai.com.example/v1", {}, "/chat/completions"),
        ("http://api.openai.com/v1", {}, "/chat/completions"),
        (None, {"api": "chat"}, "/chat/completions"),
        ("http://localhost:11434/v1", {"api": "responses"}, "/responses"),
        ("http://localhost:11434/v1", {"api": "chat"}, "/chat/completions"),
    ],
)
def test_the_format_is_chosen_by_the_address(base_url, settings, path):
    """
    OpenAI is asked in its newer format, everybody else in the one that everybody knows; a setting wins.
    """
    assert path == openai(base_url, **settings).wire.get_path(ask())


@pytest.mark.parametrize(
    ("base_url", "settings", "dollars"),
    [
        (None, {}, "0.000075"),
        (None, {"api": "chat"}, "0.000075"),
        ("https://gateway.example/v1", {"api": "responses"}, "0.000075"),
        (ELSEWHERE, {}, None),
        (ELSEWHERE, {"api": "chat"}, None),
        ("https://api.openai.com:8443/v1", {}, None),
    ],
)
def test_a_local_model_does_not_cost_what_openais_does(base_url, settings, dollars):
    """
    A compatible server may call its models what it likes; OpenAI behind a gateway costs what OpenAI costs.
    """
    at = datetime(2026, 11, 22, tzinfo=UTC)
    cost = openai(base_url, **settings).calculate_cost("gpt-4o", Usage(10, 0, 0, 5, 0), Billing(), at)

    assert dollars == (None if cost is None else str(cost.money.usd))


@pytest.mark.parametrize("driver", [OpenAIProvider, XAIProvider])
@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("response", "did you mean 'responses'?"),
        ("Chat", "did you mean 'chat'?"),
        ("grpc", None),
        (True, None),
        (["chat"], "did you mean 'chat'?"),
    ],
)
def test_another_format_is_refused(driver, value, advice):
    """
    A misspelt format is noticed when the provider is made.
    """
    with pytest.raises(ConfigurationError) as caught:
        driver(ProviderConfig("mine", "driver", settings={"api": value}))

    assert ("provider 'mine': api is none of responses, chat", advice) == (
        caught.value.message,
        caught.value.next_step,
    )


def test_xai_speaks_its_newer_format_wherever_it_is():
    """
    Nobody else speaks as xAI does, so another address is xAI's all the same.
    """
    provider = XAIProvider(ProviderConfig("mine", "xai", base_url=ELSEWHERE))

    assert ("/responses", True) == (provider.wire.get_path(ask()), provider.needs_key)


async def test_a_plain_server_is_asked_as_it_expects():
    """
    It gets the limit by the name it knows, nothing that only OpenAI understands, and no key.
    """
    async with RawServer(stream(*CHAT.events)) as server:
        provider = openai(f"{server.url}/v1")
        await send(provider, ask(stream=True, options=Options(max_output_tokens=9, stop=("END",))))
        await provider.aclose()

    (received,) = server.requests
    assert "/v1/chat/completions" == received.target
    assert "authorization" not in received.headers
    assert {
        "model": "llama3.3",
        "messages": [HELLO],
        "max_tokens": 9,
        "stop": ["END"],
        "stream": True,
        "stream_options": {"include_usage": True},
    } == received.body


async def test_a_key_is_sent_to_a_server_that_has_one(connect):
    """
    A key that is configured goes along.
    """
    async with RawServer([answer(CHAT.whole)]) as server:
        await send(connect(CHAT, server.url), ask())

    assert f"Bearer {KEY}" == server.requests[0].headers["authorization"]


def test_openai_itself_is_asked_in_its_own_dialect():
    """
    OpenAI is told to keep nothing, and knows the limit by its new name only.
    """
    request = ask("gpt-6.1-sol", options=Options(max_output_tokens=9))

    assert {
        "model": "gpt-6.1-sol",
        "store": False,
        "messages": [HELLO],
        "max_completion_tokens": 9,
    } == openai(api="chat").wire.render_request(request).body


@pytest.mark.parametrize(
    ("base_url", "settings", "expected"),
    [
        (None, {}, True),
        (None, {"api": "chat"}, True),
        (ELSEWHERE, {"api": "responses"}, True),
        (ELSEWHERE, {}, False),
    ],
)
async def test_only_openai_needs_a_key(base_url, settings, expected):
    """
    Without a key OpenAI is not even asked; a server that is only compatible may want none.
    """
    provider = openai(base_url, **settings)

    assert expected is provider.needs_key
    if expected:
        _, error = await fail(provider, ask())
        assert MissingKeyError is type(error)


async def test_a_server_without_a_key_can_be_the_default(simulator):
    """
    Of several providers the first that can be asked is taken, and one that needs no key can be.
    """
    providers = {
        "openai": {"driver": "openai"},
        "local": {"driver": "openai", "base_url": f"{simulator.url}/local/v1", "model": "llama-sim"},
    }
    async with tertulia.open(store="memory:", providers=providers, environ={}) as client:
        conversation = await client.start()

    assert ("local", "llama-sim") == (conversation.provider, conversation.model)


def test_of_a_plain_server_nothing_is_known_beforehand():
    """
    A model that is called like one of OpenAI's is another one elsewhere.
    """
    elsewhere = openai(ELSEWHERE)

    assert ModelInfo("mine", "gpt-4o") == elsewhere.describe("gpt-4o")
    assert 128_000 == openai().describe("gpt-4o").context_window


@pytest.mark.parametrize("model", ["llama3.3", "gpt-4o-mini"])
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "model 'x' not found, try pulling it first", "type": "api_error"}},
        {"error": "model 'x' not found, try pulling it first"},
        b"404 page not found",
    ],
)
async def test_a_model_that_a_plain_server_does_not_have(model, body):
    """
    What to do is to say which model: OpenAI's own names would not help.
    """
    async with RawServer([answer(body, 404)]) as server:
        provider = openai(server.url)
        _, error = await fail(provider, ask(model))
        await provider.aclose()

    assert (ModelNotFoundError, model) == (type(error), error.model)
    assert (
        "set model to one that list_models() names, and check that the base_url is right" == error.next_step
    )


async def test_a_model_that_openai_does_not_have():
    """
    At OpenAI the closest of its models is named.
    """
    async with RawServer([answer({"error": {"code": "model_not_found", "message": "No."}}, 400)]) as server:
        provider = RESPONSES.make(server.url)
        _, error = await fail(provider, ask("gpt-6.1-soll"))
        await provider.aclose()

    assert "did you mean 'gpt-6.1-sol'?" == error.next_step


async def test_the_models_of_a_plain_server_are_listed(simulator):
    """
    The list is the server's own, and nothing is made up about what is on it.
    """
    provider = openai(f"{simulator.url}/local/v1")

    created = datetime(2026, 1, 1, tzinfo=UTC)
    assert [ModelInfo("mine", "llama-sim", created=created)] == await provider.list_models()
    await provider.aclose()


class Sobremesa(ChatCompletionsProvider):
    BASE_URL = "https://api.sobremesa.example/v1"
    DEFAULT_MODEL = "sobremesa-large"


class Strict(Sobremesa):
    KEY_VARIABLES = ("SOBREMESA_API_KEY",)
    DIALECT = Dialect(answer_limit="max_completion_tokens", members={"stop_after": 5})
    OPTIONS = frozenset({"max_output_tokens"})
    IMAGES = None


async def test_a_driver_of_three_lines_is_a_provider():
    """
    Where it is and what it is asked for is all that a driver has to say.
    """
    async with RawServer([answer(CHAT.whole)], [answer({"data": [{"id": "one"}, {"id": "two"}]})]) as server:
        provider = Sobremesa(ProviderConfig("mine", "sobremesa", base_url=server.url))
        _, reply = await send(provider, ask(provider.default_model))
        models = await provider.list_models()
        await provider.aclose()

    assert ["/chat/completions", "/models"] == [received.target for received in server.requests]
    assert ("Olá 🌍", ["one", "two"]) == (reply.text, [model.id for model in models])
    assert {"model": "sobremesa-large", "messages": [HELLO]} == server.requests[0].body
    assert (False, MediaLimits) == (provider.needs_key, type(provider.IMAGES))


def test_a_driver_says_where_its_service_differs():
    """
    Dialect, options, images and the need of a key are an attribute each.
    """
    provider = Strict(ProviderConfig("mine", "sobremesa"))

    body = provider.wire.render_request(ask("m", options=Options(max_output_tokens=5))).body

    assert {"model": "m", "stop_after": 5, "messages": [HELLO], "max_completion_tokens": 5} == body
    assert (frozenset({"max_output_tokens"}), None, True) == (
        provider.OPTIONS,
        provider.IMAGES,
        provider.needs_key,
    )


PHOTO = b"\xff\xd8\xff" + b"a picture of no importance " * 100


@pytest.mark.parametrize(
    "echo",
    [
        "Invalid image: data:image/jpeg;base64,{image}",
        'Invalid value at contents[0].parts[0].inline_data.data, Base64 decoding failed for "{image}"',
    ],
)
async def test_an_image_that_a_service_repeats_is_not_repeated(driver, connect, echo):
    """
    No error is as long as a picture, whichever part of the request a service quotes.
    """
    image = b64encode(PHOTO).decode()
    async with RawServer([answer({"error": {"message": echo.format(image=image)}}, 400)]) as server:
        _, error = await fail(connect(driver, server.url), show(driver))

    assert image[:65] not in str(error)
    assert len(str(error)) < 200


async def test_an_image_arrives_as_it_is(driver, connect):
    """
    Whatever the format, the bytes that are attached are the bytes that arrive.
    """
    async with RawServer([answer(driver.whole)]) as server:
        await send(connect(driver, server.url), show(driver))

    assert b64encode(PHOTO).decode() in str(server.requests[0].body)


def show(driver) -> Request:
    """A request with a picture in it."""
    return Request(
        Target("mine", driver.model),
        (Message(Role.USER, (Image(PHOTO, "image/jpeg"), Text("What is this?"))),),
        stream=False,
    )


def test_a_compatible_answer_has_an_unknown_cost():
    """
    What nobody has a price for costs an unknown amount, and not nothing.
    """
    provider = openai(ELSEWHERE)
    reply = read(provider, CHAT.whole)

    assert (
        provider.calculate_cost("llama3.3", reply.usage, reply.billing, datetime(2026, 11, 22, tzinfo=UTC))
        is None
    )


def test_a_driver_that_does_not_say_where_it_is_needs_an_address():
    """
    The author is told what to write, and the user what to set.
    """

    class Anywhere(ChatCompletionsProvider):
        DEFAULT_MODEL = "m"

    with pytest.raises(ConfigurationError) as caught:
        Anywhere(ProviderConfig("mine", "anywhere"))

    assert (
        "provider 'mine': nobody says where it is: Anywhere has no BASE_URL",
        "set base_url, or write BASE_URL in the class",
    ) == (caught.value.message, caught.value.next_step)
    assert not Anywhere(ProviderConfig("mine", "anywhere", base_url=ELSEWHERE)).is_at_origin


async def test_a_driver_without_a_model_of_its_own_needs_one():
    """
    A conversation can name it, or the configuration; else the author is told.
    """

    class Modelless(ChatCompletionsProvider):
        BASE_URL = ELSEWHERE

    provider = Modelless(ProviderConfig("mine", "modelless"))
    async with tertulia.open(store="memory:", providers={}, plugins=[provider], environ={}) as client:
        assert "m" == (await client.start(provider="mine", model="m")).model
        with pytest.raises(ConfigurationError) as caught:
            await client.start(provider="mine")

    assert "provider 'mine': no model is named, and Modelless has no DEFAULT_MODEL" == caught.value.message
    assert "m" == Modelless(ProviderConfig("mine", "modelless", model="m")).default_model


def test_a_variable_that_is_no_list_of_them_is_refused():
    """
    A text would be read as a list of letters, none of which is anybody's key.
    """

    class Spelled(ChatCompletionsProvider):
        BASE_URL = ELSEWHERE
        KEY_VARIABLES = "SPELLED_API_KEY"

    with pytest.raises(PluginRejectedError) as caught:
        Spelled(ProviderConfig("mine", "spelled"))

    assert "write KEY_VARIABLES = ('SPELLED_API_KEY',)" == caught.value.next_step
