"""Signals as detectors make them, for tests of what comes after."""

from __future__ import annotations

from dataclasses import replace

from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.signal import Origin, Signal

NOON_MS = 1_795_435_200_000
"""A quarter hour."""
MINUTE_MS = 60_000
REAL = Origin("binanceusdm")
DEMO = Origin("binanceusdm", demo=True)


def signal(number: int = 0, *, base: str = "BTC", minutes: float = 0.0, **other: object) -> Signal:
    """One signal; `minutes` before noon."""
    event_ms = NOON_MS - int(minutes * MINUTE_MS)
    made = Signal(
        key=f"{base}:{number}:{minutes}",
        detector="volume_spike",
        kind="SPIKE",
        origin=REAL,
        symbol=f"{base}USDT",
        base=base,
        severity=1,
        direction="bullish",
        text=f"{base} hourly volume $10.50B (3.50× prev) — VOLUME SPIKE",
        period_ms=event_ms // 3_600_000 * 3_600_000,
        span_ms=3_600_000,
        event_ms=event_ms,
        seen_ms=event_ms + 40,
        price=61_234.5,
        evidence=Evidence("volume_spike/1", (Measure("volume", 10.5e9, "usd"),), "volume", 9e9),
    )
    return replace(made, **other)  # pyright: ignore[reportArgumentType]
