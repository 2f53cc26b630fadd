"""Feeds, sources and the exchanges they speak to live in one event loop, whose time runs faster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from importlib import import_module

import pytest

from flashcur.services.market.venues import KNOWN_VENUES
from tests.support.fast_time import fast_clocks, fast_loop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"fast": fast_loop}


@pytest.fixture(scope="session")
def ccxt() -> None:
    """Loaded before time runs faster: it takes seconds, which would be four times as many of a test's own."""
    for name in ("flashcur.services.market.ccxt_client", *(f"ccxt.pro.{venue}" for venue in KNOWN_VENUES)):
        import_module(name)


@pytest.fixture(autouse=True)
def time_runs_faster(ccxt: None) -> Iterator[None]:
    with fast_clocks():
        yield
