"""The drivers over real sockets: answers, refusals, and connections that go wrong."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, aclosing, closing

import pytest
from driver_cases import DRIVERS, KEY, check_for_secrets, fail, send
from raw_server import STREAM_END, STREAM_HEAD, Act, Ping, RawServer, answer, chunk, render_events, stream

from tertulia import (
    ConnectionFailedError,
    FinishReason,
    MissingKeyError,
    ProtocolError,
    ProviderError,
    ProviderTimeoutError,
    TextDelta,
    Timeouts,
    TooLargeError,
    Usage,
)
from tertulia.errors import TertuliaError

OLA = [TextDelta("Olá"), TextDelta(" 🌍")]
WITH_KEY = [name for name in DRIVERS if name != "openai-chat"]  # elsewhere it is a server of any kind


async def test_a_stream_is_shown_as_it_comes(driver, connect):
    """
    Each delta is handed out before the service has said the next, and the reply is the whole of them.
    """
    said = [asyncio.Event() for _ in driver.events]
    script = [STREAM_HEAD]
    for event, shown in zip(driver.events, said, strict=True):
        script += [chunk(render_events([event])), shown]
    async with RawServer([*script, STREAM_END]) as server:
        provider = connect(driver, server.url)
        said[0].set()

        async with aclosing(provider.send_message(driver.ask())) as deltas:
            assert OLA[0] == await anext(deltas)
            said[1].set()
            assert OLA[1] == await anext(deltas)
            for shown in said[2:]:
                shown.set()
            reply = await anext(deltas)

    assert ("Olá 🌍", FinishReason.STOP, Usage(2, 0, 0, 3, 0), "some-model-1", "resp_1") == (
        reply.text,
        reply.finish_reason,
        reply.usage,
        reply.model,
        reply.request_id,
    )


async def test_a_whole_answer_is_one_delta(driver, connect):
    """
    An answer that comes in one piece looks to the caller like a short stream.
    """
    async with RawServer([answer(driver.whole)]) as server:
        deltas, reply = await send(connect(driver, server.url), driver.ask(stream=False))

    assert ([TextDelta("Olá 🌍")], "Olá 🌍", FinishReason.STOP) == (deltas, reply.text, reply.finish_reason)


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_request_goes_where_it_should_with_the_key_in_its_header(driver, connect, is_streamed):
    """
    The path is the vendor's own and never holds the key, which is in one header only.
    """
    async with RawServer(stream(*driver.events) if is_streamed else [answer(driver.whole)]) as server:
        await send(connect(driver, f"{server.url}/base/"), driver.ask(stream=is_streamed))

    (received,) = server.requests
    assert f"/base{driver.paths[is_streamed]}" == received.target
    assert [driver.key_header] == [(name, value) for name, value in received.headers.items() if KEY in value]
    assert "application/json" == received.headers["content-type"]
    assert "Hello" in str(received.body)


async def test_a_stream_in_single_bytes_is_the_same(driver, connect):
    """
    A network that delivers single bytes, and so cuts characters in four, changes nothing.
    """
    body = render_events(driver.events)
    pieces = [chunk(body[place : place + 1]) for place in range(len(body))]
    async with RawServer([STREAM_HEAD, *pieces, STREAM_END]) as server:
        deltas, reply = await send(connect(driver, server.url), driver.ask())

    assert (OLA, "Olá 🌍") == (deltas, reply.text)


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_connection_is_used_again(driver, connect, is_streamed):
    """
    Three complete answers need one connection.
    """
    async with RawServer(stream(*driver.events) if is_streamed else [answer(driver.whole)]) as server:
        provider = connect(driver, server.url)
        for _ in range(3):
            await send(provider, driver.ask(stream=is_streamed))

    assert (1, 3) == (server.connections, len(server.requests))


async def test_a_stream_whose_end_never_comes_is_complete_after_its_last_event(connect):
    """
    After ``response.completed`` nothing of use can follow, so nobody waits for the end of the body.
    """
    driver = DRIVERS["openai"]
    async with RawServer([STREAM_HEAD, chunk(render_events(driver.events)), Act.HANG]) as server:
        _, reply = await send(connect(driver, server.url), driver.ask())
        await asyncio.wait_for(server.left.wait(), 5)

    assert "Olá 🌍" == reply.text


@pytest.mark.parametrize(
    "keep_alive", [b": ping\n\n", b"data:\n\n", b"data: \n\n", b"data: : ping\n\n", b"\n\n"]
)
async def test_keep_alives_of_any_form_are_passed_over(driver, connect, keep_alive):
    """
    Comments, empty events and comments that a proxy wrapped in data are no part of an answer.
    """
    events = [chunk(keep_alive + render_events([event]) + keep_alive) for event in driver.events]
    async with RawServer([STREAM_HEAD, *events, STREAM_END]) as server:
        deltas, _ = await send(connect(driver, server.url), driver.ask())

    assert OLA == deltas


async def test_a_list_of_chunks_is_read_whole(connect):
    """
    Where a proxy drops ``alt=sse``, Gemini answers with a JSON list.
    """
    driver = DRIVERS["gemini"]
    async with RawServer([answer(list(driver.events))]) as server:
        deltas, _ = await send(connect(driver, server.url), driver.ask())

    assert [TextDelta("Olá 🌍")] == deltas


@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("auth", {"openai": (401, None), "gemini": (400, None), "xai": (400, None)}),
        ("rate_limit", {"openai": (429, 7.0), "gemini": (429, 7.0), "xai": (429, None)}),
        ("overloaded", {"openai": (503, None), "gemini": (503, None), "xai": (503, None)}),
        ("quota", {"openai": (429, None), "gemini": (429, 7.0), "xai": (403, None)}),
    ],
)
async def test_a_refusal_is_the_right_error(simulator, connect, driver, fault, expected, is_streamed):
    """
    What each service says about keys, limits, load and money is the same four errors.
    """
    name = driver.service
    provider = connect(driver, simulator.providers()[name]["base_url"])
    simulator.fail(name, fault, retry_after=7)

    deltas, error = await fail(provider, driver.ask(stream=is_streamed))

    kinds = {"auth": "authentication", "rate_limit": "rate_limited", "quota": "quota_exhausted"}
    assert (kinds.get(fault, fault), *expected[name], []) == (
        error.kind,
        error.status,
        error.retry_after,
        deltas,
    )
    assert (driver.model, True) == (error.model, error.sent)


async def test_a_wrong_key_is_an_authentication_error(simulator, connect, driver):
    """
    Services say 401 or 400 about a wrong key; the error is one.
    """
    name = driver.service
    provider = connect(driver, simulator.providers()[name]["base_url"], key="not-" + KEY)

    _, error = await fail(provider, driver.ask())

    assert "authentication" == error.kind


async def test_an_unknown_model_is_named(simulator, connect, driver):
    """
    Services say 400 or 404 about an unknown model; the error is one, and names it.
    """
    name = driver.service
    provider = connect(driver, simulator.providers()[name]["base_url"])

    _, error = await fail(provider, driver.ask(model="no-such-model"))

    assert ("model_not_found", "no-such-model") == (error.kind, error.model)
    assert "no-such-model" in str(error)


async def test_a_latest_name_is_told_where_it_exists(simulator, connect):
    """
    Google's ``-latest`` names exist on one version of the API, which the error names.
    """
    driver = DRIVERS["gemini"]
    url = simulator.providers()["gemini"]["base_url"]

    _, error = await fail(connect(driver, url), driver.ask(model="gemini-flash-latest"))
    _, reply = await send(
        connect(driver, url, settings={"api_version": "v1beta"}), driver.ask(model="gemini-flash-latest")
    )

    assert ("model_not_found", True) == (error.kind, 'api_version = "v1beta"' in str(error))
    assert "gemini-3.8-flash" == reply.model


@pytest.mark.parametrize("name", WITH_KEY)
async def test_without_a_key_nothing_is_sent(name, connect):
    """
    A missing key is noticed before a connection is made.
    """
    driver = DRIVERS[name]
    async with RawServer([answer(driver.whole)]) as server:
        _, error = await fail(connect(driver, server.url, key=None), driver.ask())

    assert (MissingKeyError, False, 0) == (type(error), error.sent, server.connections)
    assert driver.cls.KEY_VARIABLES[0] in str(error)


HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@pytest.mark.parametrize(
    ("status", "kind"), [(502, "server"), (503, "overloaded"), (504, "timeout"), (403, "permission")]
)
async def test_a_page_of_a_proxy_is_an_error_by_its_status(driver, connect, status, kind):
    """
    A page that is no error document is quoted and classified by the status alone.
    """
    async with RawServer([answer(HTML, status, "text/html")]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask())

    assert (kind, status) == (error.kind, error.status)
    assert "502 Bad Gateway" in str(error)


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_page_in_place_of_an_answer_is_a_protocol_error(driver, connect, is_streamed):
    """
    A page under status 200 is no answer.
    """
    async with RawServer([answer(HTML, 200, "text/html")]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask(stream=is_streamed))

    assert ProtocolError is type(error)
    assert "text/html" in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"Hello", b"[]", b"null", b"{}", b'"Hello"', b"\xff\xfe", b"1" * 9999]
)
@pytest.mark.parametrize("media_type", ["application/json", "text/event-stream"])
async def test_a_body_that_is_no_answer_is_a_protocol_error(driver, connect, body, media_type):
    """
    Neither emptiness, nor noise, nor JSON of another shape is taken for an answer.
    """
    async with RawServer([answer(body, 200, media_type)]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask())

    assert ProtocolError is type(error)


@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize("media_type", ["application/json", "text/event-stream"])
async def test_an_error_under_status_200_is_an_error(driver, connect, media_type, is_streamed):
    """
    An error document is one, whatever the status and the media type say.
    """
    body = {"error": {"message": "Busy.", "status": "UNAVAILABLE", "code": "server_is_overloaded"}}
    async with RawServer([answer(body, 200, media_type)]) as server:
        deltas, error = await fail(connect(driver, server.url), driver.ask(stream=is_streamed))

    assert ([], True) == (deltas, error.kind in {"overloaded", "server"})
    assert "Busy" in str(error)


async def test_an_error_in_the_middle_follows_what_was_said(driver, connect):
    """
    The words that came are handed out, then the service's error is raised.
    """
    async with RawServer(stream(*driver.events[:2], driver.failure)) as server:
        deltas, error = await fail(connect(driver, server.url), driver.ask())

    assert (OLA[:1], driver.failure_class) == (deltas, type(error).__name__)


async def test_a_bare_error_document_inside_a_stream_is_an_error(connect):
    """
    Gemini may break into its own stream with a document over several lines, without ``data:``.
    """
    driver = DRIVERS["gemini"]
    document = (
        b'[{\n  "error": {\n    "code": 503,\n    "message": "Busy.",\n    "status": "UNAVAILABLE"\n  }\n}]\n'
    )
    script = [STREAM_HEAD, chunk(render_events(driver.events[:2])), chunk(document), STREAM_END]
    async with RawServer(script) as server:
        deltas, error = await fail(connect(driver, server.url), driver.ask())

    assert (OLA[:1], "overloaded") == (deltas, error.kind)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(driver, connect, status):
    """
    Nobody else is sent the key: a redirect is an error.
    """
    async with AsyncExitStack() as servers:
        elsewhere = await servers.enter_async_context(RawServer([answer(driver.whole)]))
        redirect = answer(b"", status, location=f"{elsewhere.url}/responses")
        server = await servers.enter_async_context(RawServer([redirect]))
        _, error = await fail(connect(driver, server.url), driver.ask())

    assert (ProtocolError, status, 0) == (type(error), error.status, elsewhere.connections)


CUTS = [
    pytest.param([Act.CLOSE], ConnectionFailedError, id="closed before the status"),
    pytest.param([Act.RESET], ConnectionFailedError, id="reset before the status"),
    pytest.param([b"HTTP/1.1 200 OK\r\nconte", Act.CLOSE], ConnectionFailedError, id="closed in the headers"),
    pytest.param([b"SSH-2.0-OpenSSH_9.6\r\n", Act.CLOSE], ProtocolError, id="no HTTP"),
    pytest.param([STREAM_HEAD, Act.CLOSE], ProtocolError, id="closed before content"),
    pytest.param([STREAM_HEAD, b"zz\r\nHello", Act.CLOSE], ProtocolError, id="chunks that are none"),
    pytest.param([STREAM_HEAD, STREAM_END], ProtocolError, id="ended before content"),
]


@pytest.mark.parametrize(("script", "expected"), CUTS)
async def test_an_answer_that_is_cut_before_content_is_an_error(driver, connect, script, expected):
    """
    Wherever a connection ends before content, no foreign exception gets out and nothing was shown.
    """
    async with RawServer(script) as server:
        deltas, error = await fail(connect(driver, server.url), driver.ask())

    assert ([], expected, True) == (deltas, type(error), error.sent)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param([STREAM_END], ProtocolError, id="ended by a proxy"),
        pytest.param([Act.CLOSE], ProtocolError, id="closed"),
        pytest.param([b"5\r\nda", Act.CLOSE], ProtocolError, id="closed in a chunk"),
        pytest.param([chunk(b'data: {"candi'), STREAM_END], ProtocolError, id="ended in an event"),
    ],
)
async def test_an_answer_that_is_cut_after_content_is_an_error(driver, connect, end, expected):
    """
    Words without the sign that the answer is whole are handed out, and are no answer.
    """
    script = [STREAM_HEAD, chunk(render_events(driver.events[:3])), *end]
    async with RawServer(script) as server:
        deltas, error = await fail(connect(driver, server.url), driver.ask())

    assert (OLA, expected) == (deltas, type(error))


async def test_a_reset_after_content_is_a_broken_connection(driver, connect):
    """
    A connection that is reset in the middle is told from a body that is cut, after the words that came.
    """
    shown = asyncio.Event()
    async with RawServer([STREAM_HEAD, chunk(render_events(driver.events[:2])), shown, Act.RESET]) as server:
        provider = connect(driver, server.url)
        async with aclosing(provider.send_message(driver.ask())) as deltas:
            assert OLA[0] == await anext(deltas)
            shown.set()
            with pytest.raises(ProviderError) as caught:
                await anext(deltas)

    check_for_secrets(caught.value, provider)
    assert ConnectionFailedError is type(caught.value)


async def test_a_whole_answer_that_is_cut_is_an_error(driver, connect):
    """
    A body shorter than its ``content-length`` is not parsed.
    """
    async with RawServer([answer(driver.whole)[:-10], Act.CLOSE]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask(stream=False))

    assert ProtocolError is type(error)


async def test_nobody_listening_is_a_failed_connection(driver, connect):
    """
    A refused connection is an error that says where, and that nothing was sent.
    """
    async with RawServer([]) as server:
        url = server.url

    _, error = await fail(connect(driver, url), driver.ask())

    assert (ConnectionFailedError, False) == (type(error), error.sent)
    assert url.removeprefix("http://") in str(error)


async def test_a_connection_that_is_not_accepted_runs_out_of_time(driver, connect):
    """
    A server whose queue is full makes the connect timer run out, and nothing was sent.
    """
    patience = Timeouts(connect=0.1)
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    with (
        closing(listener),
        closing(socket.create_connection(listener.getsockname())),
        closing(socket.socket()) as last,
    ):
        last.setblocking(False)
        last.connect_ex(listener.getsockname())
        provider = connect(driver, f"http://127.0.0.1:{listener.getsockname()[1]}")

        _, error = await fail(provider, driver.ask(timeouts=patience))

    assert (ProviderTimeoutError, "connect", False) == (type(error), error.timer, error.sent)


STALLS = [
    pytest.param([Act.HANG], "first_content", id="no status"),
    pytest.param([STREAM_HEAD, Act.HANG], "first_content", id="no content"),
    pytest.param([STREAM_HEAD, Ping(chunk(b": ping\n\n"))], "first_content", id="only comments"),
    pytest.param([STREAM_HEAD, Ping(chunk(b"data:\n\n"))], "first_content", id="only empty events"),
]


async def test_events_that_say_nothing_are_no_content(driver, connect):
    """
    A service that only repeats that it has begun is not waited for longer than one that is silent.
    """
    nothing = Ping(chunk(render_events(driver.events[:1])))
    async with RawServer([STREAM_HEAD, nothing]) as server:
        patience = Timeouts(first_content=0.1, idle=0.1, total=3)
        _, error = await fail(connect(driver, server.url), driver.ask(timeouts=patience))

    assert (ProviderTimeoutError, "first_content") == (type(error), error.timer)


@pytest.mark.parametrize(("script", "timer"), STALLS)
async def test_waiting_for_the_first_content_ends(driver, connect, script, timer):
    """
    Silence, comments and empty events are no content: the first timer runs out all the same.
    """
    async with RawServer(script) as server:
        deltas, error = await fail(
            connect(driver, server.url), driver.ask(timeouts=Timeouts(first_content=0.1))
        )
        await asyncio.wait_for(server.left.wait(), 5)

    assert ([], ProviderTimeoutError, timer) == (deltas, type(error), error.timer)


@pytest.mark.parametrize("last", [Act.HANG, Ping(chunk(b": ping\n\n"))])
async def test_waiting_for_the_next_content_ends(driver, connect, last):
    """
    A stream that stalls after its first words ends by the idle timer, and its connection is closed.
    """
    async with RawServer([STREAM_HEAD, chunk(render_events(driver.events[:2])), last]) as server:
        deltas, error = await fail(connect(driver, server.url), driver.ask(timeouts=Timeouts(idle=0.1)))
        await asyncio.wait_for(server.left.wait(), 5)

    assert (OLA[:1], ProviderTimeoutError, "idle") == (deltas, type(error), error.timer)


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_the_whole_send_has_a_deadline(driver, connect, is_streamed):
    """
    A stream that never stalls and never ends is ended by the deadline.
    """
    endless = Ping(chunk(render_events(driver.events[1:2])))
    script = [STREAM_HEAD, endless] if is_streamed else [answer(driver.whole)[:-5], Act.HANG]
    timeouts = Timeouts(total=0.2)
    async with RawServer(script) as server:
        deltas, error = await fail(
            connect(driver, server.url), driver.ask(stream=is_streamed, timeouts=timeouts)
        )

    assert (ProviderTimeoutError, "total", is_streamed) == (type(error), error.timer, OLA[0] in deltas)


async def test_a_deadline_is_a_moment_that_attempts_share(driver, connect):
    """
    What an earlier attempt has used of the deadline is not given again.
    """
    deadline = asyncio.get_running_loop().time() + 0.1
    async with RawServer([Act.HANG]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask(deadline=deadline))

    assert (ProviderTimeoutError, "total") == (type(error), error.timer)


async def test_leaving_early_closes_the_connection_at_once(driver, connect):
    """
    A caller that heard enough leaves nothing running: the server sees the end of the connection.
    """
    async with RawServer([STREAM_HEAD, chunk(render_events(driver.events[:2])), Act.HANG]) as server:
        deltas = connect(driver, server.url).send_message(driver.ask())
        assert OLA[0] == await anext(deltas)

        await deltas.aclose()

        async with asyncio.timeout(1):
            await server.left.wait()


async def test_being_cancelled_closes_the_connection_at_once(driver, connect):
    """
    So does a task that is cancelled while it waits.
    """
    async with RawServer([STREAM_HEAD, Act.HANG]) as server:
        task = asyncio.create_task(fail(connect(driver, server.url), driver.ask()))
        await server.asked.wait()

        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            await server.left.wait()


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_an_answer_beyond_the_cap_is_refused(driver, connect, monkeypatch, is_streamed):
    """
    No answer fills the memory, however it comes.
    """
    monkeypatch.setattr("tertulia.runtime.http.MAX_BODY_BYTES", 10_000)
    endless = Ping(chunk(b": " + b"x" * 1000 + b"\n\n"), every_seconds=0.001)
    script = [STREAM_HEAD, endless] if is_streamed else [answer(b" " * 20_000)]
    async with RawServer(script) as server:
        _, error = await fail(connect(driver, server.url), driver.ask(stream=is_streamed))

    assert (TooLargeError, "response") == (type(error), error.side)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"error": {"message": f"Incorrect API key provided: {KEY}."}}, id="in a message"),
        pytest.param({"error": f"No key {KEY}.", "code": KEY}, id="in a code"),
        pytest.param(f"<html>Bearer {KEY} is wrong</html>".encode(), id="in a page"),
        pytest.param(b"<html>" + b"x" * 180 + KEY.encode(), id="cut by an excerpt"),
    ],
)
@pytest.mark.parametrize("status", [200, 401, 500])
async def test_a_service_that_repeats_the_key_is_not_repeated(driver, connect, body, status):
    """
    A key that comes back in an error is taken out, also where an excerpt would show half of it.
    """
    async with RawServer([answer(body, status, x_request_id="req-1")]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask())

    assert KEY[:10] not in str(error)


async def test_an_error_names_the_call_for_the_providers_support(driver, connect):
    """
    The id that a service gives a call is in the error.
    """
    async with RawServer([answer({"error": "Sorry."}, 500, x_request_id="req-1")]) as server:
        _, error = await fail(connect(driver, server.url), driver.ask())

    assert "req-1" == error.request_id


async def test_no_library_exception_gets_out_of_random_bytes(driver, connect):
    """
    Whatever bytes a server answers with, what is raised is one of ours.
    """
    scripts = [[bytes([number]) * 50 + b"\r\n\r\n", Act.CLOSE] for number in range(0, 256, 5)]
    async with RawServer(*scripts) as server:
        provider = connect(driver, server.url)
        errors = [(await fail(provider, driver.ask()))[1] for _ in scripts]

    assert {True} == {
        isinstance(error, ProviderError) and isinstance(error, TertuliaError) for error in errors
    }
