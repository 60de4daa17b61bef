"""
Build the wheel of every distribution, install each alone, and import it.

Run by ``make check``. One fresh environment gets the core with its dependencies; then each plugin is added
with only what it asks for, imported, and taken away again.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLUGINS = ("openai", "gemini", "xai", "simulator", "cli", "genai-prices", "splintr")
NEEDS = {"cli": ("simulator",)}


def run(*command: str | Path, **options: object) -> None:
    subprocess.run([str(word) for word in command], check=True, **options)  # type: ignore[call-overload]


def build(folder: Path, target: Path) -> None:
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        target,
        folder,
        stdout=subprocess.DEVNULL,
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheels, environment = Path(folder) / "wheels", Path(folder) / "environment"
        for distribution in (ROOT / "core", *(ROOT / "plugins" / name for name in PLUGINS)):
            build(distribution, wheels)
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check")
        install = (*pip, "install", "--constraint", ROOT / "constraints.txt")

        def wheel(name: str) -> Path:
            """The file itself: by its name, an index could answer with somebody else's package."""
            (found,) = wheels.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
            return found

        run(*install, wheel("tertulia"))
        run(
            python, "-W", "error", "-c", "import tertulia; tertulia.Client, tertulia.HTTPProvider", cwd=folder
        )
        for name in PLUGINS:
            names = [f"tertulia-{each}" for each in (name, *NEEDS.get(name, ()))]
            run(*install, *map(wheel, names))
            run(python, "-W", "error", "-c", f"import tertulia_{name.replace('-', '_')}", cwd=folder)
            run(*pip, "uninstall", "--yes", *names)
            sys.stdout.write(f"tertulia-{name}: built, installed alone, imported\n")
        run(*pip, "check")


if __name__ == "__main__":
    main()
