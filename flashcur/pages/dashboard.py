"""`/`: the live market."""

from __future__ import annotations

import reflex as rx

from flashcur.components.funding_card import funding_card
from flashcur.components.market_table import market_table
from flashcur.components.shell import header
from flashcur.components.toolbar import toolbar

TITLE = "FlashCur: live crypto perpetual futures"
DESCRIPTION = "Every USDT perpetual future of an exchange, live: price, volume spikes, funding and open interest."


def dashboard() -> rx.Component:
    return rx.el.main(
        rx.el.h1("Live perpetual futures", class_name="unseen"),
        header(),
        toolbar(),
        market_table(),
        funding_card(),
        class_name="shell",
    )
