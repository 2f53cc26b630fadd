"""Keys by which programs of an account's owner use the API."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from flashcur.models.account import new_id
from flashcur.models.base import Table, UtcDateTime


class ApiKey(Table, table=True):
    """Kept as its hash; its owner sees the key once."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    key_hash: str = Field(unique=True, max_length=64)
    """SHA-256 of the key, hex."""
    hint: str = Field(max_length=8)
    """Its last four characters, by which its owner tells it from another."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Last use, to within ten minutes; None before the first."""
