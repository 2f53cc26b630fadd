"""An account: a person, however they sign in, and what they pay for."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from sqlalchemy import BigInteger
from sqlmodel import Field

from flashcur.models.base import Table, UtcDateTime


def new_id() -> str:
    """A random identifier, 32 hex digits: nobody can guess another's."""
    return uuid4().hex


class Account(Table, table=True):
    """One row a person. Deleting it deletes everything that refers to it."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    email: str | None = Field(default=None, unique=True, max_length=254)
    """Confirmed, in lower case, its domain in ASCII; None for an account that came by wallet."""
    password_hash: str | None = Field(default=None, max_length=200)
    """Argon2id in PHC form; None where no password was set."""
    plan: str = Field(default="free", max_length=16)
    """Name in `domain.plans`; what it gives at a moment is asked of `services.accounts.entitlement`."""
    plan_source: str = Field(default="none", max_length=16)
    """Who granted the plan: `none`, `operator` or `stripe`."""
    plan_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """From this moment on the plan is `plan_after`; None: no end."""
    plan_after: str = Field(default="free", max_length=16, sa_column_kwargs={"server_default": "free"})
    """Name in `domain.plans`; Free where no time was set."""
    theme: str = Field(default="system", max_length=8)
    """`system`, `dark` or `light`."""
    time_zone: str = Field(default="UTC", max_length=64)
    """IANA name."""
    table_view: str = Field(default="", max_length=400)
    """How the market table was last arranged: the URL-encoded parameters of its address (`domain.view`)."""
    signals_read: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    """`id` of the newest signal that the owner has been shown; what came later is unread."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    password_changed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When a password was last set by a signed-in owner or a reset link; None if never since registering."""
