"""What is sold: products, prices, coupons, promotion codes."""

from __future__ import annotations

from flashcur.services.billing.sandbox import objects
from flashcur.services.billing.sandbox.forms import Form, as_bool, as_form, as_int, required
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.refusals import ApiRefusal, missing
from flashcur.services.billing.sandbox.routing import CREATED, PAGED, Route, page
from flashcur.services.billing.sandbox.shop import Shop

INTERVALS = ("day", "week", "month", "year")
"""Of a price."""


def _create_product(shop: Shop, form: Form, _: str) -> Obj:
    product_id = form.get("id") or shop.ledger.new_id("prod_", 14)
    if product_id in shop.ledger.objects:
        raise ApiRefusal("Product already exists.", code="resource_already_exists", param="id")
    name = required(form, "name")
    made = objects.product(product_id, shop.clock_s(), name, as_form(form.get("metadata")))
    shop.tell("product.created", shop.ledger.add(made))
    return made


def _get_product(shop: Shop, form: Form, product_id: str) -> Obj:
    return shop.ledger.get("prod_", product_id)


def _list_products(shop: Shop, form: Form, _: str) -> Obj:
    return page(shop.ledger.all("prod_"), form, "/v1/products")


def _create_price(shop: Shop, form: Form, _: str) -> Obj:
    currency = required(form, "currency").lower()
    product_id = form.get("product")
    if product_id is None:
        data = as_form(form.get("product_data"))
        product_id = _create_product(shop, {"name": required(data, "name")}, "")["id"]
    shop.ledger.get("prod_", product_id, "product")
    interval = required(as_form(form.get("recurring")), "interval")
    if interval not in INTERVALS:
        raise ApiRefusal(f"Invalid recurring[interval]: must be one of {', '.join(INTERVALS)}", param="recurring")
    amount = as_int(required(form, "unit_amount"), "unit_amount")
    price_id = shop.ledger.new_id("price_")
    made = objects.price(price_id, shop.clock_s(), product_id, currency, amount, interval)
    made |= {"metadata": as_form(form.get("metadata")), "nickname": form.get("nickname")}
    made["lookup_key"] = form.get("lookup_key")
    shop.tell("price.created", shop.ledger.add(made))
    return made


def _get_price(shop: Shop, form: Form, price_id: str) -> Obj:
    return shop.ledger.get("price_", price_id)


def _update_price(shop: Shop, form: Form, price_id: str) -> Obj:
    price = shop.ledger.get("price_", price_id)
    if "active" in form:
        price["active"] = as_bool(form["active"], "active")
    price["nickname"] = form.get("nickname", price["nickname"])
    price["metadata"] |= as_form(form.get("metadata"))
    shop.tell("price.updated", price)
    return price


def _list_prices(shop: Shop, form: Form, _: str) -> Obj:
    found = [each for each in shop.ledger.all("price_") if form.get("product") in (None, each["product"])]
    if "active" in form:
        found = [each for each in found if each["active"] == as_bool(form["active"], "active")]
    return page(found, form, "/v1/prices")


def _create_coupon(shop: Shop, form: Form, _: str) -> Obj:
    coupon_id = form.get("id") or shop.ledger.new_id("", 8)
    percent = form.get("percent_off")
    off = form.get("amount_off")
    if (percent is None) == (off is None):
        raise ApiRefusal("Must provide percent_off or amount_off.", param="percent_off")
    duration = form.get("duration", "once")
    made = objects.coupon(
        coupon_id, shop.clock_s(), float(percent) if percent else None, as_int(off, "amount_off") if off else None,
        duration,
    )  # fmt: skip
    made |= {"currency": form.get("currency"), "name": form.get("name")}
    return shop.ledger.add(made)


def _create_promotion(shop: Shop, form: Form, _: str) -> Obj:
    coupon_id = required(as_form(form.get("promotion")), "coupon")
    if shop.ledger.objects.get(coupon_id, {}).get("object") != "coupon":
        raise missing("coupon", coupon_id, "promotion[coupon]")
    promo_id = shop.ledger.new_id("promo_")
    code = form.get("code") or shop.ledger.new_id("", 8).upper()
    return shop.ledger.add(objects.promotion_code(promo_id, shop.clock_s(), code, coupon_id))


def _list_promotions(shop: Shop, form: Form, _: str) -> Obj:
    found = (each for each in shop.ledger.all("promo_") if form.get("code") in (None, each["code"]))
    return page(found, form, "/v1/promotion_codes")


ROUTES = (
    Route("POST", "products", _create_product, ("id", "name", "metadata", "description")),
    Route("GET", "products", _list_products, (*PAGED, *CREATED)),
    Route("GET", "products/{id}", _get_product),
    Route(
        "POST", "prices", _create_price,
        (
            "currency", "unit_amount", "product", "product_data.name", "recurring.interval", "metadata", "nickname",
            "lookup_key",
        ),
    ),
    Route("GET", "prices", _list_prices, (*PAGED, *CREATED, "product", "active")),
    Route("GET", "prices/{id}", _get_price),
    Route("POST", "prices/{id}", _update_price, ("active", "nickname", "metadata")),
    Route("POST", "coupons", _create_coupon, ("id", "percent_off", "amount_off", "currency", "duration", "name")),
    Route("POST", "promotion_codes", _create_promotion, ("promotion.coupon", "promotion.type", "code")),
    Route("GET", "promotion_codes", _list_promotions, (*PAGED, *CREATED, "code")),
)  # fmt: skip
"""Of this noun."""
