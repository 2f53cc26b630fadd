"""Contracts that appeared on an exchange or left it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from flashcur.models.base import Table, UtcDateTime


class InstrumentEvent(Table, table=True):
    id: int | None = Field(default=None, primary_key=True)
    exchange: str = Field(max_length=32)
    symbol: str = Field(max_length=64)
    kind: str = Field(max_length=16)
    """`listed` or `delisted`."""
    demo: bool
    seen_at: datetime = Field(sa_type=UtcDateTime, index=True)
