"""Recorded answers with something else in them."""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

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


def read_answers(ending: str) -> list[list[dict[str, Any]]]:
    """What was recorded of some path: the events of a stream, or a whole answer alone."""
    folder = os.environ.get("TERTULIA_TEST_DATA")
    path = Path(folder or "/nowhere") / "recordings.jsonl.gz"
    if not path.exists():
        pytest.skip("TERTULIA_TEST_DATA names no folder with recordings")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        exchanges = [json.loads(line) for line in lines]
    return [
        read_documents(exchange["body"])
        for exchange in exchanges
        if exchange["status"] == 200 and exchange["path"].endswith(ending)
    ]


def read_documents(body: str) -> list[dict[str, Any]]:
    if body.startswith("{"):
        return [json.loads(body)]
    lines = [line.removeprefix("data:").strip() for line in body.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


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
