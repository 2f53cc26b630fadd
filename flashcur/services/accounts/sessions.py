"""Sessions: an opaque random token in a cookie, of which the database keeps the hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from flashcur.errors import NotFound, SignInAgain, SignInNeeded
from flashcur.models import Account, LoginSession
from flashcur.services.accounts.client import Client
from flashcur.services.storage.pruning import delete_unlocked

Method = Literal["password", "wallet", "link"]
"""How a session was begun; `link` is one in a mail."""

LIFETIME = timedelta(days=30)
"""From signing in; use does not lengthen it."""
SEEN_EVERY = timedelta(minutes=10)
"""How exact the time of last use is: it costs a write."""
FRESH = timedelta(minutes=15)
"""How long after signing in an account without a password may do what others confirm with theirs."""
TOKEN_CHARACTERS = 43
"""Length of `new_token`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a session, to be looked up again in the transaction of what is asked for."""

    account_id: str
    session_id: str
    client: Client


def new_token() -> str:
    """256 random bits as 43 characters of URL-safe Base64, which a cookie can hold."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """SHA-256 in hex, which is what is kept of a token: of 256 random bits a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def start(
    session: Session,
    account: Account,
    most: int,
    method: Method,
    client: Client,
    now: datetime,
    *,
    former: str = "",
) -> tuple[str, LoginSession]:
    """A new session: (its token, its row). Where the account has more than `most`, the oldest end.

    `former`: hash of the token that this browser had, or empty. If that session is the account's it ends first, so
    that signing in again costs no other device its session.
    """
    # Two that sign in at once must not both count the sessions before the other's is there.
    session.exec(select(Account.id).where(Account.id == account.id).with_for_update()).one()
    if former:
        same = col(LoginSession.account_id) == account.id, col(LoginSession.token_hash) == former
        session.exec(delete(LoginSession).where(*same))
    token = new_token()
    login = LoginSession(
        account_id=account.id,
        token_hash=hash_token(token),
        method=method,
        created_at=now,
        seen_at=now,
        expires_at=now + LIFETIME,
        ip=client.ip,
        user_agent=client.user_agent,
    )
    session.add(login)
    session.flush()
    enforce(session, account.id, most, keep=login.id)
    return token, login


def enforce(session: Session, account_id: str, most: int, *, keep: str = "") -> None:
    """End the oldest sessions over `most`, but never the one with the id `keep`; at least one stays."""
    owned = select(LoginSession).where(LoginSession.account_id == account_id)
    newest = session.exec(owned.order_by(col(LoginSession.created_at).desc(), col(LoginSession.id))).all()
    kept = sorted(newest, key=lambda login: login.id != keep)[: max(most, 1)]
    over = [login.id for login in newest if login not in kept]
    session.exec(delete(LoginSession).where(col(LoginSession.id).in_(over)))


def find(session: Session, token_hash: str, now: datetime) -> tuple[Account, LoginSession] | None:
    """The account and the session of a token's hash; None when there is none, or it is over."""
    row = session.exec(
        select(Account, LoginSession)
        .join(LoginSession, col(LoginSession.account_id) == Account.id)
        .where(LoginSession.token_hash == token_hash, col(LoginSession.expires_at) > now)
    ).first()
    return None if row is None else (row[0], row[1])


def lock(session: Session, account_id: str) -> Account | None:
    """The account, which nobody else changes until the transaction ends; None if there is none, or no longer.

    A transaction that touches anything of an account begins with this (docs/decisions/one-order-of-locks.md).
    """
    return session.get(Account, account_id, with_for_update=True, populate_existing=True)


def require(session: Session, caller: Caller, now: datetime, *, locked: bool = False) -> tuple[Account, LoginSession]:
    """The caller's account and session, read in this transaction. Raises SignInNeeded when the session has ended.

    `locked`: nobody else changes the account until the transaction ends (`lock`).
    """
    account = lock(session, caller.account_id) if locked else session.get(Account, caller.account_id)
    # Read after the lock: who held it may have ended the session.
    login = session.get(LoginSession, caller.session_id, populate_existing=True)
    if account is None or login is None or login.account_id != account.id or login.expires_at <= now:
        raise SignInNeeded("You are signed out: sign in again.")
    return account, login


def touch(session: Session, session_id: str, now: datetime) -> None:
    """Note that a session was used."""
    session.exec(update(LoginSession).where(col(LoginSession.id) == session_id).values(seen_at=now))


def require_fresh(login: LoginSession, now: datetime) -> None:
    """Raise SignInAgain unless the session began within `FRESH`: a browser left open must not give the account away."""
    if now - login.created_at > FRESH:
        raise SignInAgain(
            f"To do this, sign in again first: it is more than {FRESH.seconds // 60} minutes since you did."
        )


def of_account(session: Session, account_id: str, now: datetime) -> list[LoginSession]:
    """An account's sessions that are not over, the last used first."""
    rows = session.exec(
        select(LoginSession).where(LoginSession.account_id == account_id, col(LoginSession.expires_at) > now)
    ).all()
    return sorted(rows, key=lambda login: login.seen_at, reverse=True)


def notifying(session: Session, account_ids: Collection[str], now: datetime) -> set[str]:
    """Which of these accounts are signed in in a browser that has allowed notifications."""
    allowed = col(LoginSession.notifies).is_(True), col(LoginSession.expires_at) > now
    query = select(LoginSession.account_id).where(col(LoginSession.account_id).in_(account_ids), *allowed)
    return set(session.exec(query.distinct()))


def end(session: Session, account_id: str, session_id: str) -> None:
    """End one session of an account. Raises NotFound for anything else."""
    own = delete(LoginSession).where(col(LoginSession.account_id) == account_id, col(LoginSession.id) == session_id)
    if not session.exec(own).rowcount:
        raise NotFound("That session has ended already.")


def end_all(session: Session, account_id: str, *, but: str = "") -> int:
    """End an account's sessions, except the one with the id `but`; how many."""
    found = delete(LoginSession).where(col(LoginSession.account_id) == account_id, col(LoginSession.id) != but)
    return session.exec(found).rowcount


def owners(session: Session) -> list[str]:
    """Ids of all accounts that have a session, in one order for all: who locks several never waits in a circle."""
    return list(session.exec(select(LoginSession.account_id).distinct().order_by(LoginSession.account_id)))


def prune(session: Session, now: datetime) -> int:
    """Delete sessions that are over; the number of rows."""
    return delete_unlocked(session, LoginSession, col(LoginSession.expires_at) <= now)
