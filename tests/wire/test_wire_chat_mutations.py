"""
Recorded chat answers with something else in them: whatever it is, an error is one of ours.

The recordings are not part of the project: ``TERTULIA_TEST_DATA`` names their folder.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from wire_mutations import mutate, read_answers

from tertulia import ProtocolError, ProviderReply
from tertulia.wire import ErrorAnswer, StreamEnd
from tertulia.wire.chat_completions import ChatCompletionsStream, Dialect, parse_response

pytestmark = pytest.mark.no_cover  # much of the same: measuring it would take longer than doing it

MUTATIONS = 400


@pytest.fixture(scope="module")
def answers() -> list[list[dict[str, Any]]]:
    """What was recorded: the chunks of a stream, or a whole answer alone."""
    return read_answers("/chat/completions")


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_answer_is_read_or_refused(answers, seed):
    """
    Wherever a value is another one, the answer is read without it, or refused in our own words.
    """
    dice = random.Random(seed)  # noqa: S311  # for variety, not for secrecy
    outcomes = [outcome(mutate(dice.choice(answers), dice)) for _ in range(MUTATIONS)]

    assert {ProviderReply, ProtocolError, ErrorAnswer} >= set(outcomes)
    assert outcomes.count(ProviderReply) > MUTATIONS / 2


def outcome(documents: list[dict[str, Any]]) -> type:
    """What an answer is read as: a reply, or one of the two errors that a wire format has."""
    try:
        if len(documents) == 1:
            return type(parse_response(documents[0], Dialect()))
        stream = ChatCompletionsStream(Dialect())
        for document in documents:
            stream.read(document)
        return type(stream.end(StreamEnd.CLOSED))
    except (ProtocolError, ErrorAnswer) as error:
        return type(error)
