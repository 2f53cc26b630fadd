"""Listings and delistings, as they were seen."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, delete, select

from flashcur.models import InstrumentEvent


def record_event(session: Session, event: InstrumentEvent) -> None:
    session.add(event)


def recent_events(session: Session, limit: int = 50) -> list[InstrumentEvent]:
    """The newest first."""
    newest = select(InstrumentEvent).order_by(col(InstrumentEvent.seen_at).desc(), col(InstrumentEvent.id).desc())
    return list(session.exec(newest.limit(limit)))


def prune_events(session: Session, before: datetime) -> int:
    """Delete what was seen before `before`; returns how many."""
    return session.exec(delete(InstrumentEvent).where(col(InstrumentEvent.seen_at) < before)).rowcount


def purge_demo_events(session: Session) -> None:
    session.exec(delete(InstrumentEvent).where(col(InstrumentEvent.demo)))
