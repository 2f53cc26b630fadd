"""What changed of an account, for the web processes that show it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from flashcur.models.base import Table, UtcDateTime


class AccountChange(Table, table=True):
    """Written in the transaction of the change; every web process reads the newest ones twice a second."""

    id: int | None = Field(default=None, primary_key=True)
    account_id: str = Field(max_length=32)
    """No foreign key, since the deletion of an account is told as well."""
    at: datetime = Field(sa_type=UtcDateTime, index=True)
