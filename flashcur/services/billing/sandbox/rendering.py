"""Objects as they leave the server: expanded as asked, and in the shape of the version that was asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Final, cast

from flashcur.services.billing.sandbox.ledger import Ledger, Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal

CURRENT: Final = "2026-10-28.endive"
"""The version of the pinned client."""
OLD: Final = "2024-12-18.acacia"
"""The last one with the period on the subscription and the subscription on the invoice."""
VERSIONS: Final = (CURRENT, OLD)


def render(ledger: Ledger, thing: Obj, version: str = CURRENT, expand: Iterable[str] = ()) -> Obj:
    """A copy of `thing` for the wire. Raises ApiRefusal for what cannot be expanded."""
    made = copy.deepcopy(thing)
    _fill(ledger, made)
    for path in expand:
        _expand(ledger, made, path.split("."), path)
    return cast("Obj", _shape(made, version == OLD))


def _fill(ledger: Ledger, value: object) -> None:
    """Prices stand whole in the items of a subscription."""
    if isinstance(value, list):
        for member in cast("list[object]", value):
            _fill(ledger, member)
    if not isinstance(value, dict):
        return
    thing = cast("Obj", value)
    if thing.get("object") == "subscription_item" and "_price" in thing:
        price = copy.deepcopy(ledger.objects[thing.pop("_price")])
        thing["price"] = price
        thing["plan"] = {
            "id": price["id"], "object": "plan", "active": True, "amount": price["unit_amount"],
            "amount_decimal": price["unit_amount_decimal"], "billing_scheme": "per_unit", "created": price["created"],
            "currency": price["currency"], "interval": price["recurring"]["interval"], "interval_count": 1,
            "livemode": False, "metadata": {}, "meter": None, "nickname": None, "product": price["product"],
            "tiers_mode": None, "transform_usage": None, "trial_period_days": None, "usage_type": "licensed",
        }  # fmt: skip
    for member in list(thing.values()):
        _fill(ledger, member)


def _expand(ledger: Ledger, value: Any, parts: list[str], path: str) -> None:
    if not parts or value is None:
        return
    if isinstance(value, list):
        for member in cast("list[Any]", value):
            _expand(ledger, member, parts, path)
        return
    name, rest = parts[0], parts[1:]
    thing = cast("Obj", value) if isinstance(value, dict) else {}
    if thing.get("object") == "invoice" and name == "confirmation_secret":
        intent = ledger.objects.get(thing.get("_payment_intent") or "")
        thing[name] = intent and {"client_secret": intent["client_secret"], "type": "payment_intent"}
        return
    if thing.get("object") == "checkout.session" and name == "line_items":
        price = copy.deepcopy(ledger.objects[thing["_price"]])
        line = {
            "id": f"li_{thing['id'][-24:]}", "object": "item", "amount_subtotal": thing["amount_subtotal"],
            "amount_total": thing["amount_total"], "currency": price["currency"], "price": price, "quantity": 1,
        }  # fmt: skip
        thing[name] = {"object": "list", "data": [line], "has_more": False, "url": ""}
        return
    if name not in thing:
        raise ApiRefusal(f"This property cannot be expanded ({path}).", param="expand")
    if isinstance(thing[name], str):
        found = ledger.objects.get(thing[name])
        if found is None:
            raise ApiRefusal(f"This property cannot be expanded ({path}).", param="expand")
        thing[name] = copy.deepcopy(found)
        _fill(ledger, thing[name])
    _expand(ledger, thing[name], rest, path)


def _shape(value: object, old: bool) -> object:
    if isinstance(value, list):
        return [_shape(member, old) for member in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    thing = {name: _shape(member, old) for name, member in cast("Obj", value).items() if not name.startswith("_")}
    if not old:
        return thing
    if thing.get("object") == "subscription":
        items = cast("list[Obj]", cast("Obj", thing["items"])["data"])
        for name in ("current_period_start", "current_period_end"):
            thing[name] = items[0][name]
            for item in items:
                del item[name]
    if thing.get("object") == "invoice":
        parent = cast("Obj | None", thing.pop("parent"))
        details = cast("Obj", parent["subscription_details"]) if parent else None
        thing["subscription"] = details and details["subscription"]
        thing["subscription_details"] = details and {"metadata": details["metadata"]}
        thing["payment_intent"] = cast("Obj", value).get("_payment_intent")
        thing["paid"] = thing["status"] == "paid"
    return thing
