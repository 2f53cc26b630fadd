"""An exchange of sixty contracts on a clock that starts where a test wants it, and clients for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest

from flashcur.services.simulator import SimulatedExchange
from flashcur.services.simulator.universe_data import TRADFI
from tests.support.fast_time import fast_clocks, fast_loop

MID_HOUR_MS = 1_763_903_100_000
"""2025-11-23 13:05:00 UTC."""

TRADFI_SYMBOLS = {f"{base}USDT" for base, *_ in TRADFI}
OTHERS = {"BTCUSDC", "ETHUSDC", "BTCUSDT_261225", "ETHUSDT_261225", "BTCUSDT_270326", *TRADFI_SYMBOLS}
"""What trades beside the USDT perpetuals on coins, and is in every list and stream of all contracts."""

StartExchange = Callable[..., Awaitable[SimulatedExchange]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"fast": fast_loop}


@pytest.fixture(autouse=True)
def time_runs_faster() -> Iterator[None]:
    """Exchange and clients share the test's event loop."""
    with fast_clocks():
        yield


class Clock:
    """A clock that runs from a given moment and can be put forward."""

    def __init__(self, start_ms: int) -> None:
        self._offset_ms = start_ms - time.monotonic_ns() // 1_000_000

    def __call__(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self._offset_ms

    def forward(self, ms: int) -> None:
        self._offset_ms += ms


@pytest.fixture
def clock() -> Clock:
    return Clock(MID_HOUR_MS)


@pytest.fixture
async def start_exchange(clock: Clock) -> AsyncIterator[StartExchange]:
    async with contextlib.AsyncExitStack() as cleanup:

        async def start(**options: Any) -> SimulatedExchange:
            settings: dict[str, Any] = {"symbols": 60, "now_ms": clock, "listings": False, **options}
            exchange = SimulatedExchange(**settings)
            await exchange.start()
            cleanup.push_async_callback(exchange.stop)
            return exchange

        yield start


@pytest.fixture
async def exchange(start_exchange: StartExchange) -> SimulatedExchange:
    return await start_exchange()


@pytest.fixture
async def http(exchange: SimulatedExchange) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(exchange.rest_url) as session:
        yield session
