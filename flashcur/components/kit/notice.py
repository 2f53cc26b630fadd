"""The line that tells what became of a click, and what else is once on every page."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.browser import member
from flashcur.state.account import AccountState
from flashcur.state.notice import NoticeState


def notice_bar() -> rx.Component:
    """Once on every page. A good notice goes by itself, a bad one when it is dismissed."""
    notice = browser.hook("notice", "notice", "useNotice")
    says = browser.hook(
        "serverNotice",
        "notice",
        "useServerNotice",
        NoticeState.text,
        NoticeState.bad,
        NoticeState.link,
        NoticeState.link_text,
        NoticeState.number,
    )
    theme = browser.hook("accountTheme", "theme", "useAccountTheme", AccountState.theme)
    text, bad, link = member(notice, "text"), member(notice, "bad").to(bool), member(notice, "link")
    return rx.el.div(
        # Both stand there from the start: a screen reader announces what changes in a part that it knows.
        rx.el.div(rx.cond(bad, "", text), role="status"),
        rx.el.div(rx.cond(bad, text, ""), role="alert"),
        rx.cond(link != "", rx.el.a(member(notice, "link_text"), href=link, class_name="link")),
        rx.cond(
            text != "",
            rx.el.button(
                "×",
                type="button",
                aria_label="Dismiss",
                custom_attrs={"onClick": browser.handler("() => dismiss()", notice="dismiss")},
            ),
        ),
        class_name=rx.cond(bad, "notice-bar bad", "notice-bar"),
        custom_attrs={"data-shown": rx.cond(text != "", "true", "false"), "data-says": says, "data-theme": theme},
    )


def everywhere(*_: object) -> rx.Component:
    """What is around the whole app, and there before Reflex connects: Reflex puts the page in."""
    return rx.fragment(browser.module("guard"), browser.module("link"), notice_bar())
