"""What keeps a running attempt safe in the store: its lease, and the words that were shown so far."""

from __future__ import annotations

import asyncio
import logging

from tertulia.contracts.store import Checkpoint
from tertulia.domain.message import join_text
from tertulia.errors import TertuliaError
from tertulia.services.budgets import Spending
from tertulia.services.core import LEASE, Core
from tertulia.services.questions import Question
from tertulia.services.trial import Trial

RENEW_SECONDS = 5.0
CHECKPOINT_SECONDS = 0.25
CHECKPOINT_CHARACTERS = 2048

_log = logging.getLogger("tertulia")


class Keeper:
    """
    Keeps one send's attempts, and what is set aside for them, alive in the store while they run.

    A lease says to other processes that the attempt is under way. What was shown is written down at most a
    quarter of a second or 2,048 characters later, one piece at a time: while a piece is being written the
    next one grows.
    """

    def __init__(self, core: Core, question: Question, spending: Spending | None = None) -> None:
        self._core = core
        self._spending = spending
        self._question = question
        self._trial: Trial | None = None
        self._renewal: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._unsaved = 0
        self._failed = False
        self._pieces = 0
        self._saved_text = 0
        self._saved_thoughts = 0

    def watch(self, trial: Trial) -> None:
        """Keep this attempt from now on."""
        self._trial = trial
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().call_later(RENEW_SECONDS, self._renew)

    def shown(self, characters: int) -> None:
        """So many characters more were handed to the caller."""
        self._unsaved += characters
        if self._unsaved >= CHECKPOINT_CHARACTERS and not self._failed:
            self._save()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CHECKPOINT_SECONDS, self._save)

    async def finish(self) -> bool:
        """Write no more, and say whether anything of the answer was written."""
        self._stop_timer()
        self._trial = None
        if self._writing is not None:
            await asyncio.wait([self._writing])
        return self._pieces > 0

    def close(self) -> None:
        """Let the lease go."""
        self._trial = None
        self._stop_timer()
        if self._renewal is not None:
            self._renewal.cancel()

    def _save(self) -> None:
        self._stop_timer()
        if self._trial is not None and self._writing is None:
            self._writing = self._core.start(self._write(self._trial))

    async def _write(self, trial: Trial) -> None:
        """Write what was shown since the piece before; what fails is tried again later."""
        core, line = self._core, self._question.line
        text, thoughts, unsaved = len(trial.text), len(trial.thoughts), self._unsaved
        try:
            await core.store.add_checkpoint(core.owner, self._question.tree.id, line.name, self._piece(trial))
        except TertuliaError as error:
            if not self._failed:
                _log.warning("what was shown of an answer is not written down for now: %s", error)
            self._failed = True
        else:
            self._failed = False
            self._saved_text, self._saved_thoughts = text, thoughts
            self._pieces += 1
            self._unsaved -= unsaved
        self._writing = None
        if self._unsaved and self._trial is not None:
            self.shown(0)

    def _piece(self, trial: Trial) -> Checkpoint:
        beginning = self._question.beginning if self._pieces == 0 else None
        return Checkpoint(
            attempt_id=trial.attempt.id,
            message_id=trial.attempt.message_id,
            answer_id=trial.answer_id,
            number=self._pieces,
            text=join_text(beginning.parts if beginning else ()) + "".join(trial.text[self._saved_text :]),
            thoughts="".join(trial.thoughts[self._saved_thoughts :]),
            provider=trial.target.provider,
            model=trial.target.model,
            created_at=self._core.clock.now(),
        )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _renew(self) -> None:
        self._renewal = None
        if self._trial is None:
            return
        core = self._core
        until = core.clock.now() + LEASE
        core.spawn(core.store.update_lease(core.owner, self._trial.attempt.id, until))
        if self._spending is not None and self._spending.is_needed:
            core.spawn(self._spending.renew(self._trial.attempt.id, until))
        self._renewal = asyncio.get_running_loop().call_later(RENEW_SECONDS, self._renew)
