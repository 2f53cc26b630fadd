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
    """The plan an account has at `now`; Free once its time is over, or where the stored plan does not exist."""
    if account.plan_until is not None and account.plan_until <= now:
        return PLANS["free"]
    try:
        return PLANS[plan_name(account.plan)]
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
    actor: Actor = "system",
) -> None:
    """Give an account a plan until a moment, or for good. `source` is kept in `Account.plan_source`.

    Nothing of the account is deleted; sessions over the new limit end, the oldest first, and rules over it are paused,
    the newest first, until a plan has room for them again.
    """
    before = account.plan
    account.plan, account.plan_source, account.plan_until = plan, source, until
    session.add(account)
    sessions.enforce(session, account.id, PLANS[plan].sessions)
    rule_limits.enforce(session, account.id, PLANS[plan], to_ms(now))
    end = "" if until is None else f" until {until:%Y-%m-%d %H:%M} UTC"
    audit.record(session, "plan-changed", account.id, now, actor=actor, detail=f"{before} to {plan}{end}")
    changes.tell(session, account.id, now)
