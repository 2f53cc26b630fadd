"""What the tests of the detectors say a market did."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from flashcur.domain.signals.runner import Runner
from flashcur.domain.signals.signal import DETECTOR_NAMES, DetectorName, Origin, Signal
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.domain.ticks import Candle, Funding, Instrument, OpenInterest, Tick, Ticker

T0 = 1_795_420_800_000
"""A full hour, and a full 8 h of funding."""
MINUTE_MS = 60_000
A, B = "AUSDT", "BUSDT"
ORIGIN = Origin("binanceusdm")
DEMO = Origin("binanceusdm", demo=True)


def at(hour: float) -> int:
    """Unix ms so many hours after T0."""
    return T0 + round(hour * HOUR_MS)


def instrument(symbol: str = A, **terms: object) -> Instrument:
    fields: dict[str, object] = {"tick_size": 0.01, "price_decimals": 2, **terms}
    return Instrument(symbol, symbol.removesuffix("USDT"), **fields)  # pyright: ignore[reportArgumentType]


def runner(
    *symbols: str,
    origin: Origin = ORIGIN,
    rule: SpikeRule | None = None,
    only: Iterable[DetectorName] = DETECTOR_NAMES,
) -> Runner:
    made = Runner(origin, rule=rule, only=only)
    made.take_instruments([instrument(symbol) for symbol in symbols or (A, B)], T0)
    return made


def update(hour: int, minute: float, volume: float, *, up: bool = True, symbol: str = A) -> Candle:
    """The candle of an hour as it is after some minutes."""
    event_ms = at(hour) + round(minute * MINUTE_MS)
    return Candle(symbol, at(hour), 10.0, 12.0, 8.0, 11.0 if up else 9.0, volume, False, event_ms, event_ms)


def close(hour: int, volume: float, *, up: bool = True, symbol: str = A, late_ms: int = 0) -> Candle:
    """The last word on an hour, received so many ms after its end."""
    event_ms = at(hour + 1)
    return Candle(symbol, at(hour), 10.0, 12.0, 8.0, 11.0 if up else 9.0, volume, True, event_ms, event_ms + late_ms)


def ticker(at_ms: int, price: float = 10.0, volume: float = 1e7, symbol: str = A) -> Ticker:
    return Ticker(symbol, price, 1.0, volume, at_ms, at_ms)


def interest(at_ms: int, contracts: float, symbol: str = A) -> OpenInterest:
    return OpenInterest(symbol, contracts, at_ms, at_ms)


def funding(at_ms: int, rate: float, due_ms: int | None = None, symbol: str = A) -> Funding:
    return Funding(symbol, 10.0, rate, due_ms, at_ms, at_ms)


def feed(to: Runner, ticks: Iterable[Tick]) -> list[Signal]:
    return [signal for tick in ticks for signal in to.take(tick)]


def told(signals: Iterable[Signal]) -> list[tuple[str, int]]:
    """(kind, hours after T0) of each."""
    return [(signal.kind, (signal.period_ms - T0) // HOUR_MS) for signal in signals]


def past_hours(volumes: Sequence[float], symbol: str = A) -> list[Candle]:
    """Whole hours that end at T0."""
    return [close(hour - len(volumes), volume, symbol=symbol) for hour, volume in enumerate(volumes)]


def recorded_candles() -> Iterator[tuple[str, list[Candle]]]:
    """(symbol, its recorded hours); skips the test where there are none."""
    folder = os.environ.get("FLASHCUR_MARKET_DATA")
    files = sorted((Path(folder) / "candles-1h").glob("*.csv")) if folder else []
    if not files:
        pytest.skip("no recorded data: set FLASHCUR_MARKET_DATA to the folder with candles-1h")
    for path in files:
        with path.open() as file:
            yield path.stem, [_recorded(path.stem, row) for row in csv.DictReader(file)]


def _recorded(symbol: str, row: dict[str, str]) -> Candle:
    opened, high, low, closed, base = (float(row[name]) for name in ("open", "high", "low", "close", "volume"))
    open_ms = int(row["timestamp"])
    end_ms = open_ms + HOUR_MS
    return Candle(symbol, open_ms, opened, high, low, closed, base * (opened + closed) / 2, True, end_ms, end_ms)
