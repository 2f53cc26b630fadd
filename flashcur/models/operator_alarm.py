"""What an operator should look at."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index
from sqlmodel import Field

from flashcur.models.base import Table


class OperatorAlarm(Table, table=True):
    """One row for each cause, however often it is seen. Times are Unix ms."""

    __table_args__ = (Index("ix_operator_alarm_cleared_ms_last_ms", "cleared_ms", "last_ms"),)

    key: str = Field(primary_key=True, max_length=200)
    """Kind and subject: the same cause has the same key."""
    kind: str = Field(max_length=32)
    subject: str = Field(max_length=160)
    """What it is about: an id of Stripe's, or two with a space between."""
    account_id: str | None = Field(
        default=None, foreign_key="account.id", ondelete="SET NULL", index=True, max_length=32
    )
    text: str = Field(max_length=500)
    at_ms: int = Field(sa_type=BigInteger)
    """First seen."""
    last_ms: int = Field(sa_type=BigInteger)
    times: int = 1
    cleared_ms: int | None = Field(default=None, sa_type=BigInteger)
    """None: it is still to be looked at."""
    cleared_by: str = Field(default="", max_length=32)
    """Id of the administrator's account."""
    reason: str = Field(default="", max_length=300)
    """Why it was cleared, in their words."""
