"""What a client knows of its providers: their models, how they have been doing, and what they may cost."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from uuid import UUID

from tertulia.domain.budget import BudgetState
from tertulia.domain.catalogue import SyncReport, Verification
from tertulia.domain.health import ProviderHealth
from tertulia.domain.model import ModelInfo
from tertulia.runtime.plugin_answers import unknown_provider
from tertulia.services.arguments import read_id
from tertulia.services.budgets import get_budgets
from tertulia.services.library import Library
from tertulia.services.models import Models


class Supervision(Library):
    """What a client does with its providers beside asking them for answers."""

    @property
    @abstractmethod
    def providers(self) -> list[str]:
        """The names of all configured providers, in order."""

    @property
    @abstractmethod
    def _catalogue(self) -> Models: ...

    async def list_models(self, provider: str) -> Sequence[ModelInfo]:
        """
        Ask a provider which models it offers now.

        Raises:
            ProviderError: The list could not be had.
        """
        return await self._open.plugins.list_models(provider)

    async def sync_models(
        self, provider: str | None = None, *, dry_run: bool = False, force: bool = False
    ) -> SyncReport:
        """
        Ask providers which models they offer now, and keep what they say for every client of this store.

        From then on what a list says of a model comes before what is bundled with its driver. A model that is
        no longer listed is marked as gone and stays. Where a provider fails, its catalogue stays as it was,
        and the report says why. A list that is empty, or of more than ten models lacks more than half, is
        taken for such a failure.

        Args:
            provider: Whom to ask; None for all that are configured, at once.
            dry_run: Report what would change, and change nothing.
            force: Take a list also where it lacks that much.

        Raises:
            UnknownProviderError: No provider of that name is configured.
        """
        return await self._catalogue.sync(self._names(provider), dry_run=dry_run, force=force)

    async def models(self, provider: str | None = None) -> Sequence[ModelInfo]:
        """
        List the models that are known, without asking anybody: those of the last sync, gone ones included.

        Of a provider that was never synced, those that are bundled with its driver. What both know of a model
        is put together, and where they differ the list is right. The price of each is the one that holds now.

        Args:
            provider: Whose; None for all that are configured.

        Raises:
            UnknownProviderError: No provider of that name is configured.
        """
        return await self._catalogue.get_all(self._names(provider))

    async def model(self, name: str) -> ModelInfo:
        """
        Return what is known of one model, without asking anybody.

        Args:
            name: ``provider/model``, the latter also as an alias; ``provider`` for its default model.

        Raises:
            UnknownProviderError: No provider of that name is configured.
            ModelNotFoundError: Neither its list nor its driver names that model.
        """
        return await self._catalogue.get_one(name)

    async def health(self) -> tuple[ProviderHealth, ...]:
        """
        Say how the providers have been doing: who is passed over and until when, who waits, what failed last.

        What this client has seen, and what the ledger says of the last minutes.
        """
        await self._open.recall_health()
        return self._open.health.report()

    def reset_health(self, provider: str | None = None) -> None:
        """
        Forget how a provider has been doing, so that it is asked again.

        Args:
            provider: Its configured name; None for all.

        Raises:
            UnknownProviderError: No provider of that name is configured.
        """
        self._names(provider)
        self._open.health.reset(provider)

    async def budgets(self, conversation: UUID | str | None = None) -> Sequence[BudgetState]:
        """
        Say how much of each budget is spent, in the present day or month.

        Args:
            conversation: Whose budgets are among them; None for those of the owner and the providers.
        """
        return await get_budgets(self._open, None if conversation is None else read_id(conversation))

    async def verify(self, provider: str) -> Verification:
        """
        Find out whether a provider can be reached and takes the key, at no cost.

        Returns:
            What is wrong is in it, and not raised.

        Raises:
            UnknownProviderError: No provider of that name is configured.
        """
        return await self._catalogue.verify(provider)

    def _names(self, provider: str | None) -> Sequence[str]:
        if provider is None:
            return self.providers
        if provider not in self.providers:
            raise unknown_provider(provider, self.providers)
        return (provider,)
