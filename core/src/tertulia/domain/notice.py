"""What observers are told, each logical event once."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt
from tertulia.domain.event import FallbackTaken
from tertulia.domain.exchange import Reply, Target


@attrs.frozen
class AttemptStarted:
    """A provider is about to be called."""

    conversation_id: UUID
    attempt: Attempt


@attrs.frozen
class AttemptEnded:
    """A call to a provider ended, however it did, and is stored."""

    conversation_id: UUID
    attempt: Attempt


@attrs.frozen
class FellBack:
    """A target failed before any content, and the next one is asked."""

    conversation_id: UUID
    fallback: FallbackTaken


@attrs.frozen
class Answered:
    """A send ended with an answer."""

    conversation_id: UUID
    reply: Reply


@attrs.frozen
class SendFailed:
    """A send ended without a whole answer."""

    conversation_id: UUID
    message_id: UUID
    error: BaseException


@attrs.frozen
class Switched:
    """A conversation goes on with another provider or model."""

    conversation_id: UUID
    before: Target
    after: Target


Notice: TypeAlias = AttemptStarted | AttemptEnded | FellBack | Answered | SendFailed | Switched
"""Anything the ``observe`` hook is called with."""
