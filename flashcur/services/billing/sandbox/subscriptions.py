"""Subscriptions: made, changed, cancelled at the end or at once, and resumed."""

from __future__ import annotations

from typing import Any

from flashcur.services.billing.sandbox.billing_cycle import (
    OVER,
    change,
    end,
    item_of,
    method_for,
    pay,
    prorations,
    subscribe,
)
from flashcur.services.billing.sandbox.billing_cycle import set_status as _set_status
from flashcur.services.billing.sandbox.cards import CARDS, DECLINES
from flashcur.services.billing.sandbox.forms import Form, as_bool, as_form, as_int, as_list, required
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal, declined, missing
from flashcur.services.billing.sandbox.routing import CREATED, PAGED, Route, page
from flashcur.services.billing.sandbox.shop import Shop

BEHAVIOURS = ("allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete")
"""What a payment that fails does to the subscription."""


def _create(shop: Shop, form: Form, _: str) -> Obj:
    payer = shop.customer(required(form, "customer"))
    items = as_list(form.get("items"))
    if len(items) != 1:
        raise ApiRefusal("The sandbox takes exactly one item.", param="items")
    price = shop.ledger.get("price_", required(items[0], "price"), "items[0][price]")
    behaviour = _behaviour(form)
    method = None
    if named := form.get("default_payment_method"):
        method = shop.method(named, payer["id"])
        method["customer"] = payer["id"]
    payer_method = method or method_for(shop, None, payer["id"])
    if payer_method is None and behaviour != "default_incomplete":
        message = "This customer has no attached payment source or default payment method."
        raise ApiRefusal(message, code="resource_missing")
    if payer_method is not None and behaviour == "error_if_incomplete":
        card = CARDS[payer_method["_number"]]
        if card.decline and not card.later:
            raise declined(card.decline, DECLINES[card.decline])
    tax = as_form(form.get("automatic_tax")).get("enabled") == "true"
    sub = subscribe(shop, payer, price, metadata=as_form(form.get("metadata")), tax=tax)
    sub["default_payment_method"] = method and method["id"]
    if behaviour != "default_incomplete":
        pay(shop, shop.ledger.objects[sub["latest_invoice"]], payer_method, first=True)
    return sub


def _behaviour(form: Form) -> str:
    behaviour = form.get("payment_behavior", "allow_incomplete")
    if behaviour not in BEHAVIOURS:
        raise ApiRefusal(f"Invalid payment_behavior: must be one of {', '.join(BEHAVIOURS)}", param="payment_behavior")
    return behaviour


def _get(shop: Shop, form: Form, sub_id: str) -> Obj:
    return shop.ledger.get("sub_", sub_id)


def _list(shop: Shop, form: Form, _: str) -> Obj:
    status = form.get("status")
    found = [
        sub
        for sub in shop.subscriptions(form.get("customer"))
        if form.get("price") in (None, item_of(sub)["_price"]) and _in_state(sub["status"], status)
    ]
    return page(found, form, "/v1/subscriptions")


def _in_state(status: str, asked: str | None) -> bool:
    # Without a state Stripe leaves out what is cancelled, and that alone.
    return asked == "all" or (status != "canceled" if asked is None else status == asked)


def _update(shop: Shop, form: Form, sub_id: str) -> Obj:
    sub = shop.ledger.get("sub_", sub_id)
    if sub["status"] in OVER and set(form) - {"metadata", "cancellation_details", "expand"}:
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise ApiRefusal(message)
    behaviour = _behaviour(form)
    if behaviour == "pending_if_incomplete" and set(form) & {"metadata", "cancel_at_period_end", "cancel_at"}:
        message = "When `payment_behavior` is set to `pending_if_incomplete`, only some attributes can be updated."
        raise ApiRefusal(message, param="payment_behavior")
    wanted = _wanted(shop, sub, form)
    before: dict[str, Any] = {}
    if "metadata" in form:
        before["metadata"] = dict(sub["metadata"])
        sub["metadata"] |= as_form(form["metadata"])
    if "cancellation_details" in form:
        sub["cancellation_details"] |= as_form(form["cancellation_details"])
    if named := form.get("default_payment_method"):
        before["default_payment_method"] = sub["default_payment_method"]
        method = shop.method(named, sub["customer"])
        method["customer"] = sub["customer"]
        sub["default_payment_method"] = method["id"]
    if "cancel_at_period_end" in form or "cancel_at" in form:
        before |= {name: sub[name] for name in ("cancel_at", "cancel_at_period_end", "canceled_at")}
        _ending(shop, sub, form)
    if before:
        shop.tell("customer.subscription.updated", sub, before)
    if wanted is not None:
        price, at, prorate = wanted
        change(shop, sub, price, at, behaviour, prorate)
    return sub


def _ending(shop: Shop, sub: Obj, form: Form) -> None:
    at: int | None = None
    if form.get("cancel_at"):
        at = as_int(form["cancel_at"], "cancel_at")
    whole = "cancel_at_period_end" in form and as_bool(form["cancel_at_period_end"], "cancel_at_period_end")
    if whole:
        at = item_of(sub)["current_period_end"]
    sub |= {
        "cancel_at": at, "cancel_at_period_end": whole,
        "canceled_at": shop.now(sub["customer"]) if at is not None else None,
    }  # fmt: skip
    sub["cancellation_details"]["reason"] = "cancellation_requested" if at is not None else None


def _wanted(shop: Shop, sub: Obj, form: Form) -> tuple[Obj, int, str] | None:
    """The price that is asked for, from when on, and how it is prorated. Raises ApiRefusal before anything changes."""
    items = as_list(form.get("items"))
    if not items:
        return None
    item = as_form(items[0])
    if len(items) != 1 or item.get("id") != item_of(sub)["id"]:
        # Without the id of its item Stripe adds a second one, which is paid twice.
        raise ApiRefusal("The sandbox changes the one item there is: give its id.", param="items[0][id]")
    price = shop.ledger.get("price_", required(item, "price"), "items[0][price]")
    prorate = form.get("proration_behavior", "create_prorations")
    if prorate not in ("always_invoice", "none"):
        raise ApiRefusal("The sandbox knows proration_behavior always_invoice and none.", param="proration_behavior")
    at = as_int(form.get("proration_date", shop.now(sub["customer"])), "proration_date")
    prorations(shop, sub, price, at)
    return price, at, prorate


def _cancel(shop: Shop, form: Form, sub_id: str) -> Obj:
    sub = shop.ledger.get("sub_", sub_id)
    if sub["status"] in OVER:
        raise missing("subscription", sub_id)
    sub["cancellation_details"] |= as_form(form.get("cancellation_details"))
    end(shop, sub, "cancellation_requested")
    return sub


def _resume(shop: Shop, form: Form, sub_id: str) -> Obj:
    sub = shop.ledger.get("sub_", sub_id)
    if sub["status"] != "paused":
        raise ApiRefusal(f"The subscription cannot be resumed, as it is {sub['status']} and not paused.")
    _set_status(shop, sub, "active")
    shop.tell("customer.subscription.resumed", sub)
    return sub


_DETAILS = ("cancellation_details.comment", "cancellation_details.feedback")

ROUTES = (
    Route(
        "POST", "subscriptions", _create,
        (
            "customer", "items.price", "items.quantity", "default_payment_method", "payment_behavior", "metadata",
            "off_session", "automatic_tax.enabled",
        ),
    ),
    Route("GET", "subscriptions", _list, (*PAGED, *CREATED, "customer", "status", "price")),
    Route("GET", "subscriptions/{id}", _get),
    Route(
        "POST", "subscriptions/{id}", _update,
        (
            "items.id", "items.price", "items.quantity", "proration_behavior", "proration_date", "payment_behavior",
            "cancel_at_period_end", "cancel_at", "metadata", "default_payment_method", *_DETAILS,
        ),
    ),
    Route("DELETE", "subscriptions/{id}", _cancel, ("invoice_now", "prorate", *_DETAILS)),
    Route("POST", "subscriptions/{id}/resume", _resume, ("billing_cycle_anchor", "proration_behavior")),
)  # fmt: skip
"""Of this noun."""
