"""The past of one contract through the same runner that watches it live.

Each row of the past is the tick that told it: an hourly candle its close, a payment the last rate before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from flashcur.domain.ages import LIQUID
from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import DetectorName, Origin, Signal
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Ticker

_BEFORE_PAYMENT_MS = 1_000
"""So long before a payment its rate is said."""

CandleRow = tuple[int, float, float, float, float, float]
"""(beginning of the hour in Unix ms, open, high, low, close, quote volume), USDT."""
OpenInterestRow = tuple[int, float, float, float | None]
"""(Unix ms, contracts in base units, price, quote volume of 24 h or None for a liquid contract), USDT."""
PaymentRow = tuple[int, float, int, float]
"""(Unix ms, fraction paid, hours since the payment before, price in USDT)"""


def replay_candles(
    origin: Origin, symbol: str, rows: Iterable[CandleRow], detector: DetectorName, rule: SpikeRule | None = None
) -> Iterator[Signal]:
    """Signals of `volume_spike` or `adaptive_spike` over closed hourly candles, in order of time."""
    runner = _runner(origin, symbol, detector, rule)
    take = runner.take
    for open_ms, opened, high, low, close, volume in rows:
        end_ms = open_ms + HOUR_MS
        yield from take(Candle(symbol, open_ms, opened, high, low, close, volume, True, end_ms, end_ms))


def replay_open_interest(origin: Origin, symbol: str, rows: Iterable[OpenInterestRow]) -> Iterator[Signal]:
    """Surges over values of open interest, in order of time, a minute or more apart."""
    runner = _runner(origin, symbol, "open_interest")
    for at_ms, contracts, price, volume in rows:
        runner.take(Ticker(symbol, price, 0.0, LIQUID.enter if volume is None else volume, at_ms, at_ms))
        yield from runner.take(OpenInterest(symbol, contracts, at_ms, at_ms))


def replay_funding(origin: Origin, symbol: str, rows: Iterable[PaymentRow]) -> Iterator[Signal]:
    """Extremes over funding payments, in order of time."""
    runner = _runner(origin, symbol, "funding")
    instrument = _instrument(symbol)
    for paid_ms, rate, hours, price in rows:
        if hours != instrument.funding_interval_hours:
            instrument = replace(instrument, funding_interval_hours=hours)
            runner.take_instruments([instrument], paid_ms)
        said_ms = paid_ms - _BEFORE_PAYMENT_MS
        yield from runner.take(Funding(symbol, price, rate, paid_ms, said_ms, said_ms))


def _runner(origin: Origin, symbol: str, detector: DetectorName, rule: SpikeRule | None = None) -> Runner:
    runner = Runner(origin, rule=rule, only=(detector,))
    runner.take_instruments([_instrument(symbol)], 0)
    return runner


def _instrument(symbol: str) -> Instrument:
    return Instrument(symbol, symbol.removesuffix("USDT") or symbol, 1e-8, 8)
