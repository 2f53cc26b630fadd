"""How long the detectors of each contract saw and were blind, day by day."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlmodel import Field

from flashcur.models.base import Table


class SilenceDay(Table, table=True):
    """One contract on one day (UTC); the times are in ms and add up to what of the day has been accounted for."""

    exchange: str = Field(primary_key=True, max_length=32)
    """ccxt id."""
    demo: bool = Field(primary_key=True)
    day: int = Field(primary_key=True)
    """Days since 1970."""
    symbol: str = Field(primary_key=True, max_length=64)
    seen: int
    stale: int
    """Blind because values were older than their allowance; the following by the other causes."""
    switch: int
    no_baseline: int
    engine_away: int
    not_begun: int
    """Before the exchange was watched for the first time: neither seen nor blind."""
    until_ms: int = Field(sa_type=BigInteger)
    """Up to when the contract's time is accounted for, Unix ms."""
