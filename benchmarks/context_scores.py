"""How much of what answers a question is left when a conversation is cut to a budget."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

from benchmarks.context_talks import Question, Talk, Turn

_WIDE = re.compile(r"[\u0400-\u1fff]|[\u2e80-\uffff]|[\U00010000-\U0010ffff]")
_PER_MESSAGE = 4


@attrs.frozen
class Selection:
    """
    What is left of a conversation for one question.

    Attributes:
        kept: The messages that are kept whole, by id.

        has_newest: Whether the question itself is.

        tokens: What was sent takes in all, where more than these messages was sent; None for them alone.

        partly: Further messages, of which passages are kept.
    """

    kept: frozenset[str]
    has_newest: bool = True
    seconds: float = 0.0
    tokens: int | None = None
    partly: frozenset[str] = frozenset()


Select: TypeAlias = Callable[[Talk, int], Awaitable[Sequence[Selection]]]
"""Cuts a conversation to a budget, once for each of its questions."""


def count_text(text: str) -> int:
    """Count by characters, by a rule that every contender keeps to, so that they can be compared."""
    wide = len(_WIDE.findall(text))
    return _PER_MESSAGE + round((len(text) - wide) * 0.25 + wide * 0.6)


def count_turn(turn: Turn) -> int:
    """Count a message, with the name of who says it."""
    return count_text(f"{turn.name or ''} {turn.said}")


def count_question(question: Question) -> int:
    """Count a question."""
    return count_text(f" {question.text}")


@attrs.frozen
class Hits:
    """
    One question's evidence.

    Attributes:
        by_role: Whether each message of it is kept, with who said it.

        touched: How much of it is kept whole or in part.
    """

    kind: str
    by_role: Sequence[tuple[str, bool]]
    touched: float

    @property
    def share(self) -> float:
        """How much of it is kept."""
        return statistics.mean(hit for _, hit in self.by_role)


@attrs.frozen
class Score:
    """
    How a contender did.

    Attributes:
        share: The mean share of a question's evidence that was kept whole, in percent.

        whole: Questions with all of it kept, in percent.

        touched: The mean share of it that was kept whole or in part, in percent.

        kinds: The share by kind of question.

        roles: Of the messages that are evidence, how many were kept, by who said them, in percent.

        over: Selections over the budget.

        lost: Selections without the question.

        half_ms: What half of the calls take at most, in milliseconds.

        most_ms: The same of 95 in 100.

        first_ms: What a conversation's first call takes, which is not in the others: the median.
    """

    questions: int
    share: float
    whole: float
    touched: float
    kinds: Mapping[str, float]
    roles: Mapping[str, float]
    over: int
    lost: int
    half_ms: float
    most_ms: float
    first_ms: float


async def score(select: Select, talks: Iterable[Talk], budget: int) -> Score:
    """Let a contender cut conversations to a budget, and judge what is left."""
    hits, warm, first = list[Hits](), list[float](), list[float]()
    over = lost = 0
    for talk in talks:
        selections = await select(talk, budget)
        roles = {turn.id: turn.role for turn in talk.turns}
        for question, selection in zip(talk.questions, selections, strict=True):
            found = [(roles[each], each in selection.kept) for each in question.evidence]
            known = selection.kept | selection.partly
            hits.append(
                Hits(question.kind, found, statistics.mean(each in known for each in question.evidence))
            )
            over += _count_selection(talk, question, selection) > budget
            lost += not selection.has_newest
        first.append(selections[0].seconds)
        warm += [selection.seconds for selection in selections[1:]]
    return _sum_up(hits, warm, first, over, lost)


def _count_selection(talk: Talk, question: Question, selection: Selection) -> int:
    kept = sum(count_turn(turn) for turn in talk.turns if turn.id in selection.kept)
    return max(kept + count_question(question), selection.tokens or 0)


def _sum_up(hits: Sequence[Hits], warm: list[float], first: list[float], over: int, lost: int) -> Score:
    kinds, roles = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for each in hits:
        kinds[each.kind].append(each.share)
        for role, hit in each.by_role:
            roles[role].append(hit)
    warm = sorted(warm or first)
    return Score(
        questions=len(hits),
        share=100 * statistics.mean(each.share for each in hits),
        whole=100 * statistics.mean(each.share == 1 for each in hits),
        touched=100 * statistics.mean(each.touched for each in hits),
        kinds=_in_percent(kinds),
        roles=_in_percent(roles),
        over=over,
        lost=lost,
        half_ms=1000 * warm[len(warm) // 2],
        most_ms=1000 * warm[len(warm) * 95 // 100],
        first_ms=1000 * statistics.median(first),
    )


def _in_percent(shares: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: 100 * statistics.mean(each) for name, each in sorted(shares.items())}
