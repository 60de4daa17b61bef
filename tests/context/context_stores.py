"""Stores for tests of contexts: one that clients share, and one without an index."""

from __future__ import annotations

import tertulia
from tertulia.contracts.stores.context import ContextStore
from tertulia.testing import MemoryStore

SHARED = "shared:"


class Opener:
    """Brings a store, to each client that has this plugin."""

    def __init__(self, store: tertulia.Store) -> None:
        self._store = store

    @tertulia.hookimpl
    def open_store(self, url: str) -> tertulia.Store | None:
        return self._store if url == SHARED else None


class PlainStore(MemoryStore):
    """A store without an outline, without a way to read the end alone, and without an index."""

    get_outline = ContextStore.get_outline
    get_recent = ContextStore.get_recent
    find_related = ContextStore.find_related
