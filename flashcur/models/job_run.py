"""The last run of each scheduled job."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from flashcur.models.base import Table, UtcDateTime


class JobRun(Table, table=True):
    """One row a job; a new run replaces it."""

    name: str = Field(primary_key=True, max_length=64)
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """None: still running, or the process ended in the middle."""
    ok: bool | None = None
    """None while it has not finished."""
    detail: str = ""
    """One line: what was done, or the error."""
