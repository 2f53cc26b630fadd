"""Which book is shown, above all while one exchange gives way to another."""

from __future__ import annotations

import pytest

from flashcur.domain.assets import AssetClass
from flashcur.domain.ticks import Candle, Instrument, Reject, Ticker
from flashcur.engine.live_market import OLD_BOOK_MS, RATIO_PATIENCE_MS, LiveMarket, VenueBook
from flashcur.services.market.venues import BINANCE, BYBIT, Venue

START = 1_795_428_000_000
HOUR = 3_600_000


class Clock:
    def __init__(self) -> None:
        self.now_ms = START

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def market(clock: Clock, changes: list[tuple[str, str]]) -> LiveMarket:
    def note(book: VenueBook, kind: str, symbol: str) -> None:
        changes.append((kind, symbol))

    return LiveMarket(clock, note)


def instruments(count: int) -> list[Instrument]:
    return [Instrument(f"C{i}USDT", f"C{i}", 0.01, 2) for i in range(count)]


def serve(market: LiveMarket, venue: Venue, *, demo: bool = False, contracts: int = 10, priced: int = 10) -> None:
    """What `MarketSource` does when an exchange takes over."""
    market.on_switch(venue, "", demo)
    market.on_instruments(venue, instruments(contracts))
    tick_all(market, venue, priced)


def tick_all(market: LiveMarket, venue: Venue, count: int, now_ms: int = START) -> None:
    for i in range(count):
        market.on_tick(venue, Ticker(f"C{i}USDT", 10.0 + i, 1.0, 1e6 * (i + 1), now_ms, now_ms))


def candles(market: LiveMarket, venue: Venue, count: int) -> None:
    for i in range(count):
        market.on_tick(venue, Candle(f"C{i}USDT", START, 1, 1, 1, 1, 5.0, False, START + 1, START + 1))


def test_nothing_is_shown_before_prices(market: LiveMarket) -> None:
    assert market.settle(START) is None
    serve(market, BINANCE, priced=8)
    assert market.settle(START) is None
    tick_all(market, BINANCE, 9)
    shown = market.settle(START)
    assert shown is not None
    assert shown.venue is BINANCE


def test_the_former_book_is_shown_until_the_new_one_is_complete(market: LiveMarket, clock: Clock) -> None:
    serve(market, BINANCE)
    assert market.settle(START) is not None
    serve(market, BYBIT, priced=5)
    clock.now_ms += RATIO_PATIENCE_MS
    shown = market.settle(clock.now_ms)
    assert shown is not None
    assert shown.venue is BINANCE
    assert market.target is not None
    assert market.target.venue is BYBIT
    tick_all(market, BYBIT, 10)
    shown = market.settle(clock.now_ms)
    assert shown is not None
    assert shown.venue is BYBIT


def test_a_switch_does_not_wait_for_what_is_no_crypto(market: LiveMarket, clock: Clock) -> None:
    """Stocks whose market is closed have neither prices nor candles for days."""
    stocks = [Instrument(f"S{i}USDT", f"S{i}", 0.01, 2, asset_class=AssetClass.STOCK) for i in range(60)]
    serve(market, BINANCE)
    market.settle(START)
    market.on_switch(BYBIT, "", False)
    market.on_instruments(BYBIT, [*stocks, *instruments(10)])
    market.on_tick(BYBIT, Ticker("S0USDT", 10.0, 1.0, 1e12, START, START))
    tick_all(market, BYBIT, 8)
    clock.now_ms += RATIO_PATIENCE_MS
    assert market.settle(clock.now_ms) is not market.target
    tick_all(market, BYBIT, 10)
    assert market.settle(START) is not market.target
    candles(market, BYBIT, 10)
    shown = market.settle(START)
    assert shown is market.target
    # What is asked for contract by contract is asked for crypto first, however large a stock is.
    assert shown is not None
    first = [row.instrument.symbol for row in shown.ranked()[:11]]
    assert first == [*(f"C{i}USDT" for i in range(9, -1, -1)), "S0USDT"]


def test_ratios_are_waited_for_but_not_for_long(market: LiveMarket, clock: Clock) -> None:
    serve(market, BINANCE)
    market.settle(START)
    serve(market, BYBIT)
    assert market.settle(START) is not market.target
    candles(market, BYBIT, 10)
    assert market.settle(START) is market.target

    serve(market, BINANCE)
    assert market.settle(START + RATIO_PATIENCE_MS - 1) is not market.target
    assert market.settle(START + RATIO_PATIENCE_MS) is market.target


def test_a_former_book_that_is_too_old_gives_way_to_an_incomplete_one(market: LiveMarket) -> None:
    serve(market, BINANCE)
    market.settle(START)
    serve(market, BYBIT, priced=1)
    assert market.settle(START + OLD_BOOK_MS) is not market.target
    assert market.settle(START + OLD_BOOK_MS + 1) is market.target


def test_real_and_demo_data_of_one_exchange_have_books_of_their_own(market: LiveMarket) -> None:
    serve(market, BINANCE, demo=True)
    demo = market.settle(START)
    serve(market, BINANCE)
    candles(market, BINANCE, 10)
    real = market.settle(START)
    assert demo is not real
    assert real is not None
    assert not real.demo


def test_an_exchange_that_comes_back_goes_on_in_its_book(market: LiveMarket) -> None:
    serve(market, BINANCE)
    candles(market, BINANCE, 10)
    before = market.settle(START)
    serve(market, BINANCE, priced=0)
    after = market.settle(START + 1)
    assert after is before
    assert after is not None
    assert after.priced


def test_an_exchange_that_fails_before_it_is_shown_leaves_the_former(market: LiveMarket) -> None:
    serve(market, BINANCE)
    before = market.settle(START)
    serve(market, BYBIT, priced=0)
    serve(market, BINANCE)
    assert market.target is before
    assert market.settle(START + RATIO_PATIENCE_MS) is before


def test_listings_are_told_but_not_the_first_universe(market: LiveMarket, changes: list[tuple[str, str]]) -> None:
    serve(market, BINANCE, contracts=10)
    assert changes == []
    market.on_instruments(BINANCE, instruments(11)[1:])
    assert sorted(changes) == [("delisted", "C0USDT"), ("listed", "C10USDT")]


def test_an_answer_of_another_exchange_is_not_its_universe(market: LiveMarket) -> None:
    serve(market, BINANCE, contracts=10)
    market.on_instruments(BYBIT, instruments(3))
    assert market.target is not None
    assert len(market.target.book) == 10


def test_order_is_by_volume_and_stable_until_the_hour(market: LiveMarket) -> None:
    serve(market, BINANCE, contracts=4)
    shown = market.settle(START)
    assert shown is not None
    assert shown.order == ["C3USDT", "C2USDT", "C1USDT", "C0USDT"]
    market.on_tick(BINANCE, Ticker("C0USDT", 10.0, 1.0, 1e12, START + 1, START + 1))
    market.on_instruments(BINANCE, [*instruments(6)[:2], *instruments(6)[3:]])
    market.settle(START + 1000)
    assert shown.order == ["C3USDT", "C1USDT", "C0USDT", "C4USDT", "C5USDT"]
    market.settle(START + HOUR)
    assert shown.order[0] == "C0USDT"


def test_a_refused_value_unconfirms_but_a_repetition_does_not(market: LiveMarket) -> None:
    serve(market, BINANCE)
    shown = market.settle(START)
    assert shown is not None
    row = shown.book.row("C0USDT")
    assert row is not None
    market.on_reject(BINANCE, Reject("ticker", "duplicate", "C0USDT"))
    assert not row.refused
    market.on_reject(BINANCE, Reject("ticker", "negative", "C0USDT"))
    assert row.refused == {"ticker"}
