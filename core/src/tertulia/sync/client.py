"""The blocking client."""

# ruff: noqa: D102  # a method without a docstring has that of its twin

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from tertulia.client import Client as AsyncClient
from tertulia.domain.budget import Budget, BudgetState
from tertulia.domain.catalogue import SyncReport, Verification
from tertulia.domain.context import ContextOptions
from tertulia.domain.estimate import CostEstimate
from tertulia.domain.exchange import Reply
from tertulia.domain.health import ProviderHealth
from tertulia.domain.message import Message
from tertulia.domain.model import ModelInfo
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.price import Price
from tertulia.domain.routing import Routing
from tertulia.domain.tokens import TokenCount
from tertulia.opening import open as open_async
from tertulia.runtime.attachments import Attachable
from tertulia.runtime.clock import Clock
from tertulia.runtime.configuration.files import ConfigFile
from tertulia.runtime.loop_thread import LoopThread
from tertulia.runtime.plugins import PluginReport
from tertulia.services.arguments import Amount
from tertulia.services.conversations import Conversation as AsyncConversation
from tertulia.services.steps import MAX_STEPS
from tertulia.services.structured import Schema
from tertulia.services.tooling import AnyTool
from tertulia.sync.conversation import Conversation
from tertulia.sync.library import Library
from tertulia.sync.twins import documented_by


def open(  # noqa: A001  # as in `with tertulia.sync.open()`
    *,
    store: str | None = None,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    default_provider: str | None = None,
    fallback: str | Sequence[str] | None = None,
    owner: str | None = None,
    max_context_tokens: int | None = None,
    context_window: int | None = None,
    fetch_urls: bool | None = None,
    auto_title: bool | None = None,
    prices: Sequence[Price | Mapping[str, Any]] | None = None,
    routing: Routing | Mapping[str, Any] | None = None,
    budgets: Sequence[Budget | Mapping[str, Any]] | None = None,
    context: ContextOptions | Mapping[str, Any] | None = None,
    plugins: Iterable[object] = (),
    config: ConfigFile = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Client:
    """
    Configure a client that blocks; ``with`` opens it, and so does its first call.

    Arguments and errors are those of :func:`tertulia.open`.
    """
    return Client(
        open_async(
            store=store,
            providers=providers,
            default_provider=default_provider,
            fallback=fallback,
            owner=owner,
            max_context_tokens=max_context_tokens,
            context_window=context_window,
            fetch_urls=fetch_urls,
            auto_title=auto_title,
            prices=prices,
            routing=routing,
            budgets=budgets,
            context=context,
            plugins=plugins,
            config=config,
            environ=environ,
            clock=clock,
        )
    )


@documented_by(AsyncClient)
class Client(Library):
    """
    Conversations, and the providers that answer in them; its calls block.

    Any thread may call it, and several at once. Ctrl-C while it waits keeps what was shown of an answer.

    Example::

        with tertulia.sync.open() as client:
            trip = client.start("Trip to Lisbon", provider="openai")
            reply = trip.send("Three days in Lisbon, please.")
            print(reply.text, reply.cost, reply.provider)
    """

    def __init__(self, twin: AsyncClient) -> None:
        super().__init__(LoopThread(twin), twin)
        self._twin: AsyncClient = twin

    def __enter__(self) -> Self:
        self._thread.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """
        Settle every open answer, then close connections and store. Safe to call twice, and from any thread.

        A client that nobody closes is closed when the interpreter exits.
        """
        self._thread.close()

    def register(self, plugin: object, name: str | None = None) -> str:
        return self._thread.call(lambda: self._twin.register(plugin, name))

    def plugins(self) -> list[PluginReport]:
        return self._thread.call(self._twin.plugins)

    @property
    def providers(self) -> list[str]:
        return self._thread.call(lambda: self._twin.providers)

    def start(
        self,
        title: str | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
        system: str | None = None,
        context: ContextOptions | None = None,
    ) -> Conversation:
        starting = self._twin.start(title, provider=provider, model=model, system=system, context=context)
        return self._conversation(self._thread.run(starting))

    def get(self, conversation_id: UUID | str, *, branch: str | None = None) -> Conversation:
        return self._conversation(self._thread.run(self._twin.get(conversation_id, branch=branch)))

    def rename(self, conversation_id: UUID | str, title: str | None) -> None:
        self._thread.run(self._twin.rename(conversation_id, title))

    def ask(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        provider: str | None = None,
        model: str | None = None,
        system: str | None = None,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
    ) -> Reply:
        return self._thread.run(
            self._twin.ask(
                text,
                attach=attach,
                provider=provider,
                model=model,
                system=system,
                tools=tools,
                max_steps=max_steps,
                schema=schema,
                options=options,
                fallback=fallback,
                timeouts=timeouts,
                routing=routing,
                budget=budget,
                context=context,
            )
        )

    def estimate_cost(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        provider: str | None = None,
        model: str | None = None,
        system: str | None = None,
        options: Options = Options(),
    ) -> CostEstimate:
        return self._thread.run(
            self._twin.estimate_cost(
                text, attach=attach, provider=provider, model=model, system=system, options=options
            )
        )

    def compare_prices(
        self,
        text: str,
        targets: Sequence[str] | None = None,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        system: str | None = None,
        options: Options = Options(),
    ) -> Sequence[CostEstimate]:
        return self._thread.run(
            self._twin.compare_prices(text, targets, attach=attach, system=system, options=options)
        )

    def count_tokens(
        self,
        said: str | Message | Iterable[Message],
        *,
        provider: str | None = None,
        model: str | None = None,
        exact: bool = False,
    ) -> TokenCount:
        return self._thread.run(self._twin.count_tokens(said, provider=provider, model=model, exact=exact))

    def list_models(self, provider: str) -> Sequence[ModelInfo]:
        return self._thread.run(self._twin.list_models(provider))

    def sync_models(
        self, provider: str | None = None, *, dry_run: bool = False, force: bool = False
    ) -> SyncReport:
        return self._thread.run(self._twin.sync_models(provider, dry_run=dry_run, force=force))

    def models(self, provider: str | None = None) -> Sequence[ModelInfo]:
        return self._thread.run(self._twin.models(provider))

    def model(self, name: str) -> ModelInfo:
        return self._thread.run(self._twin.model(name))

    def health(self) -> tuple[ProviderHealth, ...]:
        return self._thread.run(self._twin.health())

    def reset_health(self, provider: str | None = None) -> None:
        self._thread.call(partial(self._twin.reset_health, provider))

    def budgets(self, conversation: UUID | str | None = None) -> Sequence[BudgetState]:
        return self._thread.run(self._twin.budgets(conversation))

    def verify(self, provider: str) -> Verification:
        return self._thread.run(self._twin.verify(provider))

    def _conversation(self, twin: AsyncConversation) -> Conversation:
        return Conversation(self._thread, twin)

    def __repr__(self) -> str:
        return f"<blocking {repr(self._twin)[1:]}"
