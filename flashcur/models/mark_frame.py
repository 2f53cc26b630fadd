"""The last mark's frame of each audience: what a delayed plan sees until its next mark, also after a restart."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlmodel import Field

from flashcur.models.base import Table


class MarkFrame(Table, table=True):
    """One row an audience; a newer mark replaces it."""

    audience: str = Field(primary_key=True, max_length=16)
    as_of_ms: int = Field(sa_type=BigInteger)
    """The frame's time, at or soon after the mark, Unix ms."""
    exchange: str = Field(max_length=32)
    demo: bool
    payload: bytes
    """The encoded frame, as the engine publishes snapshots."""
