"""Sound and browser notifications for new signals: a menu that stays open while it is used."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.icons import outline
from flashcur.state.account import AccountState
from flashcur.state.market import FeedState
from flashcur.state.signals import SignalsState

_HEARD = ("id", "severity", "direction", "title", "base", "text", "at", "later", "late")


def alerts_menu() -> rx.Component:
    """Once on a page: it is also what rings."""
    columns = rx.Var.create({name: getattr(SignalsState, name) for name in _HEARD})
    ready = AccountState.reached & SignalsState.known
    choice = browser.hook("alerts", "alerts", "useAlerts", ready, columns, FeedState.as_of)
    on = browser.member(choice, "sound").to(bool) | browser.member(choice, "notify").to(bool)
    strong = browser.member(choice, "strong").to(bool)
    problem = browser.member(choice, "problem")
    quiet = browser.member(choice, "quiet").to(bool)
    return rx.el.div(
        rx.el.button(
            _speaker(),
            type="button",
            class_name=rx.cond(on, "icon on", "icon"),
            aria_label=rx.cond(on, "Sound and notifications, on", "Sound and notifications, off"),
            custom_attrs={"popoverTarget": "signal-alerts"},
        ),
        rx.el.div(
            _toggle("Sound", browser.member(choice, "sound").to(bool), "toggleSound"),
            _toggle("Browser notification", browser.member(choice, "notify").to(bool), "toggleNotify"),
            rx.el.hr(),
            _choice("For all signals", ~strong, "false"),
            _choice("For strong and extreme ones", strong, "true"),
            rx.el.p(
                rx.cond(
                    problem != "",
                    problem,
                    rx.cond(quiet, "In this tab the sound begins with your first click.", ""),
                ),
                class_name="soft",
                role="status",
            ),
            custom_attrs={"popover": "auto", "id": "signal-alerts"},
        ),
        class_name="menu alerts",
    )


def _toggle(title: str, on: rx.Var[bool], act: str) -> rx.Component:
    return rx.el.button(
        title,
        type="button",
        class_name="choice",
        custom_attrs={"aria-pressed": on, "onClick": browser.handler(f"() => {act}()", alerts=act)},
    )


def _choice(title: str, on: rx.Var[bool], strong: str) -> rx.Component:
    return rx.el.button(
        title,
        type="button",
        class_name="choice",
        custom_attrs={"aria-pressed": on, "onClick": browser.handler(f"() => setStrong({strong})", alerts="setStrong")},
    )


def _speaker() -> rx.Component:
    return outline(
        "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z",
        rx.el.path(d="M15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11", class_name="waves"),
        rx.el.path(d="M16 9.5l5 5M21 9.5l-5 5", class_name="cross"),
        stroke_linejoin="round",
    )
