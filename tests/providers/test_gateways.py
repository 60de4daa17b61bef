"""Who answers at another address: OpenAI behind a gateway, or a server that is compatible with it."""

from __future__ import annotations

import pytest
from raw_server import RawServer, answer

import tertulia
from tertulia import (
    Audio,
    ConfigurationError,
    Document,
    InvalidRequestError,
    Message,
    MissingKeyError,
    Options,
    ProviderConfig,
    Request,
    Target,
    UnsupportedMediaError,
)
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

GATEWAY = "https://gateway.example/v1"
HELLO = (Message.of("user", "Hello"),)
PDF = b"%PDF-1.7 a menu"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
ALL = ["images", "documents", "audio"]


def openai(base_url: str | None = GATEWAY, **settings: object) -> OpenAIProvider:
    return OpenAIProvider(ProviderConfig("mine", "openai", base_url=base_url, settings=settings))


@pytest.mark.parametrize(
    ("base_url", "settings", "is_openai"),
    [
        (None, {}, True),
        (None, {"api": "chat"}, True),
        (GATEWAY, {"api": "responses"}, True),
        (GATEWAY, {}, False),
        (GATEWAY, {"api": "chat"}, False),
        (GATEWAY, {"vendor": "openai"}, True),
        (GATEWAY, {"vendor": "openai", "api": "chat"}, True),
        (GATEWAY, {"vendor": "other", "api": "responses"}, False),
        (None, {"vendor": "other"}, False),
    ],
)
def test_who_answers_is_told_by_the_address_unless_somebody_says(base_url, settings, is_openai):
    """
    OpenAI is at its own origins and where Responses are spoken; the setting ``vendor`` wins.
    """
    provider = openai(base_url, **settings)
    limit = "max_completion_tokens" if is_openai else "max_tokens"
    options = Options(max_output_tokens=9)
    request = Request(Target("mine", "gpt-6.1-sol"), HELLO, options)
    body = provider.wire.render_request(request).body

    assert (is_openai, is_openai) == (provider.needs_key, bool(provider.bundled_prices))
    assert is_openai == (provider.find_refusal(request, "temperature", 0.5) is not None)
    if provider.api == "chat":
        assert (9, is_openai) == (body[limit], "store" in body)


def test_another_vendor_is_refused():
    """
    A misspelt vendor is noticed when the provider is made.
    """
    with pytest.raises(ConfigurationError) as caught:
        openai(vendor="OpenAi")

    assert ("provider 'mine': vendor is none of openai, other", "did you mean 'openai'?") == (
        caught.value.message,
        caught.value.next_step,
    )


@pytest.mark.parametrize(
    ("base_url", "settings", "taken"),
    [
        (None, {}, ALL),
        (GATEWAY, {}, ["images"]),
        (GATEWAY, {"api": "responses"}, ALL),
        (GATEWAY, {"vendor": "openai"}, ALL),
        (GATEWAY, {"vendor": "other", "api": "responses"}, ["images"]),
        (GATEWAY, {"attachments": ["images", "documents"]}, ["images", "documents"]),
        (GATEWAY, {"attachments": ("audio",)}, ["audio"]),
        (GATEWAY, {"attachments": []}, []),
        (None, {"attachments": ["images"]}, ["images"]),
    ],
)
def test_a_compatible_server_takes_images_unless_somebody_says(base_url, settings, taken):
    """
    What a server takes besides images is for the setting ``attachments`` to say.
    """
    provider = openai(base_url, **settings)

    assert taken == [kind for kind in ALL if getattr(provider, kind.upper()) is not None]


@pytest.mark.parametrize(
    ("value", "message", "next_step"),
    [
        (["image"], "attachments has a word that is none of images, documents, audio", "images"),
        ([1], "attachments has a word that is none of images, documents, audio", None),
        ("documents", "attachments is no list of images, documents, audio", None),
        (True, "attachments is no list of images, documents, audio", None),
        ({"images": True}, "attachments is no list of images, documents, audio", None),
    ],
)
def test_attachments_that_nobody_knows_are_refused(value, message, next_step):
    """
    A misspelt kind is noticed when the provider is made.
    """
    with pytest.raises(ConfigurationError) as caught:
        openai(attachments=value)

    assert f"provider 'mine': {message}" == caught.value.message
    assert (next_step and f"did you mean {next_step!r}?") == caught.value.next_step


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Document(PDF, "application/pdf"), "documents"),
        (Audio(WAV, "audio/wav"), "sound"),
    ],
)
async def test_a_compatible_server_is_not_sent_what_it_may_not_take(simulator, part, words):
    """
    A new attachment is refused before anything is sent; in the history it is a note.
    """
    providers = simulator.providers(local=True)
    async with tertulia.open(store="memory:", providers=providers, environ={}) as client:
        with pytest.raises(UnsupportedMediaError, match=f"local/llama-sim takes no {words}"):
            await client.ask("What is it?", provider="local", attach=part)
        assert 0 == simulator.sent_to("local").count
        trip = await client.start(provider="gemini")
        await trip.send("What is it?", attach=part)
        await trip.switch("local")
        reply = await trip.send("Thanks.")

    assert f"{part} which you cannot see" in simulator.sent_to("local").texts[0]
    assert 1 == len(reply.warnings)


async def test_a_compatible_server_is_sent_what_its_settings_say(simulator):
    """
    What is said to be taken is sent as it is.
    """
    local = {**simulator.providers(local=True)["local"], "attachments": ["documents"]}
    async with tertulia.open(store="memory:", providers={"local": local}, environ={}) as client:
        with pytest.raises(InvalidRequestError):
            await client.ask("Read.", provider="local", attach=Document(PDF, "application/pdf"))

    assert 1 == len(simulator.requests)


async def test_a_key_that_is_kept_back_is_said_to_be():
    """
    Whoever has set the vendor's variable is told why it is not used, and what is.
    """
    gate = {"driver": "openai", "base_url": GATEWAY, "vendor": "openai"}
    environ = {"OPENAI_API_KEY": "sk-secret"}
    async with tertulia.open(store="memory:", providers={"my-gate": gate}, environ=environ) as client:
        with pytest.raises(MissingKeyError) as caught:
            await client.ask("Hello", provider="my-gate")
        with pytest.raises(ConfigurationError) as unchosen:
            client._default_provider()

    assert caught.value.message.startswith(
        f"provider 'my-gate': no key is set for {GATEWAY}, so nothing was sent"
    )
    assert (
        "set AI_MY_GATE_API_KEY, or pass api_key; "
        "AI_OPENAI_API_KEY and OPENAI_API_KEY are withheld, "
        "because a vendor's key goes to the vendor's own origin only"
    ) == caught.value.next_step
    assert "set one of AI_MY_GATE_API_KEY" == unchosen.value.next_step


async def test_a_key_that_is_missing_at_the_vendors_own_origin_is_looked_for_in_its_variables():
    """
    There the variables of the vendor are the ones to set.
    """
    provider = XAIProvider(ProviderConfig("mine", "xai"))
    with pytest.raises(MissingKeyError) as caught:
        await provider.list_models()

    assert "provider 'mine': no key is set, so nothing was sent" == caught.value.message
    assert "set AI_XAI_API_KEY or XAI_API_KEY, or pass api_key" == caught.value.next_step


async def test_what_a_service_refuses_comes_with_a_next_step():
    """
    Its words stand in one line, whatever lines they came in.
    """
    refused = {"error": {"message": "* request: element\n  predicate failed\n", "code": "bad"}}
    async with RawServer([answer(refused, 400)]) as server:
        provider = openai(f"{server.url}/v1")
        with pytest.raises(InvalidRequestError) as caught:
            async for _ in provider.send_message(Request(Target("mine", "llama"), HELLO)):
                pass
        await provider.aclose()

    assert "provider 'mine': * request: element predicate failed" == caught.value.message
    assert "change the request: the provider's words say what it refuses" == caught.value.next_step
