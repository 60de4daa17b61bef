"""Models: what they can do and what they cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum

import attrs

from tertulia.domain.price import Price, is_snapshot


class Capability(StrEnum):
    """Something a model can do."""

    STREAMING = "streaming"
    SYSTEM = "system"
    VISION = "vision"
    DOCUMENTS = "documents"
    AUDIO = "audio"
    VIDEO = "video"
    TOOLS = "tools"
    STRUCTURED_OUTPUT = "structured_output"
    REASONING = "reasoning"
    SAMPLING = "sampling"


@attrs.frozen
class MediaLimits:
    """
    Which attachments of one kind a service takes.

    What is beyond them is refused before it is sent, or, further back in the history, replaced by a note.

    Attributes:
        media_types: Such as ``image/png``.

        max_bytes: Of one attachment; None for no limit.

        max_total_bytes: Of all attachments of a request together; None for no limit.

        data: Whether the service takes them in the request itself.

        urls: Whether the service fetches them from their addresses.

        files: Whether the service takes those that were uploaded to it before.
    """

    media_types: frozenset[str]
    max_bytes: int | None = None
    max_total_bytes: int | None = None
    data: bool = True
    urls: bool = False
    files: bool = False


@attrs.frozen
class ModelInfo:
    """
    What is known of a model.

    Attributes:
        provider: The configured name of the provider that offers it.

        id: The name to ask for.

        display_name: A name for people; None when the provider gives none.

        context_window: Tokens of prompt and answer together; None when unknown.

        max_input_tokens: Tokens of prompt; None when unknown.

        max_output_tokens: Tokens of answer, reasoning included; None when unknown.

        capabilities: What it is known to do; None when nothing is known, which is not "nothing".

        aliases: Other names for it.

        price: What it costs: in a provider's list what that says, from :meth:`Client.models` the row that
            holds now, the user's own prices and factor in it; None when unknown.

        reasoning_efforts: The words for ``Options.reasoning_effort`` it takes; None when unknown, empty where
            it takes none.

        refused_options: Names of the fields of :class:`tertulia.Options` it is known to refuse.

        created: When it was published; None when unknown.

        shutdown_on: The first day without it; None when none is announced.

        successor: The model to use instead of one that is going or gone; None when there is none.

        gone_at: When the provider's list was first seen without it; None while it is listed.
    """

    provider: str
    id: str
    display_name: str | None = None
    context_window: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[Capability] | None = None
    aliases: tuple[str, ...] = ()
    price: Price | None = None
    reasoning_efforts: tuple[str, ...] | None = None
    refused_options: frozenset[str] = frozenset()
    created: datetime | None = None
    shutdown_on: date | None = None
    successor: str | None = None
    gone_at: datetime | None = None

    def covers(self, model: str) -> bool:
        """Whether a name means this model: its id, an alias, or a dated snapshot of one."""
        return any(is_snapshot(name, model) for name in (self.id, *self.aliases))


def find_model(models: Iterable[ModelInfo], model: str) -> ModelInfo | None:
    """Choose what is known of a model: an exact id or alias before the longest prefix."""
    found = [info for info in models if info.covers(model)]
    return max(found, key=lambda info: (model in (info.id, *info.aliases), len(info.id)), default=None)
