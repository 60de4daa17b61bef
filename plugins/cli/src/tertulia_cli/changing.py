"""What is done to stored conversations: a title, tags, the archive, forks."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import tertulia
from tertulia_cli.finding import KEPT, States, find_conversation, find_messages
from tertulia_cli.loop import run
from tertulia_cli.opening import open_existing
from tertulia_cli.terminal import note, one_line, shorten, write, write_json

ARCHIVED = (tertulia.ConversationState.ARCHIVED,)
TITLE_LENGTH = 60


def rename_conversation(conversation_id: str, title: str, *, store: str | None) -> int:
    """Give a conversation another title; return the exit code."""

    async def rename(client: tertulia.Client, identifier: UUID) -> None:
        await client.rename(identifier, title or None)

    (record,) = run(change([conversation_id], rename, store=store))
    note(f"{name_of(record)} is called {title!r} now" if title else f"{name_of(record)} has no title now")
    return 0


def archive_conversations(conversation_ids: Sequence[str], *, store: str | None) -> int:
    """Put conversations out of the way; return the exit code."""
    for record in run(change(conversation_ids, tertulia.Client.archive, store=store)):
        note(f"{name_of(record)} is archived; {suggest('unarchive', record.id, store)} takes it back")
    return 0


def unarchive_conversations(conversation_ids: Sequence[str], *, store: str | None) -> int:
    """Take conversations back out of the archive; return the exit code."""
    for record in run(change(conversation_ids, tertulia.Client.unarchive, states=ARCHIVED, store=store)):
        note(f"{name_of(record)} is among the others again")
    return 0


def tag_conversation(
    conversation_id: str, *, add: Sequence[str], remove: Sequence[str], store: str | None, as_json: bool
) -> int:
    """Change a conversation's tags and print those it has now; return the exit code."""
    tags = run(_tag(conversation_id, add, remove, store))
    if as_json:
        write_json(list(tags))
    elif tags:
        write("\n".join(map(one_line, tags)))
    else:
        note("it has no tag")
    return 0


def fork_conversation(
    conversation_id: str, name: str | None, *, branch: str | None, at: int | None, store: str | None
) -> int:
    """Begin a branch and print its name; return the exit code."""
    forked = run(_fork(conversation_id, name, branch, at, store))
    write(one_line(forked.branch))
    place = f"--conversation {forked.id} --branch {shlex.quote(forked.branch)}"
    note(f'"tertulia chat {place}{describe_store(store)}" goes on there')
    return 0


async def change(
    conversation_ids: Sequence[str],
    act: Callable[[tertulia.Client, UUID], Awaitable[object]],
    *,
    states: States = KEPT,
    store: str | None,
) -> list[tertulia.ConversationRecord]:
    """
    Do something to conversations, once all of them are found; return them as they were before.

    Args:
        states: Where they may be.
    """
    async with open_existing(store) as client:
        records = await find_records(client, conversation_ids, states)
        for record in records:
            await act(client, record.id)
        return records


async def find_records(
    client: tertulia.Client, conversation_ids: Sequence[str], states: States
) -> list[tertulia.ConversationRecord]:
    """Each conversation once, also where it was named twice."""
    found = [await find_conversation(client, each, states=states) for each in conversation_ids]
    return [await client.record(each, deleted=True) for each in dict.fromkeys(found)]


def name_of(record: tertulia.ConversationRecord) -> str:
    """What a conversation is called in a sentence: its title, or its id where it has none."""
    return str(record.id) if record.title is None else repr(shorten(record.title, TITLE_LENGTH))


def suggest(command: str, conversation_id: UUID, store: str | None) -> str:
    """A command to type, in quotation marks."""
    return f'"tertulia conversations {command} {conversation_id}{describe_store(store)}"'


def describe_store(store: str | None) -> str:
    """The option that leads to the same store; a URL with a password is typed, and not shown."""
    return f" --store {shlex.quote(store)}" if store and "@" not in store else ""


async def _tag(
    conversation_id: str, add: Sequence[str], remove: Sequence[str], store: str | None
) -> Sequence[str]:
    async with open_existing(store) as client:
        found = await find_conversation(client, conversation_id)
        tags = await client.tag(found, *add) if add else (await client.record(found)).tags
        # Only what is there, which is a tag: whatever was wrong with the others, nothing is left half done.
        gone = [tag for tag in tags if tag in {each.strip() for each in remove}]
        return await client.untag(found, *gone) if gone else tags


async def _fork(
    conversation_id: str, name: str | None, branch: str | None, at: int | None, store: str | None
) -> tertulia.Conversation:
    async with open_existing(store) as client:
        conversation = await client.get(await find_conversation(client, conversation_id), branch=branch)
        place = None if at is None else (await find_messages(conversation, [at]))[0]
        return await conversation.fork(name, at=place)
