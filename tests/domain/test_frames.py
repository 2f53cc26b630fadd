"""Frames: what is shown of the book, packed by column, and what each plan may see of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.assets import AssetClass
from flashcur.domain.book import MarketBook
from flashcur.domain.frames import (
    COLUMNS,
    EXACT_COLUMNS,
    FLAG_COLUMNS,
    OPEN_INTEREST_COLUMNS,
    SEPARATOR,
    Frame,
    changed,
    duration,
    take,
)
from flashcur.domain.plans import AUDIENCES, PLANS
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Ticker
from tests.support.frames import NOW_MS, market_book, market_frame


def frame_of(book: MarketBook, now_ms: int = NOW_MS, previous: Frame | None = None) -> Frame:
    return take(
        book,
        [row.instrument.symbol for row in book],
        seq=1,
        now_ms=now_ms,
        exchange="x",
        title="X",
        demo=False,
        state="live",
        rule=SpikeRule(),
        previous=previous,
    )


def test_every_column_has_a_value_for_every_contract() -> None:
    frame = market_frame()
    assert tuple(frame.columns) == COLUMNS
    assert tuple(frame.exact) == EXACT_COLUMNS
    for column in COLUMNS:
        assert len(frame.values(column)) == frame.count == 60
    for values in frame.exact.values():
        assert len(values) == 60


def test_a_row_as_it_is_shown() -> None:
    frame = market_frame()
    row = {name: frame.values(name)[1] for name in COLUMNS}
    assert row == {
        "symbol": "COIN1USDT",
        "base": "COIN1",
        "interval": "8",
        "next": str((NOW_MS // HOUR_MS + 1) * 60),
        "price": "101.00",
        "change": "-3.00",
        "volume": "999.00M",
        "ratio": "4.00",
        "funding": "+0.0100",
        "oi": "101.00M",
        "oi1h": "",
        "move": "-",
        "spike": "1",
        "fresh": "0",
        "asset": "c",
        "closed": "0",
        "age": "",
    }


def test_what_is_missing_is_empty_and_never_zero() -> None:
    book = MarketBook()
    book.set_instruments([Instrument("AUSDT", "A", 0.01, 2)])
    frame = frame_of(book)
    shown = {name: frame.values(name)[0] for name in COLUMNS}
    assert {name for name, text in shown.items() if text} == {"symbol", "base", "interval", *FLAG_COLUMNS}
    assert all(values == [None] for values in frame.exact.values())
    assert not frame.complete


@pytest.mark.parametrize(
    ("listed_ms", "fresh"),
    [(None, "0"), (NOW_MS - 1000, "1"), (NOW_MS - 23 * HOUR_MS, "1"), (NOW_MS - 24 * HOUR_MS, "0"), (NOW_MS + 1, "0")],
)
def test_a_contract_is_fresh_for_a_day(listed_ms: int | None, fresh: str) -> None:
    book = MarketBook()
    book.set_instruments([Instrument("AUSDT", "A", 0.01, 2, listed_ms=listed_ms)])
    assert frame_of(book).columns["fresh"] == fresh


def test_an_empty_universe_is_an_empty_frame() -> None:
    frame = frame_of(MarketBook())
    assert (frame.count, frame.values("symbol"), frame.strip, frame.complete) == (0, [], "", False)
    for audience in AUDIENCES:
        assert frame.only(PLANS[audience]).count == 0


def test_a_plan_sees_the_largest_of_crypto_and_of_the_rest() -> None:
    frame = market_frame(tradfi=60)
    free = frame.only(PLANS["free"])
    assert free.count == 100
    assert [len(free.of(assets)) for assets in ("crypto", "tradfi")] == [50, 50]
    assert free.values("symbol") == [f"COIN{i}USDT" for i in range(50)] + frame.values("symbol")[60:110]
    assert free.values("closed")[50:52] == ["1", "0"]
    # Few of either are all there.
    assert market_frame(tradfi=3).only(PLANS["free"]).count == 53
    assert market_frame(contracts=3, tradfi=60).only(PLANS["free"]).count == 53
    assert frame.only(PLANS["elite"]).count == 120


def test_a_frame_from_before_there_was_a_rest_is_of_crypto() -> None:
    frame = market_frame()
    old = replace(
        frame, columns={name: text for name, text in frame.columns.items() if name not in ("asset", "closed")}
    )
    assert (old.of("crypto"), old.of("tradfi")) == (list(range(60)), [])
    assert old.complete
    assert old.only(PLANS["free"]).count == 50
    assert old.without({"COIN0USDT"}).count == 59


def test_the_strip_and_a_mark_s_completeness_are_crypto_s() -> None:
    frame = market_frame(tradfi=20)
    assert [entry.split(SEPARATOR)[0] for entry in frame.strip.split(";")] == [f"COIN{i}" for i in range(5)]
    unpriced = [None if i >= 60 else value for i, value in enumerate(frame.exact["price"])]
    assert replace(frame, exact={**frame.exact, "price": unpriced}).complete
    crypto = [None if 50 <= i < 60 else value for i, value in enumerate(frame.exact["price"])]
    assert not replace(frame, exact={**frame.exact, "price": crypto}).complete


def test_what_does_not_change_while_its_market_is_closed_is_not_old() -> None:
    book = market_book(contracts=1, tradfi=2)
    later = NOW_MS + 50 * 60_000
    # The streams live by others, and the poll of the candles has come around.
    for symbol in ("COIN0USDT", "GOOD1USDT"):
        book.apply(Ticker(symbol, 100.0, 0.0, 1e9, later, later))
        book.apply(Funding(symbol, 100.0, 0.0001, None, later, later))
        book.apply(Candle(symbol, later // HOUR_MS * HOUR_MS, 1, 2, 1, 1.5, 1e6, False, later, later))
        book.apply(OpenInterest(symbol, 1e6, later, later))
    # The exchange may begin no candle where nothing trades: the last one stays that of the hour before.
    hour, polled = later // HOUR_MS * HOUR_MS - HOUR_MS, later - 240_000
    book.apply(Candle("STOCK0USDT", hour, 1, 1, 1, 1, 0.0, False, polled, polled), alone=True)
    book.apply(OpenInterest("STOCK0USDT", 1e6, later, later))
    assert frame_of(book, later).values("age") == ["", "", ""]
    # Once nothing comes at all, nobody can tell any more, whatever is closed.
    silent = frame_of(book, later + 20_000).values("age")
    assert all(age.startswith("p20s,f20s") for age in silent)


def test_closed_is_what_the_exchange_says_and_ends_by_itself() -> None:
    book = MarketBook()
    spans = ((NOW_MS - 10, NOW_MS), (NOW_MS + 5_000, NOW_MS + 6_000))
    book.set_instruments([Instrument("AUSDT", "A", 0.01, 2, asset_class=AssetClass.STOCK, closed=spans)])
    moments = (NOW_MS - 10, NOW_MS - 1, NOW_MS, NOW_MS + 5_000, NOW_MS + 6_000)
    assert [frame_of(book, now_ms).columns["closed"] for now_ms in moments] == ["1", "1", "0", "1", "0"]
    assert frame_of(book).columns["asset"] == AssetClass.STOCK.letter


def test_encode_and_decode_are_inverse() -> None:
    frame = market_frame()
    assert Frame.decode(frame.encode()) == frame


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b'{"seq": 1}', b'{"unknown": 1}', b"\xff"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the JSON library words some of them
        Frame.decode(data)


def test_only_columns_that_changed_are_told() -> None:
    first = market_frame(1)
    assert changed(first, None) == first.columns
    assert changed(market_frame(2), first) == {}
    second = market_frame(2, price=101.0, previous=first)
    assert set(changed(second, first)) == {"price", "oi", "move"}
    assert second.values("move") == ["u"] * 60


@pytest.mark.parametrize("prices", [{}, {"price": [1.0]}, {"price": []}])
def test_a_frame_before_that_does_not_fit_together_tells_no_moves(prices: dict[str, list[float | None]]) -> None:
    broken = replace(market_frame(), exact=prices)
    assert market_frame(2, price=101.0, previous=broken).values("move") == ["-"] * 60


def test_the_strip_holds_the_five_largest() -> None:
    entries = [entry.split(SEPARATOR) for entry in market_frame().strip.split(";")]
    assert [entry[0] for entry in entries] == [f"COIN{i}" for i in range(5)]
    assert entries[1] == ["COIN1", "101.00", "-3.00", "-"]


def test_plans_see_their_own_rows_and_columns() -> None:
    frame = market_frame(contracts=60)
    for audience in ("guest", "free"):
        cut = frame.only(PLANS[audience])
        assert cut.count == 50
        assert not set(OPEN_INTEREST_COLUMNS) & set(cut.columns)
        assert not {"open_interest_usd", "oi_change_1h_pct"} & set(cut.exact)
        assert all(len(cut.values(name)) == 50 for name in cut.columns)
        assert all(len(values) == 50 for values in cut.exact.values())
    for audience in ("pro", "elite"):
        assert frame.only(PLANS[audience]) == frame


def test_an_age_of_open_interest_is_not_told_to_who_may_not_see_it() -> None:
    book = market_book()
    frame = frame_of(book, NOW_MS + 700_000)
    assert any("o" in age for age in frame.values("age"))
    assert not any("o" in age for age in frame.only(PLANS["free"]).values("age"))
    assert any("p" in age for age in frame.only(PLANS["free"]).values("age"))


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=80, unique=True), st.integers(1, 60))
def test_a_plan_with_fewer_rows_sees_the_largest_in_the_same_order(volumes: list[float], rows: int) -> None:
    book = MarketBook()
    symbols = [f"C{i}USDT" for i in range(len(volumes))]
    book.set_instruments([Instrument(symbol, symbol[:-4], 0.01, 2) for symbol in symbols])
    for symbol, volume in zip(symbols, volumes, strict=True):
        book.apply(Ticker(symbol, 1.0, 0.0, volume, NOW_MS, NOW_MS))
    cut = frame_of(book).only(replace(PLANS["free"], rows=rows))
    kept = cut.values("symbol")
    largest = {symbol for _, symbol in sorted(zip(volumes, symbols, strict=True), reverse=True)[:rows]}
    assert set(kept) == largest
    assert kept == [symbol for symbol in symbols if symbol in largest]


@pytest.mark.parametrize(
    ("letter", "field", "allowance_ms"),
    [("p", "ticker", 5_000), ("f", "funding", 10_000), ("r", "candle", 10_000), ("o", "open_interest", 90_000)],
)
def test_a_value_is_marked_only_beyond_its_allowance(letter: str, field: str, allowance_ms: int) -> None:
    book = market_book(1)
    hour = NOW_MS // HOUR_MS * HOUR_MS
    later = NOW_MS + 120_000
    ticks = {
        "ticker": lambda at: Ticker("COIN0USDT", 1.0, 1.0, 1e9, at, at),
        "funding": lambda at: Funding("COIN0USDT", 1.0, 0.1, None, at, at),
        "candle": lambda at: Candle("COIN0USDT", hour, 1, 2, 1, 1.5, 1e6, False, at, at),
        "open_interest": lambda at: OpenInterest("COIN0USDT", 1e6, at, at),
    }
    for name, tick in ticks.items():
        book.apply(tick(later - allowance_ms if name == field else later))
    assert frame_of(book, later).values("age") == [""]
    book.apply(ticks["ticker"](later))
    marked = frame_of(market_book(1), NOW_MS + allowance_ms + 1).values("age")[0].split(",")
    assert duration(allowance_ms + 1) in [age[1:] for age in marked if age[0] == letter]


@pytest.mark.parametrize(
    ("age_ms", "text"),
    [(0, "0s"), (59_999, "59s"), (60_000, "1m"), (3_599_999, "59m"), (7_200_000, "2h"), (86_400_000, "1d")],
)
def test_durations(age_ms: int, text: str) -> None:
    assert duration(age_ms) == text


def test_flags_are_one_character_a_contract() -> None:
    frame = market_frame()
    for name in FLAG_COLUMNS:
        assert len(frame.columns[name]) == frame.count
