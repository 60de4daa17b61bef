"""The recordings, which are not part of the project: ``TERTULIA_TEST_DATA`` names their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recorded_extraction import (
    ENVIRONMENT_VARIABLE,
    FILE_NAME,
    Recording,
    find_folder,
    load,
    read_exchanges,
)


@pytest.fixture(scope="session")
def folder() -> Path:
    """Where the recordings are; a test without them is skipped."""
    found = find_folder()
    if found is None:
        pytest.skip(f"{ENVIRONMENT_VARIABLE} names no folder with {FILE_NAME}: nothing to replay")
    return found


@pytest.fixture(scope="session")
def exchanges(folder: Path) -> list[dict[str, Any]]:
    return read_exchanges(folder)


@pytest.fixture(scope="session")
def recordings(folder: Path) -> list[Recording]:
    return load(folder)


@pytest.fixture(scope="session")
def streams(recordings: list[Recording]) -> list[Recording]:
    return [recording for recording in recordings if recording.streamed]
