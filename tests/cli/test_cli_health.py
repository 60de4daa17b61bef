"""``tertulia providers`` and ``tertulia budgets``: how providers do, and what may be spent."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

import tertulia
from tertulia import BreakerState, ErrorKind, Target
from tertulia_cli.budgets import find_share
from tertulia_cli.health import describe_health, render_health, tabulate_health
from tertulia_simulator import Simulator

GROK = Target("xai", "grok")
AT = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
OPEN = tertulia.TargetHealth(
    GROK,
    BreakerState.OPEN,
    failures=5,
    reopens_in=28.4,
    latency_seconds=0.844,
    last_kind=ErrorKind.OVERLOADED,
    last_error="provider 'xai': no capacity\x1b[2J",
    last_failed_at=AT,
)
BUSY = tertulia.ProviderHealth(
    "xai",
    tertulia.Limits(concurrent=8, requests_per_minute=60, tokens_per_minute=90_000, max_wait=5),
    in_flight=2,
    queued=1,
    retry_tokens=486,
    targets=(OPEN,),
)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def configured(simulated: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Simulator:
    """The simulated services, with limits and budgets in the user's own configuration."""
    path = tmp_path / "config.toml"
    path.write_text(
        '[[budgets]]\nlimit = "0.001"\nperiod = "day"\n'
        '[[budgets]]\nlimit = "20"\nscope = "provider"\nprovider = "xai"\nis_hard = false\n'
        '[[budgets]]\nlimit = "1"\nscope = "conversation"\nwarn_at = [0.5]\n'
        "[providers.xai.limits]\nconcurrent = 8\n"
        "[routing]\nmax_retries = 0\n"
    )
    monkeypatch.setenv("TERTULIA_CONFIG", str(path))
    return simulated


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "passed over for 28 s after 5 failures"),
        ({"failures": 0, "reopens_in": None}, "passed over"),
        ({"state": BreakerState.HALF_OPEN}, "on trial"),
        ({"state": BreakerState.CLOSED, "failures": 1}, "asked after 1 failure"),
        ({"state": BreakerState.CLOSED, "failures": 0}, "asked"),
    ],
)
def test_a_target_is_a_row(changes: dict[str, object], state: str):
    """
    Whether it is asked, how fast it is, how much it may be asked, and how it failed last, harmlessly.
    """
    health = attrs.evolve(BUSY, targets=(attrs.evolve(OPEN, **changes),))

    _, row = tabulate_health([health])

    load = (
        "8 at once, 60 calls a minute, 90,000 tokens a minute, 2 under way, 1 waiting, 486 of 500 for retries"
    )
    assert re.split(" {2,}", row) == [
        "xai/grok",
        state,
        "0.84 s",
        load,
        "2026-11-22 14:30 (overloaded): provider 'xai': no capacity␛[2J",
    ]


def test_who_was_not_asked_has_a_row_too():
    """
    With the limits that it has.
    """
    _, row = tabulate_health([tertulia.ProviderHealth("xai", tertulia.Limits())])

    assert re.split(" {2,}", row) == ["xai", "not asked lately", "-", "none", "none"]


def test_one_line_says_it_all():
    """
    As the doctor has it, without the words of the error.
    """
    assert describe_health(attrs.evolve(BUSY, limits=tertulia.Limits(), in_flight=0, queued=0)) == (
        "grok passed over for 28 s after 5 failures, first words after 0.84 s, "
        "failed 2026-11-22 14:30 (overloaded); 486 of 500 for retries"
    )


def test_programs_get_numbers():
    """
    Times in seconds and in UTC; what is not known is null.
    """
    assert render_health(attrs.evolve(BUSY, retry_tokens=500)) == {
        "provider": "xai",
        "limits": {
            "concurrent": 8,
            "requests_per_minute": 60,
            "tokens_per_minute": 90_000,
            "max_wait": 5,
        },
        "in_flight": 2,
        "queued": 1,
        "retry_tokens": 500,
        "targets": [
            {
                "model": "grok",
                "state": "open",
                "failures": 5,
                "reopens_in": 28.4,
                "latency_seconds": 0.844,
                "last_kind": "overloaded",
                "last_error": "provider 'xai': no capacity\x1b[2J",
                "last_failed_at": "2026-11-22T14:30:00+00:00",
            }
        ],
    }


def test_a_new_process_knows_what_failed_before(tertulia_command, configured: Simulator):
    """
    From the ledger: who failed too often a moment ago is passed over, and the line says until when.
    """
    configured.fail("xai", "overloaded", times=None)
    for _ in range(5):
        tertulia_command("ask", "-p", "xai", "--max-output-tokens", "10", "Hello.")

    ended = tertulia_command("providers")
    everybody = json.loads(tertulia_command("providers", "--json").out)

    assert 0 == ended.code
    [row] = [line for line in ended.out.splitlines() if line.startswith("xai/")]
    assert re.match(
        r"xai/grok-4\.7  passed over for \d+ s after 5 failures  -  +8 at once  \S+ \S+ \(overloaded\)", row
    )
    [xai] = [each for each in everybody if each["targets"]]
    assert {"gemini", "openai", "xai"} == {each["provider"] for each in everybody}
    assert ("xai", "open", "overloaded", 8) == (
        xai["provider"],
        xai["targets"][0]["state"],
        xai["targets"][0]["last_kind"],
        xai["limits"]["concurrent"],
    )


def test_the_doctor_says_the_same_in_a_line(tertulia_command, configured: Simulator):
    """
    Below who is configured; in JSON it is all of it.
    """
    configured.fail("xai", "overloaded")
    tertulia_command("ask", "-p", "xai", "--max-output-tokens", "10", "Hello.")

    ended = tertulia_command("doctor")

    [row] = [line for line in ended.out.splitlines() if line.startswith("  xai")]
    assert re.match(r"  xai +grok-4\.7 asked after 1 failure, failed .* \(overloaded\); 8 at once", row)
    assert "xai" in [
        each["provider"] for each in json.loads(tertulia_command("doctor", "--json").out)["health"]
    ]


def test_limits_are_shown_before_anybody_was_asked(tertulia_command, configured: Simulator):
    """
    Every configured provider has a row.
    """
    rows = [re.split(" {2,}", line) for line in tertulia_command("providers").out.splitlines()[1:]]

    assert {("gemini", "none"), ("openai", "none"), ("xai", "8 at once")} == {
        (row[0], row[3]) for row in rows
    }


def test_nothing_is_made_to_look_at(tertulia_command, tmp_path: Path):
    """
    Where nothing was ever asked there is no database afterwards either.
    """
    for command in ("providers", "budgets"):
        assert 0 == tertulia_command(command).code
    assert 2 == tertulia_command("providers", "--store", f"sqlite:///{tmp_path}/none.db").code

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [("--json",), ("--store", "memory:")])
def test_an_option_before_the_subcommand_is_refused(tertulia_command, option: tuple[str, ...]):
    """
    It would be ignored.
    """
    ended = tertulia_command("providers", *option, "list")

    assert (2, "") == ended[:2]
    assert "Its options come after it: list --json." in ended.err


def test_a_chat_forgets_on_demand(tertulia_command, simulated: Simulator):
    """
    /providers shows who is passed over, and after a reset it is asked again.
    """
    simulated.fail("xai", "auth", times=1)
    lines = ["Hello.", "/providers", "/providers reset xai", "/retry", "/providers reset"]

    ended = tertulia_command("chat", "-p", "xai", piped="\n".join(lines).encode())

    assert re.search(r"^xai/grok-4\.7  passed over for \d+ s after 1 failure ", ended.out, re.MULTILINE)
    assert ended.out.endswith("Hello! I am xAI's simulator and answer only from what I am sent.\n")
    assert "xai is asked again, whatever happened before\n" in ended.err
    assert "everybody is asked again, whatever happened before\n" in ended.err


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("/providers forget", "use it as /providers [reset [NAME]]"),
        ("/providers reset xai openai", "use it as /providers [reset [NAME]]"),
        ("/providers reset nobody", "no provider is configured as 'nobody'"),
    ],
)
def test_a_reset_of_what_is_not_there(tertulia_command, simulated: Simulator, line: str, error: str):
    """
    That is one line.
    """
    ended = tertulia_command("chat", piped=line.encode())

    assert 1 == ended.code
    assert ended.err.startswith(f"error: {error}")


def test_every_budget_has_a_row(tertulia_command, configured: Simulator):
    """
    What is spent of it and what is left, also of one that only warns.
    """
    tertulia_command("ask", "-p", "xai", "--max-output-tokens", "10", "My name is John.")

    ended = tertulia_command("budgets", "--conversation", "last")

    head, day, xai, talk = [re.split(" {2,}", line) for line in ended.out.splitlines()]
    assert head == ["budget", "period", "limit", "spent", "set aside", "left", "share"]
    assert day[0] == "owner"
    assert day[2:] == ["$0.001", "$0.000034", "$0", "$0.000966", "3%"]
    assert xai == ["provider xai (warns only)", "all", "$20", "$0.000034", "$0", "$19.999966", "0%"]
    assert re.fullmatch(r"conversation \S{36}", talk[0])
    assert talk[1:] == ["all", "$1", "$0.000034", "$0", "$0.999966", "0%"]


def test_budgets_for_programs(tertulia_command, configured: Simulator):
    """
    Amounts are texts, and a share is a number.
    """
    tertulia_command("ask", "-p", "xai", "--max-output-tokens", "10", "My name is John.")

    day, xai = json.loads(tertulia_command("budgets", "--json").out)

    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day.pop("period"))
    assert day == {
        "scope": "owner",
        "account": "owner",
        "time_zone": "UTC",
        "limit": "0.001",
        "spent": "0.000034",
        "reserved": "0",
        "left": "0.000966",
        "share": 0.03,
        "is_hard": True,
        "warn_at": [0.8, 1.0],
    }
    assert ("provider", "provider/xai", False) == (xai["scope"], xai["account"], xai["is_hard"])


def test_a_call_over_what_is_left_ends_with_its_own_code(tertulia_command, configured: Simulator):
    """
    It is not made, and the line says what is spent.
    """
    short = ("ask", "-p", "xai", "--max-output-tokens", "10", "My name is John.")
    assert 0 == tertulia_command(*short).code

    ended = tertulia_command("ask", "-p", "xai", "My name is Mary.")

    assert (3, "") == ended[:2]
    assert "$0.000034 of $0.001 are spent or set aside" in ended.err
    assert 1 == len(configured.requests)


def test_without_a_budget_a_line_says_how_to_set_one(tertulia_command):
    """
    That is no failure.
    """
    assert tertulia_command("budgets") == (
        0,
        "",
        "no budget is set; [[budgets]] in the configuration sets one\n",
    )


@pytest.mark.parametrize(("spent", "share"), [(0, 0.0), (1, 0.33), (2, 0.66), (3, 1.0), (4, 1.33)])
def test_all_of_a_budget_is_one(spent: int, share: float):
    """
    A share is rounded down, so that nothing is said to be used up that is not.
    """
    budget = tertulia.Budget(tertulia.Money(3))
    account = tertulia.Account("owner", "all")

    state = tertulia.BudgetState(budget, account, tertulia.Money(spent), tertulia.Money(0))

    assert share == find_share(state)
