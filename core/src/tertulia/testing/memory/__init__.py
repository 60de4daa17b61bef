"""
A store in plain dictionaries: the contract of stores, written to be read.

It keeps one conversation as :class:`tertulia.testing.memory.kept.Kept` says; begin there.
"""

from tertulia.testing.memory.store import MemoryStore

__all__ = ["MemoryStore"]
