"""What ChatGPT exports becomes a conversation that can be read, switched and gone on with."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tertulia
from tertulia import Role, Text, ToolCall, ToolResult
from tertulia.domain.message import Reasoning
from tertulia.services.transfer.arrays import Splitter
from tertulia.testing import ScriptedProvider

BEGUN = 1_700_000_000.25
Node = dict[str, Any]


@pytest.fixture
async def client() -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(store="memory:", plugins=[ScriptedProvider("one").says("Gladly.")]) as client:
        yield client


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*conversations: Any) -> Path:
        path = tmp_path / "conversations.json"
        path.write_text(json.dumps(conversations))
        return path

    return write


def node(parent: str | None, role: str, content: Any, seconds: float | None = 0, **more: Any) -> Node:
    content = {"content_type": "text", "parts": [content]} if isinstance(content, str) else content
    author = {"role": role, "name": more.pop("name", None), "metadata": {}}
    moment = None if seconds is None else BEGUN + seconds
    message = {"author": author, "create_time": moment, "content": content, "recipient": "all", **more}
    return {"parent": parent, "children": [], "message": message}


def answer(parent: str, text: str, seconds: float, model: str = "gpt-4o", finish: str = "stop") -> Node:
    metadata = {"model_slug": model, "finish_details": {"type": finish}}
    return node(parent, "assistant", text, seconds, metadata=metadata, status="finished_successfully")


def conversation(mapping: dict[str, Any], current: str | None, **more: Any) -> dict[str, Any]:
    facts = {"title": "Trip", "create_time": BEGUN, "update_time": BEGUN + 60, "conversation_id": "c-1"}
    return {**facts, "mapping": mapping, "current_node": current, "default_model_slug": "gpt-4o", **more}


def branched() -> dict[str, Any]:
    """A question that was asked, answered, asked otherwise and answered twice."""
    return conversation(
        {
            "root": {"parent": None, "children": ["system"], "message": None},
            "system": node("root", "system", "", None),
            "q1": node("system", "user", "Lisbon?", 1),
            "a1": answer("q1", "Yes.", 2),
            "q2": node("a1", "user", "When?", 3),
            "a2": answer("q2", "May.", 4),
            "q2b": node("a1", "user", "Where?", 5),
            "a2b": answer("q2b", "There.", 6),
            "a2c": answer("q2b", "Here.", 7, "o3"),
        },
        "a2c",
    )


async def test_a_conversation_comes_with_its_branches(client, write):
    """It is opened where it was left; the other ends are branches, the oldest first."""
    report = await client.import_conversations(write(branched()))
    conversation = await client.get(report.imported[0])

    assert (7, ()) == (report.message_count, report.problems)
    assert ["Lisbon?", "Yes.", "Where?", "Here."] == [each.text for each in await conversation.history()]
    assert [
        ("main", None, None, "o3"), ("branch-2", "main", 1, "gpt-4o"), ("branch-3", "main", 2, "gpt-4o"),
    ] == [
        (each.name, each.forked_from, each.fork_depth, each.model) for each in await conversation.branches()
    ]  # fmt: skip
    other = await client.get(conversation.id, branch="branch-2")
    assert ["Lisbon?", "Yes.", "When?", "May."] == [each.text for each in await other.history()]
    assert () == (await client.check_store()).problems


async def test_times_and_names_are_kept(client, write):
    """Its id is of the time it was begun, so that lists by age are right; what it was called is known."""
    older = {**branched(), "create_time": BEGUN - 1000, "conversation_id": "c-0", "title": "t" * 300}
    report = await client.import_conversations(write(branched(), older))
    listed = await client.list(order="oldest")

    assert list(reversed(report.imported)) == [record.id for record in listed]
    record = listed[1]
    assert ("Trip", datetime.fromtimestamp(BEGUN, UTC)) == (record.title, record.created_at)
    assert datetime.fromtimestamp(BEGUN + 60, UTC) == record.updated_at
    assert {"source": "chatgpt", "source_id": "c-1"} == record.metadata
    assert 200 == len(listed[0].title)
    history = await (await client.get(record.id)).history()
    assert [1, 2, 5, 7] == [(each.created_at.timestamp() - BEGUN) for each in history]


async def test_a_second_import_changes_nothing(client, write):
    """Ids are made of ids, so what is there is known again."""
    first = await client.import_conversations(write(branched()))
    second = await client.import_conversations(write(branched()))

    assert ((), first.imported) == (second.imported, second.skipped)


async def test_it_goes_on_with_a_provider_there_is(client, write):
    """ChatGPT is none of ours, so the conversation is switched first; nothing of it is in the way."""
    report = await client.import_conversations(write(branched()))
    conversation = await client.get(report.imported[0])
    assert "chatgpt" == conversation.provider
    with pytest.raises(tertulia.UnknownProviderError):
        await conversation.send("Now?")
    await conversation.switch("one")

    assert "Gladly." == (await conversation.send("Now?")).text


async def test_answers_are_calls_whose_cost_nobody_knows(client, write):
    """They are in the ledger, so the conversation is found by them, and its cost is not called nothing."""
    report = await client.import_conversations(write(branched()))
    attempts = await (await client.get(report.imported[0])).attempts()
    record = await client.record(report.imported[0])

    assert [("gpt-4o", "main"), ("gpt-4o", "branch-2"), ("gpt-4o", "main"), ("o3", "main")] == [
        (each.model, each.branch) for each in attempts
    ]
    assert (0, 4) == (record.cost.money.pico, record.cost.unknown_count)
    found = await client.list(where=tertulia.ConversationFilter(provider="chatgpt", model="o3"))
    assert [record.id] == [each.id for each in found]


async def test_an_archived_conversation_is_archived(client, write):
    """It was out of the way there, and is here."""
    await client.import_conversations(write({**branched(), "is_archived": True}))
    assert [] == await client.list()


async def parts_of(client, write, *nodes: Node) -> list[tuple[Role, tuple[Any, ...]]]:
    """What becomes of nodes that follow one another."""
    names = ["root", *(f"n{number}" for number in range(len(nodes)))]
    mapping = {
        name: {**each, "parent": above} for above, name, each in zip(names, names[1:], nodes, strict=False)
    }
    mapping["root"] = {"parent": None, "children": [], "message": None}
    report = await client.import_conversations(write(conversation(mapping, names[-1])))
    assert () == report.problems
    history = await (await client.get(report.imported[0])).history()
    return [(message.role, message.parts) for message in history]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"content_type": "text", "parts": ["one", "", "two"]}, Text("one\ntwo")),
        ({"content_type": "code", "language": "python", "text": "1+1"}, Text("```python\n1+1\n```")),
        ({"content_type": "code", "language": "unknown", "text": "```"}, Text("`````\n```\n`````")),
        ({"content_type": "tether_quote", "title": "T", "url": "u", "text": "x"}, Text("T\nu\nx")),
        (
            {"content_type": "multimodal_text", "parts": [
                {"content_type": "image_asset_pointer", "asset_pointer": "file-service://f-1"}, "What?",
            ]},
            Text("[image that is not in the export: file-service://f-1]\nWhat?"),
        ),
        (
            {"content_type": "multimodal_text", "parts": [
                {"content_type": "audio_transcription", "text": "Hm"},
            ]},
            Text("Hm"),
        ),
        ({"content_type": "hologram"}, Text("[hologram: not in the export]")),
    ],
)  # fmt: skip
async def test_every_kind_of_content_says_something(client, write, content, expected):
    """What has no words is named in a note."""
    assert [(Role.USER, (expected,))] == await parts_of(client, write, node(None, "user", content))


async def test_thoughts_are_reasoning(client, write):
    """What the page adds about them is left out."""
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "Look", "content": "closely"}, 7, {}]}
    recap = {"content_type": "reasoning_recap", "content": "Thought for 5 seconds"}
    assert [
        (Role.ASSISTANT, (Reasoning("Look\nclosely"),)),
        (Role.ASSISTANT, (Text("So."),)),
    ] == await parts_of(
        client, write, node(None, "assistant", thoughts), node(None, "assistant", recap), answer("", "So.", 1)
    )


async def test_what_users_say_of_themselves_is_a_system_message(client, write):
    """It is no turn of theirs."""
    context = {"content_type": "user_editable_context", "user_profile": "Me", "user_instructions": "Brief"}
    assert [(Role.SYSTEM, (Text("Me\nBrief"),))] == await parts_of(client, write, node(None, "user", context))


async def test_a_tool_with_one_result_is_a_call(client, write):
    """Its name is one that every provider takes; further results are told in words."""
    call = node(None, "assistant", {"content_type": "code", "text": '{"q":"x"}'}, recipient="dalle.text2im")
    first, second = node(None, "tool", "found", name="dalle.text2im"), node(None, "tool", "more", name="web")
    assert [
        (Role.ASSISTANT, (ToolCall("call-n0", "dalle_text2im", {"q": "x"}),)),
        (Role.TOOL, (ToolResult("call-n0", "dalle_text2im", "found"),)),
        (Role.ASSISTANT, (Text("[web]\nmore"),)),
    ] == await parts_of(client, write, call, first, second)


async def test_a_call_without_a_result_is_words(client, write):
    """Nothing is to wait for what never comes."""
    call = node(None, "assistant", {"content_type": "code", "text": "x"}, recipient="python")
    assert [(Role.ASSISTANT, (Text("```\nx\n```"),))] == await parts_of(client, write, call)


async def test_an_answer_that_was_stopped_is_interrupted(client, write):
    """It is not called whole."""
    mapping = {"q": node(None, "user", "Go"), "a": answer("q", "On", 1, finish="interrupted")}
    report = await client.import_conversations(write(conversation(mapping, "a")))
    history = await (await client.get(report.imported[0])).history()

    assert ["complete", "interrupted"] == [each.status.value for each in history]


async def test_the_zip_file_does_as_well(client, write, tmp_path):
    """Also where the conversations are in several files; nothing else in it is looked at."""
    second = {**branched(), "conversation_id": "c-2"}
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export/conversations-001.json", json.dumps([branched()]))
        archive.writestr("export/conversations-002.json", json.dumps([second]))
        archive.writestr("../../user.json", "{}")
    report = await client.import_conversations(tmp_path / "export.zip")

    assert (2, ()) == (len(report.imported), report.problems)


@pytest.mark.parametrize("size", [0, 2**25])
async def test_a_zip_file_that_bursts_is_refused(client, tmp_path, size):
    """Or that has nothing in it; the error says what to do."""
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json" if size else "other.json", b"[" + b" " * size)
    with pytest.raises(
        tertulia.TransferError, match="bytes when unpacked" if size else r"no conversations\.json"
    ):
        await client.import_conversations(tmp_path / "export.zip")


async def test_a_damaged_zip_file_is_refused(client, tmp_path):
    """Whatever is wrong with it."""
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([branched()]))
    whole, chance = path.read_bytes(), random.Random(6)  # noqa: S311  # to be the same every time
    for _ in range(60):
        content = bytearray(whole)
        content[chance.randrange(4, len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        try:
            await client.import_conversations(path)
        except tertulia.TransferError:
            continue
    assert () == (await client.check_store()).problems


CIRCLE = {"a": node("b", "user", "x"), "b": node("a", "user", "y")}
WRONG: list[tuple[Any, str]] = [
    (7, "cut off"),
    ({}, "it has no id"),
    ({"id": "x"}, "None is no object"),
    (conversation({"a": 7}, None), "7 is no object"),
    (conversation(CIRCLE, "a"), "go in a circle"),
    (conversation({"a": node("a", "user", "x")}, "a"), "go in a circle"),
]


@pytest.mark.parametrize(("body", "reason"), WRONG[1:])
async def test_what_is_wrong_spoils_one_conversation(client, write, body, reason):
    """The others are imported, and the problem says which it is."""
    report = await client.import_conversations(
        write(branched(), body, {**branched(), "id": "x", "conversation_id": None})
    )

    assert 2 == len(report.imported)
    assert [("conversation 2", True)] == [(each.place, reason in each.reason) for each in report.problems]


async def test_a_file_that_was_cut_off_is_noticed(client, write):
    """What was whole before is imported."""
    path = write(branched(), branched())
    path.write_bytes(path.read_bytes()[:-40])
    report = await client.import_conversations(path)

    assert 1 == len(report.imported)
    assert "cut off" in report.problems[-1].reason


@pytest.mark.parametrize("content", [b"{}", b"", b"7", b'"["'])
async def test_what_is_no_list_is_refused(client, tmp_path, content):
    """Before anything is imported."""
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(tertulia.TransferError, match="is no list of conversations"):
        await client.import_conversations(tmp_path / "x.json", format="chatgpt")


async def test_a_long_conversation_is_read(client, write):
    """However deep the tree is."""
    mapping = {f"n{number}": node(f"n{number - 1}", "user", "x", number) for number in range(1200)}
    report = await client.import_conversations(write(conversation(mapping, "n1199")))

    assert (1200, ()) == (report.message_count, report.problems)


VALUES = [None, True, -1, 1e300, "", "x", [], [[]], {}, {"parts": [{}]}, [{"content_type": 1}]]


def mutate(value: Any, chance: random.Random) -> Any:
    """A copy with now and then something else in it."""
    if chance.random() < 0.03:  # so that most of it stays
        return chance.choice(VALUES)
    if isinstance(value, dict):
        return {key: mutate(each, chance) for key, each in value.items()}
    return [mutate(each, chance) for each in value] if isinstance(value, list) else value


async def test_mutated_files_raise_nothing_foreign(client, write):
    """Whatever is in a file, it is imported, reported or refused, and the store stays sound."""
    chance = random.Random(6)  # noqa: S311  # to be the same every time
    for number in range(60):
        body = mutate({**branched(), "conversation_id": f"c-{number}"}, chance)
        path = write(body)
        if number % 3 == 0:
            content = bytearray(path.read_bytes())
            content[chance.randrange(1, len(content))] = chance.choice(b'"\\{}[],x\x00\xff')
            path.write_bytes(content)
        await client.import_conversations(path, format="chatgpt")
    assert () == (await client.check_store()).problems


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_an_array_is_cut_wherever_the_pieces_end(size):
    """Brackets and quotes in strings are none."""
    elements = [{"a": '[{"\\'}, {"b": [[{}], "]}"]}, ["\\\\"], {}]
    content = json.dumps(elements, indent=1).encode()
    splitter = Splitter()
    found = list(splitter.split(content[at : at + size] for at in range(0, len(content), size)))

    assert elements == [json.loads(each) for each in found]
    assert (True, len(content)) == (splitter.is_whole, splitter.position)


def test_an_element_that_is_too_long_is_not_kept():
    """Those around it are."""
    splitter = Splitter(longest=20)
    found = list(splitter.split([b'[{"a":1},{"b":"', b"x" * 50, b"y" * 50, b'"},{"c":2}]']))

    assert [b'{"a":1}', None, b'{"c":2}'] == found
