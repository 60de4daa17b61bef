"""
The mind behind all three services: it knows nothing but what the request contains.

Its answer is a pure function of the messages and of the name of the service that speaks, so a test or a
reader can tell from any answer what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LONGEST_COUNT = 2_000
LONGEST_QUOTE = 200


@dataclass(frozen=True)
class Message:
    """
    One message in no service's dialect.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        parts: Its texts, in order.
        attachments: How many images, documents and the like came with it.
    """

    role: str
    parts: tuple[str, ...]
    attachments: int = 0

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join(self.parts)


def think(messages: Sequence[Message], name: str) -> str:
    """
    Answer the newest user text, from ``messages`` alone.

    ``name`` is the service's, as people write it. A message in several parts asks with its last one: a
    service that allows no two user messages in a row is sent both as parts of one.
    """
    question = newest_text(messages)
    for pattern, respond in SKILLS:
        if match := pattern.search(question):
            return respond(match, messages, name)
    return _report(messages, question, name)


def newest_text(messages: Sequence[Message]) -> str:
    """The last text that a user sent, or the empty string."""
    spoken = [part for message in messages if message.role == "user" for part in message.parts]
    return spoken[-1] if spoken else ""


def split_words(text: str) -> list[str]:
    """Cut a text into words, each with the space before it; joined, they are the text again."""
    return re.findall(r"\s*\S+|\s+", text)


def _recall_name(_match: re.Match[str], messages: Sequence[Message], _name: str) -> str:
    told = _told_name(messages)
    return f"Your name is {told}." if told else "You have not told me your name."


def _count(match: re.Match[str], _messages: Sequence[Message], _name: str) -> str:
    digits = match[1].replace(",", "")
    # A number of many digits is not worth the conversion, which Python refuses beyond 4,300 of them.
    last = LONGEST_COUNT if len(digits) > len(str(LONGEST_COUNT)) else min(int(digits), LONGEST_COUNT)
    return (
        ", ".join(str(number) for number in range(1, last + 1)) + "."
        if last
        else "There is nothing to count."
    )


def _quote_instructions(_match: re.Match[str], messages: Sequence[Message], _name: str) -> str:
    instructions = "\n\n".join(message.text for message in messages if message.role == "system")
    return f"My instructions are: “{instructions}”" if instructions else "I was sent no instructions."


def _greet_by_name(match: re.Match[str], _messages: Sequence[Message], _name: str) -> str:
    return f"Hello {match[1]}."


def _greet(_match: re.Match[str], messages: Sequence[Message], name: str) -> str:
    told = _told_name(messages)
    return (
        f"Hello {told}." if told else f"Hello! I am {name}'s simulator and answer only from what I am sent."
    )


def _report(messages: Sequence[Message], question: str, name: str) -> str:
    sent = [message for message in messages if message.role != "system"]
    said = f"I was sent {_amount(len(sent), 'message')}"
    if attachments := sum(message.attachments for message in sent):
        said += f" with {_amount(attachments, 'attachment')}"
    if question:
        said += f"; the newest says: “{_shorten(question).removesuffix('.')}”"
    return f"{said}. I am {name}'s simulator and answer only from what I am sent."


def _told_name(messages: Sequence[Message]) -> str | None:
    for message in reversed(messages):
        if message.role == "user" and (names := INTRODUCTION.findall(message.text)):
            return str(names[-1])
    return None


def _amount(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_QUOTE else f"{line[: LONGEST_QUOTE - 1]}…"


# A name is one word of any kind, and the capitalised words after it: "John", "Ana Maria".
INTRODUCTION = re.compile(
    r"\b(?i:my name is)\s+([^\W\d_](?:[\w'\u2019-]*\w)?(?:\s+[A-Z](?:[\w'\u2019-]*\w)?)*)"
)

Respond = Callable[[re.Match[str], Sequence[Message], str], str]

SKILLS: tuple[tuple[re.Pattern[str], Respond], ...] = (
    (re.compile(r"(?i)\bwhat(?:['\u2019]s| is| was) my name\b|\b(?:know|remember) my name\b"), _recall_name),
    (re.compile(r"(?i)\bcount\s+(?:from\s+1\s+)?(?:up\s+)?to\s+(\d[\d,]*)"), _count),
    (
        re.compile(r"(?i)\bwhat(?:['\u2019]s| is| are| were) your (?:system )?(?:instructions|prompt)\b"),
        _quote_instructions,
    ),
    (INTRODUCTION, _greet_by_name),
    (
        re.compile(r"(?i)^\s*(?:hello|hi|hey|good (?:morning|afternoon|evening))(?:\s+there)?\s*[.,!]*\s*$"),
        _greet,
    ),
)
