"""A message is counted once for a target, and what was counted holds as a conversation grows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import tertulia
from tertulia import Delta, FinishReason, Message, ModelInfo, Provider, ProviderReply, Request, Text


class _Abacus(Provider):
    """Answers at once, counts ten tokens a message, and remembers what it has counted."""

    MODELS = (ModelInfo("abacus", "abacus-1", context_window=100_000),)
    DEFAULT_MODEL = "abacus-1"

    def __init__(self) -> None:
        super().__init__(tertulia.ProviderConfig("abacus", "abacus"))
        self.counted: list[str] = []

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        yield ProviderReply((Text(f"Answer {len(request.messages)}."),), FinishReason.STOP, "stop")

    async def list_models(self) -> Sequence[ModelInfo]:
        return self.MODELS

    def count_tokens(self, model: str, messages: Sequence[Message], weights: tertulia.TokenWeights) -> int:
        self.counted += [message.text for message in messages]
        return 10 * len(messages)


async def test_only_what_is_new_is_counted() -> None:
    """A third send asks for the tokens of what has been said since the second one, and not of the rest."""
    abacus = _Abacus()
    async with tertulia.open(store="memory:", providers={}, plugins=[abacus], environ={}) as client:
        talk = await client.start("Talk", provider="abacus", system="Be brief.")
        await talk.send("One?")
        await talk.send("Two?")
        abacus.counted.clear()
        reply = await talk.send("Three?")
    assert reply.context is not None
    assert 60 == reply.context.tokens
    assert {"system": 10, "window": 40, "newest message": 10} == reply.context.parts
    assert ["Answer 4.", "Three?", "Two?"] == sorted(abacus.counted)
