"""Signals: what the detectors found, with why; and what the price did afterwards."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, false
from sqlmodel import Field

from flashcur.models.base import Table

BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only what is called INTEGER."""


class SignalRecord(Table, table=True):
    """One signal, as it was when it fired; never changed, kept for `services.alerts.signals.KEPT`."""

    __table_args__ = (
        Index("ix_signal_record_coin_event_ms", "coin", "event_ms"),
        Index("ix_signal_record_detector_event_ms", "detector", "event_ms"),
        Index("ix_signal_record_detector_found", "detector", "severity", "direction", "event_ms"),
        Index("ix_signal_record_coin_found", "coin", "severity", "event_ms"),
        Index("ix_signal_record_quadrant_found", "quadrant", "severity", "event_ms"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)  # pyright: ignore[reportArgumentType]
    key: str = Field(max_length=160, unique=True)
    """Names what was found, whoever finds it and however often: two engines and a replay store it once."""
    detector: str = Field(max_length=24)
    kind: str = Field(max_length=24)
    exchange: str = Field(max_length=32)
    """ccxt id of the exchange the numbers come from."""
    symbol: str = Field(max_length=64)
    base: str = Field(max_length=64)
    coin: str = Field(max_length=64)
    """The coin that `base` counts (`domain.multiples`): what is asked for by name."""
    demo: bool
    """Whether the simulated exchange said so; deleted once real data serves."""
    severity: int
    """1 to 3."""
    direction: str = Field(max_length=12)
    """`bullish`, `bearish` or `none`."""
    quadrant: str = Field(default="", max_length=24)
    """Of open interest and price, where there is one."""
    text: str = Field(max_length=300)
    """The signal in one line."""
    price: float | None = None
    """Last price when it fired, in USDT."""
    period_ms: int = Field(sa_type=BigInteger)
    """Beginning of the hour, window or funding period that it belongs to, Unix ms."""
    span_ms: int = Field(sa_type=BigInteger)
    """How long that is, in ms; 0 where there is none."""
    event_ms: int = Field(sa_type=BigInteger, index=True)
    """The exchange's own time of the message that fired, Unix ms."""
    seen_ms: int = Field(sa_type=BigInteger)
    """When that message was received, Unix ms."""
    stored_ms: int = Field(sa_type=BigInteger, index=True)
    """When it was written down, Unix ms."""
    evidence: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """What was measured and against what; see `domain.signals`."""


class SignalEpisode(Table, table=True):
    """Where a contract stands to a region of a detector, which signals alone do not say; replaced when it changes."""

    exchange: str = Field(primary_key=True, max_length=32)
    """ccxt id."""
    demo: bool = Field(primary_key=True)
    detector: str = Field(primary_key=True, max_length=24)
    symbol: str = Field(primary_key=True, max_length=64)
    part: str = Field(primary_key=True, max_length=8)
    """Which of the detector's regions; empty where it has one."""
    inside: int
    """0 outside; inside, the highest severity of the visit, with the sign of its direction."""
    at_ms: int = Field(sa_type=BigInteger)
    """The exchange's time of the message that said so, Unix ms."""


class SignalOutcome(Table, table=True):
    """What the price did after a signal; filled in as it becomes known."""

    signal_id: int = Field(
        primary_key=True,
        foreign_key="signal_record.id",
        ondelete="CASCADE",
        sa_type=BigId,  # pyright: ignore[reportArgumentType]
    )
    due_ms: int | None = Field(default=None, sa_type=BigInteger, index=True)
    """When the next value can be known, Unix ms; None once all are, or never will be."""
    change_1h: float | None = None
    """Change of the price in percent, 1 h later."""
    change_4h: float | None = None
    change_24h: float | None = None
    highest: float | None = None
    """Largest rise above the price of the signal within 24 h, in percent, at least 0."""
    lowest: float | None = None
    """Largest fall below it within 24 h, in percent, at most 0."""
    highest_1h: float | None = None
    """The same within 1 h: all that is kept of the minutes after the signal."""
    lowest_1h: float | None = None
    price: float | None = None
    """What changes are measured from, in USDT: the price of the signal, or the first after it."""
    by_hours: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Whether a change was taken from hourly closes, up to half an hour off, as its minute could not be had."""
