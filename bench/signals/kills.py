"""An engine that is killed again and again while a market goes on: what it stored is what an engine stores that was
left alone.

The market waits while no engine serves, and is entered again where it stood: an exchange says what is, not what was
missed. Each engine is a process of its own, forked from one that has everything loaded, and ended by SIGKILL.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import random
import time
from collections.abc import Callable, Iterable
from ctypes import c_bool, c_longlong
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlmodel import select

from bench.signals.replayed import ReplayedMarket
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle, OpenInterest
from flashcur.engine.engine import Engine, Office
from flashcur.models import SignalRecord
from flashcur.services.bus import MemoryBus
from flashcur.services.kit.metrics import Metrics
from flashcur.services.lease import FileLease
from flashcur.services.market.source import Sink, VenueStatus
from flashcur.services.market.venues import BINANCE
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

SECRET_KEY = "0123456789abcdef" * 4
EARLY_SHARE = 0.1
"""Of so many engines the end comes while they are still starting."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which market, and where what is stored goes."""

    folder: Path
    seed: int
    contracts: int
    hours: int
    database_url: str = ""
    """Empty: a file in the folder."""

    def settings(self) -> Settings:
        environ = {"FLASHCUR_DATA_DIR": str(self.folder), "FLASHCUR_SECRET_KEY": SECRET_KEY, "FLASHCUR_DEMO": "off"}
        return Settings.load({**environ, **({"DATABASE_URL": self.database_url} if self.database_url else {})})

    def market(self) -> ReplayedMarket:
        return ReplayedMarket(self.seed, self.contracts, self.hours)


class ReplaySource:
    """Feeds an engine the market from its step on, as fast as what is found can be committed; see `engine.Source`."""

    def __init__(self, market: ReplayedMarket, sink: Sink, position: Any, office: Callable[[], Office | None]) -> None:
        """`position` is shared with who starts the engines; `office` is the engine's, once it is made."""
        self._market = market
        self._sink = sink
        self._position = position
        self._office = office
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Serve from where the market stands to its end."""
        market, sink = self._market, self._sink
        await _until(lambda: self._office() is not None)
        office = self._office()
        assert office is not None
        known = market.instruments()
        sink.on_switch(BINANCE, "", False)
        sink.on_instruments(BINANCE, known)
        for tick in market.snapshot():
            sink.on_tick(BINANCE, tick)
        await _until(lambda: office.detection.runner is not None)
        target = office.market.target
        assert target is not None
        for symbol in market.symbols():
            office.market.remember(target, symbol, market.open_interest_history(symbol, 14))
            office.detection.learn_volumes(target, symbol, market.past_volumes(symbol))
        await _until(lambda: not office.signal_writer.waiting)
        while market.step < market.steps:
            # Whoever comes after a kill begins with this step.
            market.step += 1
            self._position.value = market.step
            if (now := market.instruments()) != known:
                known = now
                sink.on_instruments(BINANCE, known)
            for tick in market.news():
                sink.on_tick(BINANCE, tick)
            office.detection.step(market.now_ms)
            await asyncio.sleep(0)
            await _until(lambda: not office.signal_writer.waiting)
        self.ended.set()
        await asyncio.Event().wait()

    async def refresh_instruments(self) -> None:
        self._sink.on_instruments(BINANCE, self._market.instruments())

    async def refresh_snapshot(self) -> None:
        """The streams are never silent."""

    def set_candle_symbols(self, symbols: Iterable[str]) -> None:
        """All are streamed."""

    async def candles(self, symbol: str, limit: int, *, patient: bool = False) -> list[Candle]:
        return self._market.candles(symbol, limit)

    async def open_interest(self, symbol: str) -> OpenInterest:
        return self._market.open_interest(symbol)

    async def open_interest_history(self, symbol: str, limit: int) -> list[OpenInterest]:
        return self._market.open_interest_history(symbol, limit)

    async def funding_payments(self, symbol: str, since_ms: int) -> list[Payment]:
        return []

    async def past_prices(self, symbol: str, minutes: int) -> list[tuple[int, float]]:
        return []

    async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Candle]:
        return []

    async def past_interest(self, symbol: str, first_ms: int, end_ms: int) -> list[OpenInterest]:
        return []

    def status(self) -> list[VenueStatus]:
        return []


def stored(plan: Plan) -> list[str]:
    """The keys of all signals, sorted."""
    database = Database(plan.settings())
    try:
        with database.session(readonly=True) as session:
            return sorted(session.exec(select(SignalRecord.key)))
    finally:
        database.close()


def undisturbed(plan: Plan) -> list[str]:
    """What one engine stores from the market's beginning to its end."""
    return killed(plan, 0, random.Random(0))[0]


def killed(plan: Plan, kills: int, draw: random.Random) -> tuple[list[str], int]:
    """(what engines store that are killed `kills` times, how often they were in fact) over the whole market."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    database = Database(plan.settings())
    database.migrate()
    database.close()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    position: Any = context.Value(c_longlong, 0, lock=False)
    ended: Any = context.Value(c_bool, False, lock=False)
    steps = plan.market().steps
    done = 0
    while not ended.value:
        process = context.Process(target=_serve, args=(plan, position, ended), daemon=True)
        process.start()
        if done < kills:
            # So that the last one still comes before the end.
            stride = 1.4 * (steps - position.value) / (kills - done + 1)
            _wait_for_the_moment(process, position, stride, draw)
            if not ended.value:
                process.kill()
                done += 1
        process.join()
        if process.exitcode not in (0, -9):
            raise RuntimeError(f"an engine ended with {process.exitcode}")
        process.close()
    return stored(plan), done


def _wait_for_the_moment(process: BaseProcess, position: Any, stride: float, draw: random.Random) -> None:
    if draw.random() < EARLY_SHARE:
        process.join(draw.uniform(0, 0.2))
        return
    goal = position.value + draw.uniform(0, stride)
    while position.value < goal and process.is_alive():
        time.sleep(0.0005)
    time.sleep(draw.uniform(0, 0.006))


def _serve(plan: Plan, position: Any, ended: Any) -> None:
    # Hours pass in seconds here, and marks are missed.
    logging.getLogger("flashcur").setLevel(logging.ERROR)
    asyncio.run(_engine(plan, position, ended))


async def _engine(plan: Plan, position: Any, ended: Any) -> None:
    settings, market = plan.settings(), plan.market()
    market.step = position.value
    database = Database(settings)
    sources: list[ReplaySource] = []

    def source(_: Settings, sink: Sink) -> ReplaySource:
        sources.append(ReplaySource(market, sink, position, lambda: engine.office))
        return sources[-1]

    engine = Engine(
        settings,
        bus=MemoryBus(),
        database=database,
        lease=FileLease(plan.folder / "engine.lock"),
        metrics=Metrics(),
        source=source,
        clock=lambda: market.now_ms,
    )
    task = asyncio.create_task(engine.run())
    await _until(lambda: bool(sources))
    await sources[-1].ended.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    database.close()
    ended.value = True


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  (what is waited for has no event, and is there within milliseconds)
        await asyncio.sleep(0.0003)
