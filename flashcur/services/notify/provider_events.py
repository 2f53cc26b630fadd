"""Call-backs of providers, each taken in once: they come late, twice and out of order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from flashcur.domain.plans import Channel
from flashcur.models import Delivery, ProviderEvent
from flashcur.services.storage.inserts import insert_into


def is_new(session: Session, source: str, event_id: str, now_ms: int) -> bool:
    """Whether an event is seen for the first time; from then on, with this transaction, it has been."""
    row = {"source": source, "event_id": event_id[:200], "at_ms": now_ms}
    statement = insert_into(session, ProviderEvent).values(row).on_conflict_do_nothing()
    return session.connection().execute(statement).rowcount == 1


def delivery_of(session: Session, channel: Channel, key: str, provider_id: str) -> Delivery | None:
    """The delivery that a provider speaks of, locked: by our key, or else by what the provider calls it."""
    which = Delivery.key == key if key else Delivery.provider_id == provider_id
    if not (key or provider_id):
        return None
    query = select(Delivery).where(which, Delivery.channel == channel).order_by(col(Delivery.id)).limit(1)
    return session.exec(query.with_for_update(), execution_options={"populate_existing": True}).first()


def said(event: Mapping[str, Any], name: str, most: int = 300) -> str:
    """A field's text on one line; empty where it is missing or none."""
    value = event.get(name)
    return " ".join(value.split())[:most] if isinstance(value, str) else ""
