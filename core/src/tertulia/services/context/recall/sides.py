"""Both sides of a conversation: what the user said in few words, and what was answered in many."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from tertulia.domain.message import Message, Role
from tertulia.domain.terms import fold
from tertulia.services.context.recall.languages import ABOUT_ASSISTANT, EXPLAINED, EXPLANATORY
from tertulia.services.context.recall.profile import Profile
from tertulia.services.context.recall.query import Query

_ANSWERED = 2 / 3  # for what was answered: answers are long, and what is short would crowd them out
_TO_ANSWER = 1 / 2  # for what is to be answered anew: what the user has said tells as much of it


def find_answers_share(query: Query) -> float:
    """
    Say how much of what is taken should be answers, because of what is asked.

    Facts are told by either side, and mostly in few words: 0. What the assistant said, and how or why
    something was done, is found in its long answers.
    """
    text = fold(query.beginning)
    if ABOUT_ASSISTANT.search(text) or EXPLAINED.search(text):
        return _ANSWERED
    return _TO_ANSWER if EXPLANATORY.search(text) else 0.0


def put_answers_forward(
    best: Iterable[int], messages: Sequence[Message], profiles: Sequence[Profile], *, share: float
) -> Iterator[int]:
    """
    Order what was found so that of as much as is taken, a share are answers, as far as there are any.

    The very best stays first, and those of each side stay in their order.

    Args:
        best: The places of messages, the best first.
        messages: All of them.
        profiles: Their profiles.
        share: Of the tokens.
    """
    ranked = iter(best)
    following, answers, said = deque(islice(ranked, 1)), deque[int](), deque[int]()
    for place in ranked:
        (answers if _is_answer(messages[place]) else said).append(place)
    taken = taken_of_answers = 0
    while following:
        place = following.popleft()
        taken += profiles[place].tokens
        taken_of_answers += profiles[place].tokens * _is_answer(messages[place])
        yield place
        following = answers if not said or (answers and taken_of_answers <= share * taken) else said


def _is_answer(message: Message) -> bool:
    return message.role is not Role.USER
