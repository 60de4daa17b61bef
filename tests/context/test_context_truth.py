"""What was said first is known in the end: a fact, sixty turns about nothing, a window for ten messages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

import pytest
from context_stores import SHARED, Opener, PlainStore
from context_stories import STORIES, Story, chat, ten_messages

import tertulia
from tertulia import Client, ContextOptions, Conversation, Document
from tertulia.services import path

TURNS = 60
TEN = ContextOptions(max_messages=10)
ENGLISH = STORIES["English"]
services = pytest.mark.parametrize("service", ["openai", "gemini", "xai"])


@pytest.fixture
def settings(simulator) -> dict[str, Any]:
    return {"store": "memory:", "providers": simulator.providers(), "environ": {}}


@pytest.fixture
async def client(settings) -> AsyncIterator[Client]:
    async with tertulia.open(**settings) as client:
        yield client


def body_of(simulator: Any, service: str) -> str:
    """The last request as it came over the wire."""
    return json.dumps(simulator.sent_to(service).body, ensure_ascii=False)


async def test_a_name_from_the_first_of_sixty_turns_is_known(simulator, settings):
    """Every turn is sent for real; the last request has ten messages, and the first one is quoted in it."""
    async with tertulia.open(**settings) as client:
        talk = await client.start(provider="gemini")
        await talk.send("My name is John.", context=TEN)
        for said, _ in islice(ENGLISH.small_talk(), TURNS):
            await talk.send(said, context=TEN)

        reply = await talk.send("What is my name?", context=TEN)

    assert "Your name is John." == reply.text
    sent = simulator.sent_to("gemini").texts
    assert 9 <= len(sent) <= 10
    assert "> My name is John.\n" in sent[-1]
    assert sent[-1].endswith("What is my name?")
    assert not any("John" in text for text in sent[:-1])
    assert 0 == reply.context.recalled[0].depth


@services
async def test_a_name_is_known_to_every_service(client, simulator, service):
    """It is told and asked for over HTTP; the answer is the right one."""
    talk = await client.start(provider=service)
    await talk.send("My name is John.")
    await chat(talk, ENGLISH, TURNS)

    reply = await talk.send("What is my name?", context=TEN)

    assert "Your name is John." == reply.text
    assert len(simulator.sent_to(service).texts) <= 10


@services
async def test_a_fact_is_found_in_any_language(client, simulator, service):
    """The request holds the fact, in the quotation before the question, and a few messages besides."""
    for story in STORIES.values():
        talk = await tell_and_chat(client, story, service)

        await talk.send(story.question, context=TEN)

        sent = simulator.sent_to(service).texts
        assert story.secret in body_of(simulator, service)
        assert story.fact in sent[-1]
        assert sent[-1].endswith(story.question)
        assert len(sent) <= 10


async def test_a_fact_is_found_within_a_budget_of_tokens(client, simulator):
    """The same where tokens are counted instead of messages, and none too many are sent."""
    for story in STORIES.values():
        talk = await tell_and_chat(client, story, "gemini")
        budget = ten_messages(story)

        reply = await talk.send(story.question, context=ContextOptions(max_tokens=budget))

        sent = simulator.sent_to("gemini").texts
        assert story.fact in sent[-1]
        assert reply.context.tokens <= budget
        assert len(sent) <= 12


async def test_what_has_nothing_to_do_with_the_question_is_not_quoted(client):
    """However much room there is: the fact comes before all others, and few of the 110 come at all."""
    for story in STORIES.values():
        talk = await tell_and_chat(client, story, "openai")

        context = await talk.preview_context(story.question, context=TEN)

        scores = {each.depth: each.score for each in context.report.recalled}
        assert max(scores.values()) == scores[0]
        assert len(scores) <= 40


@pytest.mark.parametrize("strategy", ["recent", "important"])
async def test_what_recalls_nothing_knows_nothing(client, simulator, strategy):
    """The fact is not there by accident: other strategies leave it out."""
    talk = await tell_and_chat(client, ENGLISH, "openai")

    await talk.send(ENGLISH.question, context=ContextOptions(strategy, max_messages=10))

    assert ENGLISH.secret not in body_of(simulator, "openai")


async def test_what_is_not_asked_for_is_not_quoted(client, simulator):
    """A message that looks nowhere back is sent as it is."""
    talk = await tell_and_chat(client, ENGLISH, "openai")

    await talk.send("Thank you!", context=TEN)

    assert "Thank you!" == simulator.sent_to("openai").texts[-1]


@services
async def test_a_fact_that_a_tool_returned_is_found(client, simulator, service):
    """What a function said in the first turn is quoted in the last."""

    def find_gate(city: str) -> str:
        """Find the gate of a flight."""
        return f"The flight to {city} leaves from gate K17."

    simulator.call_tools(service, ("find_gate", {"city": "Lisbon"}))
    talk = await client.start(provider=service)
    await talk.send("Find my flight, please.", tools=[find_gate])
    await chat(talk, ENGLISH, TURNS)

    await talk.send("From which gate does the flight to Lisbon leave?", context=TEN)

    assert "The flight to Lisbon leaves from gate K17." in simulator.sent_to(service).texts[-1]


@services
async def test_a_fact_in_a_document_is_found(client, simulator, service):
    """What a text that was attached in the first turn says is quoted in the last."""
    lease = "LEASE\n\nThe deposit is 2,140 euros.\n\nPets are allowed.\n"
    talk = await client.start(provider=service)
    await talk.send("Here it is.", attach=Document(lease.encode(), "text/plain", name="lease.txt"))
    await chat(talk, ENGLISH, TURNS)

    await talk.send("How high is the deposit?", context=TEN)

    assert "The deposit is 2,140 euros." in simulator.sent_to(service).texts[-1]


async def test_a_fact_that_branches_share_is_found_on_both(client, simulator):
    """It was said before the fork; each branch has gone its own way since."""
    talk = await tell_and_chat(client, ENGLISH, "openai", turns=20)
    fork = await talk.fork("other")
    await chat(talk, ENGLISH, 40)
    await chat(fork, ENGLISH, 40)

    for branch in (talk, fork):
        await branch.send(ENGLISH.question, context=TEN)
        assert ENGLISH.fact in simulator.sent_to("openai").texts[-1]


@pytest.mark.parametrize("most", [1000, 20], ids=["read whole", "by the index"])
async def test_a_fact_of_another_branch_is_not_found(client, simulator, monkeypatch, most):
    """What was said beside this branch, or further down on the branch it was forked from, stays there."""
    monkeypatch.setattr(path, "WHOLE", most)
    talk = await client.start(provider="openai")
    await chat(talk, ENGLISH, 20)
    fork = await talk.fork("other")
    await talk.send(ENGLISH.fact)
    await chat(fork, ENGLISH, 40)

    await fork.send(ENGLISH.question, context=TEN)

    assert ENGLISH.secret not in body_of(simulator, "openai")


@pytest.mark.parametrize("most", [1000, 20], ids=["read whole", "by the index"])
async def test_a_hidden_fact_is_not_found(client, simulator, monkeypatch, most):
    """What nobody wants sent is not quoted either."""
    monkeypatch.setattr(path, "WHOLE", most)
    talk = await tell_and_chat(client, ENGLISH, "openai")
    for message in (await talk.history())[:2]:
        await talk.hide(message)

    await talk.send(ENGLISH.question, context=TEN)

    assert ENGLISH.secret not in body_of(simulator, "openai")


async def test_a_fact_is_found_by_whoever_is_asked(client, simulator):
    """Told to one provider, chatted about with a second, asked of a third."""
    talk = await client.start(provider="openai")
    await talk.send(ENGLISH.fact)
    await talk.switch("gemini")
    await chat(talk, ENGLISH, TURNS)
    await talk.send("And now?", context=TEN)
    await talk.switch("xai")

    await talk.send(ENGLISH.question, context=TEN)

    assert ENGLISH.fact in simulator.sent_to("xai").texts[-1]


@pytest.mark.parametrize("most", [1000, 20], ids=["read whole", "by the index"])
async def test_a_fact_outlives_the_client(settings, database, simulator, monkeypatch, most):
    """Another client finds it in the same file, in what it reads or by the index of the store."""
    monkeypatch.setattr(path, "WHOLE", most)
    settings["store"] = database
    async with tertulia.open(**settings) as client:
        talks = [await tell_and_chat(client, story, "openai") for story in STORIES.values()]

    async with tertulia.open(**settings) as client:
        for talk, story in zip(talks, STORIES.values(), strict=True):
            again = await client.get(talk.id)
            await again.send(story.question, context=TEN)
            assert story.fact in simulator.sent_to("openai").texts[-1]


async def test_a_fact_is_found_where_the_store_has_no_index(settings, simulator, monkeypatch):
    """An index is made of what is read."""
    monkeypatch.setattr(path, "WHOLE", 20)
    settings["store"] = SHARED
    async with tertulia.open(**settings, plugins=[Opener(PlainStore())]) as client:
        for story in STORIES.values():
            talk = await tell_and_chat(client, story, "openai")
            await talk.send(story.question, context=TEN)
            assert story.fact in simulator.sent_to("openai").texts[-1]


async def tell_and_chat(client: Client, story: Story, service: str, *, turns: int = TURNS) -> Conversation:
    """A conversation in which the fact was told first, and much has been said since."""
    talk = await client.start(provider=service)
    await talk.send(story.fact)
    await chat(talk, story, turns)
    return talk
