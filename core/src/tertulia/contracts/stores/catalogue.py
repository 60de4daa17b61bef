"""What a store promises about the catalogue of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from tertulia.domain.catalogue import ModelChanges
from tertulia.domain.model import ModelInfo


class CatalogueStore(ABC):
    """What each provider's list said of its models."""

    @abstractmethod
    async def replace_models(
        self, owner: str, provider: str, models: Sequence[ModelInfo], at: datetime
    ) -> ModelChanges:
        """
        Take over a provider's list of models, whole or not at all.

        ``tertulia.domain.catalogue.compare_models`` decides what becomes of each entry: a model that is not
        in the list is marked as gone, and never removed.

        Args:
            provider: The configured name.
            models: The whole list.
            at: When it was fetched.

        Returns:
            What is different from now on.
        """

    @abstractmethod
    async def get_models(self, owner: str, provider: str | None = None) -> list[ModelInfo]:
        """
        Return the catalogue, gone models included, by provider and then by id.

        Args:
            provider: The configured name; None for all.
        """
