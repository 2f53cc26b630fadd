"""Invoices, what they were paid by, and what was given back or contested of it."""

from __future__ import annotations

from typing import Final

from flashcur.services.billing.sandbox import objects
from flashcur.services.billing.sandbox.billing_cycle import (
    OVER,
    compose,
    method_for,
    pay,
    prorations,
    subscription_of,
    void,
)
from flashcur.services.billing.sandbox.cards import DECLINES
from flashcur.services.billing.sandbox.forms import Form, as_form, as_int, as_list, required
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal, declined
from flashcur.services.billing.sandbox.routing import CREATED, PAGED, Route, page
from flashcur.services.billing.sandbox.shop import Shop

ENDS: Final = ("won", "lost", "warning_closed")
"""States of a dispute that nothing leads out of."""


def _get(shop: Shop, form: Form, invoice_id: str) -> Obj:
    return shop.ledger.get("in_", invoice_id)


def _list(shop: Shop, form: Form, _: str) -> Obj:
    found = [
        bill
        for bill in shop.ledger.all("in_")
        if all(form.get(name) in (None, bill[name]) for name in ("customer", "status"))
        and form.get("subscription") in (None, (subscription_of(shop, bill) or {}).get("id"))
    ]
    return page(found, form, "/v1/invoices")


def pay_open(shop: Shop, bill: Obj, method: Obj | None, *, confirmed: bool = False) -> None:
    """Pay an open invoice. Raises ApiRefusal where it is not open or the card is declined."""
    if bill["status"] == "paid":
        raise ApiRefusal("Invoice is already paid", code="invoice_already_paid")
    if bill["status"] != "open":
        raise ApiRefusal(f"This invoice cannot be paid: it is {bill['status']}.", code="invoice_not_editable")
    sub = subscription_of(shop, bill)
    method = method or method_for(shop, sub, bill["customer"])
    if method is None:
        raise ApiRefusal("There is no card to pay with. Add one first.", code="missing_payment_method")
    if decline := pay(shop, bill, method, first=True, confirmed=confirmed):
        raise declined(decline, DECLINES[decline])


def _pay(shop: Shop, form: Form, invoice_id: str) -> Obj:
    bill = shop.ledger.get("in_", invoice_id)
    named = form.get("payment_method")
    pay_open(shop, bill, shop.method(named, bill["customer"]) if named else None)
    return bill


def _void(shop: Shop, form: Form, invoice_id: str) -> Obj:
    bill = shop.ledger.get("in_", invoice_id)
    if bill["status"] != "open":
        raise ApiRefusal("You can only pass in open invoices.", code="invoice_not_editable")
    void(shop, bill)
    return bill


def _preview(shop: Shop, form: Form, _: str) -> Obj:
    sub = shop.ledger.get("sub_", required(form, "subscription"), "subscription")
    if sub["status"] in OVER:
        raise ApiRefusal("The subscription is canceled.", code="invoice_upcoming_none")
    details = as_form(form.get("subscription_details"))
    items = as_list(details.get("items"))
    if len(items) != 1 or details.get("proration_behavior") != "always_invoice":
        message = "The sandbox previews one changed item with proration_behavior always_invoice."
        raise ApiRefusal(message, param="subscription_details")
    price = shop.ledger.get("price_", required(items[0], "price"), "subscription_details[items][0][price]")
    at = as_int(details.get("proration_date", shop.now(sub["customer"])), "proration_date")
    return compose(shop, sub, prorations(shop, sub, price, at), "subscription_update", "in_upcoming")


def _payments(shop: Shop, form: Form, _: str) -> Obj:
    intent = as_form(form.get("payment")).get("payment_intent")
    found = [
        each
        for each in shop.ledger.all("inpay_")
        if form.get("invoice") in (None, each["invoice"]) and intent in (None, each["payment"]["payment_intent"])
    ]
    return page(found, form, "/v1/invoice_payments")


def _charge(shop: Shop, form: Form, charge_id: str) -> Obj:
    return shop.ledger.get("ch_", charge_id)


def _charges(shop: Shop, form: Form, _: str) -> Obj:
    found = [
        each
        for each in shop.ledger.all("ch_")
        if all(form.get(name) in (None, each[name]) for name in ("customer", "payment_intent"))
    ]
    return page(found, form, "/v1/charges")


def _intent(shop: Shop, form: Form, intent_id: str) -> Obj:
    return shop.ledger.get("pi_", intent_id)


def _refund(shop: Shop, form: Form, _: str) -> Obj:
    charge_id = form.get("charge")
    if charge_id is None:
        charge_id = shop.ledger.get("pi_", required(form, "payment_intent"), "payment_intent")["latest_charge"]
    charge = shop.ledger.get("ch_", charge_id or "", "charge")
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = as_int(form.get("amount", left), "amount")
    if left == 0:
        raise ApiRefusal(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if not 0 < amount <= left:
        raise ApiRefusal(f"Refund amount ({amount}) is not within what is left of the charge ({left})", param="amount")
    at = shop.now(charge["customer"])
    metadata = as_form(form.get("metadata"))
    made = objects.refund(shop.ledger.new_id("re_"), at, charge, amount, form.get("reason"), metadata)
    shop.ledger.add(made)
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    shop.tell("refund.created", made)
    shop.tell("charge.refunded", charge, before)
    return made


def _get_refund(shop: Shop, form: Form, refund_id: str) -> Obj:
    return shop.ledger.get("re_", refund_id)


def _refunds(shop: Shop, form: Form, _: str) -> Obj:
    found = (each for each in shop.ledger.all("re_") if form.get("charge") in (None, each["charge"]))
    return page(found, form, "/v1/refunds")


def settle(shop: Shop, dispute: Obj, status: str) -> None:
    """A dispute goes on to `status`; those of `ENDS` close it. Raises ApiRefusal where it is closed."""
    if dispute["status"] in ENDS:
        raise ApiRefusal("This dispute is already closed.")
    before = {"status": dispute["status"]}
    dispute["status"] = status
    shop.tell("charge.dispute.closed" if status in ENDS else "charge.dispute.updated", dispute, before)


def _dispute(shop: Shop, form: Form, dispute_id: str) -> Obj:
    return shop.ledger.get("du_", dispute_id)


def _disputes(shop: Shop, form: Form, _: str) -> Obj:
    found = (each for each in shop.ledger.all("du_") if form.get("charge") in (None, each["charge"]))
    return page(found, form, "/v1/disputes")


def _close(shop: Shop, form: Form, dispute_id: str) -> Obj:
    dispute = shop.ledger.get("du_", dispute_id)
    settle(shop, dispute, "warning_closed" if dispute["status"].startswith("warning_") else "lost")
    return dispute


ROUTES = (
    Route("GET", "invoices", _list, (*PAGED, *CREATED, "customer", "status", "subscription")),
    Route(
        "POST", "invoices/create_preview", _preview,
        (
            "customer", "subscription", "subscription_details.items.id", "subscription_details.items.price",
            "subscription_details.proration_behavior", "subscription_details.proration_date",
        ),
    ),
    Route("GET", "invoices/{id}", _get),
    Route("POST", "invoices/{id}/pay", _pay, ("payment_method", "off_session")),
    Route("POST", "invoices/{id}/void", _void),
    Route(
        "GET", "invoice_payments", _payments, (*PAGED, *CREATED, "invoice", "payment.type", "payment.payment_intent")
    ),
    Route("GET", "charges", _charges, (*PAGED, *CREATED, "customer", "payment_intent")),
    Route("GET", "charges/{id}", _charge),
    Route("GET", "payment_intents/{id}", _intent),
    Route("POST", "refunds", _refund, ("charge", "payment_intent", "amount", "reason", "metadata")),
    Route("GET", "refunds", _refunds, (*PAGED, *CREATED, "charge")),
    Route("GET", "refunds/{id}", _get_refund),
    Route("GET", "disputes", _disputes, (*PAGED, *CREATED, "charge")),
    Route("GET", "disputes/{id}", _dispute),
    Route("POST", "disputes/{id}/close", _close),
)  # fmt: skip
"""Of this noun."""
