"""Signals of an engine on the simulated exchange, from the exchange's message to the row and the word on the bus."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
from sqlmodel import select

from flashcur.models import SignalRecord
from flashcur.services.bus import Bus
from flashcur.services.bus.topics import SIGNALS_TOPIC
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.running import Running, running_engine
from tests.support.waiting import eventually

BTC = "BTCUSDT"


def stored(database: Database, symbol: str = BTC, kind: str = "SPIKE") -> list[SignalRecord]:
    with database.session(readonly=True) as session:
        query = select(SignalRecord).where(SignalRecord.symbol == symbol, SignalRecord.kind == kind)
        return list(session.exec(query))


@contextlib.asynccontextmanager
async def told(bus: Bus) -> AsyncIterator[list[int]]:
    """The ids that were said on the bus."""
    ids: list[int] = []

    async def follow() -> None:
        async with bus.subscribe(SIGNALS_TOPIC) as messages:
            async for message in messages:
                ids.append(orjson.loads(message.payload)["last_id"])

    task = asyncio.create_task(follow())
    try:
        yield ids
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def has_ratio(running: Running) -> None:
    """Wait until BTC's hour can be compared with the hour before."""
    await eventually(lambda: bool(running.frames), "a first frame", 20)
    await running.frame_where(lambda frame: bool(running.row(BTC, frame)["ratio"]), "a ratio", 20)


async def test_a_volume_that_triples_is_one_row_and_one_word(
    live_settings: Settings, database: Database, exchange: SimulatedExchange
) -> None:
    async with running_engine(live_settings, database) as running, told(running.bus) as ids:
        await has_ratio(running)
        exchange.faults.volume_spike(BTC, ratio=6.0, over_s=1.0)
        await eventually(lambda: bool(stored(database)), "the signal", 10)
        (signal,) = stored(database)
        assert signal.id is not None
        await eventually(lambda: max(ids, default=0) >= (signal.id or 0), "the word on the bus")
        assert (signal.exchange, signal.demo, signal.direction in ("bullish", "bearish")) == (
            "binanceusdm",
            False,
            True,
        )
        assert signal.event_ms <= signal.seen_ms <= signal.stored_ms
        assert signal.stored_ms - signal.seen_ms < 1_000
        # The hour goes on above the line: nothing more is told of it.
        await running.next_frame()
        await running.next_frame()
        assert len(stored(database)) == 1
        status = running.office.status().signals
        assert status is not None
        assert (status.stored >= 1, status.waiting, status.dropped, status.contracts) == (True, 0, 0, 20)
    # Again at once, with the same hour still above the line.
    async with running_engine(live_settings, database) as running:
        await has_ratio(running)
        await eventually(lambda: running.office.detection.runner is not None, "the detectors", 10)
        await running.next_frame()
        await running.next_frame()
        assert len(stored(database)) == 1
