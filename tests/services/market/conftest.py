"""Feeds, sources and the exchanges they speak to live in one event loop, whose time runs faster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.support.fast_time import fast_clocks, fast_loop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"fast": fast_loop}


@pytest.fixture(autouse=True)
def time_runs_faster() -> Iterator[None]:
    with fast_clocks():
        yield
