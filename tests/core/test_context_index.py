"""The index of words for stores that have none."""

from __future__ import annotations

from uuid import UUID

import attrs
import pytest

from tertulia import Message
from tertulia.services.context.index import WordIndex


def say(*texts: str) -> list[Message]:
    return [
        attrs.evolve(Message.of("user", text), id=UUID(int=number + 1), depth=number)
        for number, text in enumerate(texts)
    ]


def find(index: WordIndex, said: list[Message], *words: tuple[str, ...], limit: int = 5) -> list[int | None]:
    return [message.depth for message in index.find(said, words, limit=limit).messages]


def test_what_holds_the_rarest_words_comes_with_what_is_around_it():
    """A message with a rare word goes before those with common ones; two before and after it come along."""
    said = say(*["we talk about tea"] * 20, "my dog is Rex", *["and about tea again"] * 20)

    assert [18, 19, 20, 21, 22] == find(WordIndex(), said, ("dog", "dogs"), ("about",), ("tea",))


def test_each_form_of_a_word_will_do_and_is_counted():
    """Counts are of messages that hold any of the forms."""
    said = say("the dogs bark", "a dog", "a cat", "dog and dogs")

    found = WordIndex().find(said, [("dog", "dogs"), ("bird",)], limit=10)

    assert ((3, 0), 4) == (found.counts, found.message_count)


@pytest.mark.parametrize("length", [1, 3, 6])
def test_only_what_is_asked_about_is_found(length):
    """An index of a whole conversation is asked about its beginning, too."""
    index, said = WordIndex(), say("dog", "b", "dog", "d", "e", "dog")
    index.find(said, [("dog",)], limit=10)

    found = index.find(said[:length], [("dog",)], limit=10)

    assert all((message.depth or 0) < length for message in found.messages)
    assert (sum(message.text == "dog" for message in said[:length]),) == found.counts


def test_what_is_added_is_found_and_another_path_is_indexed_anew():
    """The index goes along with the conversation, also to another branch."""
    index, said = WordIndex(), say("a dog", "b")
    index.find(said, [("dog",)], limit=10)
    longer = say("a dog", "b", "c", "d", "e", "f", "another dog")
    assert (2,) == index.find(longer, [("dog",)], limit=10).counts

    other = [*longer[:3], attrs.evolve(Message.of("user", "a cat"), id=UUID(int=99), depth=3)]

    assert (1, 1) == index.find(other, [("dog",), ("cat",)], limit=10).counts
    assert (1,) == index.find(other[:3], [("dog",)], limit=10).counts
