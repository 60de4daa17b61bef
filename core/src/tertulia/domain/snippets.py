"""Where in a text the words of a query are, and a piece of it that shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

import attrs

from tertulia.domain import terms
from tertulia.domain.library import Snippet
from tertulia.domain.terms import Query

LENGTH = 160
"""Characters of a snippet, unless a word is longer."""

_BEFORE = 40
"""Of them, those before the first hit."""

_MOST_PLACES = 200
"""Where a text holds more of what is sought than this, the first ones decide on the snippet."""


@attrs.frozen
class _Place:
    """A piece of a text that was found, and what it was found by."""

    start: int
    end: int
    found_by: frozenset[str]


def make_snippet(sought: Query, text: str) -> Snippet:
    """
    Cut out of a text where most of what is sought is near together, and mark it.

    Example:
        >>> make_snippet(terms.parse_query("munch"), "Das Café in München").render()
        'Das Café in [München]'
    """
    places = list(islice(_find_places(sought, text), _MOST_PLACES))
    start, end = _choose_window(text, places)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    piece = re.sub(r"\s", " ", text[start:end])
    shift = len(before) - start
    marks = tuple(
        (max(place.start, start) + shift, min(place.end, end) + shift)
        for place in _join(places)
        if place.start < end and place.end > start
    )
    return Snippet(f"{before}{piece}{after}", marks)


def _choose_window(text: str, places: Sequence[_Place]) -> tuple[int, int]:
    """Start and end of the snippet: on word boundaries, where there are any."""
    first = _find_densest(places)
    if len(text) <= LENGTH:
        return 0, len(text)
    start = max(0, min(first - _BEFORE, len(text) - LENGTH))
    if start:
        space = re.compile(r"\s").search(text, start - 1, max(first, start))
        start = space.end() if space else start
    end = min(len(text), start + LENGTH)
    if end < len(text):
        words = re.compile(r"\S*\s").match(text[start:end][::-1])
        shown = first - start
        cut = end - words.end() if words else end
        end = cut if cut - start > max(shown, LENGTH // 2) else end
    return start, end


def _find_densest(places: Sequence[_Place]) -> int:
    """Where the window begins its hits: the first place of those with most different ones after it."""
    best, most = 0, 0
    for index, place in enumerate(places):
        near = (each for each in places[index : index + 20] if each.end <= place.start + LENGTH - _BEFORE)
        count = len(frozenset[str]().union(*(each.found_by for each in near)))
        if count > most or not index:
            best, most = place.start, count
    return best


def _join(places: Sequence[_Place]) -> list[_Place]:
    """The same, those that overlap being one."""
    joined: list[_Place] = []
    for place in places:
        if joined and place.start < joined[-1].end:
            end = max(joined[-1].end, place.end)
            joined[-1] = _Place(joined[-1].start, end, joined[-1].found_by | place.found_by)
        else:
            joined.append(place)
    return joined


def _find_places(sought: Query, text: str) -> Iterator[_Place]:
    for run in terms.find_runs(text):
        yield from _find_in_run(sought, run[0], run.start())


def _find_in_run(sought: Query, run: str, start: int) -> Iterator[_Place]:
    folded = terms.fold(run)
    if run.isascii() or not terms.has_unspaced(folded):
        if found_by := _find_sought(sought, folded):
            yield _Place(start, start + len(run), found_by)
        return
    spans = _align(run, folded)
    for piece in terms.split_scripts(folded):
        if not terms.has_unspaced(piece[0]):
            if found_by := _find_sought(sought, piece[0]):
                yield _Place(start + spans[piece.start()][0], start + spans[piece.end() - 1][1], found_by)
            continue
        for first in range(piece.start(), piece.end()):
            pair = folded[first : min(first + 2, piece.end())]
            if found_by := _find_sought(sought, pair):
                last = first + max(map(len, found_by)) - 1
                yield _Place(start + spans[first][0], start + spans[last][1], found_by)


def _find_sought(sought: Query, folded: str) -> frozenset[str]:
    """What of a query is in a run of characters that is folded."""
    words = terms.split_words(folded)
    return frozenset(
        (
            *(each for each in sought.prefixes if any(word.startswith(each) for word in words)),
            *(each for each in sought.words if each in words),
        )
    )


def _align(run: str, folded: str) -> list[tuple[int, int]]:
    """For each character of what a run is folded to, where in the run it comes from."""
    if run == folded:
        return [(index, index + 1) for index in range(len(run))]
    spans: list[tuple[int, int]] = []
    aligned = ""
    for cluster in terms.split_clusters(run):
        piece = terms.fold(cluster[0])
        aligned += piece
        spans += [cluster.span()] * len(piece)
    return spans if aligned == folded else [(0, len(run))] * len(folded)
