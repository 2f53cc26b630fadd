"""A market, detectors and a database, with a clock and an exchange of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from sqlmodel import select

from flashcur.domain.signals.signal import Kind
from flashcur.domain.spikes import SpikeRule
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Ticker
from flashcur.engine.detection import Detection
from flashcur.engine.live_market import LiveMarket
from flashcur.engine.publisher import FencedPublisher
from flashcur.engine.signal_writer import SignalWriter
from flashcur.models import SignalRecord
from flashcur.services.bus import MemoryBus
from flashcur.services.lease import Tenure
from flashcur.services.market.venues import BINANCE, Venue
from flashcur.services.storage.database import Database
from tests.support.waiting import eventually

HOUR = 3_600_000
MINUTE = 60_000
NOON = 1_795_428_000_000
A, B = "AUSDT", "BUSDT"


class Rig:
    """What an engine has of detectors. Volumes are in millions of USDT, minutes of the hour that begins at `NOON`."""

    def __init__(self, database: Database) -> None:
        self.now_ms = NOON + 10 * MINUTE
        self.database = database
        self.tenure = Tenure(1)
        self.bus = MemoryBus()
        self.delays: list[float] = []
        self.writer = SignalWriter(
            database,
            self.tenure,
            FencedPublisher(self.bus, self.tenure),
            clock=self.clock,
            observe=self.delays.append,
        )
        self.market = LiveMarket(self.clock, lambda book, kind, symbol: None)
        self.detection = Detection(self.market, self.writer, database, SpikeRule(), clock=self.clock)
        self.instruments = [Instrument(symbol, symbol.removesuffix("USDT"), 0.01, 2) for symbol in (A, B)]

    def clock(self) -> int:
        return self.now_ms

    def at(self, minute: float) -> None:
        self.now_ms = NOON + int(minute * MINUTE)

    def serve(self, venue: Venue = BINANCE, *, demo: bool = False) -> None:
        """What `MarketSource` does when an exchange takes over."""
        self.market.on_switch(venue, "", demo)
        self.set_contracts(*self.instruments, venue=venue)
        for symbol in (A, B):
            self.market.on_tick(venue, Ticker(symbol, 10.0, 1.0, 50e6, self.now_ms, self.now_ms))
            self.market.on_tick(venue, Funding(symbol, 10.0, 0.0001, NOON + 8 * HOUR, self.now_ms, self.now_ms))

    def set_contracts(self, *instruments: Instrument, venue: Venue = BINANCE) -> None:
        self.instruments = list(instruments)
        self.market.on_instruments(venue, list(instruments))

    def list_new(self, symbol: str) -> None:
        self.set_contracts(*self.instruments, replace(self.instruments[0], symbol=symbol, base=symbol[:-4]))

    def hour_before(self, millions: float, symbol: str = A, venue: Venue = BINANCE) -> None:
        self.market.on_tick(venue, Candle(symbol, NOON - HOUR, 10, 11, 9, 10, millions * 1e6, True, NOON, self.now_ms))

    def trade(self, minute: float, millions: float, symbol: str = A, venue: Venue = BINANCE) -> None:
        """The hour's volume as of `minute`."""
        self.at(minute)
        candle = Candle(symbol, NOON, 10, 11, 9, 10.5, millions * 1e6, False, self.now_ms, self.now_ms)
        self.market.on_tick(venue, candle)

    def interest(self, minute: float, contracts: float, symbol: str = A) -> None:
        self.at(minute)
        assert self.market.target is not None
        self.market.apply(self.market.target, OpenInterest(symbol, contracts, self.now_ms, self.now_ms))

    def fund(self, hour: float, rate: float, symbol: str = A, venue: Venue = BINANCE) -> None:
        """The rate per 8 h, so many hours after `NOON`."""
        self.now_ms = now_ms = NOON + int(hour * HOUR)
        due_ms = (now_ms // (8 * HOUR) + 1) * 8 * HOUR
        self.market.on_tick(venue, Funding(symbol, 10.0, rate, due_ms, now_ms, now_ms))

    async def ready(self) -> None:
        await eventually(lambda: self.detection.runner is not None, "the detectors")

    async def written(self) -> None:
        await eventually(lambda: not self.writer.waiting, "everything in the database")

    def rows(self) -> Sequence[SignalRecord]:
        with self.database.session(readonly=True) as session:
            return session.exec(select(SignalRecord).order_by(SignalRecord.id)).all()  # type: ignore[arg-type]

    def told(self, symbol: str = A) -> list[Kind]:
        """The kinds of a contract's signals in the database, in the order they were written."""
        return [row.kind for row in self.rows() if row.symbol == symbol]  # type: ignore[misc]


@contextlib.asynccontextmanager
async def detecting(database: Database, *, writes: bool = True) -> AsyncIterator[Rig]:
    """Detectors at work until the block ends; without `writes` as if each transaction were still to come."""
    rig = Rig(database)
    works = [rig.detection.run, *([rig.writer.run] if writes else [])]
    tasks = [asyncio.create_task(work()) for work in works]
    try:
        yield rig
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
