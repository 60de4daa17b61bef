"""A conversation's branches, and who answers on them."""

from __future__ import annotations

from typing import Self

import attrs

from tertulia.domain.exchange import Target
from tertulia.domain.notice import Switched
from tertulia.errors import UnknownProviderError
from tertulia.services.arguments import Place, check_branch_name, check_target, id_of
from tertulia.services.checking import check_kind
from tertulia.services.questions import Where, fork
from tertulia.services.tree import Line
from tertulia.services.upkeep import Upkeep


class Branching(Upkeep):
    """Where a conversation goes on, and with whom."""

    async def switch(self, provider: str, model: str | None = None) -> None:
        """
        Go on with another provider; the history comes along.

        Local and atomic: no provider is asked, and a switch that fails changes nothing. Other branches
        keep their own providers.

        Args:
            provider: A configured name.
            model: None for the provider's default.

        Raises:
            UnknownProviderError: No provider of that name is configured.
            DriverNotInstalledError: Its driver is not installed.
        """
        check_kind("provider", provider, str)
        check_target(provider, model)
        name, slash, rest = provider.partition("/")
        if slash and model is None:
            raise UnknownProviderError(
                f"no provider is configured as {provider!r}",
                value=provider,
                next_step=f"name the model apart: switch({name!r}, {rest!r})",
            )
        chosen = self._core.plugins.get_provider(provider)
        line, branch = self._line, self._line.branch
        after = Target(provider, model or chosen.default_model)
        await self._core.store.update_target(
            self._core.owner,
            self.id,
            branch.name,
            provider=after.provider,
            model=after.model,
            at=self._core.clock.now(),
        )
        line.branch = attrs.evolve(line.branch, provider=after.provider, model=after.model)
        self._core.plugins.observe(Switched(self.id, Target(branch.provider, branch.model), after))

    async def fork(self, name: str | None = None, *, at: Place | None = None) -> Self:
        """
        Try something else from here on: a new branch that shares all that was said up to a message.

        In constant time, and nothing is copied. This object stays where it is.

        Args:
            name: At most 200 characters; None for this branch's with a number: ``main-2``.
            at: The newest message that is shared, of any branch; None for the newest one of this branch.

        Returns:
            The same conversation on the new branch.

        Raises:
            BranchExistsError: The name is taken.
            MessageNotFoundError: The conversation has no such message.
        """
        if name is not None:
            check_branch_name(name)
        place: Where = "head" if at is None else id_of(at)
        branch = await fork(self._core, self._tree, self.branch, at=place, name=name)
        return type(self)(self._core, self._tree, self._tree.line(branch))

    async def switch_branch(self, name: str) -> None:
        """
        Go on on another branch; the conversation is opened on it from now on.

        Raises:
            BranchNotFoundError: There is none of that name.
        """
        store, owner = self._core.store, self._core.owner
        branch = await store.get_branch(owner, self.id, name)
        await store.update_active_branch(owner, self.id, name, self._core.clock.now())
        self._move(self._tree.line(branch))

    async def rename_branch(self, name: str, new_name: str) -> None:
        """
        Give a branch another name.

        Raises:
            BranchNotFoundError: There is none of that name.
            BranchExistsError: The new name is taken.
            ConversationBusyError: An answer is under way on it.
        """
        check_branch_name(new_name)
        at = self._core.clock.now()
        await self._core.store.update_branch_name(self._core.owner, self.id, name, new_name, at)
        self._tree.rename(name, new_name)

    async def delete_branch(self, name: str) -> None:
        """
        Take a branch away. What it shares with others stays theirs.

        Raises:
            BranchNotFoundError: There is none of that name.
            BranchError: It is the one the conversation is opened on; switch to another one first.
            ConversationBusyError: An answer is under way on it.
        """
        await self._core.store.remove_branch(self._core.owner, self.id, name, self._core.clock.now())

    def _move(self, line: Line) -> None:
        self._line = line
