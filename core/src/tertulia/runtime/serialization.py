"""The one place where values become JSON and back."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias, get_args

import orjson
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn
from cattrs.strategies import configure_tagged_union

from tertulia.domain.media import OpaqueState
from tertulia.domain.message import Part
from tertulia.domain.model import Capability, ModelInfo
from tertulia.errors import ProtocolError
from tertulia.wire.protocol import MOST_LEVELS, is_too_deep, read_finite, replace_surrogates


def _make_converter() -> Converter:
    converter = Converter(omit_if_default=True, forbid_extra_keys=False)
    # Foreign JSON stays exactly as it came.
    converter.register_unstructure_hook(
        OpaqueState, lambda state: {"provider": state.provider, "value": state.value}
    )
    converter.register_structure_hook(
        OpaqueState, lambda value, _: OpaqueState(value["provider"], value["value"])
    )
    converter.register_unstructure_hook_func(lambda cls: cls == Mapping[str, Any], dict)
    converter.register_structure_hook_func(lambda cls: cls == Mapping[str, Any], lambda value, _: dict(value))
    _add_facts(converter)
    for part in get_args(Part):
        converter.register_unstructure_hook(
            part, make_dict_unstructure_fn(part, converter, _cattrs_omit_if_default=True)
        )
    configure_tagged_union(Part, converter, tag_name="type", tag_generator=_tag)
    return converter


def _add_facts(converter: Converter) -> None:
    """What is known of models: money as text, moments in ISO 8601, sets in order."""
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    converter.register_unstructure_hook(date, date.isoformat)
    converter.register_structure_hook(date, lambda value, _: date.fromisoformat(value))
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    converter.register_unstructure_hook_func(
        lambda cls: cls in (frozenset[str], frozenset[Capability]), sorted
    )
    converter.register_structure_hook_func(
        lambda cls: cls == frozenset[Capability], lambda value, _: _read_capabilities(value)
    )


def _read_capabilities(words: Iterable[str]) -> frozenset[Capability]:
    """A word of a later version is passed over."""
    return frozenset(Capability(word) for word in words if word in _CAPABILITIES)


_CAPABILITIES = frozenset(map(str, Capability))


def _tag(part: type[Any]) -> str:
    """``ToolCall`` is stored as ``tool_call``: the names outlive the classes."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in part.__name__)[1:]


CONVERTER = _make_converter()
_TOO_DEEP = "the answer is not readable: its JSON is nested too deeply"


def encode_json(value: object) -> bytes:
    """
    Write plain JSON data as compact UTF-8.

    What orjson does not take the standard library writes: whole numbers beyond 64 bits, mappings of any
    class. A lone surrogate, which no UTF-8 can hold, becomes U+FFFD, and a float that is no number null.

    Raises:
        TypeError, ValueError, RecursionError: It is no plain data, or nested too deeply.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decode_json(text: bytes | str) -> Any:
    """
    Read JSON.

    What orjson does not take the standard library may: a byte order mark, broken UTF-8 and the lone
    surrogates that some models write; both become U+FFFD.

    Raises:
        ProtocolError: It is none, or nested so deeply that it could not be written again.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _decode_leniently(text if isinstance(text, str) else text.decode("utf-8", "replace"))
    # Brackets are counted in no time; only of a text with many is it asked how they are nested.
    if len(text) > 2 * MOST_LEVELS and _count_brackets(text) > MOST_LEVELS and is_too_deep(value):
        raise ProtocolError(_TOO_DEEP)
    return value


def _count_brackets(text: bytes | str) -> int:
    if isinstance(text, str):
        return text.count("{") + text.count("[")
    return text.count(b"{") + text.count(b"[")


def _decode_leniently(text: str) -> Any:
    try:
        value = json.loads(text.removeprefix("\ufeff"), parse_constant=_refuse, parse_float=read_finite)
        return _plain(value) if "\\u" in text else value
    except RecursionError as error:
        raise ProtocolError(_TOO_DEEP) from error
    except ValueError as error:
        where = f": {error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise ProtocolError(f"the answer is not valid JSON{where}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


Keep: TypeAlias = Callable[[bytes, str | None], str]
"""Takes bytes and their media type, and returns the name under which they are kept."""

Find: TypeAlias = Callable[[str], bytes]
"""Returns the bytes that are kept under a name."""


def encode_parts(parts: tuple[Part, ...], keep: Keep | None = None) -> bytes:
    """
    Write message parts as JSON, each with its ``type``.

    Args:
        keep: Keeps the bytes of images apart, so that the JSON holds ``{"sha256": name}`` for them; None to
            write them into it, as Base64.
    """
    plain: list[dict[str, Any]] = CONVERTER.unstructure(parts, tuple[Part, ...])
    for part in plain:
        if isinstance(content := part.get("data"), bytes):
            part["data"] = (
                base64.b64encode(content).decode()
                if keep is None
                else {"sha256": keep(content, part.get("media_type"))}
            )
    return encode_json(plain)


def has_kept_bytes(text: str) -> bool:
    """Whether parts written so may name bytes that are kept apart; a message about such JSON may as well."""
    return '"sha256"' in text


def decode_parts(text: bytes | str, find: Find | None = None) -> tuple[Part, ...]:
    """
    Read message parts; the inverse of :func:`encode_parts`.

    Args:
        find: Finds the bytes that were kept apart; None where none were.

    Raises:
        Exception: It is none of ours: the standard library's and cattrs' own, for the caller to explain.
    """
    # Not with orjson, which would make a float of a whole number beyond 64 bits.
    return structure_parts(json.loads(text), find)


def structure_parts(plain: Any, find: Find | None = None) -> tuple[Part, ...]:
    """Make message parts of JSON that is read already, changing it; otherwise as :func:`decode_parts`."""
    for part in plain:
        match part:
            case {"data": str(content)}:
                part["data"] = base64.b64decode(content, validate=True)
            case {"data": {"sha256": str(name)}} if find is not None:
                part["data"] = find(name)
            case _:
                pass
    return CONVERTER.structure(plain, tuple[Part, ...])


def encode_model(info: ModelInfo) -> bytes:
    """Write what is known of a model as JSON, without its name and its provider's."""
    plain: dict[str, Any] = CONVERTER.unstructure(info)
    return encode_json({name: fact for name, fact in plain.items() if name not in {"provider", "id"}})


def decode_model(text: bytes | str, provider: str, model: str) -> ModelInfo:
    """
    Read what is known of a model; the inverse of :func:`encode_model`.

    Raises:
        Exception: It is none of ours: the standard library's and cattrs' own, for the caller to explain.
    """
    return CONVERTER.structure({**json.loads(text), "provider": provider, "id": model}, ModelInfo)


def _plain(value: Any) -> Any:
    """Make foreign data encodable: mappings and sequences of any class, no lone surrogates, no infinity."""
    match value:
        case str():
            return value if value.isascii() else replace_surrogates(value)
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(_plain(key)): _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple():
            return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
