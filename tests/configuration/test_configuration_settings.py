"""The list of settings: each once, with where it was set."""

from __future__ import annotations

import pytest
from configuration_cases import KEY, configure, origins

import tertulia
from tertulia import Secret, Setting, Timeouts
from tertulia.domain.config import hide_password


def test_settings_say_where_they_were_set(monkeypatch, user_file, project_file):
    """Each setting is listed once, with the file and line, the variable, or the default it comes from."""
    user_file.write_text(
        f"""owner = "ada"
[providers.openai]
api_key = "{KEY}"
model = "a"
[providers.fast]
driver = "openai"
timeouts = {{ idle = 7 }}
"""
    )
    project_file.write_text('[tool.tertulia]\nproviders.openai.model = "b"\nconversation.context_window = 3')
    monkeypatch.setenv("AI_FAST_MODEL", "c")
    monkeypatch.setenv("OPENAI_API_KEY", "d")
    monkeypatch.setenv("TERTULIA_FALLBACK", "xai")
    settings = tertulia.read_settings()

    assert {
        "owner": f"{user_file} line 1",
        "fallback": "environment variable TERTULIA_FALLBACK",
        "conversation.context_window": f"{project_file} line 3",
        "providers.openai.api_key": f"{user_file} line 3",
        "providers.openai.model": f"{project_file} line 2",
        "providers.fast.driver": f"{user_file} line 6",
        "providers.fast.api_key": "environment variable OPENAI_API_KEY",
        "providers.fast.model": "environment variable AI_FAST_MODEL",
        "providers.fast.timeouts.idle": f"{user_file} line 7",
    } == origins()
    keys = [setting.key for setting in settings]
    assert len(set(keys)) == len(keys)
    assert ["default_provider", "fallback", "owner", "store", "plugins"] == keys[:5]
    assert ["openai", "fast", "gemini", "xai"] == list(
        dict.fromkeys(key.split(".")[1] for key in keys if key.startswith("providers."))
    )
    assert KEY not in str(settings)


def test_settings_are_what_open_finds(user_file, project_file):
    """What is listed is what a client is configured with."""
    user_file.write_text(
        "[providers.openai]\nmodel = 'a'\ntimeouts.idle = 7\n[conversation]\ncontext_window = 4"
    )
    project_file.write_text("[tool.tertulia.providers.openai]\nmodel = 'b'")
    values = {setting.key: setting.value for setting in tertulia.read_settings()}
    config = configure()

    assert ("b", 7, 60.0, 4, "local") == (
        values["providers.openai.model"],
        values["providers.openai.timeouts.idle"],
        values["providers.gemini.timeouts.idle"],
        values["conversation.context_window"],
        values["owner"],
    )
    assert ("b", Timeouts(idle=7), Timeouts(), 4, "local") == (
        config.providers["openai"].model,
        config.providers["openai"].timeouts,
        config.providers["gemini"].timeouts,
        config.context_window,
        config.owner,
    )


def test_a_default_is_the_drivers_own(user_file):
    """Where nothing is set, the list has what the driver does; a driver that is not there has nothing."""
    user_file.write_text("[providers.lost]\ndriver = 'mistral'")
    settings = {setting.key: setting for setting in tertulia.read_settings()}

    assert (
        Setting("providers.xai.base_url", "https://api.x.ai/v1", "default")
        == (settings["providers.xai.base_url"])
    )
    assert Setting("providers.lost.base_url", None, "default") == settings["providers.lost.base_url"]
    assert settings["store"].value.startswith("sqlite:///")


def test_a_list_of_settings_shows_no_secret(user_file):
    """Keys, what a driver's own settings call one, and passwords in addresses are hidden."""
    user_file.write_text(
        f"store = 'postgresql://me:{KEY}@localhost/x'\n[providers.openai]\napi_key = '{KEY}'\n"
        f"project = 'p'\naccess_token = '{KEY}'"
    )

    settings = {setting.key: setting.value for setting in tertulia.read_settings()}

    assert KEY not in repr(settings)
    assert ("postgresql://me:…@localhost/x", "p", Secret(KEY)) == (
        settings["store"],
        settings["providers.openai.project"],
        settings["providers.openai.access_token"],
    )
    assert KEY not in repr(configure())


@pytest.mark.parametrize(
    "line",
    [
        "tokens = ['{}']",
        "credentials = {{ user = 'me', value = '{}' }}",
        "headers = {{ authorization = ['Bearer', '{}'] }}",
        "secret = {{ a.b.c = [[{{ d = '{}' }}]] }}",
        "proxy = 'http://me:{}@localhost:3128'",
        "api_key = '{}'",
    ],
)
def test_a_secret_of_a_drivers_own_is_hidden_at_any_depth(user_file, line):
    """In a list, in a table that is called one, and as the password of an address."""
    user_file.write_text(f"[providers.openai]\n{line.format(KEY)}")

    settings = tertulia.read_settings()

    assert KEY not in repr(settings)
    assert KEY not in "".join(f"{setting.value}" for setting in settings)


@pytest.mark.parametrize(
    "password", [KEY, f"a/{KEY}", f"a@{KEY}", f"a?{KEY}", f"a#{KEY}", f"{KEY}:b", f"a\n{KEY}"]
)
def test_any_password_of_a_store_is_hidden(password):
    """What a database takes as a password need not be one of a URL."""
    url = f"postgresql://me:{password}@localhost/x"

    assert "postgresql://me:…@localhost/x" == hide_password(url)
    assert KEY not in repr(configure(store=url))


def test_an_empty_text_is_as_good_as_none(user_file):
    """Also where a list may stand, and for what only a driver knows; but not further down."""
    user_file.write_text("fallback = ''\n[providers.openai]\nfallback = ' '\napi = ''\nproject = ' '\n")

    openai = configure().providers["openai"]

    assert ((), None, {}) == (configure().fallback, openai.fallback, openai.settings)
    user_file.write_text("[providers.gemini.safety_settings]\nHARM_CATEGORY_HARASSMENT = ''\n")
    assert {"HARM_CATEGORY_HARASSMENT": ""} == configure().providers["gemini"].settings["safety_settings"]
    table = {"driver": "openai", "api": None, "project": None}
    assert {} == configure(providers={"openai": table}).providers["openai"].settings
