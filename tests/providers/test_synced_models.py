"""The catalogue on real connections: what services list, and what they then say of a model that is gone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from driver_cases import DRIVERS, KEY
from raw_server import RawServer, answer

import tertulia
from tertulia import AuthenticationError, MissingKeyError, ModelInfo, ModelNotFoundError, ProtocolError

GONE = datetime(2026, 11, 1, tzinfo=UTC)
NO_MODEL = {"error": {"message": "No such model.", "code": "model_not_found"}}


def connect(url: str, **table: str) -> tertulia.Client:
    openai = {"driver": "openai", "base_url": url, "api_key": KEY, **table}
    return tertulia.open(store="memory:", providers={"openai": openai}, environ={})


async def test_the_three_services_are_synced(simulator):
    """
    OpenAI's, Gemini's and xAI's lists are all taken, each with what its service says.
    """
    async with tertulia.open(store="memory:", providers=simulator.providers(), environ={}) as client:
        report = await client.sync_models()
        latest = await client.model("xai/grok-4.6-latest")
        flash = await client.model("gemini/gemini-3.5-flash")
        known = await client.models("openai")

    counts = {each.provider: each.model_count for each in report.providers}
    assert (True, [None] * 3) == (report.ok, [each.error for each in report.providers])
    assert {each.provider: len(each.changes.added) for each in report.providers} == counts
    assert ("grok-4.6", 500_000) == (latest.id, latest.context_window)
    assert "grok-4.6" == latest.price.model
    assert (1_048_576, "Gemini 3.5 Flash") == (flash.context_window, flash.display_name)
    assert counts["openai"] == len(known)


async def test_a_second_sync_of_the_same_lists_changes_nothing(simulator):
    """
    Prices, dates and what the drivers fill in compare equal after the store had them.
    """
    async with tertulia.open(store="memory:", providers=simulator.providers(), environ={}) as client:
        await client.sync_models()
        report = await client.sync_models()

    assert [False] * 3 == [bool(each.changes) for each in report.providers]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"data": []}, 200), ({"models": [{"id": "x"}]}, 200), ([], 200), ({"data": [{"id": "b"}]}, 503)],
    ids=["empty", "other", "no-object", "failed"],
)
async def test_what_is_no_list_keeps_the_last_one(body, status):
    """
    An answer that cannot be right is a failure, and never reads as "all models are gone".
    """
    async with (
        RawServer([answer({"data": [{"id": "a"}]})], [answer(body, status)]) as server,
        connect(server.url) as client,
    ):
        first = await client.sync_models()
        second = await client.sync_models()
        known = await client.models()

    assert (True, False) == (first.ok, second.ok)
    assert [ModelInfo("openai", "a")] == known


async def test_a_list_that_lost_its_pages_is_not_taken():
    """
    A page whose successor fails is no list: Gemini's pages are all needed.
    """
    methods = {"supportedGenerationMethods": ["generateContent"]}
    page = {"models": [{"name": "models/one", **methods}], "nextPageToken": "2"}
    gemini = {"driver": "gemini", "api_key": KEY}
    async with RawServer([answer(page)], [answer({"error": {"message": "no"}}, 500)]) as server:
        table = {"gemini": {**gemini, "base_url": server.url}}
        async with tertulia.open(store="memory:", providers=table, environ={}) as client:
            (synced,) = (await client.sync_models()).providers

    assert (None, 500) == (synced.model_count, synced.error.status)


async def test_a_model_that_is_gone_is_asked_and_its_successor_suggested():
    """
    The request goes out, and the error's next step is the successor, or the closest that is listed.
    """
    async with RawServer([answer(NO_MODEL, 404)]) as server:
        provider = DRIVERS["openai"].make(server.url)
        async with tertulia.open(store="memory:", providers={}, plugins=[provider], environ={}) as client:
            provider.learn(
                [
                    ModelInfo("mine", "gone-1", gone_at=GONE, successor="better-2"),
                    ModelInfo("mine", "gone-2", gone_at=GONE),
                    ModelInfo("mine", "gone-3"),
                ]
            )
            steps = []
            for model in ("gone-1", "gone-2"):
                with pytest.raises(ModelNotFoundError) as caught:
                    await client.ask("Hello", provider=provider.name, model=model)
                steps.append(caught.value.next_step)

    assert 2 == len(server.requests)
    assert ["use 'better-2', which takes its place", "did you mean 'gone-3'?"] == steps


async def test_a_compatible_server_is_known_by_its_list_alone():
    """
    Nothing bundled is said of its models, whatever they are called, before a sync and after it.
    """
    listed = {"data": [{"id": "gpt-4o"}, {"id": "llama"}]}
    async with RawServer([answer(listed)]) as server, connect(server.url, api="chat") as client:
        assert [] == await client.models()
        await client.sync_models()
        assert [ModelInfo("openai", "gpt-4o"), ModelInfo("openai", "llama")] == await client.models()


async def test_verifying_asks_once_and_for_nothing():
    """
    One request for the list, which is free; a key that is refused is an error in the answer.
    """
    async with (
        RawServer([answer({"data": []})], [answer({"error": {"message": "no"}}, 401)]) as server,
        connect(server.url) as client,
    ):
        good = await client.verify("openai")
        bad = await client.verify("openai")

    assert ["/models", "/models"] == [request.target for request in server.requests]
    assert (True, False) == (good.ok, bad.ok)
    assert isinstance(bad.error, AuthenticationError)
    assert None not in (good.latency_seconds, bad.latency_seconds)


async def test_without_a_key_nothing_is_sent():
    """
    Neither a sync nor a check leaves the machine: both say which variable to set.
    """
    async with RawServer([answer({"data": []})]) as server:
        table = {"xai": {"driver": "xai", "base_url": server.url}}
        async with tertulia.open(store="memory:", providers=table, environ={}) as client:
            verified = await client.verify("xai")
            (synced,) = (await client.sync_models()).providers

    assert [] == server.requests
    assert verified.latency_seconds is None
    assert isinstance(verified.error, MissingKeyError)
    assert isinstance(synced.error, MissingKeyError)
    assert not isinstance(synced.error, ProtocolError)
