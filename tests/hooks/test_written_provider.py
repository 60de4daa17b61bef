"""The page on writing providers keeps its word: its test module runs, and its package can be built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/write-a-provider.md").read_text("utf-8")
FOREIGN = ROOT / "tests/foreign/tertulia-sobremesa"


def test_the_test_module_of_the_page_passes(tmp_path):
    """
    Written down as the page says, the contract suite runs against the page's provider.
    """
    (block,) = re.findall(r"```python\n(# tests/test_sobremesa[^`]*)```", PAGE)
    module = tmp_path / "test_sobremesa.py"
    module.write_text(f"from tertulia_sobremesa import Sobremesa\n{block}", "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    paths = os.pathsep.join(filter(None, (str(FOREIGN / "src"), os.environ.get("PYTHONPATH"))))

    ran = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(module)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert re.search(r"1\d passed, 1 skipped", ran.stdout), ran.stdout


def test_the_packages_of_the_page_are_ones_that_can_be_built():
    """
    Both say where the driver is and which core they need, as the package that is built and installed does.
    """
    pages = [tomllib.loads(block) for block in re.findall(r"```toml\n([^`]*)```", PAGE)]
    package = tomllib.loads((FOREIGN / "pyproject.toml").read_text("utf-8"))

    assert 2 == len(pages)
    for page in pages:
        for name in ("name", "version", "dependencies", "entry-points"):
            assert package["project"][name] == page["project"][name]
    assert {**package, "project": None} == {**pages[0], "project": None}
