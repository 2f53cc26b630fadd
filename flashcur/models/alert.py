"""Alerts: what rules told their owners, each chained to the one before."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index
from sqlmodel import Field

from flashcur.models.base import Table
from flashcur.models.signal_record import BigId


class AlertRecord(Table, table=True):
    """One alert, as it was when it was stored; never changed."""

    __tablename__ = "alert"  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]
    __table_args__ = (
        Index("ix_alert_account_id_id", "account_id", "id"),
        Index("ix_alert_rule_id_event_ms", "rule_id", "event_ms"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)  # pyright: ignore[reportArgumentType]
    key: str = Field(max_length=160, unique=True)
    """Names what was found: two engines, a replay and a retry store it once."""
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", max_length=32)
    kind: str = Field(default="rule", max_length=12)
    """`rule` (it fired), `missed` (what an outage hid), or `notice` (of a rule or a channel)."""
    rule_id: str | None = Field(default=None, foreign_key="rule.id", ondelete="SET NULL", max_length=32)
    rule_version: int = 0
    exchange: str = Field(default="", max_length=32)
    """ccxt id of the exchange the numbers come from; empty for a notice."""
    symbol: str = Field(default="", max_length=64)
    demo: bool = False
    """Whether the simulated exchange said so: such an alert is shown in the app only, and deleted once real data
    serves."""
    urgent: bool = False
    title: str = Field(max_length=200)
    """The first line of each message: what happened."""
    text: str = Field(max_length=1000)
    """The lines below it."""
    price: float | None = None
    """Last price when it fired, in USDT."""
    evidence: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """Each condition with its value and threshold; of a missed one, what was missed."""
    event_ms: int = Field(sa_type=BigInteger)
    """The exchange's own time of the message that fired, Unix ms."""
    seen_ms: int = Field(sa_type=BigInteger)
    stored_ms: int = Field(sa_type=BigInteger)
    due_ms: int | None = Field(default=None, sa_type=BigInteger, index=True)
    """When something of what followed can be known, Unix ms; None once all is, or where nothing follows."""
    change_1h: float | None = None
    """Change of the price in percent, 1 h later."""
    change_4h: float | None = None
    change_24h: float | None = None
    previous_hash: str = Field(default="", max_length=64)
    """`hash` of the account's alert before; empty for the first."""
    hash: str = Field(max_length=64)
    """SHA-256, hex, of `previous_hash` and what is told above, but for what followed."""
