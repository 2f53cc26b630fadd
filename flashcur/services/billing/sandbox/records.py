"""Events that happened, and where they are sent to."""

from __future__ import annotations

from flashcur.services.billing.sandbox import objects
from flashcur.services.billing.sandbox.forms import Form, as_list, required
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal
from flashcur.services.billing.sandbox.routing import CREATED, PAGED, Route, page
from flashcur.services.billing.sandbox.shop import Shop


def _event(shop: Shop, form: Form, event_id: str) -> Obj:
    return shop.ledger.get("evt_", event_id)


def _events(shop: Shop, form: Form, _: str) -> Obj:
    kinds = as_list(form.get("types")) or ([form["type"]] if "type" in form else [])
    found = (each for each in shop.ledger.all("evt_") if not kinds or each["type"] in kinds)
    return page(found, form, "/v1/events")


def add_endpoint(shop: Shop, url: str, events: list[str], version: str | None, secret: str) -> Obj:
    """A new place that events are sent to."""
    made = objects.webhook_endpoint(shop.ledger.new_id("we_"), shop.clock_s(), url, events, version, secret)
    return shop.ledger.add(made)


def _create_endpoint(shop: Shop, form: Form, _: str) -> Obj:
    url = required(form, "url")
    if not url.startswith(("http://", "https://")):
        raise ApiRefusal("Invalid URL: An explicit scheme (such as https) must be provided.", param="url")
    events = as_list(form.get("enabled_events"))
    if not events:
        raise ApiRefusal("Missing required param: enabled_events.", code="parameter_missing", param="enabled_events")
    secret = shop.ledger.new_id("whsec_", 32)
    # Only the answer to its making shows the secret.
    return add_endpoint(shop, url, events, form.get("api_version"), secret) | {"secret": secret}


def _endpoint(shop: Shop, form: Form, endpoint_id: str) -> Obj:
    return shop.ledger.get("we_", endpoint_id)


def _endpoints(shop: Shop, form: Form, _: str) -> Obj:
    return page(shop.ledger.all("we_"), form, "/v1/webhook_endpoints")


def _delete_endpoint(shop: Shop, form: Form, endpoint_id: str) -> Obj:
    shop.ledger.get("we_", endpoint_id)
    del shop.ledger.objects[endpoint_id]
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


ROUTES = (
    Route("GET", "events", _events, (*PAGED, *CREATED, "type", "types")),
    Route("GET", "events/{id}", _event),
    Route("POST", "webhook_endpoints", _create_endpoint, ("url", "enabled_events", "api_version")),
    Route("GET", "webhook_endpoints", _endpoints, PAGED),
    Route("GET", "webhook_endpoints/{id}", _endpoint),
    Route("DELETE", "webhook_endpoints/{id}", _delete_endpoint),
)
"""Of this noun."""
