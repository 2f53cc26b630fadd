"""Interval, yearly rate and countdown of the funding cell that is pointed at."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.state.market import FeedState


def funding_card() -> rx.Component:
    card = browser.hook("card", "table", "useCard")
    due = rx.Var("card?.due ?? 0", _var_data=card._get_all_var_data())
    left = browser.hook("left", "beat", "useCountdown", due, FeedState.as_of).to(str)

    def part(name: str) -> rx.Var[str]:
        return rx.Var(f"card?.{name}", _var_type=str, _var_data=card._get_all_var_data())

    return rx.cond(
        card.to(bool),
        rx.el.div(
            rx.el.span("Interval"),
            rx.el.span(part("hours"), " h"),
            rx.el.span("A year"),
            rx.el.span(part("yearly"), " %"),
            rx.el.span("Next in"),
            rx.el.span(rx.cond(left, left, "–")),
            class_name="card",
            role="tooltip",
            custom_attrs={"style": rx.Var("card?.style", _var_data=card._get_all_var_data())},
        ),
    )
