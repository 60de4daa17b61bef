"""Without any key the services are simulated; whoever asks for a real one is never answered by another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import tertulia
from tertulia_simulator import Simulator

SIMULATED = (
    "simulator: no key is set, so the services are simulated and nothing is kept; "
    "set OPENAI_API_KEY, GEMINI_API_KEY or XAI_API_KEY to talk to the real ones\n"
)
NO_KEY = "error: provider '{}': no key is set, so nothing was sent; "


@pytest.mark.parametrize("command", [("ask", "My name is John."), ("chat",)])
def test_without_any_key_the_services_are_simulated(
    tertulia_command, tmp_path: Path, command: tuple[str, ...]
):
    """
    There is an answer, one line says whose it is, and the user's own database is not even created.
    """
    ended = tertulia_command(*command, piped=b"My name is John.\n")

    assert (0, "Hello John.\n") == (ended.code, ended.out)
    assert ended.err == f"{SIMULATED}openai/gpt-6.1-sol, $0.000046\n"
    assert [] == list(tmp_path.iterdir())


def test_simulated_answers_are_kept_where_store_says(tertulia_command, database: str):
    """
    Who names a store gets what was said kept there, and is not told otherwise.
    """
    ended = tertulia_command("ask", "--store", database, "My name is John.")

    assert ended.err.startswith(
        "simulator: no key is set, so the services are simulated; set OPENAI_API_KEY, "
    )
    assert asyncio.run(count(database)) == 1


async def count(database: str) -> int:
    """How many conversations a store has."""
    async with tertulia.open(store=database, environ={}) as client:
        return len(await client.list())


@pytest.mark.parametrize("command", ["ask", "chat"])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--provider", "openai"], NO_KEY.format("openai")),
        (["--model", "gpt-6.1-sol"], "error: no provider has a key; set one of "),
        (["--fallback", "xai"], "error: no provider has a key; set one of "),
    ],
)
def test_who_asks_for_somebody_is_not_simulated(
    tertulia_command, command: str, options: list[str], error: str
):
    """
    The error says which key is missing, and nobody answers in place of whoever was asked for.
    """
    ended = tertulia_command(command, *options, *(["Hello."] if command == "ask" else []), piped=b"Hello.\n")

    assert ended.out == ""
    assert ended.err.startswith(error)
    assert "_API_KEY" in ended.err
    assert ended.code == (2 if command == "ask" else 1)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("TERTULIA_PROVIDER", "openai", NO_KEY.format("openai")),
        ("TERTULIA_FALLBACK", "xai", "error: no provider has a key; "),
        ("AI_OPENAI_MODEL", "gpt-5", "error: no provider has a key; "),
    ],
)
def test_who_is_set_in_the_environment_is_not_simulated(
    tertulia_command, monkeypatch: pytest.MonkeyPatch, name: str, value: str, error: str
):
    """
    A setting about providers is a wish for the real ones.
    """
    monkeypatch.setenv(name, value)

    ended = tertulia_command("ask", "Hello.")

    assert (2, "") == ended[:2]
    assert ended.err.startswith(error)


def test_a_key_is_used(tertulia_command, simulated: Simulator):
    """
    With one there is no word of a simulation.
    """
    assert tertulia_command("ask", "My name is John.") == (
        0,
        "Hello John.\n",
        "gemini/gemini-3.5-flash, $0.000039\n",
    )


def test_a_server_that_needs_no_key_is_asked(
    tertulia_command, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    A local server in the configuration answers, and no key is missed.
    """
    local = simulator.providers(local=True)["local"]
    config = tmp_path / "config.toml"
    config.write_text("[providers.local]\n" + "".join(f"{key} = '{value}'\n" for key, value in local.items()))
    monkeypatch.setenv("TERTULIA_CONFIG", str(config))

    ended = tertulia_command("ask", "My name is John.")

    assert (0, "Hello John.\n") == (ended.code, ended.out)
    assert ended.err.startswith("local/")


def test_the_simulator_is_asked_whatever_is_configured(
    tertulia_command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    --simulator needs no setting to fit, and obeys those that are about no provider.
    """
    config = tmp_path / "config.toml"
    config.write_text(
        'default_provider = "own"\n[conversation]\ncontext_window = 1\n'
        '[providers.own]\ndriver = "openai"\nfallback = "gemini"\n'
    )
    monkeypatch.setenv("TERTULIA_CONFIG", str(config))
    monkeypatch.setenv("TERTULIA_FALLBACK", "own")

    ended = tertulia_command("chat", "--simulator", piped=b"My name is John.\nWhat is my name?\n")

    assert ended.code == 0
    assert ended.out.splitlines()[0] == "Hello John."
    assert ended.err.splitlines()[1].startswith("openai/gpt-6.1-sol, ")


def test_a_driver_without_a_key_answers(tertulia_command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    Where an installed driver can do without one, it is asked, and nothing is simulated.
    """
    information = tmp_path / "packages/parrot-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: parrot\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[tertulia.providers]\nparrot = parrot_driver:Parrot\n")
    (tmp_path / "packages/parrot_driver.py").write_text(PARROT)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))

    ended = tertulia_command("ask", "Hello!")

    assert (0, "Hello!\n") == (ended.code, ended.out)
    assert ended.err == "parrot/grey, cost unknown\n"


PARROT = """\
import tertulia


class Parrot(tertulia.Provider):
    DEFAULT_MODEL = "grey"

    async def send_message(self, request):
        text = request.messages[-1].text
        yield tertulia.TextDelta(text)
        yield tertulia.ProviderReply((tertulia.Text(text),), tertulia.FinishReason.STOP)

    async def list_models(self):
        return []
"""
