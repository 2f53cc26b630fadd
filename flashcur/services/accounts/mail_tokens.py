"""Links in mail that do something once: making them, using them up."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, update
from sqlmodel import Session, col

from flashcur.errors import Refusal
from flashcur.models import MailToken
from flashcur.services.accounts import sessions
from flashcur.services.notify import links
from flashcur.services.storage.pruning import delete_unlocked
from flashcur.settings import Secret

CONFIRM_LIFETIME = timedelta(hours=24)
"""How long links to register and to change an address work."""
RESET_LIFETIME = timedelta(minutes=60)

_WORDS = {
    "register": "registration",
    "reset": "reset",
    "change-new": "change of address",
    "change-old": "change of address",
}


def make(
    session: Session,
    purpose: str,
    email: str,
    now: datetime,
    *,
    account_id: str | None = None,
    password_hash: str | None = None,
    pair: str | None = None,
    browser_hash: str = "",
    next_path: str | None = None,
) -> MailToken:
    """The row of a new link, in the caller's transaction; the link itself is made when the mail is sent.

    For `purpose` and the rest see `MailToken`.
    """
    token = MailToken(
        purpose=purpose,
        email=email,
        account_id=account_id,
        password_hash=password_hash,
        pair=pair,
        browser_hash=browser_hash,
        next_path=next_path,
        created_at=now,
        expires_at=now + (RESET_LIFETIME if purpose == "reset" else CONFIRM_LIFETIME),
    )
    session.add(token)
    return token


def read(secret: Secret, token: str, *purposes: str) -> tuple[str, str]:
    """(purpose, row id) of a link that we made for one of `purposes`; it may be used or over.

    Raises Refusal (field `token`) for anything else.
    """
    for purpose in purposes:
        token_id = links.read_token(secret, purpose, token)
        if token_id is not None:
            return purpose, token_id
    raise Refusal("This link is not complete: open it again from the mail, or copy all of it.", field="token")


def lock_owner(session: Session, token_id: str) -> None:
    """Lock the account of a link until the transaction ends; call it before `use`, so that all lock in one order.

    Does nothing for a link that is gone or has no account.
    """
    link = session.get(MailToken, token_id)
    if link is not None and link.account_id is not None:
        sessions.lock(session, link.account_id)


def use(session: Session, purpose: str, token_id: str, now: datetime) -> MailToken:
    """Use a link up and return its row; of two that try at once one gets it.

    Raises Refusal (field `token`) when it was used already, is over or does not exist.
    """
    free = (
        update(MailToken)
        .where(
            col(MailToken.id) == token_id,
            col(MailToken.purpose) == purpose,
            col(MailToken.used_at).is_(None),
            col(MailToken.expires_at) > now,
        )
        .values(used_at=now)
    )
    won = session.exec(free).rowcount == 1
    token = session.get(MailToken, token_id, populate_existing=True)
    if won and token is not None:
        return token
    if token is not None and token.used_at is not None:
        raise Refusal(f"This {_WORDS[purpose]} link was used already. Each works once.", field="token")
    hours = RESET_LIFETIME if purpose == "reset" else CONFIRM_LIFETIME
    valid = "60 minutes" if hours == RESET_LIFETIME else "24 hours"
    raise Refusal(
        f"This {_WORDS[purpose]} link is no longer valid: it works for {valid}. Ask for a new one.", field="token"
    )


def revoke(session: Session, account_id: str, *purposes: str) -> None:
    """Make an account's unused links of these purposes worthless."""
    unused = col(MailToken.account_id) == account_id, col(MailToken.used_at).is_(None)
    session.exec(delete(MailToken).where(*unused, col(MailToken.purpose).in_(purposes)))


def prune(session: Session, before: datetime) -> int:
    """Delete links that expired before `before`; the number of rows."""
    return delete_unlocked(session, MailToken, col(MailToken.expires_at) < before)
