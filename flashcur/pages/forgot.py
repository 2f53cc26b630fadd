"""`/forgot`: ask for a link to set a new password."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account import auth_forms
from flashcur.components.kit.site import link, page_frame
from flashcur.components.kit.texts import untranslated

TITLE = "Forgot password: FlashCur"
DESCRIPTION = "Get a link that sets a new password for your FlashCur account."


def forgot() -> rx.Component:
    sent = auth_forms.sent("forgot")
    return page_frame(
        auth_forms.address_done(),
        rx.cond(
            sent != "",
            auth_forms.sent_panel(
                "forgot",
                rx.fragment("If ", untranslated(sent, element=rx.el.b), " has an account, a link is on its way to it."),
                "It works once, and for 60 minutes.",
                back="Send it again, or correct the address",
            ),
        ),
        rx.el.div(
            auth_forms.address_problem("forgot"),
            auth_forms.posted_form(
                "forgot",
                "/auth/forgot",
                auth_forms.email_field("forgot"),
                auth_forms.hidden("next", auth_forms.next_path()),
                submit="Send me a link",
                busy="Sending the link",
            ),
            rx.el.p(link("Back to signing in", auth_forms.onward("/login")), class_name="fine"),
            hidden=sent != "",
            class_name="stack",
        ),
        title=rx.cond(sent != "", "Look into your mailbox", "Forgot your password?").to(str),
        lead=rx.cond(
            sent != "",
            "With the link you choose a new password.",
            "We send a link to your address. With it you choose a new password. With a wallet you need no password.",
        ).to(str),
        narrow=True,
    )
