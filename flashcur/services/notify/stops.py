"""Whom nothing is sent to any more, and who wants it again: mail that bounced or is unwanted, numbers that said STOP.

Each change is told to the account's open pages, and what a provider ended also among its alerts.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session

from flashcur.domain.plans import CHANNEL_NAMES
from flashcur.models import Destination
from flashcur.services.accounts import changes, sessions
from flashcur.services.alerts import notices
from flashcur.services.alerts.alerts import Deliver
from flashcur.services.kit.clock import from_ms
from flashcur.services.notify import destinations
from flashcur.services.notify.sms import STOPPED_TEXT

UNSUBSCRIBED = "You unsubscribed with the link in a message."
BOUNCED = "Email to your address bounced. Change the address, or switch this on again once the mailbox works."
COMPLAINED = "One of our messages was reported as spam. Switch this on again if that was a mistake."


def stop_mail(session: Session, account_id: str, why: str, now_ms: int, deliver: Deliver | None) -> bool:
    """Send an account no alert mail until its owner switches it on again; whether there is such an account.

    Mail about the account itself still goes. `deliver`: writes down where the notice goes; None where the owner asked
    for it, and needs none.
    """
    # Two of these at once would write the row of its address twice.
    account = sessions.lock(session, account_id)
    if account is None:
        return False
    # An account's own address needs no destination to be on, but one to be off.
    places = destinations.of_account(session, account_id, "email") or [destinations.own_address(session, account)]
    _switch_off(session, [place for place in places if place.state != "off"], why, now_ms, deliver)
    return True


def stop_number(session: Session, number: str, now_ms: int, deliver: Deliver) -> int:
    """A number said STOP: nobody sends to it until it says START. How many destinations that switched off."""
    places = [each for each in destinations.owned_at(session, "sms", number) if each.state != "off"]
    destinations.suppress(session, "sms", number, "stop", "STOP was sent from it.", now_ms)
    _switch_off(session, places, STOPPED_TEXT, now_ms, deliver)
    return len(places)


def start_number(session: Session, number: str, now_ms: int) -> int:
    """A number said START: what STOP switched off is on again; how many destinations."""
    places = [each for each in destinations.owned_at(session, "sms", number) if each.why == STOPPED_TEXT]
    destinations.allow(session, "sms", number)
    for place in places:
        # What was never confirmed is not confirmed by a word that anybody can send from that number.
        place.state, place.why = ("on" if place.confirmed_ms is not None else "unconfirmed"), ""
        place.failures, place.failing_since_ms = 0, None
        session.add(place)
        changes.tell(session, place.account_id, from_ms(now_ms))
    return len(places)


def stop_place(session: Session, destination_id: str | None, why: str, now_ms: int, deliver: Deliver) -> None:
    """Switch one destination off, if it is still there."""
    place = session.get(Destination, destination_id) if destination_id else None
    if place is not None and place.state != "off":
        _switch_off(session, [place], why, now_ms, deliver)


def _switch_off(
    session: Session, places: Iterable[Destination], why: str, now_ms: int, deliver: Deliver | None
) -> None:
    for place in places:
        destinations.switch_off(session, place, why)
        changes.tell(session, place.account_id, from_ms(now_ms))
        if deliver is not None:
            called = f"{CHANNEL_NAMES[place.channel]}{f' (“{place.name}”)' if place.name else ''}"  # pyright: ignore[reportArgumentType]
            notices.tell(
                session,
                place.account_id,
                f"{called} was switched off",
                f"{why}\nYour alerts stay in the app. You can switch it on again on the alerts page, under Channels.",
                now_ms,
                deliver,
            )
