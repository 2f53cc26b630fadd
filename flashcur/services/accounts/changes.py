"""How web processes learn that an account changed: through the database, which all of them share.

A process reads what came since its last look each second. A transaction may become visible after one with a larger
number, so the reader looks back by some seconds and knows what it has seen.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import Session, col, select

from flashcur.models import AccountChange

LOOK_BACK = timedelta(seconds=30)


def tell(session: Session, account_id: str, now: datetime) -> None:
    """Note in the transaction of a change that `account_id` is to be read anew."""
    session.add(AccountChange(account_id=account_id, at=now))


def since(session: Session, moment: datetime) -> list[tuple[int, str]]:
    """(number, account) of all changes told after `moment`."""
    rows = session.exec(select(AccountChange.id, AccountChange.account_id).where(col(AccountChange.at) > moment))
    return [(number, account_id) for number, account_id in rows if number is not None]


def prune(session: Session, before: datetime) -> int:
    """Delete what every process has seen; the number of rows."""
    return session.exec(delete(AccountChange).where(col(AccountChange.at) < before)).rowcount
