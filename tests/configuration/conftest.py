"""A user and a project with files of their own, on a machine that says nothing else."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def user_file(monkeypatch, tmp_path):
    """Where the user's own file is; it does not exist yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config" / "tertulia" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def project_file(monkeypatch, tmp_path):
    """The file of the repository that the process works in, two folders down; it does not exist yet."""
    folder = tmp_path / "repository" / "package" / "module"
    folder.mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    monkeypatch.chdir(folder)
    return tmp_path / "repository" / "pyproject.toml"


@pytest.fixture(autouse=True)
def _nobodys_variables(monkeypatch):
    """No variable of the machine says anything."""
    for name in [name for name in os.environ if name.startswith(("AI_", "TERTULIA_"))]:
        monkeypatch.delenv(name)
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "XAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
