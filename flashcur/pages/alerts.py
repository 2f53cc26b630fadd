"""`/alerts`: the rules that watch the market for somebody, what they told, and where that goes."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account.auth_forms import for_accounts
from flashcur.components.alerts import rule_list
from flashcur.components.alerts.alert_settings import muted_line
from flashcur.components.alerts.channel_cards import channels_tab
from flashcur.components.alerts.ledger import messages_tab
from flashcur.components.alerts.rule_form import rule_sheet
from flashcur.components.kit import browser
from flashcur.components.kit.site import page_frame
from flashcur.components.kit.texts import untranslated
from flashcur.state.account import AccountState
from flashcur.state.rules import RulesState

TITLE = "Alerts: FlashCur"
DESCRIPTION = "Write your own rules for crypto perpetual futures, and get alerts where you want them."

_RULES = (("active", "Active"), ("paused", "Paused"), ("done", "Done"))
_TABS = (*_RULES, ("messages", "Messages"), ("channels", "Channels"))


def alerts() -> rx.Component:
    tab = browser.hook("tab", "tabs", "useTab", *(name for name, _ in _TABS)).to(str)
    return page_frame(
        for_accounts(
            rx.el.div(
                rule_list.watch_list(),
                muted_line(),
                _tabs(tab),
                rx.match(
                    tab,
                    ("messages", messages_tab()),
                    ("channels", channels_tab()),
                    ("paused", _part("paused")),
                    ("done", _part("done")),
                    _part("active"),
                ),
                class_name="alerts-page",
            ),
            why="Rules watch the market while you do something else, and alert you where you want: once, within "
            "seconds. They come with every account, even a free one.",
            path="/alerts",
        ),
        rx.cond(AccountState.reached & ~AccountState.signed_in, rule_list.presets()),
        rule_sheet(),
        title="Alerts",
        wide=True,
    )


def _part(which: str) -> rx.Component:
    return rx.el.div(
        rule_list.head(),
        rule_list.rule_list(which),
        *([rule_list.presets()] if which == "active" else []),
        class_name="alerts-part",
    )


def _tabs(tab: rx.Var[str]) -> rx.Component:
    counts = {name: getattr(RulesState, name).length() for name, _ in _RULES}

    def each(name: str, title: str) -> rx.Component:
        return rx.el.a(
            title,
            *(
                [rx.cond(RulesState.known, untranslated(counts[name].to_string(), class_name="number"))]
                if name in counts
                else []
            ),
            href="/alerts" if name == "active" else f"/alerts?tab={name}",
            custom_attrs={
                "aria-current": rx.cond(tab == name, "page", "false"),
                "onClick": browser.function("tabs", "followTab"),
            },
        )

    return rx.el.nav(
        *(each(name, title) for name, title in _TABS),
        class_name="tabs",
        aria_label="Parts of this page",
        custom_attrs={"ref": browser.hook("tabRow", "tabs", "useTabRow", tab)},
    )
