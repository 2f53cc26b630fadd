"""An account: a person, however he signs in, and what he pays for."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from sqlmodel import Field

from flashcur.models.base import Table, UtcDateTime


def new_id() -> str:
    """A random identifier, 32 hex digits: nobody can guess another's."""
    return uuid4().hex


class Account(Table, table=True):
    """One row a person. Deleting it deletes everything that refers to it."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    email: str | None = Field(default=None, unique=True, max_length=254)
    """Confirmed and in lower case; None for an account that came by wallet."""
    password_hash: str | None = Field(default=None, max_length=200)
    """Argon2id in PHC form; None where no password was set."""
    plan: str = Field(default="free", max_length=16)
    plan_source: str = Field(default="none", max_length=16)
    """Who granted the plan: `none`, `operator` or `stripe`."""
    plan_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """The plan is Free again from this moment on; None: no end."""
    theme: str = Field(default="system", max_length=8)
    """`system`, `dark` or `light`."""
    time_zone: str = Field(default="UTC", max_length=64)
    """IANA name."""
    table_view: str = Field(default="", max_length=400)
    """How he last arranged the market table, as its address has it."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    password_changed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
