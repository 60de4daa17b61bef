"""A database that cannot be written any more: the answer is not swallowed, and can be stored later."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest
from process_cases import WORD, begin, go_on, history, open_at, run_program, say

from providers.raw_server import RawServer
from tertulia import MessageStatus, StoreBusyError

NOWHERE = "http://127.0.0.1:9"
HELLO = ("Hello", MessageStatus.COMPLETE)
OLA = ("Olá 🌍", MessageStatus.COMPLETE)


async def test_a_disk_that_fills_up_in_the_middle_of_an_answer_takes_nothing_of_it(database, tmp_path):
    """It is shown to its end and is in the error, which names the file; with room again it is saved."""
    async with RawServer(say(WORD, WORD * 200)) as server:
        program = await run_program("full_disk.py", server.url, database, tmp_path)
        output, _ = await program.communicate()

    told = json.loads(output)
    assert WORD * 201 == told["shown"] == told["reply"] == told["saved"]
    assert str(tmp_path / "conversations.db") == told["location"]
    assert "your message is stored, and the answer is in this error's .reply" == told["kept"]
    assert told["next_step"]
    assert (["Hello", WORD * 201], 0) == (told["after"], told["problems"])
    async with open_at(NOWHERE, database) as client:
        found = await client.get((await client.list())[0].id)
        assert [HELLO, (WORD * 201, MessageStatus.COMPLETE)] == await history(found)


async def test_a_database_locked_while_an_answer_comes_gets_it_later(database, tmp_path):
    """It is shown, it is in the error, and saving it is all there is to do once the lock is gone."""
    gate = asyncio.Event()
    url = f"{database}?busy_timeout=0.01"
    async with RawServer([*begin(), gate, *go_on()]) as server, open_at(server.url, url) as client:
        trip = await client.start(provider="mine")
        stream = trip.stream("Hello")
        await anext(stream)
        with closing(sqlite3.connect(tmp_path / "conversations.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            gate.set()
            with pytest.raises(StoreBusyError) as caught:
                await stream.read()
            other.execute("ROLLBACK")
        saved = await trip.save(caught.value.reply)

        assert (True, "Olá 🌍", "Olá 🌍") == (caught.value.retryable, caught.value.reply.text, saved.text)
        assert "your message is stored, and the answer is in this error's .reply" == caught.value.kept
        assert [HELLO, OLA] == await history(trip)
        assert () == (await client._core.store.verify()).problems
        assert 1 == len(server.requests)
