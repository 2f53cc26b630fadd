"""The jobs that fill in what followed signals and sum it up, over a real database."""

from __future__ import annotations

import pytest

from flashcur.domain.signals.aftermath import known_from_ms
from flashcur.domain.signals.signal import Origin
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Instrument
from flashcur.engine.live_market import LiveMarket
from flashcur.engine.outcomes import STATISTICS_EVERY_MS, Outcomes
from flashcur.errors import VenueError, VenueRateLimited, VenueUnavailable
from flashcur.models import SignalOutcome
from flashcur.services.alerts import outcomes, signals
from flashcur.services.alerts.statistics import Statistics, read_statistics, save_statistics
from flashcur.services.kit.clock import now_ms
from flashcur.services.market.venues import BINANCE, BYBIT, Venue
from flashcur.services.records.hour_candles import save_hours
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.storage.database import Database
from tests.services.market.harness import Taken, feed_of, hasty
from tests.support.signals import NOON_MS, signal

DAY_MS = 24 * HOUR_MS


class Clock:
    now_ms = NOON_MS + 2 * DAY_MS

    def __call__(self) -> int:
        return self.now_ms


class Minutes:
    """Answers at 1.1, reaching 0.1 above and below; `trouble` is raised instead, of a symbol or of all."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.trouble: dict[str, VenueError] = {}

    async def minutes(self, symbol: str, first_ms: int, end_ms: int) -> list[Candle]:
        self.asked.append((symbol, first_ms, end_ms))
        trouble = self.trouble.get(symbol) or self.trouble.get("all")
        if trouble is not None:
            raise trouble
        return [
            Candle(symbol, at_ms, 1.1, 1.2, 1.0, 1.1, 1e4, True, at_ms + 60_000, at_ms + 60_000)
            for at_ms in range(first_ms, end_ms, 60_000)
        ]


def instrument(symbol: str) -> Instrument:
    return Instrument(symbol, symbol.removesuffix("USDT"), 0.1, 1)


def serving(clock: Clock, *, demo: bool = False, venue: Venue = BINANCE) -> LiveMarket:
    market = LiveMarket(clock, lambda book, kind, symbol: None)
    market.on_switch(venue, "", demo)
    market.on_instruments(venue, [instrument("BTCUSDT"), instrument("ETHUSDT")])
    return market


def prepare(database: Database, count: int, *, minutes: float = 0.0, symbol: str = "BTCUSDT") -> None:
    """Signals each a millisecond later, `minutes` after noon, and all their whole hours."""
    hours = [NOON_MS + number * HOUR_MS for number in range(25)]
    found = [
        signal(number, minutes=-minutes - number / 60_000, price=1.0, symbol=symbol, base=symbol.removesuffix("USDT"))
        for number in range(count)
    ]
    with database.session() as session:
        signals.store(session, found, NOON_MS)
        save_hours(
            session,
            "binanceusdm",
            [Candle(symbol, at_ms, 1.0, 1.3, 0.9, 1.1, 1e6, True, at_ms, at_ms) for at_ms in hours],
            demo=False,
        )


def outcome(database: Database, signal_id: int) -> SignalOutcome:
    with database.session(readonly=True) as session:
        found = session.get(SignalOutcome, signal_id)
    assert found is not None
    return found


def statistics(database: Database, *, demo: bool = False) -> Statistics | None:
    with database.session(readonly=True) as session:
        return read_statistics(session, "binanceusdm", demo=demo)


async def test_all_that_is_due_is_filled_in(database: Database) -> None:
    """Signals of the full hour are told by the hours alone, whatever their number."""
    clock, source = Clock(), Minutes()
    with database.session() as session:
        signals.store(session, [signal(number, price=1.0) for number in range(outcomes.BATCH + 5)], NOON_MS)
    prepare(database, 0)
    jobs = Outcomes(serving(clock), source, database, clock)
    assert await jobs.fill() == "505 signals looked at, 505 done, 0 requests"
    assert await jobs.fill() == "0 signals looked at, 0 done, 0 requests"
    last = outcome(database, outcomes.BATCH + 5)
    assert [round(value or 0, 9) for value in (last.change_24h, last.highest, last.lowest)] == [10, 30, -10]


async def test_a_run_asks_for_so_much_and_the_next_goes_on(database: Database) -> None:
    clock, source = Clock(), Minutes()
    prepare(database, 30, minutes=10)
    jobs = Outcomes(serving(clock), source, database, clock)
    assert await jobs.fill() == "20 signals looked at, 20 done, 60 requests"
    at_ms = NOON_MS + 10 * 60_000
    assert sorted(source.asked[:3]) == [
        ("BTCUSDT", at_ms, at_ms + HOUR_MS),
        ("BTCUSDT", at_ms + 4 * HOUR_MS - 60_000, at_ms + 4 * HOUR_MS),
        ("BTCUSDT", at_ms + 24 * HOUR_MS - 10 * 60_000, at_ms + 24 * HOUR_MS),
    ]
    # Another engine goes on.
    jobs = Outcomes(serving(clock), source, database, clock)
    assert await jobs.fill() == "10 signals looked at, 10 done, 30 requests"
    last = outcome(database, 30)
    assert [round(value or 0, 9) for value in (last.change_1h, last.highest, last.lowest)] == [10, 30, -10]


async def test_half_way_through_a_restart_forgets_nothing(database: Database) -> None:
    clock, source = Clock(), Minutes()
    prepare(database, 1, minutes=31)
    for horizon_h in (1, 4, 24):
        clock.now_ms = known_from_ms(NOON_MS + 31 * 60_000, horizon_h)
        jobs = Outcomes(serving(clock), source, database, clock)
        assert (await jobs.fill()).endswith(f"{int(horizon_h == 24)} done, 1 requests")
    assert [end_ms - first_ms for _, first_ms, end_ms in source.asked] == [HOUR_MS, 60_000, 31 * 60_000]
    now = outcome(database, 1)
    assert (now.due_ms, now.by_hours, round(now.lowest or 0, 9)) == (None, False, -10)


async def test_while_its_exchange_is_away_a_signal_waits_and_hours_tell_it_after_three_days(
    database: Database,
) -> None:
    clock, source = Clock(), Minutes()
    clock.now_ms = NOON_MS
    prepare(database, 1, minutes=31)
    jobs = Outcomes(serving(clock, venue=BYBIT), source, database, clock)
    while (due_ms := outcome(database, 1).due_ms) is not None and due_ms < NOON_MS + 3 * DAY_MS:
        clock.now_ms = due_ms
        await jobs.fill()
        assert outcome(database, 1).change_1h is None
    # One that has just started, with no exchange yet or another one, waits too.
    clock.now_ms = NOON_MS + 9 * DAY_MS
    idle = LiveMarket(clock, lambda book, kind, symbol: None)
    assert await Outcomes(idle, source, database, clock).fill() == "no exchange serves yet"
    await Outcomes(serving(clock, venue=BYBIT), source, database, clock).fill()
    assert outcome(database, 1).change_1h is None
    assert source.asked == []
    clock.now_ms = outcome(database, 1).due_ms or 0
    await jobs.fill()
    now = outcome(database, 1)
    assert (round(now.change_1h or 0, 9), now.highest, now.by_hours) == (10, None, True)


async def test_an_exchange_that_serves_again_is_asked_however_late(database: Database) -> None:
    clock, source = Clock(), Minutes()
    prepare(database, 1, minutes=31)
    jobs = Outcomes(serving(clock), source, database, clock)
    clock.now_ms = NOON_MS + 9 * DAY_MS
    assert await jobs.fill() == "1 signals looked at, 1 done, 3 requests"
    assert not outcome(database, 1).by_hours


async def test_one_contract_s_trouble_is_not_the_others_and_a_refusal_ends_the_run(database: Database) -> None:
    clock, source = Clock(), Minutes()
    prepare(database, 2, minutes=10)
    prepare(database, 2, minutes=10, symbol="ETHUSDT")
    jobs = Outcomes(serving(clock), source, database, clock)
    source.trouble = {"all": VenueRateLimited("slower", retry_after=9.0)}
    with pytest.raises(VenueRateLimited):
        await jobs.fill()
    source.trouble = {"BTCUSDT": VenueUnavailable("not now")}
    source.asked.clear()
    # What was refused is due at once; what failed, later.
    assert await jobs.fill() == "4 signals looked at, 2 done, 12 requests"
    assert await jobs.fill() == "0 signals looked at, 0 done, 0 requests"
    source.trouble = {}
    clock.now_ms = outcome(database, 1).due_ms or 0
    assert await jobs.fill() == "2 signals looked at, 2 done, 6 requests"


async def test_what_followed_on_the_simulated_exchange_is_what_its_minutes_say(sqlite_database: Database) -> None:
    exchange = SimulatedExchange(symbols=10, listings=False)
    await exchange.start()
    try:
        async with feed_of(hasty(BINANCE), exchange.rest_url, exchange.ws_url, Taken()) as feed:
            market = LiveMarket(now_ms, lambda book, kind, symbol: None)
            market.on_switch(BINANCE, "", True)
            market.on_instruments(BINANCE, await feed.instruments())
            full_ms = now_ms() // HOUR_MS * HOUR_MS - 30 * HOUR_MS
            events = [full_ms + int(minute * 60_000) for minute in (0, 0.01, 10, 29.5, 31, 59.99)]
            found = [
                signal(number, minutes=(NOON_MS - at_ms) / 60_000, origin=Origin(BINANCE.id, demo=True), price=price)
                for number, at_ms in enumerate(events)
                for price in [(await feed.minutes("BTCUSDT", at_ms // 60_000 * 60_000, full_ms + HOUR_MS))[0].close]
            ]
            with sqlite_database.session() as session:
                signals.store(session, found, now_ms())
                save_hours(session, BINANCE.id, (await feed.candles("BTCUSDT", 40))[:-1], demo=True)
            told = await Outcomes(market, feed, sqlite_database, now_ms).fill()
            assert told == "6 signals looked at, 6 done, 13 requests"
            bars: dict[int, Candle] = {}
            for hour_ms in range(full_ms, full_ms + 26 * HOUR_MS, HOUR_MS):
                bars |= {bar.open_ms: bar for bar in await feed.minutes("BTCUSDT", hour_ms, hour_ms + HOUR_MS)}
            for number, each in enumerate(found, start=1):
                now, price = outcome(sqlite_database, number), each.price or 0.0
                for hours in (1, 4, 24):
                    last = bars[(each.event_ms + hours * HOUR_MS) // 60_000 * 60_000 - 60_000]
                    assert getattr(now, f"change_{hours}h") == pytest.approx((last.close / price - 1) * 100)
                end_ms = (each.event_ms + DAY_MS) // 60_000 * 60_000
                after = [bar for open_ms, bar in bars.items() if each.event_ms <= open_ms < end_ms]
                highest, lowest = max(bar.high for bar in after), min(bar.low for bar in after)
                assert now.highest == pytest.approx(max(0.0, highest / price - 1) * 100)
                assert now.lowest == pytest.approx(min(0.0, lowest / price - 1) * 100)
    finally:
        await exchange.stop()


async def test_statistics_are_computed_each_hour_and_those_of_demo_data_go(sqlite_database: Database) -> None:
    clock = Clock()
    idle = LiveMarket(clock, lambda book, kind, symbol: None)
    assert await Outcomes(idle, Minutes(), sqlite_database, clock).sum_up() == "no exchange serves"
    prepare(sqlite_database, 3)
    with sqlite_database.session() as session:
        save_statistics(session, "bybit", demo=True, computed_ms=1, groups=[])
    jobs = Outcomes(serving(clock), Minutes(), sqlite_database, clock)
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
