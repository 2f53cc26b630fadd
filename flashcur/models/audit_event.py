"""Who did what to an account, and when."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from flashcur.models.base import Table, UtcDateTime


class AuditEvent(Table, table=True):
    """Kept for a year. It outlives its account, without the address it came from."""

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    account_id: str | None = Field(default=None, index=True, max_length=32)
    """None where no account was touched. No foreign key: the event outlives its account."""
    actor: str = Field(max_length=32)
    """`owner`, `operator`, `system` or `nobody` (an attempt that failed)."""
    kind: str = Field(max_length=32)
    """One of `services.accounts.audit.KINDS`."""
    detail: str = Field(default="", max_length=300)
    """A few words; addresses only shortened."""
    ip: str = Field(default="", max_length=45)
    """Empty where it is not known, or was forgotten with the account."""
    user_agent: str = Field(default="", max_length=200)
