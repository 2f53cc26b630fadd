"""`/confirm-change`: one of the two links of a change of address."""

from __future__ import annotations

import reflex as rx

from flashcur.components import auth_forms
from flashcur.components.forms import actions, link_button, notice
from flashcur.components.site import page_frame

TITLE = "Confirm the change: FlashCur"
DESCRIPTION = "Confirm the new address of your FlashCur account."


def confirm_change() -> rx.Component:
    _, token = auth_forms.token()
    sent = auth_forms.sent("confirm-change")
    return page_frame(
        auth_forms.address_done(),
        rx.cond(
            sent != "",
            rx.el.div(
                rx.cond(
                    sent == "changed",
                    notice("done", "Your address is changed. You sign in with the new one from now on."),
                    notice("done", "That was one of two links. Now open the one in the mail to the other address."),
                ),
                actions(link_button("Your account", "/account", primary=True)),
                class_name="stack",
                custom_attrs={"id": "confirm-change-sent", "tabIndex": -1},
            ),
            auth_forms.token_page(
                rx.el.div(
                    rx.el.p(
                        "The address of your account changes once both links are opened: the one we sent to the "
                        "present address, and the one we sent to the new one.",
                        class_name="lead",
                    ),
                    auth_forms.address_problem("confirm-change"),
                    auth_forms.posted_form(
                        "confirm-change",
                        "/auth/confirm-change",
                        auth_forms.hidden("token", token),
                        submit="Confirm the change",
                        busy="Confirming",
                    ),
                    class_name="stack",
                ),
                rx.el.div(
                    rx.cond(
                        auth_forms.done_said() == "",
                        notice(
                            "warning",
                            "This page needs the link of our mail, and the address has none, or not the whole.",
                        ),
                    ),
                    actions(link_button("Your account", "/account", primary=True)),
                    class_name="stack",
                ),
            ),
        ),
        title="Confirm the new address",
        narrow=True,
    )
