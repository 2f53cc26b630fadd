"""Contracts that appeared on an exchange or left it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from flashcur.models.base import Table, UtcDateTime


class InstrumentEvent(Table, table=True):
    """One row each time a contract appears or leaves; kept for 90 days."""

    id: int | None = Field(default=None, primary_key=True)
    exchange: str = Field(max_length=32)
    """ccxt id."""
    symbol: str = Field(max_length=64)
    """The exchange's own id of the contract."""
    kind: str = Field(max_length=16)
    """`listed` or `delisted`."""
    demo: bool
    """Whether the simulated exchange said so; deleted once real data serves."""
    seen_at: datetime = Field(sa_type=UtcDateTime, index=True)
