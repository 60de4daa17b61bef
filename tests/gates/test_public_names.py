"""The public names, and the shape of the house."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import tertulia
import tertulia.testing
import tertulia.wire
from tertulia.contracts.hookspecs import HookSpecifications

SOURCE = Path(tertulia.__file__).parent


def modules(package):
    return [
        module.name
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if ".migrations" not in module.name
    ]


def test_every_public_name_is_there():
    """__all__ is exact: each name can be had, is listed once, and dir() shows it."""
    assert sorted(set(tertulia.__all__)) == sorted(tertulia.__all__)
    assert [] == [name for name in tertulia.__all__ if not hasattr(tertulia, name)]
    assert sorted(tertulia.__all__) == dir(tertulia)


def test_what_type_checkers_see_is_what_there_is():
    """The imports for type checkers name the same things, from the same homes, as the lazy table."""
    tree = ast.parse((SOURCE / "__init__.py").read_text("utf-8"))
    imported = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tertulia.")
        for alias in node.names
    }

    assert imported == tertulia._HOME_OF
    assert set(imported) | {"__version__"} == set(tertulia.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    """A misspelt name fails as it does in any module."""
    with pytest.raises(AttributeError, match="module 'tertulia' has no attribute 'opne'"):
        _ = tertulia.opne


@pytest.mark.parametrize("name", tertulia.__all__)
def test_every_public_class_and_function_is_documented(name):
    """Each public class and function has a docstring of its own."""
    value = getattr(tertulia, name)
    if isinstance(value, type) or callable(value):
        assert value.__doc__


def test_no_module_imports_the_root_package():
    """Inside the core, names come from their homes: the root is for its users."""
    guilty = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.module == "tertulia")
        or (isinstance(node, ast.Import) and any(alias.name == "tertulia" for alias in node.names))
    ]

    assert [] == guilty


@pytest.mark.parametrize("name", modules(tertulia))
def test_the_examples_in_docstrings_are_true(name):
    """Every doctest of the core holds."""
    assert 0 == doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed


def test_every_error_is_in_the_drawn_tree():
    """The tree in the docstring of `errors` has every class, under its own base."""
    from tertulia import errors

    drawn = [line.split("──")[-1].split() for line in (errors.__doc__ or "").splitlines() if "──" in line]
    names = {words[0] for words in drawn} | {"TertuliaError"}
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }

    assert classes == names


def test_every_hook_is_documented():
    """Each hook has a specification with its reference text."""
    hooks = {name: hook for name, hook in vars(HookSpecifications).items() if not name.startswith("_")}

    assert 10 == len(hooks)
    assert all("nswered" in (hook.__doc__ or "") or "told" in (hook.__doc__ or "") for hook in hooks.values())
