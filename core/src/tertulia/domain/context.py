"""How much a model gets to see, what was chosen for it, and how that is to be chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args
from uuid import UUID

import attrs

from tertulia.domain.message import Message

RecallMode: TypeAlias = Literal["auto", "always", "never"]
"""When earlier messages are quoted: where the newest message looks back, in each request, or in none."""

OptimiseMode: TypeAlias = Literal["lossless", "superseded", "off"]
"""What is sent once only: equal results and documents, also results that a later one replaces, or nothing."""

STRATEGIES = ("recall", "recent", "important", "summary")
"""The built-in ways to choose a context; ``recall`` is the default."""


@attrs.frozen
class ContextOptions:
    """
    How a context is chosen. None leaves the choice to whatever is less specific.

    A call's own options win over its conversation's, those over its model's, and those over the
    configuration's.

    Attributes:
        strategy: ``recall``: what was said last, and what of the past the newest message asks for.
            ``recent``: what was said last. ``important``: the same, and the messages marked as important.
            ``summary``: the same, and a summary of what was said before. A plugin may know other names.

        max_tokens: Tokens a request may hold, never more than the model's window does.

        max_messages: Recent messages at most, the newest counted and the system's not.

        reserve_tokens: Of the model's window, what is left free for the answer; None for what the options
            allow it, else 4,096, and at most half of the window.

        recall: When earlier messages are quoted, with the strategy ``recall``.

        max_recall_tokens: What those may take together; None for what fits beside the window.

        optimise: What is left out because the request holds it already; never done where everything fits.

        summary_model: ``provider/model`` that writes summaries; None for the one that answers.
    """

    strategy: str | None = None
    max_tokens: int | None = None
    max_messages: int | None = None
    reserve_tokens: int | None = None
    recall: RecallMode | None = None
    max_recall_tokens: int | None = None
    optimise: OptimiseMode | None = None
    summary_model: str | None = None

    def over(self, other: ContextOptions) -> ContextOptions:
        """Return these options, with another's where these are None."""
        if other == NO_CONTEXT_OPTIONS:
            return self
        mine = attrs.asdict(self, filter=lambda _, value: value is not None)
        return attrs.evolve(other, **mine) if mine else other


def find_mistake(options: ContextOptions) -> tuple[str, str] | None:
    """
    Return the first field that cannot be used, and what it would have to be; None where all can.

    Example:
        >>> find_mistake(ContextOptions(max_tokens=0))
        ('max_tokens', 'a whole number of at least 1')
    """
    for name, least in _LEAST.items():
        value: object = getattr(options, name)
        if value is not None and (type(value) is not int or value < least):
            return name, f"a whole number of at least {least}"
    for name, known in _KNOWN.items():
        if getattr(options, name) not in (None, *known):
            return name, f"one of {', '.join(known)}"
    for name in ("strategy", "summary_model"):
        text: object = getattr(options, name)
        if text is not None and not (isinstance(text, str) and text.strip()):
            return name, "a text that is not empty"
    return None


_LEAST = {"max_tokens": 1, "max_messages": 1, "reserve_tokens": 0, "max_recall_tokens": 0}
_KNOWN: dict[str, tuple[str, ...]] = {
    "recall": get_args(RecallMode),
    "optimise": get_args(OptimiseMode),
}

NO_CONTEXT_OPTIONS = ContextOptions()
"""Nothing was said."""


def merge_options(layers: Iterable[ContextOptions | None]) -> ContextOptions:
    """
    Put layers of options together, the most specific first.

    Example:
        >>> merge_options([ContextOptions(max_tokens=500), None, ContextOptions("recent", 900)]).strategy
        'recent'
    """
    merged = NO_CONTEXT_OPTIONS
    for layer in layers:
        if layer is not None and layer != NO_CONTEXT_OPTIONS:
            merged = merged.over(layer)
    return merged


@attrs.frozen
class Window:
    """
    How much a request may hold, and how what it holds is chosen.

    Attributes:
        max_tokens: Tokens for everything that is sent; None when there is no known limit.

        max_messages: Recent messages at most, the system's not counted; None for no limit.

        reserved_tokens: Of the model's window, what is left free for the answer.

        stable_tokens: Stored tokens that the recent messages may grow to before they are cut; None for no
            limit. It does not depend on what is asked, so that what is sent begins alike from turn to turn.

        options: What was set, on every level together.
    """

    max_tokens: int | None = None
    max_messages: int | None = None
    reserved_tokens: int = 0
    stable_tokens: int | None = None
    options: ContextOptions = NO_CONTEXT_OPTIONS

    @property
    def strategy(self) -> str:
        """The name of the strategy that was chosen: ``recall`` where none was."""
        return self.options.strategy or STRATEGIES[0]


@attrs.frozen
class Candidate:
    """
    A message of the past that may be recalled.

    Attributes:
        message: What was said.

        score: How well it answers to the newest message: higher is better, and 0 or less is not at all. Only
            candidates of one request can be compared.

        reasons: Why, in a few words each.
    """

    message: Message
    score: float
    reasons: tuple[str, ...] = ()


@attrs.frozen
class Recalled:
    """
    A message of the past that was quoted before the newest message.

    Attributes:
        depth: Its place counted from the root.

        score: As of its :class:`Candidate`.

        tokens: What its quotation takes, estimated.

        reasons: Why it was chosen, in a few words each.

        is_whole: Whether all of its words were quoted; else a passage of them.
    """

    message_id: UUID
    depth: int
    score: float
    tokens: int
    reasons: tuple[str, ...] = ()
    is_whole: bool = True


@attrs.frozen
class Dropped:
    """
    Messages that were left out of one request for one reason.

    Attributes:
        message_ids: Which, oldest first; None where they were not read, because they are many.

        tokens: Their estimated tokens together.

        reason: Why, in words.

        count: How many they are.
    """

    message_ids: tuple[UUID | None, ...] | None
    tokens: int
    reason: str
    count: int = attrs.field(default=attrs.Factory(lambda self: len(self.message_ids or ()), takes_self=True))


@attrs.frozen
class ContextReport:
    """
    What was sent and what was left out.

    Attributes:
        kept_count: Messages sent.

        tokens: Their estimated tokens.

        budget: The tokens there were; None for no limit.

        dropped: What was left out of this request only; it stays in the history. What is quoted of it is in
            ``recalled``.

        strategy: Who chose: the name of a built-in strategy, or ``format_context`` for a plugin.

        parts: The tokens by part, in the order in which they are sent: ``system``, ``pinned``, ``summary``,
            ``window``, ``recalled``, ``newest message``, and ``tool calls`` that followed it. Parts of no
            tokens are left out.

        recalled: What was quoted of the past, in the order it was said.

        looks_back: How much of what the newest message asks for is known only from before the window, from 0
            to 1; None where nobody looked.

        optimised_tokens: Saved by sending once what was there twice.

        warnings: What else there is to say of the choice, a sentence each.
    """

    kept_count: int
    tokens: int
    budget: int | None = None
    dropped: tuple[Dropped, ...] = ()
    strategy: str = "recall"
    parts: Mapping[str, int] = MappingProxyType({})
    recalled: tuple[Recalled, ...] = ()
    looks_back: float | None = None
    optimised_tokens: int = 0
    warnings: tuple[str, ...] = ()


@attrs.frozen
class Context:
    """What one request holds, oldest first, and the report about it."""

    messages: tuple[Message, ...]
    report: ContextReport


@attrs.frozen
class Outline:
    """
    What a branch holds before a place in it, without its messages.

    Attributes:
        system: Its system messages, oldest first.

        marked: Those of its messages of which anything is said: pins, importance, what is hidden or expires.

        message_count: Its messages, whatever their role and status.

        tokens: The estimated tokens of its messages, those aside that nobody answered.
    """

    system: tuple[Message, ...] = ()
    marked: tuple[Message, ...] = ()
    message_count: int = 0
    tokens: int = 0


@attrs.frozen
class Related:
    """
    What a search of the past has found.

    Attributes:
        messages: What holds the rarest of the words, and what was said around it; oldest first.

        counts: For each sought word, how many messages of the conversation hold it, as far as was counted.

        message_count: Messages that were searched.
    """

    messages: tuple[Message, ...]
    counts: tuple[int, ...]
    message_count: int


@attrs.frozen
class Summary:
    """
    What was said up to a message, in fewer words.

    Attributes:
        message_id: The last message it covers.

        depth: That message's place.

        kind: What made it: summaries of different kinds are kept apart.

        text: The summary.

        tokens: Its estimated tokens.

        created_at: In UTC.
    """

    message_id: UUID
    depth: int
    kind: str
    text: str
    tokens: int
    created_at: datetime
