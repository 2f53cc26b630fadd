"""Where an account's messages can go now, channel by channel, and why not where they cannot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, select

from flashcur.domain.plans import CHANNELS, Plan, channel_in_text, least_plan
from flashcur.domain.plans import Channel as ChannelName
from flashcur.domain.texts import lowered
from flashcur.models import Account, Destination, Suppression
from flashcur.services.accounts import sessions
from flashcur.services.notify.channel import Channel, cannot_send
from flashcur.services.notify.destinations import address_key

OURS: tuple[ChannelName, ...] = ("in-app", "browser")
"""What needs no provider and no destination."""

NO_BROWSER = "none of your browsers allows notifications"
"""Part of a sentence, as `Ways.why_not`."""

_SUPPRESSED = {
    "bounce": "mail to this address bounced",
    "complaint": "a message was reported as spam",
    "unsubscribe": "it was unsubscribed",
    "stop": "STOP was sent from this number",
}


@dataclass(frozen=True, slots=True)
class Place:
    """One place that a message can be sent to."""

    channel: ChannelName
    destination_id: str | None
    """None for what has no row of its own: the app, a browser's tab, the account's address."""
    recipient: str
    """Address; empty in the app and the browser."""


@dataclass(frozen=True, slots=True)
class Ways:
    """The places of a channel that messages go to now, and why none do, or not all."""

    places: tuple[Place, ...]
    why_not: str = ""
    """Part of a sentence: `it is not connected yet`; empty where all is well."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The destinations of some accounts, and which addresses nothing is sent to."""

    rows: Mapping[tuple[str, str], Sequence[Destination]] = field(
        default_factory=dict[tuple[str, str], list[Destination]]
    )
    """By account and channel, the oldest first."""
    suppressed: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """By channel and `address_key`: the reason."""
    notifying: Collection[str] = ()
    """Ids of the accounts that some browser shows notifications of."""


def read_addresses(session: Session, accounts: Collection[Account], now: datetime) -> Addresses:
    """What is known of the places of these accounts."""
    ids = [account.id for account in accounts]
    rows: dict[tuple[str, str], list[Destination]] = {}
    query = select(Destination).where(col(Destination.account_id).in_(ids))
    for row in session.exec(query.order_by(col(Destination.created_ms), col(Destination.id))):
        rows.setdefault((row.account_id, row.channel), []).append(row)
    keys = {address_key(row.channel, row.address) for each in rows.values() for row in each}
    keys |= {address_key("email", account.email) for account in accounts if account.email is not None}
    shut = session.exec(select(Suppression).where(col(Suppression.address_key).in_(keys)))
    reasons = {(row.channel, row.address_key): row.reason for row in shut}
    return Addresses(rows, reasons, sessions.notifying(session, ids, now))


def ways(
    account: Account,
    plan: Plan,
    name: str,
    channels: Mapping[str, Channel],
    known: Addresses,
    *,
    notice: bool = False,
) -> Ways:
    """Where messages of an account with this plan go by the channel called `name`.

    `channels`: those that this server has. A `notice` is of the account itself, and needs no plan.
    """
    channel: ChannelName | None = next((each for each in CHANNELS if each == name), None)
    if channel is None:
        return Ways((), "there is no such channel")
    if channel not in plan.channels and not notice:
        return Ways((), f"it comes with {least_plan('channels', channel).title}")
    if channel == "browser" and account.id not in known.notifying:
        return Ways((), NO_BROWSER)
    if channel in OURS:
        return Ways((Place(channel, None, ""),))
    if name not in channels:
        return Ways((), lowered(cannot_send(channel).rstrip(".")))
    if channels[name].problem:
        return Ways((), lowered(channels[name].problem.rstrip(".")))
    rows = known.rows.get((account.id, channel), ())
    if not rows and channel != "email":
        return Ways((), "it is not connected yet")
    # The account's own address is confirmed, and needs no destination.
    found = [_place(account, channel, row, known) for row in rows] or [_by_mail(account, None, known)]
    places = tuple(each for each in found if isinstance(each, Place))
    return Ways(places, "; ".join(dict.fromkeys(each for each in found if isinstance(each, str))))


def left_out(name: str, why_not: str) -> str:
    """Why a channel is left out, for its owner: `Telegram: it is not connected yet`."""
    called = next((channel_in_text(each) for each in CHANNELS if each == name), name)
    return f"{called}: {why_not}"


def _place(account: Account, channel: ChannelName, row: Destination, known: Addresses) -> Place | str:
    """Where a destination is, or why nothing goes there."""
    name = f"“{row.name}”" if row.name else "it"
    if row.state == "unconfirmed":
        return f"{name} is not confirmed yet"
    if row.state != "on":
        # Its card says why, in the provider's words: a rule's row says it once, and short.
        return f"{name} is switched off"
    if channel == "email":
        return _by_mail(account, row.id, known)
    reason = known.suppressed.get((row.channel, address_key(row.channel, row.address)))
    if reason is not None:
        return _SUPPRESSED.get(reason, reason)
    return Place(channel, row.id, row.address)


def _by_mail(account: Account, destination_id: str | None, known: Addresses) -> Place | str:
    """By mail, to the account's own address as it is now."""
    if account.email is None:
        return "your account has no email address"
    reason = known.suppressed.get(("email", address_key("email", account.email)))
    if reason is not None:
        return _SUPPRESSED.get(reason, reason)
    return Place("email", destination_id, account.email)
