"""The catalogue of models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tertulia.contracts.stores.catalogue import CatalogueStore
from tertulia.domain.catalogue import ModelChanges, compare_models
from tertulia.domain.model import ModelInfo
from tertulia.testing.memory.part import Part


class Catalogue(Part, CatalogueStore):
    """What each provider's list said of its models."""

    async def replace_models(
        self, owner: str, provider: str, models: Sequence[ModelInfo], at: datetime
    ) -> ModelChanges:
        """Take over a provider's list of models."""
        known = self._models.setdefault(owner, {}).setdefault(provider, {})
        changes = compare_models(known.values(), models, at)
        for info in (*changes.added, *(change.after for change in changes.changed), *changes.gone):
            known[info.id] = info
        return changes

    async def get_models(self, owner: str, provider: str | None = None) -> list[ModelInfo]:
        """Return the catalogue."""
        return [
            models[name]
            for each, models in sorted(self._models.get(owner, {}).items())
            if provider in (None, each)
            for name in sorted(models)
        ]
