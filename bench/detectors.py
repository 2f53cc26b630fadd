"""What detectors cost the engine: a busy market through the book alone, and through the book and all detectors.

500 contracts: each second a price, a rate and an open interest of each, and the candles of 300 four times. That is what
Bybit sends; Binance's open interest is asked for once a minute.
"""

from __future__ import annotations

import random
import time

from bench.options import Options
from bench.report import Table, median, quantile, ratio
from flashcur.domain.book import MarketBook
from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import Origin
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Tick, Ticker

START_MS = 1_795_420_800_000
CONTRACTS, STREAMED = 500, 300
MINUTE_MS = 60_000
HOUR_USD = 4e6


def run(options: Options) -> Table:
    """Measure a second of the market many times, both ways in turn."""
    seconds = 10 if options.quick else 120
    symbols = [f"C{number}USDT" for number in range(CONTRACTS)]
    instruments = [Instrument(symbol, symbol.removesuffix("USDT"), 0.01, 2) for symbol in symbols]
    book, runner = MarketBook(), Runner(Origin("bench"))
    book.set_instruments(instruments)
    runner.take_instruments(instruments, START_MS)
    for target in (book, runner.book):
        _past(target, symbols)
    for symbol in symbols:
        runner.fill_volumes(symbol, [(START_MS - hour * HOUR_MS, HOUR_USD) for hour in range(1, 673)])
    alone: list[float] = []
    watched: list[float] = []
    signals = 0
    ticks_a_second = 0
    for ticks in _market(symbols, seconds):
        ticks_a_second = len(ticks)
        began = time.perf_counter()
        for tick in ticks:
            book.apply(tick)
        turned = time.perf_counter()
        for tick in ticks:
            signals += len(runner.take(tick))
        signals += len(runner.step(ticks[-1].event_ms))
        ended = time.perf_counter()
        alone.append((turned - began) * 1000)
        watched.append((ended - turned) * 1000)
    extra = (median(watched) - median(alone)) / ticks_a_second * 1000
    return Table(
        "detectors",
        ("one second of the market", "p50 ms", "p99 ms", "against the peer"),
        (
            (
                "**the book and all detectors**",
                median(watched),
                quantile(watched, 0.99),
                ratio(median(watched), median(alone)),
            ),
            ("the book alone", median(alone), quantile(alone, 0.99), None),
        ),
        (
            f"{ticks_a_second:,} ticks a second, {seconds} seconds; detectors add {extra:.1f} µs a tick, "
            f"{(median(watched) - median(alone)) / 10:.1f} % of a core; {signals} signals.",
        ),
    )


def _past(book: MarketBook, symbols: list[str]) -> None:
    """The hour before, and open interest of each of its minutes."""
    for symbol in symbols:
        before_ms = START_MS - HOUR_MS
        book.apply(Candle(symbol, before_ms, 10, 12, 8, 11, HOUR_USD, True, START_MS, START_MS))
        for minute in range(66):
            at_ms = START_MS + (minute - 66) * MINUTE_MS
            book.apply(OpenInterest(symbol, 1e6, at_ms, at_ms))


def _market(symbols: list[str], seconds: int) -> list[list[Tick]]:
    draw = random.Random(1)
    volume = dict.fromkeys(symbols, HOUR_USD / 2)
    market: list[list[Tick]] = []
    for second in range(seconds):
        ticks: list[Tick] = []
        for quarter in range(4):
            now = START_MS + HOUR_MS // 2 + second * 1000 + quarter * 250
            for symbol in symbols[:STREAMED]:
                volume[symbol] += draw.random() * 1_000
                ticks.append(Candle(symbol, START_MS, 10, 12, 8, 11, volume[symbol], False, now, now))
        for symbol in symbols:
            ticks.append(Ticker(symbol, 10 + draw.random(), 1.0, 1e7, now, now))
            ticks.append(Funding(symbol, 10, 0.0001, START_MS + 8 * HOUR_MS, now, now))
            ticks.append(OpenInterest(symbol, 1e6 * (1 + draw.random() / 100), now, now))
        market.append(ticks)
    return market
