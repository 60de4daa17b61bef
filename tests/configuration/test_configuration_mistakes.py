"""What is said about a mistake in the configuration: where it is, and what to do, but no secret."""

from __future__ import annotations

import tomllib

import pytest
from configuration_cases import KEY, printed

import tertulia
from tertulia import ConfigurationError, DriverNotInstalledError, UnknownProviderError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "owner = 'ada'\nstore",
            " at its end: the file is no valid TOML: expected '=' after a key in a key/value pair",
        ),
        (f"api_key = '{KEY}'\n b = c", " line 2, column 6: the file is no valid TOML: invalid value"),
        ("[a]\n\n[a]", " line 3, column 3: the file is no valid TOML: cannot declare ('a',) twice"),
        (f"a = {'1' * 5000}", ": the file is no valid TOML: a number is too long"),
        ("a = " + "[" * 5000, ": the file is nested too deeply"),
        ("a" + ".a" * 1000 + " = 1", ": the file is nested too deeply"),
        (b"owner = 'ada'\nstore = '\xff'", " line 2: the file is not UTF-8 (byte 0xff)"),
    ],
)
def test_a_file_that_is_no_toml_is_named_with_the_place(user_file, text, message):
    """The error has the file, and the line and column where there is one."""
    user_file.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert f"{user_file}{message}; correct it, or set TERTULIA_CONFIG= to read no file" == str(caught.value)
    assert KEY not in printed(caught.value)
    assert caught.value.__context__ is None


def test_a_project_that_is_no_toml_is_named_with_the_place(project_file):
    """A project's file that means us is not passed over for a mistake in it."""
    project_file.write_text("[tool.tertulia]\nconversation = {context_window 3}")

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert (
        f"{project_file} line 2, column 32: the file is no valid TOML: "
        "expected '=' after a key in a key/value pair; correct it"
    ) == str(caught.value)


def test_a_project_whose_table_is_none_is_named(project_file):
    """What should be our table, and is a value, is an error."""
    project_file.write_text("[tool]\ntertulia = 3")

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert f"{project_file} line 2: tool.tertulia must be a table" == str(caught.value)


def test_a_file_that_cannot_be_read_is_named(user_file):
    """The error says which file, why, and how to go on without it."""
    user_file.mkdir()

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert (
        f"{user_file} cannot be read: Is a directory; correct it, or set TERTULIA_CONFIG= to read no file"
    ) == str(caught.value)


@pytest.mark.parametrize("how", ["config: ", "environment variable TERTULIA_CONFIG: "])
def test_a_file_that_is_named_must_be_there(monkeypatch, tmp_path, how):
    """A name that leads to no file is an error that says who gave it."""
    path = tmp_path / "missing.toml"
    if how != "config: ":
        monkeypatch.setenv("TERTULIA_CONFIG", str(path))

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open(config=path if how == "config: " else None)

    assert f"{how}there is no file {path}; name one that is there" == str(caught.value)


def test_a_name_that_leads_nowhere_is_an_error():
    """The home of somebody who does not exist is no place for a file."""
    with pytest.raises(ConfigurationError, match=r"^config: ~nobody-here/x\.toml leads nowhere: "):
        tertulia.open(config="~nobody-here/x.toml")


TOP = (
    "known are: budgets, context, conversation, default_provider, fallback, fetch_urls, owner, plugins, "
    "prices, providers, routing, store"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\ncolour = 1", f"line 3: colour is no setting; {TOP}"),
        ("fallbak = 'xai'", "line 1: fallbak is no setting; did you mean 'fallback'?"),
        ("[conversations]\na = 1", "line 1: conversations is no setting; did you mean 'conversation'?"),
        (
            "[conversation]\n\ncontext_windw = 1",
            "line 3: conversation.context_windw is no setting; did you mean 'context_window'?",
        ),
        (
            "[providers.openai]\n[providers.openai.timeouts]\n'connct' = 1",
            "line 3: providers.openai.timeouts.connct is no setting; did you mean 'connect'?",
        ),
        (
            "[providers]\nopenai.timeouts = { connect = 1,idle = 'x' }",
            "line 2: providers.openai.timeouts.idle must be a number of seconds",
        ),
        (
            "[providers.openai]\ntimeouts.idle = 0",
            "line 2: providers.openai.timeouts.idle must be more than 0 seconds",
        ),
        ("[providers.openai]\ntimeouts = 3", "line 2: providers.openai.timeouts must be a table of seconds"),
        ("[providers.openai]\nmodel = 1979-05-27", "line 2: providers.openai.model must be a text"),
        ('[providers."my gpt"]\nmodel = 1', 'line 2: providers."my gpt".model must be a text'),
        ("[[providers.openai]]\nmodel = 'a'", "line 1: providers.openai must be a table; {KEYS}"),
        (
            "[providers.openai]\nfallback = 7",
            "line 2: providers.openai.fallback must be a text or a list of texts",
        ),
        ("providers = 7", "line 1: providers must be a table; write a table for each name: providers.NAME"),
        (
            "conversation = 7",
            (
                "line 1: conversation must be a table; its keys are: "
                "auto_title, context_window, max_context_tokens"
            ),
        ),
        ("conversation.context_window = 0", "line 1: conversation.context_window must be at least 1"),
        ("conversation.context_window = 1.5", "line 1: conversation.context_window must be a whole number"),
        ("owner = ''", "line 1: owner must be a text"),
        ("plugins = true", "line 1: plugins must be a text or a list of texts"),
        (f"[providers]\nopenai = '{KEY}'", "line 2: providers.openai must be a table; {KEYS}"),
        (f"[providers.openai]\napi_key = ['{KEY}']", "line 2: providers.openai.api_key must be a text"),
        (
            f"[providers.openai]\nbase_url = 'https://me:{KEY}@a/v1'",
            "line 2: providers.openai.base_url has a user or a password in it; put the key in api_key",
        ),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(user_file, text, message):
    """Whatever is wrong in a file is said with the line it stands in, and never with a key in it."""
    user_file.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    known = "driver, api_key, base_url, model, fallback, timeouts, limits, price_factor"
    keys = f"its keys are: {known}, and its driver's own"
    assert f"{user_file} {message.replace('{KEYS}', keys)}" == str(caught.value)
    assert KEY not in printed(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "AI_OPENAI_BASE_URL",
            "localhost:80",
            "providers.openai.base_url has no host; write it as https://HOST/PATH",
        ),
        ("TERTULIA_FALLBACK", "xai, gemni", "no provider is configured as 'gemni'; did you mean 'gemini'?"),
        ("TERTULIA_PROVIDER", "opnai", "no provider is configured as 'opnai'; did you mean 'openai'?"),
    ],
)
def test_a_mistake_in_the_environment_is_named_with_the_variable(monkeypatch, name, value, message):
    """Whoever set a variable reads its name."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    assert f"environment variable {name}: {message}" == str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("default_provider = 'gemni'", 1),
        ("\nfallback = ['xai', 'gemni/model']", 2),
        ("[providers.xai]\n\nfallback = 'gemni'", 3),
    ],
)
@pytest.mark.parametrize("providers", [None, {"xai": {}}])
def test_an_unknown_provider_is_named_with_its_line(user_file, text, line, providers):
    """A name that leads to nobody is found at once, also by a program that passes providers of its own."""
    user_file.write_text(text)

    with pytest.raises(UnknownProviderError) as caught:
        tertulia.open(providers=providers)

    assert (f"{user_file} line {line}: no provider is configured as 'gemni'; did you mean 'gemini'?") == str(
        caught.value
    )


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "[providers.openai]\norganisation = 'x'",
            ConfigurationError,
            (
                "line 2: provider 'openai': driver 'openai' has no setting 'organisation'; "
                "did you mean 'organization'?"
            ),
        ),
        (
            "[providers.openai]\nmodle = 'x'",
            ConfigurationError,
            "line 2: provider 'openai': driver 'openai' has no setting 'modle'; did you mean 'model'?",
        ),
        (
            "[providers.openai]\nmodel = 'x'\ndefault_provider = 'xai'",
            ConfigurationError,
            (
                "line 3: provider 'openai': driver 'openai' has no setting 'default_provider'; "
                "'default_provider' is not a provider's: it stands above the first [table] of a file"
            ),
        ),
        (
            "[providers.openai]\nmodel = 'x'\nbase_url = 'ftp://x'",
            ConfigurationError,
            "line 3: provider 'openai': base_url must begin with https:// or http://",
        ),
        (
            "[providers.gemini]\nsafety_settings = { HARM_CATEGORY_RUDENESS = 'OFF' }",
            ConfigurationError,
            "line 2: provider 'gemini': there is no harm category 'HARM_CATEGORY_RUDENESS'",
        ),
        (
            "[providers.gemini.safety_settings]\nHARM_CATEGORY_HATE_SPEECH='OFF'\nHARM_CATEGORY_HARASSMENT='ON'",
            ConfigurationError,
            "line 3: provider 'gemini': there is no threshold 'ON'",
        ),
        (
            "[providers.gemini]\nsafety_settings = ['OFF']",
            ConfigurationError,
            "line 2: provider 'gemini': safety_settings must be a table",
        ),
        (
            "[providers.opnai]",
            DriverNotInstalledError,
            "line 1: provider 'opnai': no driver named 'opnai' is installed; did you mean 'openai'?",
        ),
        (
            "[providers.fast]\nmodel = 'x'\ndriver = 'mistral'",
            DriverNotInstalledError,
            (
                "line 3: provider 'fast': no driver named 'mistral' is installed; "
                'try "pip install tertulia-mistral"'
            ),
        ),
    ],
)
async def test_what_a_driver_refuses_is_named_with_its_line(user_file, text, error, message):
    """A driver is loaded on first use; what it then says about a setting has the file and the line too."""
    user_file.write_text(text)
    name = next(iter(tomllib.loads(text)["providers"]))

    async with tertulia.open(store="memory:") as client:
        with pytest.raises(error) as caught:
            await client.start(provider=name)

    assert f"{user_file} {message}" == str(caught.value)[: len(f"{user_file} {message}")]
