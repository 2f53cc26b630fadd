"""`/register`: a free account, by wallet or by email."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account import auth_forms, wallet_buttons
from flashcur.components.kit.site import link, page_frame
from flashcur.components.kit.texts import untranslated

TITLE = "Create an account: FlashCur"
DESCRIPTION = "A free FlashCur account: rules, alerts, a watchlist and exports. No card, no time limit."


def register() -> rx.Component:
    sent = auth_forms.sent("register")
    return page_frame(
        auth_forms.address_done(),
        auth_forms.for_guests(
            rx.fragment(
                rx.cond(
                    sent != "",
                    auth_forms.sent_panel(
                        "register",
                        rx.fragment("We have sent a link to ", untranslated(sent, element=rx.el.b), "."),
                        "Open it within 24 hours and your account is ready. If the address has an account already, "
                        "the mail says so.",
                        back="Send it again, or correct the address",
                    ),
                ),
                # Kept while it is hidden: whoever comes back finds what they typed.
                rx.el.div(
                    wallet_buttons.sign_in_buttons(),
                    auth_forms.or_line("or with email"),
                    auth_forms.address_problem("register"),
                    auth_forms.posted_form(
                        "register",
                        "/auth/register",
                        auth_forms.email_field("register"),
                        auth_forms.new_password_field("register"),
                        auth_forms.hidden("next", auth_forms.next_path()),
                        submit="Create account",
                        busy="Sending the link",
                    ),
                    wallet_buttons.terms_line(),
                    rx.el.p(
                        "Already have an account? ", link("Sign in", auth_forms.onward("/login")), class_name="fine"
                    ),
                    hidden=sent != "",
                    class_name="stack",
                ),
            )
        ),
        title=rx.cond(sent != "", "Look into your mailbox", "Create a free account").to(str),
        lead=rx.cond(sent != "", "One click to go.", "No card, no time limit.").to(str),
        narrow=True,
    )
