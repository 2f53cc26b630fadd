"""The line that tells what became of a click, and what follows the visitor's session on every page."""

from __future__ import annotations

import reflex as rx
from reflex.style import color_mode

from flashcur.components.account.auth_forms import member
from flashcur.components.kit import browser
from flashcur.state.account import AccountState
from flashcur.state.notice import NoticeState
from flashcur.state.profile import ProfileState

KEEP_THEME = "keep-theme"
"""Id of the hidden button that `assets/account.js` presses when the theme was changed by hand."""


def notice_bar() -> rx.Component:
    """Once on every page. A good notice goes by itself, a bad one when it is dismissed."""
    told = (NoticeState.text, NoticeState.bad, NoticeState.link, NoticeState.link_text, NoticeState.number)
    notice = browser.hook(
        "notice", f"useNotice({', '.join(str(var) for var in told)})", "useNotice", *told, module="account"
    )
    theme = browser.hook(
        "accountTheme",
        f"useAccountTheme({AccountState.theme!s})",
        "useAccountTheme",
        AccountState.theme,
        module="account",
    )
    text, bad = member(notice, "text"), member(notice, "bad").to(bool)
    link = member(notice, "link")
    return rx.el.div(
        # Both stand there from the start: a screen reader announces what changes in a part that it knows.
        rx.el.div(rx.cond(bad, "", text), role="status"),
        rx.el.div(rx.cond(bad, text, ""), role="alert"),
        rx.cond(link != "", rx.el.a(member(notice, "linkText"), href=link, class_name="link")),
        rx.cond(
            text != "",
            rx.el.button(
                "×",
                type="button",
                aria_label="Dismiss",
                custom_attrs={"onClick": browser.handler("() => dismiss()", "dismiss", module="account")},
            ),
        ),
        rx.cond(
            AccountState.signed_in,
            rx.el.button(
                type="button",
                hidden=True,
                on_click=ProfileState.set_theme(color_mode),
                custom_attrs={"id": KEEP_THEME},
            ),
        ),
        class_name=rx.cond(bad, "notice-bar bad", "notice-bar"),
        custom_attrs={"data-shown": rx.cond(text != "", "true", "false"), "data-theme": theme},
    )


def everywhere(*_: object) -> rx.Component:
    """The bar around the whole app: Reflex puts the page in."""
    return rx.fragment(notice_bar())
