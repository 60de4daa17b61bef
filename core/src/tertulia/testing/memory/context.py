"""Long conversations read in part, and what is remembered of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from math import log
from uuid import UUID

import attrs

from tertulia.contracts.stores.context import ContextStore
from tertulia.domain.context import ContextOptions, Outline, Related, Summary
from tertulia.domain.message import NO_MARK, Message, MessageStatus, Role
from tertulia.domain.nearby import add_neighbours
from tertulia.domain.terms import find_terms
from tertulia.domain.tokens import CalibrationRecord
from tertulia.testing.memory.finding import find_texts
from tertulia.testing.memory.part import Part

_UNANSWERED = (MessageStatus.FAILED, MessageStatus.PENDING)


class Contexts(Part, ContextStore):
    """What those need who choose what a model sees."""

    async def get_outline(
        self, owner: str, conversation_id: UUID, branch: str, *, before_depth: int
    ) -> Outline | None:
        """Say what a branch holds before a depth."""
        path = await self._read_path(owner, conversation_id, branch, before_depth)
        return Outline(
            system=tuple(message for message in path if message.role is Role.SYSTEM),
            marked=tuple(message for message in path if message.mark != NO_MARK),
            message_count=len(path),
            tokens=sum(count_in(path)),
        )

    async def get_recent(
        self, owner: str, conversation_id: UUID, branch: str, *, before_depth: int, tokens: int
    ) -> list[Message]:
        """Return the newest messages of a branch before a depth that have so many tokens together."""
        path = await self._read_path(owner, conversation_id, branch, before_depth)
        counts = count_in(path)
        start = len(path)
        while start > 0 and sum(counts[start - 1 :]) <= tokens:
            start -= 1
        return path[start:]

    async def find_related(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        words: Sequence[Sequence[str]],
        *,
        before_depth: int,
        limit: int,
    ) -> Related | None:
        """Find messages of a branch before a depth that hold any of some words."""
        path = await self._read_path(owner, conversation_id, branch, before_depth)
        kept = self._find(owner, conversation_id)
        texts = {message.id: set(find_terms(text)) for text, message in find_texts(kept) if message}
        holders = [{each for each in texts if texts[each].intersection(forms)} for forms in words]
        weights = Counter[UUID | None]()
        for found in holders:
            weights.update(dict.fromkeys(found, log(1 + len(texts) / max(len(found), 1))))
        depths = [depth for depth, message in enumerate(path) if message.id in weights]
        best = sorted(depths, key=lambda depth: (-weights[path[depth].id], -depth))
        return Related(
            tuple(path[depth] for depth in add_neighbours(best, len(path), limit)),
            tuple(map(len, holders)),
            len(kept.messages),
        )

    async def _read_path(self, owner: str, conversation_id: UUID, branch: str, before: int) -> list[Message]:
        return await self.get_messages(owner, conversation_id, branch, before_depth=before)

    async def update_context_options(
        self, owner: str, conversation_id: UUID, options: ContextOptions, at: datetime
    ) -> None:
        """Keep how the contexts of a conversation are chosen."""
        kept = self._find_open(owner, conversation_id)
        kept.record = attrs.evolve(kept.record, context=options, updated_at=at)

    async def get_calibrations(self, owner: str) -> list[CalibrationRecord]:
        """Return what was learned of how models count tokens."""
        known = self._calibrations.get(owner, {})
        return [known[name] for name in sorted(known)]

    async def save_calibrations(self, owner: str, records: Sequence[CalibrationRecord]) -> None:
        """Keep what was learned of how models count tokens."""
        known = self._calibrations.setdefault(owner, {})
        known.update({(each.provider, each.model, each.has_media): each for each in records})

    async def add_summary(self, owner: str, conversation_id: UUID, summary: Summary) -> None:
        """Keep a summary; one of the same kind up to the same message is replaced."""
        kept = self._find(owner, conversation_id)
        message = kept.get_message(summary.message_id)
        depth = summary.depth if message.depth is None else message.depth
        kept.summaries[summary.kind, summary.message_id] = attrs.evolve(summary, depth=depth)

    async def find_summary(
        self, owner: str, conversation_id: UUID, branch: str, kind: str, *, before_depth: int
    ) -> Summary | None:
        """Return the summary of a kind that covers most of a branch before a depth."""
        path = await self._read_path(owner, conversation_id, branch, before_depth)
        kept = self._find(owner, conversation_id)
        found = (kept.summaries.get((kind, each.id)) for each in reversed(path) if each.id is not None)
        return next((summary for summary in found if summary is not None), None)


def count_in(path: Sequence[Message]) -> list[int]:
    """The tokens of each message of a path; of one that nobody answered there are none."""
    followers = (*path[1:], None)[: len(path)]
    return [
        0 if _is_unanswered(message, follower) else message.tokens or 0
        for message, follower in zip(path, followers, strict=True)
    ]


def _is_unanswered(message: Message, follower: Message | None) -> bool:
    is_answer = follower is not None and follower.role is Role.ASSISTANT
    return message.role is Role.USER and message.status in _UNANSWERED and not is_answer
