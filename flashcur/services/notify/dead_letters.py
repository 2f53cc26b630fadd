"""Messages that an operator looks at: those that were given up, those of which nobody knows whether they arrived, and
those that are due and not taken up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlmodel import Session, col, select

from flashcur.domain.delivery.status import DUE
from flashcur.errors import NotFound, Refusal
from flashcur.models import Delivery, DeliveryStep
from flashcur.services.notify import outbox

Trouble = Literal["dead", "uncertain", "stalled"]
TROUBLES: tuple[Trouble, ...] = get_args(Trouble)

STALLED_MS = 5 * 60_000
"""What has been due for so long is stalled."""
LEAST_USEFUL_MS = 3_600_000
"""For how long a message that is sent again is of use at least."""
MOST = 1_000
"""Messages that are looked at, or sent again, at once."""

_NO_ID = 2**63

AGAIN = "Sent again by this site’s operator."
CANCELLED = "Cancelled by this site’s operator."


@dataclass(frozen=True, slots=True)
class Letter:
    """A message and its ledger."""

    delivery: Delivery
    steps: Sequence[DeliveryStep]

    @property
    def to(self) -> str:
        """Where it goes, without what would let anybody write there: some addresses are secrets."""
        return shown(self.delivery)


def shown(delivery: Delivery) -> str:
    """Its recipient, shortened: two letters and the domain of an address, the host of a URL, else the last two."""
    recipient = delivery.recipient
    if "://" in recipient:
        return f"{'/'.join(recipient.split('/')[:3])}/…"
    name, at, host = recipient.rpartition("@")
    if at:
        return f"{name[:2]}…@{host}"
    return f"…{recipient[-2:]}" if recipient else "–"


def find(
    session: Session, now_ms: int, troubles: Sequence[Trouble] = TROUBLES, channel: str = "", limit: int = MOST
) -> Sequence[Delivery]:
    """Messages in trouble, the newest first, of one channel or of all."""
    found: list[Delivery] = []
    for trouble in troubles:
        query = select(Delivery).order_by(col(Delivery.id).desc()).limit(limit)
        if trouble == "stalled":
            query = query.where(col(Delivery.status).in_(DUE), col(Delivery.due_ms) < now_ms - STALLED_MS)
        else:
            query = query.where(Delivery.status == trouble)
        found += session.exec(query.where(Delivery.channel == channel) if channel else query)
    unique = {row.id: row for row in found}
    return sorted(unique.values(), key=lambda row: -(row.id or 0))[:limit]


def read(session: Session, delivery_id: int) -> Letter:
    """One message. Raises NotFound."""
    delivery = _found(session, delivery_id)
    return Letter(delivery, outbox.steps(session, [delivery_id])[delivery_id])


def retry(session: Session, delivery_id: int, now_ms: int) -> Delivery:
    """Send a message again, as it was frozen and under its key. Raises NotFound and Refusal.

    What has arrived is not sent again, nor mail whose link is no longer valid.
    """
    delivery = _locked(session, delivery_id)
    if delivery.status not in ("dead", "expired", "bounced", "retrying", "uncertain"):
        raise Refusal(f"The message {delivery_id} is {delivery.status}: expected one that has not arrived.")
    span_ms = delivery.expires_ms - delivery.created_ms
    if delivery.kind == "mail":
        if delivery.expires_ms <= now_ms:
            raise Refusal(
                f"The message {delivery_id} is mail of an account whose time is over: it has to be asked anew."
            )
        span_ms = delivery.expires_ms - now_ms
        outbox.again(session, delivery, now_ms, span_ms, AGAIN)
    else:
        outbox.again(session, delivery, now_ms, max(span_ms, LEAST_USEFUL_MS), AGAIN)
    return delivery


def retry_dead(session: Session, channel: str, now_ms: int) -> int:
    """Send all of a channel again that were given up, `MOST` at most; how many. Mail that is too old is left."""
    done = 0
    for delivery in find(session, now_ms, ("dead",), channel):
        if delivery.kind != "mail" or delivery.expires_ms > now_ms:
            retry(session, delivery.id or 0, now_ms)
            done += 1
    return done


def cancel(session: Session, delivery_id: int, now_ms: int) -> Delivery:
    """Have a message that waits be sent no more. Raises NotFound, and Refusal for one that has left or ended."""
    delivery = _locked(session, delivery_id)
    if delivery.status not in ("held", "queued", "retrying", "uncertain"):
        raise Refusal(f"The message {delivery_id} is {delivery.status}: expected one that waits.")
    outbox.give_up(session, delivery, CANCELLED, now_ms)
    return delivery


def _locked(session: Session, delivery_id: int) -> Delivery:
    return _found(session, delivery_id, lock=True)


def _found(session: Session, delivery_id: int, *, lock: bool = False) -> Delivery:
    delivery = None
    # No database takes a longer number, let alone has it.
    if abs(delivery_id) < _NO_ID:
        delivery = session.get(Delivery, delivery_id, with_for_update=lock, populate_existing=lock)
    if delivery is None:
        raise NotFound(f"There is no message {delivery_id}: expected the number of one.")
    return delivery
