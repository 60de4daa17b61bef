"""
The configuration's files: the user's own, and a project's, which is not trusted.

Whoever clones a repository did not write its ``pyproject.toml``. So that file may say how a provider is
asked, and asked again; who is asked, where, with which key, what is kept and what may be spent, is the user's
to say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, cast

import attrs

from tertulia.domain.config import default_database
from tertulia.errors import ConfigurationError
from tertulia.runtime.configuration.contexts import SUMMARY_MODEL
from tertulia.runtime.configuration.environment import find_variable
from tertulia.runtime.configuration.schema import PROVIDER_KEYS, TOP_KEYS
from tertulia.runtime.configuration.tables import Given, Table, locate, refuse, suggest, write_key
from tertulia.runtime.configuration.toml import Problem, load

ConfigFile: TypeAlias = str | os.PathLike[str] | Literal[False] | None

VARIABLE = "TERTULIA_CONFIG"
PROJECT_PROVIDER_KEYS = frozenset({"model", "timeouts", "limits"})
"""
What a project may set of a provider. None of its driver's own settings: only the driver knows which of them
is an address.
"""
_PROJECT_KEYS = frozenset({"conversation", "context", "routing", "providers"})
_REPOSITORIES = (".git", ".hg", ".jj")
_NOTHING: Table[Given] = Table((), "", "", {})


@attrs.frozen
class Files:
    """What the files say; empty tables where there is none."""

    user: Table[Given] = _NOTHING
    project: Table[Given] = _NOTHING


def read_files(config: ConfigFile, environ: Mapping[str, str], *, is_own: bool) -> Files:
    """
    Find and read the files.

    Args:
        config: The user's file; None to look for it, False to read no file at all.
        environ: Its ``TERTULIA_CONFIG`` names the user's file; a blank one stands for no file at all.
        is_own: Whether it is the environment of this process. A caller that brings another one is not to
            be surprised by what lies about on the machine: then no file is looked for.

    Raises:
        ConfigurationError: A file that is named is not there, a file cannot be read, or a project's file
            sets what it may not.
    """
    _check_argument(config)
    wants_none = config is False or not environ.get(VARIABLE, "-").strip()
    path = _find_user_file(config, environ, is_own=is_own)
    user = _NOTHING if path is None else _read_user_file(path, config, environ)
    if wants_none or not is_own:
        return Files(user)
    project = _read_project(_working_folder())
    if project is not None:
        _distrust(project, path or user_file())
    return Files(user, cast("Table[Given]", project or _NOTHING))


def user_file() -> Path:
    """Where the user's own file is, whether there is one or not."""
    from platformdirs import user_config_path

    return user_config_path("tertulia", appauthor=False) / "config.toml"


def own_database() -> str:
    """The URL of the user's own database file."""
    from platformdirs import user_data_path

    return default_database(user_data_path("tertulia", appauthor=False))


def _check_argument(config: object) -> None:
    if not (config is None or config is False or isinstance(config, str | os.PathLike)):
        raise ConfigurationError(
            "config must be a path, None or False", value=config, next_step="name a TOML file"
        )


def _find_user_file(config: ConfigFile, environ: Mapping[str, str], *, is_own: bool) -> Path | None:
    named = environ.get(VARIABLE) if config is None else config
    if named is None:
        path = user_file()
        # A relative one is anybody's: it lies in the working folder, for want of a home.
        return path if is_own and path.is_absolute() else None
    if named is False or (config is None and not str(named).strip()):
        return None
    try:
        return Path(named).expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise ConfigurationError(f"{_namer(config)}{named} leads nowhere: {error}", value=named) from error


def _read_user_file(path: Path, config: ConfigFile, environ: Mapping[str, str]) -> Table[Given]:
    document = load(path)
    if isinstance(document, Problem):
        raise ConfigurationError(
            document.what, value=path, next_step=f"correct it, or set {VARIABLE}= to read no file"
        )
    if document is not None:
        return cast("Table[Given]", document.get())
    if config is not None or VARIABLE in environ:
        raise ConfigurationError(
            f"{_namer(config)}there is no file {path}", value=path, next_step="name one that is there"
        )
    return _NOTHING


def _namer(config: ConfigFile) -> str:
    return locate(f"environment variable {VARIABLE}") if config is None else "config: "


def _working_folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return None


def _read_project(folder: Path | None) -> Given | Table[Given] | None:
    """The nearest file with our table; one that cannot be read is not ours to obey."""
    for path in _project_files(folder):
        document = load(path, mentioning=b"tertulia")
        if isinstance(document, Problem):
            raise ConfigurationError(document.what, value=path, next_step="correct it")
        table = None if document is None else document.get("tool", "tertulia")
        if table is not None:
            return table
    return None


def _project_files(folder: Path | None) -> Iterator[Path]:
    """From the folder upwards, to the root of its repository or to the user's home."""
    home = _home()
    for parent in () if folder is None else (folder, *folder.parents):
        path = parent / "pyproject.toml"
        try:
            if path.is_file() and os.access(path, os.R_OK):
                yield path
            if parent == home or any((parent / name).exists() for name in _REPOSITORIES):
                return
        except OSError:  # the folder is not to be looked into
            return


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except (RuntimeError, OSError):
        return None


def _distrust(project: Given | Table[Given], own_file: Path) -> None:
    if isinstance(project, Given):
        raise refuse(project, "must be a table")
    for key, node in project.entries.items():
        if key in TOP_KEYS - _PROJECT_KEYS:
            raise _not_a_projects(node, own_file)
    providers = project.entries.get("providers")
    for table in providers.entries.values() if isinstance(providers, Table) else ():
        for key, node in table.entries.items() if isinstance(table, Table) else ():
            if key not in PROJECT_PROVIDER_KEYS:
                raise _not_a_projects(node, own_file)
    for node in _summary_models(project):
        raise _not_a_projects(node, own_file)


def _summary_models(project: Table[Given]) -> Iterator[Given | Table[Given]]:
    """Where it is said who writes summaries, and so is sent what was said."""
    context = project.entries.get("context")
    models = context.entries.get("models") if isinstance(context, Table) else None
    for table in (context, *(models.entries.values() if isinstance(models, Table) else ())):
        if isinstance(table, Table) and SUMMARY_MODEL in table.entries:
            yield table.entries[SUMMARY_MODEL]


def _not_a_projects(node: Given | Table[Given], own_file: Path) -> ConfigurationError:
    key = node.path[-1]
    name = find_variable(node.path)
    advice = f"write {write_key(node.path)} into {own_file}{f', or set {name}' if name else ''}"
    if key not in TOP_KEYS | PROVIDER_KEYS and (meant := suggest(key, PROJECT_PROVIDER_KEYS)).startswith(
        "did"
    ):
        advice = meant
    return refuse(
        node,
        "is not a project's to set: a repository may come from anybody, so it does not say who is asked, "
        "where, with which key, what is kept, or what may be spent",
        value=key,
        next_step=advice,
    )
