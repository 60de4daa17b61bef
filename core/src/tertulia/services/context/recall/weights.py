"""How much each part of the ranking counts."""

from __future__ import annotations

import attrs


@attrs.frozen
class Weights:
    """
    How much each part of the ranking counts; 0 leaves it out.

    Attributes:
        neighbour: What a message shares with the one before and the one after, and those with theirs.

        answer: What a question shares with what follows it.

        density: The exponent of a message's tokens by which its score is divided.

        sitting: What the three best messages of a sitting give, on average, to each message of it.

        speaker: What a message gains that is by whom the question names, as a share of its score.

        first_person: What it gains beside that when its writer speaks of themselves.

        feedback: The weight of words of the first hits, the heaviest of the question's being 1.

        likeness: The weight of words that are like those of the question.

        date: What a message gains that was said when the question asks for, as a share of its score.
    """

    neighbour: float = 0.4
    answer: float = 0.8
    density: float = 0.6
    sitting: float = 0.1
    speaker: float = 2.0
    first_person: float = 0.2
    feedback: float = 0.2
    likeness: float = 0.5
    date: float = 2.0


USUAL = Weights()
"""Found on long chats of two kinds, each of which does nearly as well with its own best."""
