"""What a store should say, as plainly as it can be kept: a branch is the list of what was said on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import attrs


@attrs.define
class Said:
    """
    A message.

    Attributes:
        status: ``"coming"`` for an answer that is not settled, ``"asked"`` for its question.
    """

    id: UUID
    text: str
    role: str
    parent: UUID | None
    status: str = "complete"
    provider: str | None = None
    cost: int | None = None
    pinned: bool = False


@attrs.define
class Asked:
    """
    An attempt.

    Attributes:
        outcome: None while it is under way.

        is_dead: Whether its lease has run out.

        is_taken_over: Whether somebody went on without it.

        answer: What was written down of it so far.
    """

    id: UUID
    question: UUID
    provider: str
    branch: str | None
    outcome: str | None = None
    cost: int | None = None
    is_dead: bool = False
    is_taken_over: bool = False
    answer: UUID | None = None

    @property
    def is_under_way(self) -> bool:
        return self.outcome is None and not self.is_dead

    @property
    def seen_outcome(self) -> str | None:
        """As it reads: who is dead was interrupted."""
        return "interrupted" if self.outcome is None and self.is_dead else self.outcome


@attrs.define
class Talked:
    """A conversation."""

    title: str | None
    active: str = "main"
    state: str = "active"
    state_before: str = "active"
    tags: set[str] = attrs.field(factory=set)
    metadata: dict[str, Any] = attrs.field(factory=dict)
    said: dict[UUID, Said] = attrs.field(factory=dict)
    asked: dict[UUID, Asked] = attrs.field(factory=dict)
    branches: dict[str, list[UUID]] = attrs.field(factory=lambda: {"main": []})

    def head(self, branch: str) -> UUID | None:
        return self.branches[branch][-1] if self.branches.get(branch) else None

    def path_to(self, message_id: UUID | None) -> list[UUID]:
        path: list[UUID] = []
        while message_id is not None:
            path.insert(0, message_id)
            message_id = self.said[message_id].parent
        return path

    def question_at(self, head: UUID | None) -> UUID | None:
        """What is being answered where a branch ends."""
        is_coming = head is not None and self.said[head].status == "coming"
        return self.said[head].parent if is_coming and head is not None else head

    def waits_for(self, head: UUID | None) -> Asked | None:
        """The attempt that nobody has settled for what a branch ends with."""
        question = self.question_at(head)
        pending = [each for each in self.asked.values() if each.outcome is None]
        return next((each for each in pending if each.question == question), None)

    def is_busy(self, head: UUID | None) -> bool:
        waiting = self.waits_for(head)
        return waiting is not None and waiting.is_under_way

    def is_held(self, branch: str) -> bool:
        """Whether an answer is under way that was asked for on this branch, and belongs where it ends."""
        waiting = self.waits_for(self.head(branch))
        return waiting is not None and waiting.is_under_way and waiting.branch == branch

    def take_over(self, branch: str) -> None:
        """Who writes settles what the dead have left."""
        left = self.waits_for(self.head(branch))
        if left is None:
            return
        left.outcome, left.cost, left.is_taken_over = "interrupted", None, True
        is_answered = False
        for each in self.said.values():
            if each.parent == left.question and each.status == "coming":
                each.status, is_answered = "interrupted", True
        self.close(left.question, "complete" if is_answered else "failed")

    def close(self, question: UUID, status: str) -> None:
        if self.said[question].status != "complete":
            self.said[question].status = status

    def say(self, branch: str, said: Said) -> None:
        self.said[said.id] = said
        self.branches[branch] = [*self.branches[branch], said.id]

    def has_answer(self, question: UUID) -> bool:
        return any(each.parent == question and each.role == "assistant" for each in self.said.values())

    def status(self, said: Said) -> str:
        """As it reads."""
        if said.status == "coming":
            return "pending" if self.is_busy(said.id) else "interrupted"
        if said.status != "asked":
            return said.status
        if self.is_busy(said.id):
            return "pending"
        coming = any(each.parent == said.id and each.status == "coming" for each in self.said.values())
        return "complete" if coming else "failed"

    def history(self, branch: str) -> list[tuple[UUID, str, str, bool]]:
        return [self.show(message_id) for message_id in self.branches[branch]]

    def show(self, message_id: UUID) -> tuple[UUID, str, str, bool]:
        said = self.said[message_id]
        return said.id, said.text, self.status(said), said.pinned

    def costs(self) -> tuple[int, int]:
        """Of all attempts that were settled: what is known, and how many are not."""
        return _add(each.cost for each in self.asked.values() if each.outcome is not None)

    def path_costs(self, branch: str) -> tuple[int, int]:
        """Of the answers on a branch."""
        path = (self.said[message_id] for message_id in self.branches[branch])
        return _add(each.cost for each in path if each.provider is not None)

    def found(self, word: str) -> set[UUID | None]:
        """The messages with a word that begins so, None being the title; an answer once it is settled."""
        found: set[UUID | None] = {
            each.id for each in self.said.values() if each.status != "coming" and _has(each.text, word)
        }
        return found | ({None} if _has(self.title or "", word) else set())


def _has(text: str, word: str) -> bool:
    return any(each.startswith(word) for each in text.split())


def _add(costs: Iterator[int | None]) -> tuple[int, int]:
    known = list(costs)
    return sum(cost or 0 for cost in known), known.count(None)


def patch(target: object, change: object) -> Any:
    """RFC 7396, word for word."""
    if not isinstance(change, dict):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = patch(result.get(name), value)
    return result
