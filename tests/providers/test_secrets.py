"""A key is in no error, however the error came about and however much of it is printed."""

from __future__ import annotations

import asyncio
import traceback

import pytest
from driver_cases import KEY
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


def test_a_key_that_cannot_be_sent_is_not_shown(driver):
    """A key is refused without being printed, or held by a frame that raises."""
    config = ProviderConfig("mine", "driver", api_key=Secret(KEY + "\n"))

    with pytest.raises(ConfigurationError) as caught:
        driver.cls(config)

    assert KEY not in everything(caught.value)
