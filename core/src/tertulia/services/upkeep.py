"""A conversation's upkeep: title, state, tags, metadata, marks, and the merging of branches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from tertulia.contracts.store import Settlement
from tertulia.domain.context import ContextOptions
from tertulia.domain.conversation import (
    Attempt,
    AttemptOutcome,
    Branch,
    ConversationRecord,
    ConversationState,
    CostReport,
    ProviderSession,
)
from tertulia.domain.exchange import Reply
from tertulia.domain.library import MarkChange, MergeReport
from tertulia.domain.message import Mark, Message, MessageStatus
from tertulia.domain.statistics import Statistics
from tertulia.errors import MessageNotFoundError
from tertulia.services.analysis import derive_sessions, report_costs
from tertulia.services.arguments import Place, check_context_options, check_title, id_of
from tertulia.services.checking import (
    check_kind,
    check_mark,
    check_metadata,
    check_moment,
    check_tags,
    check_zone,
    find_purge_time,
)
from tertulia.services.core import Core
from tertulia.services.merging import merge
from tertulia.services.routing.targets import parse_target
from tertulia.services.titles import suggest_title
from tertulia.services.tree import Line, Tree


class Upkeep:
    """
    What can be done with a conversation beside talking.

    Attributes:
        id: A UUIDv7.
    """

    def __init__(self, core: Core, tree: Tree, line: Line) -> None:
        self._core = core
        self._tree = tree
        self._line = line
        self.id: UUID = tree.id

    @property
    def title(self) -> str | None:
        """The title; None when untitled."""
        return self._tree.title

    @property
    def branch(self) -> str:
        """The branch that is read and added to."""
        return self._line.name

    @property
    def provider(self) -> str:
        """Who answers on this branch."""
        return self._line.branch.provider

    @property
    def model(self) -> str:
        """Which model answers on this branch."""
        return self._line.branch.model

    async def record(self) -> ConversationRecord:
        """Return what is known of the conversation now: state, tags, metadata, counters, cost."""
        return await self._core.store.get_conversation(self._core.owner, self.id, deleted=True)

    async def history(self, limit: int | None = None) -> list[Message]:
        """
        Return what was said on this branch, oldest first.

        Args:
            limit: The newest so many; None for all.
        """
        return await self._core.store.get_messages(self._core.owner, self.id, self.branch, limit=limit)

    async def branches(self) -> list[Branch]:
        """Return every branch, in the order they were made."""
        return await self._core.store.find_branches(self._core.owner, self.id)

    async def attempts(self) -> list[Attempt]:
        """Return every call to a provider, on all branches, in the order they were started."""
        return await self._core.store.get_attempts(self._core.owner, self.id)

    async def sessions(self) -> list[ProviderSession]:
        """Return who spoke when, and why it was them."""
        return derive_sessions(await self.attempts())

    async def cost(self) -> CostReport:
        """Return what the conversation cost on all branches, by provider and by model."""
        return report_costs(await self.attempts())

    async def statistics(
        self, *, since: datetime | None = None, until: datetime | None = None, time_zone: str = "UTC"
    ) -> Statistics:
        """Count its messages, answers, failures, tokens and costs; see :meth:`tertulia.Client.statistics`."""
        return await self._core.store.get_statistics(
            self._core.owner,
            conversation_id=self.id,
            since=check_moment("since", since),
            until=check_moment("until", until),
            time_zone=check_zone(time_zone),
        )

    async def rename(self, title: str | None) -> None:
        """Change the title, at most 200 characters; None to have none."""
        title = check_title(title)
        await self._core.store.update_title(self._core.owner, self.id, title, self._core.clock.now())
        self._tree.title = title

    async def suggest_title(self, target: str | None = None) -> str:
        """
        Ask for a title of what was said first on this branch; :meth:`rename` takes it.

        One call to a provider. It is in the ledger like any other, so its cost is in every sum.

        Args:
            target: ``provider`` or ``provider/model``; None for this branch's own.

        Raises:
            BranchError: Nothing was said yet.
            ProviderError: There was no answer.
        """
        if target is not None:
            check_kind("target", target, str)
        asked = None if target is None else parse_target(target, self._core.plugins)
        return await suggest_title(self._core, self._tree, self._line, asked)

    async def save(self, reply: Reply) -> Message:
        """
        Store an answer that could not be stored when it came.

        Where the store fails at the end of a send, the answer is in its :attr:`StoreError.reply`, and was
        paid for. Storing it twice changes nothing; where somebody has gone on without it meanwhile it goes
        beside, on a branch of its own.

        Returns:
            The answer as it is stored.

        Raises:
            MessageNotFoundError: It answers nothing of this conversation.
            StoreError: It still cannot be stored.
        """
        attempt = next((each for each in reply.attempts if each.outcome is AttemptOutcome.SUCCEEDED), None)
        if attempt is None or attempt.branch is None or reply.message.id is None:
            raise MessageNotFoundError(
                "this reply is no answer that a store has lost",
                message_id=reply.message.id,
                next_step="give the .reply of a StoreError",
            )
        settlement = Settlement(attempt, MessageStatus.COMPLETE, reply.message, checkpointed=True)
        stored = await self._core.store.settle(self._core.owner, self.id, attempt.branch, settlement)
        if stored is not None:
            return stored
        return await self._core.store.get_message(self._core.owner, self.id, reply.message.id)

    async def archive(self) -> None:
        """Put the conversation out of the way; it can be read and gone on with."""
        await self._update_state(ConversationState.ARCHIVED)

    async def unarchive(self) -> None:
        """Take the conversation out of the archive."""
        await self._update_state(ConversationState.ACTIVE)

    async def delete(self, *, keep_for: timedelta | None = None) -> None:
        """Delete the conversation so that it can be restored; see :meth:`tertulia.Client.delete`."""
        at = self._core.clock.now()
        purge_after = find_purge_time(at, keep_for)
        await self._core.store.remove_conversation(self._core.owner, self.id, at, purge_after=purge_after)

    async def restore(self) -> None:
        """Take the deleted conversation back to where it was."""
        await self._core.store.restore_conversation(self._core.owner, self.id, self._core.clock.now())

    async def tag(self, *tags: str) -> tuple[str, ...]:
        """Give it tags, of 1 to 200 characters each, and return all it has now."""
        return await self._core.store.update_tags(
            self._core.owner, self.id, add=check_tags(tags), at=self._core.clock.now()
        )

    async def untag(self, *tags: str) -> tuple[str, ...]:
        """Take tags away, and return all it has now."""
        return await self._core.store.update_tags(
            self._core.owner, self.id, remove=check_tags(tags), at=self._core.clock.now()
        )

    async def patch_metadata(self, patch: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change the metadata in one step; see :meth:`tertulia.Client.patch_metadata`."""
        return await self._core.store.patch_metadata(
            self._core.owner, self.id, check_metadata(patch), self._core.clock.now()
        )

    async def mark(
        self,
        message: Place,
        *,
        pinned: bool | Literal["keep"] = "keep",
        hidden: bool | Literal["keep"] = "keep",
        importance: float | Literal["keep"] | None = "keep",
        expires_at: datetime | Literal["keep"] | None = "keep",
    ) -> Mark:
        """
        Say something of a message, on whatever branch it is; the message itself never changes.

        Args:
            message: Which.
            pinned: Whether every request is to hold it, whatever else is left out.
            hidden: Whether no request is to hold it; it stays in the history.
            importance: From 0 to 1, for strategies that choose by it; None for unsaid.
            expires_at: From when on no request is to hold it; None for never.

        Returns:
            All that is said of it now.

        Raises:
            MessageNotFoundError: The conversation has no such message.
        """
        change = check_mark(MarkChange(pinned, hidden, importance, expires_at))
        found = await self._core.store.update_mark(self._core.owner, self.id, id_of(message), change)
        self._tree.forget()
        return found

    async def pin(self, message: Place) -> Mark:
        """Let every request hold a message, whatever else is left out."""
        return await self.mark(message, pinned=True)

    async def unpin(self, message: Place) -> Mark:
        """Let a message be left out again."""
        return await self.mark(message, pinned=False)

    async def hide(self, message: Place) -> Mark:
        """Let no request hold a message; it stays in the history."""
        return await self.mark(message, hidden=True)

    async def unhide(self, message: Place) -> Mark:
        """Let requests hold a message again."""
        return await self.mark(message, hidden=False)

    @property
    def context(self) -> ContextOptions:
        """How its contexts are chosen, where a call does not say otherwise."""
        return self._tree.context

    async def set_context(self, options: ContextOptions) -> None:
        """
        Choose how its contexts are chosen from now on, on all branches; kept with the conversation.

        Args:
            options: Instead of those it had; ``ContextOptions()`` for what is configured.
        """
        core = self._core
        check_context_options(options, core.plugins)
        await core.store.update_context_options(core.owner, self.id, options, core.clock.now())
        self._tree.context = options

    async def merge(self, source: str) -> MergeReport:
        """
        Bring into this branch what another one has.

        Where this branch has nothing of its own since they parted, it goes on to where the other ends: fast
        forward, and nothing is copied. Else what the other has is added to it as one message of the user's
        that quotes it, with what is attached to it, and without what is hidden; the other branch stays as it
        is.

        Args:
            source: The other branch.

        Raises:
            BranchNotFoundError: There is none of that name.
            BranchMovedError: Somebody added to this branch at the same time; nothing was changed.
            ConversationBusyError: An answer is under way on one of them.
        """
        check_kind("source", source, str)
        report = await merge(self._core, self._tree, self._line, source)
        if report.way == "fast_forward":
            self._line.branch = await self._core.store.get_branch(self._core.owner, self.id, self.branch)
        return report

    async def to_markdown(self) -> str:
        """Return this branch as a page to read, with who said what when, and what it cost."""
        from tertulia.services.transfer.markdown import render_markdown

        return render_markdown(await self.record(), await self.history())

    async def _update_state(
        self, state: Literal[ConversationState.ACTIVE, ConversationState.ARCHIVED]
    ) -> None:
        await self._core.store.update_state(self._core.owner, self.id, state, self._core.clock.now())
