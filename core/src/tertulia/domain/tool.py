"""What a model may call, and the shape its answer may be asked to have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({"type": "object", "properties": {}})


@attrs.frozen
class Tool:
    """
    A function a model may call, as the model is told of it.

    Attributes:
        name: 1 to 64 of the characters ``A-Z a-z 0-9 _ -``, which every provider takes.

        description: What it does, and when to use it.

        parameters: A JSON Schema of the object its arguments are.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = NO_PARAMETERS


@attrs.frozen
class HostedTool:
    """
    A tool that the provider runs itself: searching the web, running code.

    Attributes:
        name: The provider's own name for it, such as ``web_search`` or ``googleSearch``.

        settings: What else the provider wants to be told about it.
    """

    name: str
    settings: Mapping[str, Any] = MappingProxyType({})


@attrs.frozen
class ResponseSchema:
    """
    The shape an answer must have.

    Attributes:
        name: 1 to 64 of the characters ``A-Z a-z 0-9 _ -``.

        schema: A JSON Schema of an object.

        description: What it is; None to leave that to the schema.
    """

    name: str
    schema: Mapping[str, Any]
    description: str | None = None
