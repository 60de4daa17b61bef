"""
The mind behind all services: it knows nothing but what the request contains.

Its answer is a pure function of the messages and of the name of the service that speaks, so a test or a
reader can tell from any answer what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tertulia_simulator.conversation import Message, Offer, Thought, newest_text
from tertulia_simulator.schemas import fill
from tertulia_simulator.tools import use_tools, write

LONGEST_COUNT = 2_000
LONGEST_QUOTE = 200


def respond(messages: Sequence[Message], name: str, offer: Offer) -> Thought:
    """
    Call the tools that are asked for, or answer, in the shape that is asked for.

    A document of a shape quotes what tools have answered, or else the question.
    """
    thought = use_tools(messages, offer)
    if offer.schema is not None and not (thought and thought.calls):
        quoted = thought.text if thought else newest_text(messages)
        return Thought(write(fill(offer.schema, quoted)), searches=thought.searches if thought else ())
    return thought or Thought(think(messages, name))


def think(messages: Sequence[Message], name: str) -> str:
    """
    Answer the newest user text, from ``messages`` alone.

    ``name`` is the service's, as people write it. A message in several parts asks with its last one: a
    service that allows no two user messages in a row is sent both as parts of one.
    """
    question = newest_text(messages)
    for pattern, respond in SKILLS:
        if (match := pattern.search(question)) and (answer := respond(match, messages, name)):
            return answer
    return _report(messages, question, name)


def split_words(text: str) -> list[str]:
    """Cut a text into words, each with the space before it; joined, they are the text again."""
    return re.findall(r"\s*\S+|\s+", text)


def _go_on(_match: re.Match[str], messages: Sequence[Message], name: str) -> str:
    spoken = [message for message in messages if message.is_spoken]
    asked = max(place for place, message in enumerate(spoken) if message.role == "user" and message.parts)
    said = spoken[asked - 1] if asked else None
    if said is None or said.role != "assistant":
        return "No answer of mine broke off."
    whole = think(spoken[: asked - 1], name)
    if not whole.startswith(said.text):
        return "I do not know that answer, so I cannot go on with it."
    return whole.removeprefix(said.text) or "That was all."


def _describe_image(_match: re.Match[str], messages: Sequence[Message], _name: str) -> str:
    images = [image for message in messages for image in message.images]
    return f"I see {images[-1]}." if images else "I was sent no image."


def _describe_it(match: re.Match[str], messages: Sequence[Message], name: str) -> str | None:
    return _describe_image(match, messages, name) if any(message.images for message in messages) else None


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
    sent = [message for message in messages if message.role != "system" and message.is_spoken]
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

Respond = Callable[[re.Match[str], Sequence[Message], str], str | None]

# The first that matches and has something to say answers.
SKILLS: tuple[tuple[re.Pattern[str], Respond], ...] = (
    (re.compile(r"(?i)\bgo on\b.*\bwhere (?:it|you|the answer) (?:stopped|broke off|left off)\b"), _go_on),
    (re.compile(r"(?i)\bwhat(?:['\u2019]s| is| was) my name\b|\b(?:know|remember) my name\b"), _recall_name),
    (re.compile(r"(?i)\bcount\s+(?:from\s+1\s+)?(?:up\s+)?to\s+(\d[\d,]*)"), _count),
    (
        re.compile(r"(?i)\bwhat(?:['\u2019]s| is| are| were) your (?:system )?(?:instructions|prompt)\b"),
        _quote_instructions,
    ),
    (
        re.compile(
            r"(?i)\b(?:what|describe|see)\b[^.!?]*\b(?:image|picture|photo|screenshot)s?\b"
            r"|\bwhat do you see\b"
        ),
        _describe_image,
    ),
    (
        re.compile(r"(?i)^\s*(?:what(?:['\u2019]s| is)|describe) (?:this|that|it)\s*[.!?]*\s*$"),
        _describe_it,
    ),
    (INTRODUCTION, _greet_by_name),
    (
        re.compile(r"(?i)^\s*(?:hello|hi|hey|good (?:morning|afternoon|evening))(?:\s+there)?\s*[.,!]*\s*$"),
        _greet,
    ),
)
