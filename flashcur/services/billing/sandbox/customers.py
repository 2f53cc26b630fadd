"""Customers, their cards, their portal, and test clocks."""

from __future__ import annotations

from typing import Any

from flashcur.services.billing.sandbox import due, objects
from flashcur.services.billing.sandbox.billing_cycle import OVER, end
from flashcur.services.billing.sandbox.forms import Form, as_form, as_int, required
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal
from flashcur.services.billing.sandbox.routing import CREATED, PAGED, Route, page
from flashcur.services.billing.sandbox.shop import Shop


def _create(shop: Shop, form: Form, _: str) -> Obj:
    clock = form.get("test_clock")
    at = shop.ledger.get("clock_", clock, "test_clock")["frozen_time"] if clock else shop.clock_s()
    method = _named_method(shop, form, None)
    customer_id = shop.ledger.new_id("cus_", 14)
    made = objects.customer(customer_id, at, form.get("email"), form.get("name"), as_form(form.get("metadata")), clock)
    shop.ledger.add(made)
    _use(made, method)
    shop.tell("customer.created", made)
    return made


def _named_method(shop: Shop, form: Form, customer_id: str | None) -> Obj | None:
    settings = as_form(form.get("invoice_settings"))
    named = settings.get("default_payment_method") or form.get("payment_method")
    return shop.method(named, customer_id) if named else None


def _use(customer: Obj, method: Obj | None) -> None:
    if method is not None:
        method["customer"] = customer["id"]
        customer["invoice_settings"]["default_payment_method"] = method["id"]


def _update(shop: Shop, form: Form, customer_id: str) -> Obj:
    customer = shop.customer(customer_id)
    method = _named_method(shop, form, customer_id)
    before: dict[str, Any] = {}
    for name in ("email", "name", "description"):
        if name in form and customer[name] != (form[name] or None):
            before[name], customer[name] = customer[name], form[name] or None
    if "metadata" in form:
        before["metadata"] = dict(customer["metadata"])
        customer["metadata"] |= as_form(form["metadata"])
    _use(customer, method)
    shop.tell("customer.updated", customer, before)
    return customer


def _delete(shop: Shop, form: Form, customer_id: str) -> Obj:
    customer = shop.customer(customer_id)
    for sub in shop.subscriptions(customer_id):
        if sub["status"] not in OVER:
            end(shop, sub, None)
    shop.tell("customer.deleted", customer)
    # What is left of a deleted customer is that it was one; its subscriptions and invoices can still be read.
    kept = {"test_clock": customer["test_clock"], "balance": customer["balance"], "created": customer["created"]}
    customer.clear()
    customer |= {"id": customer_id, "object": "customer", "deleted": True}
    customer |= {f"_{name}": value for name, value in kept.items()}
    return customer


def _get(shop: Shop, form: Form, customer_id: str) -> Obj:
    return shop.ledger.get("cus_", customer_id)


def _list(shop: Shop, form: Form, _: str) -> Obj:
    live = (each for each in shop.ledger.all("cus_") if not each.get("deleted"))
    return page((each for each in live if form.get("email") in (None, each["email"])), form, "/v1/customers")


def _attach(shop: Shop, form: Form, method_id: str) -> Obj:
    customer = shop.customer(required(form, "customer"))
    method = shop.method(method_id, customer["id"])
    method["customer"] = customer["id"]
    shop.tell("payment_method.attached", method)
    return method


def _methods(shop: Shop, form: Form, customer_id: str) -> Obj:
    owner = shop.customer(customer_id)["id"]
    url = f"/v1/customers/{owner}/payment_methods"
    return page((each for each in shop.ledger.all("pm_") if each["customer"] == owner), form, url)


def _portal(shop: Shop, form: Form, _: str) -> Obj:
    owner = shop.customer(required(form, "customer"))["id"]
    session_id = shop.ledger.new_id("bps_")
    made = objects.portal_session(session_id, shop.now(owner), owner, form.get("return_url"), shop.base)
    return shop.ledger.add(made)


def _create_clock(shop: Shop, form: Form, _: str) -> Obj:
    frozen = as_int(required(form, "frozen_time"), "frozen_time")
    return shop.ledger.add(objects.test_clock(shop.ledger.new_id("clock_"), shop.clock_s(), frozen, form.get("name")))


def _get_clock(shop: Shop, form: Form, clock_id: str) -> Obj:
    return shop.ledger.get("clock_", clock_id)


def _list_clocks(shop: Shop, form: Form, _: str) -> Obj:
    return page(shop.ledger.all("clock_"), form, "/v1/test_helpers/test_clocks")


def _advance(shop: Shop, form: Form, clock_id: str) -> Obj:
    clock = shop.ledger.get("clock_", clock_id)
    until = as_int(required(form, "frozen_time"), "frozen_time")
    if until <= clock["frozen_time"]:
        raise ApiRefusal("The new time must be later than the clock's time.", param="frozen_time")
    due.advance(shop, until, clock_id)
    clock["frozen_time"] = until
    shop.tell("test_helpers.test_clock.ready", clock)
    return clock


def _delete_clock(shop: Shop, form: Form, clock_id: str) -> Obj:
    shop.ledger.get("clock_", clock_id)
    for customer in [each for each in shop.ledger.all("cus_") if each.get("test_clock") == clock_id]:
        _delete(shop, {}, customer["id"])
    del shop.ledger.objects[clock_id]
    return {"id": clock_id, "object": "test_helpers.test_clock", "deleted": True}


_FIELDS = (
    "email", "name", "description", "metadata", "payment_method", "invoice_settings.default_payment_method",
)  # fmt: skip

ROUTES = (
    Route("POST", "customers", _create, (*_FIELDS, "test_clock")),
    Route("GET", "customers", _list, (*PAGED, *CREATED, "email")),
    Route("GET", "customers/{id}", _get),
    Route("POST", "customers/{id}", _update, _FIELDS),
    Route("DELETE", "customers/{id}", _delete),
    Route("GET", "customers/{id}/payment_methods", _methods, (*PAGED, "type")),
    Route("POST", "payment_methods/{id}/attach", _attach, ("customer",)),
    Route("POST", "billing_portal/sessions", _portal, ("customer", "return_url")),
    Route("POST", "test_helpers/test_clocks", _create_clock, ("frozen_time", "name")),
    Route("GET", "test_helpers/test_clocks", _list_clocks, PAGED),
    Route("GET", "test_helpers/test_clocks/{id}", _get_clock),
    Route("POST", "test_helpers/test_clocks/{id}/advance", _advance, ("frozen_time",)),
    Route("DELETE", "test_helpers/test_clocks/{id}", _delete_clock),
)
"""Of this noun."""
