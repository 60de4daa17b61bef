"""Values that no row can hold, and rows that are no value."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import attrs
import pytest

from tertulia import StoreCorruptError, StoreError
from tertulia.builtin.sql.store import SQLStore
from tertulia.contracts.store import Settlement
from tertulia.domain.conversation import Attempt, AttemptOutcome, ConversationRecord
from tertulia.domain.message import FinishReason, Message, MessageStatus, Role, ToolCall
from tertulia.domain.usage import Cost, Money, Usage
from tertulia.errors import ConversationNotFoundError
from tertulia.testing import StandingClock


@pytest.fixture
async def store(database: str, record: ConversationRecord) -> AsyncIterator[SQLStore]:
    """A store with one conversation."""
    store = SQLStore(database, StandingClock())
    await store.open()
    await store.add_conversation(record)
    yield store
    await store.aclose()


@pytest.fixture
def question(record: ConversationRecord) -> Message:
    message = Message.of(Role.USER, "Hello")
    return attrs.evolve(message, id=UUID(int=3), status=MessageStatus.PENDING, created_at=record.created_at)


@pytest.fixture
def attempt(record: ConversationRecord, question: Message) -> Attempt:
    assert question.id is not None
    now = StandingClock().now()
    return Attempt(UUID(int=4), question.id, 1, "openai", "gpt-6.1-sol", now, now + timedelta(seconds=15))


@pytest.fixture
async def settlement(
    store: SQLStore, record: ConversationRecord, question: Message, attempt: Attempt
) -> Settlement:
    """How the attempt ended, not yet stored; the question is."""
    await store.add_user_message(record.owner, record.id, "main", question, attempt)
    ended = attrs.evolve(
        attempt, outcome=AttemptOutcome.SUCCEEDED, lease_until=None, usage=Usage(10, 0, 0, 5)
    )
    answer = Message(
        Role.ASSISTANT,
        (ToolCall("call-1", "add", {"a": 1}),),
        id=UUID(int=5),
        provider="openai",
        finish_reason=FinishReason.STOP,
        usage=ended.usage,
        created_at=record.created_at,
    )
    return Settlement(ended, MessageStatus.COMPLETE, answer)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE message SET parts = '{'", "JSONDecodeError: "),
        ("""UPDATE message SET parts = '[{"type":"hologram"}]'""", "IterableValidationError: "),
        ("UPDATE message SET parts = '7'", "TypeError: "),
        ("UPDATE message SET role = 'narrator'", "ValueError: 'narrator' is not a valid Role"),
        ("UPDATE message SET status = 'lost'", "ValueError: 'lost' is not a valid MessageStatus"),
        ("UPDATE message SET finish_reason = 'tired'", "ValueError: 'tired' is not a valid FinishReason"),
        ("UPDATE message SET parent_id = x'00'", "ValueError: bytes is not a 16-char string"),
        ("UPDATE message SET created_at = 1 << 62", "OverflowError: date value out of range"),
        ("UPDATE message SET text = CAST(x'ff' || 'locked' AS TEXT)", "a text is not UTF-8"),
        ("UPDATE attempt SET outcome = 'won'", "ValueError: 'won' is not a valid AttemptOutcome"),
        ("UPDATE attempt SET error_kind = 'bad'", "ValueError: 'bad' is not a valid ErrorKind"),
        ("UPDATE conversation SET updated_at = 'soon'", "TypeError: "),
    ],
)
async def test_a_row_that_is_no_value_is_named(store, record, settlement, meddle, tmp_path, change, words):
    """A row that cannot be read is the database's fault, and the error says which and why."""
    path = tmp_path / "conversations.db"
    await store.settle(record.owner, record.id, "main", settlement)
    meddle(change)
    operations = {
        "message": lambda: store.get_messages(record.owner, record.id, "main"),
        "attempt": lambda: store.get_attempts(record.owner, record.id),
        "conversation": lambda: store.get_conversation(record.owner, record.id),
    }

    with pytest.raises(StoreCorruptError) as caught:
        await operations[change.split()[1]]()

    assert str(caught.value).startswith(f"the database {path} holds a row that cannot be read: {words}")
    assert "open it with the tertulia that wrote it, or restore a copy" == caught.value.next_step
    assert str(path) == caught.value.location


async def test_a_list_with_an_unreadable_row_is_corrupt(store, meddle):
    """A list of conversations is read as carefully as one of them."""
    meddle("UPDATE conversation SET created_at = 'soon'")

    with pytest.raises(StoreCorruptError, match="holds a row that cannot be read: TypeError: "):
        await store.find_conversations("local")


async def test_what_is_not_there_is_no_corruption(store):
    """An error of ours leaves a reading as it is."""
    with pytest.raises(ConversationNotFoundError):
        await store.get_conversation("local", UUID(int=9))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"latency_seconds": float("nan")},
            "the database {path} could not be written: ValueError: cannot convert float NaN to integer",
        ),
        (
            {"number": object()},
            "the database {path} failed: Error binding parameter",
        ),
        ({"usage": Usage(2**63, 0, 0, 0)}, "a number of 64 bits is more than a database can hold"),
        ({"cost": Cost(Money(-(10**30)))}, "a number of 100 bits is more than a database can hold"),
    ],
)
async def test_a_value_that_no_row_holds_is_a_store_error(
    store, record, question, attempt, tmp_path, changes, message
):
    """What cannot be written is refused whole: the message that came before it is not stored either."""
    wrong = attrs.evolve(attempt, **changes)

    with pytest.raises(StoreError) as caught:
        await store.add_user_message(record.owner, record.id, "main", question, wrong)

    assert StoreError is type(caught.value)
    assert str(caught.value).startswith(message.format(path=tmp_path / "conversations.db"))
    assert [] == await store.get_messages(record.owner, record.id, "main")


async def test_a_limit_that_no_database_counts_to_is_a_store_error(store):
    """A number that is too large for a query says so, and blames no row."""
    with pytest.raises(StoreError) as caught:
        await store.find_conversations("local", limit=2**70)

    assert "a number of 71 bits is more than a database can hold" == str(caught.value)
    assert StoreError is type(caught.value)


async def test_any_text_can_be_stored_and_found(store, record):
    """Half a character, which no UTF-8 holds, becomes a question mark in every column, and is found by it."""
    half = "x\ud800"
    branch = attrs.evolve(record.branch, name=half, provider=half, model=half)
    odd = attrs.evolve(record, id=UUID(int=9), owner=half, title=half, branch=branch)
    await store.add_conversation(odd)
    await store.update_target(half, odd.id, half, provider=half, model=half, at=odd.updated_at)

    whole = attrs.evolve(branch, name="x?", provider="x?", model="x?")
    stored = attrs.evolve(odd, owner="x?", title="x?", branch=whole)
    assert stored == await store.get_conversation(half, odd.id)
    assert [stored] == await store.find_conversations(half)
    assert [] == await store.get_messages(half, odd.id, half)


async def test_any_words_of_a_provider_can_be_stored(store, record, settlement):
    """The names and reasons a provider gives are stored like any other text."""
    half = "x\ud800"
    ended = attrs.evolve(settlement.attempt, request_id=half, raw_usage=half, error_message=half)
    answer = attrs.evolve(settlement.answer, model=half, resolved_model=half, raw_finish_reason=half)
    await store.settle(record.owner, record.id, "main", Settlement(ended, None, answer))

    (attempt,) = await store.get_attempts(record.owner, record.id)
    _, message = await store.get_messages(record.owner, record.id, "main")
    assert ("x?", "x?", "x?") == (attempt.request_id, attempt.raw_usage, attempt.error_message)
    assert ("x?", "x?", "x?") == (message.model, message.resolved_model, message.raw_finish_reason)
