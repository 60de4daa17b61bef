"""
The hooks: the reference manual of everything a plugin can answer.

One rule holds for all of them: *an override answers first; else the addressed provider; else the core's
default; wrappers stand around whoever answers.*

A provider is a plugin that subclasses :class:`tertulia.Provider`: its methods named like a hook are the
hook, and are only ever called for the provider itself. Every other plugin marks its functions with
:data:`tertulia.hookimpl` and answers for all providers; it may take any subset of the arguments shown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import pluggy

from tertulia.contracts.context import ContextView
from tertulia.contracts.store import Store
from tertulia.domain.context import Candidate, Context, Window
from tertulia.domain.exchange import Delta, Request, Target
from tertulia.domain.message import Message
from tertulia.domain.model import ModelInfo
from tertulia.domain.notice import Notice
from tertulia.domain.tokens import TokenWeights
from tertulia.domain.usage import Billing, Cost, Usage
from tertulia.errors import ErrorKind

if TYPE_CHECKING:
    from typing import Protocol

    F = TypeVar("F", bound=Callable[..., Any])

    class HookImplementation(Protocol):
        """Marks a function as the implementation of the hook it is named after."""

        @overload
        def __call__(self, function: F, /) -> F: ...
        @overload
        def __call__(
            self,
            *,
            wrapper: bool = False,
            tryfirst: bool = False,
            trylast: bool = False,
            specname: str | None = None,
        ) -> Callable[[F], F]: ...


PROJECT = "tertulia"
API_VERSION = 1
"""What a plugin says as ``TERTULIA_API``; it grows when a hook changes in a way that breaks plugins."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = cast("HookImplementation", pluggy.HookimplMarker(PROJECT))


class Defer:
    """The type of :data:`DEFER`."""

    def __repr__(self) -> str:
        return "DEFER"


DEFER = Defer()
"""What an ``async def`` override returns to say: not me, ask the next one."""


class HookSpecifications:
    """All hooks; each says who may answer, who answers otherwise, and how often it is called."""

    @hookspec(firstresult=True)
    def send_message(self, request: Request) -> AsyncIterator[Delta]:  # type: ignore[empty-body]
        """
        Send one request to one provider and yield its answer.

        Answered by the addressed provider, once per attempt. The iterator yields any number of
        ``TextDelta``, ``ReasoningDelta``, ``ToolCallDelta`` and ``Translated``, then exactly one
        ``ProviderReply``, and only on positive evidence that the answer is whole. It raises
        :class:`tertulia.ProviderError`, nothing else, keeps to ``request.timeouts`` and
        ``request.deadline``, and is closed by the core in the end.

        With ``wrapper=True`` this is the middleware of the house: caching, audit and tracing stand
        around whoever answers. A wrapper is a function that yields once and returns an iterator::

            @tertulia.hookimpl(wrapper=True)
            def send_message(self, request):
                answer = yield              # the provider's iterator; nothing has been sent yet
                return self.timed(answer)   # an async generator of your own around it
        """

    @hookspec(firstresult=True)
    def list_models(self) -> Awaitable[Sequence[ModelInfo]]:  # type: ignore[empty-body]
        """
        Ask the provider which models there are, now.

        Answered by the addressed provider, when a caller asks for its models and never by itself.
        Returns an awaitable; a failure is raised and never reads as an empty list.
        """

    @hookspec(firstresult=True)
    def calculate_cost(
        self,
        target: Target,
        vendor: str | None,
        model: str,
        usage: Usage,
        billing: Billing,
        at: datetime,
    ) -> Cost | None:
        """
        Price one attempt.

        Answered by an override, else by the addressed provider from its dated price rows, once per
        settled attempt, and for an estimate before one; where the user's own prices have a row, nobody is
        asked. ``target`` is who was asked for which model, ``model`` the one that answered, as the provider
        names it. ``vendor`` is the driver's name where its vendor's own address answers, None at any other:
        nobody can know what is charged there. ``at`` is when the attempt began, in UTC. ``None`` passes
        the question on; when nobody knows, the cost is unknown, which is never zero::

            @tertulia.hookimpl
            def calculate_cost(self, model, usage):
                if model == "house-model":
                    return Cost(Money.from_usd("0.01"))
        """

    @hookspec(firstresult=True)
    def count_tokens(self, model: str, messages: Sequence[Message], weights: TokenWeights) -> int | None:
        """
        Count the tokens of some messages, without the network.

        Answered by an override, else by the addressed provider, else by the core's estimator. Called once
        per message that a context may hold, so that the messages of a request are the sum of each.
        ``weights`` is what the addressed provider counts besides words: images, pages, a constant per
        message. ``None`` passes. With a vocabulary of your own::

            @tertulia.hookimpl
            def count_tokens(self, model, messages, weights):
                if model.startswith("house-"):
                    return tertulia.count_messages(messages, weights, count_text=self.count_text)
        """

    @hookspec(firstresult=True)
    def format_context(
        self, view: ContextView, request: Request, window: Window
    ) -> Context | Sequence[Message] | Awaitable[Context | Sequence[Message] | Defer] | None:
        """
        Choose what the target sees: this is where context truncation is overridden.

        Answered by an override, else by the core, once per target of a send. ``request.messages`` holds
        what must be sent, the system messages and the newest user message; ``view`` gives what came
        before; ``window`` says how much fits, and by its ``strategy`` what was asked for by name. Calls of
        tools and their results that followed the newest user message are sent after whatever is chosen, and
        have their place in the window already. Returns the messages to send, oldest first, as a ``Context``
        or plainly as a sequence; ``None`` passes. May be ``async def``, and then returns ``DEFER`` to pass.
        The newest user message may get parts before its own.

        Whatever is returned, the core repairs calls and results that stand alone, and refuses a request that
        lost a system message, a pinned one or the newest user message, that has what is not of the
        conversation, or that is over the budget::

            @tertulia.hookimpl
            async def format_context(self, view, request):
                *system, newest = request.messages
                history = await view.history()
                pinned = [message for message in history[:-4] if message.mark.pinned]
                return [*system, *pinned, *history[-4:], newest]
        """

    @hookspec(firstresult=True)
    def rank_messages(
        self, request: Request, question: str, candidates: Sequence[Candidate]
    ) -> Sequence[float] | Awaitable[Sequence[float] | Defer] | None:
        """
        Say how well earlier messages answer to the newest one: this is where embeddings come in.

        Answered by an override, else the scores of the core stay. Called once per request of which not
        everything fits, with all ``candidates`` before the window or, of more than 1,000 messages, with what
        the store's index finds; the best first by the core's own ``score``, which is 0 where words find
        nothing. ``question`` is what is looked for: the newest user message, with those before it where it
        is too short to say. Returns a score for each candidate, in their order: higher is better, 0 or less
        is never recalled, 1 is a plain answer, and the best says how far the newest message looks back;
        ``None`` passes. May be ``async def``, and then returns ``DEFER`` to pass::

            @tertulia.hookimpl
            def rank_messages(self, question, candidates):
                texts = [candidate.message.text for candidate in candidates]
                return self.model.similarity(question, texts)
        """

    @hookspec(firstresult=True)
    def summarise(
        self, request: Request, messages: Sequence[Message], before: str | None, max_tokens: int
    ) -> str | Awaitable[str | Defer] | None:
        r"""
        Put in fewer words what was said.

        Answered by an override, else a model is asked. Called by the strategy ``summary``, once for each
        stretch of a conversation, as its answer is kept. ``messages`` is the stretch, oldest first;
        ``before`` is the summary of all that came before it, which the answer is to take in, None at first;
        ``max_tokens`` is how long it may be. ``None`` passes. May be ``async def``, and then returns
        ``DEFER`` to pass::

            @tertulia.hookimpl
            def summarise(self, messages, before):
                said = [message.text[:80] for message in messages if message.role == "user"]
                return "\n".join([*filter(None, [before]), "The user asked:", *said])
        """

    @hookspec(firstresult=True)
    def order_targets(
        self, request: Request, targets: Sequence[Target], failed: Sequence[tuple[Target, ErrorKind]]
    ) -> Sequence[Target] | None:
        """
        Order the targets that are left to be asked.

        Answered by an override, else the configured order stays. Called before the first attempt when there
        is a choice, with an empty ``failed``, and after each failure after which another target would be
        asked; a retry asks nobody. Returns some or all of ``targets``, in the order to try; ``None`` passes.
        """

    @hookspec(firstresult=True)
    def open_store(self, url: str) -> Store | None:
        """
        Make the store for a URL.

        Answered by whoever knows the URL's scheme, else by the core for ``sqlite:``, ``postgresql:`` and
        ``memory:``; called once per client, which then opens and closes the store. ``None`` passes.
        """

    @hookspec
    def observe(self, notice: Notice) -> None:
        """
        Learn what happened.

        Every observer is told, each logical event once, after it is stored. Answers are ignored; an
        observer that raises is logged, by name, and harms nobody::

            @tertulia.hookimpl
            def observe(self, notice):
                if isinstance(notice, tertulia.FellBack):
                    self.count += 1
        """
