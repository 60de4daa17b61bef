"""Every provider of ours keeps the contract, against the simulated services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tertulia import Provider, ProviderConfig, Secret
from tertulia.errors import AuthenticationError, ModelNotFoundError
from tertulia.testing import ScriptedProvider
from tertulia.testing.contracts import ProviderContract
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider


class Simulated(ProviderContract):
    driver: type[Provider]
    settings: Mapping[str, Any] = {}

    @pytest.fixture
    async def provider(self, simulator) -> AsyncIterator[Provider]:
        provider = self.make(simulator, "sim-key")
        yield provider
        await provider.aclose()

    @pytest.fixture
    async def refused_provider(self, simulator) -> AsyncIterator[Provider]:
        provider = self.make(simulator, "very-secret-and-wrong")
        yield provider
        await provider.aclose()

    def make(self, simulator, key: str) -> Provider:
        name = self.driver.__name__.removesuffix("Provider").lower()
        config = ProviderConfig(
            f"my-{name}",
            name,
            api_key=Secret(key),
            base_url=simulator.providers()[name]["base_url"],
            settings=self.settings,
        )
        return self.driver(config)


class TestOpenAI(Simulated):
    driver = OpenAIProvider
    settings = {"api": "responses"}  # noqa: RUF012  # read only


class TestOpenAIChat(Simulated):
    driver = OpenAIProvider
    settings = {"api": "chat"}  # noqa: RUF012  # read only


class TestGemini(Simulated):
    driver = GeminiProvider


class TestXAI(Simulated):
    driver = XAIProvider


class TestXAIChat(Simulated):
    driver = XAIProvider
    settings = {"api": "chat"}  # noqa: RUF012  # read only


class TestCompatible(ProviderContract):
    """A server that speaks Chat Completions and wants no key."""

    @pytest.fixture
    async def provider(self, simulator) -> AsyncIterator[Provider]:
        url = f"{simulator.url}/local/v1"
        provider = OpenAIProvider(ProviderConfig("local", "openai", base_url=url, model="llama-sim"))
        yield provider
        await provider.aclose()


class Parrot(ScriptedProvider):
    """Says the same to everybody, but for an unknown model or a wrong key."""

    async def send_message(self, request):
        self._script.clear()
        if self.config.api_key == WRONG:
            self.refuses(AuthenticationError, status=401)
        elif request.target.model != self.DEFAULT_MODEL:
            self.fails(ModelNotFoundError("no such model", model=request.target.model))
        else:
            self.says("He", "llo")
        async for delta in super().send_message(request):
            yield delta


WRONG = Secret("very-secret-and-wrong")


class TestScripted(ProviderContract):
    @pytest.fixture
    def provider(self) -> Provider:
        return Parrot("parrot")

    @pytest.fixture
    def refused_provider(self) -> Provider:
        parrot = Parrot("parrot")
        parrot.config = ProviderConfig("parrot", "scripted", api_key=WRONG)
        return parrot


del Simulated  # the base is no suite of its own
