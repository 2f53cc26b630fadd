"""Rules for tests: their rows, as the owner's pages would have written them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlmodel import Session, col, func, select

from flashcur.domain.plans import PlanName
from flashcur.domain.rules.condition import Condition, PriceCross
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.models import RuleRecord
from flashcur.services.kit.clock import from_ms
from tests.support.accounts import add_account

ABOVE = PriceCross("above", 65_000.0)


def definition(*conditions: Condition, scope: Scope | str = "BTCUSDT", **other: Any) -> Definition:
    """A definition; `scope` may be a symbol, or empty for all contracts."""
    if isinstance(scope, str):
        scope = Scope("symbol", scope) if scope else Scope("all")
    return replace(Definition(conditions or (ABOVE,), scope), **other)


def add_owner(session: Session, now_ms: int, *, plan: PlanName = "elite", email: str | None = None) -> str:
    """An account; its id."""
    return add_account(session, email, from_ms(now_ms), password=None, plan=plan)


def add_rule(session: Session, account_id: str, written: Definition, now_ms: int, **other: Any) -> RuleRecord:
    """An active rule after the account's others."""
    last = session.exec(select(func.max(RuleRecord.position)).where(col(RuleRecord.account_id) == account_id)).one()
    rule = RuleRecord(
        account_id=account_id,
        definition=written.to_json(),
        channels=["in-app"],
        position=(last or 0) + 1,
        created_ms=now_ms,
        changed_ms=now_ms,
    )
    for name, value in other.items():
        setattr(rule, name, value)
    session.add(rule)
    session.flush()
    return rule
