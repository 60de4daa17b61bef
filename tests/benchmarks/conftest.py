"""The benchmarks are no installed package: they are found from the root of the workspace."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
