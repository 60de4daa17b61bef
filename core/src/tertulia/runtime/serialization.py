"""The one place where values become JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar, get_args
from uuid import UUID

import orjson
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn
from cattrs.strategies import configure_tagged_union

from tertulia.domain.message import OpaqueState, Part
from tertulia.errors import ProtocolError

T = TypeVar("T")


def _make_converter() -> Converter:
    converter = Converter(omit_if_default=True, forbid_extra_keys=False)
    converter.register_unstructure_hook(UUID, str)
    converter.register_structure_hook(UUID, lambda value, _: UUID(value))
    converter.register_unstructure_hook(datetime, lambda value: value.isoformat())
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    # Foreign JSON stays exactly as it came.
    converter.register_unstructure_hook(
        OpaqueState, lambda state: {"provider": state.provider, "value": state.value}
    )
    converter.register_structure_hook(
        OpaqueState, lambda value, _: OpaqueState(value["provider"], value["value"])
    )
    converter.register_unstructure_hook_func(lambda cls: cls == Mapping[str, Any], dict)
    converter.register_structure_hook_func(lambda cls: cls == Mapping[str, Any], lambda value, _: dict(value))
    for part in get_args(Part):
        converter.register_unstructure_hook(
            part, make_dict_unstructure_fn(part, converter, _cattrs_omit_if_default=True)
        )
    configure_tagged_union(Part, converter, tag_name="type", tag_generator=_tag)
    return converter


def _tag(part: type[Any]) -> str:
    """``ToolCall`` is stored as ``tool_call``: the names outlive the classes."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in part.__name__)[1:]


CONVERTER = _make_converter()


def encode_json(value: object) -> bytes:
    """
    Write plain JSON data as compact UTF-8.

    A lone surrogate, which no UTF-8 can hold, is replaced by U+FFFD.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_plain(value))


def decode_json(text: bytes | str) -> Any:
    """
    Read JSON.

    Raises:
        ProtocolError: It is none.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if isinstance(text, bytes) and not _is_utf8(text):
            return decode_json(text.decode("utf-8", "replace"))
        raise ProtocolError(f"the answer is not valid JSON: {error.msg} at character {error.pos}") from error


def encode_parts(parts: tuple[Part, ...]) -> bytes:
    """Write message parts as JSON, each with its ``type``."""
    return encode_json(CONVERTER.unstructure(parts, tuple[Part, ...]))


def decode_parts(text: bytes | str) -> tuple[Part, ...]:
    """Read message parts; the inverse of :func:`encode_parts`."""
    return CONVERTER.structure(orjson.loads(text), tuple[Part, ...])


def structure(value: object, into: type[T]) -> T:
    """
    Build a value from plain data.

    Raises:
        Exception: cattrs' own, with the path to what does not fit; the caller names where it came from.
    """
    return CONVERTER.structure(value, into)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """Make foreign data encodable: mappings and sequences of any class, and no lone surrogates."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8") if not value.isascii() else value
        case Mapping():
            return {str(_plain(key)): _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple():
            return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
