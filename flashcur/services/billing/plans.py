"""The plan of an account, made to follow from what is on record of its payments and grants.

Whoever changes one of these records calls `reconsider` in the same transaction.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, select

from flashcur.domain.billing.entitlement import Disputed, Entitlement, Granted, Subscribed, entitlement
from flashcur.domain.billing.prices import PriceTable
from flashcur.domain.plans import PLAN_NAMES, plan_name
from flashcur.models import Account, BillingDispute, BillingSubscription
from flashcur.services.accounts.audit import Actor
from flashcur.services.accounts.entitlement import set_plan
from flashcur.services.billing import grants
from flashcur.services.kit.clock import from_ms, to_ms
from flashcur.settings import StripeSettings


def price_table(stripe: StripeSettings) -> PriceTable:
    """The prices of the settings."""
    return PriceTable(stripe.prices, stripe.live)


def entitled(session: Session, account_id: str, prices: PriceTable, now: datetime) -> Entitlement:
    """What an account's records give at `now`. Those of payments in the other mode than the key's do not count."""
    subscriptions = session.exec(select(BillingSubscription).where(BillingSubscription.account_id == account_id)).all()
    disputes = session.exec(select(BillingDispute).where(BillingDispute.account_id == account_id)).all()
    return entitlement(
        [_subscribed(row, prices) for row in subscriptions if prices.live in (None, row.livemode)],
        [
            Granted(row.id, plan_name(row.plan), row.from_ms, row.until_ms, row.ended_ms)
            for row in grants.of_account(session, account_id)
            if row.plan in PLAN_NAMES
        ],
        [Disputed(row.subscription_id, row.status, row.covers_until_ms) for row in disputes],
        to_ms(now),
    )


def reconsider(session: Session, account: Account, prices: PriceTable, now: datetime) -> Entitlement:
    """Give a locked account the plan that follows from its records; nothing is written where it has it already."""
    found = entitled(session, account.id, prices, now)
    until = None if found.until_ms is None else from_ms(found.until_ms)
    # Of Free it is no matter who gave it.
    source = account.plan_source if account.plan == "free" == found.plan else found.source
    known = (account.plan, account.plan_source, account.plan_until, account.plan_after)
    if known != (found.plan, source, until, found.then):
        give(session, account, found, now)
    return found


def give(session: Session, account: Account, found: Entitlement, now: datetime, *, actor: Actor = "system") -> None:
    """Give a locked account a plan that was found for it, whatever it has, and write that down."""
    # What an operator made Free is the operator's word.
    source = "operator" if actor == "operator" and found.source == "none" else found.source
    until = None if found.until_ms is None else from_ms(found.until_ms)
    set_plan(session, account, found.plan, now, source=source, until=until, then=found.then, actor=actor)


def _subscribed(row: BillingSubscription, prices: PriceTable) -> Subscribed:
    sold = prices.sold(row.price_id)
    return Subscribed(
        id=row.id,
        status=row.status,
        # By today's prices: what the row says of the plan is as it was fetched.
        plan=None if sold is None else sold.plan,
        created_ms=row.created_ms,
        period_start_ms=row.period_start_ms,
        ends_ms=row.ends_ms,
        ended_ms=row.ended_ms,
        past_due_since_ms=row.past_due_since_ms,
    )
