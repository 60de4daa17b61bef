"""Fixtures for drivers at servers of bytes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from driver_cases import DRIVERS, KEY, Driver

from tertulia import HTTPProvider


@pytest.fixture(params=list(DRIVERS))
def driver(request) -> Driver:
    """Each driver in turn, and each format it speaks."""
    return DRIVERS[request.param]


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., HTTPProvider]]:
    """Makes providers that are closed in the end."""
    made: list[HTTPProvider] = []

    def connect(driver: Driver, url: str, **settings) -> HTTPProvider:
        made.append(driver.make(url, **settings))
        return made[-1]

    yield connect
    for provider in made:
        await provider.aclose()


@pytest.fixture(autouse=True)
def quiet_logs(caplog) -> Iterator[None]:
    """Whatever is logged, at any level, holds no key."""
    caplog.set_level(logging.DEBUG)
    yield
    assert KEY not in caplog.text
