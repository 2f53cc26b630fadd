"""The ledger of silence as an engine keeps it: fed each second, stored, gone on with after a restart or a switch."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.silence import DAY_MS
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, Instrument, Ticker
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.engine.silence_keeper import SilenceKeeper
from flashcur.services.alerts.silence import Completeness, completeness
from flashcur.services.lease import LeaseLost, Tenure
from flashcur.services.market.venues import BINANCE, BYBIT, Venue
from flashcur.services.storage.database import Database

START = 1_795_435_200_000
"""Noon, UTC."""
MIDNIGHT = START // DAY_MS * DAY_MS
SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT")


@dataclass
class World:
    """An engine's market and keeper on a clock that the test moves; runners are made as `Detection` makes them."""

    database: Database
    now_ms: int = START
    runners: dict[VenueBook, Runner] = field(default_factory=dict[VenueBook, Runner])
    symbols: tuple[str, ...] = SYMBOLS
    venue: Venue = BINANCE

    def start(self) -> None:
        """A new engine."""
        self.runners.clear()
        self.tenure = Tenure(1)
        self.market = LiveMarket(lambda: self.now_ms, lambda book, kind, symbol: None)
        self.keeper = SilenceKeeper(self.market, self, self.database, self.tenure, clock=lambda: self.now_ms)

    @property
    def runner(self) -> Runner | None:
        return None if self.market.target is None else self.runners.get(self.market.target)

    def serve(self, venue: Venue = BINANCE, *, demo: bool = False) -> None:
        self.venue = venue
        self.market.on_switch(venue, "", demo)
        book = self.market.target
        assert book is not None
        runner = self.runners.setdefault(book, Runner(book.origin, book.book))
        self.list(*self.symbols)
        hour_ms = self.now_ms // HOUR_MS * HOUR_MS
        for symbol in self.symbols:
            runner.fill_volumes(symbol, [(hour_ms - number * HOUR_MS, 1e6) for number in range(1, 700)])

    def list(self, *symbols: str) -> None:
        self.symbols = symbols
        self.market.on_instruments(self.venue, [Instrument(symbol, symbol[:3], 0.01, 2) for symbol in symbols])

    def feed(self) -> None:
        now, hour_ms = self.now_ms, self.now_ms // HOUR_MS * HOUR_MS
        for symbol in self.symbols:
            self.market.on_tick(self.venue, Ticker(symbol, 1.0, 0.0, 1e6, now, now))
            self.market.on_tick(self.venue, Funding(symbol, 1.0, 0.0001, now + HOUR_MS, now, now))
            self.market.on_tick(self.venue, Candle(symbol, hour_ms, 1, 1, 1, 1, 1e5, False, now, now))

    def live(self, seconds: int, *, fed: bool = True) -> None:
        """So many seconds, with messages of everything in each, or without any."""
        for _ in range(seconds):
            self.now_ms += 1_000
            if fed:
                self.feed()
            self.market.settle(self.now_ms)
            self.keeper.step(self.now_ms)

    def told(self, exchange: str = "binanceusdm", *, demo: bool = False) -> Completeness:
        with self.database.session(readonly=True) as session:
            return completeness(session, exchange, demo=demo, first_ms=MIDNIGHT, end_ms=MIDNIGHT + 1)


@pytest.fixture
async def world(sqlite_database: Database) -> World:
    world = World(sqlite_database)
    world.start()
    await world.keeper.restore()
    return world


async def test_a_feed_that_is_cut_for_90_seconds_leaves_90_seconds(world: World) -> None:
    world.serve()
    world.live(300)
    world.live(90, fed=False)
    world.live(300)
    await world.keeper.save()
    told = world.told()
    assert told.contracts == 3
    assert abs(told.stale_ms - 3 * 90_000) <= 3 * 1_000
    # Before this engine there was none, and all of it is the day so far.
    assert told.not_begun_ms == 3 * (START + 1_000 - MIDNIGHT)
    assert told.accounted_ms == 3 * (world.now_ms - MIDNIGHT)
    # What was before is no part of what is complete or not.
    assert told.share == pytest.approx(1 - 90 / 690, abs=0.002)
    assert "% complete today (UTC): 90 s blind per contract, because" in told.text


async def test_an_engine_that_was_killed_is_told_as_away_and_the_sum_is_the_day(world: World) -> None:
    world.serve()
    world.live(100)
    await world.keeper.save()
    before = world.told()
    # The last seconds before the kill were not saved.
    world.live(7)
    world.now_ms += 60_000
    world.start()
    await world.keeper.restore()
    world.serve()
    world.live(50)
    await world.keeper.save()
    told = world.told()
    assert told.engine_away_ms - before.engine_away_ms == 3 * 67_000
    assert told.accounted_ms == 3 * (world.now_ms - MIDNIGHT)


async def test_while_another_exchange_serves_each_is_blind_for_that(world: World) -> None:
    world.serve()
    world.live(60)
    world.serve(BYBIT)
    world.live(40)
    world.serve()
    world.live(20)
    await world.keeper.save()
    binance, bybit = world.told(), world.told("bybit")
    assert binance.switch_ms == 3 * 40_000
    assert bybit.switch_ms == 3 * (START + 61_000 - MIDNIGHT + 20_000)
    for told in (binance, bybit):
        assert told.accounted_ms == 3 * (world.now_ms - MIDNIGHT)


async def test_without_any_exchange_all_are_blind(world: World) -> None:
    world.serve()
    world.live(30)
    await world.keeper.save()
    world.start()
    await world.keeper.restore()
    world.live(30)
    await world.keeper.save()
    assert world.told().stale_ms == 3 * 30_000


async def test_contracts_join_and_leave(world: World) -> None:
    world.serve()
    world.live(10)
    world.list("BTCUSDT", "SOLUSDT")
    world.live(20)
    await world.keeper.save()
    told = world.told()
    assert told.contracts == 4
    day_ms = world.now_ms - MIDNIGHT
    # One was there all the time, two for all but the last 19 s, one for these.
    assert told.accounted_ms == day_ms + 2 * (day_ms - 19_000) + 19_000
    # Those that left are not waited for after a restart.
    world.now_ms += 5_000
    world.start()
    await world.keeper.restore()
    world.serve()
    world.live(5)
    await world.keeper.save()
    assert world.told().seen_ms + world.told().blind_ms - told.seen_ms - told.blind_ms == 2 * 10_000


async def test_a_contract_without_a_past_is_told_as_such(world: World) -> None:
    world.serve()
    runner = world.runner
    assert runner is not None
    runner.volumes.pop("ETHUSDT")
    world.live(10)
    await world.keeper.save()
    assert world.told().no_baseline_ms == 9_000


async def test_over_midnight_each_day_has_its_own(world: World) -> None:
    world.now_ms = MIDNIGHT + DAY_MS - 30_000
    world.start()
    await world.keeper.restore()
    world.serve()
    world.live(60)
    await world.keeper.save()
    today = world.told()
    assert today.accounted_ms == 3 * DAY_MS
    with world.database.session(readonly=True) as session:
        first_ms = MIDNIGHT + DAY_MS
        after = completeness(session, "binanceusdm", demo=False, first_ms=first_ms, end_ms=first_ms + 1)
    assert (after.seen_ms, after.blind_ms) == (3 * 30_000, 0)


async def test_demo_data_are_left_when_real_ones_serve(world: World) -> None:
    world.serve(demo=True)
    world.live(10)
    await world.keeper.save()
    assert world.told(demo=True).contracts == 3
    world.serve(BYBIT)
    world.live(10)
    await world.keeper.save()
    assert world.told(demo=True).switch_ms == 0
    assert world.told("bybit").contracts == 3


async def test_an_engine_that_lost_its_lease_writes_nothing(world: World) -> None:
    world.serve()
    world.live(10)
    world.tenure.lost.set()
    with pytest.raises(LeaseLost):
        await world.keeper.save()
    assert world.told().share is None
