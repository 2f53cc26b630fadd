"""`/login`: by wallet or by email, side by side."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account import auth_forms, wallet_buttons
from flashcur.components.kit.site import link, page_frame

TITLE = "Sign in: FlashCur"
DESCRIPTION = "Sign in to FlashCur with a wallet or with your email address."


def login() -> rx.Component:
    return page_frame(
        auth_forms.address_done(),
        auth_forms.for_guests(
            rx.el.div(
                wallet_buttons.sign_in_buttons(),
                wallet_buttons.terms_line(),
                auth_forms.or_line("or with email"),
                auth_forms.address_problem("sign-in"),
                auth_forms.posted_form(
                    "sign-in",
                    "/auth/sign-in",
                    auth_forms.email_field("sign-in"),
                    auth_forms.password_field("sign-in"),
                    auth_forms.hidden("next", auth_forms.next_path()),
                    submit="Sign in",
                    busy="Signing in",
                ),
                rx.el.p(
                    link("Forgot password?", auth_forms.onward("/forgot")),
                    link("Create an account", auth_forms.onward("/register")),
                    class_name="aside",
                ),
                class_name="stack",
            )
        ),
        title="Sign in",
        narrow=True,
    )
