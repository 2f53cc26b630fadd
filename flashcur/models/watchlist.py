"""Watchlists: named lists of contracts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from flashcur.models.account import new_id
from flashcur.models.base import Table, UtcDateTime


class Watchlist(Table, table=True):
    """One list of an account. Names are unique within the account, whatever their case."""

    __table_args__ = (UniqueConstraint("account_id", "name_key"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    account_id: str = Field(foreign_key="account.id", ondelete="CASCADE", index=True, max_length=32)
    name: str = Field(max_length=60)
    name_key: str = Field(max_length=120)
    """What makes names the same (`domain.watchlists.name_key`)."""
    position: int
    """Place in the order of the account's lists, from 0; those past the plan's number are read-only."""
    created_at: datetime = Field(sa_type=UtcDateTime)


class WatchlistItem(Table, table=True):
    """A contract in a list, by the exchange's own symbol."""

    watchlist_id: str = Field(foreign_key="watchlist.id", ondelete="CASCADE", primary_key=True, max_length=32)
    symbol: str = Field(primary_key=True, max_length=64)
    position: int
    """Rises in the order of the list; gaps may be left."""
