"""Frames for tests that need a market and no exchange."""

from __future__ import annotations

from flashcur.domain.assets import AssetClass
from flashcur.domain.book import MarketBook
from flashcur.domain.frames import Frame, Liveness, take
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Ticker

NOW_MS = 1_790_000_000_000


def market_book(contracts: int = 60, now_ms: int = NOW_MS, price: float = 100.0, tradfi: int = 0) -> MarketBook:
    """A book with every field of every contract: 0 is the largest, 1 spikes, 2 has extreme funding.

    After them come `tradfi` contracts on what is no crypto, all of them larger: stocks, whose market is closed, and
    commodities, by turns.
    """
    book = MarketBook()
    coins = [f"COIN{i}USDT" for i in range(contracts)]
    rest = [f"{'GOOD' if i % 2 else 'STOCK'}{i}USDT" for i in range(tradfi)]
    symbols = coins + rest
    closed = ((now_ms - HOUR_MS, now_ms + HOUR_MS),)
    book.set_instruments(
        [Instrument(s, s.removesuffix("USDT"), 0.01, 2) for s in coins]
        + [
            Instrument(s, s.removesuffix("USDT"), 0.01, 2, asset_class=AssetClass.COMMODITY)
            if i % 2
            else Instrument(s, s.removesuffix("USDT"), 0.01, 2, asset_class=AssetClass.STOCK, closed=closed)
            for i, s in enumerate(rest)
        ]
    )
    book.set_streamed_candles(symbols)
    hour = now_ms // HOUR_MS * HOUR_MS
    for i, symbol in enumerate(symbols):
        move = (i % 7 - 3) * 1.5
        volume = (1e9 if i < contracts else 1e11) - i * 1e6
        book.apply(Ticker(symbol, price + i, move, volume, now_ms, now_ms))
        book.apply(Funding(symbol, price + i, -0.0005 if i == 2 else 0.0001, hour + HOUR_MS, now_ms, now_ms))
        book.apply(Candle(symbol, hour - HOUR_MS, 1, 2, 1, 1.5, 2e6, True, hour, hour))
        book.apply(Candle(symbol, hour, 1, 2, 1, 1.5, 8e6 if i == 1 else 1e6, False, now_ms, now_ms))
        book.apply(OpenInterest(symbol, 1e6, now_ms, now_ms))
    return book


def market_frame(
    seq: int = 1,
    *,
    contracts: int = 60,
    now_ms: int = NOW_MS,
    price: float = 100.0,
    tradfi: int = 0,
    demo: bool = False,
    state: Liveness = "live",
    previous: Frame | None = None,
) -> Frame:
    book = market_book(contracts, now_ms, price, tradfi)
    return take(
        book,
        [row.instrument.symbol for row in book],
        seq=seq,
        now_ms=now_ms,
        exchange="binanceusdm",
        title="Binance USD-M",
        demo=demo,
        state=state,
        rule=SpikeRule(),
        previous=previous,
    )
