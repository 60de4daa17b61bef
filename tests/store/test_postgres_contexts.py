"""What was said first is found on PostgreSQL, whether the conversation is read or its index is asked."""

from __future__ import annotations

import pytest

import tertulia
from context.context_stories import STORIES, chat
from tertulia import ContextOptions
from tertulia.services import path
from tertulia.testing import ScriptedProvider


@pytest.mark.parametrize("most", [1000, 20], ids=["read whole", "by the index"])
async def test_a_fact_of_any_language_is_found_after_sixty_turns(postgres, monkeypatch, most):
    """It is quoted before the question, in a request of ten messages; and not on a branch it is not on."""
    monkeypatch.setattr(path, "WHOLE", most)
    one = ScriptedProvider("one")
    async with tertulia.open(store=postgres, providers={}, plugins=[one], environ={}) as client:
        for story in STORIES.values():
            talk = await client.start(provider="one")
            empty = await talk.fork("empty")
            one.says("Noted.").says("Found.").says("Not found.")
            await talk.send(story.fact)
            for branch in (talk, empty):
                await chat(branch, story, 60)
                await branch.send(story.question, context=ContextOptions(max_messages=10))

            found, missing = (request.messages for request in one.requests[-2:])
            assert story.fact in found[-1].text
            assert found[-1].text.endswith(story.question)
            assert len(found) <= 10
            assert not any(story.secret in message.text for message in missing)
