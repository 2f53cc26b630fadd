"""A market of many contracts that moves as a busy exchange does, for programs that measure frames."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from flashcur.domain.book import MarketBook
from flashcur.domain.frames import Frame, take
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Ticker

MOVING_SHARE = 0.7
"""Contracts whose price moves within a second, as in the recorded hours of the real exchange."""


class Market:
    """A book whose prices wander from a seed."""

    def __init__(self, contracts: int = 500, seed: int = 1) -> None:
        self._random = random.Random(seed)
        draw = self._random
        self.book = MarketBook()
        self.order = [f"C{number}USDT" for number in range(contracts)]
        self._prices = [10 ** draw.uniform(-3, 4.5) for _ in self.order]
        self._volumes = [10 ** draw.uniform(5.5, 9.8) for _ in self.order]
        self._hours = [volume / 24 * draw.uniform(0.2, 1.5) for volume in self._volumes]
        self._changes = [draw.gauss(0, 4) for _ in self.order]
        self._rates = [draw.gauss(0.0001, 0.0001) for _ in self.order]
        self.book.set_instruments(
            Instrument(symbol, symbol.removesuffix("USDT"), 0.01, max(2, 5 - int(price).bit_length() // 3))
            for symbol, price in zip(self.order, self._prices, strict=True)
        )
        self.book.set_streamed_candles(self.order)
        now = now_ms()
        for symbol, volume in zip(self.order, self._volumes, strict=True):
            hour = now // HOUR_MS * HOUR_MS - HOUR_MS
            self.book.apply(Candle(symbol, hour, 1, 2, 1, 1.5, volume / 24, True, hour + HOUR_MS - 1, now))

    def move(self, now: int) -> None:
        """One second of trading."""
        draw = self._random
        for number, symbol in enumerate(self.order):
            if draw.random() < MOVING_SHARE:
                step = draw.gauss(0, 0.0004)
                self._prices[number] *= 1 + step
                self._changes[number] += step * 100
                self._volumes[number] *= 1 + draw.random() * 1e-4
                self._hours[number] *= 1 + draw.random() * 1e-3
            price, volume = self._prices[number], self._volumes[number]
            self.book.apply(Ticker(symbol, price, self._changes[number], volume, now, now))
            self.book.apply(Funding(symbol, price, self._rates[number], now // HOUR_MS * HOUR_MS + HOUR_MS, now, now))
            self.book.apply(
                Candle(symbol, now // HOUR_MS * HOUR_MS, 1, 2, 1, 1.5, self._hours[number], False, now, now)
            )
            if draw.random() < 1 / 15:
                self.book.apply(OpenInterest(symbol, volume / price * 0.3, now, now))

    def frames(self) -> Iterator[Frame]:
        """Frames one second of trading apart, as fast as they are asked for."""
        previous: Frame | None = None
        seq = 0
        while True:
            seq += 1
            now = now_ms()
            self.move(now)
            previous = self.frame(seq, now, previous)
            yield previous

    def frame(self, seq: int, now: int, previous: Frame | None) -> Frame:
        return take(
            self.book,
            self.order,
            seq=seq,
            now_ms=now,
            exchange="binanceusdm",
            title="Binance USD-M",
            demo=True,
            state="live",
            rule=SpikeRule(),
            previous=previous,
        )


def now_ms() -> int:
    return int(time.time() * 1000)
