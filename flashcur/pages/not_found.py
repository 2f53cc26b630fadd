"""What stands at an address that does not exist."""

from __future__ import annotations

import reflex as rx

from flashcur.components.shell import header


def not_found() -> rx.Component:
    return rx.el.div(
        header(),
        rx.el.main(
            rx.el.h1("There is no page at this address"),
            rx.el.p(
                "It may have moved, or the link was cut short. ",
                rx.el.a("Go to the live markets", href="/", class_name="link"),
                ".",
            ),
            class_name="page",
        ),
        class_name="shell plain",
    )
