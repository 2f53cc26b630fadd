"""The web process's runtime: embedded engine, many workers over Redis, and what heals by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from flashcur.domain.frames import Frame
from flashcur.services.simulator import SimulatedExchange, SimulatorProcess
from flashcur.services.simulator.universe_data import TRADFI
from flashcur.settings import Settings
from flashcur.web.market_hub import MarketHub
from flashcur.web.process import WebRuntime
from tests.support.accounts import WHERE
from tests.support.programs import PostgresServer, RedisServer
from tests.support.waiting import eventually


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[WebRuntime]:
    """One web worker."""
    runtime = WebRuntime(settings, MarketHub(), WHERE)
    async with runtime.lifespan():
        yield runtime


def live(runtime: WebRuntime) -> Frame:
    assert runtime.hub.live is not None
    return runtime.hub.live


async def has_frames(runtime: WebRuntime, within_s: float = 20) -> None:
    seen = 0 if runtime.hub.live is None else runtime.hub.live.as_of_ms
    await eventually(lambda: runtime.hub.live is not None and runtime.hub.live.as_of_ms > seen, "a new frame", within_s)


async def test_one_process_does_everything_with_demo_data(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[SimulatorProcess] = []
    start = SimulatorProcess.start

    async def note(process: SimulatorProcess) -> None:
        started.append(process)
        await start(process)

    monkeypatch.setattr(SimulatorProcess, "start", note)
    settings = Settings.load({**environ, "FLASHCUR_DEMO": "on", "FLASHCUR_DEMO_SYMBOLS": "30"})
    # Twice, as when the development server reloads: the second finds nothing of the first in its way.
    for _ in range(2):
        async with worker(settings) as runtime:
            begun_s = time.monotonic()
            await has_frames(runtime, 30)
            frame = live(runtime)
            assert (frame.demo, len(frame.of("crypto")), len(frame.of("tradfi"))) == (True, 30, len(TRADFI))
            assert runtime.hub.table("guest") is not None
            await eventually(lambda: runtime.engine_status is not None, "the engine's status")
            assert runtime.failures == {}
            assert started[-1].running
            begun_s = time.monotonic()
        assert time.monotonic() - begun_s < 5
        assert not started[-1].running


async def test_the_page_is_served_while_the_engine_starts(live_settings: Settings) -> None:
    """Starting returns at once, and the event loop stays free while ccxt is imported."""
    begun_s = time.monotonic()
    async with worker(live_settings) as runtime:
        assert time.monotonic() - begun_s < 0.5
        await has_frames(runtime)


async def test_a_worker_with_an_external_engine_starts_none(live_settings: Settings) -> None:
    settings = Settings.load({"FLASHCUR_DATA_DIR": str(live_settings.data_dir), "FLASHCUR_ENGINE": "external"})
    async with worker(settings) as runtime:
        await asyncio.wait_for(runtime.database_ready.wait(), 10)
        assert "engine" not in runtime._tasks.running


async def test_of_several_workers_one_runs_the_engine_and_all_show_its_frames(
    live_environ: dict[str, str], exchange: SimulatedExchange, redis_url: str
) -> None:
    settings = Settings.load({**live_environ, "REDIS_URL": redis_url})
    async with worker(settings) as second:
        async with worker(settings) as first:
            await has_frames(first)
            await has_frames(second)
            active = [runtime for runtime in (first, second) if "flashcur_engine_active 1.0" in _metrics(runtime)]
            assert len(active) == 1
            epoch = live_epoch(second)
        # The first worker has gone, and with it perhaps the engine: the other one goes on within 10 s.
        await has_frames(second, 10)
        await eventually(lambda: live_epoch(second) >= epoch, "the engine's status")
        assert "flashcur_engine_active 1.0" in _metrics(second)


async def test_frames_come_back_when_redis_does(
    live_environ: dict[str, str], exchange: SimulatedExchange, own_redis: RedisServer
) -> None:
    settings = Settings.load({**live_environ, "REDIS_URL": own_redis.url})
    async with worker(settings) as runtime:
        await has_frames(runtime)
        before = live(runtime)
        own_redis.kill()
        await eventually(lambda: runtime.bus is not None and runtime.bus.counters.failed > 0, "a failed message")
        # What is shown stays.
        assert runtime.hub.table("elite") is not None
        own_redis.start()
        await eventually(lambda: live(runtime).seq > before.seq + 1, "frames again", 20)
        await eventually(lambda: runtime.hub.table("pro") is not None, "the marks", 15)
        assert len(live(runtime).of("crypto")) == 20


async def test_a_database_that_comes_later_is_prepared_then(
    live_environ: dict[str, str], exchange: SimulatedExchange, own_postgres: PostgresServer
) -> None:
    url = own_postgres.create_database("later")
    own_postgres.stop()
    settings = Settings.load({**live_environ, "DATABASE_URL": url, "FLASHCUR_ENGINE": "external"})
    async with worker(settings) as runtime:
        await eventually(lambda: runtime.database_problem != "", "the problem")
        assert not runtime.database_ready.is_set()
        own_postgres.start()
        await asyncio.wait_for(runtime.database_ready.wait(), 15)


def live_epoch(runtime: WebRuntime) -> int:
    return 0 if runtime.engine_status is None else runtime.engine_status.epoch


def _metrics(runtime: WebRuntime) -> str:
    return runtime.metrics.render().decode()


async def test_what_else_is_attended_runs_and_is_started_again(settings: Settings) -> None:
    runs: list[int] = []

    async def work() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise ValueError("the first time")
        await asyncio.Event().wait()

    runtime = WebRuntime(replace(settings, engine="external"), MarketHub(), WHERE)
    runtime.attend("something", work)
    async with runtime.lifespan():
        await eventually(lambda: len(runs) == 2, "a second run", 20)
        assert runtime.failures == {"something": 1}
    assert runs == [0, 1]
