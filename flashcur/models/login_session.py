"""A browser that is signed in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import false
from sqlmodel import Field

from flashcur.models.account import new_id
from flashcur.models.base import Table, UtcDateTime


class LoginSession(Table, table=True):
    """The cookie's token is kept only as its hash: reading the database does not help to sign in."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    token_hash: str = Field(unique=True, max_length=64)
    """SHA-256 of the token, hex."""
    method: str = Field(max_length=16)
    """`password`, `wallet` or `link`."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    """Last use, to within ten minutes."""
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    ip: str = Field(max_length=45)
    user_agent: str = Field(max_length=200)
    notifies: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Whether the browser has allowed notifications, as its pages last said; it ends with the session."""
    verified_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the second factor was last given in it; None: never."""
