"""The providers that the documentation shows keep what every provider promises."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tertulia
from tertulia.testing.contracts import ProviderContract

PAGE = Path(__file__).parents[2] / "docs/how-to/write-a-provider.md"


def load_classes() -> dict[str, type[tertulia.Provider]]:
    """The classes of the page's blocks, without what else the blocks do."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    wanted = [
        node
        for block in blocks
        for node in ast.parse(block).body
        if isinstance(node, ast.Import) or (isinstance(node, ast.ClassDef) and node.name in ("Echo", "Clerk"))
    ]
    names: dict[str, type[tertulia.Provider]] = {}
    exec(compile(ast.Module(wanted, []), PAGE, "exec"), names)  # noqa: S102  # our own documentation
    return names


@pytest.fixture(params=["Echo", "Clerk"])
def documented(request):
    """One of them, configured under its own name."""
    name = request.param
    return load_classes()[name](tertulia.ProviderConfig(name.lower(), name.lower()))


class TestDocumentedProvider(ProviderContract):
    @pytest.fixture
    def provider(self, documented):
        return documented
