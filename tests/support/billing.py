"""What is on record of an account's payments, for tests."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from flashcur.domain.billing.prices import PriceTable
from flashcur.models import BillingCustomer, BillingSubscription

NO_PRICES = PriceTable({}, live=None)
PRICES = PriceTable({("pro", "monthly"): ("price_pro", "price_pro_old"), ("elite", "yearly"): ("price_elite",)}, False)


def add_subscription(
    session: Session,
    account_id: str,
    now_ms: int,
    *,
    id: str = "sub_1",
    price: str = "price_pro",
    status: str = "active",
    livemode: bool = False,
    **more: Any,
) -> BillingSubscription:
    """A subscription that began at `now_ms`, with its customer."""
    customer = f"cus_{account_id[:8]}_{livemode}"
    if session.get(BillingCustomer, customer) is None:
        session.add(BillingCustomer(id=customer, account_id=account_id, livemode=livemode, created_ms=now_ms))
        session.flush()
    started = {"created_ms": now_ms, "period_start_ms": now_ms, "fetched_ms": now_ms}
    row = BillingSubscription(
        id=id,
        customer_id=customer,
        account_id=account_id,
        livemode=livemode,
        status=status,
        price_id=price,
        **{**started, **more},
    )
    session.add(row)
    session.flush()
    return row
