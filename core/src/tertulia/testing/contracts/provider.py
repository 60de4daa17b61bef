"""What every provider promises."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime

import attrs
import pytest

from tertulia.contracts.provider import Provider
from tertulia.domain.exchange import (
    Delta,
    ProviderReply,
    ReasoningDelta,
    Request,
    Target,
    TextDelta,
    ToolCallDelta,
    Translated,
)
from tertulia.domain.message import FinishReason, Message
from tertulia.domain.usage import Billing, Usage
from tertulia.errors import AuthenticationError, ModelNotFoundError, ProviderError

_SHOWN = (TextDelta, ReasoningDelta, ToolCallDelta, Translated)


@pytest.mark.asyncio
class ProviderContract:
    """
    What every provider promises.

    Fixtures to give: ``provider``, which reaches a service that answers; and ``refused_provider``, the
    same with a key that the service does not accept, long enough to be recognised wherever it shows up; a
    provider without keys skips it.
    """

    question = "Hello"

    @pytest.fixture
    def refused_provider(self) -> Provider:
        """The same provider with a wrong key."""
        pytest.skip("this provider has no key")

    @pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
    async def test_an_answer_is_deltas_and_then_one_reply(self, provider: Provider, stream: bool) -> None:
        """An answer is any number of deltas and then exactly one reply, which says the same words."""
        deltas = await self._ask(provider, stream=stream)

        *shown, reply = deltas
        assert isinstance(reply, ProviderReply)
        assert all(isinstance(delta, _SHOWN) for delta in shown)
        assert reply.text == "".join(delta.text for delta in shown if isinstance(delta, TextDelta))
        assert reply.text != ""
        assert reply.finish_reason is FinishReason.STOP

    @pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
    async def test_usage_is_whole_numbers_or_unknown(self, provider: Provider, stream: bool) -> None:
        """Each class of tokens is a whole number of at least 0, or None."""
        reply = (await self._ask(provider, stream=stream))[-1]

        assert isinstance(reply, ProviderReply)
        counts = attrs.astuple(reply.usage)
        assert all(count is None or (isinstance(count, int) and count >= 0) for count in counts)

    async def test_a_cost_is_exact_or_unknown(self, provider: Provider) -> None:
        """A cost is a Cost, or None; an unknown model has no price."""
        now = datetime(2026, 11, 22, tzinfo=UTC)
        usage = Usage(1000, 0, 0, 1000, 0)

        assert provider.calculate_cost("no-such-model", usage, Billing(), now) is None
        known = provider.calculate_cost(provider.default_model, usage, Billing(), now)
        assert known is None or isinstance(known.money.pico, int)

    @pytest.mark.parametrize(
        "billing",
        [
            Billing(service_tier="no-such-tier"),
            Billing(region="no-such-region"),
            Billing(tool_calls={"no_such_tool": 1}),
        ],
        ids=["tier", "region", "tool"],
    )
    async def test_what_has_no_price_has_an_unknown_cost(self, provider: Provider, billing: Billing) -> None:
        """A tier, a region, or a tool of the provider's own, that no row names makes a cost unknown."""
        now, usage = datetime(2026, 11, 22, tzinfo=UTC), Usage(1000, 0, 0, 1000, 0)

        assert provider.calculate_cost(provider.default_model, usage, billing, now) is None

    async def test_an_unknown_model_is_a_typed_error(self, provider: Provider) -> None:
        """A model that does not exist is refused by name."""
        with pytest.raises(ProviderError) as caught:
            await self._ask(provider, model="no-such-model")

        assert isinstance(caught.value, ModelNotFoundError)
        assert (caught.value.provider, caught.value.model) == (provider.name, "no-such-model")

    async def test_a_wrong_key_is_a_typed_error_without_the_key(self, refused_provider: Provider) -> None:
        """A wrong key is an authentication error, and the key is nowhere in it."""
        with pytest.raises(AuthenticationError) as caught:
            await self._ask(refused_provider)

        key = refused_provider.config.api_key
        assert key is not None
        printed = (
            "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(refused_provider)
        )
        assert key.reveal() not in printed, "the key is shown by the error, its traceback or the provider"
        assert not caught.value.retryable

    async def test_two_answers_at_once_do_not_mix(self, provider: Provider) -> None:
        """A provider keeps no state of a conversation: two streams read in turns are both whole."""
        alone = (await self._ask(provider))[-1]
        first, second = await asyncio.gather(self._ask(provider), self._ask(provider))

        assert isinstance(alone, ProviderReply)
        assert [alone.text, alone.text] == [
            answer[-1].text for answer in (first, second) if isinstance(answer[-1], ProviderReply)
        ]

    async def test_leaving_early_does_no_harm(self, provider: Provider) -> None:
        """After an answer was left at its first delta, the provider answers the next one."""
        answer = provider.send_message(self._request(provider))
        assert isinstance(await anext(answer), _SHOWN)
        assert isinstance(answer, AsyncGenerator)
        await answer.aclose()

        assert isinstance((await self._ask(provider))[-1], ProviderReply)

    async def test_models_are_listed_under_the_providers_name(self, provider: Provider) -> None:
        """The list of models names the configured provider, and every model once."""
        models = await provider.list_models()

        assert {provider.name} == {model.provider for model in models}
        assert len({model.id for model in models}) == len(models)

    async def test_closing_twice_is_fine(self, provider: Provider) -> None:
        """A provider can be closed twice."""
        await provider.aclose()
        await provider.aclose()

        assert repr(provider)

    async def _ask(self, provider: Provider, *, model: str | None = None, stream: bool = True) -> list[Delta]:
        request = self._request(provider, model=model, stream=stream)
        answer: AsyncIterator[Delta] = provider.send_message(request)
        return [delta async for delta in answer]

    def _request(self, provider: Provider, *, model: str | None = None, stream: bool = True) -> Request:
        target = Target(provider.name, model or provider.default_model)
        return Request(target, (Message.of("user", self.question),), stream=stream)
