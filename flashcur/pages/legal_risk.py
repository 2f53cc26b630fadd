"""`/legal/risk`: what can go wrong with leveraged futures, and with a service that watches them."""

from __future__ import annotations

from datetime import date

import reflex as rx

from flashcur.components.billing.plan_texts import every
from flashcur.components.kit.legal import Points, Section, legal_page
from flashcur.components.kit.site import link
from flashcur.domain.plans import PLANS

TITLE = "Risk notice: FlashCur"
DESCRIPTION = (
    "Leveraged perpetual futures can lose everything you put in. FlashCur's signals are not advice and may be late."
)
IN_FORCE = date(2026, 11, 25)


def _sections() -> tuple[Section, ...]:
    marked = [plan for plan in PLANS.values() if not plan.live]
    delays = "; ".join(
        f"{'without an account' if plan.audience == 'guest' else f'on {plan.title}'} {every(plan.cadence_s)}"
        for plan in marked
    )
    return (
        Section(
            "futures",
            "Leveraged futures",
            (
                "Perpetual futures are traded with borrowed money. A small move of the price against you can take the "
                "whole of what you put in, within seconds and before you can react, and on some venues more than that. "
                "Most people should not trade them. Never trade with money that you cannot afford to lose.",
                Points(
                    (
                        (
                            "Liquidation",
                            "the exchange closes your position when its margin runs out, at whatever price there is.",
                        ),
                        (
                            "Funding",
                            "is paid every few hours between longs and shorts and can eat up a position that is right.",
                        ),
                        (
                            "Gaps and thin books",
                            "prices jump; an order to limit a loss may be filled far from where it was set.",
                        ),
                        ("Venue", "exchanges fail, halt trading, change rules and delist contracts."),
                        (
                            "Law",
                            "such products are restricted or forbidden in some countries; find out where you stand.",
                        ),
                    )
                ),
            ),
        ),
        Section(
            "advice",
            "Signals are not advice",
            (
                "A signal says that a number crossed a line: volume, funding, open interest or price. It does not say "
                "what the price will do next, and it knows nothing about you. Words such as “bullish” describe the "
                "candle so far, nothing else.",
                "How often a rule would have fired in the past, and what the price did then, says nothing certain "
                "about the next time.",
            ),
        ),
        Section(
            "delay",
            "Delay",
            (
                f"Most plans show the market at marks of the clock: {delays}. Between marks the price may be elsewhere "
                "altogether. The page says from when its numbers are.",
                "Live numbers, too, pass from the exchange through our server to your screen. They are not fit for "
                "trading that depends on fractions of a second. Compare with your exchange before you act.",
                "A number whose age is above its allowance is marked with that age. A market labelled DEMO DATA is "
                "simulated and has nothing to do with real prices.",
            ),
        ),
        Section(
            "delivery",
            "Alerts may not arrive",
            (
                "Alerts depend on the exchange’s feed, our server, the network, and on those who deliver mail, text "
                "messages and chat. Any of them can be late or lose one. A browser notification needs an open tab. "
                "Quiet hours, pauses and daily caps that you set hold alerts back, as they should.",
                "An alert does not replace a stop order at your exchange. Do not hold a position that only an alert "
                "from this site would save.",
            ),
        ),
        Section(
            "yours",
            "Your decision",
            (
                rx.fragment(
                    "What you trade, and whether, is your decision alone. The operator of this site has no part in "
                    "your profit or loss; see also the ",
                    link("terms", "/legal/terms"),
                    ". If trading stops being a choice, talk to somebody about it.",
                ),
            ),
        ),
    )


def legal_risk() -> rx.Component:
    return legal_page(
        "Risk notice",
        "Leveraged perpetual futures can lose everything you put in. FlashCur shows numbers; it does not give advice.",
        IN_FORCE,
        _sections(),
    )
