"""What of a long text is worth quoting where there is no room for all of it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import log
from typing import TypeAlias

import attrs

from tertulia.services.context.recall.stems import find_stem, split_terms

CountText: TypeAlias = Callable[[str], int]
"""Estimates the tokens of a text."""

LEFT_OUT = "…"
"""Stands where something of the text is left out."""

_LEAST = 4  # tokens that a piece takes
_ROUNDS = 3
_MOST_MISSES = 20
_MOST_CHARACTERS = 100_000  # of a text that are looked at
_LONGEST_PIECE = 300  # characters, where a line has no sentences
_LETTERS = 5  # of a word, by which it is compared: endings follow them, in most languages
_SHARED = (1.0, 0.5, 0.25)  # of a piece's score, with itself and with those near it
_LEAST_SHARE = 0.2  # of the best piece's score, for what is quoted beside it

_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_ENDS = ".!?…\u061f\u06d4\u0964"
_SENTENCE = re.compile(  # its end, with what closes a quotation; Chinese and Japanese have no space after it
    # A row of dots is looked at once, and not again from each of them.
    f".+?(?:(?<![{_ENDS}])[{_ENDS}]++[\"')\\]»”\u2019]*+(?:\\s+|$)|[\u3002\uff01\uff1f]+[」』”]*|$)"
)
_MARK = re.compile(r"[^\w\s\x00-\x7f]")


@attrs.frozen
class _Piece:
    """
    A sentence, or a line of code.

    Attributes:
        line: The number of the line it is in.

        fences: The lines that open and close the block of code it is in; None outside of any.
    """

    text: str
    line: int
    fences: tuple[str, str] | None = None


def find_passage(text: str, question: str, room: int, count: CountText) -> str:
    """
    Take out of a text what has most of a question's words, in the order in which it is there.

    What is left out is marked by ``…``, and what is taken of a block of code stands between its fences.

    Args:
        room: Tokens that the passage may take.
        count: Estimates the tokens of a text as it will be quoted.

    Returns:
        The passage; the text's beginning where nothing has the question's words; empty where nothing fits.
    """
    pieces = list(_split(text[:_MOST_CHARACTERS]))
    order, chosen, passage = _order(pieces, question), list[int](), ""
    for _ in range(_ROUNDS):  # pieces on one line take less together than each on its own
        left = room - count(passage) if passage else room
        taken = set(chosen)
        rest = [index for index in order if index not in taken]
        chosen += _choose(pieces, rest, left, count)
        passage = _render(pieces, sorted(chosen))
    if count(passage) <= room:
        return passage
    numbers = range(len(chosen) + 1)
    over = bisect_right(numbers, room, key=lambda number: count(_render(pieces, sorted(chosen[:number]))))
    return _render(pieces, sorted(chosen[: over - 1]))


def _choose(pieces: Sequence[_Piece], order: Iterable[int], left: int, count: CountText) -> Iterator[int]:
    """The first of some pieces, as many as there is room for."""
    misses = 0
    for index in order:
        if left < _LEAST or misses == _MOST_MISSES:
            return
        tokens = count(pieces[index].text)
        if tokens <= left:
            left -= tokens
            yield index
        else:
            misses += 1


def _split(text: str) -> Iterator[_Piece]:
    """Every sentence, and every line of code; empty lines are none."""
    lines = text.splitlines()
    fences: tuple[str, str] | None = None
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fences is not None and line == fences[1]:
            fences = None
        elif fences is None and fence is not None:
            fences = line, _find_end(lines, number, fence[1])
        elif fences is not None:
            yield _Piece(line, number, fences)
        elif line.strip():
            yield from (_Piece(piece, number) for piece in _split_line(line))


def _find_end(lines: Sequence[str], start: int, fence: str) -> str:
    """The line that closes a block of code; a line of the fence alone where none does."""
    closing = (line for line in lines[start + 1 :] if _closes(line.strip(), fence))
    return next(closing, fence)


def _closes(line: str, fence: str) -> bool:
    return len(line) >= len(fence) and not line.strip(fence[0])


def _split_line(line: str) -> Iterator[str]:
    for sentence in _SENTENCE.findall(line):
        start = 0
        while len(sentence) - start > _LONGEST_PIECE:
            end = _find_cut(sentence, start)
            yield sentence[start:end]
            start = end
        yield sentence[start:]


def _find_cut(sentence: str, start: int) -> int:
    """Where a long sentence may be cut: after a space, else between two characters with all their marks."""
    end = start + _LONGEST_PIECE
    space = sentence.rfind(" ", start, end)
    if space > start:
        return space + 1
    while end > start + 1 and _MARK.match(sentence[end]):
        end -= 1
    return end


def _order(pieces: Sequence[_Piece], question: str) -> list[int]:
    """The pieces worth quoting, the best first; all in their order where none has a word of the question."""
    scores = _share(_score(pieces, question))
    least = max(scores, default=0.0) * _LEAST_SHARE
    if not least:
        return list(range(len(pieces)))
    worth = [index for index, score in enumerate(scores) if score >= least]
    return sorted(worth, key=lambda index: (-scores[index], index))


def _score(pieces: Sequence[_Piece], question: str) -> list[float]:
    """For each piece, the words it has of the question: the rarer in the text, the more they count."""
    sought = _find_words(question)
    found = [sought & _find_words(piece.text) for piece in pieces] if sought else [sought] * len(pieces)
    counts = Counter(word for words in found for word in words)
    return [sum(log((len(pieces) + 1) / counts[word]) for word in sorted(words)) for words in found]


def _find_words(text: str) -> frozenset[str]:
    return frozenset(find_stem(term)[:_LETTERS] for term in split_terms(text))


def _share(scores: Sequence[float]) -> list[float]:
    """Let each piece have some of what those beside it have: an answer stands near the question's words."""
    shared = [0.0] * len(scores)
    for index, score in enumerate(scores):
        if score:  # most of a long text has none
            for place in range(max(0, index + 1 - len(_SHARED)), min(len(scores), index + len(_SHARED))):
                shared[place] += _SHARED[abs(place - index)] * score
    return shared


def _render(pieces: Sequence[_Piece], chosen: Sequence[int]) -> str:
    """Put pieces together again; what was a line's end stays one."""
    lines: list[str] = []
    fences: tuple[str, str] | None = None
    last, before = -1, -1
    for index in chosen:
        piece, is_gap = pieces[index], index != last + 1
        if piece.line == before:
            lines[-1] += f"{LEFT_OUT} {piece.text}" if is_gap else piece.text
        else:
            if fences is not piece.fences and fences is not None:
                lines.append(fences[1])
            lines += [LEFT_OUT] if is_gap else []
            if fences is not piece.fences and piece.fences is not None:
                lines.append(piece.fences[0])
            fences = piece.fences
            lines.append(piece.text)
        last, before = index, piece.line
    lines += [] if fences is None else [fences[1]]
    lines += [LEFT_OUT] if chosen and last < len(pieces) - 1 else []
    return "\n".join(lines)
