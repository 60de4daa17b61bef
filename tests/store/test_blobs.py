"""Where the bytes of pictures are, and what is said when they are gone."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import attrs
import pytest

from tertulia import Image, Message, OpaqueState, StoreCorruptError, Text
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.message import Role
from tertulia.runtime.serialization import decode_parts, encode_parts
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk

DATA = b"GIF89a" + bytes(1000)
NAME = hashlib.sha256(DATA).hexdigest()
PICTURE = Image(DATA, "image/gif")


@pytest.fixture
async def talk(database: str) -> AsyncIterator[Talk]:
    """A conversation in a file."""
    store = SQLStore(database, clock := StandingClock())
    await store.open()
    yield await Talk.begin(store, clock)
    await store.aclose()


async def send(
    talk: Talk, *parts: Image | Text, owner: str = OWNER, conversation: UUID | None = None
) -> None:
    message = attrs.evolve(talk.make_message(""), parts=parts)
    await talk.store.add_message(owner, conversation or talk.id, MAIN, message)


def query(talk: Talk, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(Path(talk.store.location))) as connection:
        return connection.execute(statement).fetchall()


async def test_equal_bytes_are_kept_once_for_each_owner(talk):
    """The same picture takes its room once, whoever else has it too, and no message's row holds it."""
    record = attrs.evolve(await talk.record(), id=UUID(int=1), owner="bob")
    await talk.store.add_conversation(attrs.evolve(record, message_count=0))
    for _ in range(3):
        await send(talk, Text("Look"), PICTURE)
    await send(talk, PICTURE, owner="bob", conversation=record.id)

    assert [(OWNER, 1006, "image/gif", DATA), ("bob", 1006, "image/gif", DATA)] == sorted(
        query(talk, "SELECT owner_id, size, media_type, bytes FROM blob")
    )
    assert [(OWNER, 3), ("bob", 1)] == query(
        talk, "SELECT owner_id, count(*) FROM message_blob GROUP BY owner_id ORDER BY owner_id"
    )
    assert [(OWNER, "Look"), ("bob", "")] == query(talk, "SELECT DISTINCT owner_id, text FROM message")
    (longest,) = query(talk, "SELECT max(length(parts)) FROM message")[0]
    assert longest < 200


@pytest.mark.parametrize(
    ("damage", "state"),
    [
        ("UPDATE blob SET bytes = CAST(x'00' || substr(bytes, 2) AS BLOB)", "damaged"),
        ("UPDATE blob SET bytes = 'words'", "damaged"),
        ("UPDATE blob SET bytes = x''", "damaged"),
        ("UPDATE blob SET sha256 = x'00'", "missing"),
        ("DELETE FROM message_blob", "missing"),
    ],
)
async def test_a_picture_that_is_gone_is_named(talk, meddle, damage, state):
    """Bytes that are not what they were are no picture: the error names them, and the file."""
    await send(talk, PICTURE)
    await talk.append("And now?")
    meddle(damage)

    first_id = UUID(bytes=query(talk, "SELECT id FROM message WHERE depth = 0")[0][0])
    for reading in (talk.history, lambda: talk.store.get_message(OWNER, talk.id, first_id)):
        with pytest.raises(StoreCorruptError) as caught:
            await reading()
        assert f"the bytes of the attachment {NAME} are {state}, so its message cannot be read" == (
            caught.value.message
        )
        assert talk.store.location == caught.value.location
    assert ["And now?"] == await talk.texts(limit=1)


async def test_a_history_fetches_its_pictures_at_once(talk):
    """However many messages have pictures, there is one question for all of them, and none without any."""
    await talk.append("Hello")
    statements: list[str] = []
    await talk.store._engine._reader.run(
        lambda database: database.connection.set_trace_callback(statements.append)
    )
    for pictures, questions in ((0, 1), (20, 2)):
        for number in range(pictures):
            await send(talk, Image(DATA + bytes([number]), "image/gif"))
        statements.clear()
        assert 1 + pictures == len(await talk.history())
        assert ["BEGIN", *["WITH"] * questions, "ROLLBACK"] == [words.split()[0] for words in statements]


async def test_an_answer_may_hold_a_picture(talk):
    """What was checkpointed of it is replaced by words and picture together."""
    attempt, answer_id = await talk.ask("Draw a cat"), talk.clock.new_id()
    await talk.show(attempt, answer_id, "Here ")
    await talk.answer(attempt, Text("Here it is"), PICTURE, shown_as=answer_id)

    assert (Text("Here it is"), PICTURE) == (await talk.history())[-1].parts


@pytest.mark.parametrize(
    "picture",
    [
        Image(b""),
        Image(bytes(range(256)), "image/png", detail="original"),
        Image(url="https://example.com/a.png", media_type="image/png"),
        Image(b"x", opaque=OpaqueState("openai", {"data": "aGVsbG8="})),
    ],
    ids=["empty", "all-bytes", "address", "opaque"],
)
def test_a_picture_survives_neutral_json(picture):
    """Written into JSON or beside it, a picture comes back equal."""
    parts = (Text('"sha256"'), picture)
    kept: dict[str, bytes] = {}

    def keep(data: bytes, media_type: str | None) -> str:
        assert picture.media_type == media_type
        kept["name"] = data
        return "name"

    assert parts == decode_parts(encode_parts(parts))
    assert parts == decode_parts(encode_parts(parts, keep), kept.__getitem__)
    assert [] == [data for data in kept.values() if data != picture.data]


def test_a_picture_in_json_is_base64():
    """The neutral form is what everybody reads."""
    message = Message(Role.USER, (Image(b"GIF89a", "image/gif"),))

    assert b'[{"data":"R0lGODlh","media_type":"image/gif","type":"image"}]' == encode_parts(message.parts)
