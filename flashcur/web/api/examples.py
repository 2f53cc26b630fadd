"""An answer of each kind, as the document and the page `/api` show it; the numbers are made up, their form is not."""

from __future__ import annotations

from typing import Any

from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.models import SignalOutcome, SignalRecord
from flashcur.web.api.signals import signal_json

_HOUR_MS = 1_795_435_200_000
_SEEN = {"exchange": "binanceusdm", "demo": False, "as_of": "2026-11-23T13:21:09.000Z"}

_EVIDENCE = Evidence(
    "volume_spike/1",
    (
        Measure("volume", 10_500_000.0, "usd"),
        Measure("volume_before", 3_000_000.0, "usd", "baseline"),
        Measure("ratio", 3.5, "multiple", "deviation"),
        Measure("least_multiple", 3.0, "multiple", "threshold"),
    ),
    "volume",
    9_000_000.0,
)

_SIGNAL = signal_json(
    SignalRecord(
        id=4711,
        key="binanceusdm:1000PEPEUSDT:SPIKE:2026-11-23T12:00Z",
        detector="volume_spike",
        kind="SPIKE",
        exchange="binanceusdm",
        symbol="1000PEPEUSDT",
        base="1000PEPE",
        coin="PEPE",
        demo=False,
        severity=1,
        direction="bullish",
        text="1000PEPE hourly volume $10.50M (3.50× prev) — VOLUME SPIKE",
        price=0.004213,
        period_ms=_HOUR_MS,
        span_ms=3_600_000,
        event_ms=_HOUR_MS + 1_123_010,
        seen_ms=_HOUR_MS + 1_123_052,
        stored_ms=_HOUR_MS + 1_123_071,
        evidence=_EVIDENCE.to_json(),
    ),
    SignalOutcome(signal_id=4711, change_1h=0.84),
)

EXAMPLES: dict[str, dict[str, Any]] = {
    "Markets": {
        **_SEEN,
        "state": "live",
        "rows": [
            {
                "symbol": "BTCUSDT",
                "base": "BTC",
                "asset_class": "crypto",
                "price": 61_234.5,
                "change_pct": 1.23,
                "volume_quote": 12_345_678_901.2,
                "ratio": 1.42,
                "funding_rate": 0.0001,
                "open_interest_usd": 5_432_100_000.0,
                "oi_change_1h_pct": 0.31,
                "funding_interval_hours": 8,
                "next_funding_at": "2026-11-23T16:00:00.000Z",
                "spiking": False,
                "market_closed": False,
                "ages_s": {"funding": 12},
            }
        ],
    },
    "Signals": {**_SEEN, "signals": [_SIGNAL], "next": "1795436323010-4711"},
    "OneSignal": {**_SEEN, "signal": _SIGNAL},
}
"""By the name of the answer's object."""
