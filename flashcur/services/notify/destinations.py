"""The places of an account that messages go to, in the database: found, confirmed, failing, switched off.

Nothing here asks who may: that is done by who calls. A change is told to the account's pages (`accounts.changes`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, select

from flashcur.domain.plans import Channel
from flashcur.models import Account, Destination, Suppression
from flashcur.services.accounts import sessions
from flashcur.services.kit.clock import to_ms

OFF_AFTER = 5
"""Messages in a row that could not be delivered, before a destination is switched off …"""
OFF_AFTER_MS = 24 * 3_600_000
"""… and over at least so long, so that an evening of trouble at the provider's switches nobody off."""


def address_key(channel: str, address: str) -> str:
    """What finds an address of a channel without naming it: SHA-256, hex."""
    return hashlib.sha256(f"{channel}\0{address}".encode("utf-8", "surrogatepass")).hexdigest()


def of_account(session: Session, account_id: str, channel: Channel | None = None) -> Sequence[Destination]:
    """The destinations of an account, of one channel or of all, the oldest first."""
    query = select(Destination).where(Destination.account_id == account_id)
    if channel is not None:
        query = query.where(Destination.channel == channel)
    return session.exec(query.order_by(col(Destination.created_ms), col(Destination.id))).all()


def at_address(session: Session, channel: Channel, address: str) -> Sequence[Destination]:
    """The destinations, of whichever account, with this address."""
    query = select(Destination).where(
        Destination.channel == channel, Destination.address_key == address_key(channel, address)
    )
    # Read anew: who held the account before may have changed them.
    return session.exec(query, execution_options={"populate_existing": True}).all()


def owned_at(session: Session, channel: Channel, address: str, *accounts: str) -> Sequence[Destination]:
    """The same, for who changes them: their accounts, and `accounts`, are locked before, in the one order there is
    (docs/decisions/one-order-of-locks.md). Begins a transaction."""
    for account_id in sorted({*accounts, *(place.account_id for place in at_address(session, channel, address))}):
        sessions.lock(session, account_id)
    return at_address(session, channel, address)


def keep(
    session: Session,
    account_id: str,
    channel: Channel,
    address: str,
    now_ms: int,
    *,
    name: str = "",
    details: Mapping[str, Any] | None = None,
    confirmed: bool,
) -> Destination:
    """The account's destination with this address: a new one, or the one that is there, with what is said here.

    A confirmed one is on, and begins without failures.
    """
    key = address_key(channel, address)
    found = session.exec(
        select(Destination).where(
            Destination.account_id == account_id, Destination.channel == channel, Destination.address_key == key
        )
    ).first() or Destination(
        account_id=account_id, channel=channel, address=address, address_key=key, created_ms=now_ms
    )
    found.name = name or found.name
    if details is not None:
        found.details = dict(details)
    if confirmed:
        found.state, found.why, found.failures, found.failing_since_ms = "on", "", 0, None
        found.confirmed_ms = now_ms
    elif found.confirmed_ms is None:
        found.state = "unconfirmed"
    session.add(found)
    return found


def own_address(session: Session, account: Account) -> Destination:
    """The account's own email address as a destination, on: before anything of it has to be kept, it needs none."""
    return keep(session, account.id, "email", "", to_ms(account.created_at), confirmed=True)


def ends_ms(destination: Destination) -> int | None:
    """When a browser's subscription ends by itself, Unix ms; None where the browser did not say, or it never does."""
    said = str(destination.details.get("expires_ms", ""))
    return int(said) if said.isascii() and said.isdigit() else None


def move(session: Session, destination: Destination, address: str) -> None:
    """It is reached at another address from now on; one that its account has there already stands for both."""
    key = address_key(destination.channel, address)
    others = select(Destination).where(
        Destination.account_id == destination.account_id,
        Destination.channel == destination.channel,
        Destination.address_key == key,
    )
    if session.exec(others).first() is not None:
        session.delete(destination)
        return
    destination.address, destination.address_key = address, key
    session.add(destination)


def switch_off(session: Session, destination: Destination, why: str) -> None:
    """Send nothing to it any more until its owner switches it on again; `why` is for them."""
    destination.state, destination.why = "off", why[:200]
    session.add(destination)


def note_success(session: Session, destination: Destination, now_ms: int) -> None:
    """A message was taken."""
    destination.failures, destination.failing_since_ms, destination.used_ms = 0, None, now_ms
    session.add(destination)


def note_failure(session: Session, destination: Destination, why: str, now_ms: int) -> bool:
    """A message was given up; returns whether that switched the destination off."""
    destination.failures += 1
    destination.failing_since_ms = destination.failing_since_ms or now_ms
    session.add(destination)
    if destination.failures < OFF_AFTER or now_ms - destination.failing_since_ms < OFF_AFTER_MS:
        return False
    switch_off(session, destination, why)
    return True


def suppress(session: Session, channel: Channel, address: str, reason: str, detail: str, now_ms: int) -> None:
    """Have nobody send to an address any more."""
    key = address_key(channel, address)
    row = session.get(Suppression, (channel, key)) or Suppression(
        channel=channel, address_key=key, reason=reason, at_ms=now_ms
    )
    row.reason, row.detail, row.at_ms = reason, detail[:300], now_ms
    session.add(row)


def allow(session: Session, channel: Channel, address: str) -> None:
    """Take back what `suppress` said, as the address's owner asks for it (START, a new confirmation)."""
    row = session.get(Suppression, (channel, address_key(channel, address)))
    if row is not None:
        session.delete(row)


def suppressed(session: Session, channel: Channel, address: str) -> Suppression | None:
    """Why nothing is sent to an address; None where something may be."""
    return session.get(Suppression, (channel, address_key(channel, address)))
