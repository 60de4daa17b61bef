"""One message to several targets: what comes of it."""

from __future__ import annotations

import attrs

from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.event import Event
from tertulia.domain.exchange import Reply, Target
from tertulia.domain.message import Message
from tertulia.domain.usage import CostTotal, Usage
from tertulia.errors import TertuliaError


@attrs.frozen
class ComparedAnswer:
    """
    What one target answered, or why it did not.

    Attributes:
        branch: Where it is: of the first target the branch that was asked on, of each other one a branch of
            its own; None where nothing came of it, so that there is nothing to go to.

        reply: The answer; None when it failed.

        error: Why it failed; None when it answered. What was shown of an answer that broke off is stored on
            its branch, and is the error's ``partial``.

        seconds: From when it was asked until it was over, retries and waits included.

        attempts: Every call made for it.
    """

    target: Target
    branch: str | None
    reply: Reply | None
    error: TertuliaError | None
    seconds: float
    attempts: tuple[Attempt, ...] = ()

    @property
    def cost(self) -> CostTotal:
        """What all its calls cost, failed ones included."""
        return CostTotal.of(attempt.cost for attempt in self.attempts)

    @property
    def usage(self) -> Usage:
        """The tokens of the calls that were answered: several where tools were called."""
        answered = (each for each in self.attempts if each.outcome is AttemptOutcome.SUCCEEDED)
        return sum((each.usage for each in answered), Usage(0, 0, 0, 0, 0))


@attrs.frozen
class Comparison:
    """
    Several answers to one message.

    Attributes:
        message: The message, which is stored once; its status is ``failed`` when nobody answered.

        answers: One for each target, in the order they were named.
    """

    message: Message
    answers: tuple[ComparedAnswer, ...]

    @property
    def cost(self) -> CostTotal:
        """What all answers cost together."""
        return sum((answer.cost for answer in self.answers), CostTotal())


# Made for each delta, so they are not frozen.
@attrs.define
class ComparedEvent:
    """
    Something that happened to one of the answers.

    Attributes:
        index: The target's place among those named, from 0: one may be named twice.

        event: As of a stream of one answer; the last one of each target is its :class:`ComparedAnswer`.
    """

    index: int
    target: Target
    event: Event | ComparedAnswer
