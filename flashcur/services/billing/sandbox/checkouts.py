"""Sessions of the paying page, and what paying on it does."""

from __future__ import annotations

from flashcur.services.billing.sandbox import objects
from flashcur.services.billing.sandbox.billing_cycle import (
    compose,
    open_invoices,
    pay,
    subscribe,
    void,
    whole_period,
)
from flashcur.services.billing.sandbox.cards import DECLINES
from flashcur.services.billing.sandbox.due import expire_session
from flashcur.services.billing.sandbox.forms import Form, as_bool, as_form, as_int, as_list, required
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal, declined, missing
from flashcur.services.billing.sandbox.routing import CREATED, PAGED, Route, page
from flashcur.services.billing.sandbox.shop import Shop


def _create(shop: Shop, form: Form, _: str) -> Obj:
    if required(form, "mode") != "subscription":
        raise ApiRefusal("The sandbox sells subscriptions: mode must be 'subscription'.", param="mode")
    lines = as_list(form.get("line_items"))
    if len(lines) != 1:
        raise ApiRefusal("The sandbox takes exactly one line item.", param="line_items")
    price = shop.ledger.get("price_", required(lines[0], "price"), "line_items[0][price]")
    if not price["active"]:
        raise ApiRefusal("The price specified is inactive.", code="price_inactive", param="line_items[0][price]")
    payer = shop.customer(form["customer"]) if form.get("customer") else None
    session_id = shop.ledger.new_id("cs_test_", 58)
    at = shop.now(payer["id"] if payer else None)
    made = objects.checkout_session(session_id, at, payer, shop.base)
    made |= {
        "success_url": required(form, "success_url"), "cancel_url": form.get("cancel_url"),
        "client_reference_id": form.get("client_reference_id"), "currency": price["currency"],
        "customer_email": form.get("customer_email"), "locale": form.get("locale"),
        "metadata": as_form(form.get("metadata")), "amount_subtotal": price["unit_amount"],
        "amount_total": price["unit_amount"], "_price": price["id"],
        "_subscription_metadata": as_form(as_form(form.get("subscription_data")).get("metadata")),
    }  # fmt: skip
    if "allow_promotion_codes" in form:
        made["allow_promotion_codes"] = as_bool(form["allow_promotion_codes"], "allow_promotion_codes")
    tax = as_form(form.get("automatic_tax")).get("enabled")
    made["automatic_tax"]["enabled"] = tax is not None and as_bool(tax, "automatic_tax[enabled]")
    if "expires_at" in form:
        made["expires_at"] = as_int(form["expires_at"], "expires_at")
        if not at + 1800 <= made["expires_at"] <= at + 86_400:
            message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from now."
            raise ApiRefusal(message, param="expires_at")
    return shop.ledger.add(made)


def _get(shop: Shop, form: Form, session_id: str) -> Obj:
    return shop.ledger.get("cs_test_", session_id)


def _list(shop: Shop, form: Form, _: str) -> Obj:
    found = [
        each
        for each in shop.ledger.all("cs_test_")
        if all(form.get(name) in (None, each[name]) for name in ("customer", "status", "subscription"))
    ]
    return page(found, form, "/v1/checkout/sessions")


def _expire(shop: Shop, form: Form, session_id: str) -> Obj:
    session = shop.ledger.get("cs_test_", session_id)
    if session["status"] != "open":
        raise ApiRefusal(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This one has a status of '
            f"{session['status']}."
        )
    expire_session(shop, session)
    return session


def promotion(shop: Shop, code: str) -> Obj:
    """The promotion code that was typed. Raises ApiRefusal for one that does not exist."""
    for each in shop.ledger.all("promo_"):
        if each["active"] and each["code"].casefold() == code.strip().casefold():
            return each
    raise missing("promotion code", code, "promotion_code")


def total(shop: Shop, session: Obj, coupon_id: str | None) -> Obj:
    """The invoice that paying would lead to: subtotal, discount, tax and total. Nothing is kept."""
    price = shop.ledger.objects[session["_price"]]
    payer = shop.ledger.objects.get(session["customer"] or "")
    at = shop.now(session["customer"])
    payer = payer or objects.customer("cus_new", at, None, None, {}, None)
    item = objects.subscription_item("si_new", at, "sub_new", price["id"], at, at)
    sub = objects.subscription("sub_new", at, payer["id"], price["currency"], item, {})
    sub["automatic_tax"]["enabled"], sub["_coupon"] = session["automatic_tax"]["enabled"], coupon_id
    known = shop.ledger.objects
    if payer["id"] in known:
        return compose(shop, sub, [whole_period(shop, sub)], "subscription_create", "in_preview")
    known[payer["id"]] = payer
    try:
        return compose(shop, sub, [whole_period(shop, sub)], "subscription_create", "in_preview")
    finally:
        del known[payer["id"]]


def submit(shop: Shop, session: Obj, number: str, code: str = "", email: str = "") -> str:
    """Pay with a card. Returns "" when all is paid, or the id of the payment that waits for its owner's word.

    Raises ApiRefusal where the card is declined: nothing was bought, the session stays open.
    """
    if session["status"] != "open":
        raise ApiRefusal("This session is over. Go back and choose your plan again.")
    promo = promotion(shop, code) if code.strip() and session["allow_promotion_codes"] else None
    method = shop.keep_card("".join(number.split()), session["customer"])
    if session["customer"] is None:
        at = shop.clock_s()
        address = email or session["customer_email"] or "buyer@example.com"
        made = objects.customer(shop.ledger.new_id("cus_", 14), at, address, None, {}, None)
        session["customer"] = shop.ledger.add(made)["id"]
        shop.tell("customer.created", made)
    payer = shop.customer(session["customer"])
    method["customer"] = payer["id"]
    price = shop.ledger.objects[session["_price"]]
    sub = subscribe(
        shop, payer, price, metadata=session["_subscription_metadata"], tax=session["automatic_tax"]["enabled"],
        coupon=promo["promotion"]["coupon"] if promo else None,
    )  # fmt: skip
    sub["default_payment_method"] = method["id"]
    bill = shop.ledger.objects[sub["latest_invoice"]]
    decline = pay(shop, bill, method, first=True)
    if decline == "authentication_required":
        session["_waiting"] = sub["id"]
        return bill["_payment_intent"]
    if decline:
        _undo(shop, sub)
        raise declined(decline, DECLINES[decline])
    if promo is not None:
        promo["times_redeemed"] += 1
    complete(shop, session, sub)
    return ""


def _undo(shop: Shop, sub: Obj) -> None:
    # A card that Checkout declines leaves the session open and no subscription that could be paid later.
    for bill in open_invoices(shop, sub):
        void(shop, bill)
    sub |= {"status": "incomplete_expired", "ended_at": shop.now(sub["customer"])}
    shop.tell("customer.subscription.updated", sub, {"status": "incomplete"})


def confirm(shop: Shop, session: Obj, agreed: bool) -> None:
    """The owner of the card has confirmed the payment, or has not. Raises ApiRefusal where it fails."""
    sub = shop.ledger.objects[session["_waiting"]]
    bill = shop.ledger.objects[sub["latest_invoice"]]
    method = shop.ledger.objects[sub["default_payment_method"]]
    session["_waiting"] = ""
    if not agreed or pay(shop, bill, method, first=True, confirmed=True):
        _undo(shop, sub)
        raise declined("authentication_required", "The payment was not confirmed. Nothing was paid.")
    complete(shop, session, sub)


def complete(shop: Shop, session: Obj, sub: Obj) -> None:
    """The session has led to a paid subscription."""
    bill = shop.ledger.objects[sub["latest_invoice"]]
    payer = shop.ledger.objects[session["customer"]]
    off = sum(each["amount"] for each in bill["total_discount_amounts"])
    tax = sum(each["amount"] for each in bill["total_taxes"])
    session |= {
        "status": "complete", "payment_status": "paid", "subscription": sub["id"], "invoice": bill["id"],
        "amount_subtotal": bill["subtotal"], "amount_total": bill["total"], "url": None,
        "total_details": {"amount_discount": off, "amount_shipping": 0, "amount_tax": tax},
        "customer_details": {
            "address": None, "business_name": None, "email": payer["email"], "individual_name": None,
            "name": payer["name"], "phone": None, "tax_exempt": "none", "tax_ids": [],
        },
    }  # fmt: skip
    shop.tell("checkout.session.completed", session)


ROUTES = (
    Route(
        "POST", "checkout/sessions", _create,
        (
            "mode", "customer", "customer_email", "client_reference_id", "success_url", "cancel_url", "locale",
            "line_items.price", "line_items.quantity", "allow_promotion_codes", "automatic_tax.enabled", "metadata",
            "subscription_data.metadata", "expires_at", "customer_update.address", "customer_update.name",
            "billing_address_collection", "payment_method_types", "payment_method_collection",
            "tax_id_collection.enabled",
        ),
    ),
    Route("GET", "checkout/sessions", _list, (*PAGED, *CREATED, "customer", "status", "subscription")),
    Route("GET", "checkout/sessions/{id}", _get),
    Route("POST", "checkout/sessions/{id}/expire", _expire),
)  # fmt: skip
"""Of this noun."""
