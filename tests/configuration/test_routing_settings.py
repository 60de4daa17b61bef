"""How answers are found, how much a provider is asked, and what may be spent: who says so, and how."""

from __future__ import annotations

import pytest
from configuration_cases import KEY, configure, origins, printed

import tertulia
from tertulia import Budget, ConfigurationError, ErrorKind, Limits, Money, OnInterrupt, Routing, Strategy

FILE = """
[routing]
strategy = "cheapest"
sticky = true
on_interrupt = "restart"
max_retries = 0
max_attempts = 3
fall_back_on = ["content_filter", "too_large"]

[[budgets]]
limit = "5.00"
period = "day"
time_zone = "Europe/Lisbon"

[[budgets]]
limit = 1
scope = "provider"
provider = "xai"
warn_at = [0.5]
is_hard = false

[providers.openai.limits]
concurrent = 8
requests_per_minute = 500
tokens_per_minute = 200_000
max_wait = 30
"""


def test_all_of_it_is_read_from_the_users_file(user_file):
    """Each key of the three tables becomes what it says."""
    user_file.write_text(FILE)

    config = configure()

    assert config.routing == Routing(
        strategy=Strategy.CHEAPEST,
        sticky=True,
        on_interrupt=OnInterrupt.RESTART,
        max_retries=0,
        max_attempts=3,
        fall_back_on=(ErrorKind.CONTENT_FILTER, ErrorKind.TOO_LARGE),
    )
    assert config.budgets == (
        Budget("5.00", period="day", time_zone="Europe/Lisbon"),
        Budget("1", scope="provider", provider="xai", warn_at=(0.5,), is_hard=False),
    )
    assert Limits(8, 500, 200_000, 30) == config.providers["openai"].limits
    assert Limits() == config.providers["gemini"].limits


def test_nothing_said_is_nothing_set():
    """Without a word about it there are no limits and no budgets, and the routing is the usual one."""
    config = configure()

    assert (Routing(), (), Limits()) == (config.routing, config.budgets, config.providers["openai"].limits)


def test_each_is_listed_with_where_it_was_set(user_file):
    """The settings name the line of each key, the usual value of each other one, and budgets in words."""
    user_file.write_text(FILE)

    listed = {setting.key: setting.value for setting in tertulia.read_settings()}

    assert ("$5 for owner, day", "$1 for provider xai, all, only warns") == listed["budgets"]
    assert (8, None) == (
        listed["providers.openai.limits.concurrent"],
        listed["providers.xai.limits.concurrent"],
    )
    assert {
        "routing.strategy": f"{user_file} line 3",
        "routing.sticky": f"{user_file} line 4",
        "routing.on_interrupt": f"{user_file} line 5",
        "routing.max_retries": f"{user_file} line 6",
        "routing.max_attempts": f"{user_file} line 7",
        "routing.fall_back_on": f"{user_file} line 8",
        "budgets": f"{user_file} line 10",
        "providers.openai.limits.concurrent": f"{user_file} line 23",
        "providers.openai.limits.requests_per_minute": f"{user_file} line 24",
        "providers.openai.limits.tokens_per_minute": f"{user_file} line 25",
        "providers.openai.limits.max_wait": f"{user_file} line 26",
    } == origins()


def test_the_usual_routing_is_listed():
    """Where nobody says anything, the settings show what holds."""
    listed = {setting.key: setting.value for setting in tertulia.read_settings()}

    assert ("configured", False, "keep", 2, 6, ()) == tuple(
        listed[f"routing.{key}"]
        for key in ("strategy", "sticky", "on_interrupt", "max_retries", "max_attempts", "fall_back_on")
    )


@pytest.mark.parametrize(
    "routing", [Routing(max_retries=1, sticky=False), {"max_retries": 1, "sticky": False}]
)
def test_an_argument_is_over_the_file_key_by_key(user_file, routing):
    """A value or a table says what it says; the rest is as the file says."""
    user_file.write_text('[routing]\nstrategy = "fastest"\nsticky = true')

    assert Routing(strategy="fastest", sticky=False, max_retries=1) == configure(routing=routing).routing


def test_budgets_of_an_argument_are_all_there_are(user_file):
    """Values and tables may be mixed, and an empty list is no budget at all."""
    user_file.write_text(FILE)

    budgets = [Budget("2"), {"limit": "3", "period": "month"}, {"limit": Money.from_usd(4)}]

    assert (Budget("2"), Budget("3", period="month"), Budget("4")) == configure(budgets=budgets).budgets
    assert () == configure(budgets=[]).budgets


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_wait": 0}, Limits(concurrent=8, max_wait=0)),
        ({"concurrent": None, "max_wait": 1.5}, Limits(max_wait=1.5)),
        (Limits(requests_per_minute=60), Limits(requests_per_minute=60)),
        (None, Limits(concurrent=8)),
    ],
)
def test_limits_of_an_argument_are_over_the_files(user_file, limits, expected):
    """A table says what it says, and None in it is no limit; a value says all of it."""
    user_file.write_text("[providers.openai.limits]\nconcurrent = 8")

    assert expected == configure(providers={"openai": {"limits": limits}}).providers["openai"].limits


def test_a_budget_in_the_file_for_a_provider_that_is_not_there_is_left_out(user_file):
    """Arguments that configure other providers do not trip over the file's budgets; what is for all holds."""
    user_file.write_text(FILE)

    assert ["owner"] == [budget.scope for budget in configure(providers={"openai": {}}).budgets]


def test_a_project_may_say_how_providers_are_asked(user_file, project_file):
    """The routing and the limits are a project's to set, over the user's file."""
    user_file.write_text("[routing]\nmax_retries = 1\nsticky = true")
    project_file.write_text(
        "[tool.tertulia.routing]\nmax_retries = 0\n[tool.tertulia.providers.openai.limits]\nconcurrent = 2"
    )

    config = configure()

    assert Routing(max_retries=0, sticky=True) == config.routing
    assert Limits(concurrent=2) == config.providers["openai"].limits


A_WAIT = "must be a number of seconds from 0 on; leave it out to wait as long as it takes"
A_LIST = "must be a list of tables; write [[budgets]] before each of them"
AN_AMOUNT = 'write it as a text, such as "0.5", or as a whole number'
BUDGET_KEYS = "is_hard, limit, period, provider, scope, time_zone, warn_at"
LIMIT_KEYS = "concurrent, max_wait, requests_per_minute, tokens_per_minute"
NO_PROVIDER = (
    "a budget of the scope 'owner' names no provider; write scope = 'provider', or leave the provider out"
)
ROUTING_KEYS = "strategy, sticky, on_interrupt, max_retries, max_attempts, fall_back_on"
WORDS = "must be one of: configured, cheapest, fastest, capable"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[routing]\nstrategy = 'best'", f"line 2: routing.strategy {WORDS}"),
        ("[routing]\nstrategy = 'cheapst'", f"line 2: routing.strategy {WORDS}; did you mean 'cheapest'?"),
        (f"[routing]\nstrategy = '{KEY}'", f"line 2: routing.strategy {WORDS}"),
        ("[routing]\nstrategy = 3", f"line 2: routing.strategy {WORDS}"),
        ("[routing]\nstrategy = ['cheapest']", f"line 2: routing.strategy {WORDS}"),
        (
            "[routing]\non_interrupt = 'stop'",
            "line 2: routing.on_interrupt must be one of: keep, restart, continue",
        ),
        ("[routing]\nsticky = 'yes'", "line 2: routing.sticky must be true or false"),
        ("[routing]\nmax_retries = -1", "line 2: routing.max_retries must be at least 0"),
        ("[routing]\nmax_retries = true", "line 2: routing.max_retries must be a whole number"),
        ("[routing]\nmax_retries = 1.5", "line 2: routing.max_retries must be a whole number"),
        ("[routing]\nmax_attempts = 0", "line 2: routing.max_attempts must be at least 1"),
        (
            "[routing]\nfall_back_on = ['timeout']",
            "line 2: routing.fall_back_on must be one of: content_filter, invalid_request, too_large",
        ),
        ("[routing]\nfall_back_on = 3", "line 2: routing.fall_back_on must be a text or a list of texts"),
        ("[routing]\nmax_retry = 1", "line 2: routing.max_retry is no setting; did you mean 'max_retries'?"),
        (
            "routing = 'cheapest'",
            f"line 1: routing must be a table: its keys are {ROUTING_KEYS}",
        ),
        ("[[routing]]\nsticky = true", None),
        ("[providers.openai]\nlimits = 8", "line 2: providers.openai.limits must be a table of limits"),
        (
            "[providers.openai.limits]\nconcurrent = 0",
            "line 2: providers.openai.limits.concurrent must be at least 1",
        ),
        (
            "[providers.openai.limits]\nrequests_per_minute = 0.5",
            "line 2: providers.openai.limits.requests_per_minute must be a whole number",
        ),
        (
            "[providers.openai.limits]\nmax_wait = -1",
            f"line 2: providers.openai.limits.max_wait {A_WAIT}",
        ),
        (
            "[providers.openai.limits]\nmax_wait = inf",
            f"line 2: providers.openai.limits.max_wait {A_WAIT}",
        ),
        (
            "[providers.openai.limits]\nmax_wait = nan",
            f"line 2: providers.openai.limits.max_wait {A_WAIT}",
        ),
        (
            "[providers.openai.limits]\nmax_wait = true",
            "line 2: providers.openai.limits.max_wait must be a number of seconds",
        ),
        (
            "[providers.openai.limits]\nrequests = 5",
            f"line 2: providers.openai.limits.requests is no setting; known are: {LIMIT_KEYS}",
        ),
        (
            "[budgets]\nlimit = '5'",
            f"line 1: budgets {A_LIST}",
        ),
        (
            "budgets = '5.00'",
            f"line 1: budgets {A_LIST}",
        ),
        (
            "budgets = ['5.00']",
            f"line 1: budgets[0] must be a table; its keys are: {BUDGET_KEYS}",
        ),
        (
            "[[budgets]]\nlimit = '5'\n[[budgets]]\nperiod = 'day'",
            'line 1: budgets[1] has no limit; write how many dollars: limit = "5.00"',
        ),
        (
            "[[budgets]]\nlimit = 0.1",
            f"line 1: budgets[0].limit must be an exact amount; {AN_AMOUNT}",
        ),
        (
            "[[budgets]]\nlimit = 'much'",
            f"line 1: budgets[0].limit is no number; {AN_AMOUNT}",
        ),
        (
            "[[budgets]]\nlimit = 0",
            "line 1: budgets[0]: a budget's limit is more than 0, and at most nine million dollars",
        ),
        (
            "[[budgets]]\nlimit = '5'\nscope = 'me'",
            "line 1: budgets[0].scope must be one of: owner, conversation, provider",
        ),
        (
            "[[budgets]]\nlimit = '5'\nperiod = 'months'",
            "line 1: budgets[0].period must be one of: day, month, all; did you mean 'month'?",
        ),
        (
            "[[budgets]]\nlimit = '5'\nprovider = 'xai'",
            f"line 1: budgets[0]: {NO_PROVIDER}",
        ),
        (
            "[[budgets]]\nlimit = '5'\nscope = 'provider'\nprovider = 'xia'",
            "line 1: no provider is configured as 'xia'; did you mean 'xai'?",
        ),
        (
            "[[budgets]]\nlimit = '5'\ntime_zone = 'Lisbon'",
            "line 1: budgets[0]: there is no time zone 'Lisbon'",
        ),
        ("[[budgets]]\nlimit = '5'\ntime_zone = 1", "line 1: budgets[0].time_zone must be a text"),
        (
            "[[budgets]]\nlimit = '5'\nwarn_at = 0.8",
            "line 1: budgets[0].warn_at must be a list of shares from 0 to 1",
        ),
        (
            "[[budgets]]\nlimit = '5'\nwarn_at = [80]",
            "line 1: budgets[0]: warn_at is a list of shares from 0 to 1",
        ),
        (
            "[[budgets]]\nlimit = '5'\nwarn_at = ['x', 1]",
            "line 1: budgets[0].warn_at must be a list of shares from 0 to 1",
        ),
        ("[[budgets]]\nlimit = '5'\nis_hard = 1", "line 1: budgets[0].is_hard must be true or false"),
        (
            "[[budgets]]\nlimit = '5'\nhard = true",
            "line 1: budgets[0].hard is no setting; did you mean 'is_hard'?",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(user_file, text, message):
    """Whatever is wrong is said with the line, the key, and what may have been meant; never with a secret."""
    user_file.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    if message is not None:
        assert f"{user_file} {message}" == str(caught.value)
    assert KEY not in printed(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"routing": "cheapest"}, "routing must be a table: its keys are strategy"),
        ({"routing": {"strategy": "cheap"}}, f"routing.strategy {WORDS}"),
        ({"budgets": Budget("5")}, "budgets must be a list of tables"),
        ({"budgets": [5]}, "budgets[0] must be a table"),
        ({"budgets": [{3: 4}]}, "budgets[0].3 is no setting"),
        ({"budgets": [{"limit": float("nan")}]}, "budgets[0].limit must be an exact amount"),
        (
            {"providers": {"openai": {"limits": {"concurrent": "8"}}}},
            "providers.openai.limits.concurrent must be a",
        ),
    ],
)
def test_a_wrong_argument_is_refused(arguments, message):
    """What a caller says is checked as what a file says, and named as the caller wrote it."""
    with pytest.raises(ConfigurationError) as caught:
        tertulia.open(**arguments)

    assert str(caught.value).startswith(message)
