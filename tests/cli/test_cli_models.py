"""``tertulia models`` and ``tertulia providers``: what is known, what is asked, and how it ends."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

GONE = '{"gone_at": "2026-11-01T00:00:00+00:00", "successor": "gpt-7"}'
EVIL = '{"display_name": "\\u001b[2Jevil", "aliases": ["\\u202egnp"]}'


def rows(out: str) -> dict[str, list[str]]:
    """The columns after the first one, by it."""
    lines = [re.split(" {2,}", line) for line in out.splitlines()]
    return {first: rest for first, *rest in lines}


@pytest.fixture
def put(tmp_path: Path):
    """Write an entry of the catalogue into the command's database, as a hostile service might have."""

    def put(provider: str, model: str, facts: str) -> None:
        with closing(sqlite3.connect(tmp_path / "conversations.db")) as connection, connection:
            connection.execute(
                "INSERT OR REPLACE INTO model VALUES ('local', ?, ?, ?)", [provider, model, facts]
            )

    return put


def test_bundled_models_are_listed_without_a_key(tertulia_command):
    """
    Before any sync the drivers' own tables are shown, with their limits and prices, and nobody is asked.
    """
    ended = tertulia_command("models", "list", "--provider", "openai")

    shown = rows(ended.out)
    assert (0, "") == (ended.code, ended.err)
    assert ["window", "answer", "in / out", "note", "can"] == shown["model"]
    assert ["1,050,000", "128,000", "$2 / $10"] == shown["openai/gpt-6.1-sol"][:3]
    assert {"openai"} == {name.partition("/")[0] for name in shown if name != "model"}


def test_everybodys_models_are_listed(tertulia_command):
    """
    Without --provider those of every installed driver, also as JSON.
    """
    listed = json.loads(tertulia_command("models", "list", "--json").out)

    assert {"gemini", "openai", "xai"} <= {each["provider"] for each in listed}
    (sol,) = (each for each in listed if each["id"] == "gpt-6.1-sol")
    assert (1_050_000, None, []) == (sol["context_window"], sol["gone_at"], sol["aliases"])
    assert {"input": "2", "output": "10"}.items() <= sol["price"]["usd_per_million_tokens"].items()
    assert sorted(sol["capabilities"]) == sol["capabilities"]


@pytest.mark.usefixtures("simulated")
def test_a_sync_shows_what_is_new(tertulia_command):
    """
    A line for each provider on standard error as it answers, and what changed on standard output.
    """
    first = tertulia_command("models", "sync")
    second = tertulia_command("models", "sync")

    told = sorted(line.partition(": ")[0] for line in first.err.splitlines())
    assert (0, ["gemini", "openai", "xai"]) == (first.code, told)
    assert re.search(r"^xai: 5 models in \d+\.\d s, 5 new$", first.err, re.MULTILINE)
    assert "+ xai/grok-4.7\n" in first.out
    assert (0, "") == (second.code, second.out)
    assert 3 == second.err.count(", nothing new\n")


@pytest.mark.usefixtures("simulated")
def test_a_synced_list_is_listed(tertulia_command):
    """
    What a list names is shown from then on, the price it names with its source.
    """
    tertulia_command("models", "sync", "--provider", "xai")

    listed = json.loads(tertulia_command("models", "list", "--provider", "xai", "--json").out)
    assert ["grok-4.3", "grok-4.5", "grok-4.6", "grok-4.7", "grok-build-0.1"] == [
        each["id"] for each in listed
    ]
    assert "grok-4.6-latest" in listed[2]["aliases"]


@pytest.mark.usefixtures("simulated")
def test_a_dry_run_keeps_nothing(tertulia_command):
    """
    The same is shown, marked as such, and shown again by the next.
    """
    runs = [tertulia_command("models", "sync", "--provider", "xai", "--dry-run") for _ in range(2)]

    assert runs[0].out == runs[1].out
    assert runs[0].out.startswith("+ xai/")
    assert runs[0].err.endswith(", 5 new (a dry run)\n")


@pytest.mark.usefixtures("simulated")
def test_what_is_gone_is_shown_when_asked_for(tertulia_command, put):
    """
    A model that is no longer listed is marked, left out of the list, and there with --all.
    """
    tertulia_command("models", "sync", "--provider", "openai")
    put("openai", "gpt-old", "{}")
    put("openai", "gpt-older", GONE)

    ended = tertulia_command("models", "sync", "--provider", "openai")
    shown = rows(tertulia_command("models", "list", "--provider", "openai").out)
    with_gone = rows(tertulia_command("models", "list", "--provider", "openai", "--all").out)

    assert "- openai/gpt-old\n" == ended.out
    assert set() == {"openai/gpt-old", "openai/gpt-older"} & set(shown)
    assert "gone since 2026-11-01" in with_gone["openai/gpt-older"]
    assert "successor  gpt-7\n" in re.sub(
        " {2,}", "  ", tertulia_command("models", "show", "openai/gpt-older").out
    )


@pytest.mark.usefixtures("simulated")
def test_a_list_that_lacks_too_much_needs_force(tertulia_command, put):
    """
    It is an error with exit code 1 and a way out, and --force takes it.
    """
    tertulia_command("models", "list")  # so that there is a database
    for number in range(12):
        put("xai", f"old-{number}", "{}")

    refused = tertulia_command("models", "sync", "--provider", "xai")
    forced = tertulia_command("models", "sync", "--provider", "xai", "--force")

    assert (1, "") == (refused.code, refused.out)
    assert refused.err == (
        "error: provider 'xai': its list has 5 models, and had 12; the list before is kept; "
        "try again later, or sync with force where it is right\n"
    )
    assert (0, 12) == (forced.code, forced.out.count("- xai/old-"))


@pytest.mark.usefixtures("simulated")
def test_one_failure_harms_no_other(tertulia_command, monkeypatch):
    """
    The others are synced, the failure is a line on standard error, and the exit code is 1.
    """
    monkeypatch.setenv("AI_GEMINI_API_KEY", "refused")

    ended = tertulia_command("models", "sync", "--json")

    synced = {each["provider"]: each for each in json.loads(ended.out)}
    assert 1 == ended.code
    assert (5, None) == (synced["xai"]["models"], synced["xai"]["error"])
    assert (None, None, None) == tuple(synced["gemini"][name] for name in ("models", "added", "gone"))
    assert synced["gemini"]["error"] in ended.err


def test_providers_without_a_key_are_passed_over(tertulia_command, simulated, monkeypatch):
    """
    Whoever uses one provider is not told that two have failed; one that is named has to have a key.
    """
    monkeypatch.delenv("AI_XAI_API_KEY")

    ended = tertulia_command("models", "sync")
    named = tertulia_command("models", "sync", "--provider", "xai")
    verified = tertulia_command("providers", "verify")

    assert 0 == ended.code
    assert "xai: passed over, no key is set\n" in ended.err
    assert 2 == named.code
    assert named.err.startswith(
        f"error: provider 'xai': no key is set for {simulated.url}/xai/v1, so nothing was sent; "
        "set AI_XAI_API_KEY, or pass api_key; XAI_API_KEY is withheld"
    )
    assert (0, ["no key"]) == (verified.code, rows(verified.out)["xai"])


@pytest.mark.parametrize("command", [("models", "sync"), ("providers", "verify")])
def test_without_any_key_there_is_nobody_to_ask(tertulia_command, command):
    """
    That is a matter of configuration: exit code 2 and what to set.
    """
    ended = tertulia_command(*command)

    assert 2 == ended.code
    assert ended.err.endswith(
        "error: no provider has a key; set OPENAI_API_KEY, GEMINI_API_KEY or XAI_API_KEY\n"
    )


def test_a_model_is_shown_with_all_that_is_known(tertulia_command):
    """
    Limits, abilities, and the price row with its source and the day it was read.
    """
    shown = rows(tertulia_command("models", "show", "openai/gpt-6.1-sol").out)

    assert ["openai/gpt-6.1-sol"] == shown["model"]
    assert ["1,050,000 tokens"] == shown["context window"]
    assert shown["price"][0].startswith("input 2, output 10, ")
    assert shown["price row"][0].startswith("openai/gpt-6.1-sol/")
    assert "read on 2026-" in shown["source"][0]


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        ("openai/gpt-6.1-soll", 1, "nothing is known of a model 'gpt-6.1-soll'; did you mean 'gpt-6.1-sol'?"),
        ("opnai/gpt-6.1-sol", 2, "no provider is configured as 'opnai'; did you mean 'openai'?"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(tertulia_command, name, code, error):
    """
    What was meant is suggested, and the exit code says whose mistake it is.
    """
    ended = tertulia_command("models", "show", name)

    assert (code, "") == (ended.code, ended.out)
    assert error in ended.err


def test_what_a_service_says_cannot_operate_the_terminal(tertulia_command, put):
    """
    Control characters and overrides of the direction in a list are shown, not obeyed.
    """
    tertulia_command("models", "list")  # so that there is a database
    put("openai", "gpt\x1b]0;owned\x07", EVIL)

    outs = [
        tertulia_command("models", "list", "--provider", "openai").out,
        tertulia_command("models", "show", "openai/gpt\x1b]0;owned\x07").out,
    ]
    assert ["gpt␛]0;owned␇" in out for out in outs] == [True] * 2
    assert [] == [out for out in outs if re.search("\x1b]|\x07|\u202e", out)]
    assert "␛[2Jevil" in outs[1]
    assert tertulia_command("models", "list", "--json").out.isascii()


def test_the_price_of_a_model_nobody_prices_is_unknown(tertulia_command, put):
    """
    What is not known is said to be unknown, and is null in JSON: never zero.
    """
    tertulia_command("models", "list")
    put("openai", "brand-new", '{"shutdown_on": "2027-01-14"}')

    shown = rows(tertulia_command("models", "show", "openai/brand-new").out)
    listed = json.loads(tertulia_command("models", "show", "openai/brand-new", "--json").out)

    assert (["unknown"], ["until 2027-01-14"]) == (shown["price"], shown["note"])
    assert [None] * 4 == [
        listed[name] for name in ("price", "context_window", "capabilities", "reasoning_efforts")
    ]
    assert "2027-01-14" == listed["shutdown_on"]


def test_providers_are_listed_without_their_secrets(tertulia_command, monkeypatch, tmp_path):
    """
    Driver, model, whether there is a key, and the origin alone of where they are.
    """
    path = tmp_path / "config.toml"
    path.write_text(
        '[providers.openai]\napi_key = "sk-secret"\n'
        '[providers."my.local"]\ndriver = "openai"\n'
        'base_url = "http://localhost:11434/very/private"\n'
        '[providers.odd]\ndriver = "no-such-driver"\n'
    )
    monkeypatch.setenv("TERTULIA_CONFIG", str(path))

    ended = tertulia_command("providers", "list")
    listed = {each["name"]: each for each in json.loads(tertulia_command("providers", "list", "--json").out)}

    assert (0, "") == (ended.code, ended.err)
    assert ["openai", "gpt-6.1-sol", "set", "https://api.openai.com"] == rows(ended.out)["openai"]
    assert {
        "name": "my.local",
        "driver": "openai",
        "model": "gpt-6.1-sol",
        "has_key": False,
        "origin": "http://localhost:11434",
    } == listed["my.local"]
    assert (None, None) == (listed["odd"]["model"], listed["odd"]["origin"])
    assert [] == [word for word in ("sk-secret", "private") if word in ended.out]


@pytest.mark.usefixtures("simulated")
def test_who_answers_is_verified(tertulia_command, monkeypatch):
    """
    Each provider has a line; one that refuses the key is an error with its reason and exit code 1.
    """
    fine = tertulia_command("providers", "verify")
    monkeypatch.setenv("AI_OPENAI_API_KEY", "refused")
    failed = tertulia_command("providers", "verify", "openai", "xai")
    listed = json.loads(tertulia_command("providers", "verify", "openai", "--json").out)

    assert (0, {"gemini", "openai", "xai"}) == (fine.code, set(rows(fine.out)))
    assert {"ok"} == {columns[0] for columns in rows(fine.out).values()}
    assert all(re.fullmatch(r"\d+\.\d\d s", columns[1]) for columns in rows(fine.out).values())
    assert (1, ["failed", "ok"]) == (failed.code, [rows(failed.out)[name][0] for name in ("openai", "xai")])
    assert [("openai", False, "authentication")] == [
        (each["provider"], each["ok"], each["kind"]) for each in listed
    ]


def test_an_unknown_provider_is_not_verified(tertulia_command):
    """
    A name that nobody is configured under is exit code 2, and nobody is asked.
    """
    ended = tertulia_command("providers", "verify", "opnai")

    assert (2, "") == (ended.code, ended.out)
    assert "did you mean 'openai'?" in ended.err


@pytest.mark.usefixtures("simulated")
def test_a_change_is_shown_by_its_fields(tertulia_command, put):
    """
    A model of which the list says something else has the names of what differs, as JSON too.
    """
    tertulia_command("models", "sync", "--provider", "xai")
    for model in ("grok-4.5", "grok-4.7"):
        put("xai", model, '{"context_window": 5}')
    put("xai", "grok-4.6", GONE)

    dry = tertulia_command("models", "sync", "--provider", "xai", "--dry-run")
    (synced,) = json.loads(tertulia_command("models", "sync", "--provider", "xai", "--json").out)

    changed = rows(dry.out)
    assert {"~ xai/grok-4.5", "~ xai/grok-4.6", "~ xai/grok-4.7"} == set(changed)
    assert "context window" in changed["~ xai/grok-4.7"][0]
    assert "back again" in changed["~ xai/grok-4.6"][0]
    assert "context_window" in synced["changed"]["grok-4.5"]
    assert (5, [], [], None) == tuple(synced[name] for name in ("models", "added", "gone", "error"))


def test_a_group_alone_shows_its_help(tertulia_command):
    """
    Whoever types only the first word sees what can follow it.
    """
    assert tertulia_command("models") == tertulia_command("models", "--help")


@pytest.mark.parametrize(
    "command", [("models", "list"), ("providers",), ("providers", "list"), ("models", "sync")]
)
def test_without_a_driver_there_is_nothing(tertulia_command, command, monkeypatch):
    """
    Where no provider is installed, the next step is to install one.
    """
    monkeypatch.setattr("tertulia.runtime.drivers.entry_points", lambda **_group: [])

    ended = tertulia_command(*command)

    assert "" == ended.out
    assert "pip install tertulia-openai" in ended.err or "no model is known yet" in ended.err


def test_prices_are_compared_without_a_key(tertulia_command):
    """
    The cheapest first, whatever has no price last; nothing is sent.
    """
    targets = ("--target", "openai/gpt-6-sol", "-t", "openai/nameless", "-t", "openai/gpt-6-luna")
    ended = tertulia_command("models", "compare", "Hello", *targets, "--max-output-tokens", "2000")

    assert (0, "all of it is estimated, and nothing was sent\n") == (ended.code, ended.err)
    # Seven tokens at $0.1 per million, 2,000 at $0.5; or both 20 times as dear.
    assert [
        ["model", "prompt", "answer", "at least", "at most"],
        ["openai/gpt-6-luna", "7", "2,000", "$0.0000012", "$0.001000875"],
        ["openai/gpt-6-sol", "7", "2,000", "$0.000024", "$0.0200175"],
    ] == [re.split(" {2,}", line) for line in ended.out.splitlines()[:3]]
    assert ["2,000", "unknown", "unknown"] == rows(ended.out)["openai/nameless"][1:]


def test_compared_prices_are_json(tertulia_command):
    """
    Amounts are texts, so that no program makes floats of money; what is not known is null.
    """
    ended = tertulia_command(
        "models", "compare", "Hello", "-t", "openai/nameless", "-t", "xai/grok-4.3", "--json"
    )
    known, unknown = json.loads(ended.out)

    assert (0, "") == (ended.code, ended.err)
    assert {
        "provider": "xai",
        "model": "grok-4.3",
        "input_tokens": 193,
        "output_tokens": 1000,
        "low_usd": "0.00024375",
        "high_usd": "0.00274125",
        "estimated": True,
    } == known
    assert ("nameless", None, None) == tuple(unknown[key] for key in ("model", "low_usd", "high_usd"))


def test_every_model_with_a_price_is_compared(tertulia_command):
    """
    Whoever names no target sees all three providers.
    """
    listed = json.loads(tertulia_command("models", "compare", "Hello", "--json").out)

    highs = [Decimal(each["high_usd"]) for each in listed]
    assert highs == sorted(highs)
    assert {"gemini", "openai", "xai"} == {each["provider"] for each in listed}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Hello", "-t", "nobody"), "no provider is configured as 'nobody'"),
        (("Hello", "--max-output-tokens", "0"), "0 is not in the range"),
        ((), "Missing argument 'TEXT'"),
    ],
)
def test_what_cannot_be_compared_is_a_mistake_of_use(tertulia_command, arguments, words):
    """
    It ends with 2, and says what is wrong on standard error only.
    """
    ended = tertulia_command("models", "compare", *arguments)

    assert (2, "") == (ended.code, ended.out)
    assert words in ended.err


def test_a_hostile_name_is_harmless_where_prices_are_compared(tertulia_command):
    """
    What somebody pasted as a model's name clears no screen.
    """
    shown = tertulia_command("models", "compare", "Hello", "-t", "openai/\x1b[2Jevil").out

    assert "\x1b[2J" not in shown
    assert "␛[2Jevil" in shown


def test_a_price_is_shown_with_its_factors_and_fees(tertulia_command):
    """
    What a tier, a region or a search costs is part of a price.
    """
    shown = tertulia_command("models", "show", "openai/gpt-5.5")
    price = json.loads(tertulia_command("models", "show", "openai/gpt-5.5", "--json").out)["price"]

    assert "web search 10, file search 2.5, in US dollars per 1,000 calls" in shown.out
    assert "priority * 2.5" in shown.out
    assert ("2.5", "1.1", "10") == (
        price["tiers"]["priority"],
        price["regions"]["eu"],
        price["usd_per_thousand_calls"]["web_search"],
    )
