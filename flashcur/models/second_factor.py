"""The second factor of an account: codes by time, and recovery codes for whoever lost them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field

from flashcur.models.account import new_id
from flashcur.models.base import Table, UtcDateTime


class SecondFactor(Table, table=True):
    """The secret of an account's codes. Times are Unix ms."""

    account_id: str = Field(primary_key=True, foreign_key="account.id", ondelete="CASCADE", max_length=32)
    sealed: str = Field(max_length=200)
    """The secret, encrypted under a key made from the secret key: the database alone makes no code."""
    last_step: int = Field(default=0, sa_type=BigInteger)
    """Time step of the newest code that was taken: it and earlier ones are not taken again."""
    created_ms: int = Field(sa_type=BigInteger)
    confirmed_ms: int | None = Field(default=None, sa_type=BigInteger)
    """None: a first code is still to be given, and nobody is asked for one."""


class RecoveryCode(Table, table=True):
    """A code that takes the place of one by time, once: the row is deleted with its use."""

    __table_args__ = (UniqueConstraint("account_id", "code_hash"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", max_length=32)
    code_hash: str = Field(max_length=64)
    """HMAC-SHA-256, hex."""
    created_ms: int = Field(sa_type=BigInteger)


class PendingSignIn(Table, table=True):
    """Who has given a password or signed with a wallet, and is still to give a code. It opens nothing by itself."""

    token_hash: str = Field(primary_key=True, max_length=64)
    """SHA-256 of the cookie's token, hex."""
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    method: str = Field(max_length=16)
    """As `LoginSession.method`."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    ip: str = Field(max_length=45)
    user_agent: str = Field(max_length=200)
    tries: int = 0
    """Wrong codes so far."""
