"""What all blocking twins have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

C = TypeVar("C", bound=type)


def documented_by(twin: type) -> Callable[[C], C]:
    """Give each method that has no docstring its twin's."""

    def document(cls: C) -> C:
        for name, method in vars(cls).items():
            if not name.startswith("_") and method.__doc__ is None:
                method.__doc__ = getattr(twin, name).__doc__
        return cls

    return document
