"""`/legal/terms`: on what terms FlashCur may be used."""

from __future__ import annotations

from datetime import date

import reflex as rx

from flashcur.components.kit.legal import Points, Section, legal_page
from flashcur.components.kit.site import link

TITLE = "Terms: FlashCur"
DESCRIPTION = (
    "The terms on which FlashCur may be used: what it does, accounts, plans and payment, and what it does not promise."
)
IN_FORCE = date(2026, 11, 25)

SECTIONS = (
    Section(
        "service",
        "What FlashCur is",
        (
            "FlashCur shows public market data of perpetual futures: prices, volume, funding rates and open interest, "
            "as crypto exchanges publish them. It computes signals from that data and sends alerts by rules that you "
            "set yourself.",
            "“We” is the operator of this site. FlashCur is not an exchange, a broker or an adviser. It holds no money "
            "and no coins, places no orders, and asks for no keys to your exchange account.",
            rx.fragment(
                "Nothing on this site is advice to buy or sell. Please read the ",
                link("risk notice", "/legal/risk"),
                " before you rely on any of it.",
            ),
        ),
    ),
    Section(
        "account",
        "Your account",
        (
            "You can look at the market without an account. With one you sign in by email and password or by the "
            "signature of a wallet. Signing in with a wallet costs nothing and moves nothing.",
            "Keep your password and your wallet to yourself; what is done with them counts as done by you. If you "
            "believe that somebody else is signed in, end the session on your account page and change the password.",
            "One account is for one person. Each plan says how many devices may be signed in at a time; one more ends "
            "the oldest session. You must be old enough to enter into a contract where you live.",
        ),
    ),
    Section(
        "plans",
        "Plans and payment",
        (
            rx.fragment(
                "What each plan has and costs stands on the ",
                link("pricing page", "/pricing"),
                ". Paid plans renew by themselves, each month or each year, until you cancel. Payment is handled by "
                "Stripe; card numbers never reach this site.",
            ),
            Points(
                (
                    ("Moving up", "takes effect at once. Stripe credits the unused part of what you have paid."),
                    (
                        "Cancelling",
                        "is done on your account page and takes effect at the end of the period that is paid for. The "
                        "rest of the period is not paid back by itself.",
                    ),
                    (
                        "A payment that fails",
                        "is tried again by Stripe. The plan stays for 7 days meanwhile, then the account is Free until "
                        "the payment succeeds.",
                    ),
                    (
                        "A smaller plan",
                        "deletes nothing. Watchlists beyond its number become read-only and rules beyond it are "
                        "paused; they come back with the larger plan.",
                    ),
                )
            ),
            "If prices change, the new price applies from your next period, and you are told before it begins. Where "
            "the law gives you a right to withdraw or to be paid back, these terms do not take it away.",
        ),
    ),
    Section(
        "data",
        "Market data",
        (
            "The data comes from the exchange that the page names, and is passed on as it is, without any warranty "
            "that it is right, complete or on time. Where a number is older than it should be, the page marks it with "
            "its age; where it is missing, it shows a dash.",
            "When no exchange can be reached, the site may show a simulated market. It is then labelled DEMO DATA on "
            "every page, and none of its numbers is a market price.",
            "Names and marks of exchanges and coins belong to their owners. FlashCur is not affiliated with them.",
        ),
    ),
    Section(
        "use",
        "Fair use",
        (
            "Use the site as a person or, with the API of a plan that has one, as your own program. Please do not",
            Points(
                (
                    "sell or republish the data or the signals as a feed of your own;",
                    "go around the limits of your plan, for example with several accounts;",
                    "break into other people’s accounts or disturb the service; if you find a weakness, tell us;",
                    "send alerts to addresses, numbers or channels of people who did not ask for them.",
                )
            ),
        ),
    ),
    Section(
        "promises",
        "What we do not promise",
        (
            "The service is provided as it is. Exchanges change or block their connections, networks fail, mail and "
            "text messages are lost by those who carry them. We do not promise that the site is always there, that a "
            "signal or alert comes in time or at all, or that it is right.",
            "As far as the law allows, we are not liable for losses from trading, for profit you did not make, or for "
            "decisions that rest on what the site showed or did not show. Where liability cannot be excluded, it is "
            "limited to what you paid for the twelve months before. Nothing here limits liability for intent, gross "
            "negligence, or harm to life and health.",
        ),
    ),
    Section(
        "end",
        "Ending",
        (
            "You can delete your account on the account page at any time, and take your data with you first. We may "
            "suspend or close an account that breaks these terms; where the reason allows, with a warning before, and "
            "with what you paid for the time to come paid back unless the breach was deliberate.",
            "We may stop the service with reasonable notice, and then pay back what is paid for the time after.",
        ),
    ),
    Section(
        "changes",
        "Changes and contact",
        (
            "When these terms change, the date above changes, and account holders with an email address are told "
            "beforehand of changes that matter. If you go on using the site after that, the new terms apply.",
            "Questions go to the operator of this site.",
        ),
    ),
)


def legal_terms() -> rx.Component:
    return legal_page(
        "Terms of use",
        "Short, and in plain words. By using FlashCur you agree to them.",
        IN_FORCE,
        SECTIONS,
    )
