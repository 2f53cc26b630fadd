"""The market book: the newest value wins, ages are honest, part of an hour never passes for the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.ages import LIQUID
from flashcur.domain.book import (
    MarketBook,
    Row,
    has_open_interest_hole,
    is_overdue,
    remember_open_interest,
)
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Reject, Ticker

T0 = 1_795_428_000_000
"""A full hour."""
A, B = "AUSDT", "BUSDT"


@pytest.fixture
def book() -> MarketBook:
    return new_book()


def new_book(*symbols: str) -> MarketBook:
    book = MarketBook()
    book.set_instruments([Instrument(symbol, symbol[:-4], 0.01, 2) for symbol in symbols or (A, B)])
    return book


def row_of(book: MarketBook, symbol: str = A) -> Row:
    row = book.row(symbol)
    assert row is not None
    return row


def ticker(price: float, at_ms: int, symbol: str = A, volume: float = 1e6) -> Ticker:
    return Ticker(symbol, price, 1.0, volume, at_ms, at_ms)


def candle(hour: int, volume: float, at_ms: int, *, closed: bool = False, symbol: str = A) -> Candle:
    return Candle(symbol, T0 + hour * HOUR_MS, 1, 2, 1, 1.5, volume, closed, at_ms, at_ms)


def interest(contracts: float, at_ms: int, symbol: str = A) -> OpenInterest:
    return OpenInterest(symbol, contracts, at_ms, at_ms)


def test_an_unknown_contract_is_not_taken(book: MarketBook) -> None:
    assert not book.apply(ticker(1.0, T0, "CUSDT"))
    assert "CUSDT" not in book


@given(st.permutations(range(6)))
def test_the_newest_value_wins_in_whatever_order_messages_come(order: list[int]) -> None:
    book = new_book()
    for i in order:
        book.apply(ticker(100.0 + i, T0 + i * 100))
        book.apply(Funding(A, 1.0, i / 1e4, None, T0 + i * 100, T0 + i * 100))
        book.apply(interest(50.0 + i, T0 + i * 100))
    row = row_of(book)
    assert row.price == 105.0
    assert row.funding is not None
    assert row.funding.rate == 5 / 1e4
    assert row.open_interest_usd == 55.0 * 105.0


def test_universe_changes_keep_the_values_of_those_that_stay(book: MarketBook) -> None:
    book.apply(ticker(7.0, T0))
    joined, left = book.set_instruments([Instrument(A, "A", 0.001, 3), Instrument("CUSDT", "C", 0.01, 2)])
    assert (joined, left) == (["CUSDT"], [B])
    row = row_of(book)
    assert (row.price, row.instrument.price_decimals) == (7.0, 3)


# Ages


def test_a_value_is_confirmed_by_its_stream(book: MarketBook) -> None:
    book.apply(ticker(1.0, T0))
    book.apply(ticker(1.0, T0 + 60_000, B))
    assert book.age_ms(row_of(book), "ticker", T0 + 61_000) == 1_000


def test_a_refused_value_is_as_old_as_its_own_last_message(book: MarketBook) -> None:
    book.apply(ticker(1.0, T0))
    book.refuse(Reject("ticker", "negative", A))
    book.apply(ticker(1.0, T0 + 60_000, B))
    assert book.age_ms(row_of(book), "ticker", T0 + 61_000) == 61_000
    book.apply(ticker(2.0, T0 + 61_000))
    book.apply(ticker(1.0, T0 + 70_000, B))
    assert book.age_ms(row_of(book), "ticker", T0 + 71_000) == 1_000


def test_what_was_never_seen_has_no_age(book: MarketBook) -> None:
    assert book.age_ms(row_of(book), "ticker", T0) is None
    assert book.silence_ms("ticker", T0) is None


def test_a_polled_value_is_not_confirmed_by_those_of_others(book: MarketBook) -> None:
    book.apply(interest(1.0, T0))
    book.apply(interest(1.0, T0 + 60_000, B))
    assert book.age_ms(row_of(book), "open_interest", T0 + 61_000) == 61_000


def test_a_candle_asked_for_alone_confirms_no_streamed_one(book: MarketBook) -> None:
    book.set_streamed_candles([A])
    book.apply(candle(0, 1.0, T0 + 1))
    book.apply(candle(0, 1.0, T0 + 60_000, symbol=B), alone=True)
    assert book.age_ms(row_of(book), "candle", T0 + 61_000) == 60_999
    book.apply(candle(0, 1.0, T0 + 61_000, symbol=B))
    assert book.age_ms(row_of(book), "candle", T0 + 61_000) == 0


def test_an_hour_that_is_over_is_not_confirmed_by_later_ones(book: MarketBook) -> None:
    book.set_streamed_candles([A, B])
    book.apply(candle(0, 1.0, T0 + 1_000))
    book.apply(candle(1, 1.0, T0 + HOUR_MS + 10_000, symbol=B))
    assert book.age_ms(row_of(book), "candle", T0 + HOUR_MS + 10_000) == HOUR_MS + 9_000


def test_a_closed_hour_is_confirmed_until_the_next_one_is_over(book: MarketBook) -> None:
    closed = candle(0, 1.0, T0 + HOUR_MS, closed=True)
    assert not is_overdue(closed, T0 + 2 * HOUR_MS)
    assert is_overdue(closed, T0 + 2 * HOUR_MS + 2_000)


# Volume ratio


def test_ratio_is_this_hour_over_the_hour_before(book: MarketBook) -> None:
    book.apply(candle(0, 100.0, T0 + HOUR_MS, closed=True))
    book.apply(candle(1, 350.0, T0 + HOUR_MS + 5))
    assert row_of(book).ratio == 3.5


def test_a_closed_hour_makes_the_hour_in_progress_empty(book: MarketBook) -> None:
    book.apply(candle(0, 100.0, T0 + HOUR_MS, closed=True))
    assert row_of(book).hour_volumes() == (100.0, 0.0)


def test_without_the_hour_directly_before_there_is_no_ratio(book: MarketBook) -> None:
    book.apply(candle(0, 100.0, T0 + HOUR_MS, closed=True))
    book.apply(candle(2, 350.0, T0 + 2 * HOUR_MS + 5))
    assert row_of(book).ratio is None
    book.apply(candle(1, 70.0, T0 + 2 * HOUR_MS, closed=True))
    assert row_of(book).ratio == 5.0


def test_a_part_of_an_hour_is_no_hour_before(book: MarketBook) -> None:
    book.apply(candle(0, 100.0, T0 + HOUR_MS - 600_000))
    book.apply(candle(1, 350.0, T0 + HOUR_MS + 5))
    assert row_of(book).ratio is None
    # Its close arrives late, or is asked for.
    book.apply(candle(0, 700.0, T0 + HOUR_MS, closed=True))
    assert row_of(book).ratio == 0.5


def test_at_the_turn_of_the_hour_the_last_update_stands_in_for_the_close(book: MarketBook) -> None:
    book.apply(candle(0, 100.0, T0 + HOUR_MS - 250))
    book.apply(candle(1, 50.0, T0 + HOUR_MS + 20))
    assert row_of(book).ratio == 0.5


def test_an_open_candle_never_replaces_the_closed_one(book: MarketBook) -> None:
    book.apply(candle(0, 100.0, T0 + HOUR_MS, closed=True))
    assert not book.apply(candle(0, 1.0, T0 + HOUR_MS + 50))
    book.apply(candle(1, 50.0, T0 + HOUR_MS + 60))
    assert not book.apply(candle(0, 1.0, T0 + HOUR_MS + 70))
    assert row_of(book).ratio == 0.5


@given(st.permutations(range(8)))
def test_candles_in_any_order_end_in_the_same_ratio(order: list[int]) -> None:
    messages = [
        candle(0, 40.0, T0 + HOUR_MS - 2_000_000),
        candle(0, 90.0, T0 + HOUR_MS - 300_000),
        candle(0, 100.0, T0 + HOUR_MS, closed=True),
        candle(1, 10.0, T0 + HOUR_MS + 1_000),
        candle(1, 20.0, T0 + HOUR_MS + 2_000),
        candle(1, 300.0, T0 + HOUR_MS + 3_000),
        candle(-1, 5.0, T0, closed=True),
        candle(1, 250.0, T0 + HOUR_MS + 2_500),
    ]
    book = new_book()
    for i in order:
        book.apply(messages[i])
    row = row_of(book)
    assert row.candle is not None
    assert row.candle.volume_quote == 300.0
    # An older hour may push out nothing; where the hour before came first of all it may be missing, never wrong.
    assert row.ratio in (3.0, None)


# Open interest


def test_change_in_an_hour_needs_a_value_that_old(book: MarketBook) -> None:
    row = row_of(book)
    for minute in range(60):
        book.apply(interest(100.0 + minute, T0 + minute * 60_000))
    # The oldest value is 59 minutes old: near enough to an hour.
    assert row.open_interest_change_pct(HOUR_MS) == pytest.approx(59.0)
    short = new_book()
    for minute in range(50):
        short.apply(interest(100.0, T0 + minute * 60_000))
    assert row_of(short).open_interest_change_pct(HOUR_MS) is None


def test_history_that_arrives_later_is_kept_in_order(book: MarketBook) -> None:
    book.apply(interest(120.0, T0 + HOUR_MS))
    row = row_of(book)
    for minute in range(55, -5, -5):
        assert remember_open_interest(row, interest(100.0 + minute / 10, T0 + minute * 60_000))
    times = [value.event_ms for value in row.open_interest_history]
    assert times == sorted(times)
    assert row.open_interest_change_pct(HOUR_MS) == pytest.approx(20.0)


def test_history_fills_the_hole_of_an_outage(book: MarketBook) -> None:
    row = row_of(book)
    minutes = [*range(0, 10), *range(50, 60)]
    for minute in minutes:
        book.apply(interest(100.0, T0 + minute * 60_000))
    assert has_open_interest_hole(row)
    read = [interest(9.0, T0 + minute * 60_000) for minute in range(0, 60, 5)]
    taken = [value for value in read if remember_open_interest(row, value)]
    assert taken == read[2:10]
    times = [value.event_ms for value in row.open_interest_history]
    assert times == sorted(times)
    assert not has_open_interest_hole(row)
    book.apply(interest(18.0, T0 + 90 * 60_000))
    assert row.open_interest_change_pct(HOUR_MS) == pytest.approx(100.0)


def test_history_that_is_full_gives_up_its_oldest_for_a_hole(book: MarketBook) -> None:
    row = row_of(book)
    for minute in [*range(0, 40), *range(60, 90)]:
        book.apply(interest(100.0, T0 + minute * 60_000))
    history = row.open_interest_history
    full, oldest_ms = len(history), history[0].event_ms
    assert not remember_open_interest(row, interest(9.0, oldest_ms - 60_000))
    assert remember_open_interest(row, interest(9.0, T0 + 50 * 60_000))
    assert (len(history), history[0].event_ms) == (full, oldest_ms + 60_000)
    times = [value.event_ms for value in history]
    assert times == sorted(times)


def test_a_hole_of_before_the_last_hour_does_not_matter(book: MarketBook) -> None:
    row = row_of(book)
    assert not has_open_interest_hole(row)
    for minute in [0, *range(20, 90, 8)]:
        book.apply(interest(100.0, T0 + minute * 60_000))
    assert not has_open_interest_hole(row)


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(1, 1e6)), min_size=2, max_size=120))
def test_change_is_against_the_nearest_value(points: list[tuple[int, float]]) -> None:
    book = new_book()
    for minute, contracts in sorted(points, key=lambda point: point[0]):
        book.apply(interest(contracts, T0 + minute * 60_000))
    row = row_of(book)
    now = row.open_interest
    assert now is not None
    target = now.event_ms - HOUR_MS
    nearest = min(row.open_interest_history, key=lambda value: abs(value.event_ms - target))
    change = row.open_interest_change_pct(HOUR_MS)
    if abs(nearest.event_ms - target) > HOUR_MS // 10:
        assert change is None
    else:
        assert change == pytest.approx((now.contracts / nearest.contracts - 1) * 100)


def test_a_contract_is_liquid_with_hysteresis(book: MarketBook) -> None:
    row = row_of(book)
    steps = [LIQUID.enter - 1, LIQUID.enter, LIQUID.leave, LIQUID.leave - 1, LIQUID.enter - 1]
    liquid: list[bool] = []
    for i, volume in enumerate(steps):
        book.apply(ticker(1.0, T0 + i, volume=volume))
        liquid.append(row.liquid)
    assert liquid == [False, True, True, False, False]
