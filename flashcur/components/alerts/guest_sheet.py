"""What the sheet of a rule shows to whoever has no account: the rule that somebody shared with them, and the way in."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account.auth_forms import onward
from flashcur.components.kit import browser, forms
from flashcur.components.kit.browser import maybe
from flashcur.state.rules import RulesState


def for_guests(wanted: rx.Var[str]) -> rx.Component | rx.Var[object]:
    """`wanted`: what the sheet is about, as the address has it."""
    shared = RulesState.shared
    link = browser.function("rule_form", "sharedIn").call(wanted).to(str)
    return rx.cond(
        link == "",
        _invitation(wanted),
        rx.cond(
            maybe(shared, "link") != link,
            rx.el.p("Loading the rule …", class_name="soft loading", role="status"),
            rx.cond(maybe(shared, "problem") != "", _unreadable(shared), _shared(shared, wanted)),
        ),
    )


def _shared(shared: rx.Var[dict[str, str]], wanted: rx.Var[str]) -> rx.Component:
    return rx.el.div(
        rx.el.h2("Somebody shared this rule with you"),
        rx.el.p(
            maybe(shared, "sentence"),
            class_name="read-back",
            custom_attrs={"data-testid": "read-back"},
        ),
        rx.el.p(rx.el.b("Watches: "), rx.el.span(maybe(shared, "watches"))),
        rx.el.p(
            "FlashCur watches the market for you and alerts you when a rule like this is met. Rules come with every "
            "account, even a free one. Sign in, and this rule opens as a draft of your own: change what you like, then "
            "save it.",
            class_name="soft",
        ),
        _ways_in(wanted),
        class_name="problem",
    )


def _unreadable(shared: rx.Var[dict[str, str]]) -> rx.Component:
    return rx.el.div(
        rx.el.h2("This rule cannot be opened"),
        rx.el.p(maybe(shared, "problem")),
        forms.actions(forms.link_button("What rules do", "/alerts", primary=True)),
        class_name="problem",
        role="alert",
    )


def _invitation(wanted: rx.Var[str]) -> rx.Component:
    """The rule that they have begun waits for them in the address."""
    return rx.el.div(
        rx.el.h2("A rule of your own"),
        rx.el.p(
            "Rules watch the market for you and alert you where you want. They come with every account, even a free "
            "one. Sign in, and you are back here with this rule."
        ),
        _ways_in(wanted),
        class_name="problem",
    )


def _ways_in(wanted: rx.Var[str]) -> rx.Component:
    here = "/alerts?" + wanted
    return forms.actions(
        forms.link_button("Sign in", onward("/login", here), primary=True),
        forms.link_button("Create a free account", onward("/register", here)),
    )
