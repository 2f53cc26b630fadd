"""What is held becomes one message for each place: a summary of a storm, or the digest of a night.

An account at a time, in one transaction each, with the account locked: whoever dies in between has changed nothing,
and a second engine finds nothing left to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import func
from sqlmodel import Session, col, select

from flashcur.domain.delivery.batching import WINDOW_MS
from flashcur.domain.delivery.planning import Hold, silence
from flashcur.domain.delivery.status import Status
from flashcur.models import Account, AlertRecord, Delivery
from flashcur.services.alerts import compose
from flashcur.services.alerts.dispatch import GATHERED_KINDS, Book, delivery_key, read_books, write
from flashcur.services.alerts.places import Place, ways
from flashcur.services.notify import outbox
from flashcur.services.notify.channel import Channel

NIGHT_MS = 2 * WINDOW_MS
"""What was held for longer than this, in ms, is told as a digest; what waited for a minute only, as a summary."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What became of what was held for one account."""

    messages: int = 0
    """That leave now."""
    told: int = 0
    """Held ones that these tell."""


def due_accounts(session: Session, now_ms: int, limit: int = 100) -> list[str]:
    """Accounts with something held that is due at `now_ms` (Unix ms), at most `limit`, the longest due first. It needs
    no lock."""
    query = (
        select(Delivery.account_id)
        .where(outbox.held_due(now_ms), col(Delivery.account_id).is_not(None))
        .group_by(col(Delivery.account_id))
        .order_by(func.min(Delivery.due_ms), col(Delivery.account_id))
    )
    return [each for each in session.exec(query.limit(limit)) if each is not None]


def gather(session: Session, account_id: str, channels: Mapping[str, Channel], now_ms: int, base: str) -> Gathered:
    """Tell what is held for an account and due, each place with one message; nothing where somebody else has it locked.

    Quiet hours, a mute and the number a minute hold for these messages as well; the cap for summaries, not for digests.
    """
    # Jobs wait for nobody; what is passed by is found a second later.
    query = select(Account).where(Account.id == account_id).with_for_update(key_share=True, skip_locked=True)
    account = session.exec(query).first()
    if account is None:
        return Gathered()
    due = list(session.exec(select(Delivery).where(Delivery.account_id == account_id, outbox.held_due(now_ms))))
    if not due:
        return Gathered()
    book = read_books(session, [account], channels, now_ms, base)[account_id]
    ids = {row.alert_id for row in due if row.alert_id is not None}
    alerts = {alert.id: alert for alert in session.exec(select(AlertRecord).where(col(AlertRecord.id).in_(ids)))}
    done = Gathered()
    # What is urgent does not wait for the morning with the rest, where it may pass.
    apart = silence(book.wishes, now_ms, urgent=False) is not None
    due.sort(key=lambda row: (row.channel, row.destination_id or "", apart and row.urgent, row.id))
    for _, rows in groupby(due, key=lambda row: (row.channel, row.destination_id, apart and row.urgent)):
        told = _tell(session, book, list(rows), alerts)
        done = Gathered(done.messages + bool(told), done.told + told)
    write(session, book.notices_of_caps(), now_ms)
    return done


def _tell(session: Session, book: Book, rows: Sequence[Delivery], alerts: Mapping[int | None, AlertRecord]) -> int:
    """Have one message tell what is held for a place; returns how many it tells, 0 where none leaves now."""
    known: list[Delivery] = []
    for row in rows:
        if row.alert_id in alerts or row.kind in GATHERED_KINDS:
            known.append(row)
        else:
            _end(session, book, row, "expired", "Its alert was deleted meanwhile.")
    if not known:
        return 0
    first = known[0]
    notice = all(row.kind == "notice" for row in known)
    way = ways(book.account, book.plan, first.channel, book.channels, book.addresses, notice=notice)
    # The account's own address is one place, with and without a destination.
    place = next(
        (each for each in way.places if first.channel == "email" or each.destination_id == first.destination_id), None
    )
    if place is None:
        why = way.why_not or "it was removed"
        for row in known:
            _end(session, book, row, "dead", f"Not sent: {why}.")
        return 0
    # Of those that silence holds apart, all are or none is; else one takes the others along.
    urgent = any(row.urgent for row in known)
    first_ms = min(row.created_ms for row in known)
    night = book.now_ms - first_ms > NIGHT_MS
    left_ms = book.traffic(place.channel, place.destination_id).left_ms
    follows = any(first_ms - WINDOW_MS < at_ms <= first_ms for at_ms in left_ms)
    if notice:
        # They are few, and the one that tells of the cap is among them.
        found = silence(book.wishes, book.now_ms, urgent=urgent) or "send"
    else:
        found = book.judge(place, urgent=urgent, gathering=True, digest=night)
    if isinstance(found, Hold):
        for row in known:
            row.due_ms, row.expires_ms = found.until_ms, found.until_ms + book.useful_ms(place.channel)
            outbox.record(session, row, "held", book.now_ms, book.why_held(found))
        return 0
    if found == "capped":
        for row in known:
            if row.kind != "notice":
                _end(session, book, row, "capped", book.why_capped)
        known = [row for row in known if row.kind == "notice"]
        if not known:
            return 0
    # What tells of others was held on its way: it is not told by another one.
    told = sum(_release(session, book, place, row) for row in known if _goes_whole(row))
    known = [row for row in known if not _goes_whole(row)]
    if len(known) == 1 and not night:
        # One is no storm: it goes as it was frozen.
        return told + _release(session, book, place, known[0])
    if known and (why := book.count_sms(place)):
        for row in known:
            _end(session, book, row, "capped", why)
    elif known:
        _merge(session, book, place, known, [alerts[row.alert_id] for row in known], digest=night, follows=follows)
        told += len(known)
    return told


def _goes_whole(row: Delivery) -> bool:
    """Whether no other message tells it: it tells of others, or is for a tab, which knows the alerts and says how many
    there are where they come together."""
    return row.kind in GATHERED_KINDS or row.channel == "browser"


def _release(session: Session, book: Book, place: Place, row: Delivery) -> bool:
    """Have a held message leave as it was frozen, to where its place is now; whether it does."""
    if why := book.count_sms(place):
        _end(session, book, row, "capped", why)
        return False
    row.destination_id, row.recipient = place.destination_id, place.recipient
    row.due_ms, row.expires_ms = book.now_ms, book.now_ms + book.useful_ms(place.channel)
    outbox.record(session, row, "queued", book.now_ms)
    return True


def _merge(
    session: Session,
    book: Book,
    place: Place,
    rows: Sequence[Delivery],
    alerts: Sequence[AlertRecord],
    *,
    digest: bool,
    follows: bool,
) -> None:
    message = compose.summary_of(alerts, digest=digest, zone=book.wishes.zone, base=book.base, follows=follows)
    # Named by what it tells: the same rows can never be told twice.
    key = delivery_key("gathered", *(row.key for row in rows))
    one = book.row(
        message.kind,
        place,
        key,
        book.render(place.channel, message),
        urgent=message.urgent,
        expires_ms=book.now_ms + book.useful_ms(place.channel),
    )
    write(session, [one], book.now_ms)
    for row in rows:
        row.merged_into = one.id
        _end(session, book, row, "merged", f"Told in a {message.kind} of {len(rows):,}.")


def _end(session: Session, book: Book, row: Delivery, status: Status, why: str) -> None:
    if status in ("dead", "expired"):
        row.problem = why[: outbox.MAX_PROBLEM_CHARS]
    outbox.record(session, row, status, book.now_ms, why)
