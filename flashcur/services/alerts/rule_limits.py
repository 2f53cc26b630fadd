"""Which of an account's rules are active: those over the plan's number are kept, paused, and come back with it.

A rule that its plan never lets fire takes no place from one that can.
"""

from __future__ import annotations

from sqlmodel import Session, col, select

from flashcur.domain.plans import Plan, least_plan
from flashcur.domain.rules.condition import Fault, needs_open_interest
from flashcur.domain.rules.rule import Definition
from flashcur.models import RuleRecord


def kept_from_firing(definition: Definition | None, plan: Plan) -> str:
    """Why a rule never fires on a plan, with the way out, as part of a sentence; empty where it can.

    `definition`: None where this version cannot read it.
    """
    if definition is None:
        return "this version of FlashCur cannot read it: delete it and write it again"
    if plan.open_interest or not needs_open_interest(definition.conditions):
        return ""
    return f"open interest comes with {least_plan('open_interest').title}: upgrade, or edit the rule"


def can_fire(rule: RuleRecord, plan: Plan) -> bool:
    """Whether a rule, where it is active, may fire on a plan."""
    try:
        definition = Definition.from_json(rule.definition)
    except Fault:
        definition = None
    return not kept_from_firing(definition, plan)


def enforce(session: Session, account_id: str, plan: Plan, now_ms: int) -> tuple[int, int]:
    """Have at most as many rules of an account be active at `now_ms` (Unix ms) as its plan has; returns (paused, set
    going again).

    The newest are paused first, and the oldest of those that a plan paused come back first. A rule that can never fire
    on this plan gives way to one that can, and is not set going. The caller has locked the account, and tells its
    pages.
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
    going = [rule for rule in rules if rule.status == "active"]
    waiting = [rule for rule in rules if rule.why == "plan"]
    able = {rule.id for rule in rules if can_fire(rule, plan)}
    in_order = [
        *(rule for rule in going if rule.id in able),
        *(rule for rule in waiting if rule.id in able),
        *(rule for rule in going if rule.id not in able),
    ]
    kept = {rule.id for rule in in_order[: plan.rules]}
    over = [rule for rule in going if rule.id not in kept]
    back = [rule for rule in waiting if rule.id in kept]
    for rule in over:
        rule.status, rule.why, rule.changed_ms = "paused", "plan", now_ms
    for rule in back:
        rule.status, rule.why, rule.changed_ms = "active", "", now_ms
    session.add_all([*over, *back])
    return len(over), len(back)
