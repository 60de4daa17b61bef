"""
The blocking twin of the client: the same names, arguments, errors and values, without ``await``.

For scripts, for a REPL, and for code that runs inside somebody else's event loop, as in Jupyter: each
client works in a thread of its own.
"""

# ruff: noqa: D102  # a method without a docstring has that of its twin

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from uuid import UUID

from tertulia.client import Client as AsyncClient
from tertulia.client import open as open_async
from tertulia.domain.conversation import Attempt, Branch, ConversationRecord, CostReport, ProviderSession
from tertulia.domain.event import Event
from tertulia.domain.exchange import Reply
from tertulia.domain.message import Message
from tertulia.domain.model import ModelInfo
from tertulia.domain.options import Options, Timeouts
from tertulia.runtime.attachments import Attachable
from tertulia.runtime.clock import Clock
from tertulia.runtime.configuration.files import ConfigFile
from tertulia.runtime.loop_thread import LoopThread
from tertulia.runtime.plugins import PluginReport
from tertulia.services.conversations import Conversation as AsyncConversation
from tertulia.services.conversations import Place
from tertulia.services.stream import ReplyStream as AsyncReplyStream

C = TypeVar("C", bound=type)

__all__ = ["Client", "Conversation", "ReplyStream", "open"]


def open(  # noqa: A001  # as in `with tertulia.sync.open()`
    *,
    store: str | None = None,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    default_provider: str | None = None,
    fallback: str | Sequence[str] | None = None,
    owner: str | None = None,
    max_context_tokens: int | None = None,
    context_window: int | None = None,
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
            plugins=plugins,
            config=config,
            environ=environ,
            clock=clock,
        )
    )


def _documented_by(twin: type) -> Callable[[C], C]:
    """Give each method that has no docstring its twin's."""

    def document(cls: C) -> C:
        for name, method in vars(cls).items():
            if not name.startswith("_") and method.__doc__ is None:
                method.__doc__ = getattr(twin, name).__doc__
        return cls

    return document


@_documented_by(AsyncClient)
class Client:
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
        self._twin = twin
        self._thread = LoopThread(twin)

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
    ) -> Conversation:
        return self._conversation(
            self._thread.run(self._twin.start(title, provider=provider, model=model, system=system))
        )

    def get(self, conversation_id: UUID | str, *, branch: str | None = None) -> Conversation:
        return self._conversation(self._thread.run(self._twin.get(conversation_id, branch=branch)))

    def list(self, *, limit: int = 50, after: ConversationRecord | None = None) -> list[ConversationRecord]:
        return self._thread.run(self._twin.list(limit=limit, after=after))

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
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Reply:
        return self._thread.run(
            self._twin.ask(
                text,
                attach=attach,
                provider=provider,
                model=model,
                system=system,
                options=options,
                fallback=fallback,
                timeouts=timeouts,
            )
        )

    def list_models(self, provider: str) -> Sequence[ModelInfo]:
        return self._thread.run(self._twin.list_models(provider))

    def _conversation(self, twin: AsyncConversation) -> Conversation:
        return Conversation(self._thread, twin)

    def __repr__(self) -> str:
        return f"<blocking {repr(self._twin)[1:]}"


@_documented_by(AsyncConversation)
class Conversation:
    """
    One conversation, seen from one of its branches; its calls block. Get it from a client.

    Several objects may stand for one conversation, each on its own branch or on the same: what one of them
    changes the others see.
    """

    def __init__(self, thread: LoopThread, twin: AsyncConversation) -> None:
        self._thread = thread
        self._twin = twin

    @property
    def id(self) -> UUID:
        """A UUIDv7."""
        return self._twin.id

    @property
    def title(self) -> str | None:
        return self._twin.title

    @property
    def branch(self) -> str:
        return self._twin.branch

    @property
    def provider(self) -> str:
        return self._twin.provider

    @property
    def model(self) -> str:
        return self._twin.model

    def send(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Reply:
        return self._thread.run(
            self._twin.send(text, attach=attach, options=options, fallback=fallback, timeouts=timeouts)
        )

    def stream(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        return self._stream(
            lambda: self._twin.stream(
                text, attach=attach, options=options, fallback=fallback, timeouts=timeouts
            )
        )

    def edit(
        self,
        message: Place,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        return self._stream(
            lambda: self._twin.edit(
                message, text, attach=attach, options=options, fallback=fallback, timeouts=timeouts
            )
        )

    def regenerate(
        self,
        message: Place | None = None,
        *,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        return self._stream(
            lambda: self._twin.regenerate(message, options=options, fallback=fallback, timeouts=timeouts)
        )

    def resume(
        self,
        *,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        return self._stream(lambda: self._twin.resume(options=options, fallback=fallback, timeouts=timeouts))

    def append(self, message: Message, *, expected_head: UUID | Literal["any"] | None = "any") -> Message:
        return self._thread.run(self._twin.append(message, expected_head=expected_head))

    def switch(self, provider: str, model: str | None = None) -> None:
        self._thread.run(self._twin.switch(provider, model))

    def fork(self, name: str | None = None, *, at: Place | None = None) -> Conversation:
        return Conversation(self._thread, self._thread.run(self._twin.fork(name, at=at)))

    def branches(self) -> list[Branch]:
        return self._thread.run(self._twin.branches())

    def switch_branch(self, name: str) -> None:
        self._thread.run(self._twin.switch_branch(name))

    def rename_branch(self, name: str, new_name: str) -> None:
        self._thread.run(self._twin.rename_branch(name, new_name))

    def delete_branch(self, name: str) -> None:
        self._thread.run(self._twin.delete_branch(name))

    def history(self, limit: int | None = None) -> list[Message]:
        return self._thread.run(self._twin.history(limit))

    def attempts(self) -> list[Attempt]:
        return self._thread.run(self._twin.attempts())

    def sessions(self) -> list[ProviderSession]:
        return self._thread.run(self._twin.sessions())

    def cost(self) -> CostReport:
        return self._thread.run(self._twin.cost())

    def rename(self, title: str | None) -> None:
        self._thread.run(self._twin.rename(title))

    def _stream(self, begin: Callable[[], AsyncReplyStream]) -> ReplyStream:
        return ReplyStream(self._thread, self._thread.call(begin))

    def __repr__(self) -> str:
        return f"<blocking {repr(self._twin)[1:]}"


@_documented_by(AsyncReplyStream)
class ReplyStream:
    """
    An answer as it comes: an iterator of events, and a context manager.

    Leaving early keeps what was shown, as an interrupted message, and closes the connection: at once at
    the end of ``with`` or after :meth:`close`, and before this thread's next call after a ``break``, once
    nothing holds the stream any more.

    Example::

        with conversation.stream("Now with children.") as stream:
            for event in stream:
                if isinstance(event, tertulia.TextDelta):
                    print(event.text, end="")
        print(stream.reply.cost)
    """

    def __init__(self, thread: LoopThread, twin: AsyncReplyStream) -> None:
        self._thread = thread
        self._twin = twin
        # Not __del__: a collector would finalize the twin as well, first or last, and far from its loop.
        weakref.finalize(self, thread.post, twin.aclose).atexit = False

    @property
    def reply(self) -> Reply:
        return self._twin.reply

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        event = self._thread.run(_next(self._twin))
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """
        Leave: keep what was shown and close the connection. Safe to call twice, and from any thread.

        A thread that is reading the stream right now gets a :class:`tertulia.StreamInterruptedError`.
        """
        if self._thread.is_running:  # else it was closed with the client
            self._thread.run(self._twin.aclose())

    def read(self) -> Reply:
        return self._thread.run(self._twin.read())


async def _next(stream: AsyncReplyStream) -> Event | None:
    return await anext(stream, None)
