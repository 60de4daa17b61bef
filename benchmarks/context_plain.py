"""What others do without a model: the newest messages that fit, and a plain full-text search."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager

from benchmarks.context_scores import Select, Selection, count_question, count_turn
from benchmarks.context_talks import Question, Talk, Turn

_WORD = re.compile(r"\w+")

Cut = Callable[[Question, int], Iterable[str]]
"""Says what is kept for a question within so many tokens, the question's own taken off."""


async def slide(talk: Talk, budget: int) -> Sequence[Selection]:
    """Keep the newest messages that fit."""
    return _select(talk, budget, lambda _, room: _fill(reversed(talk.turns), room, stop=True))


def make_search(tokenize: str) -> Select:
    """
    Keep what a full-text search finds, the best first, as far as it fits.

    Args:
        tokenize: SQLite's tokenizer: ``porter unicode61`` for English.
    """

    async def search(talk: Talk, budget: int) -> Sequence[Selection]:
        with _index(talk, tokenize) as find:
            return _select(talk, budget, lambda question, room: _fill(find(question.text), room))

    return search


@contextmanager
def _index(talk: Talk, tokenize: str) -> Iterator[Callable[[str], Iterator[Turn]]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"CREATE VIRTUAL TABLE said USING fts5(text, tokenize='{tokenize}')")
        database.executemany("INSERT INTO said(rowid, text) VALUES (?, ?)", _number(talk))

        def find(text: str) -> Iterator[Turn]:
            words = " OR ".join(f'"{word}"' for word in dict.fromkeys(_find_words(text.lower(), tokenize)))
            rows = database.execute("SELECT rowid FROM said WHERE said MATCH ? ORDER BY rank", (words,))
            return (talk.turns[number] for (number,) in rows)

        yield find


def _find_words(text: str, tokenize: str) -> list[str]:
    """Its words, or the runs of three characters in them where those are what is indexed."""
    words = _WORD.findall(text)
    if tokenize != "trigram":
        return words
    return [word[start : start + 3] for word in words for start in range(max(1, len(word) - 2))]


def _number(talk: Talk) -> Iterator[tuple[int, str]]:
    return ((number, turn.text) for number, turn in enumerate(talk.turns))


def _fill(turns: Iterable[Turn], room: int, *, stop: bool = False) -> Iterator[str]:
    for turn in turns:
        tokens = count_turn(turn)
        if tokens <= room:
            room -= tokens
            yield turn.id
        elif stop:
            return


def _select(talk: Talk, budget: int, cut: Cut) -> list[Selection]:
    selections: list[Selection] = []
    for question in talk.questions:
        began = time.perf_counter()
        kept = frozenset(cut(question, budget - count_question(question)))
        selections.append(Selection(kept, seconds=time.perf_counter() - began))
    return selections
