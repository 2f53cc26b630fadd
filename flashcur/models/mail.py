"""The outbox: mail to be sent, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from flashcur.models.base import Table, UtcDateTime


class Mail(Table, table=True):
    """Written in the transaction that causes it; text and links are made when it is sent."""

    id: int | None = Field(default=None, primary_key=True)
    recipient: str = Field(index=True, max_length=254)
    """With its domain in ASCII."""
    template: str = Field(max_length=32)
    """Name in `services.notify.templates`."""
    values: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """What the template is filled in with, by name; never a secret."""
    status: str = Field(default="queued", max_length=16)
    """`queued`, `sent` (handed to the provider, or written to a file) or `dead`."""
    attempts: int = 0
    """How often it was claimed to be sent."""
    due_at: datetime = Field(sa_type=UtcDateTime, index=True)
    """When it is to be tried next; while it is being sent, when it counts as abandoned."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    provider_id: str | None = Field(default=None, max_length=128)
    """What the provider calls it; None until it was handed over."""
    problem: str = Field(default="", max_length=300)
    """Why the last attempt failed."""
