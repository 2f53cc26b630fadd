"""What an engine knew of an exchange before it ended, and of its contracts' past: where the next one goes on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger
from sqlmodel import Field

from flashcur.models.base import Table


class InstrumentSet(Table, table=True):
    """The contracts of an exchange as they were last: one row an exchange, replaced when they change."""

    exchange: str = Field(primary_key=True, max_length=32)
    """ccxt id."""
    demo: bool = Field(primary_key=True)
    as_of_ms: int = Field(sa_type=BigInteger)
    """When the exchange said so, Unix ms."""
    since_ms: int = Field(sa_type=BigInteger)
    """When the exchange was watched for the first time, Unix ms."""
    contracts: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    """Each with the fields of `domain.ticks.Instrument` that are compared."""


class FundingPayment(Table, table=True):
    """One funding payment of one contract; kept for `services.records.funding_payments.KEPT`."""

    exchange: str = Field(primary_key=True, max_length=32)
    """ccxt id."""
    demo: bool = Field(primary_key=True)
    symbol: str = Field(primary_key=True, max_length=64)
    paid_ms: int = Field(primary_key=True, sa_type=BigInteger)
    """Unix ms."""
    rate: float
    """Fraction of the position, for its own interval."""


class SignalStatistics(Table, table=True):
    """What followed the signals of an exchange, group by group: one row an exchange, computed anew each hour."""

    exchange: str = Field(primary_key=True, max_length=32)
    """ccxt id."""
    demo: bool = Field(primary_key=True)
    computed_ms: int = Field(sa_type=BigInteger)
    """Unix ms."""
    groups: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    """See `services.alerts.statistics`."""
