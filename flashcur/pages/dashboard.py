"""`/`: the live market."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit.shell import header
from flashcur.components.market.funding_card import funding_card
from flashcur.components.market.market_table import market_table
from flashcur.components.market.toolbar import toolbar
from flashcur.components.signals.evidence_sheet import evidence_sheet
from flashcur.components.signals.panel import signals_button, signals_panel

TITLE = "FlashCur: live crypto perpetual futures"
DESCRIPTION = "Every USDT perpetual future of an exchange, live: price, volume spikes, funding and open interest."


def dashboard() -> rx.Component:
    return rx.el.main(
        rx.el.h1("Live perpetual futures", class_name="unseen"),
        header(signals_button()),
        toolbar(),
        market_table(),
        signals_panel(),
        funding_card(),
        evidence_sheet(),
        class_name="shell",
    )
