"""Alerts and deliveries in a test's database, and a channel that needs no provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, select

from flashcur.domain.delivery.message import Message
from flashcur.models import AlertRecord, Delivery, Destination, new_id
from flashcur.services.alerts import receipts
from flashcur.services.notify import outbox
from flashcur.services.notify.channel import Handed, Outgoing, Payload
from tests.support.alerts import alert


@dataclass
class PlainChannel:
    """A channel that renders a message as it is and keeps what it was handed."""

    name: str
    problem: str = ""
    rate: float = 100.0
    recipient_rate: float = 100.0
    own_servers: bool = False
    useful_s: int = 3600
    handed: list[Outgoing] = field(default_factory=list)

    def render(self, message: Message) -> Payload:
        return {"title": message.title, "lines": list(message.lines)}

    async def send(self, outgoing: Outgoing) -> Handed:
        self.handed.append(outgoing)
        return Handed(status="delivered")


def add_alert(session: Session, account_id: str, at_ms: int, **other: Any) -> AlertRecord:
    """An alert of an account that was stored at `at_ms`, chained to the one before."""
    stored = alert(account_id, at_ms - 95, key=f"test:{new_id()}", **other)
    receipts.chain(session, [stored])
    session.add(stored)
    session.flush()
    return stored


def add_delivery(
    session: Session, of: AlertRecord | None, channel: str, at_ms: int, account_id: str = "", **other: Any
) -> Delivery:
    """A delivery of an alert, or of none, in the outbox from `at_ms` on."""
    values: dict[str, Any] = {
        "account_id": account_id or (None if of is None else of.account_id),
        "alert_id": None if of is None else of.id,
        "kind": "alert",
        "channel": channel,
        "payload": {},
        "key": new_id() + new_id(),
        "due_ms": at_ms,
        "expires_ms": at_ms + 3_600_000,
        "created_ms": at_ms,
    }
    [delivery] = outbox.write(session, [Delivery(**values | other)], at_ms)
    session.flush()
    return delivery


def destination_of(session: Session, account_id: str, channel: str) -> Destination:
    """The one destination that an account has of a channel."""
    query = select(Destination).where(Destination.account_id == account_id, Destination.channel == channel)
    return session.exec(query).one()
