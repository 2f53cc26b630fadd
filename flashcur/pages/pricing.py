"""`/pricing`: what the plans have and cost."""

from __future__ import annotations

import reflex as rx

from flashcur.components.billing import pricing_table
from flashcur.components.kit.site import link, page_frame
from flashcur.state.account import AccountState

TITLE = "Pricing: FlashCur"
DESCRIPTION = (
    "What FlashCur costs and what each plan has: how often the table moves, rules, alerts, watchlists, export."
)


def pricing() -> rx.Component:
    return page_frame(
        rx.el.div(
            pricing_table.period_switch(),
            pricing_table.plan_cards(rx.cond(AccountState.signed_in, AccountState.plan, "")),
            class_name="pricing",
        ),
        rx.el.h2("Compare"),
        pricing_table.comparison_table(),
        rx.el.h2("Questions"),
        pricing_table.questions(),
        rx.el.p(
            "Prices are in US dollars. A channel that the operator of this site has not set up is shown as not "
            "configured in the app. See also the ",
            link("terms", "/legal/terms"),
            " and the ",
            link("risk notice", "/legal/risk"),
            ".",
            class_name="soft fine",
        ),
        title="The same market, as often as you need it",
        lead="Plans differ in how often the table moves and in how much you can set up. Your own rules fire at once "
        "on every one of them.",
        wide=True,
    )
