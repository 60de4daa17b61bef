"""What is kept with a conversation: found by paths, compared, patched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

MISSING: Final = object()
"""Nothing is there, which JSON's null is not."""


def find_path(metadata: Mapping[str, Any], path: str) -> Any:
    """
    Return what is at a path, the keys of objects joined by dots; :data:`MISSING` when nothing is.

    Example:
        >>> find_path({"customer": {"plan": "pro"}}, "customer.plan")
        'pro'
    """
    value: Any = metadata
    for key in path.split("."):
        if not _is_object(value) or key not in value:
            return MISSING
        value = value[key]
    return value


def equals(one: Any, other: Any) -> bool:
    """
    Whether two JSON values are the same: numbers by what they are worth, and no truth is a number.

    Example:
        >>> equals(1, 1.0), equals(1, True)
        (True, False)
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if _is_object(one) and _is_object(other):
        return one.keys() == other.keys() and all(equals(one[key], other[key]) for key in one)
    if _is_list(one) and _is_list(other):
        return len(one) == len(other) and all(map(equals, one, other))
    return bool(one == other)


def has_all(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether what is at each path is equal to the value."""
    return all(equals(find_path(metadata, path), value) for path, value in wanted.items())


def merge_patch(target: Any, patch: Any) -> Any:
    """
    Apply a JSON merge patch (RFC 7396) and return what comes of it; the target is left as it is.

    Example:
        >>> merge_patch({"plan": "free", "seats": 1}, {"plan": "pro", "seats": None})
        {'plan': 'pro'}
    """
    if not _is_object(patch):
        return patch
    merged: dict[str, Any] = dict(target) if _is_object(target) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)
