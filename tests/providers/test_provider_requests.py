"""What the drivers send, as the services' own options and configuration make it."""

from __future__ import annotations

from uuid import UUID

import attrs
import pytest
from driver_cases import DRIVERS, KEY, fail, read, send
from raw_server import RawServer, answer

from tertulia import ConfigurationError, HostedTool, Options, ProviderConfig, Secret, Tool

HELLO = {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


async def received(connect, driver, request, **settings):
    """What a service receives of a request that it answers."""
    async with RawServer([answer(driver.whole)]) as server:
        await send(connect(driver, server.url, **settings), request)
    return server.requests[0]


@pytest.mark.parametrize("name", ["openai", "xai"])
async def test_a_reasoning_model_is_asked_for_reasoning_that_can_be_sent_back(connect, name):
    """
    Nothing is stored, the conversation is the cache key, and reasoning comes back encrypted.
    """
    driver = DRIVERS[name]
    conversation = UUID("01890000-0000-7000-8000-000000000001")

    request = await received(connect, driver, driver.ask(conversation_id=conversation))

    assert {
        "model": driver.model,
        "store": False,
        "input": [HELLO],
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": str(conversation),
        "stream": True,
    } == request.body


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("openai", "gpt-4.1"),
        ("openai", "brand-new"),
        ("xai", "grok-4.20-non-reasoning"),
        ("xai", "brand-new"),
    ],
)
async def test_another_model_is_not_asked_for_reasoning(connect, name, model):
    """
    A model that does not reason, or that nobody knows, refuses the question, so it is not asked.
    """
    driver = DRIVERS[name]

    request = await received(connect, driver, driver.ask(stream=False, model=model))

    assert {"model": model, "store": False, "input": [HELLO]} == request.body


async def test_the_organization_and_the_project_are_headers(connect):
    """
    OpenAI's own settings go into the headers that OpenAI has for them, and are sent only when set.
    """
    driver = DRIVERS["openai"]
    settings = {"organization": "org-1", "project": "proj-1"}

    with_them = await received(connect, driver, driver.ask(), settings=settings)
    without = await received(connect, driver, driver.ask())

    assert ("org-1", "proj-1") == (
        with_them.headers["openai-organization"],
        with_them.headers["openai-project"],
    )
    assert [] == [name for name in without.headers if name.startswith("openai-")]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3.5-flash", "/v1/models/gemini-3.5-flash:generateContent"),
        ("models/gemini-3.5-flash", "/v1/models/gemini-3.5-flash:generateContent"),
        ("../../evil?x#", "/v1/models/..%2F..%2Fevil%3Fx%23:generateContent"),
        ("\ud83d", "/v1/models/%3F:generateContent"),
    ],
)
async def test_a_model_is_one_segment_of_geminis_path(connect, model, path):
    """
    Whatever a model is called, it stays in its place in the path.
    """
    driver = DRIVERS["gemini"]

    assert path == (await received(connect, driver, driver.ask(stream=False, model=model))).target


async def test_the_version_of_geminis_api_is_a_setting(connect):
    """
    ``api_version`` is the first segment of the path.
    """
    driver = DRIVERS["gemini"]

    request = await received(connect, driver, driver.ask(stream=False), settings={"api_version": "v1beta"})

    assert "/v1beta/models/gemini-3.5-flash:generateContent" == request.target


@pytest.mark.parametrize("settings", [{"organisation": "org-1"}, {"temperature": 1}])
def test_a_setting_that_a_driver_does_not_have_is_refused(driver, settings):
    """
    A misspelt setting is noticed when the provider is made.
    """
    with pytest.raises(ConfigurationError):
        driver.make("http://localhost", settings=settings)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost", "must begin with https:// or http://"),
        ("ftp://localhost", "must begin with https:// or http://"),
        ("file:///etc/passwd", "must begin with https:// or http://"),
        ("//localhost", "must begin with https:// or http://"),
        ("http://[::1", "is no URL"),
        (f"http://me:{KEY}@localhost", "has a user or a password in it"),
        (f"http://localhost/v1?key={KEY}", "has something behind its path, and calls are made below it"),
        (f"http://localhost/v1#{KEY}", "has something behind its path, and calls are made below it"),
        ("http://", "names no host"),
        ("http://.localhost", "names no host"),
        ("http://a..b", "names no host"),
        ("http://local host", "names no host"),
        ("http://localhost%2F.example", "names no host"),
        (f"http://{'a' * 64}.example", "names no host"),
    ],
)
def test_an_address_that_is_none_is_refused(driver, url, problem):
    """
    A base URL is a host and a path, over HTTP or HTTPS; the error does not repeat it.
    """
    with pytest.raises(ConfigurationError) as caught:
        driver.make(url)

    assert f"provider 'mine': base_url {problem}" == caught.value.message
    assert KEY not in repr(vars(caught.value))


@pytest.mark.parametrize(
    "url", ["HTTPS://Localhost:1", "http://[::1]:1/v1/", "http://münchen.example", "http://a_b"]
)
def test_an_address_of_any_form_is_taken(driver, url):
    """
    Names with umlauts, addresses with colons, and capitals are addresses as well.
    """
    assert url.rstrip("/") == driver.make(url).base_url


async def test_a_setting_that_no_header_can_hold_is_not_sent(connect):
    """
    A line break in a header is no answer that is broken: nothing was sent.
    """
    async with RawServer([answer({})]) as server:
        _, error = await fail(
            connect(DRIVERS["openai"], server.url, settings={"project": "a\r\nb: c"}), DRIVERS["openai"].ask()
        )

    assert ("connection", False, []) == (error.kind, error.sent, server.requests)
    assert "the call cannot be written as HTTP" in error.message


def test_a_provider_does_not_show_its_key(driver):
    """
    Neither the provider nor its configuration has the key in its repr.
    """
    provider = driver.make("http://localhost")

    assert KEY not in f"{provider!r} {provider.config!r} {provider.render_key(Secret(KEY))!r}"


@pytest.mark.parametrize("name", ["openai", "xai", "gemini"])
def test_the_name_of_a_provider_is_the_tag_of_its_opaque_state(name):
    """
    Two configured providers of one driver do not send each other's state.
    """
    driver = DRIVERS[name]
    config = ProviderConfig("other", "driver", api_key=Secret(KEY))
    body = {**driver.whole}
    if "output" in body:
        body["output"] = [{"type": "reasoning", "id": "rs_1", "summary": []}, *body["output"]]
    else:
        body["candidates"] = [
            {"content": {"parts": [{"text": "Olá", "thoughtSignature": "c2ln"}]}, "finishReason": "STOP"}
        ]

    part = read(driver.cls(config), body).parts[0]

    assert "other" == part.opaque.provider


def test_the_drivers_know_the_options_they_name(driver):
    """
    Every option that a driver names is one that the framework has.
    """
    options = driver.make("http://localhost").OPTIONS

    parts = {"tools", "hosted_tools", "response_schema"}
    assert set() == options - parts - {field.name for field in attrs.fields(Options)}
    assert {"temperature", "max_output_tokens"} < options


@pytest.mark.parametrize("name", DRIVERS)
@pytest.mark.parametrize("choice", ["auto", "none", "required", "look", "lock"])
def test_a_tool_that_is_not_there_cannot_be_chosen(name, choice):
    """
    Every service refuses that, so nothing is sent; without any tools the choice means nothing.
    """
    driver = DRIVERS[name]
    options = Options(tool_choice=choice)
    provider = driver.make(None)

    found = [
        provider.find_refusal(driver.ask(options=options, tools=tools), "tool_choice", choice)
        for tools in ((Tool("look"),), ())
    ]

    assert ["the request has no tool 'lock'" if choice == "lock" else None, None] == found


@pytest.mark.parametrize(
    ("name", "reason"), [("gemini", "Gemini can be told to call a function only"), ("xai", None)]
)
def test_a_tool_of_the_providers_own_is_chosen_where_that_can_be_said(name, reason):
    """
    Gemini has a place for the names of functions, and none for those of its own tools.
    """
    driver = DRIVERS[name]
    request = driver.ask(options=Options(tool_choice="search"), tools=(HostedTool("search"), Tool("look")))

    assert reason == driver.make(None).find_refusal(request, "tool_choice", "search")
