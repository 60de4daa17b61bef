"""How faults are ordered: which there are, whom they wait for, and what cannot be."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from urllib.parse import urlsplit

import aiohttp
import pytest

from tertulia_simulator import API_KEY, Simulator

from .conftest import Caller
from .dialects import DIALECTS

HEADERS = {"authorization": f"Bearer {API_KEY}", "x-goog-api-key": API_KEY}
SAID = ["1,", " 2,", " 3."]
COUNT = "Count to 3."


async def ask(caller: Caller, name: str) -> int:
    """The status of the whole answer to a user text."""
    dialect = DIALECTS[name]
    return (await caller.call("POST", dialect.path, dialect.render(COUNT)))[0]


def test_every_fault_can_be_looked_up():
    """
    By its name: what happens, to which answers, at which services, and what else can be said.
    """
    fault = Simulator.faults["error_event"]

    assert ("stream", ("after",), ()) == (fault.scope, fault.options, fault.services)
    assert "After some pieces comes an error." == fault.summary
    assert all(name == each.name for name, each in Simulator.faults.items())
    assert all(each.summary.endswith(".") for each in Simulator.faults.values())


@pytest.mark.parametrize(
    ("service", "kind", "order", "problem"),
    [
        ("openai", "silense", {}, "no fault 'silense'; did you mean 'silence'?"),
        ("openai", "fire", {}, "no fault 'fire'; choose one of auth, permission, "),
        ("openai", "late_finish", {}, "the fault 'late_finish' is one of gemini alone"),
        ("xai", "rate_limit", {"hint": "details"}, "xai has no 'details' to say when to try again"),
        ("xai", "rate_limit", {"hint": "smoke"}, "no hint 'smoke'; choose one of seconds, date"),
        ("xai", "auth", {"hint": "seconds"}, "the fault 'auth' takes no 'hint'"),
        ("xai", "html", {"after": 1}, "the fault 'html' takes no 'after'"),
        ("xai", "broken_off", {"reset": True}, "the fault 'broken_off' takes no 'reset'"),
        ("xai", "silence", {"seconds": float("nan")}, "'seconds' is a number from 0 on, not nan"),
        ("xai", "refused", {"times": 0}, "a fault occurs once or more, not 0 times"),
    ],
)
async def test_what_cannot_be_is_not_ordered(caller, simulator, service, kind, order, problem):
    """
    It says what is wrong and what there is, and the service stays well.
    """
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared whole
        simulator.fail(service, kind, **order)

    assert str(caught.value).startswith(problem)
    assert 200 == await ask(caller, service)


async def test_a_fault_of_streams_waits_for_one(caller, simulator, dialect):
    """
    Whole answers pass it by, and take what was ordered behind it.
    """
    simulator.fail(dialect.service, "no_done")
    simulator.fail(dialect.service, "empty_stream")
    simulator.fail(dialect.service, "overloaded")
    status, _, _ = await caller.call("POST", dialect.path, dialect.render(COUNT))

    assert 503 == status
    assert SAID == await caller.hear(dialect, COUNT)
    assert [] == await caller.hear(dialect, COUNT)
    assert SAID == await caller.hear(dialect, COUNT)


async def test_a_fault_of_whole_answers_waits_for_one(caller, simulator, dialect):
    """
    Streams pass it by.
    """
    simulator.fail(dialect.service, "bom")

    assert SAID == await caller.hear(dialect, COUNT)
    _, _, body = await caller.call("POST", dialect.path, dialect.render(COUNT))
    assert body.startswith("\ufeff{")


async def test_a_fault_leaves_what_waits_to_be_said(caller, simulator):
    """
    What is said for the sake of a fault takes no turn of what was ordered to be said.
    """
    simulator.say("local", "Bom dia!")
    simulator.fail("local", "escapes")
    dialect = DIALECTS["local"]
    answers = [await caller.put(dialect, dialect.render("Hello")) for _ in range(2)]

    assert ["a\x00b\x1b]0;title\x07\x1b[2Jc", "Bom dia!"] == [dialect.said(answer) for answer in answers]


async def test_what_is_refused_anyway_is_not_spoiled(caller, simulator):
    """
    A fault in the answer needs a good answer.
    """
    simulator.fail("openai", "null_members")
    status, body = await caller.post("/openai/v1/responses", {"model": "gpt-6.1-terra"})

    assert (400, ["error"]) == (status, list(body))


async def test_lines_end_as_no_vendor_ends_them(caller, simulator, dialect):
    """
    A byte order mark, CRLF everywhere, and no space after a colon.
    """
    simulator.fail(dialect.service, "line_ends")
    _, _, body = await caller.call("POST", dialect.stream_path, dialect.render_stream(COUNT))

    assert body.startswith(("\ufeffdata:{", "\ufeffevent:r"))
    assert body.count("\n") == body.count("\r\n") > 0
    assert "data: " not in body


async def test_a_hint_is_the_only_one(caller, simulator):
    """
    What OpenAI says with every answer about its limits is no second hint.
    """
    simulator.fail("openai", "rate_limit", hint="none")
    dialect = DIALECTS["openai"]
    status, headers, body = await caller.call("POST", dialect.path, dialect.render(COUNT))

    assert 429 == status
    assert not {"retry-after", "retry-after-ms", "x-ratelimit-reset-requests"} & {*map(str.lower, headers)}
    assert "try again" not in body


async def test_refused_is_refused_until_it_is_healed(simulator):
    """
    No connection is made, the old ones end, and then the same address answers again.
    """
    url = simulator.url
    reader, _ = old = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    old[1].write(b"GET /local/v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
    await reader.readuntil(b"}]}")
    simulator.fail("openai", "refused")
    end = await reader.read()
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        with pytest.raises(aiohttp.ClientConnectorError, match="Cannot connect"):
            await session.get(url + "/local/v1/models")
        simulator.heal("openai")
        async with session.get(url + "/local/v1/models") as response:
            status = response.status
    old[1].close()

    assert (b"", 200, url) == (end, status, simulator.url)
    assert 2 == len(simulator.requests)


async def test_refused_may_have_an_end():
    """
    After so many seconds it listens again.
    """
    async with Simulator() as simulator:
        simulator.fail("xai", "refused", seconds=0.05)
        address = urlsplit(simulator.url)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address.hostname, address.port)
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection(address.hostname, address.port)
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()


async def test_what_was_ordered_before_the_start_is_refused():
    """
    It can be down from the beginning.
    """
    simulator = Simulator()
    simulator.fail("xai", "refused")
    async with simulator:
        address = urlsplit(simulator.url)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address.hostname, address.port)


def test_refused_works_from_another_thread():
    """
    When fail and heal are back, it is so.
    """
    with Simulator.in_thread() as simulator:
        address = urlsplit(simulator.url)
        for _ in range(3):
            simulator.fail("gemini", "refused")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address.hostname, address.port))
            simulator.heal("gemini")
            with urllib.request.urlopen(f"{simulator.url}/local/v1/models") as answer:  # noqa: S310  # loopback
                assert answer.status == 200


async def test_an_early_reset_leaves_the_body_unread(simulator):
    """
    The head is enough: a client that is still writing gets a reset.
    """
    simulator.fail("local", "reset_early")
    address = urlsplit(simulator.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST {DIALECTS['local'].path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    writer.write(head.encode())

    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert [None] == [request.body for request in simulator.requests]


async def test_a_silence_is_a_stall_that_can_be_released(caller, simulator, dialect):
    """
    Not a byte comes until then, and then all of them.
    """
    simulator.fail(dialect.service, "silence")
    asking = asyncio.create_task(caller.hear(dialect, COUNT))
    await simulator.stalled(dialect.service)
    assert not asking.done()
    simulator.release(dialect.service)

    assert SAID == await asking


async def test_who_leaves_an_endless_answer_is_missed(caller, simulator, dialect):
    """
    The simulator knows of it, and stops writing.
    """
    simulator.fail(dialect.service, "endless_body")
    request = caller.session.post(
        simulator.url + dialect.stream_path, json=dialect.render_stream(COUNT), headers=HEADERS
    )
    async with request as response:
        await response.content.readany()
        response.close()

    assert 1 == await simulator.left(dialect.service)


async def test_who_follows_a_redirect_is_seen(caller, simulator):
    """
    What went along to the other origin is in the requests.
    """
    simulator.fail("gemini", "redirect")
    dialect = DIALECTS["gemini"]
    status, _, _ = await caller.call("POST", dialect.path, dialect.render(COUNT))

    assert (404, ["gemini", "elsewhere"]) == (status, [each.service for each in simulator.requests])
    assert "authorization" not in simulator.requests[-1].headers
    assert API_KEY == simulator.requests[-1].headers["x-goog-api-key"]


async def test_an_array_of_gemini_is_spoiled_as_events_are(caller, simulator):
    """
    A stream that is one JSON array ends for another reason, too.
    """
    dialect = DIALECTS["gemini"]
    simulator.fail("gemini", "length")
    array = await caller.put(dialect, dialect.render(COUNT))
    path = dialect.stream_path.partition("?")[0]
    simulator.fail("gemini", "length")
    simulator.fail("gemini", "content_policy")
    (_, chunks), (_, (blocked,)) = [await caller.post(path, dialect.render(COUNT)) for _ in range(2)]

    assert (
        "MAX_TOKENS" == array["candidates"][0]["finishReason"] == chunks[-1]["candidates"][0]["finishReason"]
    )
    assert {"blockReason": "PROHIBITED_CONTENT"} == blocked["promptFeedback"]
