"""Past values that a preview waits for: a page asks, the engine reads them from the exchange, the page looks again.

An account has one request at a time; a new one cancels the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session, col, delete, select, update

from flashcur.models import PastRequest

Kind = Literal["minutes", "interest"]
SPAN_MS: dict[Kind, int] = {"minutes": 960 * 60_000, "interest": 200 * 300_000}
"""How much one request of the exchange brings at most: fewer of more minutes take less time, and less of its weight."""
KEPT_MS = 3_600_000
"""How long a request that is over is kept."""
STALLED_MS = 10 * 60_000
"""A request of before that nobody has ended is given up: its engine is gone."""

_OPEN = ("asked", "reading")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request is."""

    state: str
    """See `PastRequest.state`."""
    share: float
    """0 to 1."""
    problem: str

    @property
    def is_open(self) -> bool:
        """Whether it may yet bring something."""
        return self.state in _OPEN


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request that the engine has taken; times are Unix ms."""

    id: str
    symbol: str
    kind: Kind
    first_ms: int
    until_ms: int


def ask(
    session: Session,
    account_id: str,
    exchange: str,
    symbol: str,
    kind: Kind,
    *,
    demo: bool,
    first_ms: int,
    until_ms: int,
    now_ms: int,
) -> str:
    """Ask for past values between two moments; returns the request's id, that of one that is open already if it is
    for the same. All times are Unix ms."""
    known = session.exec(
        select(PastRequest).where(col(PastRequest.account_id) == account_id, col(PastRequest.state).in_(_OPEN))
    ).all()
    for row in known:
        same = (row.exchange, row.demo, row.symbol, row.kind) == (exchange, demo, symbol, kind)
        if same and row.created_ms > now_ms - STALLED_MS:
            return row.id
        row.state = "cancelled"
    request = PastRequest(
        account_id=account_id,
        exchange=exchange,
        demo=demo,
        symbol=symbol,
        kind=kind,
        first_ms=first_ms,
        until_ms=until_ms,
        created_ms=now_ms,
    )
    session.add(request)
    session.flush()
    return request.id


def progress(session: Session, account_id: str, request_id: str) -> Progress | None:
    """How far an account's request is; None for one that is not the account's, or gone."""
    row = session.get(PastRequest, request_id)
    if row is None or row.account_id != account_id:
        return None
    return Progress(row.state, row.share, row.problem)


def cancel(session: Session, account_id: str, request_id: str) -> None:
    """The account no longer waits for it; does nothing for what is over or not the account's."""
    session.exec(
        update(PastRequest)
        .where(
            col(PastRequest.id) == request_id,
            col(PastRequest.account_id) == account_id,
            col(PastRequest.state).in_(_OPEN),
        )
        .values(state="cancelled")
    )


def take(session: Session, exchange: str, *, demo: bool) -> Wanted | None:
    """The oldest request of an exchange that nobody reads, or whose reader is gone, as being read; None if there is
    none. Others that wait for another exchange fail: that one does not serve."""
    session.exec(
        update(PastRequest)
        .where(
            col(PastRequest.state).in_(_OPEN),
            (col(PastRequest.exchange) != exchange) | (col(PastRequest.demo).is_not(demo)),
        )
        .values(state="failed", problem="Another exchange serves now. Try again.")
    )
    row = session.exec(
        select(PastRequest)
        .where(col(PastRequest.state) == "asked")
        .order_by(col(PastRequest.created_ms))
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    row.state = "reading"
    return Wanted(row.id, row.symbol, "minutes" if row.kind == "minutes" else "interest", row.first_ms, row.until_ms)


def note(session: Session, request_id: str, share: float) -> bool:
    """So much of it is there (0 to 1); whether it is still waited for."""
    changed = session.exec(
        update(PastRequest)
        .where(col(PastRequest.id) == request_id, col(PastRequest.state) == "reading")
        .values(share=share)
    )
    return changed.rowcount > 0


def end(session: Session, request_id: str, problem: str = "") -> None:
    """All of it is there or, with a `problem` in words for its owner, cannot be had."""
    values = {"state": "failed", "problem": problem[:300]} if problem else {"state": "done", "share": 1.0}
    session.exec(
        update(PastRequest)
        .where(col(PastRequest.id) == request_id, col(PastRequest.state) == "reading")
        .values(**values)
    )


def resume(session: Session) -> int:
    """Requests whose reader is gone are to be read anew, when an engine begins; returns how many."""
    changed = session.exec(
        update(PastRequest).where(col(PastRequest.state) == "reading").values(state="asked", share=0.0)
    )
    return changed.rowcount


def prune_requests(session: Session, now_ms: int) -> int:
    """Delete requests that were made more than an hour before `now_ms` (Unix ms); returns how many."""
    return session.exec(delete(PastRequest).where(col(PastRequest.created_ms) < now_ms - KEPT_MS)).rowcount
