"""Clocks. Times travel as Unix milliseconds; the database holds aware datetimes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Unix time 0."""
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_ms() -> int:
    """The wall clock, Unix ms."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Ms since a moment that means nothing, by a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime_ns(_STEADY) // 1_000_000


def utc_now() -> datetime:
    """The wall clock, aware and in UTC."""
    return datetime.now(UTC)


def from_ms(unix_ms: int) -> datetime:
    """Unix ms as an aware datetime in UTC."""
    return EPOCH + timedelta(milliseconds=unix_ms)


def to_ms(moment: datetime) -> int:
    """An aware datetime as Unix ms, rounded down. Raises ValueError for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with its zone, was {moment!r}")
    return (moment - EPOCH) // timedelta(milliseconds=1)


def length_ms(span: timedelta) -> int:
    """A length of time in ms, rounded down."""
    return span // timedelta(milliseconds=1)
