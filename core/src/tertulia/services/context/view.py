"""The conversation behind a request, as strategies see it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

import attrs

from tertulia.domain.context import Candidate, Context, Outline, Related
from tertulia.domain.exchange import Request
from tertulia.domain.message import NO_MARK, Message, Role
from tertulia.services.budgets import Spending
from tertulia.services.context.guard import is_in_order
from tertulia.services.context.recall import Corpus, Query, make_query
from tertulia.services.core import Core
from tertulia.services.path import KEPT_BACK, WHOLE, Path, concerns_tools, may_be_sent

MOST_CANDIDATES = 256
_LAST_SAID = 3
_RANKED = ("ranked by a plugin",)
_GROUP = 16


@attrs.define(eq=False)
class PathView:
    """
    See :class:`tertulia.ContextView`.

    Attributes:
        core: The client's parts.

        conversation_id: Which conversation it is.

        branch: On which branch.

        path: What was read of it.

        request: What is going to be sent, with the messages that must be.

        before: The depth of the message that opened the turn: what is there and below is seen.

        looks_back: How much of what is asked is known only from before the window; None while nobody looked.

        question: What was looked for; empty while nobody looked.

        is_elliptical: Whether the newest message says too little to be understood on its own.

        warnings: What there is to say of the choice, a sentence each.

        spending: What may be spent; None where nobody minds.

        may_ask: Whether a model may be asked about it, which costs money.
    """

    core: Core
    conversation_id: UUID
    branch: str
    path: Path
    request: Request
    before: int
    looks_back: float | None = None
    question: str = ""
    is_elliptical: bool = False
    warnings: list[str] = attrs.field(factory=list[str])
    spending: Spending | None = None
    may_ask: bool = True
    _own: Context | None = None
    _outline: Outline | None = None
    _since: int | None = None
    _around_text: int | None = None
    _counted: tuple[Sequence[Message], int] = (), 0

    @property
    def newest(self) -> Message:
        """The message that opened the turn."""
        return self.request.messages[-1]

    async def outline(self) -> Outline:
        """What there is before the newest user message; it is asked for often, and stays as it is."""
        if self._outline is None:
            path = self.path
            marked = tuple(message for message in path.marked if self._is_before(message))
            tokens = max(0, path.tokens - self._count_since())
            self._outline = Outline(path.system, marked, self.before, tokens)
        return self._outline

    async def history(self, limit: int | None = None) -> Sequence[Message]:
        """What was said before the newest user message, oldest first."""
        path = self.path
        wanted = None if limit is None else limit + self._later
        await path.read_messages(self.core, self.conversation_id, self.branch, wanted)
        messages = self._loaded()
        return messages if limit is None else messages[max(0, len(messages) - limit) :]

    async def recent(self, tokens: int) -> Sequence[Message]:
        """The newest messages that have so many stored tokens together."""
        since = self._count_since()
        await self.path.read_back(self.core, self.conversation_id, self.branch, tokens + since)
        messages = self._loaded()
        start, left = len(messages), tokens
        while start and (left := left - self.path.count_stored(messages[start - 1])) >= 0:
            start -= 1
        return messages[start:]

    async def recall(self, before: int) -> Sequence[Candidate]:
        """What was said before a depth and answers to the newest user message, the best first."""
        said = await self._find_said()
        query = make_query([message.text for message in said])
        is_ranked = self.core.plugins.has_answer("rank_messages", self.request.target.provider)
        if query.is_empty and not is_ranked:
            return ()
        related = await self._find_candidates(query, before)
        if not related.messages:
            return ()
        if self.path.is_whole:  # so the same is found in any process, whatever it has looked for before
            self.path.recall.learn(self._loaded())
        corpus = None if related.counts == () else Corpus(related.message_count, related.counts)
        found = self.path.recall.rank(query, related.messages, corpus=corpus)
        ranked = await self._rank(query, found, related.messages) if is_ranked else None
        found = found if ranked is None else ranked
        recent = [message for message in self._loaded() if (message.depth or 0) >= before]
        self.looks_back = self.path.recall.measure_pull(query, found, recent)
        if ranked:  # who ranks by meaning knows of answers that share no word with what is asked
            self.looks_back = max(self.looks_back, min(1.0, ranked[0].score))
        self.question, self.is_elliptical = query.question, query.question != query.text
        return found

    async def _find_said(self) -> Sequence[Message]:
        """The user's last messages, the newest last."""
        recent = await self.history(4 * _LAST_SAID)
        said = [message for message in recent if message.role is Role.USER]
        return (*said[-_LAST_SAID + 1 :], self.newest)

    async def _find_candidates(self, query: Query, before: int) -> Related:
        path, core = self.path, self.core
        if not path.is_whole:
            related = await core.store.find_related(
                core.owner,
                self.conversation_id,
                self.branch,
                query.alternatives,
                before_depth=before,
                limit=MOST_CANDIDATES,
            )
            if related is not None:
                return attrs.evolve(related, messages=tuple(self._choose_shown(related.messages, before)))
        earlier = tuple(self._choose_shown(await self.history(), before))
        if len(earlier) > WHOLE:
            return path.index.find(earlier, query.alternatives, limit=MOST_CANDIDATES)
        return Related(earlier, (), len(earlier))

    def _choose_shown(self, messages: Iterable[Message], before: int) -> Iterator[Message]:
        """Those that may be quoted: what is pinned is sent anyway."""
        now = self.core.clock.now()
        for message in messages:
            is_plain = message.mark is NO_MARK and message.role is not Role.TOOL  # most are
            if (message.depth or 0) < before and (is_plain or _may_be_quoted(message, now)):
                yield message

    async def _rank(
        self, query: Query, found: Sequence[Candidate], messages: Sequence[Message]
    ) -> Sequence[Candidate] | None:
        """Let plugins put messages in order, also those that words do not find; None where they pass."""
        known = {candidate.message.id for candidate in found}
        others = (Candidate(message, 0.0) for message in reversed(messages) if message.id not in known)
        candidates = (*found, *others)
        scores = await self.core.plugins.rank_messages(self.request, query.question, candidates)
        if scores is None:
            return None
        ranked = [
            attrs.evolve(candidate, score=score, reasons=candidate.reasons or _RANKED)
            for candidate, score in zip(candidates, scores, strict=True)
            if score > 0
        ]
        return sorted(ranked, key=lambda candidate: candidate.score, reverse=True)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Estimate the tokens of some messages for the request's target."""
        # The same are counted where they are chosen, for the report and by the guard.
        if messages is self._counted[0]:
            return self._counted[1]
        tokens = self.path.count_tokens(self.core, self.request.target, messages)
        if isinstance(messages, tuple):  # it cannot change
            self._counted = messages, tokens
        return tokens

    def count_text(self, text: str) -> int:
        """Estimate the tokens of words in one of the request's messages."""
        count, target = self.core.plugins.count_tokens, self.request.target
        if self._around_text is None:
            self._around_text = count(target, (Message(Role.USER, ()),))
        return count(target, (Message.of(Role.USER, text),)) - self._around_text

    def count_stored(self, message: Message) -> int:
        """The tokens that were stored with a message."""
        return self.path.count_stored(message)

    async def hold_together(self, messages: Iterable[Message]) -> Sequence[Message]:
        """
        Messages with what they are not to be sent without, oldest first.

        That are calls and their results, whichever is asked for, and for an answer what it answers.
        """
        held: dict[UUID, Message] = {}
        for message in messages:
            for each in await self._find_group(message):
                if each.id is not None:
                    held[each.id] = each
        return sorted(held.values(), key=lambda message: message.depth or 0)

    async def _find_group(self, message: Message) -> Sequence[Message]:
        if message.role is Role.USER:
            return (message,)
        assert message.id is not None and message.depth is not None  # noqa: PT018, S101  # it is stored
        if message.id not in self.path.groups:
            around = await self._read_around(message.depth)
            at = bisect_left(around, message.depth, key=lambda each: each.depth or 0)
            is_there = at < len(around) and around[at].id == message.id
            self.path.keep_group(message.id, _find_group(around, at) if is_there else (message,))
        return self.path.groups[message.id]

    async def _read_around(self, depth: int) -> Sequence[Message]:
        """The messages around a depth, as far as a turn usually goes."""
        loaded = self._loaded()
        if self.path.is_whole or (loaded and (loaded[0].depth or 0) <= max(0, depth - _GROUP)):
            return loaded
        core = self.core
        found = await core.store.get_messages(
            core.owner,
            self.conversation_id,
            self.branch,
            before_depth=min(self.before, depth + _GROUP),
            limit=2 * _GROUP,
        )
        return self.path.show(found, core.clock.now())

    def make(self, context: Context) -> Context:
        """Remember a context as one of ours: what was changed in it, was changed by us."""
        self._own = context
        return context

    def is_own(self, found: object) -> bool:
        """Whether a context is the one that was made here."""
        return found is self._own

    def is_known(self, chosen: Sequence[Message]) -> bool:
        """Whether chosen messages are the conversation's, as they are there and in their order."""
        given = (
            *self._loaded(),
            *self.path.marked,
            *(each for group in self.path.groups.values() for each in group),
        )
        return is_in_order(chosen, {message.id: message for message in given if message.id is not None})

    def _is_before(self, message: Message) -> bool:
        return message.depth is not None and message.depth < self.before

    def _loaded(self) -> Sequence[Message]:
        messages = self.path.messages
        return messages[: len(messages) - self._later] if self._later else messages

    @property
    def _later(self) -> int:
        """How many of the messages that were read came after the one that opened the turn."""
        if self._since is None:
            since = 0
            for message in reversed(self.path.messages):
                if self._is_before(message):
                    break
                since += 1
            self._since = since
        return self._since

    def _count_since(self) -> int:
        messages = self.path.messages
        later = messages[len(messages) - self._later :] if self._later else ()
        return sum(map(self.path.count_stored, later))


def _may_be_quoted(message: Message, now: datetime) -> bool:
    """Whether there is something in it, and nobody pinned it or keeps it from models."""
    is_stub = message.role is Role.TOOL and not message.tokens and KEPT_BACK in message.searchable_text
    return not message.mark.pinned and not is_stub and may_be_sent(message, now)


def _find_group(around: Sequence[Message], at: int) -> Sequence[Message]:
    start, end = at, at + 1
    while start > 0 and around[start].role is Role.TOOL:
        start -= 1
    while concerns_tools(around[start]) and end < len(around) and around[end].role is Role.TOOL:
        end += 1
    group = around[start:end]
    places = range(start, -1, -1)
    opening = next((around[place] for place in places if around[place].role is Role.USER), None)
    return group if opening is None or opening is group[0] else (opening, *group)
