"""`/confirm`: the link of a registration. Only a click makes the account: programs that check mail open every link."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account import auth_forms
from flashcur.components.kit.forms import actions, link_button, notice
from flashcur.components.kit.site import page_frame

TITLE = "Confirm your address: FlashCur"
DESCRIPTION = "The last step to your FlashCur account."


def confirm() -> rx.Component:
    ready, token = auth_forms.token()
    return page_frame(
        auth_forms.token_page(
            rx.el.div(
                rx.el.p("One click, and your account is ready.", class_name="lead"),
                auth_forms.address_problem("confirm"),
                auth_forms.posted_form(
                    "confirm",
                    "/auth/confirm",
                    auth_forms.hidden("token", token),
                    rx.el.div(
                        auth_forms.password_field("confirm", required=auth_forms.asked("confirm", "password")),
                        hidden=~auth_forms.asked("confirm", "password"),
                    ),
                    submit="Confirm my address",
                    busy="Confirming",
                    ready=ready,
                ),
                auth_forms.stuck(
                    "confirm",
                    link=actions(
                        link_button("Sign in", "/login", primary=True), link_button("Register again", "/register")
                    ),
                    conflict=actions(
                        link_button("Sign in", "/login", primary=True), link_button("Reset the password", "/forgot")
                    ),
                ),
                class_name="stack",
            ),
            rx.el.div(
                notice("warning", "This page needs the link of our mail, and the address has none, or not the whole."),
                actions(link_button("Register again", "/register", primary=True), link_button("Sign in", "/login")),
                class_name="stack",
            ),
        ),
        title="Confirm your address",
        narrow=True,
    )
