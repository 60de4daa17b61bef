"""Stored conversations, as a client has them: found, counted, put away, taken out again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias
from uuid import UUID

from tertulia.domain.conversation import ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, Order, SearchHit
from tertulia.domain.message import Role
from tertulia.domain.statistics import CostAnalysis, CostGroup, Statistics
from tertulia.domain.transfer import ImportReport
from tertulia.domain.upkeep import StoreReport
from tertulia.errors import ConfigurationError
from tertulia.services.arguments import read_id
from tertulia.services.checking import (
    check_filter,
    check_groups,
    check_kind,
    check_limit,
    check_metadata,
    check_moment,
    check_page_end,
    check_path,
    check_role,
    check_tags,
    check_text,
    check_zone,
    find_purge_time,
)
from tertulia.services.core import Core

Progress: TypeAlias = Callable[[int, int | None], None]
"""Is told how much is done, and how much there is; None where that is not known."""


class Library(ABC):
    """What a client does with stored conversations. Each of them is named by its id, also as text."""

    @property
    @abstractmethod
    def _open(self) -> Core: ...

    async def list(
        self,
        *,
        where: ConversationFilter = ConversationFilter(),
        order: Order = Order.RECENT,
        limit: int = 50,
        after: ConversationRecord | None = None,
    ) -> list[ConversationRecord]:
        """
        List a page of conversations.

        Args:
            where: Which are meant; neither archived nor deleted ones unless it says so.
            order: Which come first.
            limit: At most so many.
            after: The last one of the page before, in the same order; None for the first page.
        """
        core = self._open
        where, order = check_filter(where), _read_order(order)
        return await core.store.find_conversations(
            core.owner, where=where, order=order, limit=check_limit(limit), after=check_page_end(after)
        )

    async def record(self, conversation_id: UUID | str, *, deleted: bool = False) -> ConversationRecord:
        """
        Return what is known of a conversation, without its messages.

        Args:
            conversation_id: Its id.
            deleted: Whether a deleted one is returned as well.

        Raises:
            ConversationNotFoundError: There is none of that id, or it is deleted.
        """
        core = self._open
        return await core.store.get_conversation(core.owner, read_id(conversation_id), deleted=deleted)

    async def search(
        self,
        query: str,
        *,
        limit: int = 20,
        conversation: UUID | str | None = None,
        role: Role | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Sequence[SearchHit]:
        """
        Find messages and titles that hold every word of a query, the best first.

        Args:
            query: Any text; see :class:`tertulia.SearchHit` for what a word finds.
            limit: At most so many hits.
            conversation: Only there; None for everywhere, archived conversations included.
            role: Only what was said by it; None for all, and titles.
            since: Only from then on; None for no bound.
            until: Only before; None for no bound.
        """
        check_kind("query", query, str)
        core = self._open
        return await core.store.search(
            core.owner,
            query,
            limit=check_limit(limit),
            conversation_id=None if conversation is None else read_id(conversation),
            role=check_role(role),
            since=check_moment("since", since),
            until=check_moment("until", until),
        )

    async def archive(self, conversation_id: UUID | str) -> None:
        """Put a conversation out of the way; ConversationNotFoundError when there is none of that id."""
        await self._update_state(conversation_id, ConversationState.ARCHIVED)

    async def unarchive(self, conversation_id: UUID | str) -> None:
        """Take a conversation out of the archive; ConversationNotFoundError when there is none of that id."""
        await self._update_state(conversation_id, ConversationState.ACTIVE)

    async def delete(self, conversation_id: UUID | str, *, keep_for: timedelta | None = None) -> None:
        """
        Delete a conversation so that it can be restored. Its cost stays in every sum until it is purged.

        Args:
            conversation_id: Its id.
            keep_for: After that time :meth:`purge_expired` removes it; None for never.

        Raises:
            ConversationNotFoundError: There is none of that id.
        """
        core = self._open
        at = core.clock.now()
        purge_after = find_purge_time(at, keep_for)
        await core.store.remove_conversation(
            core.owner, read_id(conversation_id), at, purge_after=purge_after
        )

    async def restore(self, conversation_id: UUID | str) -> None:
        """Take a deleted conversation back to where it was; ConversationNotFoundError when there is none."""
        core = self._open
        await core.store.restore_conversation(core.owner, read_id(conversation_id), core.clock.now())

    async def purge(self, conversation_id: UUID | str) -> None:
        """
        Remove a deleted conversation for good, with its messages, costs and attachments.

        Raises:
            ConversationNotFoundError: There is none of that id, or it is not deleted.
        """
        core = self._open
        await core.store.purge_conversation(core.owner, read_id(conversation_id))

    async def purge_expired(self, *, limit: int = 100) -> Sequence[UUID]:
        """Remove deleted conversations for good whose time has come, at most so many, and say which."""
        core = self._open
        return await core.store.purge_expired(core.owner, core.clock.now(), limit=check_limit(limit))

    async def tag(self, conversation_id: UUID | str, *tags: str) -> tuple[str, ...]:
        """
        Give a conversation tags, of 1 to 200 characters each.

        Returns:
            All it has now, in alphabetical order.

        Raises:
            ConversationNotFoundError: There is none of that id.
        """
        core, identifier = self._open, read_id(conversation_id)
        return await core.store.update_tags(core.owner, identifier, add=check_tags(tags), at=core.clock.now())

    async def untag(self, conversation_id: UUID | str, *tags: str) -> tuple[str, ...]:
        """Take tags away; the rest is as of :meth:`tag`."""
        core, identifier = self._open, read_id(conversation_id)
        return await core.store.update_tags(
            core.owner, identifier, remove=check_tags(tags), at=core.clock.now()
        )

    async def tags(self) -> dict[str, int]:
        """Return every tag in alphabetical order, with how many conversations have it."""
        core = self._open
        return await core.store.find_tags(core.owner)

    async def patch_metadata(
        self, conversation_id: UUID | str, patch: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """
        Change a conversation's metadata by a JSON merge patch (RFC 7396): None removes, dicts go deeper.

        One step: what somebody else changes at the same time is not lost.

        Returns:
            The metadata as it is now.

        Raises:
            ConversationNotFoundError: There is none of that id.
        """
        core, identifier = self._open, read_id(conversation_id)
        patch = check_metadata(patch)
        return await core.store.patch_metadata(core.owner, identifier, patch, core.clock.now())

    async def statistics(
        self,
        conversation: UUID | str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        time_zone: str = "UTC",
    ) -> Statistics:
        """
        Count messages, answers, failures, tokens and costs, and how long answers took.

        Args:
            conversation: Only of one; None for all.
            since: Only from then on; None for no bound.
            until: Only before; None for no bound.
            time_zone: Of the days, as in ``Europe/Madrid``.

        Raises:
            ConversationNotFoundError: There is none of that id.
        """
        core = self._open
        return await core.store.get_statistics(
            core.owner,
            conversation_id=None if conversation is None else read_id(conversation),
            since=check_moment("since", since),
            until=check_moment("until", until),
            time_zone=check_zone(time_zone),
        )

    async def costs(
        self,
        *by: CostGroup | str,
        since: datetime | None = None,
        until: datetime | None = None,
        time_zone: str = "UTC",
        provider: str | None = None,
        model: str | None = None,
        conversation: UUID | str | None = None,
        tag: str | None = None,
        all_owners: bool = False,
    ) -> CostAnalysis:
        """
        Add up what was spent.

        Args:
            by: What to add up by: ``provider``, ``model``, ``conversation``, ``branch``, ``tag``, ``day``,
                ``owner``, several at once; nothing for the total alone.
            since: Only from then on; None for no bound.
            until: Only before; None for no bound.
            time_zone: Of the days, as in ``Europe/Madrid``.
            provider: Only of this one.
            model: Only for this one.
            conversation: Only of one.
            tag: Only of conversations with it.
            all_owners: Everybody's costs and not only this owner's.
        """
        core = self._open
        return await core.store.get_costs(
            None if all_owners else core.owner,
            check_groups(by),
            since=check_moment("since", since),
            until=check_moment("until", until),
            time_zone=check_zone(time_zone),
            provider=check_text("provider", provider),
            model=check_text("model", model),
            conversation_id=None if conversation is None else read_id(conversation),
            tag=check_text("tag", tag),
        )

    async def export(
        self,
        target: str | Path,
        *,
        conversations: Iterable[UUID | str] | None = None,
        progress: Progress | None = None,
    ) -> int:
        """
        Write conversations to a file of JSON lines, from which :meth:`import_conversations` makes them again.

        Nothing is lost on the way. The file is there once it is whole.

        Args:
            target: The file; one that is there is replaced.
            conversations: Which; None for all but the deleted ones.
            progress: Is told how many conversations are written, and how many there are.

        Returns:
            How many conversations were written.

        Raises:
            ConversationNotFoundError: There is none of that id.
            TransferError: The file cannot be written; what was there is there still.
        """
        from tertulia.services.transfer.exporting import export_conversations

        target = check_path("target", target)
        if isinstance(conversations, str | UUID):
            conversations = [conversations]
        chosen = None if conversations is None else [read_id(each) for each in conversations]
        return await export_conversations(self._open, target, conversations=chosen, progress=progress)

    async def import_conversations(
        self,
        source: str | Path,
        *,
        format: Literal["auto", "jsonl", "chatgpt", "llm"] = "auto",  # noqa: A002  # the field's word
        on_error: Literal["skip", "refuse"] = "skip",
        progress: Progress | None = None,
    ) -> ImportReport:
        """
        Take over conversations from a file: an export of ours, of ChatGPT, or the logs of ``llm``.

        Importing the same file again changes nothing: what is there already is left as it is.

        Args:
            source: The file.
            format: What it is; ``auto`` to find out.
            on_error: Whether to ``skip`` what cannot be read, and report it, or to ``refuse`` the whole file.
            progress: Is told how many bytes are read, and how many there are.

        Returns:
            What was imported, and what was not, with the line and the reason.

        Raises:
            TransferError: The file cannot be read or is none of these; or something in it is wrong and
                ``on_error`` is ``refuse``. Nothing was imported.
        """
        from tertulia.services.transfer.importing import import_conversations

        return await import_conversations(
            self._open, check_path("source", source), format=format, on_error=on_error, progress=progress
        )

    async def check_store(self) -> StoreReport:
        """Examine the whole store: whether it can be read, is a tree, and adds up. Nothing is changed."""
        return await self._open.store.verify()

    async def rebuild_statistics(self) -> int:
        """Count every counter again, and say how many conversations were wrong."""
        return await self._open.store.rebuild_statistics()

    async def rebuild_search(self) -> int:
        """Make the search index anew, and say how many messages and titles are in it."""
        return await self._open.store.rebuild_search()

    async def _update_state(
        self,
        conversation_id: UUID | str,
        state: Literal[ConversationState.ACTIVE, ConversationState.ARCHIVED],
    ) -> None:
        core = self._open
        await core.store.update_state(core.owner, read_id(conversation_id), state, core.clock.now())


def _read_order(order: Order | str) -> Order:
    try:
        return Order(order)
    except ValueError as error:
        raise ConfigurationError(str(error), next_step=f"lists are ordered by: {', '.join(Order)}") from error
