"""How web processes learn that an account changed: through the database, which all of them share.

Twice a second a process reads what came since its last look, by number, as the clocks of processes differ. A
transaction may become visible after one with a larger number, so the reader looks back over those of the last half
minute and remembers which it has seen.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from flashcur.models import AccountChange
from flashcur.services.storage.pruning import delete_unlocked

LOOK_BACK = timedelta(seconds=30)
"""No transaction of ours lasts as long."""
FIRST_LOOK_BACK = 1_000
"""How many changes a process that starts looks back over."""


def tell(session: Session, account_id: str, now: datetime) -> None:
    """Note in the transaction of a change that `account_id` is to be read anew."""
    session.add(AccountChange(account_id=account_id, at=now))


def newest(session: Session) -> int:
    """The largest number there is; 0 if there is none."""
    return session.exec(select(func.max(AccountChange.id))).one() or 0


def since(session: Session, number: int) -> list[tuple[int, str]]:
    """(number, account id) of all changes with a larger number, in no order."""
    rows = session.exec(select(AccountChange.id, AccountChange.account_id).where(col(AccountChange.id) > number))
    return [(number, account_id) for number, account_id in rows if number is not None]


def prune(session: Session, before: datetime) -> int:
    """Delete changes older than `before`; the number of rows. The newest stays: its number must not be given anew."""
    seen = col(AccountChange.at) < before, col(AccountChange.id) < newest(session)
    return delete_unlocked(session, AccountChange, *seen)


class Reader:
    """What one process has read of the changes."""

    def __init__(self) -> None:
        self._floor: int | None = None
        self._heights: deque[tuple[float, int]] = deque()
        self._seen: set[int] = set()

    def forget(self) -> None:
        """Begin anew: there is nobody to be told, so nothing can be missed."""
        self._floor = None

    def news(self, session: Session, now_s: float) -> set[str]:
        """Ids of the accounts that changed since the last call; `now_s` is a monotonic clock of this process.

        The first call, and the first after `forget`, looks back over `FIRST_LOOK_BACK` changes.
        """
        if self._floor is None:
            self._floor = max(0, newest(session) - FIRST_LOOK_BACK)
            self._heights.clear()
            self._seen.clear()
        told = since(session, self._floor)
        fresh = {account_id for number, account_id in told if number not in self._seen}
        self._seen = {number for number, _ in told}
        self._heights.append((now_s, max(self._seen, default=self._floor)))
        # Nothing below a number that was seen long enough ago can still appear.
        while self._heights and now_s - self._heights[0][0] > LOOK_BACK.total_seconds():
            self._floor = max(self._floor, self._heights.popleft()[1])
        return fresh
