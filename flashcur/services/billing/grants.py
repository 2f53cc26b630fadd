"""Plans that an operator gives, beside what is paid for."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from flashcur.domain.plans import PlanName
from flashcur.errors import Conflict
from flashcur.models import PlanGrant
from flashcur.services.kit.clock import to_ms


def grant(
    session: Session, account_id: str, plan: PlanName, until: datetime | None, now: datetime, *, reason: str
) -> PlanGrant:
    """Put on record that a locked account has a plan from `now` until a moment, or for good.

    Its plan follows with `plans.reconsider`. Raises Conflict for Free, which nobody needs to be given, and for a moment
    that is over.
    """
    if plan == "free":
        raise Conflict("Everybody has Free: take back what was granted instead.")
    if until is not None and until <= now:
        raise Conflict("The grant would be over already: choose a later end.")
    row = PlanGrant(
        account_id=account_id,
        plan=plan,
        from_ms=to_ms(now),
        until_ms=None if until is None else to_ms(until),
        reason=reason[:300],
        created_ms=to_ms(now),
    )
    session.add(row)
    session.flush()
    return row


def of_account(session: Session, account_id: str) -> list[PlanGrant]:
    """All grants of an account, those that are over too, the oldest first."""
    own = select(PlanGrant).where(PlanGrant.account_id == account_id)
    return list(session.exec(own.order_by(col(PlanGrant.created_ms), col(PlanGrant.id))))


def take_back(session: Session, account_id: str, now: datetime) -> int:
    """End all grants of a locked account that are not over at `now`; how many."""
    now_ms = to_ms(now)
    going = [
        row
        for row in of_account(session, account_id)
        if row.ended_ms is None and (row.until_ms is None or row.until_ms > now_ms)
    ]
    for row in going:
        row.ended_ms = now_ms
        session.add(row)
    session.flush()
    return len(going)
