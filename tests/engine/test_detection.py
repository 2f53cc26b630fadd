"""The detectors on the live market: when they begin, what they go on from, and whose values they never mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.signals.signal import Signal
from flashcur.domain.ticks import Candle, OpenInterest, Tick
from flashcur.services.market.venues import BINANCE, BYBIT
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.engine.detecting import HOUR, MINUTE, NOON, A, B, Rig, detecting
from tests.support.waiting import eventually


async def spiking(rig: Rig) -> None:
    """An hour that is three times the one before."""
    rig.serve()
    rig.hour_before(2)
    await rig.ready()
    rig.trade(12, 5.9)
    rig.trade(13, 6.1)


async def test_a_volume_that_triples_is_told_once_with_its_updates(database: Database) -> None:
    async with detecting(database) as rig:
        await spiking(rig)
        rig.trade(14, 7)
        rig.trade(31, 8)
        await rig.written()
        assert rig.told() == ["SPIKE", "HALF_UPDATE"]
        (spike, _) = rig.rows()
        assert (spike.event_ms, spike.seen_ms, spike.stored_ms >= spike.seen_ms) == (
            NOON + 13 * MINUTE,
            NOON + 13 * MINUTE,
            True,
        )


async def test_a_restart_tells_nothing_twice_and_what_is_due_still_comes(sqlite_database: Database) -> None:
    async with detecting(sqlite_database) as rig:
        await spiking(rig)
        await rig.written()
    async with detecting(sqlite_database) as rig:
        rig.at(15)
        rig.serve()
        rig.hour_before(2)
        rig.trade(15, 9)
        await rig.ready()
        rig.trade(16, 10)
        await rig.written()
        assert rig.told() == ["SPIKE"]
        rig.trade(30, 11)
        await rig.written()
        assert rig.told() == ["SPIKE", "HALF_UPDATE"]


async def test_a_rate_that_left_its_region_before_a_restart_is_told_when_it_is_back(sqlite_database: Database) -> None:
    async with detecting(sqlite_database) as rig:
        rig.serve()
        await rig.ready()
        for hour, rate in ((1, 0.0004), (2, 0.0001), (9, 0.00025)):
            rig.fund(hour, rate)
        await rig.written()
        assert rig.told() == ["FUNDING_EXTREME"]
    for hour, told in ((10, 2), (19, 2)):
        # The second engine begins inside the region that was never left.
        async with detecting(sqlite_database) as rig:
            rig.now_ms = NOON + hour * HOUR
            rig.serve()
            rig.fund(hour, 0.00025)
            await rig.ready()
            rig.fund(hour + 1, 0.0005)
            await rig.written()
            assert rig.told() == ["FUNDING_EXTREME"] * told


async def test_what_came_before_the_stored_signals_were_read_is_judged_then(settings: Settings) -> None:
    """An SQLite file without tables is a database that cannot be used yet."""
    settings.data_dir.mkdir(parents=True)
    database = Database(settings)
    async with detecting(database) as rig:
        rig.serve()
        rig.hour_before(2)
        rig.trade(13, 6.1)
        rig.interest(1, 100.0)
        rig.at(14)
        rig.detection.step(rig.now_ms)
        await eventually(lambda: rig.detection.is_waiting, "that it notices")
        assert rig.detection.runner is None
        assert not rig.detection.is_ready(A, rig.now_ms)
        database.migrate()
        await rig.ready()
        await rig.written()
        assert [(row.kind, row.event_ms) for row in rig.rows()] == [("SPIKE", NOON + 13 * MINUTE)]
    database.close()


async def test_hours_of_before_an_exchange_was_watched_are_no_news(sqlite_database: Database) -> None:
    """The past of the first start says that the hour before it was a spike; after a gap such an hour is told."""
    for minute, told in ((10, []), (15, []), (70, ["SPIKE"])):
        async with detecting(sqlite_database) as rig:
            rig.at(minute)
            rig.serve()
            await rig.ready()
            book = rig.market.target
            assert book is not None
            hour = rig.now_ms // HOUR * HOUR
            for open_ms, millions in ((hour - HOUR, 20.0), (hour, 1.0)):
                closed = open_ms < hour
                event_ms = open_ms + HOUR if closed else rig.now_ms
                rig.market.on_tick(
                    BINANCE, Candle(A, open_ms, 10, 11, 9, 10, millions * 1e6, closed, event_ms, rig.now_ms)
                )
            rig.detection.learn_volumes(book, A, [(hour - 2 * HOUR, 2e6)])
            await rig.written()
            assert rig.told() == told


async def test_two_exchanges_never_meet_in_one_hour(sqlite_database: Database) -> None:
    async with detecting(sqlite_database) as rig:
        rig.serve()
        rig.hour_before(20)
        rig.trade(12, 10)
        await rig.ready()
        first = rig.detection.runner
        assert rig.market.settle(rig.now_ms) is not None
        # The other one trades ten times as much, and it is not known what it traded in the hour before.
        rig.serve(BYBIT)
        assert rig.detection.runner is None
        rig.trade(14, 300, venue=BYBIT)
        await rig.ready()
        assert rig.detection.runner is not first
        rig.trade(15, 310, venue=BYBIT)
        # Back to its own book, before the other one was shown, and with the runner that it had.
        rig.serve(BINANCE)
        assert rig.detection.runner is first
        rig.trade(20, 25)
        rig.trade(25, 61)
        await rig.written()
        assert [(row.exchange, row.kind) for row in rig.rows()] == [("binanceusdm", "SPIKE")]


async def test_an_exchange_that_comes_back_later_goes_on_from_what_waits_as_well(sqlite_database: Database) -> None:
    async with detecting(sqlite_database, writes=False) as rig:
        await spiking(rig)
        assert rig.writer.waiting
        for venue in (BYBIT, BINANCE):
            rig.at(20)
            rig.serve(venue)
            rig.market.settle(rig.now_ms)
            await rig.ready()
        rig.hour_before(2)
        rig.trade(21, 8)
        await rig.writer.flush()
        assert rig.told() == ["SPIKE"]
        assert rig.detection.figures.fired["volume_spike", "SPIKE"] == 1


async def test_what_the_simulated_exchange_does_is_marked(sqlite_database: Database) -> None:
    async with detecting(sqlite_database) as rig:
        rig.serve(demo=True)
        rig.hour_before(2)
        await rig.ready()
        rig.trade(13, 6.1)
        await rig.written()
        (row,) = rig.rows()
        assert row.demo
        assert row.key.startswith("demo:")


async def test_a_listing_while_no_engine_ran_is_told_once(sqlite_database: Database) -> None:
    async with detecting(sqlite_database) as rig:
        rig.serve()
        await rig.ready()
        await rig.written()
        assert not rig.rows()
        contracts = rig.instruments
    # Killed before the commit, twice: nothing is lost.
    for writes, told in ((False, []), (True, ["LISTED"]), (True, ["LISTED"])):
        async with detecting(sqlite_database, writes=writes) as rig:
            rig.instruments = [*contracts, replace(contracts[0], symbol="NEWUSDT", base="NEW")]
            rig.serve()
            await rig.ready()
            if writes:
                await rig.written()
            assert rig.told("NEWUSDT") == told
    async with detecting(sqlite_database) as rig:
        rig.instruments = contracts
        rig.serve()
        await rig.ready()
        rig.list_new("OTHERUSDT")
        await rig.written()
        assert (rig.told("NEWUSDT"), rig.told("OTHERUSDT")) == (["LISTED", "DELISTED"], ["LISTED"])


async def test_an_odd_set_is_not_what_the_next_engine_compares_with(sqlite_database: Database) -> None:
    """An answer that leaves out most contracts and an engine that ends meanwhile: all are known afterwards."""
    many = [f"C{number}USDT" for number in range(30)]
    async with detecting(sqlite_database) as rig:
        rig.instruments = [replace(rig.instruments[0], symbol=symbol, base=symbol[:-4]) for symbol in many]
        everyone = rig.instruments
        rig.serve()
        await rig.ready()
        rig.set_contracts(*everyone[:5])
        await rig.written()
    async with detecting(sqlite_database) as rig:
        rig.instruments = everyone
        rig.serve()
        await rig.ready()
        await rig.written()
        assert not rig.rows()


async def test_a_past_that_becomes_known_shows_what_was_there_all_along(sqlite_database: Database) -> None:
    async with detecting(sqlite_database) as rig:
        rig.serve()
        await rig.ready()
        book = rig.market.target
        assert book is not None
        rig.trade(13, 30)
        assert rig.detection.is_ready(A, rig.now_ms) is False
        hours: Sequence[tuple[int, float]] = [(NOON - n * HOUR, 2e6 + n) for n in range(1, 673)]
        rig.detection.learn_payments(book, A, [Payment(NOON - 8 * HOUR, 0.0001)], 8)
        rig.detection.learn_volumes(book, A, hours)
        assert rig.detection.is_ready(A, rig.now_ms)
        await rig.written()
        assert sorted(rig.told()) == ["ADAPTIVE", "SPIKE"]
        # What was asked of an exchange that no longer serves says nothing about the one that does.
        rig.serve(BYBIT)
        await rig.ready()
        rig.detection.learn_volumes(book, B, hours)
        assert not rig.detection.is_ready(B, rig.now_ms)


async def test_open_interest_is_judged_by_history_that_comes_after_it(sqlite_database: Database) -> None:
    async with detecting(sqlite_database) as rig:
        rig.serve()
        await rig.ready()
        book = rig.market.target
        assert book is not None
        rig.interest(10.5, 2e6)
        past = [OpenInterest(A, 1.8e6, NOON + int(minute * MINUTE), NOON + 11 * MINUTE) for minute in (0.5, 5.5)]
        rig.market.remember(book, A, past)
        await rig.written()
        assert [(row.kind, row.span_ms) for row in rig.rows()] == [("OI_SURGE", 5 * MINUTE)]


async def test_the_market_goes_on_without_its_detectors(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(tick: Tick) -> Sequence[Signal]:
        raise ZeroDivisionError

    async with detecting(sqlite_database) as rig:
        rig.serve()
        await rig.ready()
        runner = rig.detection.runner
        assert runner is not None
        monkeypatch.setattr(runner, "observe", fail)
        rig.hour_before(2)
        rig.trade(13, 9)
        assert rig.detection.failures == 2
        row = runner.book.row(A)
        assert row is not None
        assert row.ratio == 4.5


async def test_figures_are_of_all_books_together(sqlite_database: Database) -> None:
    async with detecting(sqlite_database) as rig:
        await spiking(rig)
        before = rig.detection.figures
        rig.serve(BYBIT)
        await rig.ready()
        assert rig.market.settle(rig.now_ms) is not None
        rig.serve(BINANCE)
        await rig.ready()
        after = rig.detection.figures
        assert before.fired["volume_spike", "SPIKE"] == after.fired["volume_spike", "SPIKE"] == 1
        assert after.evaluated["funding",] >= before.evaluated["funding",] > 0
        assert after.seconds["volume_spike",] >= before.seconds["volume_spike",] > 0
