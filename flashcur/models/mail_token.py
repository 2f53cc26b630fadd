"""Links that were sent by mail and not yet used."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field

from flashcur.models.account import new_id
from flashcur.models.base import Table, UtcDateTime


class MailToken(Table, table=True):
    """The link holds this row's id and a code computed from it with the secret key, so the database alone opens
    nothing."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    purpose: str = Field(max_length=16)
    """`register`, `reset`, `change-new` or `change-old`."""
    email: str = Field(max_length=254, index=True)
    """Where the link was sent; a `change-old` finds the new address in its partner (`pair`)."""
    account_id: str | None = Field(
        default=None, foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32
    )
    """None for `register`: there is no account before the address is confirmed."""
    password_hash: str | None = Field(default=None, max_length=200)
    """The password chosen at registration; it counts only if this very link is opened."""
    browser_hash: str = Field(default="", max_length=64)
    """SHA-256, hex, of the cookie of the browser that registered; empty for other purposes."""
    next_path: str | None = Field(default=None, sa_type=Text)
    """The path of this site that a registration or reset was begun from, and leads on to; None without one."""
    pair: str | None = Field(default=None, index=True, max_length=32)
    """The same for the two links of one change of address; None for other purposes."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
