"""Browsers whose subscription to web push ends by itself: their owner is told some days before, and once it is over
nothing is sent there any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from sqlmodel import Session, col, select

from flashcur.models import Account, Destination
from flashcur.services.accounts import changes
from flashcur.services.alerts import notices
from flashcur.services.alerts.alerts import Deliver
from flashcur.services.alerts.compose import moment
from flashcur.services.kit.clock import from_ms
from flashcur.services.kit.time_zones import zone_of
from flashcur.services.notify import destinations

TOLD_BEFORE_MS = 3 * 24 * 3_600_000
"""So long before the end it is told; of one that never had so long to go only the end is."""

_AGAIN = "Open FlashCur in that browser, and turn web push off and on again under Channels."


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done for an account."""

    told: int = 0
    """Browsers whose owner was told that the end is near."""
    ended: int = 0
    """Browsers that were switched off."""


def due_accounts(session: Session, now_ms: int) -> list[str]:
    """Ids of accounts of which a browser's subscription is over at `now_ms` (Unix ms), or soon will be."""
    query = select(Destination).where(
        Destination.channel == "web-push",
        Destination.state == "on",
        cast("Any", col(Destination.details))["expires_ms"].as_string().is_not(None),
    )
    return sorted({each.account_id for each in session.exec(query) if _is_near(each, now_ms)})


def tend(session: Session, account_id: str, now_ms: int, deliver: Deliver) -> Tended:
    """Tell an account what `due_accounts` found of it, each end once, and switch off what is over.

    `deliver` writes down where the notices go. Nothing where somebody else has the account locked.
    """
    # Jobs wait for nobody; what is passed by is found an hour later.
    query = select(Account).where(Account.id == account_id).with_for_update(key_share=True, skip_locked=True)
    account = session.exec(query).first()
    if account is None:
        return Tended()
    told = ended = 0
    for place in destinations.of_account(session, account_id, "web-push"):
        ends_ms = destinations.ends_ms(place)
        if place.state != "on" or ends_ms is None or not _is_near(place, now_ms):
            continue
        name = f" in “{place.name}”" if place.name else ""
        when = moment(ends_ms, zone_of(account.time_zone))
        if ends_ms <= now_ms:
            destinations.switch_off(session, place, f"The browser’s subscription ended on {when}. {_AGAIN}")
            changes.tell(session, account_id, from_ms(now_ms))
            title = f"Web push{name} was switched off"
            text = f"The browser’s subscription ended on {when}. {_AGAIN} Your alerts stay in the app."
            notices.tell(session, account_id, title, text, now_ms, deliver, key=f"push-over:{place.id}:{ends_ms}")
            ended += 1
        else:
            title = f"Web push{name} ends on {when}"
            text = f"The browser ends its subscription by itself then. {_AGAIN}"
            key = f"push-ends:{place.id}:{ends_ms}"
            told += notices.tell(session, account_id, title, text, now_ms, deliver, key=key) is not None
    return Tended(told, ended)


def _is_near(place: Destination, now_ms: int) -> bool:
    ends_ms = destinations.ends_ms(place)
    if ends_ms is None or ends_ms > now_ms + TOLD_BEFORE_MS:
        return False
    began_ms = place.created_ms if place.confirmed_ms is None else place.confirmed_ms
    return ends_ms <= now_ms or began_ms < ends_ms - TOLD_BEFORE_MS
