"""How money is asked for: invoices, charges, renewals, retries, and what a change in the middle of a period costs."""

from __future__ import annotations

import copy
from typing import Final, NamedTuple

from flashcur.services.billing.sandbox import objects
from flashcur.services.billing.sandbox.calendar_steps import DAY_S, later
from flashcur.services.billing.sandbox.cards import CARDS, DECLINES
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal, declined
from flashcur.services.billing.sandbox.shop import Shop

DRAFT_S: Final = 3600
"""A renewal's invoice is a draft for an hour."""
RETRY_DAYS: Final = (3, 5, 7)
"""Days after the first attempt on which a card is tried again."""
INCOMPLETE_S: Final = 23 * 3600
"""A first payment, or a change that waits for one, is over after this."""
TAX_PERCENT: Final = 20
"""Where tax is counted automatically."""
OVER: Final = ("canceled", "incomplete_expired")
"""States of a subscription that nothing leads out of."""


class Part(NamedTuple):
    """A line of an invoice before it has an id."""

    price: Obj
    text: str
    amount: int
    start: int
    end: int
    proration: bool = False


def item_of(sub: Obj) -> Obj:
    """The one item of a subscription."""
    return sub["items"]["data"][0]


def price_of(shop: Shop, sub: Obj) -> Obj:
    """What its item costs."""
    return shop.ledger.objects[item_of(sub)["_price"]]


def whole_period(shop: Shop, sub: Obj) -> Part:
    """The line of the period that the subscription is in."""
    item, price = item_of(sub), price_of(shop, sub)
    name = shop.ledger.objects[price["product"]]["name"]
    text = f"1 × {name} (per {price['recurring']['interval']})"
    return Part(price, text, price["unit_amount"], item["current_period_start"], item["current_period_end"])


def draft(shop: Shop, sub: Obj, parts: list[Part], reason: str) -> Obj:
    """A draft with those lines, discount and tax counted."""
    bill = compose(shop, sub, parts, reason, shop.ledger.new_id("in_"))
    shop.ledger.add(bill)
    if reason != "subscription_update":
        sub["_coupon_spent"] = True
    sub["latest_invoice"] = bill["id"]
    shop.tell("invoice.created", bill)
    return bill


def compose(shop: Shop, sub: Obj, parts: list[Part], reason: str, invoice_id: str) -> Obj:
    """An invoice that is not kept: what a preview shows."""
    payer = shop.ledger.objects[sub["customer"]]
    now = shop.now(sub["customer"])
    bill = objects.invoice(invoice_id, now, payer, sub, sub["currency"], reason, shop.base)
    for number, part in enumerate(parts, 1):
        line_id = f"il_{invoice_id[3:]}{number}"
        bill["lines"]["data"].append(
            objects.line(
                line_id,
                invoice_id,
                sub,
                part.price,
                part.text,
                part.amount,
                part.start,
                part.end,
                proration=part.proration,
            )
        )
    subtotal = sum(part.amount for part in parts)
    off = 0
    coupon = shop.ledger.objects.get(sub["_coupon"] or "")
    if coupon and subtotal > 0 and not (coupon["duration"] == "once" and sub["_coupon_spent"]):
        off = round(subtotal * coupon["percent_off"] / 100) if coupon["percent_off"] else coupon["amount_off"]
        off = min(off, subtotal)
        bill["total_discount_amounts"] = [{"amount": off, "discount": f"di_{invoice_id[3:]}"}]
    net = subtotal - off
    tax = round(net * TAX_PERCENT / 100) if bill["automatic_tax"]["enabled"] else 0
    if tax:
        taxed = {"amount": tax, "tax_behavior": "exclusive", "taxable_amount": net, "type": "tax_rate_details"}
        bill["total_taxes"] = [taxed]
    bill |= {"subtotal": subtotal, "subtotal_excluding_tax": subtotal, "total_excluding_tax": net, "total": net + tax}
    _settle_balance(bill, payer["balance"])
    return bill


def _settle_balance(bill: Obj, balance: int) -> None:
    # A customer's credit is a balance below zero; it pays first, and what an invoice gives back becomes credit.
    due = max(0, bill["total"] + balance)
    bill |= {"starting_balance": balance, "amount_due": due, "amount_remaining": due}


def finalise(shop: Shop, bill: Obj) -> None:
    """A draft becomes an invoice with a number and, where something is due, an attempt to be paid."""
    payer = shop.ledger.objects[bill["customer"]]
    now = shop.now(bill["customer"])
    _settle_balance(bill, payer["balance"])
    ending = bill["total"] + bill["starting_balance"] - bill["amount_due"]
    if payer["balance"] != ending:
        before = {"balance": payer["balance"]}
        payer["balance"] = ending
        shop.tell("customer.updated", payer, before)
    bill["ending_balance"] = ending
    bill["status"], bill["number"] = "open", f"{payer['invoice_prefix']}-{payer['next_invoice_sequence']:04d}"
    bill["status_transitions"]["finalized_at"] = bill["effective_at"] = now
    bill["_finalizes_at"] = bill["automatically_finalizes_at"] = None
    payer["next_invoice_sequence"] += 1
    if bill["amount_due"]:
        intent = shop.ledger.add(objects.payment_intent(shop.ledger.new_id("pi_"), now, bill))
        bill["_payment_intent"] = intent["id"]
        shop.ledger.add(objects.invoice_payment(shop.ledger.new_id("inpay_"), now, bill, intent["id"]))
    shop.tell("invoice.finalized", bill)


def method_for(shop: Shop, sub: Obj | None, customer_id: str) -> Obj | None:
    """The card that pays: the subscription's own, else the customer's."""
    payer = shop.ledger.objects[customer_id]
    named: str | None = sub["default_payment_method"] if sub else None
    if named is None and not payer.get("deleted"):
        named = payer["invoice_settings"]["default_payment_method"]
    return shop.ledger.objects.get(named or "")


def pay(shop: Shop, bill: Obj, method: Obj | None, *, first: bool = False, confirmed: bool = False) -> str:
    """Try to be paid for an open invoice. Returns "" or the decline code.

    After `authentication_required` it waits for the word of the card's owner.
    """
    if not bill["amount_due"]:
        paid(shop, bill)
        return ""
    intent = shop.ledger.objects[bill["_payment_intent"]]
    bill["attempted"], bill["attempt_count"] = True, bill["attempt_count"] + 1
    decline = ""
    if method is None:
        decline = "generic_decline"
    else:
        card = CARDS[method["_number"]]
        if card.asks and first and not confirmed:
            decline = "authentication_required"
        elif card.decline and not (card.later and first):
            decline = card.decline
    if decline == "authentication_required":
        intent["status"] = "requires_action"
        intent["next_action"] = {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": None, "url": f"{shop.base}/3ds/{intent['id']}"},
        }
        intent["payment_method"] = method and method["id"]
        shop.tell("payment_intent.requires_action", intent)
        shop.tell("invoice.payment_action_required", bill)
        _failed(shop, bill)
        return decline
    if method is not None:
        intent["payment_method"] = method["id"]
        charge = objects.charge(
            shop.ledger.new_id("ch_"), shop.now(bill["customer"]), intent, method, decline, DECLINES.get(decline)
        )
        shop.ledger.add(charge)
        intent["latest_charge"] = charge["id"]
        shop.tell("charge.failed" if decline else "charge.succeeded", charge)
    if decline:
        intent["status"] = "requires_payment_method"
        intent["last_payment_error"] = declined(decline, DECLINES[decline]).body()["error"]
        shop.tell("payment_intent.payment_failed", intent)
        _failed(shop, bill)
        return decline
    intent |= {"status": "succeeded", "amount_received": intent["amount"], "next_action": None}
    shop.tell("payment_intent.succeeded", intent)
    paid(shop, bill)
    if method is not None and (status := CARDS[method["_number"]].disputed):
        dispute(shop, shop.ledger.objects[intent["latest_charge"]], status, "fraudulent")
    return ""


def paid(shop: Shop, bill: Obj) -> None:
    """An invoice is paid; its subscription lives, and what waited for it happens."""
    now = shop.now(bill["customer"])
    bill |= {
        "status": "paid", "amount_paid": bill["amount_due"], "amount_remaining": 0, "attempted": True,
        "next_payment_attempt": None,
    }  # fmt: skip
    bill["status_transitions"]["paid_at"] = now
    for payment in shop.ledger.all("inpay_"):
        if payment["invoice"] == bill["id"]:
            payment |= {"status": "paid", "amount_paid": bill["amount_due"]}
            payment["status_transitions"]["paid_at"] = now
    shop.tell("invoice.paid", bill)
    if bill["amount_due"]:
        shop.tell("invoice.payment_succeeded", bill)
    sub = subscription_of(shop, bill)
    if sub is None or sub["status"] in OVER:
        return
    waiting = sub["pending_update"]
    if waiting is not None and waiting["_invoice"] == bill["id"]:
        before = {"pending_update": waiting, "items": copy.deepcopy(sub["items"])}
        sub["pending_update"] = None
        apply_price(shop, sub, shop.ledger.objects[waiting["_price"]], waiting["_at"])
        shop.tell("customer.subscription.pending_update_applied", sub)
        shop.tell("customer.subscription.updated", sub, before)
    if sub["status"] in ("incomplete", "past_due", "unpaid") and not open_invoices(shop, sub):
        set_status(shop, sub, "active")


def open_invoices(shop: Shop, sub: Obj) -> list[Obj]:
    """What is still to be paid for a subscription."""
    bills = (bill for bill in shop.ledger.all("in_") if bill["status"] == "open")
    return [bill for bill in bills if subscription_of(shop, bill) is sub]


def subscription_of(shop: Shop, bill: Obj) -> Obj | None:
    """The subscription that an invoice is for."""
    parent: Obj | None = bill["parent"]
    return shop.ledger.objects.get(parent["subscription_details"]["subscription"]) if parent else None


def _failed(shop: Shop, bill: Obj) -> None:
    sub = subscription_of(shop, bill)
    shop.tell("invoice.payment_failed", bill)
    renewal = bill["billing_reason"] in ("subscription_cycle", "subscription_update")
    if sub is None or sub["status"] in OVER or not renewal or (sub["pending_update"] is not None):
        return
    finalised = bill["status_transitions"]["finalized_at"]
    now = shop.now(bill["customer"])
    left = [finalised + days * DAY_S for days in RETRY_DAYS if finalised + days * DAY_S > now]
    bill["next_payment_attempt"] = left[0] if left else None
    if sub["status"] in ("active", "trialing"):
        set_status(shop, sub, "past_due")
    if not left and shop.dunning_end == "canceled":
        end(shop, sub, "payment_failed")
    elif not left:
        set_status(shop, sub, shop.dunning_end)


def set_status(shop: Shop, sub: Obj, status: str) -> None:
    """Give a subscription another state and tell it."""
    if sub["status"] != status:
        before = {"status": sub["status"]}
        sub["status"] = status
        shop.tell("customer.subscription.updated", sub, before)


def end(shop: Shop, sub: Obj, reason: str | None) -> None:
    """A subscription is over now; an unpaid first invoice is void, later ones are no longer tried."""
    now = shop.now(sub["customer"])
    for bill in open_invoices(shop, sub):
        if bill["billing_reason"] == "subscription_create" or sub["pending_update"] is not None:
            void(shop, bill)
        bill["next_payment_attempt"] = None
    for bill in shop.ledger.all("in_"):
        if bill["status"] == "draft" and subscription_of(shop, bill) is sub:
            bill |= {"auto_advance": False, "automatically_finalizes_at": None, "_finalizes_at": None}
    sub |= {"status": "canceled", "ended_at": now, "canceled_at": sub["canceled_at"] or now, "pending_update": None}
    sub["cancellation_details"]["reason"] = reason
    shop.tell("customer.subscription.deleted", sub)


def void(shop: Shop, bill: Obj) -> None:
    """An invoice that is no longer asked for."""
    bill |= {"status": "void", "next_payment_attempt": None}
    bill["status_transitions"]["voided_at"] = shop.now(bill["customer"])
    shop.tell("invoice.voided", bill)


def subscribe(shop: Shop, payer: Obj, price: Obj, *, metadata: Obj, tax: bool, coupon: str | None = None) -> Obj:
    """A new subscription with its first invoice finalised and not yet paid: it is `incomplete`."""
    now = shop.now(payer["id"])
    sub_id = shop.ledger.new_id("sub_")
    stop = later(now, price["recurring"]["interval"])
    item = objects.subscription_item(shop.ledger.new_id("si_", 14), now, sub_id, price["id"], now, stop)
    sub = objects.subscription(sub_id, now, payer["id"], price["currency"], item, metadata)
    sub["automatic_tax"]["enabled"], sub["_coupon"] = tax, coupon
    sub["test_clock"] = payer["test_clock"]
    payer["currency"] = payer["currency"] or price["currency"]
    shop.ledger.add(sub)
    shop.tell("customer.subscription.created", sub)
    bill = draft(shop, sub, [whole_period(shop, sub)], "subscription_create")
    finalise(shop, bill)
    return sub


def prorations(shop: Shop, sub: Obj, price: Obj, at: int) -> list[Part]:
    """The lines of a change to `price` at that second: credit for what is unused, and what the new one costs."""
    if price["currency"] != sub["currency"]:
        raise ApiRefusal("You cannot combine currencies on a single subscription.", param="items[0][price]")
    item, old = item_of(sub), price_of(shop, sub)
    start, stop = item["current_period_start"], item["current_period_end"]
    if not start <= at < stop:
        raise ApiRefusal("The proration date must be within the current period.", param="proration_date")
    names = [shop.ledger.objects[each["product"]]["name"] for each in (old, price)]
    unused = -round(old["unit_amount"] * (stop - at) / (stop - start))
    credit = Part(old, f"Unused time on {names[0]}", unused, at, stop, True)
    if price["recurring"]["interval"] != old["recurring"]["interval"]:
        # Another interval begins a new period, which is paid whole.
        stop = later(at, price["recurring"]["interval"])
        return [credit, Part(price, f"1 × {names[1]}", price["unit_amount"], at, stop)]
    rest = round(price["unit_amount"] * (stop - at) / (stop - start))
    return [credit, Part(price, f"Remaining time on {names[1]}", rest, at, stop, True)]


def apply_price(shop: Shop, sub: Obj, price: Obj, at: int) -> None:
    """The item costs `price` from now on; another interval begins its period at `at`."""
    item, old = item_of(sub), price_of(shop, sub)
    item["_price"] = price["id"]
    if price["recurring"]["interval"] != old["recurring"]["interval"]:
        sub["billing_cycle_anchor"] = item["current_period_start"] = at
        item["current_period_end"] = later(at, price["recurring"]["interval"])


def change(shop: Shop, sub: Obj, price: Obj, at: int, behaviour: str, prorate: str) -> str:
    """Change the price of a subscription. Returns "" or the decline code of the charge that it needed."""
    before = {"items": copy.deepcopy(sub["items"])}
    if prorate != "always_invoice":
        apply_price(shop, sub, price, at)
        shop.tell("customer.subscription.updated", sub, before)
        return ""
    parts = prorations(shop, sub, price, at)
    if behaviour == "error_if_incomplete":
        method = method_for(shop, sub, sub["customer"])
        code = "" if method is None else CARDS[method["_number"]].decline
        if code and sum(part.amount for part in parts) > 0:
            raise declined(code, DECLINES[code])
    waits = behaviour == "pending_if_incomplete"
    if not waits:
        apply_price(shop, sub, price, at)
    bill = draft(shop, sub, parts, "subscription_update")
    if waits:
        sub["pending_update"] = {
            "billing_cycle_anchor": None, "discounts": [], "expires_at": shop.now(sub["customer"]) + INCOMPLETE_S,
            "metadata": None, "subscription_items": [{"id": item_of(sub)["id"], "price": price["id"]}],
            "trial_end": None, "trial_from_plan": None, "_invoice": bill["id"], "_price": price["id"], "_at": at,
        }  # fmt: skip
    finalise(shop, bill)
    decline = pay(shop, bill, method_for(shop, sub, sub["customer"]))
    if not waits or decline:
        shop.tell("customer.subscription.updated", sub, before if not waits else {"pending_update": None})
    return decline


def dispute(shop: Shop, charge: Obj, status: str, reason: str) -> Obj:
    """The owner of a card contests a charge."""
    charge["disputed"] = True
    made = objects.dispute(shop.ledger.new_id("du_"), shop.now(charge["customer"]), charge, status, reason)
    shop.ledger.add(made)
    shop.tell("charge.dispute.created", made)
    return made
