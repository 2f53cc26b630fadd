"""What was known of each contract when rules were last evaluated, in the database: a start goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, delete, select

from flashcur.domain.signals.signal import Origin
from flashcur.models import InputCheckpoint


def save_checkpoint(session: Session, origin: Origin, values: Mapping[str, Any], as_of_ms: int) -> None:
    """Write it down in place of an older one, as of `as_of_ms` (Unix ms)."""
    row = session.get(InputCheckpoint, (origin.exchange, origin.demo), with_for_update=True)
    if row is None:
        row = InputCheckpoint(exchange=origin.exchange, demo=origin.demo, as_of_ms=as_of_ms, values=dict(values))
        session.add(row)
    elif row.as_of_ms <= as_of_ms:
        row.as_of_ms, row.values = as_of_ms, dict(values)
        session.add(row)


def load_checkpoint(session: Session, origin: Origin) -> tuple[Mapping[str, Any], int] | None:
    """(what is known, as of when in Unix ms) of an exchange; None where rules were evaluated nowhere, or last on
    another exchange: what they missed here they did not miss there."""
    query = select(InputCheckpoint).where(col(InputCheckpoint.demo).is_(origin.demo))
    row = session.exec(query.order_by(col(InputCheckpoint.as_of_ms).desc()).limit(1)).first()
    return None if row is None or row.exchange != origin.exchange else (row.values, row.as_of_ms)


def purge_demo_checkpoints(session: Session) -> int:
    """Delete those of demo data; returns how many."""
    return session.exec(delete(InputCheckpoint).where(col(InputCheckpoint.demo))).rowcount
