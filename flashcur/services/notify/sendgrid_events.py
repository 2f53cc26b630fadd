"""What SendGrid says became of mail (its Event Webhook): whether it said so, and what follows."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import orjson
from sqlmodel import Session, select

from flashcur.models import Account, Delivery
from flashcur.services.alerts.alerts import Deliver
from flashcur.services.notify import destinations, outbox, stops
from flashcur.services.notify.port import KEY_ARG
from flashcur.services.notify.provider_events import delivery_of, is_new, said

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"
FRESH_S = 600
"""How far the signed time may be from ours, in seconds: what is older was copied."""
MOST_EVENTS = 5_000
"""Of one request; SendGrid sends some hundreds."""

_DROPPED = {
    "bounced address": "bounce",
    "spam reporting address": "complaint",
    "unsubscribed address": "unsubscribe",
    "invalid": "bounce",
}
"""Why SendGrid itself did not send, by how its reason begins, and what that says of the address."""


class EventSignatures:
    """Checks that events are SendGrid's, by its public key."""

    def __init__(self, public_key: str) -> None:
        """`public_key`: as SendGrid shows it. Raises ValueError for what is no key of an elliptic curve."""
        self._webhook: Any = import_module("sendgrid.helpers.eventwebhook").EventWebhook(public_key)
        if not hasattr(self._webhook.public_key, "curve"):
            raise ValueError("expected the key of an elliptic curve")

    def are_right(self, body: bytes, signature: str, timestamp: str, now_s: float) -> bool:
        """Whether SendGrid signed exactly these bytes, at a time (Unix seconds, as text) that is near `now_s`."""
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12):
            return False
        if abs(int(timestamp) - now_s) > FRESH_S:
            return False
        try:
            return bool(self._webhook.verify_signature(body.decode(), signature, timestamp))
        except (UnicodeDecodeError, binascii.Error, ValueError):
            return False


def parse(body: bytes) -> list[Mapping[str, Any]]:
    """The events of a request. Raises ValueError for what is no list of objects."""
    events = orjson.loads(body)
    if not isinstance(events, list) or len(cast("list[object]", events)) > MOST_EVENTS:
        raise ValueError(f"expected a list of at most {MOST_EVENTS:,} events")
    return [cast("Mapping[str, Any]", each) for each in cast("list[object]", events) if isinstance(each, dict)]


def take_in(session: Session, event: Mapping[str, Any], now_ms: int, deliver: Deliver) -> bool:
    """Note one event in the caller's transaction; whether it was new and of a mail of ours."""
    kind, event_id = said(event, "event"), said(event, "sg_event_id", 200)
    if kind not in _HANDLERS or not event_id:
        return False
    message_id = said(event, "sg_message_id", 200).partition(".")[0]
    delivery = delivery_of(session, "email", said(event, KEY_ARG, 64), message_id)
    # Others may send with the same SendGrid account.
    if delivery is None or not is_new(session, "sendgrid", event_id, now_ms):
        return False
    _HANDLERS[kind](session, delivery, event, now_ms, deliver)
    return True


def _delivered(session: Session, delivery: Delivery, event: Mapping[str, Any], now_ms: int, deliver: Deliver) -> None:
    outbox.told(session, delivery, "delivered", now_ms, said(event, "response"))


def _bounced(session: Session, delivery: Delivery, event: Mapping[str, Any], now_ms: int, deliver: Deliver) -> None:
    reason = said(event, "reason")
    outbox.told(session, delivery, "bounced", now_ms, reason)
    # `blocked` is for now: a full mailbox, a filter, a list that the sender is on.
    if said(event, "type") != "blocked":
        _shut(session, delivery, "bounce", reason, now_ms, deliver)


def _dropped(session: Session, delivery: Delivery, event: Mapping[str, Any], now_ms: int, deliver: Deliver) -> None:
    reason = said(event, "reason")
    outbox.told(session, delivery, "bounced", now_ms, reason or "SendGrid did not send it.")
    for begin, why in _DROPPED.items():
        if reason.lower().startswith(begin):
            _shut(session, delivery, why, reason, now_ms, deliver)


def _reported(session: Session, delivery: Delivery, event: Mapping[str, Any], now_ms: int, deliver: Deliver) -> None:
    _shut(session, delivery, "complaint", "Reported as spam.", now_ms, deliver)


def _unsubscribed(
    session: Session, delivery: Delivery, event: Mapping[str, Any], now_ms: int, deliver: Deliver
) -> None:
    _shut(session, delivery, "unsubscribe", "", now_ms, deliver)


_HANDLERS = {
    "delivered": _delivered,
    "bounce": _bounced,
    "dropped": _dropped,
    "spamreport": _reported,
    "unsubscribe": _unsubscribed,
    "group_unsubscribe": _unsubscribed,
}
"""By the event's name; the others (processed, deferred, open, click) change nothing here."""


def _shut(session: Session, delivery: Delivery, reason: str, detail: str, now_ms: int, deliver: Deliver) -> None:
    """Send no more alerts to the address. Who unsubscribed may turn it on again; the rest is the address's matter."""
    if reason != "unsubscribe":
        destinations.suppress(session, "email", delivery.recipient, reason, detail, now_ms)
    why = {"bounce": stops.BOUNCED, "complaint": stops.COMPLAINED}.get(reason, stops.UNSUBSCRIBED)
    owner = session.exec(select(Account.id).where(Account.email == delivery.recipient)).first()
    if owner is not None:
        stops.stop_mail(session, owner, why, now_ms, None if reason == "unsubscribe" else deliver)
