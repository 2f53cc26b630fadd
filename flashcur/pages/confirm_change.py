"""`/confirm-change`: one of the two links of a change of address."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account import auth_forms
from flashcur.components.kit.forms import actions, link_button, notice
from flashcur.components.kit.site import page_frame
from flashcur.state.account import AccountState

TITLE = "Confirm the change: FlashCur"
DESCRIPTION = "Confirm the new address of your FlashCur account."


def confirm_change() -> rx.Component:
    ready, token = auth_forms.token()
    sent = auth_forms.sent("confirm-change")
    return page_frame(
        auth_forms.address_done(),
        rx.cond(
            sent != "",
            rx.el.div(
                rx.cond(
                    sent == "changed",
                    rx.cond(
                        AccountState.signed_in & ~AccountState.has_password,
                        notice(
                            "done",
                            "The address is your account’s now. To sign in with it as well, set a password: under "
                            "Sign-in on your account page.",
                        ),
                        notice("done", "Your address is changed. Where you sign in by email, use the new one now."),
                    ),
                    notice("done", "That was one of two links. Now open the one in the mail to the other address."),
                ),
                actions(link_button("Your account", "/account#sign-in", primary=True)),
                class_name="stack",
                custom_attrs={"id": "confirm-change-sent", "tabIndex": -1},
            ),
            auth_forms.token_page(
                rx.el.div(
                    rx.el.p(
                        rx.cond(
                            AccountState.signed_in & (AccountState.email == ""),
                            "One click, and the address belongs to your account.",
                            "The address of your account changes once each link is opened: the one we sent to the new "
                            "address, and the one to the present address if there is one.",
                        ),
                        class_name="lead",
                    ),
                    auth_forms.address_problem("confirm-change"),
                    auth_forms.posted_form(
                        "confirm-change",
                        "/auth/confirm-change",
                        auth_forms.hidden("token", token),
                        submit="Confirm the change",
                        busy="Confirming",
                        ready=ready,
                    ),
                    auth_forms.stuck(
                        "confirm-change",
                        link=actions(link_button("Your account", "/account", primary=True)),
                        conflict=actions(link_button("Your account", "/account", primary=True)),
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
