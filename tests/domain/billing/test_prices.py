"""The table of prices tells what each of Stripe's prices buys."""

from __future__ import annotations

from flashcur.domain.billing.prices import PriceTable, Sold


def test_a_price_that_is_no_longer_sold_still_buys_its_plan() -> None:
    table = PriceTable({("pro", "monthly"): ("price_new", "price_old"), ("elite", "yearly"): ("price_e",)}, live=False)
    assert table.sold("price_new") == table.sold("price_old") == Sold("pro", "monthly")
    assert table.sold("price_e") == Sold("elite", "yearly")
    assert table.live is False


def test_a_price_of_somebody_else_buys_nothing() -> None:
    assert PriceTable({("pro", "monthly"): ("price_1",)}, live=None).sold("price_2") is None
    assert PriceTable({}, live=None).sold("") is None
