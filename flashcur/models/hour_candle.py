"""Closed hours: what baselines are measured against, and what became of a price."""

from __future__ import annotations

from sqlmodel import Field

from flashcur.models.base import Table


class HourCandle(Table, table=True):
    """One closed hour of one contract; kept for `services.records.hour_candles.KEPT`."""

    exchange: str = Field(primary_key=True, max_length=32)
    """ccxt id."""
    demo: bool = Field(primary_key=True)
    symbol: str = Field(primary_key=True, max_length=64)
    hour: int = Field(primary_key=True)
    """Hours since 1970, UTC, at its beginning."""
    open: float
    high: float
    low: float
    close: float
    volume_quote: float
    """In USDT."""
