"""Interval, yearly rate and countdown of the funding cell that is pointed at."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.texts import untranslated
from flashcur.state.market import FeedState


def funding_card() -> rx.Component:
    card = browser.hook("card", "table", "useCard")
    due = browser.maybe(card, "due", "0").to(int)
    left = browser.hook("left", "beat", "useCountdown", due, FeedState.as_of).to(str)

    return rx.cond(
        card.to(bool),
        rx.el.div(
            rx.el.span("Interval"),
            untranslated(browser.maybe(card, "hours"), " h"),
            rx.el.span("A year"),
            untranslated(browser.maybe(card, "yearly"), " %"),
            rx.el.span("Next in"),
            untranslated(rx.cond(left, left, "–")),
            class_name="card",
            role="tooltip",
            custom_attrs={"style": browser.part("card?.style", card)},
        ),
    )
