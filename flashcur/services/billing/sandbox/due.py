"""What time brings: renewals, attempts, ends and expiries, in the order in which they fall due."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flashcur.services.billing.sandbox.billing_cycle import (
    DRAFT_S,
    INCOMPLETE_S,
    OVER,
    draft,
    end,
    finalise,
    item_of,
    method_for,
    open_invoices,
    pay,
    price_of,
    set_status,
    subscription_of,
    void,
    whole_period,
)
from flashcur.services.billing.sandbox.calendar_steps import later
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.shop import Shop

Due = tuple[int, str, Callable[[Shop, Obj], None], Obj]


def advance(shop: Shop, until: int, clock: str | None = None) -> int:
    """Let everything happen that falls due by `until` for who goes by `clock`; says how much it was."""
    done = 0
    try:
        while (first := min(_due(shop, clock), key=lambda due: due[:2], default=None)) and first[0] <= until:
            at, _, act, thing = first
            shop.at(at)
            act(shop, thing)
            done += 1
    finally:
        shop.at(None)
    return done


def _due(shop: Shop, clock: str | None) -> Iterator[Due]:
    def goes_by_it(thing: Obj) -> bool:
        payer = shop.ledger.objects.get(thing["customer"] or "")
        return (payer or {}).get("test_clock") == clock

    for sub in filter(goes_by_it, shop.ledger.all("sub_")):
        if sub["status"] in OVER:
            continue
        if sub["status"] == "incomplete":
            yield sub["created"] + INCOMPLETE_S, sub["id"], _expire_incomplete, sub
        elif sub["cancel_at"] is not None and sub["cancel_at"] <= item_of(sub)["current_period_end"]:
            yield sub["cancel_at"], sub["id"], _cancel_as_asked, sub
        elif sub["status"] != "paused":
            yield item_of(sub)["current_period_end"], sub["id"], _renew, sub
        if sub["pending_update"] is not None:
            yield sub["pending_update"]["expires_at"], sub["id"], _expire_change, sub
    for bill in filter(goes_by_it, shop.ledger.all("in_")):
        if bill["status"] == "draft" and bill["_finalizes_at"] is not None:
            yield bill["_finalizes_at"], bill["id"], _finalise_and_pay, bill
        elif bill["status"] == "open" and bill["next_payment_attempt"] is not None:
            yield bill["next_payment_attempt"], bill["id"], _try_again, bill
    for session in filter(goes_by_it, shop.ledger.all("cs_test_")):
        if session["status"] == "open":
            yield session["expires_at"], session["id"], expire_session, session


def _renew(shop: Shop, sub: Obj) -> None:
    item = item_of(sub)
    before = {"items": {"data": [{name: item[name] for name in ("current_period_start", "current_period_end")}]}}
    start = item["current_period_end"]
    anchor = sub["billing_cycle_anchor"]
    interval = price_of(shop, sub)["recurring"]["interval"]
    item["current_period_start"], item["current_period_end"] = start, later(start, interval, anchor_s=anchor)
    shop.tell("customer.subscription.updated", sub, before)
    bill = draft(shop, sub, [whole_period(shop, sub)], "subscription_cycle")
    if sub["status"] == "unpaid":
        # Of a subscription that is given up the invoices stay drafts.
        bill["auto_advance"] = False
        return
    bill["_finalizes_at"] = bill["automatically_finalizes_at"] = start + DRAFT_S


def _finalise_and_pay(shop: Shop, bill: Obj) -> None:
    finalise(shop, bill)
    pay(shop, bill, method_for(shop, subscription_of(shop, bill), bill["customer"]))


def _try_again(shop: Shop, bill: Obj) -> None:
    bill["next_payment_attempt"] = None
    pay(shop, bill, method_for(shop, subscription_of(shop, bill), bill["customer"]))


def _cancel_as_asked(shop: Shop, sub: Obj) -> None:
    end(shop, sub, "cancellation_requested")


def _expire_incomplete(shop: Shop, sub: Obj) -> None:
    for bill in open_invoices(shop, sub):
        void(shop, bill)
    sub["ended_at"] = shop.now(sub["customer"])
    set_status(shop, sub, "incomplete_expired")


def _expire_change(shop: Shop, sub: Obj) -> None:
    bill = shop.ledger.objects[sub["pending_update"]["_invoice"]]
    before = {"pending_update": sub["pending_update"]}
    sub["pending_update"] = None
    if bill["status"] == "open":
        void(shop, bill)
    shop.tell("customer.subscription.pending_update_expired", sub, before)


def expire_session(shop: Shop, session: Obj) -> None:
    """A session of the paying page is over; nothing can be paid with it."""
    session |= {"status": "expired", "url": None}
    shop.tell("checkout.session.expired", session)
