"""What the sandbox sells from the start: the plans of the plan table, under ids that are known before it runs."""

from __future__ import annotations

from typing import Final, Literal

from flashcur.domain.plans import PLANS
from flashcur.services.billing.sandbox import objects
from flashcur.services.billing.sandbox.shop import Shop

Period = Literal["monthly", "yearly"]
PERIODS: Final[tuple[Period, ...]] = ("monthly", "yearly")
"""Of a price."""


def price_id(plan: str, period: Period) -> str:
    """The id of a plan's price."""
    return f"price_sandbox_{plan}_{period}"


def fill(shop: Shop) -> None:
    """Make the product and the prices of each plan that is paid for, where they are not there yet."""
    at = shop.clock_s()
    for plan in PLANS.values():
        for period in PERIODS:
            amount = plan.monthly if period == "monthly" else plan.yearly
            named = price_id(plan.audience, period)
            if not amount or named in shop.ledger.objects:
                continue
            product_id = f"prod_sandbox_{plan.audience}"
            if product_id not in shop.ledger.objects:
                shop.ledger.add(objects.product(product_id, at, f"FlashCur {plan.title}", {"plan": plan.audience}))
            interval = "month" if period == "monthly" else "year"
            shop.ledger.add(objects.price(named, at, product_id, "usd", int(amount * 100), interval))
