"""`/reset`: a new password, by the link of a mail."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account import auth_forms
from flashcur.components.kit.forms import actions, link_button, notice
from flashcur.components.kit.site import page_frame

TITLE = "New password: FlashCur"
DESCRIPTION = "Set a new password for your FlashCur account."


def reset() -> rx.Component:
    ready, token = auth_forms.token()
    return page_frame(
        auth_forms.token_page(
            rx.el.div(
                auth_forms.address_problem("reset"),
                auth_forms.posted_form(
                    "reset",
                    "/auth/reset",
                    auth_forms.hidden("token", token),
                    auth_forms.new_password_field("reset", label="New password"),
                    submit="Set the password",
                    busy="Setting the password",
                    ready=ready,
                ),
                auth_forms.stuck(
                    "reset",
                    link=actions(
                        link_button("Ask for a new link", "/forgot", primary=True), link_button("Sign in", "/login")
                    ),
                    conflict=actions(link_button("Ask for a new link", "/forgot", primary=True)),
                ),
                rx.el.p("This signs out all other devices.", class_name="soft fine"),
                class_name="stack",
            ),
            rx.el.div(
                notice("warning", "This page needs the link of our mail, and the address has none, or not the whole."),
                actions(link_button("Ask for a new link", "/forgot", primary=True)),
                class_name="stack",
            ),
        ),
        title="Choose a new password",
        narrow=True,
    )
