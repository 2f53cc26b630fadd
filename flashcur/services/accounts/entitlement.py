"""Which plan an account has, and how it is given another."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from flashcur.domain.plans import PLANS, Plan, PlanName, plan_name
from flashcur.models import Account
from flashcur.services.accounts import audit, changes, sessions
from flashcur.services.accounts.audit import Actor
from flashcur.services.alerts import rule_limits
from flashcur.services.kit.clock import to_ms


def plan_of(account: Account, now: datetime) -> Plan:
    """The plan an account has at `now`: the one that follows once its time is over; Free where it does not exist."""
    over = account.plan_until is not None and account.plan_until <= now
    try:
        return PLANS[plan_name(account.plan_after if over else account.plan)]
    except ValueError:
        return PLANS["free"]


def set_plan(
    session: Session,
    account: Account,
    plan: PlanName,
    now: datetime,
    *,
    source: str,
    until: datetime | None = None,
    then: PlanName = "free",
    actor: Actor = "system",
) -> None:
    """Give an account a plan until a moment, `then` another; or for good. `source` is kept in `Account.plan_source`.

    Nothing of the account is deleted; sessions over the new limit end, the oldest first, and rules over it are paused,
    the newest first, until a plan has room for them again.
    """
    before = account.plan
    account.plan, account.plan_source, account.plan_until, account.plan_after = plan, source, until, then
    session.add(account)
    sessions.enforce(session, account.id, PLANS[plan].sessions)
    rule_limits.enforce(session, account.id, PLANS[plan], to_ms(now))
    end = "" if until is None else f" until {until:%Y-%m-%d %H:%M} UTC"
    if end and then != "free":
        end += f", then {then}"
    audit.record(session, "plan-changed", account.id, now, actor=actor, detail=f"{before} to {plan}{end}")
    changes.tell(session, account.id, now)
