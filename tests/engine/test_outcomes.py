"""The jobs that fill in what followed signals and sum it up, over a real database."""

from __future__ import annotations

from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.engine.live_market import LiveMarket
from flashcur.engine.outcomes import STATISTICS_EVERY_MS, Outcomes
from flashcur.models import SignalOutcome
from flashcur.services.alerts import outcomes, signals
from flashcur.services.alerts.statistics import Statistics, read_statistics, save_statistics
from flashcur.services.market.venues import BINANCE
from flashcur.services.records.hour_candles import save_hours
from flashcur.services.storage.database import Database
from tests.support.signals import NOON_MS, signal

DAY_MS = 24 * HOUR_MS


class Clock:
    now_ms = NOON_MS + 2 * DAY_MS

    def __call__(self) -> int:
        return self.now_ms


def serving(clock: Clock, *, demo: bool) -> LiveMarket:
    market = LiveMarket(clock, lambda book, kind, symbol: None)
    market.on_switch(BINANCE, "", demo)
    return market


def prepare(database: Database, count: int) -> None:
    hours = [NOON_MS + number * HOUR_MS for number in range(24)]
    with database.session() as session:
        signals.store(session, [signal(number, minutes=-number / 60, price=1.0) for number in range(count)], NOON_MS)
        save_hours(
            session,
            "binanceusdm",
            [Candle("BTCUSDT", at_ms, 1.0, 1.2, 0.9, 1.1, 1e6, True, at_ms, at_ms) for at_ms in hours],
            demo=False,
        )


def statistics(database: Database, *, demo: bool = False) -> Statistics | None:
    with database.session(readonly=True) as session:
        return read_statistics(session, "binanceusdm", demo=demo)


async def test_all_that_is_due_is_filled_in(sqlite_database: Database) -> None:
    clock = Clock()
    prepare(sqlite_database, outcomes.BATCH + 5)
    jobs = Outcomes(serving(clock, demo=False), sqlite_database, clock)
    assert await jobs.fill() == "505 signals looked at, 505 done"
    assert await jobs.fill() == "0 signals looked at, 0 done"
    with sqlite_database.session(readonly=True) as session:
        last = session.get(SignalOutcome, outcomes.BATCH + 5)
        assert last is not None
        assert [round(value or 0, 9) for value in (last.change_24h, last.highest, last.lowest)] == [10, 20, -10]


async def test_statistics_are_computed_each_hour_and_those_of_demo_data_go(sqlite_database: Database) -> None:
    clock = Clock()
    idle = LiveMarket(clock, lambda book, kind, symbol: None)
    assert await Outcomes(idle, sqlite_database, clock).sum_up() == "no exchange serves"
    prepare(sqlite_database, 3)
    with sqlite_database.session() as session:
        save_statistics(session, "bybit", demo=True, computed_ms=1, groups=[])
    jobs = Outcomes(serving(clock, demo=False), sqlite_database, clock)
    await jobs.fill()
    assert await jobs.sum_up() == "6 groups of signals"
    first = statistics(sqlite_database)
    assert first is not None
    assert {(each.detector, each.severity, each.horizon_h, each.count) for each in first.groups} == {
        ("volume_spike", severity, hours, 3) for severity in (None, 1) for hours in (1, 4, 24)
    }
    clock.now_ms += STATISTICS_EVERY_MS - 1
    assert await jobs.sum_up() == "6 groups of signals, known"
    clock.now_ms += 1
    await jobs.sum_up()
    again = statistics(sqlite_database)
    assert again is not None
    assert again.computed_ms == clock.now_ms
    with sqlite_database.session(readonly=True) as session:
        assert read_statistics(session, "bybit", demo=True) is None
