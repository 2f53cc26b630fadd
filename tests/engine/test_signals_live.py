"""Signals of an engine on the simulated exchange, from the exchange's message to the row and the word on the bus."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
from sqlmodel import select

from flashcur.domain.ticks import Candle
from flashcur.models import SignalRecord
from flashcur.services.alerts import signals
from flashcur.services.bus import Bus
from flashcur.services.bus.topics import SIGNALS_TOPIC
from flashcur.services.lease import FileLease
from flashcur.services.records import hour_candles
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.running import Running, running_engine
from tests.support.signals import DEMO, NOON_MS, signal
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
        assert (status.stored >= 1, status.dropped, status.contracts) == (True, 0, 20)
        # Other detectors find something, too, as their baselines come.
        await eventually(lambda: not running.office.signal_writer.waiting, "what was found is stored")
    # Again at once, with the same hour still above the line.
    async with running_engine(live_settings, database) as running:
        await has_ratio(running)
        await eventually(lambda: running.office.detection.runner is not None, "the detectors", 10)
        await running.next_frame()
        await running.next_frame()
        assert len(stored(database)) == 1


async def test_two_engines_on_one_database_tell_each_signal_once(
    live_environ: dict[str, str], sqlite_database: Database, exchange: SimulatedExchange, tmp_path: Path
) -> None:
    """Each believes to be alone: the lease of one is not that of the other."""
    settings = Settings.load(live_environ)
    async with (
        running_engine(settings, sqlite_database, lease=FileLease(tmp_path / "one.lock")) as one,
        running_engine(settings, sqlite_database, lease=FileLease(tmp_path / "other.lock")) as other,
    ):
        await asyncio.gather(has_ratio(one), has_ratio(other))
        exchange.faults.volume_spike(BTC, ratio=6.0, over_s=1.0)

        def both_saw() -> bool:
            offices = (one.office, other.office)
            return all(each.detection.figures.fired["volume_spike", "SPIKE"] for each in offices)

        # Another contract may spike of itself, whatever the hour of this run is.
        await eventually(lambda: bool(stored(sqlite_database)), "the signal", 10)
        await eventually(both_saw, "both to see one", 10)
        for each in (one, other):
            await each.next_frame()
            await each.next_frame()
        await eventually(
            lambda: not one.office.signal_writer.waiting and not other.office.signal_writer.waiting, "all written"
        )
        assert len(stored(sqlite_database)) == 1


async def test_what_demo_data_left_is_purged_and_real_signals_are_kept(
    running: Running, sqlite_database: Database
) -> None:
    hour = Candle(BTC, NOON_MS, 1, 1, 1, 1, 5.0, True, NOON_MS, NOON_MS)
    with sqlite_database.session() as session:
        signals.store(session, [signal(1), signal(2, key="demo", origin=DEMO), signal(3)], NOON_MS)
        hour_candles.save_hours(session, "binanceusdm", [hour], demo=True)

    def left() -> list[SignalRecord]:
        with sqlite_database.session(readonly=True) as session:
            return [each for each in signals.newest(session, limit=99) if each.demo]

    # The engine may be about it already, since before these were there.
    async with asyncio.timeout(20):
        while left():
            await running.office.jobs.run("prune")
            await asyncio.sleep(0.1)
    with sqlite_database.session(readonly=True) as session:
        assert {signal(1).key, signal(3).key} <= {each.key for each in signals.newest(session, limit=99)}
        assert not list(hour_candles.load_hours(session, "binanceusdm", demo=True, first_ms=0))
