"""
Conversations of many kinds, made of templates with fixed seeds: so that nothing is tuned to a few files.

Each is a row of short matters of the same form, which differ in their names, numbers and things only, with
talk about nothing in between. A question is about one of them, so what is said of the others is found as well
by whoever looks for words alone.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import attrs

from benchmarks.context_talks import Question, Talk, Turn

_FILE = Path(__file__).with_name("kinds.toml")
_BEGUN = datetime(2026, 1, 1, 9, tzinfo=UTC)
_MATTERS = 40
_ASKED_EVERY = 2
_SITTING = 8


@attrs.frozen
class Kind:
    """
    What conversations of a kind are made of. In braces stand the names of slots.

    Attributes:
        said: What the user says of a matter.

        answered: What the assistant answers.

        asks: Questions, each with who said what answers it: ``user``, ``assistant`` or ``both``.

        slots: What can stand in each slot. What stands in the first one differs from matter to matter.

        chatter: What is said in between, and what is answered.
    """

    said: str
    answered: str
    asks: Sequence[tuple[str, str]]
    slots: Mapping[str, Sequence[str]]
    chatter: Sequence[tuple[str, str]]


def make_talks(*, matters: int = _MATTERS, seeds: Sequence[int] = (1, 2)) -> dict[str, list[Talk]]:
    """Make conversations of each kind, by its name."""
    return {name: [make_talk(name, matters, seed) for seed in seeds] for name in KINDS}


def make_talk(name: str, matters: int, seed: int) -> Talk:
    """Make one conversation of a kind."""
    chance = random.Random(f"{name} {seed}")  # noqa: S311  # the same for everybody
    turns, questions = list[Turn](), list[Question]()
    for number, (said, answered, asks) in enumerate(_make_matters(KINDS[name], matters, chance)):
        at = _BEGUN + timedelta(days=number // _SITTING, minutes=5 * (number % _SITTING))
        user, assistant = f"{number}u", f"{number}a"
        turns += [Turn(user, "user", said, None, at), Turn(assistant, "assistant", answered, None, at)]
        if asks is not None and number // 2 % _ASKED_EVERY == 0:
            text, where = asks
            evidence = {"user": (user,), "assistant": (assistant,), "both": (user, assistant)}[where]
            questions.append(Question(text, evidence, where))
    return Talk(f"{name}-{seed}", tuple(turns), tuple(questions))


def _make_matters(
    kind: Kind, count: int, chance: random.Random
) -> Iterator[tuple[str, str, tuple[str, str] | None]]:
    first, *others = kind.slots  # a mapping keeps the order in which it is written
    subjects = chance.sample(_multiply(kind.slots[first], count), count)
    for subject in subjects:
        words = {name: chance.choice(kind.slots[name]) for name in others} | {first: subject}
        text, where = chance.choice(kind.asks)
        said, answered = kind.said.format(**words), kind.answered.format(**words)
        yield said, answered, (text.format(**words), where)
        yield *chance.choice(kind.chatter), None


def _multiply(words: Sequence[str], count: int) -> list[str]:
    """Enough different words: numbered where there are too few, as ids and file names are."""
    if "#" not in words[0]:
        return list(words)
    return [words[number % len(words)].replace("#", str(1000 + 37 * number)) for number in range(2 * count)]


def _read_kinds() -> Mapping[str, Kind]:
    found = tomllib.loads(_FILE.read_text("utf-8"))
    words = {"people": found["people"].split()}
    return MappingProxyType(
        {
            name: Kind(
                said=kind["said"],
                answered=kind["answered"],
                asks=[(text, where) for text, where in kind["asks"]],
                slots={slot: _read_words(each, words) for slot, each in kind["slots"].items()},
                chatter=[(said, answered) for said, answered in kind.get("chatter", found["small_talk"])],
            )
            for name, kind in found["kinds"].items()
        }
    )


def _read_words(written: str | list[str], known: Mapping[str, list[str]]) -> list[str]:
    """A list as it is, a text by its words, or by its name what many kinds have in common."""
    if isinstance(written, list):
        return written
    return known.get(written) or written.split()


KINDS = _read_kinds()
"""Every kind, by its name."""
