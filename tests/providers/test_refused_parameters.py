"""What a model refuses is left out, where nobody misses it, and the rest sent once more."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from driver_cases import DRIVERS, Driver, fail, send
from raw_server import RawServer, Step, answer, stream

from tertulia import HTTPProvider, Options, ProviderReply, Request, Translated

CONVERSATION = UUID("01890000-0000-7000-8000-000000000001")
OPENAI, CHAT, XAI, GEMINI = (DRIVERS[name] for name in ("openai", "openai-chat", "xai", "gemini"))


def refusal(parameter: str | None, message: str | None = None, status: int = 400) -> list[Step]:
    """A service's answer to a request with something in it that its model does not take."""
    words = message or f"Unsupported parameter: '{parameter}' is not supported with this model."
    error = {"message": words, "type": "invalid_request_error", "param": parameter, "code": None}
    return [answer({"error": error}, status)]


def whole(driver: Driver) -> list[Step]:
    return [answer(driver.whole)]


def members(server: RawServer, *names: str) -> list[set[str]]:
    """Which of some members each request had."""
    return [set(names) & request.body.keys() for request in server.requests]


async def ask(
    provider: HTTPProvider, driver: Driver, *, stream: bool = False, **request: Any
) -> tuple[list[str], ProviderReply]:
    """Send a request in a conversation: the notes of what was left out, and the answer."""
    deltas, reply = await send(provider, driver.ask(stream=stream, conversation_id=CONVERSATION, **request))
    return [note for delta in deltas if isinstance(delta, Translated) for note in delta.notes], reply


async def test_what_the_framework_added_is_left_out_and_remembered(connect):
    """
    One refusal costs one more request, ever; nobody is told, because nobody asked.
    """
    async with RawServer(refusal("include"), whole(OPENAI)) as server:
        provider = connect(OPENAI, server.url)
        first = await ask(provider, OPENAI)
        second = await ask(provider, OPENAI)

    assert [([], "Olá 🌍")] * 2 == [(notes, reply.text) for notes, reply in (first, second)]
    assert [{"include", "prompt_cache_key", "store"}, *[{"prompt_cache_key", "store"}] * 2] == members(
        server, "include", "prompt_cache_key", "store"
    )


async def test_what_one_model_refuses_another_is_sent(connect):
    """
    It is remembered per model.
    """
    async with RawServer(refusal("include"), whole(OPENAI)) as server:
        provider = connect(OPENAI, server.url)
        await ask(provider, OPENAI)
        await ask(provider, OPENAI, model="gpt-6-luna")

    assert [{"include"}, set(), {"include"}] == members(server, "include")


@pytest.mark.parametrize(
    ("driver", "parameter", "message"),
    [
        pytest.param(OPENAI, "prompt_cache_key", None, id="by name"),
        pytest.param(OPENAI, "include[0]", None, id="by place"),
        pytest.param(OPENAI, "include", "Encrypted content is not supported with this model.", id="in words"),
        pytest.param(
            CHAT, "stream_options", "Unrecognized request argument supplied: stream_options", id="older"
        ),
        pytest.param(CHAT, None, "property 'stream_options' is unsupported", id="Groq"),
        pytest.param(CHAT, "stream_options.include_usage", None, id="inside"),
    ],
)
async def test_services_have_many_words_for_it(connect, driver, parameter, message):
    """
    However the member is named, it is found, and the answer comes.
    """
    async with RawServer(refusal(parameter, message), stream(*driver.events)) as server:
        _, reply = await ask(connect(driver, server.url), driver, stream=True)

    named = (parameter or "stream_options").partition("[")[0].partition(".")[0]
    assert ([{named}, set()], "Olá 🌍") == (members(server, named), reply.text)


@pytest.mark.parametrize(
    "words",
    [
        "Argument not supported on this model: prompt_cache_key",
        "Model grok-4.3 does not support parameter promptCacheKey.",
        "Model grok-4.3 does not support 'prompt_cache_key' value 'x'.",
    ],
)
async def test_xai_says_it_in_words_of_its_own(connect, words):
    """
    Its errors name no parameter but in their words.
    """
    error = {"code": "Client specified an invalid argument", "error": words}
    async with RawServer([answer(error, 400)], whole(XAI)) as server:
        _, reply = await ask(connect(XAI, server.url), XAI)

    assert ([{"prompt_cache_key"}, set()], "Olá 🌍") == (members(server, "prompt_cache_key"), reply.text)


async def test_a_server_written_with_pydantic_is_understood(connect):
    """
    It says where in the request it found something extra.
    """
    detail = [
        {
            "type": "extra_forbidden",
            "loc": ["body", "stream_options"],
            "msg": "Extra inputs are not permitted",
        }
    ]
    async with RawServer([answer({"detail": detail}, 422)], stream(*CHAT.events)) as server:
        _, reply = await ask(connect(CHAT, server.url), CHAT, stream=True)

    assert ([{"stream_options"}, set()], "Olá 🌍") == (members(server, "stream_options"), reply.text)


@pytest.mark.parametrize(
    ("extra", "kind"), [({}, "invalid_request"), ({"mine": {"foo": 1}}, "unsupported_parameter")]
)
async def test_what_is_not_known_counts_as_unsupported_only_where_it_was_sent(connect, extra, kind):
    """
    Who refuses what nobody sent refuses the request; nothing of it could be left out.
    """
    script = refusal(None, "Unrecognized request argument supplied: foo")
    async with RawServer(script) as server:
        _, error = await fail(connect(CHAT, server.url), CHAT.ask(options=Options(extra=extra)))

    assert (kind, False, 1) == (error.kind, error.retryable, len(server.requests))


async def test_it_is_tried_once_more_and_never_twice(connect):
    """
    A second refusal is the caller's; what it named is remembered for the next call all the same.
    """
    async with RawServer(refusal("include"), refusal("prompt_cache_key"), whole(OPENAI)) as server:
        provider = connect(OPENAI, server.url)
        request = OPENAI.ask(stream=False, conversation_id=CONVERSATION)
        _, error = await fail(provider, request)
        asked = len(server.requests)
        await ask(provider, OPENAI)

    assert ("unsupported_parameter", "prompt_cache_key", 2) == (error.kind, error.parameter, asked)
    assert [{"include", "prompt_cache_key"}, {"prompt_cache_key"}] == members(
        server, "include", "prompt_cache_key"
    )[:2]


@pytest.mark.parametrize(
    ("parameter", "options"),
    [
        pytest.param("temperature", Options(temperature=0.5), id="an option"),
        pytest.param("model", Options(), id="what there has to be"),
        pytest.param("input[0].content", Options(unsupported="warn"), id="the message"),
        pytest.param(None, Options(unsupported="warn"), id="nothing named"),
        pytest.param("include", Options(extra={"mine": {"include": []}}), id="a member of the caller's own"),
    ],
)
async def test_what_the_caller_asked_for_is_not_left_out_silently(connect, parameter, options):
    """
    One request is made, and its refusal is the answer.
    """
    async with RawServer(refusal(parameter, "Unsupported parameter: ''")) as server:
        _, error = await fail(connect(OPENAI, server.url), OPENAI.ask(options=options, stream=False))

    assert ("unsupported_parameter", parameter, 1) == (error.kind, error.parameter, len(server.requests))


async def test_what_the_caller_can_do_without_is_left_out_with_a_note(connect):
    """
    With ``unsupported="warn"`` an option that the service refuses is left out, and the reply says so.
    """
    options = Options(temperature=0.5, max_output_tokens=9, unsupported="warn")
    async with RawServer(refusal("temperature"), whole(OPENAI)) as server:
        provider = connect(OPENAI, server.url)
        first = await ask(provider, OPENAI, options=options)
        second = await ask(provider, OPENAI, options=options)

    note = "option 'temperature' was left out: mine/gpt-6.1-terra refused it"
    assert [([note], "Olá 🌍")] * 2 == [(notes, reply.text) for notes, reply in (first, second)]
    both = {"temperature", "max_output_tokens"}
    assert [both, {"max_output_tokens"}, {"max_output_tokens"}] == members(server, *both)


@pytest.mark.parametrize("driver", [OPENAI, XAI], ids=["openai", "xai"])
async def test_that_nothing_is_kept_is_not_given_up_silently(connect, driver):
    """
    Without ``store`` a service keeps what is said for weeks: that is the caller's to allow, and to know.
    """
    async with RawServer(refusal("store"), refusal("store"), whole(driver)) as server:
        provider = connect(driver, server.url)
        _, error = await fail(provider, driver.ask(stream=False))
        notes, reply = await ask(provider, driver, options=Options(unsupported="warn"))

    assert ("unsupported_parameter", "store") == (error.kind, error.parameter)
    assert [{"store"}, {"store"}, set()] == members(server, "store")
    assert [f"option 'store' was left out: mine/{driver.model} refused it"] == notes
    assert "Olá 🌍" == reply.text


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"temperature": 1.0}, id="another value"),
        pytest.param({"reasoning_effort": "none"}, id="another effort"),
    ],
)
async def test_an_option_is_tried_again_where_it_may_be_taken(connect, changes):
    """
    Whether a temperature is taken depends on its value and on how hard it is to think.
    """
    refused = {"temperature": 0.5, "reasoning_effort": "high", "unsupported": "warn"}
    async with RawServer(refusal("temperature"), whole(OPENAI)) as server:
        provider = connect(OPENAI, server.url)
        await ask(provider, OPENAI, options=Options(**refused))
        await ask(provider, OPENAI, options=Options(**{**refused, **changes}))

    assert [{"temperature"}, set(), {"temperature"}] == members(server, "temperature")


async def test_a_caller_who_insists_is_sent_what_another_did_without(connect):
    """
    What was left out for one caller is sent for the next, who did not allow it.
    """
    async with RawServer(refusal("temperature"), whole(OPENAI), refusal("temperature")) as server:
        provider = connect(OPENAI, server.url)
        await ask(provider, OPENAI, options=Options(temperature=0.5, unsupported="warn"))
        await fail(provider, OPENAI.ask(options=Options(temperature=0.5), stream=False))

    assert [{"temperature"}, set(), {"temperature"}] == members(server, "temperature")


async def test_a_member_inside_another_is_left_out_alone(connect):
    """
    The summary goes, the effort stays.
    """
    options = Options(reasoning_effort="low", reasoning_summary="auto", unsupported="warn")
    async with RawServer(refusal("reasoning.summary"), whole(OPENAI)) as server:
        notes, _ = await ask(connect(OPENAI, server.url), OPENAI, options=options)

    assert [{"effort": "low", "summary": "auto"}, {"effort": "low"}] == [
        request.body["reasoning"] for request in server.requests
    ]
    assert ["option 'reasoning_summary' was left out: mine/gpt-6.1-terra refused it"] == notes


async def test_a_refusal_in_the_stream_before_any_content_counts(connect):
    """
    A service may accept the request first, and refuse it under status 200.
    """
    error = {
        "type": "error",
        "error": {"code": "unsupported_parameter", "message": "No.", "param": "include"},
    }
    async with RawServer(stream(OPENAI.events[0], error), stream(*OPENAI.events)) as server:
        _, reply = await ask(connect(OPENAI, server.url), OPENAI, stream=True)

    assert ([{"include"}, set()], "Olá 🌍") == (members(server, "include"), reply.text)


async def test_a_refusal_after_content_is_the_end(connect):
    """
    What was shown is never followed by another answer.
    """
    error = {
        "type": "error",
        "error": {"code": "unsupported_parameter", "message": "No.", "param": "include"},
    }
    async with RawServer(stream(*OPENAI.events[:2], error)) as server:
        deltas, failure = await fail(connect(OPENAI, server.url), OPENAI.ask())

    assert ("unsupported_parameter", 1, 1) == (failure.kind, len(deltas), len(server.requests))


async def test_a_note_is_told_once(connect):
    """
    What was left out of the messages is not said again when the request is sent again.
    """
    from tertulia import Message, Role, Target, Text, Video

    film = Message(Role.USER, (Text("See."), Video(b"...", "video/mp4")))
    request = Request(Target("mine", OPENAI.model), (film,), stream=False, conversation_id=CONVERSATION)
    async with RawServer(refusal("include"), whole(OPENAI)) as server:
        deltas, _ = await send(connect(OPENAI, server.url), request)

    assert ["1 video part(s) that cannot be sent to this provider were left out"] == [
        note for delta in deltas if isinstance(delta, Translated) for note in delta.notes
    ]
    assert 2 == len(server.requests)


async def test_memory_has_an_end(connect, monkeypatch):
    """
    Of refusals the earliest are forgotten, so that a million values take no memory.
    """
    monkeypatch.setattr("tertulia.runtime.refusals._MOST", 1)
    scripts = [refusal("temperature"), whole(OPENAI), refusal("temperature"), whole(OPENAI)]
    async with RawServer(*scripts) as server:
        provider = connect(OPENAI, server.url)
        for temperature in (0.1, 0.2, 0.2, 0.1):
            await ask(provider, OPENAI, options=Options(temperature=temperature, unsupported="warn"))

    assert [True, False, True, False, False, True] == [
        "temperature" in request.body for request in server.requests
    ]
