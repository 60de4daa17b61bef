"""What `import tertulia` takes, and what it leaves alone."""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks.table import Goal, Row

LATE = ("aiohttp", "alembic", "docstring_parser", "jsonschema", "mako", "msgspec", "sqlalchemy")
HEAVY = (*LATE, "attrs", "cattrs", "orjson")
_FEW = (Goal(40, "ours"), Goal(8))
_NONE = (Goal(0, "ours"),)


async def measure_imports(_url: str, rounds: int) -> list[Row]:
    """CPU milliseconds of a Python that imports, against one that does nothing."""
    codes = {"pass": "pass", "import": "import tertulia", "names": "from tertulia import open, Client"}
    spent: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(rounds + 1):  # the first writes what is compiled
        for name, code in codes.items():
            spent[name].append(_cpu_milliseconds(code))
    bare, plain, named = (min(spent[name][1:]) for name in codes)
    return [
        Row("import tertulia, CPU", plain, bare, "ms", _FEW),
        Row("from tertulia import open, Client, CPU", named, bare, "ms", _FEW),
        Row(
            f"import tertulia: of {', '.join(HEAVY)}",
            count_loaded(codes["import"], HEAVY),
            None,
            "loaded",
            _NONE,
        ),
        Row(
            f"the same, and open, Client: of {', '.join(LATE)}",
            count_loaded(codes["names"], LATE),
            None,
            "loaded",
            _NONE,
        ),
    ]


def _cpu_milliseconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(_command(code), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def count_loaded(code: str, modules: tuple[str, ...]) -> int:
    """How many of some modules are there when a code has run."""
    count = f"{code}; import sys; print(sum(name in sys.modules for name in {modules!r}))"
    return int(subprocess.run(_command(count), check=True, capture_output=True).stdout)


def _command(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]
