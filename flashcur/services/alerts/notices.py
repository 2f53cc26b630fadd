"""Notices: what an account is told of its own rules and channels, among its alerts."""

from __future__ import annotations

from sqlmodel import Session

from flashcur.models import AlertRecord, new_id
from flashcur.services.accounts import changes
from flashcur.services.alerts import alerts
from flashcur.services.alerts.alerts import Deliver
from flashcur.services.kit.clock import from_ms

MOST_TITLE, MOST_TEXT = 200, 1_000


def tell(
    session: Session, account_id: str, title: str, text: str, now_ms: int, deliver: Deliver, *, key: str = ""
) -> AlertRecord | None:
    """Write a notice and where it goes in the caller's transaction, which locks the account; None where the account is
    no longer, or a notice with this `key` (what it is about) was written before.

    It stands in the app, in the account's chain of alerts, and goes by mail where the account has an address.
    """
    notice = AlertRecord(
        key=f"{account_id}:notice:{key or new_id()}",
        account_id=account_id,
        kind="notice",
        title=title[:MOST_TITLE],
        text=text[:MOST_TEXT],
        event_ms=now_ms,
        seen_ms=now_ms,
        stored_ms=now_ms,
        hash="",
    )
    if not alerts.store(session, [notice], deliver, now_ms):
        return None
    changes.tell(session, account_id, from_ms(now_ms))
    return notice
