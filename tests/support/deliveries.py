"""Deliveries for tests: rows of the outbox, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlmodel import col, select

from flashcur.models import Delivery, DeliveryStep
from flashcur.services.notify import outbox
from flashcur.services.storage.database import Database

NOW = 1_800_000_000_000
"""Unix ms; the time of tests whose clock stands."""
HOUR = 3_600_000


def delivery(recipient: str = "chat 1", channel: str = "telegram", **said: Any) -> Delivery:
    """A message of use for an hour, due at once."""
    now_ms = said.pop("now_ms", NOW)
    values: dict[str, Any] = {
        "kind": "alert",
        "due_ms": now_ms,
        "expires_ms": now_ms + HOUR,
        "payload": {"text": f"to {recipient}"},
        "key": "",
        **said,
    }
    return Delivery(channel=channel, recipient=recipient, **values)


def put(database: Database, *deliveries: Delivery, now_ms: int = NOW) -> list[int]:
    """Write them in; their ids."""
    with database.session() as session:
        return [row.id or 0 for row in outbox.write(session, deliveries, now_ms)]


def stored(database: Database, delivery_id: int) -> Delivery:
    with database.session(readonly=True) as session:
        return session.get_one(Delivery, delivery_id)


def all_stored(database: Database) -> list[Delivery]:
    """What leaves the machine; the app's own is there from the beginning."""
    with database.session(readonly=True) as session:
        query = select(Delivery).where(Delivery.channel != "in-app")
        return list(session.exec(query.order_by(col(Delivery.id))))


def statuses(database: Database) -> list[str]:
    return [row.status for row in all_stored(database)]


def ledger(database: Database, delivery_id: int) -> list[tuple[str, int, str]]:
    """(status, Unix ms, detail) of each step, in order."""
    with database.session(readonly=True) as session:
        steps = session.exec(
            select(DeliveryStep).where(DeliveryStep.delivery_id == delivery_id).order_by(col(DeliveryStep.id))
        )
        return [(step.status, step.at_ms, step.detail) for step in steps]


def way(database: Database, delivery_id: int) -> list[str]:
    """The statuses that a delivery has been through."""
    return [status for status, _, _ in ledger(database, delivery_id)]


def claim(
    database: Database, now_ms: int = NOW, room: int = 10, channels: Iterable[str] = ("telegram",), **more: Any
) -> list[outbox.Claimed]:
    with database.session() as session:
        return outbox.claim_due(session, now_ms, dict.fromkeys(channels, room), **more)
