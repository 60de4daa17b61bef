"""A key is in no error, however the error came about and however much of it is printed."""

from __future__ import annotations

import asyncio
import traceback

import pytest
from driver_cases import DRIVERS, KEY
from raw_server import STREAM_END, STREAM_HEAD, Act, RawServer, answer, chunk

from tertulia import ConfigurationError, ProviderConfig, ProviderError, Secret

ECHO = f'{{"error": {{"message": "The key {KEY} is wrong.", "code": "no_{KEY}"}}}}'.encode()


def everything(error: BaseException) -> str:
    """All that a debugger could print of an error: causes, contexts, frames and their local variables."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    inside = [frame for frame in shown.stack if "/tests/" not in frame.filename]
    locals_ = [f"{frame.name}: {frame.locals}" for frame in inside]
    texts = [str(error), repr(error), *locals_]
    linked = [each for each in (error.__cause__, error.__context__) if each is not None]
    return "\n".join([*texts, *(everything(each) for each in linked)])


@pytest.mark.parametrize(
    "script",
    [
        [answer(ECHO, 401)],
        [answer(ECHO, 200)],
        [STREAM_HEAD, chunk(b"data: " + ECHO + b"\n\n"), STREAM_END],
        [STREAM_HEAD, chunk(ECHO), STREAM_END],
    ],
    ids=["refused", "an error under 200", "an event", "a bare document"],
)
async def test_a_key_that_a_service_repeats_is_hidden(driver, connect, script):
    """Not even in the local variables of the frames an error went through."""
    async with RawServer(script) as server:
        with pytest.raises(ProviderError) as caught:
            async for _ in connect(driver, server.url).send_message(driver.ask()):
                pass

    assert "The key … is wrong" in str(caught.value)
    assert KEY not in everything(caught.value)


@pytest.mark.parametrize(
    "script",
    [
        [answer(b'{"error": "' + KEY.encode())],
        [answer(b'{"error": "' + KEY.encode(), 401)],
        [answer({"output": KEY, "status": KEY, "error": None})],
        [answer({"error": {"message": "No."}}, 400, x_request_id=KEY)],
        [answer({"error": {"message": "No.", "code": "unsupported_parameter", "param": KEY}}, 400)],
        [answer(b"<html>" + KEY.encode(), media_type="text/html")],
        [answer(b"", 302, location=f"https://elsewhere.example/{KEY}")],
        [STREAM_HEAD, chunk(b'data: {"error": "' + KEY.encode() + b"\n\n"), STREAM_END],
        [STREAM_HEAD, chunk(b'{"error": "' + KEY.encode()), STREAM_END],
    ],
    ids=[
        "half a document",
        "half a refusal",
        "no answer",
        "in a header",
        "as a parameter",
        "a page",
        "a redirect",
        "half an event",
        "half a bare document",
    ],
)
async def test_a_key_in_what_cannot_be_read_is_in_no_frame(driver, connect, script):
    """An error has no frames and no cause: they hold what the service said."""
    async with RawServer(script) as server:
        with pytest.raises(ProviderError) as caught:
            async for _ in connect(driver, server.url).send_message(driver.ask()):
                pass

    assert KEY not in everything(caught.value) + repr(vars(caught.value))


@pytest.mark.parametrize("start", range(4070, 4100, 3))
async def test_a_key_is_not_cut_in_two(connect, driver, start):
    """Where a long error is cut it does not show the first half of a key."""
    words = ("no " * start)[: start - 1] + " "
    async with RawServer(
        [answer({"error": {"message": f"{words}{KEY} is wrong", "code": words + KEY}})]
    ) as server:
        with pytest.raises(ProviderError) as caught:
            async for _ in connect(driver, server.url).send_message(driver.ask()):
                pass

    assert KEY[:4] not in everything(caught.value) + repr(vars(caught.value))


async def test_a_key_in_a_list_that_cannot_be_had_is_in_no_frame(connect, driver):
    """The same for a list of models."""
    async with RawServer([answer(b'{"data": "' + KEY.encode())]) as server:
        with pytest.raises(ProviderError) as caught:
            await connect(driver, server.url).list_models()

    assert KEY not in everything(caught.value)


async def test_a_cancelled_call_does_not_show_the_key(driver, connect):
    """The frames of the HTTP library, which have seen the key, are not in the traceback."""
    async with RawServer([Act.HANG]) as server:
        answers = connect(driver, server.url).send_message(driver.ask())
        task = asyncio.create_task(anext(answers))
        await asyncio.wait_for(server.asked.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task

    assert KEY not in everything(caught.value)


@pytest.mark.parametrize("driver", [DRIVERS["openai"], DRIVERS["xai"]])
def test_a_key_in_the_wrong_setting_is_not_shown(driver):
    """Whoever writes the key into `api` is told so without it."""
    config = ProviderConfig("mine", "driver", settings={"api": KEY})

    with pytest.raises(ConfigurationError) as caught:
        driver.cls(config)

    assert KEY not in f"{caught.value}{vars(caught.value)}"


def test_a_key_that_cannot_be_sent_is_not_shown(driver):
    """A key is refused without being printed, or held by a frame that raises."""
    config = ProviderConfig("mine", "driver", api_key=Secret(KEY + "\n"))

    with pytest.raises(ConfigurationError) as caught:
        driver.cls(config)

    assert KEY not in everything(caught.value)
