"""An engine, a hub and a simulated exchange in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from flashcur.domain.frames import Frame
from flashcur.engine.engine import Engine, Office
from flashcur.services.bus import Bus, MemoryBus
from flashcur.services.bus.topics import LIVE_TOPIC, TOPICS
from flashcur.services.kit.metrics import Metrics
from flashcur.services.lease import FileLease, Lease
from flashcur.services.market.source import MarketSource
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from flashcur.web.market_hub import MarketHub
from tests.support.waiting import eventually


class LocalSimulator:
    """The simulated exchange inside the test, with the interface of the process."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange
        self.rest_url = ""
        self.ws_url = ""

    async def start(self) -> None:
        await self.exchange.start()
        self.rest_url, self.ws_url = self.exchange.rest_url, self.exchange.ws_url

    async def wait(self) -> int:
        await asyncio.Event().wait()
        return 0

    async def stop(self) -> None:
        await self.exchange.stop()


@dataclass
class Running:
    """An engine at work, and every frame it has published."""

    engine: Engine
    bus: Bus
    hub: MarketHub = field(default_factory=MarketHub)
    frames: list[Frame] = field(default_factory=list[Frame])

    @property
    def office(self) -> Office:
        assert self.engine.office is not None
        return self.engine.office

    @property
    def last(self) -> Frame:
        return self.frames[-1]

    def row(self, symbol: str, frame: Frame | None = None) -> dict[str, str]:
        """A contract's cells as shown."""
        frame = frame or self.last
        at = frame.values("symbol").index(symbol)
        return {name: frame.values(name)[at] for name in frame.columns}

    async def next_frame(self, within_s: float = 3.0) -> Frame:
        seen = len(self.frames)
        await eventually(lambda: len(self.frames) > seen, "another frame", within_s)
        return self.last

    async def frame_where(self, condition: Callable[[Frame], bool], what: str, within_s: float = 10.0) -> Frame:
        """The first frame from now on that fulfils `condition`."""
        start = len(self.frames)

        def found() -> list[Frame]:
            return [frame for frame in self.frames[start:] if condition(frame)]

        await eventually(lambda: bool(found()), what, within_s)
        return found()[0]

    async def follow(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for topic in TOPICS:
                tasks.create_task(self._follow(topic))

    async def _follow(self, topic: str) -> None:
        async with self.bus.subscribe(topic) as messages:
            async for message in messages:
                self.hub.receive(topic, message.payload)
                if topic == LIVE_TOPIC:
                    self.frames.append(Frame.decode(message.payload))


@contextlib.asynccontextmanager
async def running_engine(
    settings: Settings,
    database: Database,
    *,
    bus: Bus | None = None,
    lease: Lease | None = None,
    simulator: SimulatedExchange | None = None,
    demo_after_s: float = 0.3,
) -> AsyncIterator[Running]:
    """An engine that serves until the block ends."""
    bus = bus or MemoryBus()
    source = partial(MarketSource, demo_after_s=demo_after_s)
    if simulator is not None:
        source = partial(source, simulator=lambda: LocalSimulator(simulator))
    engine = Engine(
        settings,
        bus=bus,
        database=database,
        lease=lease or FileLease(settings.data_dir / "engine.lock"),
        metrics=Metrics(),
        source=source,
    )
    running = Running(engine, bus)
    tasks = [asyncio.create_task(running.follow()), asyncio.create_task(engine.run())]
    try:
        yield running
    finally:
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.close()


@pytest.fixture
async def exchange() -> AsyncIterator[SimulatedExchange]:
    exchange = SimulatedExchange(symbols=20, listings=False)
    await exchange.start()
    yield exchange
    await exchange.stop()


@pytest.fixture
def live_environ(environ: dict[str, str], exchange: SimulatedExchange) -> dict[str, str]:
    """The simulated exchange, reached as a real one is."""
    return {
        **environ,
        "FLASHCUR_EXCHANGES": "binanceusdm",
        "FLASHCUR_DEMO": "off",
        "FLASHCUR_BINANCEUSDM_REST_URL": exchange.rest_url,
        "FLASHCUR_BINANCEUSDM_WS_URL": exchange.ws_url,
    }


@pytest.fixture
def live_settings(live_environ: dict[str, str]) -> Settings:
    return Settings.load(live_environ)


@pytest.fixture
async def running(live_settings: Settings, sqlite_database: Database) -> AsyncIterator[Running]:
    """An engine on the simulated exchange, with its first frame published."""
    async with running_engine(live_settings, sqlite_database) as running:
        await eventually(lambda: bool(running.frames), "a first frame", 20)
        yield running
