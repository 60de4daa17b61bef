"""The blocking conversation."""

# ruff: noqa: D102  # a method without a docstring has that of its twin

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Self
from uuid import UUID

from tertulia.domain.context import Context, ContextOptions
from tertulia.domain.estimate import CostEstimate
from tertulia.domain.exchange import Reply
from tertulia.domain.message import Message, ToolResult
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.routing import Routing
from tertulia.runtime.attachments import Attachable
from tertulia.runtime.loop_thread import LoopThread
from tertulia.services.arguments import Amount, Place
from tertulia.services.conversations import Conversation as AsyncConversation
from tertulia.services.steps import MAX_STEPS
from tertulia.services.stream import ReplyStream as AsyncReplyStream
from tertulia.services.structured import Schema
from tertulia.services.tooling import AnyTool
from tertulia.sync.comparing import ComparisonStream
from tertulia.sync.stream import ReplyStream
from tertulia.sync.twins import documented_by
from tertulia.sync.upkeep import Upkeep


@documented_by(AsyncConversation)
class Conversation(Upkeep):
    """
    One conversation, seen from one of its branches; its calls block. Get it from a client.

    Several objects may stand for one conversation, each on its own branch or on the same: what one of them
    changes the others see.
    """

    def __init__(self, thread: LoopThread, twin: AsyncConversation) -> None:
        super().__init__(thread, twin)
        self._twin: AsyncConversation = twin

    def send(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
        client_id: str | None = None,
    ) -> Reply:
        return self._thread.run(
            self._twin.send(
                text,
                attach=attach,
                tools=tools,
                max_steps=max_steps,
                schema=schema,
                options=options,
                fallback=fallback,
                timeouts=timeouts,
                routing=routing,
                budget=budget,
                context=context,
                client_id=client_id,
            )
        )

    def stream(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
        client_id: str | None = None,
    ) -> ReplyStream:
        return self._stream(
            lambda: self._twin.stream(
                text,
                attach=attach,
                tools=tools,
                max_steps=max_steps,
                schema=schema,
                options=options,
                fallback=fallback,
                timeouts=timeouts,
                routing=routing,
                budget=budget,
                context=context,
                client_id=client_id,
            )
        )

    def edit(
        self,
        message: Place,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
        client_id: str | None = None,
    ) -> ReplyStream:
        return self._stream(
            lambda: self._twin.edit(
                message,
                text,
                attach=attach,
                tools=tools,
                max_steps=max_steps,
                schema=schema,
                options=options,
                fallback=fallback,
                timeouts=timeouts,
                routing=routing,
                budget=budget,
                context=context,
                client_id=client_id,
            )
        )

    def regenerate(
        self,
        message: Place | None = None,
        *,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
    ) -> ReplyStream:
        return self._stream(
            lambda: self._twin.regenerate(
                message,
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

    def resume(
        self,
        *,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
    ) -> ReplyStream:
        return self._stream(
            lambda: self._twin.resume(
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

    def retry(
        self,
        *,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
    ) -> ReplyStream:
        return self._stream(
            lambda: self._twin.retry(
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

    def compare(
        self,
        text: str,
        targets: Sequence[str],
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        options: Options = Options(),
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
    ) -> ComparisonStream:
        begin = partial(
            self._twin.compare,
            text,
            targets,
            attach=attach,
            tools=tools,
            max_steps=max_steps,
            options=options,
            timeouts=timeouts,
            routing=routing,
            budget=budget,
            context=context,
        )
        return ComparisonStream(self._thread, self._thread.call(begin))

    def submit_results(
        self,
        results: Sequence[ToolResult],
        *,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
    ) -> ReplyStream:
        return self._stream(
            lambda: self._twin.submit_results(
                results,
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

    def append(self, message: Message, *, expected_head: UUID | Literal["any"] | None = "any") -> Message:
        return self._thread.run(self._twin.append(message, expected_head=expected_head))

    def estimate_cost(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        schema: Schema | None = None,
        options: Options = Options(),
        context: ContextOptions | None = None,
    ) -> CostEstimate:
        return self._thread.run(
            self._twin.estimate_cost(
                text, attach=attach, tools=tools, schema=schema, options=options, context=context
            )
        )

    def preview_context(
        self,
        text: str | None = None,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        provider: str | None = None,
        model: str | None = None,
        tools: Sequence[AnyTool] = (),
        schema: Schema | None = None,
        options: Options = Options(),
        context: ContextOptions | None = None,
    ) -> Context:
        return self._thread.run(
            self._twin.preview_context(
                text,
                attach=attach,
                provider=provider,
                model=model,
                tools=tools,
                schema=schema,
                options=options,
                context=context,
            )
        )

    def switch(self, provider: str, model: str | None = None) -> None:
        self._thread.run(self._twin.switch(provider, model))

    def fork(self, name: str | None = None, *, at: Place | None = None) -> Self:
        return type(self)(self._thread, self._thread.run(self._twin.fork(name, at=at)))

    def switch_branch(self, name: str) -> None:
        self._thread.run(self._twin.switch_branch(name))

    def rename_branch(self, name: str, new_name: str) -> None:
        self._thread.run(self._twin.rename_branch(name, new_name))

    def delete_branch(self, name: str) -> None:
        self._thread.run(self._twin.delete_branch(name))

    def _stream(self, begin: Callable[[], AsyncReplyStream]) -> ReplyStream:
        return ReplyStream(self._thread, self._thread.call(begin))

    def __repr__(self) -> str:
        return f"<blocking {repr(self._twin)[1:]}"
