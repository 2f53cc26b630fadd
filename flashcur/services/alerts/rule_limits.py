"""How many of an account's rules are active: those over the plan's number are kept, paused, and come back with it."""

from __future__ import annotations

from sqlmodel import Session, col, select

from flashcur.models import RuleRecord


def enforce(session: Session, account_id: str, most: int, now_ms: int) -> tuple[int, int]:
    """Have at most so many rules of an account be active at `now_ms` (Unix ms); returns (paused, set going again).

    The newest are paused first, and the oldest of those that a plan paused come back first. The caller has locked the
    account, and tells its pages.
    """
    query = (
        select(RuleRecord)
        .where(RuleRecord.account_id == account_id, col(RuleRecord.why).in_(("", "plan")))
        .where(col(RuleRecord.status).in_(("active", "paused")))
        .order_by(col(RuleRecord.position), col(RuleRecord.id))
        # What the session read before the lock may have changed meanwhile.
        .execution_options(populate_existing=True)
        .with_for_update()
    )
    rules = session.exec(query).all()
    active = [rule for rule in rules if rule.status == "active"]
    over = active[most:]
    waiting = [rule for rule in rules if rule.why == "plan"]
    back = waiting[: max(0, most - len(active))]
    for rule in over:
        rule.status, rule.why, rule.changed_ms = "paused", "plan", now_ms
    for rule in back:
        rule.status, rule.why, rule.changed_ms = "active", "", now_ms
    session.add_all([*over, *back])
    return len(over), len(back)
