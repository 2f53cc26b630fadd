"""What stands in place of a page whose script failed."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit.forms import actions, button_primary, link_button
from flashcur.components.kit.texts import untranslated

# Links of the app change pages without loading them, and would leave the failed script running.
_LEAVE = rx.Var('(event) => { event.preventDefault(); window.location.assign("/"); }')


def fallback() -> rx.Component:
    """It shares nothing with the page that failed, the header and its feed included, so it cannot fail with it."""
    return rx.el.div(
        rx.el.header(
            untranslated(
                rx.el.b("Flash"),
                "Cur",
                element=rx.el.a,
                href="/",
                class_name="brand",
                aria_label="FlashCur, to the markets",
                custom_attrs={"onClick": _LEAVE},
            ),
            class_name="head",
        ),
        rx.el.main(
            rx.el.h1("This page stopped working"),
            rx.el.p(
                "The fault is ours, not yours, and nothing in your account is lost. Loading the page again helps "
                "most of the time.",
                class_name="lead",
            ),
            actions(
                button_primary(
                    "Load it again", type_="button", custom_attrs={"onClick": rx.Var("() => window.location.reload()")}
                ),
                link_button("Go to the markets", "/", custom_attrs={"onClick": _LEAVE}),
            ),
            class_name="content",
            role="alert",
        ),
        class_name="site",
    )
