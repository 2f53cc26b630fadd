"""What the price did after alerts, as it is found out of signals (`services.alerts.outcomes`): the moves alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

from sqlmodel import Session, col, select, update

from flashcur.domain.signals.aftermath import SPAN_H, Aftermath
from flashcur.domain.signals.outcomes import HORIZONS_H
from flashcur.domain.spikes import HOUR_MS
from flashcur.models import AlertRecord
from flashcur.services.alerts.outcomes import BATCH, Due, Found, hours_between


def look(session: Session, now_ms: int, limit: int = BATCH) -> list[Due]:
    """The alerts that are due at `now_ms` (Unix ms), those that wait longest first; at most `limit`."""
    query = (
        select(AlertRecord)
        .where(col(AlertRecord.due_ms) <= now_ms)
        .order_by(col(AlertRecord.due_ms), col(AlertRecord.id))
        .limit(limit)
    )
    rows = session.exec(query).all()
    by_contract: dict[tuple[str, bool, str], list[int]] = defaultdict(list)
    for alert in rows:
        by_contract[alert.exchange, alert.demo, alert.symbol].append(alert.event_ms)
    hours = {
        contract: hours_between(session, *contract, min(events) - HOUR_MS, max(events) + (SPAN_H + 1) * HOUR_MS)
        for contract, events in by_contract.items()
    }
    return [
        Due(
            cast("int", alert.id),
            alert.exchange,
            alert.demo,
            alert.symbol,
            alert.event_ms,
            _known(alert),
            hours[alert.exchange, alert.demo, alert.symbol],
        )
        for alert in rows
    ]


def write(session: Session, found: Sequence[Found]) -> int:
    """Write down what was found; what is not known stays as it is. Returns how many alerts are done."""
    for each in sorted(found, key=lambda each: each.id):
        moves = {f"change_{hours}h": move * 100 for hours, move in each.aftermath.moves.items() if move is not None}
        values = {**moves, "due_ms": each.due_ms}
        session.exec(update(AlertRecord).where(col(AlertRecord.id) == each.id).values(**values))
    return sum(each.due_ms is None for each in found)


def _known(alert: AlertRecord) -> Aftermath:
    changes = {hours: cast("float | None", getattr(alert, f"change_{hours}h")) for hours in HORIZONS_H}
    moves = {hours: None if change is None else change / 100 for hours, change in changes.items()}
    # The largest moves are not kept of alerts, and so nothing is asked for them.
    return Aftermath(alert.price, moves, first_highest=0.0, first_lowest=0.0, highest=0.0, lowest=0.0)
