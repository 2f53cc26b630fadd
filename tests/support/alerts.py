"""Alerts of tests: as an engine would store them, each an hour after the one before unless told otherwise."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from flashcur.models import AlertRecord
from flashcur.services.kit.clock import to_ms

NOON_MS = to_ms(datetime(2026, 11, 27, 12, 0, 1, 234_000, tzinfo=UTC))
DOGS_MOVED = [
    "“Dogs”",
    "The exchange calls 1000SHIBUSDT SHIBUSDT now. The rule watches it under this name.",
    "SHIBUSDT counts 1 SHIB instead of 1,000: its price is 1/1,000 of the price before.",
    "Each price in the rule was rescaled with it: 0.011 USDT is 0.000011 USDT now.",
    "It starts anew: what happened before does not count.",
]
"""What the owner of a rule named "Dogs" is told, above 0.011 USDT before 1000SHIBUSDT got its other name."""
_numbers = itertools.count(1)


def alert(account_id: str, event_ms: int = NOON_MS, **changes: Any) -> AlertRecord:
    """An alert that a rule gave, neither chained nor added."""
    fields: dict[str, Any] = {
        "key": f"rule:{next(_numbers)}",
        "kind": "rule",
        "rule_version": 1,
        "exchange": "binanceusdm",
        "symbol": "BTCUSDT",
        "title": "BTCUSDT crossed above 65,000",
        "text": "Price 65,010 (at or above 65,000)",
        "price": 65_010.0,
        "evidence": {"readings": [{"value": 65_010.0, "threshold": 65_000.0}]},
        "event_ms": event_ms,
        "seen_ms": event_ms + 80,
        "stored_ms": event_ms + 95,
        "hash": "",
    }
    return AlertRecord(account_id=account_id, **(fields | changes))
