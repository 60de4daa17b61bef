"""
Long conversations with questions, and the messages that answer each: what contexts are judged by.

Those of the yardstick are read from the folder that ``TERTULIA_TEST_DATA`` names. Those of the planted set
are our own, and stand beside this module as text: see :func:`read_planted`.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs

Json: TypeAlias = Mapping[str, Any]

ENVIRONMENT_VARIABLE = "TERTULIA_TEST_DATA"
PLANTED = Path(__file__).with_name("planted")
YARDSTICK = ("locomo", "beam-100k")

_MINUTES_BETWEEN = 2
_SITTING = re.compile(r"== (\S+)$")
_SAID = re.compile(r"(?:\[(?P<label>[\w-]+)\] )?(?P<role>user|assistant): (?P<text>.*)", re.DOTALL)
_ASKED = re.compile(r"\? (?P<kind>[\w-]+) \[(?P<labels>[\w ,-]+)\] (?P<text>.*)", re.DOTALL)


@attrs.frozen
class Turn:
    """
    One message of a conversation.

    Attributes:
        id: Its name in the conversation, by which questions point to it.

        said: What was said.

        name: Who said it, where the chat says so apart.

        at: When, in UTC; None where nobody knows.
    """

    id: str
    role: str
    said: str
    name: str | None = None
    at: datetime | None = None

    @property
    def text(self) -> str:
        """What was said, behind the name of who said it."""
        return f"{self.name}: {self.said}" if self.name else self.said


@attrs.frozen
class Question:
    """
    What is asked at the end of a conversation.

    Attributes:
        evidence: The messages that answer it, by id.

        kind: ``single-hop``, ``temporal`` and the like.
    """

    text: str
    evidence: tuple[str, ...]
    kind: str


@attrs.frozen(eq=False)
class Talk:
    """A conversation with its questions."""

    id: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]

    def sample(self, every: int, first: int = 0) -> Talk:
        """The same with every so many of its questions only."""
        return attrs.evolve(self, questions=self.questions[first % every :: every])


def read_sets() -> dict[str, list[Talk]]:
    """Read the planted set, and of the yardstick what there is, each by its name."""
    sets = {"planted": read_planted(PLANTED)}
    folder = os.environ.get(ENVIRONMENT_VARIABLE)
    for name in YARDSTICK if folder else ():
        path = Path(folder or "") / "yardstick" / f"{name}.jsonl.gz"
        if path.is_file():
            sets[name] = read_yardstick(path)
    return sets


def sample_talks(talks: Sequence[Talk], every: int) -> list[Talk]:
    """Leave out all but every so many questions, not the same ones of each conversation."""
    sampled = [talk.sample(every, number) for number, talk in enumerate(talks)]
    return [talk for talk in sampled if talk.questions]


def read_yardstick(path: Path) -> list[Talk]:
    """Read the conversations of a file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [_read_talk(json.loads(line)) for line in lines]


def _read_talk(talk: Json) -> Talk:
    questions = [Question(each["text"], tuple(each["evidence"]), each["kind"]) for each in talk["questions"]]
    return Talk(talk["id"], tuple(map(_read_turn, talk["messages"])), tuple(questions))


def _read_turn(message: Json) -> Turn:
    at = message["at"]
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC) if at else None
    return Turn(message["id"], message["role"], message["content"], message["name"], moment)


def read_planted(folder: Path) -> list[Talk]:
    """
    Read the conversations of a folder of texts, which are written like this, with an empty line between all::

        == 2026-01-05T09:00

        [invoice] user: The number on the invoice is 4711.

        assistant: Thank you, I see it.

        ? single [invoice] Which number is on the invoice?
    """
    return [_read_text(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.txt"))]


def _read_text(name: str, text: str) -> Talk:
    turns, questions = list[Turn](), list[Question]()
    at: datetime | None = None
    for paragraph in _join(text.strip().split("\n\n")):
        if sitting := _SITTING.match(paragraph):
            at = datetime.fromisoformat(sitting[1]).replace(tzinfo=UTC)
        elif asked := _ASKED.match(paragraph):
            labels = tuple(asked["labels"].replace(",", " ").split())
            questions.append(Question(asked["text"], labels, asked["kind"]))
        else:
            said = _SAID.match(paragraph)
            assert said is not None, f"{name}: nobody says {paragraph!r}"
            label = said["label"] or str(len(turns))
            turns.append(Turn(label, said["role"], said["text"], None, at))
            at = None if at is None else at + timedelta(minutes=_MINUTES_BETWEEN)
    return Talk(name, tuple(turns), tuple(questions))


def _join(paragraphs: Sequence[str]) -> Iterator[str]:
    """Give a message its further paragraphs, which are indented."""
    whole = ""
    for paragraph in paragraphs:
        if paragraph.startswith("    "):
            whole += "\n\n" + re.sub("^    ", "", paragraph, flags=re.MULTILINE)
        else:
            yield from [whole] * bool(whole)
            whole = paragraph
    yield whole
