"""``tertulia conversations`` and ``tertulia branches``: what is kept can be read."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

import tertulia
from tertulia.testing import StandingClock
from tertulia_cli.demo import PICTURE
from tertulia_simulator import Simulator

GEMINI = "gemini/gemini-3.5-flash"


@pytest.fixture
def fill(simulator: Simulator, database: str, monkeypatch: pytest.MonkeyPatch):
    """Let something be said to the simulated services, and kept where the command looks for it."""
    monkeypatch.setenv("TERTULIA_STORE", database)

    def fill(talk: Callable[[tertulia.Client], Awaitable[str]], clock: StandingClock | None = None) -> str:
        async def run() -> str:
            providers = simulator.providers()
            async with tertulia.open(store=database, providers=providers, environ={}, clock=clock) as client:
                return await talk(client)

        return asyncio.run(run())

    return fill


async def talk(client: tertulia.Client) -> str:
    """A conversation with an image, a switch, a failure and a branch; its id."""
    trip = await client.start("Trip to\n\x1b[2JLisbon", provider="gemini", system="Be brief.")
    await trip.send("My name is John.", attach=tertulia.load_image(PICTURE))
    await trip.switch("xai")
    mary = await trip.fork("mary")
    await mary.send("My name is Mary.")
    await trip.switch("gemini")
    with pytest.raises(tertulia.ContentFilteredError):
        await trip.send("blockprompt")
    return str(trip.id)


def test_conversations_are_listed_newest_first(fill, tertulia_command):
    """
    Each has a line: so much of the id as tells it from the others, when, messages, cost, who, title.
    """
    clock = StandingClock()

    async def two(client: tertulia.Client) -> str:
        await client.ask("My name is John.", provider="openai")
        clock.advance(61)
        return await talk(client)

    fill(two, clock)
    ended = tertulia_command("conversations", "list")

    head, newest, oldest = ended.out.splitlines()
    assert (0, "") == (ended.code, ended.err)
    assert head.split("  ")[0] == "id"
    assert re.split(" {2,}", newest)[1:] == [
        clock.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "6",
        "$0.001461",
        GEMINI,
        "Trip to ␛[2JLisbon",
    ]
    assert re.split(" {2,}", oldest)[2:] == ["2", "$0.000046", "openai/gpt-6.1-sol", "My name is John."]


def test_the_shown_part_of_an_id_leads_to_its_conversation(fill, tertulia_command):
    """
    Even of conversations that began in the same millisecond.
    """

    async def three(client: tertulia.Client) -> str:
        for name in ("John", "Mary", "Ana"):
            await client.ask(f"My name is {name}.", provider="openai")
        return ""

    fill(three, StandingClock())
    ids = [line.split()[0] for line in tertulia_command("conversations", "list").out.splitlines()[1:]]

    titles = [tertulia_command("conversations", "show", each).out.splitlines()[0] for each in ids]
    assert sorted(titles) == ["My name is Ana.", "My name is John.", "My name is Mary."]
    assert {36} == {len(each) for each in ids}  # the ids of this clock differ in their last digit


def test_json_is_a_conversation_a_line(fill, tertulia_command):
    """
    With --json everything is exact and nothing is shortened.
    """
    clock = StandingClock()
    identifier = fill(talk, clock)

    assert json.loads(tertulia_command("conversations", "list", "--json").out) == {
        "id": identifier,
        "title": "Trip to\n\x1b[2JLisbon",
        "branch": "main",
        "provider": "gemini",
        "model": "gemini-3.5-flash",
        "messages": 6,
        "cost": "0.001461",
        "unknown_costs": 0,
        "state": "active",
        "tags": [],
        "metadata": {},
        "created_at": clock.now().isoformat(),
        "updated_at": clock.now().isoformat(),
        "deleted_at": None,
        "purge_after": None,
    }


def test_a_list_has_a_limit(fill, tertulia_command):
    """
    --limit takes the newest, and a line says how to go on.
    """

    async def two(client: tertulia.Client) -> str:
        await client.start("first", provider="openai")
        return str((await client.start("second", provider="openai")).id)

    second = fill(two)

    ended = tertulia_command("conversations", "list", "--limit", "1", "--json")
    assert "second" == json.loads(ended.out)["title"]
    assert f"there are more: --after {second}\n" == tertulia_command("conversations", "list", "-n", "1").err


def test_where_nothing_was_said_there_is_a_note(tertulia_command, tmp_path: Path):
    """
    Standard output stays empty, and no database is made.
    """
    assert (0, "", "there is no conversation yet\n") == tertulia_command("conversations", "list")
    assert (0, "", "") == tertulia_command("conversations", "list", "--json")
    assert [] == list(tmp_path.iterdir())


def test_what_was_said_is_shown(fill, tertulia_command):
    """
    Numbered, with who spoke, what it cost, what is no text, and what failed.
    """
    identifier = fill(talk)

    assert tertulia_command("conversations", "show", identifier) == (
        0,
        (
            "Trip to ␛[2JLisbon\n"
            f"{identifier}, branch main of 2, {GEMINI}, $0.001461\n"
            "\n"
            "1 system\n   Be brief.\n"
            "\n"
            "2 you\n   [image/png, 78 bytes]\n   My name is John.\n"
            "\n"
            f"3 {GEMINI}, $0.0004365\n   Hello John.\n"
            "\n"
            "4 you, failed\n   blockprompt\n"
        ),
        "",
    )


def test_another_branch_is_shown(fill, tertulia_command):
    """
    --branch shows what was said there, --limit the newest of it.
    """
    identifier = fill(talk)

    ended = tertulia_command("conversations", "show", identifier, "--branch", "mary", "--limit", "2")

    assert ended.out.partition("\n\n")[2] == (
        "4 you\n   My name is Mary.\n\n5 xai/grok-4.7, $0.000594\n   Hello Mary.\n"
    )


def test_an_answer_that_broke_off_says_so(fill, tertulia_command, simulator: Simulator):
    """
    It is marked, and its cost is not known.
    """

    async def cut(client: tertulia.Client) -> str:
        conversation = await client.start(provider="openai")
        with pytest.raises(tertulia.StreamInterruptedError):
            await conversation.stream("Count to 5.")
        return str(conversation.id)

    simulator.fail("openai", "cut_stream", after=2)
    shown = tertulia_command("conversations", "show", fill(cut)).out

    assert shown.startswith("Untitled\n")
    assert shown.endswith("2 openai/gpt-6.1-sol, cost unknown, interrupted\n   1, 2,\n")
    assert ", branch main, openai/gpt-6.1-sol, at least $0\n" in shown


def test_json_is_one_conversation(fill, tertulia_command):
    """
    Messages are whole but for the bytes of what is attached.
    """
    clock = StandingClock()
    identifier = fill(talk, clock)

    shown = json.loads(tertulia_command("conversations", "show", identifier, "--json").out)

    system, question, answer, failed = shown.pop("messages")
    assert shown == {
        "id": identifier,
        "title": "Trip to\n\x1b[2JLisbon",
        "branch": "main",
        "branches": 2,
        "provider": "gemini",
        "model": "gemini-3.5-flash",
        "cost": "0.001461",
        "unknown_costs": 0,
    }
    nowhere = {"name": None, "url": None, "file": None}
    assert question["attachments"] == [{"type": "image", "media_type": "image/png", "bytes": 78, **nowhere}]
    assert (system["role"], failed["status"]) == ("system", "failed")
    del answer["id"]
    assert answer == {
        "number": 3,
        "role": "assistant",
        "status": "complete",
        "text": "Hello John.",
        "attachments": [],
        "tool_calls": [],
        "tool_results": [],
        "provider": "gemini",
        "model": "gemini-3.5-flash",
        "finish_reason": "stop",
        "cost": "0.0004365",
        "created_at": clock.now().isoformat(),
    }


def test_branches_are_a_tree(fill, tertulia_command):
    """
    Each has a line, with where it left the other one.
    """
    identifier = fill(talk)

    assert tertulia_command("branches", identifier[:18]) == (
        0,
        (
            "  branch   messages        answered by              newest\n"
            f"* main     4               {GEMINI}  blockprompt\n"
            "  └─ mary  2 more after 3  xai/grok-4.7             Hello Mary.\n"
        ),
        "",
    )


def test_branches_are_json(fill, tertulia_command):
    """
    With --json they come in the order they were made.
    """
    clock = StandingClock()
    main, mary = json.loads(tertulia_command("branches", fill(talk, clock), "--json").out)

    assert (main["name"], main["active"], main["own_messages"]) == ("main", True, 4)
    assert (main["forked_from"], main["shared_messages"]) == (None, None)
    assert mary == {
        "name": "mary",
        "active": False,
        "forked_from": "main",
        "shared_messages": 3,
        "own_messages": 2,
        "provider": "xai",
        "model": "grok-4.7",
        "newest": "Hello Mary.",
        "created_at": clock.now().isoformat(),
    }


@pytest.mark.parametrize("command", [("conversations", "show"), ("branches",)])
def test_an_id_may_be_short_but_not_vague(fill, tertulia_command, command: tuple[str, ...]):
    """
    Six characters are enough where only one conversation begins so; else the line says which ones do.
    """
    clock = StandingClock()

    async def two(client: tertulia.Client) -> str:
        first = await client.start("first", provider="openai")
        clock.advance(timedelta(days=400).total_seconds())
        second = await client.start("second", provider="openai")
        third = await client.start("third", provider="openai")
        return " ".join(str(each.id) for each in (first, third, second))

    first, *later = fill(two, clock).split()

    assert tertulia_command(*command, first.replace("-", "")[:6]).code == 0
    assert (
        2,
        "",
        (
            f"error: 2 conversations begin with {later[0][:6]!r}: {', '.join(later)}. "
            f'See "tertulia {" ".join(command)} --help".\n'
        ),
    ) == tertulia_command(*command, later[0][:6])


@pytest.mark.parametrize(
    ("identifier", "code", "error"),
    [
        (
            "0199a",
            2,
            (
                "'0199a' is too short for an id: at least 6 characters of one are needed. "
                'See "tertulia conversations show --help".'
            ),
        ),
        (
            "0199a3",
            1,
            (
                "there is no conversation whose id begins with '0199a3'; "
                '"tertulia conversations list" shows what there is'
            ),
        ),
        (
            "%%%%%%",
            1,
            (
                "there is no conversation whose id begins with '%%%%%%'; "
                '"tertulia conversations list" shows what there is'
            ),
        ),
        (
            "0199a3c4-5d6e-7000-8000-000000000000",
            1,
            "there is no conversation 0199a3c4-5d6e-7000-8000-000000000000; ",
        ),
    ],
)
def test_a_conversation_that_is_not_there(tertulia_command, identifier: str, code: int, error: str):
    """
    What cannot be found is one line.
    """
    ended = tertulia_command("conversations", "show", identifier)

    assert (code, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}")
    assert ended.err.count("\n") == 1


def test_a_branch_that_is_not_there(fill, tertulia_command):
    """
    A misspelt branch is one line.
    """
    ended = tertulia_command("conversations", "show", fill(talk), "--branch", "marry")

    assert (1, "") == ended[:2]
    assert "has no branch 'marry'" in ended.err
