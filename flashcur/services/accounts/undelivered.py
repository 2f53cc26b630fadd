"""Mail that was given up, told to the owner of the account that it was for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from flashcur.domain.delivery.status import DUE, Status
from flashcur.models import Account, Delivery, MailToken
from flashcur.services.accounts import audit, changes
from flashcur.services.accounts.addresses import shortened
from flashcur.services.kit.clock import from_ms
from flashcur.services.notify.account_mail import token_id_of

LOST: tuple[Status, ...] = ("dead", "expired", "bounced")
"""What a mail is that never arrived."""


@dataclass(frozen=True, slots=True)
class UndeliveredView:
    """A mail that never left."""

    recipient: str
    """As it is kept, its domain in ASCII."""
    written_at: datetime


def tell_owner(session: Session, mail: Delivery, now: datetime) -> None:
    """Note in the owner's account that a mail was given up, in the transaction that gives it up.

    Does nothing for a mail that belongs to no account, such as that of a registration.
    """
    account_id = _owner(session, mail)
    if account_id is None:
        return
    audit.record(session, "mail-failed", account_id, now, actor="system", detail=f"to {shortened(mail.recipient)}")
    changes.tell(session, account_id, now)


def of_account(session: Session, account: Account, now: datetime) -> tuple[UndeliveredView, ...]:
    """The mails to an account's address, and to the one that it is to get, of which none was delivered since."""
    waiting = select(MailToken.email).where(
        MailToken.account_id == account.id,
        MailToken.purpose == "change-new",
        col(MailToken.used_at).is_(None),
        MailToken.expires_at > now,
    )
    own = [] if account.email is None else [account.email]
    return tuple(_last_failed(session, [*own, *(address for address in session.exec(waiting) if address not in own)]))


def _last_failed(session: Session, addresses: Iterable[str]) -> Iterable[UndeliveredView]:
    for address in addresses:
        finished = select(Delivery).where(
            Delivery.kind == "mail", Delivery.recipient == address, col(Delivery.status).not_in(DUE)
        )
        last = session.exec(finished.order_by(col(Delivery.id).desc()).limit(1)).first()
        if last is not None and last.status in LOST:
            yield UndeliveredView(address, from_ms(last.created_ms))


def _owner(session: Session, mail: Delivery) -> str | None:
    """The account of a link that is in the mail, else the one with its address."""
    token_id = token_id_of(mail.payload)
    token = None if token_id is None else session.get(MailToken, token_id)
    if token is not None and token.account_id is not None:
        return token.account_id
    return session.exec(select(Account.id).where(Account.email == mail.recipient)).first()
