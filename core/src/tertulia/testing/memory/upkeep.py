"""Whether all is well."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from tertulia.contracts.stores.upkeep import UpkeepStore
from tertulia.domain.message import Message
from tertulia.domain.upkeep import StoreProblem, StoreReport
from tertulia.domain.usage import CostTotal, Usage
from tertulia.testing.memory.finding import find_texts
from tertulia.testing.memory.kept import Kept, add_usages
from tertulia.testing.memory.part import LOCATION, Part

_NO_TOKENS = Usage(0, 0, 0, 0, 0)


class Upkeep(Part, UpkeepStore):
    """What is derived is never wrong; what a conversation was begun with may be, and the tree."""

    async def verify(self, owner: str | None = None) -> StoreReport:
        """Examine everything."""
        shelf = self._find_all(owner)
        messages = [message for kept in shelf for message in kept.messages.values()]
        return StoreReport(
            location=LOCATION,
            engine="Python",
            version="1",
            counts={
                "conversations": len(shelf),
                "messages": len(messages),
                "attempts": sum(len(kept.attempts) for kept in shelf),
                "attachments": len(set(_find_bytes(messages))),
            },
            problems=tuple(problem for kept in shelf for problem in _find_problems(kept)),
        )

    async def rebuild_statistics(self, owner: str | None = None) -> int:
        """Forget what conversations were begun with; everything else is counted when it is asked for."""
        wrong = [kept for kept in self._find_all(owner) if list(_find_wrong_counters(kept))]
        for kept in wrong:
            kept.record = attrs.evolve(kept.record, cost=CostTotal(), usage=_NO_TOKENS)
        return len(wrong)

    async def rebuild_search(self, owner: str | None = None) -> int:
        """Say how many titles and messages are searched; there is no index."""
        return sum(len(list(find_texts(kept))) for kept in self._find_all(owner))


def _find_bytes(messages: list[Message]) -> Iterator[bytes]:
    for message in messages:
        for part in message.parts:
            data = getattr(part, "data", None)
            if isinstance(data, bytes):
                yield data


def _find_wrong_counters(kept: Kept) -> Iterator[str]:
    """What a conversation counts beside its attempts, of which there are none."""
    counted = {**attrs.asdict(kept.record.usage), "cost": kept.record.cost.money.pico}
    counted["cost_unknown_count"] = kept.record.cost.unknown_count
    right = attrs.asdict(add_usages(each.usage for each in kept.find_ended()))
    total = CostTotal.of(each.cost for each in kept.find_ended())
    right |= {"cost": total.money.pico, "cost_unknown_count": total.unknown_count}
    for name, surplus in counted.items():
        if surplus:
            yield f"{name} is {right[name] + surplus} and should be {right[name]}"


def _find_problems(kept: Kept) -> Iterator[StoreProblem]:
    for wrong in _find_wrong_counters(kept):
        yield _tell(kept, "counters", wrong, "rebuild the statistics")
    for message in kept.messages.values():
        parent = None if message.parent_id is None else kept.messages.get(message.parent_id)
        depth = -1 if parent is None else parent.depth
        if (message.parent_id is not None and parent is None) or depth is None or message.depth != depth + 1:
            yield _tell(kept, "tree", f"message {message.id} does not stand after the one it follows")
    for branch in kept.branches.values():
        if branch.head_id is not None and branch.head_id not in kept.messages:
            yield _tell(kept, "tree", f"branch {branch.name!r} ends with a message that is not there")
    for attempt in kept.attempts.values():
        if attempt.message_id not in kept.messages:
            yield _tell(kept, "references", f"attempt {attempt.id} answers a message that is not there")


def _tell(kept: Kept, kind: str, description: str, repair: str = "import a copy") -> StoreProblem:
    return StoreProblem(kind, description, repair, kept.record.owner, kept.record.id)
