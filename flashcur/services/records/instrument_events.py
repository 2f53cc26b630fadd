"""Listings and delistings, as they were seen."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, delete

from flashcur.models import InstrumentEvent


def record_event(session: Session, event: InstrumentEvent) -> None:
    """Add an event in the caller's transaction."""
    session.add(event)


def prune_events(session: Session, before: datetime) -> int:
    """Delete what was seen before `before`; returns how many."""
    return session.exec(delete(InstrumentEvent).where(col(InstrumentEvent.seen_at) < before)).rowcount


def purge_demo_events(session: Session) -> None:
    """Delete what was seen on demo data."""
    session.exec(delete(InstrumentEvent).where(col(InstrumentEvent.demo)))
