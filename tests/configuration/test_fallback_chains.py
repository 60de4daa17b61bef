"""Chains of fallbacks: followed to their end, and never in a circle."""

from __future__ import annotations

import attrs
import pytest

import tertulia
from tertulia import ConfigurationError, Target
from tertulia.domain.config import find_cycle, follow_fallbacks
from tertulia.runtime.configuration.drivers import make_provider
from tertulia.runtime.configuration.sources import Arguments, make_config, read_sources
from tertulia.runtime.plugins import Plugins
from tertulia.services.defaults import Defaults
from tertulia.services.routing.targets import make_targets
from tertulia.testing import ScriptedProvider, StandingClock


async def test_a_chain_from_a_file_answers_from_the_third(tmp_path, simulator, database):
    """When openai falls back on gemini and gemini on xai, and both fail at their only call, xai answers."""
    tables = simulator.providers()
    lines = [
        f"[providers.{name}]\napi_key = '{table['api_key']}'\nbase_url = '{table['base_url']}'\n{fallback}"
        for (name, table), fallback in zip(
            tables.items(), ['fallback = "gemini"\n', 'fallback = ["xai"]\n', ""], strict=True
        )
    ]
    (tmp_path / "chain.toml").write_text("".join(["[routing]\nmax_retries = 0\n", *lines]))
    simulator.fail("openai", "overloaded")
    simulator.fail("gemini", "overloaded")

    async with tertulia.open(store=database, config=tmp_path / "chain.toml", environ={}) as client:
        reply = await client.ask("My name is John.", provider="openai")

    assert ("Hello John.", "xai") == (reply.text, reply.provider)
    assert ["openai", "gemini", "xai"] == [attempt.provider for attempt in reply.attempts]


@pytest.mark.parametrize(
    ("text", "line", "cycle", "target", "source"),
    [
        (
            "[providers.openai]\nfallback = 'gemini'\n[providers.gemini]\nfallback = ['xai', 'openai']",
            4,
            "openai → gemini → openai",
            "openai",
            "gemini",
        ),
        (
            "[providers.openai]\n\nfallback = 'openai'",
            3,
            "openai → openai",
            "openai",
            "openai",
        ),
        (
            (
                "[providers.xai]\nfallback = 'gemini'\n[providers.gemini]\nfallback = 'openai'\n"
                "[providers.openai]\nfallback = 'gemini'"
            ),
            6,
            "gemini → openai → gemini",
            "gemini",
            "openai",
        ),
    ],
)
def test_a_cycle_is_refused_when_the_file_is_read(user_file, text, line, cycle, target, source):
    """Providers that fall back on one another are named, with the line that closes the circle."""
    user_file.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert (
        f"{user_file} line {line}: fallback cycle: {cycle}; take {target!r} out of "
        f"providers.{source}.fallback, or name a model, which ends a chain: '{target}/MODEL'"
    ) == str(caught.value)


def test_a_cycle_across_sources_is_named_where_it_closes(user_file):
    """The file and an argument can close a circle together."""
    user_file.write_text("[providers.openai]\nfallback = 'gemini'\n[providers.gemini]")

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open(providers={"openai": {}, "gemini": {"fallback": "openai"}})

    assert str(caught.value).startswith("fallback cycle: openai → gemini → openai; take 'openai' out of")


FILE = """
fallback = ["gemini", "xai"]
[providers.openai]
fallback = ["gemini", "local"]
[providers.gemini]
fallback = "xai/grok-4.3"
[providers.xai]
[providers.local]
driver = "openai"
fallback = []
[providers.picky]
driver = "openai"
fallback = ["gemini/gemini-2.5-flash", "picky/other", "xai"]
[providers.general]
driver = "openai"
"""


@pytest.mark.parametrize(
    ("provider", "fallback", "expected"),
    [
        ("openai", None, ["openai/own", "gemini/g", "xai/grok-4.3", "local/l"]),
        ("gemini", None, ["gemini/own", "xai/grok-4.3"]),
        ("xai", None, ["xai/own", "gemini/g", "xai/grok-4.3", "xai/x"]),
        ("local", None, ["local/own"]),
        ("picky", None, ["picky/own", "gemini/gemini-2.5-flash", "picky/other", "xai/x"]),
        ("general", None, ["general/own", "gemini/g", "xai/grok-4.3", "xai/x"]),
        ("openai", ["gemini"], ["openai/own", "gemini/g"]),
        ("openai", [], ["openai/own"]),
        ("openai", ["openai/own", "xai", "xai/x"], ["openai/own", "xai/x"]),
    ],
)
def test_a_chain_is_followed_to_its_end(tmp_path, provider, fallback, expected):
    """
    Whom the file names is followed depth first, each once; a target with a model ends there.

    Without a list of its own a provider takes the general one; a list of the call is taken as it is.
    """
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    models = {"AI_GEMINI_MODEL": "g", "AI_XAI_MODEL": "x", "AI_LOCAL_MODEL": "l"}
    config = make_config(read_sources(Arguments(config=path), models, is_own=False))
    plugins = Plugins(Defaults(StandingClock()), lambda name: make_provider(name, config, models))

    targets, _ = make_targets(Target(provider, "own"), fallback, config, plugins)

    assert expected == [str(target) for target in targets]


class Linked(ScriptedProvider):
    """A scripted provider that falls back on another one."""

    def __init__(self, name, fallback):
        super().__init__(name)
        self.config = attrs.evolve(self.config, fallback=(fallback,))


async def test_providers_that_were_passed_in_have_chains_too(database):
    """A provider among the plugins is followed as one of a file is, and its circle is gone round once."""
    one, two, three = Linked("one", "two"), Linked("two", "three"), Linked("three", "one")
    for provider in (one, two):
        provider.refuses(tertulia.QuotaExhaustedError, status=429)
    three.says("Hello.")

    async with tertulia.open(store=database, plugins=[one, two, three], providers={}, environ={}) as client:
        reply = await client.ask("Hello", provider="one")

    assert "Hello." == reply.text
    assert ["one", "two", "three"] == [attempt.provider for attempt in reply.attempts]


def test_a_long_chain_is_no_trouble():
    """A thousand providers in a row are followed, and a circle of them is found."""
    links = {str(number): [str(number + 1)] for number in range(1000)}
    links["1000"] = []

    assert [str(number) for number in range(1, 1001)] == follow_fallbacks(["1"], links.__getitem__)
    assert find_cycle(links) is None
    assert [str(number) for number in (*range(1001), 0)] == find_cycle({**links, "1000": ["0"]})
