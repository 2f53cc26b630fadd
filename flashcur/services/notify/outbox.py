"""The outbox: mail goes in with the transaction that causes it, and comes out at least once.

Whoever sends claims a mail, hands it over outside any transaction and marks it. A crash between the hand-over and the
mark sends it again when the claim runs out: twice is a nuisance, never would lock people out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, select, update

from flashcur.models.mail import Mail
from flashcur.services.kit.backoff import Backoff
from flashcur.services.notify.templates import check, useful_for
from flashcur.services.storage.pruning import delete_unlocked

LEASE = timedelta(minutes=2)
"""How long a claimed mail is left alone: several times as long as sending a whole batch can take."""
FIRST_RETRY_S = 5.0
"""Pause after the first failure, in seconds; each further one doubles it."""
RETRY_CAP_S = 900.0
"""Longest pause, in seconds."""
MAX_PROBLEM_CHARS = 300
"""Characters kept of why an attempt failed."""
# Done mail keeps out of the index range that is asked every second.
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


def enqueue(session: Session, recipient: str, template: str, values: Mapping[str, object], now: datetime) -> Mail:
    """Queue a mail, due at once, in the caller's transaction.

    Raises ValueError for an unknown template, or values that are missing or unknown to it.
    """
    check(template, values)
    mail = Mail(recipient=recipient, template=template, values=dict(values), due_at=now, created_at=now)
    session.add(mail)
    return mail


def anything_due(session: Session, now: datetime) -> bool:
    """Whether `claim_due` would find something. It needs no write lock, which SQLite has only one of."""
    return session.exec(select(Mail.id).where(*_due(now)).limit(1)).first() is not None


def claim_due(session: Session, now: datetime, limit: int) -> list[Mail]:
    """Take up to `limit` due mails, the longest due first; nobody else gets them before the lease has run out.

    A claim counts as an attempt, so that a mail that brings its sender down is given up in the end.
    """
    due = select(Mail).where(*_due(now)).order_by(col(Mail.due_at), col(Mail.id)).limit(limit)
    # On PostgreSQL claimers pass each other by; on SQLite a transaction that writes is alone anyway.
    mails = list(session.exec(due.with_for_update(skip_locked=True)))
    for mail in mails:
        mail.due_at = now + LEASE
        mail.attempts += 1
        session.add(mail)
    return mails


def mark_sent(session: Session, mail_id: int, provider_id: str, now: datetime) -> None:
    """Note that the provider has taken the mail under `provider_id`, whatever was noted before."""
    session.exec(
        update(Mail)
        .where(col(Mail.id) == mail_id)
        .values(status="sent", sent_at=now, provider_id=provider_id[:128], problem="", due_at=_NEVER)
    )


def mark_failed(session: Session, mail_id: int, problem: str, retry_at: datetime | None, now: datetime) -> str:
    """Note why the attempt failed; returns the mail's status.

    It stays `queued` and is due at `retry_at`. Without that, or when it would be of no use any more by then, it is
    given up: `dead`. What another sender has finished meanwhile stays as it is; "" if the mail was deleted.
    """
    mail = session.exec(select(Mail).where(Mail.id == mail_id).with_for_update()).first()
    if mail is None or mail.status != "queued":
        return "" if mail is None else mail.status
    again = retry_at is not None and not expired(mail, retry_at)
    mail.status = "queued" if again else "dead"
    mail.due_at = max(retry_at, now) if retry_at is not None and again else _NEVER
    mail.problem = problem[:MAX_PROBLEM_CHARS]
    session.add(mail)
    return mail.status


def expired(mail: Mail, now: datetime) -> bool:
    """Whether the mail is too old to be of use: its link, if it has one, is no longer valid."""
    return now >= mail.created_at + useful_for(mail.template, mail.values)


def retry_delay_s(attempts: int, retry_after_s: float) -> float:
    """Seconds until the next attempt after `attempts` of them: doubling from 5 s to 15 min, jittered, and never less
    than the provider asks for."""
    backoff = Backoff(FIRST_RETRY_S, RETRY_CAP_S)
    backoff.failures = max(0, attempts - 1)
    return max(backoff.next_s(), retry_after_s)


def prune(session: Session, before: datetime) -> int:
    """Delete all mail that was queued before `before`, sent or not; returns how many.

    Addresses are not kept for longer than they serve, and what still waits after weeks is of no use to anybody.
    """
    return delete_unlocked(session, Mail, col(Mail.created_at) < before)


def _due(now: datetime) -> tuple[bool, bool]:
    return Mail.due_at <= now, Mail.status == "queued"
