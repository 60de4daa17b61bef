"""
Recorded chat answers with something else in them: whatever it is, an error is one of ours.

The recordings are not part of the project: ``TERTULIA_TEST_DATA`` names their folder.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tertulia import ProtocolError, ProviderReply
from tertulia.wire import ErrorAnswer, StreamEnd
from tertulia.wire.chat_completions import ChatCompletionsStream, Dialect, parse_response

pytestmark = pytest.mark.no_cover  # much of the same: measuring it would take longer than doing it

MUTATIONS = 400
FOREIGN = (
    None,
    True,
    -1,
    0.5,
    10**40,
    "",
    "text",
    "\ud83d",
    [],
    [None],
    ["text"],
    {},
    {"text": None},
    [[{}]],
)


@pytest.fixture(scope="module")
def answers() -> list[list[dict[str, Any]]]:
    """What was recorded: the chunks of a stream, or a whole answer alone."""
    folder = os.environ.get("TERTULIA_TEST_DATA")
    path = Path(folder or "/nowhere") / "recordings.jsonl.gz"
    if not path.exists():
        pytest.skip("TERTULIA_TEST_DATA names no folder with recordings")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        exchanges = [json.loads(line) for line in lines]
    return [
        read_documents(exchange["body"])
        for exchange in exchanges
        if exchange["status"] == 200 and exchange["path"].endswith("/chat/completions")
    ]


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


def mutate(documents: list[dict[str, Any]], dice: random.Random) -> list[dict[str, Any]]:
    """Replace or remove one to three values, at any depth."""
    mutated = copy.deepcopy(documents)
    for _ in range(dice.randint(1, 3)):
        owner: Any = dice.choice(mutated)
        while True:
            key = dice.choice(list(owner) if isinstance(owner, dict) else range(len(owner)))
            value = owner[key]
            if not (value and isinstance(value, dict | list)) or dice.random() < 0.3:
                break
            owner = value
        if dice.random() < 0.2:
            del owner[key]
        else:
            owner[key] = dice.choice(FOREIGN)
    return mutated


def read_documents(body: str) -> list[dict[str, Any]]:
    if body.startswith("{"):
        return [json.loads(body)]
    lines = [line.removeprefix("data:").strip() for line in body.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]
