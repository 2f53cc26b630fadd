"""What follows from a delivery's end: for the place that it went to, and for its owner.

Whoever may end a delivery locks its account first (`lock_owner`; docs/decisions/one-order-of-locks.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeGuard

from sqlmodel import Session, col, select

from flashcur.domain.plans import CHANNEL_NAMES
from flashcur.errors import DeliveryError, Gone, TryAgainLater
from flashcur.models import Account, Delivery, Destination
from flashcur.services.accounts import changes, sessions, undelivered
from flashcur.services.alerts import notices
from flashcur.services.alerts.alerts import Deliver
from flashcur.services.alerts.compose import moment
from flashcur.services.kit.clock import from_ms
from flashcur.services.kit.time_zones import zone_of
from flashcur.services.notify import destinations

ENDED = ("dead", "expired", "bounced")
"""Statuses of what did not arrive, and never will."""
TOLD_FROM_S = 600.0
"""A provider that makes somebody wait for longer, in seconds: they are told by another way."""


def has_consequences(status: str, error: DeliveryError | None) -> bool:
    """Whether `settle` has anything to do for a delivery that has come to this status."""
    return status in ENDED or _is_long(error)


def lock_owner(session: Session, delivery: Delivery) -> None:
    """Lock the account of a delivery, if it has one, before the delivery itself is touched."""
    if delivery.account_id is not None:
        sessions.lock(session, delivery.account_id)


def arrived(session: Session, recipients: Mapping[str, str], now_ms: int) -> None:
    """Messages to these destinations were taken: id of each to where it is reached from now on, "" where as before.

    Waits for nobody: one that its owner is changing is noted the next time.
    """
    query = select(Destination).where(col(Destination.id).in_(recipients)).with_for_update(skip_locked=True)
    for destination in session.exec(query):
        destinations.note_success(session, destination, now_ms)
        if recipients[destination.id]:
            _move(session, destination, recipients[destination.id])


def arrived_by_mail(session: Session, account_ids: Collection[str], now_ms: int) -> None:
    """Messages to these accounts' own addresses were taken; the first makes such an address a destination."""
    query = select(Account).where(col(Account.id).in_(account_ids)).order_by(col(Account.id))
    for account in session.exec(query.with_for_update(key_share=True, skip_locked=True)):
        if account.email is not None:
            kept = destinations.of_account(session, account.id, "email")
            place = kept[0] if kept else destinations.own_address(session, account)
            destinations.note_success(session, place, now_ms)


def settle(session: Session, delivery: Delivery, error: DeliveryError | None, now_ms: int, deliver: Deliver) -> None:
    """Do what follows from what has just been noted of an attempt that failed; it may be done twice.

    `error`: what the attempt ended with; None where it was none. `deliver`: writes down where a notice goes. A place
    that is gone, or fails for too long, is switched off, and its owner is told among their alerts; of mail of an
    account, in its audit log.
    """
    ended = delivery.status in ENDED
    if delivery.kind == "mail":
        if ended:
            undelivered.tell_owner(session, delivery, from_ms(now_ms))
        return
    if delivery.account_id is None:
        return
    if isinstance(error, TryAgainLater) and _is_long(error):
        _tell_of_waiting(session, delivery, now_ms + round(1000 * error.wait_s), now_ms, deliver)
    if not ended:
        return
    changes.tell(session, delivery.account_id, from_ms(now_ms))
    place = None if delivery.destination_id is None else session.get(Destination, delivery.destination_id)
    if isinstance(error, Gone):
        if error.suppress:
            destinations.suppress(
                session,
                delivery.channel,  # pyright: ignore[reportArgumentType]
                delivery.recipient,
                error.suppress,
                delivery.problem,
                now_ms,
            )
        if place is not None and place.state == "on":
            destinations.switch_off(session, place, delivery.problem)
            _tell_of_end(session, delivery, place, now_ms, deliver)
        elif place is None and error.suppress:
            _tell_of_end(session, delivery, None, now_ms, deliver)
    elif (
        place is not None
        and place.state == "on"
        and (delivery.attempts > 0 or _is_put_off(error))
        and destinations.note_failure(session, place, delivery.problem, now_ms)
    ):
        _tell_of_end(session, delivery, place, now_ms, deliver)


def _is_put_off(error: DeliveryError | None) -> TypeGuard[TryAgainLater]:
    """Whether it was the place that let nothing through for as long as the message was of use: no attempt is spent."""
    return isinstance(error, TryAgainLater) and not error.whole_channel


def _is_long(error: DeliveryError | None) -> bool:
    return _is_put_off(error) and error.wait_s >= TOLD_FROM_S


def _tell_of_end(
    session: Session, delivery: Delivery, place: Destination | None, now_ms: int, deliver: Deliver
) -> None:
    name = CHANNEL_NAMES[delivery.channel]  # pyright: ignore[reportArgumentType]
    whose = f" (“{place.name}”)" if place is not None and place.name else ""
    said = f"The last answer was: {delivery.problem}\n" if delivery.problem else ""
    notices.tell(
        session,
        delivery.account_id or "",
        f"{name}{whose} was switched off",
        f"Messages could not be delivered there. {said}"
        "Your alerts stay in the app. You can switch it on again on the alerts page, under Channels.",
        now_ms,
        deliver,
        key=f"off:{delivery.key}",
    )


def _tell_of_waiting(session: Session, delivery: Delivery, until_ms: int, now_ms: int, deliver: Deliver) -> None:
    account = session.get(Account, delivery.account_id)
    if account is None:
        return
    name = CHANNEL_NAMES[delivery.channel]  # pyright: ignore[reportArgumentType]
    notices.tell(
        session,
        account.id,
        f"{name} takes no messages until {moment(until_ms, zone_of(account.time_zone))}",
        "It asked us to wait. Messages that would come too late are not sent there. You find them all in the app.",
        now_ms,
        deliver,
        key=f"wait:{delivery.key}:{until_ms // 3_600_000}",
    )


def _move(session: Session, destination: Destination, recipient: str) -> None:
    """It is reached elsewhere from now on, unless the account has that place already."""
    key = destinations.address_key(destination.channel, recipient)
    taken = select(Destination.id).where(
        Destination.account_id == destination.account_id,
        Destination.channel == destination.channel,
        Destination.address_key == key,
    )
    if session.exec(taken).first() is None:
        destination.address, destination.address_key = recipient, key
        session.add(destination)
