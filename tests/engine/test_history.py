"""The past of contracts: stored first, the largest first, only what is missing, and what happens when it is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from flashcur.domain.signals.adaptive_spike import LEAST_RECENT_HOURS
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import Origin
from flashcur.domain.ticks import Candle, Instrument, Ticker
from flashcur.engine.history import (
    AGAIN_MS,
    FILL_MS,
    LATE_MS,
    PAYMENTS_AGE_MS,
    RETRY_MS,
    WANTED_HOURS,
    History,
)
from flashcur.engine.history_status import HistoryStatus
from flashcur.engine.history_store import ROWS
from flashcur.engine.live_market import LiveMarket, VenueBook
from flashcur.errors import DatabaseError, VenueRateLimited, VenueUnavailable
from flashcur.services.market.venues import BINANCE, BYBIT, Venue
from flashcur.services.records.funding_payments import load_payments
from flashcur.services.records.hour_candles import load_volumes
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.running import running_engine
from tests.support.waiting import eventually

HOUR = 3_600_000
NOON = 1_795_428_000_000
VOLUMES = {"BIG": 9e9, "MID": 5e7, "SMALL": 5e5}


class Detectors:
    """A runner for each book, as the engine has, which begins when the test says so."""

    def __init__(self, market: LiveMarket) -> None:
        self._market = market
        self._runners: dict[int, Runner] = {}
        self.begun = True
        self.learned: list[tuple[str, int]] = []
        """Contracts that hours were learned of, and how many."""

    @property
    def runner(self) -> Runner | None:
        target = self._market.target
        if target is None or not self.begun:
            return None
        return self._runners.setdefault(
            id(target), Runner(Origin(target.venue.id, target.demo), target.book, asks_history=True)
        )

    def _of(self, book: VenueBook) -> Runner | None:
        return self.runner if book is self._market.target else None

    def learn_hours(self, book: VenueBook, symbol: str, candles: Sequence[Candle]) -> None:
        if (runner := self._of(book)) is not None:
            runner.fill(symbol, candles)
            self.learned.append((symbol, len(candles)))

    def learn_volumes(self, book: VenueBook, symbol: str, hours: Sequence[tuple[int, float]]) -> None:
        if (runner := self._of(book)) is not None:
            runner.fill_volumes(symbol, hours)
            self.learned.append((symbol, len(hours)))

    def learn_asked(self, book: VenueBook, symbol: str, until_ms: int) -> None:
        if (runner := self._of(book)) is not None:
            runner.history_asked(symbol, until_ms)

    def learn_payments(self, book: VenueBook, symbol: str, payments: Sequence[Payment], interval_hours: int) -> None:
        if (runner := self._of(book)) is not None:
            runner.fill_funding(symbol, payments, interval_hours)

    def learn_prices(self, book: VenueBook, symbol: str, prices: Sequence[tuple[int, float]]) -> None:
        if (runner := self._of(book)) is not None:
            runner.fill_prices(symbol, prices)

    def is_ready(self, symbol: str, now_ms: int) -> bool:
        return self.runner is not None and self.runner.is_ready(symbol, now_ms)


class Bench:
    """A clock, a market of three contracts, and an exchange that has four weeks of each."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_ms = NOON + LATE_MS + 1
        self.asked: list[tuple[str, int]] = []
        """Contracts and how many hours were asked for."""
        self.paid: list[tuple[str, int]] = []
        """Contracts and since when payments were asked for."""
        self.priced: list[str] = []
        """Contracts whose past prices were asked for."""
        self.refusals: dict[str, Exception] = {}
        self.listed: dict[str, int] = {}
        self.volumes: dict[str, float] = {}
        """Of an hour, where it is another than usual."""
        self.away = False
        """Whether the database is."""
        self.start()

    def start(self) -> None:
        """An engine that begins, with whatever is stored."""
        self.market = LiveMarket(lambda: self.now_ms, lambda book, kind, symbol: None)
        self.detectors = Detectors(self.market)
        self.history = History(self.market, self, self.detectors, self.database, clock=lambda: self.now_ms)
        self.asked.clear()
        self.paid.clear()

    def serve(self, venue: Venue = BINANCE) -> None:
        self.market.on_switch(venue, "", False)
        self.list(*VOLUMES, venue=venue)
        for symbol, volume in VOLUMES.items():
            self.market.on_tick(venue, Ticker(symbol, 1.0, 1.0, volume, self.now_ms, self.now_ms))

    def list(self, *symbols: str, venue: Venue = BINANCE) -> None:
        listed = [Instrument(s, s, 0.01, 2, listed_ms=self.listed.get(s)) for s in symbols]
        self.market.on_instruments(venue, listed)

    def hour(self, symbol: str, open_ms: int, volume: float = 100.0) -> Candle:
        return Candle(symbol, open_ms, 1, 2, 1, 1.5, volume, open_ms + HOUR <= self.now_ms, open_ms + HOUR, self.now_ms)

    async def candles(self, symbol: str, limit: int, *, patient: bool = False) -> list[Candle]:
        assert patient
        self.asked.append((symbol, limit))
        await asyncio.sleep(0)
        if symbol in self.refusals:
            raise self.refusals[symbol]
        newest = self.now_ms // HOUR * HOUR
        first = max(newest - (limit - 1) * HOUR, self.listed.get(symbol, 0))
        volume = self.volumes.get(symbol, 100.0)
        return [self.hour(symbol, open_ms, volume) for open_ms in range(first, newest + 1, HOUR)]

    async def past_prices(self, symbol: str, minutes: int) -> list[tuple[int, float]]:
        self.priced.append(symbol)
        minute = self.now_ms // 60_000
        return [(number * 60_000, 1.0) for number in range(minute - minutes + 2, minute + 1)]

    async def funding_payments(self, symbol: str, since_ms: int) -> list[Payment]:
        self.paid.append((symbol, since_ms))
        await asyncio.sleep(0)
        first = -(-since_ms // (8 * HOUR)) * 8 * HOUR
        return [Payment(paid_ms, 0.0001) for paid_ms in range(first, self.now_ms, 8 * HOUR)]

    async def fill(self) -> None:
        """Run until nothing is missing that can be asked for now."""
        while await self.history.fill() != "nothing missing":
            pass

    def taken(self) -> list[tuple[str, int]]:
        asked, self.asked[:] = list(self.asked), []
        return asked

    def stored(self, symbol: str, venue: Venue = BINANCE) -> int:
        with self.database.session(readonly=True) as session:
            return len(load_volumes(session, venue.id, [symbol], demo=False, first_ms=0).get(symbol, []))

    def stored_payments(self, symbol: str) -> int:
        with self.database.session(readonly=True) as session:
            return len(load_payments(session, BINANCE.id, [symbol], demo=False, first_ms=0).get(symbol, []))

    def ready(self) -> list[str]:
        return [symbol for symbol in VOLUMES if self.detectors.is_ready(symbol, self.now_ms)]

    def status(self) -> HistoryStatus:
        return self.history.status()


@pytest.fixture
def bench(sqlite_database: Database) -> Bench:
    return Bench(sqlite_database)


async def test_nothing_is_done_without_an_exchange_or_detectors(bench: Bench) -> None:
    assert await bench.history.fill() == "no exchange serves"
    assert bench.status() == HistoryStatus()
    bench.serve()
    bench.detectors.begun = False
    assert await bench.history.fill() == "waits for the detectors"
    assert bench.status().not_ready["BIG"] == "the detectors have not begun"
    assert not bench.asked


async def test_four_weeks_are_asked_for_once_the_largest_contracts_first(bench: Bench) -> None:
    bench.serve()
    assert bench.status().waiting == 3
    assert await bench.history.fill() == "hours of 3 of 3 contracts"
    assert bench.taken() == [(symbol, WANTED_HOURS + 1) for symbol in VOLUMES]
    assert bench.ready() == list(VOLUMES)
    assert await bench.history.fill() == "past prices of 2 of 2 contracts"
    assert bench.priced == ["BIG", "MID"]
    assert await bench.history.fill() == "payments of 3 of 3 contracts"
    assert await bench.history.fill() == "nothing missing"
    status = bench.status()
    assert (status.ready, status.contracts, status.asked, status.waiting) == (3, 3, 3, 0)
    assert not status.not_ready
    assert {bench.stored(symbol) for symbol in VOLUMES} == {WANTED_HOURS}
    assert {bench.stored_payments(symbol) for symbol in VOLUMES} == {360}
    assert bench.detectors.runner is not None
    (distance,) = [each for each in bench.detectors.runner.why_not("BIG", bench.now_ms) if each.detector == "funding"]
    assert "no history" not in distance.missing


async def test_a_restart_asks_for_nothing_and_after_a_pause_for_the_gap_alone(bench: Bench) -> None:
    bench.serve()
    await bench.fill()
    bench.start()
    bench.serve()
    assert await bench.history.fill() == "past prices of 2 of 2 contracts"
    assert await bench.history.fill() == "nothing missing"
    assert not bench.asked
    assert not bench.paid
    assert bench.ready() == list(VOLUMES)
    assert bench.detectors.learned == [(symbol, WANTED_HOURS) for symbol in VOLUMES]
    bench.now_ms += 3 * HOUR
    bench.start()
    bench.serve()
    await bench.fill()
    # The three hours that were missed, and the one in progress.
    assert bench.taken() == [(symbol, 4) for symbol in VOLUMES]
    assert not bench.paid
    assert bench.stored("BIG") == WANTED_HOURS + 3


async def test_after_a_night_away_a_contract_waits_for_its_own_answer(bench: Bench) -> None:
    """Twelve hours of the last twenty are known, which would do for a contract of which there are no more."""
    bench.serve()
    await bench.fill()
    bench.now_ms += 8 * HOUR
    bench.start()
    bench.serve()
    bench.refusals = {"BIG": VenueUnavailable("no"), "MID": VenueUnavailable("no")}
    await bench.history.fill()
    assert bench.ready() == ["SMALL"]
    assert bench.status().not_ready == {"BIG": "is asked for again: no", "MID": "is asked for again: no"}
    runner = bench.detectors.runner
    assert runner is not None
    (distance,) = [each for each in runner.why_not("BIG", bench.now_ms) if each.detector == "adaptive_spike"]
    assert "12 of the last 20 hours, the others are asked for" in distance.missing
    assert not next(sight for sight in runner.sights(bench.now_ms) if sight.symbol == "BIG").ready
    # BIG's come, MID's the exchange has not: that is all there is to compare with.
    bench.now_ms += RETRY_MS
    bench.refusals.clear()
    everything = bench.candles

    async def some(symbol: str, limit: int, *, patient: bool = False) -> list[Candle]:
        return await everything(symbol, 1 if symbol == "MID" else limit, patient=patient)

    bench.candles = some  # type: ignore[method-assign]
    await bench.fill()
    assert bench.ready() == list(VOLUMES)
    assert runner.volumes["MID"].known(bench.now_ms // HOUR * HOUR, 20) == [100.0] * 12


async def test_hours_that_a_feed_missed_are_waited_for_and_the_newest_is_not(bench: Bench) -> None:
    bench.serve()
    await bench.fill()
    bench.now_ms = NOON + HOUR + 1
    assert bench.ready() == list(VOLUMES)
    await bench.fill()
    assert bench.ready() == list(VOLUMES)
    bench.now_ms = NOON + 3 * HOUR + 1
    assert bench.ready() == []
    await bench.fill()
    assert bench.ready() == list(VOLUMES)


async def test_payments_are_asked_for_from_the_newest_known_one_on(bench: Bench) -> None:
    bench.serve()
    await bench.fill()
    newest_ms = bench.now_ms // (8 * HOUR) * 8 * HOUR
    bench.now_ms = newest_ms + PAYMENTS_AGE_MS + 1
    bench.paid.clear()
    await bench.fill()
    assert bench.paid == [(symbol, newest_ms) for symbol in VOLUMES]
    assert bench.stored_payments("BIG") == 360 + 6


async def test_a_hole_is_asked_for_with_all_that_came_after_it(bench: Bench) -> None:
    bench.serve()
    hours = [bench.hour("BIG", bench.now_ms // HOUR * HOUR - n * HOUR) for n in range(1, WANTED_HOURS + 1) if n != 100]
    assert bench.market.target is not None
    bench.history.store.keep_hours(bench.market.target, hours)
    await bench.history.store.flush()
    await bench.history.fill()
    assert ("BIG", 101) in bench.taken()
    assert bench.stored("BIG") == WANTED_HOURS


async def test_hours_that_close_are_kept_and_late_finals_replace_them(bench: Bench) -> None:
    bench.serve()
    await bench.fill()
    bench.taken()
    for _ in range(2):
        hour = bench.now_ms // HOUR * HOUR
        bench.now_ms = hour + HOUR + 5_000
        for symbol in VOLUMES:
            bench.market.on_tick(BINANCE, bench.hour(symbol, hour))
        await bench.fill()
    assert bench.stored("BIG") == WANTED_HOURS + 2
    late = Candle("BIG", hour, 1, 2, 1, 1.5, 777.0, True, hour + HOUR, bench.now_ms)
    bench.market.on_tick(BINANCE, late)
    await bench.fill()
    with bench.database.session(readonly=True) as session:
        assert load_volumes(session, BINANCE.id, ["BIG"], demo=False, first_ms=hour) == {"BIG": [(hour, 777.0)]}
    assert bench.detectors.runner is not None
    assert bench.detectors.runner.volumes["BIG"].at(hour) == 777.0
    assert not bench.asked


async def test_the_newest_hour_is_asked_for_only_when_it_is_late(bench: Bench) -> None:
    bench.serve()
    await bench.fill()
    bench.taken()
    bench.now_ms = NOON + HOUR + LATE_MS - 1
    await bench.fill()
    assert not bench.asked
    bench.now_ms += 1
    await bench.fill()
    assert bench.taken() == [(symbol, 2) for symbol in VOLUMES]


async def test_a_contract_that_is_refused_is_asked_for_again_and_the_others_go_on(bench: Bench) -> None:
    bench.serve()
    bench.refusals["BIG"] = VenueUnavailable("no")
    await bench.history.fill()
    assert bench.ready() == ["MID", "SMALL"]
    assert bench.status().not_ready == {"BIG": "is asked for again: no"}
    bench.taken()
    await bench.fill()
    assert not bench.asked
    bench.refusals.clear()
    bench.now_ms += RETRY_MS
    await bench.fill()
    assert bench.taken() == [("BIG", WANTED_HOURS + 1)]
    assert bench.ready() == list(VOLUMES)


async def test_a_limit_is_waited_for_and_filling_goes_on_where_it_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashcur.engine.history.PARALLEL", 1)
    bench.serve()
    bench.refusals["MID"] = VenueRateLimited("slower", retry_after=90.0)
    with pytest.raises(VenueRateLimited):
        await bench.history.fill()
    assert bench.taken() == [("BIG", WANTED_HOURS + 1), ("MID", WANTED_HOURS + 1)]
    assert bench.stored("BIG") == WANTED_HOURS
    assert await bench.history.fill() == "the exchange is left alone for 90 s more"
    bench.refusals.clear()
    bench.now_ms += 90_000
    await bench.fill()
    assert bench.taken() == [("MID", WANTED_HOURS + 1), ("SMALL", WANTED_HOURS + 1)]


async def test_a_new_listing_has_no_baseline_and_is_no_problem(bench: Bench) -> None:
    bench.listed = {"MID": NOON - 5 * HOUR}
    bench.serve()
    await bench.fill()
    bench.now_ms += FILL_MS
    status = bench.status()
    assert status.not_ready == {"MID": f"new: 5 of {LEAST_RECENT_HOURS} hours are known"}
    assert (status.liquid, status.blind) == (2, 0)
    assert (status.ready, status.contracts, status.new, status.filling) == (2, 3, 1, 0)
    bench.taken()
    bench.now_ms += 30 * 60_000
    await bench.fill()
    assert not bench.asked


async def test_what_the_exchange_has_not_is_asked_for_once_an_hour_then_less(bench: Bench) -> None:
    bench.serve()
    await bench.fill()
    short = [bench.hour("BIG", NOON - HOUR)]

    async def few(symbol: str, limit: int, *, patient: bool = False) -> list[Candle]:
        bench.asked.append((symbol, limit))
        return short

    bench.candles = few  # type: ignore[method-assign]
    bench.list("MID", "SMALL")
    bench.list(*VOLUMES)
    bench.taken()
    asked: list[int] = []
    for minute in range(0, 8 * 60, 10):
        bench.now_ms = NOON + LATE_MS + 1 + minute * 60_000
        await bench.history.fill()
        asked += [minute for symbol, _ in bench.taken() if symbol == "BIG"]
    assert asked == [0, 60, 180, 420]
    assert AGAIN_MS == HOUR


async def test_a_contract_that_is_listed_again_is_asked_for_again(bench: Bench) -> None:
    bench.serve()
    await bench.fill()
    bench.taken()
    bench.list("MID", "SMALL")
    await bench.fill()
    bench.list(*VOLUMES)
    await bench.fill()
    assert bench.taken() == [("BIG", WANTED_HOURS + 1)]


async def test_answers_for_the_former_exchange_are_dropped(bench: Bench) -> None:
    bench.serve()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def held(symbol: str, limit: int, *, patient: bool = False) -> list[Candle]:
        asked.set()
        await answer.wait()
        return await Bench.candles(bench, symbol, limit, patient=patient)

    bench.candles = held  # type: ignore[method-assign]
    filling = asyncio.create_task(bench.history.fill())
    await asked.wait()
    bench.serve(BYBIT)
    answer.set()
    await filling
    assert bench.detectors.learned == []
    assert bench.stored("BIG") == bench.stored("BIG", BYBIT) == 0
    await bench.fill()
    assert bench.ready() == list(VOLUMES)
    assert bench.stored("BIG", BYBIT) == WANTED_HOURS
    assert bench.stored("BIG") == 0


async def test_while_the_database_is_away_hours_are_learned_and_kept_when_it_is_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.serve()
    run = bench.database.run

    async def away(*work: object, readonly: bool = False) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(bench.database, "run", away)
    # What is stored may yet be read.
    assert await bench.history.fill() == "waits for what was kept"
    bench.now_ms += 60_000
    await bench.fill()
    assert bench.ready() == list(VOLUMES)
    assert bench.history.store.waiting == 3 * (WANTED_HOURS + 360)
    monkeypatch.setattr(bench.database, "run", run)
    await bench.history.fill()
    assert bench.history.store.waiting == 0
    assert {bench.stored(symbol) for symbol in VOLUMES} == {WANTED_HOURS}
    assert bench.stored_payments("SMALL") == 360


async def test_what_cannot_be_kept_for_long_gives_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashcur.engine.history_store.CAPACITY", 5)
    bench.serve()
    book, store = bench.market.target, bench.history.store
    assert book is not None
    for number in range(4):
        store.keep_hours(book, [bench.hour("BIG", NOON - (2 * number + each) * HOUR) for each in (1, 2)])
    assert (store.waiting, store.dropped) == (4, 4)
    assert await store.flush() == 4
    assert (store.waiting, bench.stored("BIG")) == (0, 4)


async def test_transactions_are_small_and_of_one_exchange(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.serve()
    await bench.fill()
    former = bench.market.target
    bench.serve(BYBIT)
    store = bench.history.store
    assert former is not None
    assert bench.market.target is not None
    sizes: list[int] = []

    def note(session: object, exchange: str, candles: Sequence[Candle], *, demo: bool) -> int:
        sizes.append(len(candles))
        return len(candles)

    monkeypatch.setattr("flashcur.engine.history_store.save_hours", note)
    hours = [bench.hour("BIG", NOON - HOUR)] * (ROWS // 2)
    for book in (former, former, former, bench.market.target):
        store.keep_hours(book, hours)
    await store.flush()
    assert sizes == [ROWS, ROWS // 2, ROWS // 2]


async def test_a_contract_of_which_hardly_anything_is_traded_is_not_waited_for(bench: Bench) -> None:
    bench.volumes["SMALL"] = 0.0
    bench.serve()
    assert bench.status().filling == 3
    await bench.fill()
    status = bench.status()
    assert (status.ready, status.quiet, status.new, status.filling) == (2, 1, 0, 0)
    assert status.not_ready == {"SMALL": "hardly anything was traded"}


async def test_many_liquid_contracts_without_a_baseline_are_a_problem(bench: Bench) -> None:
    status = HistoryStatus(ready=300, contracts=500, liquid=310, blind=6)
    assert status.problem == ""
    assert HistoryStatus(liquid=310, blind=7).problem == "baselines of 7 of 310 liquid contracts are not ready"
    bench.serve()
    bench.refusals.update(dict.fromkeys(VOLUMES, VenueUnavailable("no")))
    with pytest.raises(VenueUnavailable):
        await bench.history.fill()
    assert bench.status().blind == 0
    bench.now_ms += FILL_MS
    assert (bench.status().blind, bench.status().liquid) == (2, 2)


async def test_an_engine_fills_its_baselines_and_the_next_one_asks_for_none(
    exchange: SimulatedExchange, live_settings: Settings, sqlite_database: Database
) -> None:
    async with running_engine(live_settings, sqlite_database) as running:
        await eventually(
            lambda: (
                running.engine.office is not None
                and (status := running.office.history.status()).ready == status.contracts > 0
                and not running.office.history.store.waiting
            ),
            "all baselines, and all of them kept",
            60,
        )
        status = running.office.status().history
        assert status is not None
        assert (status.contracts, status.waiting, status.not_ready) == (20, 0, {})
    exchange.rest.limiter.used = 0
    async with running_engine(live_settings, sqlite_database) as running:
        await eventually(
            lambda: running.engine.office is not None and running.office.history.status().ready > 0, "baselines", 30
        )
        assert running.office.history.status().asked == 0
