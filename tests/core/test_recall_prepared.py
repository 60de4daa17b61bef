"""What recall keeps from one question to the next, and what of it is shared, looked at and cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tertulia import Message, Role, Text
from tertulia.services.context import passages
from tertulia.services.context.recall import Recall, make_query, stems
from tertulia.services.context.recall.likeness import Vocabulary
from tertulia.services.context.recall.memory import Memory
from tertulia.services.context.recall.sittings import find_factors, find_runs, lift, share

_BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
_SAID = (
    "Rex is my dog, and he is seven.",
    "What a fine age for a dog!",
    "The boiler was mended by Anna on Tuesday.",
    "Good that it is warm again.",
    "My sister lives in Porto.",
    "Do you visit her often?",
)


def _make(texts: tuple[str, ...] = _SAID) -> list[Message]:
    return [
        Message(
            (Role.USER, Role.ASSISTANT)[depth % 2],
            (Text(text),),
            id=UUID(int=depth + 1),
            depth=depth,
            created_at=_BEGAN + timedelta(minutes=depth),
        )
        for depth, text in enumerate(texts)
    ]


@pytest.mark.parametrize("question", ["Who mended the boiler?", "Where does my sister live?"])
def test_what_was_asked_before_changes_nothing(question: str) -> None:
    """The same candidates are ranked for a second question as if it were the first."""
    recall = Recall()
    recall.rank(make_query(["How old is Rex?"]), _make())
    query = make_query([question])
    assert Recall().rank(query, _make()) == recall.rank(query, _make())


def test_a_message_that_is_new_is_found() -> None:
    """What was prepared holds for the same candidates only."""
    recall, query = Recall(), make_query(["Which plumber did Anna recommend?"])
    recall.rank(query, _make())
    more = _make((*_SAID, "The plumber is called Silva."))
    assert more[-1].id == recall.rank(query, more)[0].message.id


def test_candidates_that_are_fewer_are_all_there_is() -> None:
    """A message that is no candidate any more is not ranked."""
    recall, query = Recall(), make_query(["Who mended the boiler?"])
    recall.rank(query, _make())
    found = recall.rank(query, _make()[:2])
    assert {UUID(int=3), UUID(int=4)}.isdisjoint(each.message.id for each in found)


def test_memory_says_when_it_has_forgotten() -> None:
    """Who keeps what was learned with it knows that it is learned anew."""
    memory = Memory(most_terms=5)
    memory.describe(_make()[:1])
    before = memory.times_forgotten
    memory.describe(_make()[1:2])
    assert (0, 1) == (before, memory.times_forgotten)


def test_sittings_are_runs_of_places() -> None:
    """Each sitting is a slice, and one message may be one."""
    assert [slice(0, 2), slice(2, 3), slice(3, 5)] == find_runs([0, 0, 1, 2, 2])


def test_nothing_is_shared_with_another_sitting_or_with_what_is_far() -> None:
    """A step takes a share, two steps a share of the share, and five or another sitting take nothing."""
    factors = find_factors([0.5] * 5, [0, 1, 3, 8, 9], [0, 0, 0, 0, 1])
    assert [0.0, 0.5, 0.25, 0.0, 0.0] == factors


def test_what_is_shared_is_shared_on() -> None:
    """A message gets of what those before and after it have, and of what they get."""
    shared = share([8.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.25, 0.25])
    assert [8.0, 4.0, 2.0] == list(shared)
    assert [0.5, 2.0, 8.0] == list(share([0.0, 0.0, 8.0], [0.0, 0.5, 0.5], [0.0, 0.25, 0.25]))


def test_a_sitting_is_lifted_by_its_best() -> None:
    """Of several sittings each message gets a share of the three best of its own; one alone stays."""
    runs = [slice(0, 2), slice(2, 3)]
    assert [9.0, 3.0, 0.0] == list(lift([6.0, 0.0, 0.0], runs, 1.5))
    assert [6.0, 0.0, 0.0] == list(lift([6.0, 0.0, 0.0], [slice(0, 3)], 1.5))


def test_a_word_at_the_very_edge_is_like_another() -> None:
    """Three runs of seven and of three are six tenths, which is enough."""
    vocabulary = Vocabulary()
    vocabulary.add(["abcd", "abxy"])
    assert [("abcd", 0.6)] == list(vocabulary.find_like("abcdefgh"))


def test_stems_are_right_however_many_were_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting words changes no answer, and of a very long one the beginning counts."""
    monkeypatch.setattr(stems, "_MOST_KNOWN", 2)
    words = ["running", "agencies", "went", "running", "0" * 300]
    assert ["run", "agenc", "go", "run", "0" * 200] == [stems.find_stem(word) for word in words]


def test_a_text_of_many_short_sentences_is_cut_in_few_steps() -> None:
    """Pieces that take more together than each alone are left out at once, and not one by one."""
    asked: list[str] = []

    def count(text: str) -> int:
        asked.append(text)
        return len(text) // 4

    passage = passages.find_passage("a b. " * 5_000, "What is b?", 500, count)
    assert 400 < len(passage) // 4 <= 500
    assert 50 > sum(len(text) > 100 for text in asked)
