"""Whom the configuration trusts: not a repository, and a key goes only where its owner said."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from configuration_cases import KEY, configure, printed

import tertulia
from tertulia import ConfigurationError, Secret, Timeouts
from tertulia.domain.config import is_same_origin
from tertulia.runtime.configuration.drivers import make_provider

NOT_A_PROJECTS = (
    "is not a project's to set: a repository may come from anybody, so it does not say who is asked, where, "
    "with which key, what is kept, or what may be spent"
)


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ('store = "sqlite:////tmp/x"', "write store into {user}, or set TERTULIA_STORE"),
        ('owner = "eve"', "write owner into {user}"),
        ('plugins = ["evil"]', "write plugins into {user}, or set TERTULIA_PLUGINS"),
        ('default_provider = "evil"', "write default_provider into {user}, or set TERTULIA_PROVIDER"),
        ('fallback = "evil"', "write fallback into {user}, or set TERTULIA_FALLBACK"),
        (
            f'providers.openai.api_key = "{KEY}"',
            "write providers.openai.api_key into {user}, or set AI_OPENAI_API_KEY",
        ),
        (
            'providers.openai.base_url = "http://evil/v1"',
            "write providers.openai.base_url into {user}, or set AI_OPENAI_BASE_URL",
        ),
        ('providers.openai.driver = "xai"', "write providers.openai.driver into {user}"),
        ('providers.openai.fallback = "xai"', "write providers.openai.fallback into {user}"),
        ('providers.openai.organization = "org"', "write providers.openai.organization into {user}"),
        (
            'providers.gemini.safety_settings.HARM_CATEGORY_HARASSMENT = "OFF"',
            "write providers.gemini.safety_settings into {user}",
        ),
        ('budgets = [{ limit = "1000" }]', "write budgets into {user}"),
        ('providers.openai.modle = "m"', "did you mean 'model'?"),
    ],
)
def test_a_project_does_not_say_who_is_asked_where_or_with_which_key(user_file, project_file, line, advice):
    """What a cloned repository might steal or redirect with is refused, with where it belongs."""
    project_file.write_text(f"[project]\nname = 'x'\n\n[tool.tertulia]\n{line}\n")

    with pytest.raises(ConfigurationError) as caught:
        tertulia.open()

    where = f"{project_file} line 5: tool.tertulia.{line.partition(' =')[0]}".removesuffix(
        ".HARM_CATEGORY_HARASSMENT"
    )
    assert f"{where} {NOT_A_PROJECTS}; {advice.format(user=user_file)}" == str(caught.value)
    assert KEY not in printed(caught.value)


def test_a_project_says_how_a_provider_is_asked(project_file):
    """The model, the timeouts and the context are a project's to set."""
    project_file.write_text(
        """
        [tool.tertulia.conversation]
        context_window = 3
        max_context_tokens = 5
        [tool.tertulia.providers.openai]
        model = "m"
        timeouts.idle = 7
        """
    )

    config = configure()
    openai = config.providers["openai"]

    assert (3, 5, "m", Timeouts(idle=7)) == (
        config.context_window,
        config.max_context_tokens,
        openai.model,
        openai.timeouts,
    )


def test_a_project_adds_no_provider(project_file):
    """A provider that is not configured here is passed over, unless its name looks misspelt."""
    project_file.write_text("[tool.tertulia.providers.mistral]\nmodel = 'm'\n")
    assert ["gemini", "openai", "xai"] == list(configure().providers)

    project_file.write_text("[tool.tertulia.providers.opnai]\nmodel = 'm'\n")
    with pytest.raises(ConfigurationError) as caught:
        configure()

    assert (
        f"{project_file} line 1: tool.tertulia.providers.opnai is no configured provider; "
        "did you mean 'openai'?"
    ) == str(caught.value)


async def test_a_project_that_redirects_gets_nothing(monkeypatch, project_file, simulator, database):
    """A repository whose file points a provider at a server of its own is refused before anything is sent."""
    table = simulator.providers()["openai"]
    monkeypatch.setenv("OPENAI_API_KEY", table["api_key"])
    project_file.write_text(f'[tool.tertulia.providers.openai]\nbase_url = "{table["base_url"]}"\n')

    with pytest.raises(ConfigurationError, match="is not a project's to set"):
        async with tertulia.open(store=database) as client:
            await client.ask("Hello", provider="openai")

    assert [] == simulator.requests


@pytest.mark.parametrize(
    ("table", "environ", "key"),
    [
        ('base_url = "https://api.openai.com/v1"', {"OPENAI_API_KEY": "k"}, "k"),
        ('base_url = "https://API.openai.com:443/v1"', {"OPENAI_API_KEY": "k"}, "k"),
        ('base_url = "https://eu.api.openai.com/v1"', {"OPENAI_API_KEY": "k"}, "k"),
        ('base_url = "http://api.openai.com/v1"', {"OPENAI_API_KEY": "k"}, None),
        ('base_url = "https://api.openai.com:8443/v1"', {"OPENAI_API_KEY": "k"}, None),
        ('base_url = "https://api.openai.com.example/v1"', {"OPENAI_API_KEY": "k"}, None),
        ('base_url = "https://notapi.openai.com/v1"', {"OPENAI_API_KEY": "k"}, None),
        ('base_url = "https://[::1%25.api.openai.com]/v1"', {"OPENAI_API_KEY": "k"}, None),
        ('driver = "xai"', {"OPENAI_API_KEY": "k"}, None),
        ('driver = "xai"', {"OPENAI_API_KEY": "k", "XAI_API_KEY": "x"}, "x"),
        ('base_url = "https://proxy.example/v1"', {"OPENAI_API_KEY": "k"}, None),
        ('base_url = "https://proxy.example/v1"', {"AI_OPENAI_API_KEY": "mine"}, "mine"),
        ('base_url = "https://proxy.example/v1"\napi_key = "file"', {"OPENAI_API_KEY": "k"}, "file"),
        ('api_key = "file"', {"OPENAI_API_KEY": "k"}, "file"),
        ('api_key = "file"', {"AI_OPENAI_API_KEY": "mine"}, "mine"),
        ('api_key = ""', {"OPENAI_API_KEY": "k"}, "k"),
        ('api_key = "file"', {"AI_OPENAI_BASE_URL": "https://proxy.example/v1"}, None),
        (
            'api_key = "file"\nbase_url = "https://proxy.example/v1"',
            {"AI_OPENAI_BASE_URL": "https://proxy.example/v1"},
            "file",
        ),
        (
            'api_key = "file"',
            {"AI_OPENAI_BASE_URL": "https://proxy.example/v1", "AI_OPENAI_API_KEY": "mine"},
            "mine",
        ),
    ],
)
def test_a_key_goes_where_its_owner_said(monkeypatch, user_file, table, environ, key):
    """A vendor's key goes to the vendor; a key of the file goes where the file says, and nowhere else."""
    user_file.write_text(f"[providers.openai]\n{table}\n")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    found = make_provider("openai", configure(), os.environ).config.api_key

    assert key == (found and found.reveal())


def test_an_address_with_a_user_in_it_is_nobodys_origin():
    """What is before the at sign is no host, and whoever is called so in front of it is not there."""
    own = "https://api.openai.com/v1"

    assert is_same_origin("https://api.openai.com/v2", own)
    for url in (
        "https://api.openai.com@evil.example",
        "https://me@api.openai.com",
        "https://@api.openai.com",
    ):
        assert not is_same_origin(url, own)


@pytest.mark.parametrize(
    "host", ["evil.example%2F", "evil.example;", "evil.example&", "evil.example\\\\", "evil.example\u2044"]
)
def test_what_only_looks_like_a_host_below_gets_no_key(user_file, monkeypatch, host):
    """A host that not everybody reads alike is nobody's own origin, and no host at all."""
    user_file.write_text(f'[providers.openai]\nbase_url = "https://{host}.api.openai.com/v1"\n', "utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    with pytest.raises(ConfigurationError, match=r"base_url (names no host|is no URL)"):
        make_provider("openai", configure(), os.environ)


def _put_a_fifo(path, folder):
    os.mkfifo(path)


def _put_a_device(path, folder):
    path.symlink_to("/dev/zero")


def _put_a_loop(path, folder):
    path.symlink_to(path)


def _put_a_dead_end(path, folder):
    path.symlink_to(folder / "nowhere")


def _put_a_large_file(path, folder):
    path.write_bytes(b"x = 1\n" * 10**6 + b"[tool.tertulia]\nstore = 'memory:'\n")


@pytest.mark.parametrize("put", [_put_a_fifo, _put_a_device, _put_a_loop, _put_a_dead_end, _put_a_large_file])
def test_a_project_that_is_no_usual_file_is_passed_by(project_file, tmp_path, put):
    """Nothing waits for a pipe, reads a device to its end, or a file that is larger than any of its kind."""
    put(project_file, tmp_path)

    assert configure().store is None


def test_a_link_to_a_project_is_trusted_no_more(project_file, tmp_path):
    """Wherever the file lies that a repository links to, it is the repository's."""
    (tmp_path / "elsewhere.toml").write_text("[tool.tertulia]\nstore = 'memory:'\n")
    project_file.symlink_to(tmp_path / "elsewhere.toml")

    with pytest.raises(ConfigurationError, match="is not a project's to set"):
        configure()


@pytest.mark.parametrize(
    "mark",
    [
        lambda folder: (folder / ".git").write_text("gitdir: elsewhere"),
        lambda folder: (folder / ".hg").mkdir(),
        lambda folder: (folder / ".jj").mkdir(),
    ],
    ids=["worktree", "mercurial", "jujutsu"],
)
def test_a_repository_of_any_kind_ends_the_search(project_file, mark):
    """Where `.git` is a file, or the repository is another's, what lies above is somebody else's."""
    mark(project_file.parent / "package")
    project_file.write_text("[tool.tertulia]\nstore = 'memory:'\n")

    assert configure().store is None


@pytest.mark.parametrize(
    "text", ["[{keys}]\n{lines}", "{keys} = 1", "a = {{ {keys} = 1 }}", '[["a".{keys}]]\n']
)
def test_a_project_with_endless_keys_is_refused_at_once(project_file, text):
    """A table of some thousand parts would take the reader minutes."""
    keys, lines = ".".join("a" * 20_000), "\n".join(f"x{number} = 1" for number in range(20_000))
    project_file.write_text("# tertulia\n" + text.format(keys=keys, lines=lines))
    began = time.process_time()

    with pytest.raises(ConfigurationError, match="the file is nested too deeply"):
        configure()

    assert time.process_time() - began < 5


@pytest.mark.parametrize("value", ["config", "./config"])
def test_a_file_in_the_working_folder_is_not_the_users_own(monkeypatch, project_file, value):
    """A repository has no say in where the user's own file is, whatever is wrong with the environment."""
    monkeypatch.setenv("XDG_CONFIG_HOME", value)
    path = Path("config/tertulia/config.toml")
    path.parent.mkdir(parents=True)
    path.write_text("store = 'memory:'\n")

    assert configure().store is None


@pytest.mark.parametrize("table", [{"base_url": "http://localhost:1/v1"}, {"driver": "xai"}])
def test_a_program_that_points_elsewhere_brings_its_own_key(user_file, table):
    """The key of the file does not follow a provider to the address, or the driver, of an argument."""
    user_file.write_text(f'[providers.openai]\napi_key = "{KEY}"\n')

    assert configure(providers={"openai": table}).providers["openai"].api_key is None
    assert (
        Secret("own")
        == configure(providers={"openai": {**table, "api_key": "own"}}).providers["openai"].api_key
    )
