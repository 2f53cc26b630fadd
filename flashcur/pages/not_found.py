"""What stands at an address that does not exist."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit.forms import actions, link_button
from flashcur.components.kit.site import page_frame

TITLE = "Not found: FlashCur"
DESCRIPTION = "There is no page at this address."


def not_found() -> rx.Component:
    return page_frame(
        actions(link_button("Go to the markets", "/", primary=True), link_button("Pricing", "/pricing")),
        title="There is no page at this address",
        lead="It may have moved, or the link was cut short.",
    )
