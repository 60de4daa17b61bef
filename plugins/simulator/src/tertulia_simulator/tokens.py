"""
Token counts that a reader can check in the head.

A text is one token for every four characters begun; a message is its text and four tokens more; an
attachment is 258. A model that is told how hard to think thinks as many tokens as ``EFFORTS`` says, and
otherwise none. No service counts like this, but all of them count something, and the same every time.
"""

from __future__ import annotations

from collections.abc import Iterable

from tertulia_simulator.conversation import Message

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
TOKENS_PER_ATTACHMENT = 258
EFFORTS = {"minimal": 8, "low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 256}


def count_characters(length: int) -> int:
    """The tokens of a text of that many characters."""
    return -(-length // CHARACTERS_PER_TOKEN)


def count_text(text: str) -> int:
    """The tokens of a text on its own."""
    return count_characters(len(text))


def count_messages(messages: Iterable[Message]) -> int:
    """The tokens of messages, with what they call and are answered; those of their attachments left out."""
    return sum(
        count_text(message.text)
        + sum(count_text(call.name + call.arguments) for call in message.calls)
        + sum(count_text(result.output) for result in message.results)
        + TOKENS_PER_MESSAGE
        for message in messages
    )


def count_attachments(messages: Iterable[Message]) -> int:
    """The tokens of the attachments of messages."""
    return sum(message.attachments for message in messages) * TOKENS_PER_ATTACHMENT


def count_reasoning(effort: object) -> int:
    """The tokens that are thought before the answer; a number is a budget, -1 one that the model chooses."""
    if isinstance(effort, int):
        return EFFORTS["medium"] if effort < 0 else min(effort, EFFORTS["max"])
    return EFFORTS.get(effort.lower(), 0) if isinstance(effort, str) else 0


def cut(text: str, limit: int | None) -> str:
    """The beginning of a text that has at most ``limit`` tokens; None is no limit."""
    return text if limit is None else text[: max(limit, 0) * CHARACTERS_PER_TOKEN]
