"""The last mark's frame of each audience, kept for restarts."""

from __future__ import annotations

from sqlmodel import Session

from flashcur.models import MarkFrame


def save_mark(session: Session, mark: MarkFrame) -> bool:
    """Keep `mark` as its audience's last one. False, and nothing is written, when a newer one is already kept."""
    kept = session.get(MarkFrame, mark.audience)
    if kept is not None and kept.as_of_ms > mark.as_of_ms:
        return False
    session.merge(mark)
    return True


def last_mark(session: Session, audience: str) -> MarkFrame | None:
    """An audience's last mark; None if none was kept."""
    return session.get(MarkFrame, audience)
