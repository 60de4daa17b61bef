"""How contexts are chosen: who says so, for which requests, and what is said about a mistake."""

from __future__ import annotations

import pytest
from configuration_cases import KEY, configure, origins, printed

import tertulia
from tertulia import ConfigurationError, UnknownProviderError
from tertulia.domain.context import ContextOptions

FILE = """
[conversation]
max_context_tokens = 8000
context_window = 40

[context]
strategy = "important"
recall = "always"
max_recall_tokens = 900
reserve_tokens = 0
optimise = "superseded"
summary_model = "gemini/gemini-3.5-flash"

[context.models.openai]
max_tokens = 4000

[context.models."openai/gpt-5.5"]
strategy = "summary"
max_messages = 10
recall = "never"
"""

CHOICE = ContextOptions("important", 8000, 40, 0, "always", 900, "superseded", "gemini/gemini-3.5-flash")


def test_all_of_it_is_read_from_the_users_file(user_file):
    """The two limits have had names of their own for longer, and are in the same value."""
    user_file.write_text(FILE)

    config = configure()

    assert CHOICE == config.context
    assert {
        "openai": ContextOptions(max_tokens=4000),
        "openai/gpt-5.5": ContextOptions(strategy="summary", max_messages=10, recall="never"),
    } == config.context_of
    assert (8000, 40) == (config.max_context_tokens, config.context_window)


def test_nothing_said_is_nothing_set():
    """Without a word about it every option is left to whatever is less specific."""
    config = configure()

    assert (ContextOptions(), {}) == (config.context, config.context_of)


def test_each_is_listed_with_where_it_was_set(user_file):
    """The settings name the line of each key, those of a model by its name."""
    user_file.write_text(FILE)

    listed = {setting.key: setting.value for setting in tertulia.read_settings()}

    assert {
        "conversation.max_context_tokens": f"{user_file} line 3",
        "conversation.context_window": f"{user_file} line 4",
        "context.strategy": f"{user_file} line 7",
        "context.recall": f"{user_file} line 8",
        "context.max_recall_tokens": f"{user_file} line 9",
        "context.reserve_tokens": f"{user_file} line 10",
        "context.optimise": f"{user_file} line 11",
        "context.summary_model": f"{user_file} line 12",
        "context.models.openai.max_tokens": f"{user_file} line 15",
        'context.models."openai/gpt-5.5".strategy': f"{user_file} line 18",
        'context.models."openai/gpt-5.5".max_messages': f"{user_file} line 19",
        'context.models."openai/gpt-5.5".recall': f"{user_file} line 20",
    } == origins()
    assert ("important", 0) == (listed["context.strategy"], listed["context.reserve_tokens"])


def test_the_usual_choice_is_listed():
    """Where nobody says anything, the settings show what holds; None is not set."""
    listed = {setting.key: setting.value for setting in tertulia.read_settings()}

    assert {
        "context.strategy": "recall",
        "context.reserve_tokens": None,
        "context.recall": "auto",
        "context.max_recall_tokens": None,
        "context.optimise": "lossless",
        "context.summary_model": None,
    } == {key: value for key, value in listed.items() if key.startswith("context.")}


def test_variables_are_over_the_file(user_file, monkeypatch):
    """Each option for all requests has one, the two with older names included; a blank one says nothing."""
    user_file.write_text(FILE)
    for name, value in {
        "STRATEGY": "recent",
        "RECALL": "auto",
        "MAX_RECALL_TOKENS": "50",
        "RESERVE_TOKENS": "1000",
        "OPTIMISE": "off",
        "SUMMARY_MODEL": "xai/grok-4.5",
        "MAX_TOKENS": " 2000 ",
        "MAX_MESSAGES": "",
    }.items():
        monkeypatch.setenv(f"TERTULIA_CONTEXT_{name}", value)

    assert ContextOptions("recent", 2000, 40, 1000, "auto", 50, "off", "xai/grok-4.5") == configure().context
    assert "environment variable TERTULIA_CONTEXT_MAX_TOKENS" == origins()["conversation.max_context_tokens"]


@pytest.mark.parametrize(
    "context", [ContextOptions("recent", max_tokens=500), {"strategy": "recent", "max_tokens": 500}]
)
def test_an_argument_is_over_the_file_key_by_key(user_file, context):
    """A value or a table says what it says, by the names that options have; the rest is as the file says."""
    user_file.write_text(FILE)

    config = configure(context=context)

    assert ContextOptions("recent", 500).over(CHOICE) == config.context
    assert 500 == config.max_context_tokens


def test_an_argument_may_speak_of_models(user_file):
    """By a table or by a value, merged over the file key by key."""
    user_file.write_text(FILE)
    models = {
        "openai": {"recall": "never"},
        "openai/gpt-5.5": ContextOptions(max_messages=4),
        "xai": ContextOptions(strategy="recent"),
    }

    assert {
        "openai": ContextOptions(max_tokens=4000, recall="never"),
        "openai/gpt-5.5": ContextOptions(strategy="summary", max_messages=4, recall="never"),
        "xai": ContextOptions(strategy="recent"),
    } == configure(context={"models": models}).context_of


def test_the_strategy_of_a_plugin_may_have_any_name(user_file):
    """Whether somebody knows it is known when the plugins are loaded."""
    user_file.write_text('[context]\nstrategy = "house"')

    assert "house" == configure().context.strategy


def test_a_project_may_say_how_contexts_are_chosen(user_file, project_file):
    """Over the user's file, key by key; what it says of a provider that is not configured here is nothing."""
    user_file.write_text(FILE)
    project_file.write_text(
        '[tool.tertulia.context]\nrecall = "never"\n'
        "[tool.tertulia.context.models.openai]\nmax_messages = 6\n"
        "[tool.tertulia.context.models.mistral]\nmax_messages = 6\n"
    )

    config = configure()

    assert ContextOptions(recall="never").over(CHOICE) == config.context
    assert ContextOptions(max_tokens=4000, max_messages=6) == config.context_of["openai"]
    assert ["openai", "openai/gpt-5.5"] == list(config.context_of)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[tool.tertulia.context]\nsummary_model = 'xai'", "context.summary_model"),
        (
            "[tool.tertulia.context.models.openai]\nsummary_model = 'xai'",
            "context.models.openai.summary_model",
        ),
    ],
)
def test_a_project_does_not_say_who_is_sent_what_was_said(user_file, project_file, text, key):
    """A summary's model is sent the conversation; so whoever wrote the repository does not choose it."""
    project_file.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    variable = ", or set TERTULIA_CONTEXT_SUMMARY_MODEL" if key == "context.summary_model" else ""
    assert (
        f"{project_file} line 2: tool.tertulia.{key} is not a project's to set: a repository may come from "
        "anybody, so it does not say who is asked, where, with which key, what is kept, or what may be "
        f"spent; write {key} into {user_file}{variable}"
    ) == str(caught.value)


def test_what_the_file_says_of_others_is_left_out(user_file):
    """Arguments that configure other providers do not trip over what the file says of its own."""
    user_file.write_text(
        "[providers.mine]\ndriver = 'openai'\n[context]\nsummary_model = 'mine'\nrecall = 'never'\n"
        "[context.models.mine]\nmax_tokens = 1\n"
        "[context.models.openai]\nsummary_model = 'mine'\nmax_tokens = 2"
    )

    config = configure(providers={"openai": {}})

    assert ContextOptions(recall="never") == config.context
    assert {"openai": ContextOptions(max_tokens=2)} == config.context_of


KEYS = "max_recall_tokens, models, optimise, recall, reserve_tokens, strategy, summary_model"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("context = 'recent'", f"line 1: context must be a table; its keys are: {KEYS}"),
        ("[context]\nstrategy = 3", "line 2: context.strategy must be a text"),
        ("[context]\nstrategy = ['recent']", "line 2: context.strategy must be a text"),
        (
            "[context]\nstrategie = 'recent'",
            "line 2: context.strategie is no setting; did you mean 'strategy'?",
        ),
        ("[context]\ncolour = 1", f"line 2: context.colour is no setting; known are: {KEYS}"),
        (
            "[context]\nmax_tokens = 500",
            "line 2: context.max_tokens is no setting; it is conversation.max_context_tokens",
        ),
        (
            "[context]\nmax_messages = 5",
            "line 2: context.max_messages is no setting; it is conversation.context_window",
        ),
        ("[context]\nrecall = 'sometimes'", "line 2: context.recall must be one of: auto, always, never"),
        (
            "[context]\nrecall = 'alway'",
            "line 2: context.recall must be one of: auto, always, never; did you mean 'always'?",
        ),
        ("[context]\nrecall = true", "line 2: context.recall must be one of: auto, always, never"),
        (
            f"[context]\noptimise = '{KEY}'",
            "line 2: context.optimise must be one of: lossless, superseded, off",
        ),
        ("[context]\nmax_recall_tokens = -1", "line 2: context.max_recall_tokens must be at least 0"),
        ("[context]\nmax_recall_tokens = 1.5", "line 2: context.max_recall_tokens must be a whole number"),
        ("[context]\nreserve_tokens = -1", "line 2: context.reserve_tokens must be at least 0"),
        ("[context]\nreserve_tokens = '5'", "line 2: context.reserve_tokens must be a whole number"),
        ("[context]\nsummary_model = 5", "line 2: context.summary_model must be a text"),
        (
            "[context]\nmodels = 'openai'",
            'line 2: context.models must be a table; write a table for each: context.models."provider/model"',
        ),
        ("[context.models]\nopenai = 500", "line 2: context.models.openai must be a table of options"),
        (
            "[context.models.openai]\nmax_tokens = 0",
            "line 2: context.models.openai.max_tokens must be at least 1",
        ),
        (
            '[context.models."openai/gpt-5.5"]\nmax_messages = true',
            'line 2: context.models."openai/gpt-5.5".max_messages must be a whole number',
        ),
        (
            "[context.models.openai]\nmax_token = 5",
            "line 2: context.models.openai.max_token is no setting; did you mean 'max_tokens'?",
        ),
        (
            '[context.models.openai."gpt-5.5"]\nmax_tokens = 5',
            (
                'line 1: context.models.openai."gpt-5.5" is no setting; '
                'name a model as in context.models."provider/model"'
            ),
        ),
        (
            '[context.models."openai/"]\nmax_tokens = 5',
            (
                'line 1: context.models."openai/" names no provider or model; '
                "write it as provider, or as provider/model"
            ),
        ),
        (
            '[context.models."/gpt-5.5"]\nmax_tokens = 5',
            (
                'line 1: context.models."/gpt-5.5" names no provider or model; '
                "write it as provider, or as provider/model"
            ),
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(user_file, text, message):
    """Whatever is wrong is said with the line, the key, and what may have been meant; never with a secret."""
    user_file.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert f"{user_file} {message}" == str(caught.value)
    assert KEY not in printed(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("[context.models.gemni]\nrecall = 'never'", 1, "gemni"),
        ('[context]\n[context.models."gemni/gemini-3.5-flash"]\nrecall = "never"', 2, "gemni"),
        ("[context]\n\nsummary_model = 'gemni/gemini-3.5-flash'", 3, "gemni"),
        ("[context.models.xai]\nsummary_model = 'gemni'", 2, "gemni"),
    ],
)
@pytest.mark.parametrize("providers", [None, {"xai": {}}])
def test_an_unknown_provider_is_named_with_its_line(user_file, text, line, name, providers):
    """A name that leads to nobody is found at once, also by a program that passes providers of its own."""
    user_file.write_text(text)

    with pytest.raises(UnknownProviderError) as caught:
        tertulia.open(providers=providers)

    assert f"{user_file} line {line}: no provider is configured as {name!r}; did you mean 'gemini'?" == str(
        caught.value
    )


def test_a_misspelt_provider_of_a_project_is_named(project_file):
    """One that is like a configured one is not passed over."""
    project_file.write_text('[tool.tertulia.context.models."opnai/gpt-5.5"]\nrecall = "never"')

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert (
        f'{project_file} line 1: tool.tertulia.context.models."opnai/gpt-5.5" is of no configured provider; '
        "did you mean 'openai'?"
    ) == str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RECALL", "sometimes", "context.recall must be one of: auto, always, never"),
        ("RESERVE_TOKENS", "many", "context.reserve_tokens must be a whole number"),
        ("RESERVE_TOKENS", "-1", "context.reserve_tokens must be at least 0"),
        ("MAX_TOKENS", "0", "conversation.max_context_tokens must be at least 1"),
        ("MAX_MESSAGES", "2.5", "conversation.context_window must be a whole number"),
        ("SUMMARY_MODEL", "opnai", "no provider is configured as 'opnai'; did you mean 'openai'?"),
    ],
)
def test_a_mistake_in_the_environment_is_named_with_the_variable(monkeypatch, name, value, message):
    """Whoever set a variable reads its name."""
    monkeypatch.setenv(f"TERTULIA_CONTEXT_{name}", value)

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert f"environment variable TERTULIA_CONTEXT_{name}: {message}" == str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"context": "recent"}, f"context must be a table; its keys are: {KEYS}"),
        ({"context": {"max_tokens": 0}}, "context.max_tokens must be at least 1"),
        ({"context": {"max_messages": "5"}}, "context.max_messages must be a whole number"),
        ({"context": {"recall": "often"}}, "context.recall must be one of: auto, always, never"),
        ({"context": {3: 4}}, "context has the name 3, which is no text"),
        (
            {"context": {"models": {"opnai": {}}}},
            "no provider is configured as 'opnai'; did you mean 'openai'?",
        ),
        (
            {"context": {"models": {"openai": {"max_tokens": -5}}}},
            "context.models.openai.max_tokens must be at least 1",
        ),
        (
            {"context": {"max_tokens": 5}, "max_context_tokens": 5},
            (
                "max_context_tokens and context.max_tokens are one setting, and both are said; "
                "leave one of them out"
            ),
        ),
    ],
)
def test_a_wrong_argument_is_refused(arguments, message):
    """What a caller says is checked as what a file says, and named as the caller wrote it."""
    with pytest.raises(ConfigurationError) as caught:
        configure(**arguments)

    assert message == str(caught.value)
