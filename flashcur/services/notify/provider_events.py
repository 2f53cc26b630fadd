"""Call-backs of providers, each taken in once: they come late, twice and out of order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from flashcur.domain.delivery.text_fit import one_line
from flashcur.domain.plans import Channel
from flashcur.models import Account, Delivery, ProviderEvent
from flashcur.services.notify import destinations
from flashcur.services.storage.inserts import insert_into
from flashcur.services.storage.pruning import delete_unlocked

KEPT = timedelta(days=30)
"""How long it is known that an event was taken in; no provider repeats one for longer than some days."""


def is_new(session: Session, source: str, event_id: str, now_ms: int) -> bool:
    """Whether an event is seen for the first time; from then on, with this transaction, it has been."""
    row = {"source": source, "event_id": event_id[:200], "at_ms": now_ms}
    statement = insert_into(session, ProviderEvent).values(row).on_conflict_do_nothing()
    written = session.connection().execute(statement.returning(col(ProviderEvent.event_id)))
    return written.first() is not None


def prune(session: Session, before_ms: int) -> int:
    """Forget events that were taken in before a moment, Unix ms; how many."""
    return delete_unlocked(session, ProviderEvent, col(ProviderEvent.at_ms) < before_ms)


def delivery_of(session: Session, channel: Channel, key: str, provider_id: str) -> Delivery | None:
    """The delivery that a provider speaks of: by our key, or else by what the provider calls it.

    It is locked, and before it the accounts that the event may change: its own, and those that its recipient is a place
    of (docs/decisions/one-order-of-locks.md).
    """
    which = Delivery.key == key if key else Delivery.provider_id == provider_id
    if not (key or provider_id):
        return None
    query = select(Delivery).where(which, Delivery.channel == channel).order_by(col(Delivery.id)).limit(1)
    found = session.exec(query).first()
    if found is None:
        return None
    owners = {found.account_id or ""}
    if channel == "email":
        owners |= set(session.exec(select(Account.id).where(Account.email == found.recipient)))
    destinations.owned_at(session, channel, found.recipient, *(owners - {""}))
    return session.exec(query.with_for_update(), execution_options={"populate_existing": True}).first()


def said(event: Mapping[str, Any], name: str, most: int = 300) -> str:
    """A field's text on one line, without control characters; empty where it is missing or none."""
    value = event.get(name)
    return one_line(value)[:most] if isinstance(value, str) else ""
