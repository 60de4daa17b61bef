"""Configuration files: where they are found, and which of them is heard."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from configuration_cases import configure, origins
from hypothesis import given
from hypothesis import strategies as st

import tertulia
from tertulia import Secret, Setting, Timeouts
from tertulia.runtime.configuration.tables import Table, flatten, merge

ROOT = Path(__file__).parents[2]


def test_the_users_file_is_read(user_file):
    """Everything a file may say is in the configuration."""
    user_file.write_text(
        """
        default_provider = "local"
        store = "memory:"
        owner = "ada"
        fallback = ["gemini"]
        plugins = ["audit"]

        [providers.local]
        driver = "openai"
        base_url = "http://localhost:11434/v1"
        model = "llama3.3"
        api_key = "local-key"
        fallback = "openai/gpt-5.5"
        timeouts = { connect = 1, first_content = 2, idle = 3, total = 4.5 }

        [providers.gemini]
        safety_settings = { HARM_CATEGORY_HARASSMENT = "BLOCK_MEDIUM_AND_ABOVE" }

        [conversation]
        context_window = 10
        max_context_tokens = 4000
        """
    )

    config = configure()
    local = config.providers["local"]

    assert ("local", "memory:", "ada", ("gemini",), ("audit",), 10, 4000) == (
        config.default_provider,
        config.store,
        config.owner,
        config.fallback,
        config.plugins,
        config.context_window,
        config.max_context_tokens,
    )
    assert ("openai", "http://localhost:11434/v1", "llama3.3", Secret("local-key"), ("openai/gpt-5.5",)) == (
        local.driver,
        local.base_url,
        local.model,
        local.api_key,
        local.fallback,
    )
    assert Timeouts(1, 2, 3, 4.5) == local.timeouts
    assert {"safety_settings": {"HARM_CATEGORY_HARASSMENT": "BLOCK_MEDIUM_AND_ABOVE"}} == dict(
        config.providers["gemini"].settings
    )


def test_installed_drivers_stay_configured_after_those_of_the_file(user_file):
    """The providers that the file names come first, in its order; the other drivers follow by name."""
    user_file.write_text("[providers.xai]\n[providers.fast]\ndriver = 'openai'\n")

    assert ["xai", "fast", "gemini", "openai"] == list(configure().providers)


def test_a_file_can_be_named_by_the_environment(monkeypatch, user_file, tmp_path):
    """TERTULIA_CONFIG names another file, which is read instead of the user's own."""
    user_file.write_text('owner = "nobody"\nstore = "memory:"')
    (tmp_path / "other.toml").write_text('owner = "ada"')
    monkeypatch.setenv("TERTULIA_CONFIG", str(tmp_path / "other.toml"))

    assert ("ada", None) == ((config := configure()).owner, config.store)


def test_a_file_can_be_named_by_an_argument(monkeypatch, user_file, tmp_path):
    """The argument wins over TERTULIA_CONFIG; a relative path is relative to where the process works."""
    user_file.write_text('owner = "nobody"')
    (tmp_path / "other.toml").write_text('owner = "ada"')
    monkeypatch.setenv("TERTULIA_CONFIG", "/nowhere.toml")
    monkeypatch.chdir(tmp_path)

    assert ["ada", "ada"] == [
        configure(config="other.toml").owner,
        configure(config=tmp_path / "other.toml").owner,
    ]


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_no_file_is_read_when_none_is_wanted(monkeypatch, user_file, project_file, how):
    """`config=False`, and a TERTULIA_CONFIG that is empty, read no file at all."""
    user_file.write_text('owner = "nobody"')
    project_file.write_text("[tool.tertulia.conversation]\ncontext_window = 3")
    if how == "variable":
        monkeypatch.setenv("TERTULIA_CONFIG", "")

    config = configure(config=False) if how == "argument" else configure()

    assert ("local", None) == (config.owner, config.context_window)


def test_another_environment_looks_for_no_file(user_file, project_file, tmp_path):
    """With `environ`, a file is read only where the argument or that environment names one."""
    user_file.write_text('owner = "nobody"')
    project_file.write_text("[tool.tertulia.conversation]\ncontext_window = 3")
    (tmp_path / "other.toml").write_text('owner = "ada"')

    def read(**arguments):
        settings = {setting.key: setting.value for setting in tertulia.read_settings(**arguments)}
        return settings["owner"], settings["conversation.context_window"]

    assert ("local", None) == read(environ={})
    assert ("ada", None) == read(environ={}, config=tmp_path / "other.toml")
    assert ("ada", None) == read(environ={"TERTULIA_CONFIG": str(tmp_path / "other.toml")})
    assert ("nobody", 3) == read()


def test_the_nearest_project_with_the_table_is_read(project_file):
    """A pyproject.toml without the table is passed by, on the way up from where the process works."""
    project_file.write_text("[tool.tertulia.conversation]\ncontext_window = 3")
    Path("pyproject.toml").write_text("[project]\nname = 'module-of-tertulia'")
    Path("../pyproject.toml").write_text("[project]\nname = 'package'")
    assert 3 == configure().context_window

    Path("../pyproject.toml").write_text("[tool.tertulia.conversation]\ncontext_window = 5")
    assert 5 == configure().context_window


@pytest.mark.parametrize("stop", ["the root of the repository", "home"])
def test_the_search_ends_at_the_repository_and_at_home(monkeypatch, tmp_path, stop):
    """What lies above the repository, or above the user's home, says nothing."""
    (tmp_path / "pyproject.toml").write_text("[tool.tertulia.conversation]\ncontext_window = 3")
    folder = tmp_path / "ada" / "module"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert 3 == configure().context_window

    if stop == "home":
        monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    else:
        (tmp_path / "ada" / ".git").write_text("gitdir: elsewhere")  # as in a worktree

    assert configure().context_window is None


def test_a_working_folder_that_is_gone_has_no_project(monkeypatch, tmp_path):
    """A process whose folder was removed is still configured."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    assert "local" == configure().owner
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("content", [b"[tool", b"\xff\xfe", b"[tool.black]\nline-length = 1"])
def test_a_project_that_does_not_mention_us_is_not_read(project_file, content):
    """Whatever is wrong with somebody else's file is not ours to say."""
    project_file.write_bytes(content)

    assert "local" == configure().owner


def test_a_project_that_is_no_file_is_passed_by(project_file):
    """A folder, or a device, of that name is not opened."""
    project_file.symlink_to("/dev/zero")

    assert "local" == configure().owner


def test_a_mark_at_the_beginning_of_a_file_is_no_mistake(user_file):
    """Editors on Windows write one, and end lines in two characters."""
    user_file.write_bytes('\ufeffowner = "ada"\r\n[conversation]\r\ncontext_window = 3\r\n'.encode())

    assert ("ada", 3) == ((config := configure()).owner, config.context_window)


@pytest.mark.parametrize(
    ("user", "project", "variable", "argument", "model"),
    [
        (None, None, None, None, None),
        ("user", None, None, None, "user"),
        (None, "project", None, None, "project"),
        ("user", "project", None, None, "project"),
        ("user", None, "variable", None, "variable"),
        (None, "project", "variable", None, "variable"),
        ("user", "project", "variable", None, "variable"),
        ("user", None, None, "argument", "argument"),
        (None, None, "variable", "argument", "argument"),
        ("user", "project", "variable", "argument", "argument"),
        ("user", "", None, None, "user"),
        ("user", "project", " ", "", "project"),
    ],
)
def test_a_later_source_wins(monkeypatch, user_file, project_file, user, project, variable, argument, model):
    """User's file < project's file < environment < argument; what is empty says nothing."""
    if user is not None:
        user_file.write_text(f'[providers.openai]\nmodel = "{user}"')
    if project is not None:
        project_file.write_text(f'[tool.tertulia.providers.openai]\nmodel = "{project}"')
    if variable is not None:
        monkeypatch.setenv("AI_OPENAI_MODEL", variable)
    providers = None if argument is None else {"openai": {"model": argument}}

    assert model == configure(providers=providers).providers["openai"].model


def test_sources_are_merged_key_by_key(user_file, project_file):
    """A table in a later source leaves the other keys of an earlier one, at every depth."""
    user_file.write_text(
        """
        [providers.openai]
        model = "a"
        timeouts = { idle = 1, total = 2 }
        [providers.gemini]
        safety_settings = { HARM_CATEGORY_HARASSMENT = "OFF", HARM_CATEGORY_HATE_SPEECH = "OFF" }
        """
    )
    project_file.write_text("[tool.tertulia.providers.openai]\ntimeouts = { total = 3 }")
    providers = {
        "openai": {"organization": "org"},
        "gemini": {"safety_settings": {"HARM_CATEGORY_HATE_SPEECH": "BLOCK_NONE"}},
    }

    config = configure(providers=providers)

    openai = config.providers["openai"]
    assert ("a", Timeouts(idle=1, total=3), {"organization": "org"}) == (
        openai.model,
        openai.timeouts,
        dict(openai.settings),
    )
    assert {"HARM_CATEGORY_HARASSMENT": "OFF", "HARM_CATEGORY_HATE_SPEECH": "BLOCK_NONE"} == (
        config.providers["gemini"].settings["safety_settings"]
    )


LEAVES = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3)
TREES = st.fixed_dictionaries({}, optional={"x": LEAVES, "y": LEAVES, "z": st.integers(0, 3)})


def tree(document, origin, path=()):
    entries = {
        key: tree(value, origin, (*path, key)) if isinstance(value, dict) else Setting(key, value, origin)
        for key, value in document.items()
    }
    return Table(path, ".".join(path), origin, entries)


@given(st.lists(TREES, min_size=1, max_size=5))
def test_of_all_sources_the_last_that_says_something_is_heard(documents):
    """Each merged value is that of the last tree with its path, and no path is lost."""
    trees = [tree(document, f"source {number}") for number, document in enumerate(documents)]
    expected = {path: setting for one in trees for path, setting in flatten(one)}

    assert expected == dict(flatten(merge(*trees)))


@pytest.mark.parametrize(
    ("line", "variable", "expected"),
    [
        ("", None, ["bad", "good"]),
        ("plugins = ['good']", None, ["good"]),
        ("plugins = []", None, []),
        ("plugins = ['good']", "bad", ["bad"]),
        ("plugins = ['good']", "", []),
    ],
)
async def test_the_users_file_chooses_plugins(monkeypatch, tmp_path, user_file, line, variable, expected):
    """Of the installed plugins those named in the file are loaded, or those of TERTULIA_PLUGINS."""
    folder = tmp_path / "packages"
    (folder / "some-1.0.dist-info").mkdir(parents=True)
    (folder / "some-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: some\nVersion: 1.0")
    (folder / "some-1.0.dist-info" / "entry_points.txt").write_text(
        "[tertulia.plugins]\ngood = some:good\nbad = some:bad\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    user_file.write_text(line)
    if variable is not None:
        monkeypatch.setenv("TERTULIA_PLUGINS", variable)

    async with tertulia.open(store="memory:") as client:
        found = [plugin.name for plugin in client.plugins() if plugin.kind == "plugin"]

    assert expected == sorted(set(found) & {"good", "bad"})


def test_providers_by_argument_are_exactly_those(user_file, project_file):
    """Names that a program passes are all there are; what files say of them counts, and nothing else does."""
    user_file.write_text(
        'default_provider = "local"\nfallback = ["local", "openai"]\n'
        '[providers.openai]\nmodel = "a"\nfallback = ["local", "gemini/b"]\n'
        "[providers.local]\ndriver = 'openai'\n"
    )
    project_file.write_text('[tool.tertulia.providers.gemini]\nmodel = "c"\n')

    config = configure(providers={"gemini": {}, "openai": {}})

    assert ["gemini", "openai"] == list(config.providers)
    assert (None, ("openai",)) == (config.default_provider, config.fallback)
    assert ("a", ("gemini/b",), "c") == (
        config.providers["openai"].model,
        config.providers["openai"].fallback,
        config.providers["gemini"].model,
    )


def toml_blocks():
    for page in sorted((*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md"), ROOT / "README.md")):
        for number, block in enumerate(re.findall(r"(?ms)^```toml\n(.*?)^```$", page.read_text("utf-8"))):
            yield pytest.param(block, id=f"{page.stem}-{number}")


@pytest.mark.parametrize("block", list(toml_blocks()))
def test_the_files_in_the_documentation_are_read(user_file, project_file, block):
    """Each TOML block of a page is a configuration, of a user or of a project, or a package's own."""
    document = tomllib.loads(block)
    if "project" in document:
        return
    path, below = (project_file, "tool.tertulia.") if "tool" in document else (user_file, "")
    path.write_text(block)

    found = {key: setting for key, setting in origins().items() if setting.startswith(str(path))}

    assert found
    assert below == "" or set(document["tool"]) == {"tertulia"}
