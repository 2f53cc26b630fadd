"""What is asked for contract by contract: candles and open interest, with a clock and an exchange of the test's own."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from flashcur.domain.ages import STREAMED
from flashcur.domain.book import Row
from flashcur.domain.ticks import Candle, Instrument, OpenInterest, Ticker
from flashcur.engine.candles import POLL_MS, SILENT_MS, Candles
from flashcur.engine.live_market import LiveMarket
from flashcur.engine.open_interest import LIQUID_MS, OTHERS_MS, OpenInterestPoller
from flashcur.services.market.venues import BINANCE, BYBIT

HOUR = 3_600_000
NOON = 1_795_428_000_000
VOLUMES = {"BIG": 9e9, "MID": 2e6, "SMALL": 5e5}


class Bench:
    """A clock, a market of three contracts, and an exchange that answers with what the clock says."""

    def __init__(self) -> None:
        self.now_ms = NOON + 600_000
        self.asked: list[str] = []
        self.streamed: set[str] = set()
        self.first_hour: set[str] = set()
        self.market = LiveMarket(lambda: self.now_ms, lambda book, kind, symbol: None)
        self.candle_poller = Candles(self.market, self, clock=lambda: self.now_ms)
        self.interest_poller = OpenInterestPoller(
            self.market, self, clock=lambda: self.now_ms, learn=lambda book, symbol, past: self.learned.append(symbol)
        )
        self.learned: list[str] = []

    def serve(self, venue: object = BINANCE) -> None:
        self.market.on_switch(venue, "", False)  # type: ignore[arg-type]
        self.market.on_instruments(venue, [Instrument(s, s, 0.01, 2) for s in VOLUMES])  # type: ignore[arg-type]
        for symbol, volume in VOLUMES.items():
            self.trade(symbol, volume)

    def trade(self, symbol: str, volume: float) -> None:
        self.market.on_tick(BINANCE, Ticker(symbol, 1.0, 1.0, volume, self.now_ms, self.now_ms))

    def row(self, symbol: str) -> Row:
        assert self.market.target is not None
        row = self.market.target.book.row(symbol)
        assert row is not None
        return row

    def taken(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked

    def set_candle_symbols(self, symbols: Iterable[str]) -> None:
        self.streamed = set(symbols)

    async def candles(self, symbol: str, limit: int) -> list[Candle]:
        self.asked.append(symbol)
        hour = self.now_ms // HOUR * HOUR
        before = Candle(symbol, hour - HOUR, 1, 2, 1, 1.5, 100.0, True, hour, self.now_ms)
        now = Candle(symbol, hour, 1, 2, 1, 1.5, 300.0, False, self.now_ms, self.now_ms)
        return [now] if symbol in self.first_hour else [before, now]

    async def open_interest(self, symbol: str) -> OpenInterest:
        self.asked.append(symbol)
        return OpenInterest(symbol, 110.0, self.now_ms, self.now_ms)

    async def open_interest_history(self, symbol: str, limit: int) -> list[OpenInterest]:
        self.asked.append(symbol)
        return [OpenInterest(symbol, 100.0, self.now_ms - i * 300_000, self.now_ms) for i in range(limit, 0, -1)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_nothing_is_asked_while_no_exchange_serves(bench: Bench) -> None:
    for poll in (bench.candle_poller.poll, bench.interest_poller.poll, bench.interest_poller.backfill):
        assert await poll() == "no exchange serves"


async def test_both_hours_of_every_contract_are_asked_for_the_largest_first(bench: Bench) -> None:
    bench.serve()
    assert await bench.candle_poller.poll() == "3 of 3 asked"
    assert bench.taken() == ["BIG", "MID", "SMALL"]
    assert [bench.row(symbol).ratio for symbol in VOLUMES] == [3.0, 3.0, 3.0]
    assert bench.streamed == {"BIG", "MID"}
    assert await bench.candle_poller.poll() == "nothing due"


async def test_streamed_contracts_change_with_hysteresis(bench: Bench) -> None:
    bench.serve()
    for volume, streamed in [
        (STREAMED.enter - 1, False),
        (STREAMED.enter, True),
        (STREAMED.leave, True),
        (STREAMED.leave - 1, False),
        (STREAMED.enter - 1, False),
    ]:
        bench.trade("SMALL", volume)
        await bench.candle_poller.choose_streamed()
        assert ("SMALL" in bench.streamed) is streamed
        assert bench.row("SMALL").candle_streamed is streamed


async def test_contracts_that_are_not_streamed_are_asked_for_within_five_minutes(bench: Bench) -> None:
    bench.serve()
    await bench.candle_poller.poll()
    bench.taken()
    bench.now_ms += POLL_MS + 1
    # The stream of the others is alive.
    hour = bench.now_ms // HOUR * HOUR
    bench.market.on_tick(BINANCE, Candle("BIG", hour, 1, 2, 1, 1.5, 400.0, False, bench.now_ms, bench.now_ms))
    await bench.candle_poller.poll()
    assert bench.taken() == ["SMALL"]
    assert POLL_MS < 5 * 60_000


async def test_candles_are_asked_for_when_their_stream_is_silent(bench: Bench) -> None:
    bench.serve()
    await bench.candle_poller.poll()
    bench.taken()
    bench.now_ms += SILENT_MS + 1
    await bench.candle_poller.poll()
    assert bench.taken() == ["BIG", "MID"]


async def test_an_hour_whose_close_was_missed_is_asked_for(bench: Bench) -> None:
    bench.serve()
    await bench.candle_poller.poll()
    bench.taken()
    bench.now_ms = NOON + HOUR + 60_000
    # The stream was away over the turn of the hour and goes on with the next one.
    bench.market.on_tick(BINANCE, Candle("BIG", NOON + HOUR, 1, 2, 1, 1.5, 9.0, False, bench.now_ms, bench.now_ms))
    assert bench.row("BIG").ratio is None
    await bench.candle_poller.poll()
    assert "BIG" in bench.taken()
    assert bench.row("BIG").ratio == 3.0


async def test_a_contract_without_an_hour_before_is_not_asked_for_again_and_again(bench: Bench) -> None:
    bench.first_hour.add("BIG")
    bench.serve()
    await bench.candle_poller.poll()
    bench.taken()
    bench.now_ms += 31_000
    await bench.candle_poller.poll()
    assert bench.taken() == []


async def test_an_exchange_that_was_away_is_asked_anew(bench: Bench) -> None:
    bench.serve()
    await bench.candle_poller.poll()
    bench.taken()
    bench.now_ms += 1_000
    bench.serve()
    await bench.candle_poller.poll()
    assert bench.taken() == ["BIG", "MID", "SMALL"]


async def test_open_interest_of_liquid_contracts_is_asked_for_each_minute(bench: Bench) -> None:
    bench.serve()
    await bench.interest_poller.poll()
    assert bench.taken() == ["BIG", "MID", "SMALL"]
    assert [bench.row(symbol).liquid for symbol in VOLUMES] == [True, False, False]
    bench.now_ms += LIQUID_MS
    await bench.interest_poller.poll()
    assert bench.taken() == ["BIG"]
    bench.now_ms += OTHERS_MS
    await bench.interest_poller.poll()
    assert bench.taken() == ["BIG", "MID", "SMALL"]


async def test_open_interest_that_is_streamed_is_not_asked_for(bench: Bench) -> None:
    bench.serve(BYBIT)
    assert await bench.interest_poller.poll() == "streamed"
    assert bench.taken() == []


async def test_the_past_hours_are_read_once(bench: Bench) -> None:
    bench.serve()
    assert await bench.interest_poller.backfill() == "nothing due"
    await bench.interest_poller.poll()
    bench.taken()
    assert await bench.interest_poller.backfill() == "3 of 3 read"
    assert bench.row("BIG").open_interest_change_pct(HOUR) == pytest.approx(10.0)
    assert sorted(bench.learned) == ["BIG", "MID", "SMALL"]
    assert await bench.interest_poller.backfill() == "nothing due"


async def test_the_hole_of_an_outage_is_read_again(bench: Bench) -> None:
    bench.serve()
    await bench.interest_poller.poll()
    await bench.interest_poller.backfill()
    bench.now_ms += 25 * 60_000
    bench.taken()
    await bench.interest_poller.poll()
    assert await bench.interest_poller.backfill() == "3 of 3 read"
    assert await bench.interest_poller.backfill() == "nothing due"
    # Without what was read there would be no value an hour old 50 minutes later.
    bench.now_ms += 50 * 60_000
    bench.taken()
    await bench.interest_poller.poll()
    assert bench.row("BIG").open_interest_change_pct(HOUR) == pytest.approx(10.0)


async def test_a_contract_that_is_listed_again_gets_its_past_again(bench: Bench) -> None:
    bench.serve()
    await bench.interest_poller.poll()
    await bench.interest_poller.backfill()
    for symbols in (["MID", "SMALL"], list(VOLUMES)):
        bench.market.on_instruments(BINANCE, [Instrument(s, s, 0.01, 2) for s in symbols])
    bench.now_ms += 30_000
    bench.trade("BIG", VOLUMES["BIG"])
    await bench.interest_poller.poll()
    assert bench.row("BIG").open_interest_change_pct(HOUR) is None
    assert await bench.interest_poller.backfill() == "1 of 1 read"
    assert bench.row("BIG").open_interest_change_pct(HOUR) == pytest.approx(10.0)
