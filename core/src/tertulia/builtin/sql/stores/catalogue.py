"""The catalogue of models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tertulia.builtin.sql import catalogue
from tertulia.builtin.sql.stores.part import Part
from tertulia.domain.catalogue import ModelChanges
from tertulia.domain.model import ModelInfo


class Catalogue(Part):
    """What each provider's list said of its models."""

    async def replace_models(
        self, owner: str, provider: str, models: Sequence[ModelInfo], at: datetime
    ) -> ModelChanges:
        """Take over a provider's list of models."""
        return await self._engine.write(
            lambda database: catalogue.replace_models(database, owner, provider, models, at)
        )

    async def get_models(self, owner: str, provider: str | None = None) -> list[ModelInfo]:
        """Return the catalogue."""
        return await self._engine.read(lambda database: catalogue.get_models(database, owner, provider))
