"""`/legal/privacy`: what is kept about people, why, and for how long."""

from __future__ import annotations

from datetime import date

import reflex as rx

from flashcur.components.kit.legal import Points, Section, legal_page
from flashcur.components.kit.site import link
from flashcur.services.accounts.sessions import LIFETIME
from flashcur.services.accounts.upkeep import MAIL_KEPT

TITLE = "Privacy: FlashCur"
DESCRIPTION = (
    "What FlashCur keeps about you, why and for how long. No tracking, no advertising, no third-party scripts."
)
IN_FORCE = date(2026, 11, 25)

SECTIONS = (
    Section(
        "short",
        "In short",
        (
            "FlashCur keeps what it needs to run your account and to protect it. There is no tracking and no "
            "advertising, no script of a third party, and nothing about you is sold.",
            "“We” is the operator of this site, who is responsible for this data.",
        ),
    ),
    Section(
        "visitors",
        "Without an account",
        (
            "You can watch the market without telling us who you are. Your browser’s network address is used to send "
            "you the page and, as a hash, to count requests where a limit protects the service. Search and filters of "
            "the table stay in your browser and in the page’s address.",
        ),
    ),
    Section(
        "account",
        "With an account",
        (
            "We keep",
            Points(
                (
                    (
                        "Email address",
                        "to sign you in and to send what you asked for. An account by wallet needs none.",
                    ),
                    (
                        "Password",
                        "kept only as an argon2id hash, from which it cannot be read back.",
                    ),
                    (
                        "Wallet address",
                        "if you sign in with a wallet, with the chain it signed on and when. Your keys and balances "
                        "are never asked for.",
                    ),
                    (
                        "Sessions",
                        "for each browser that is signed in: when it signed in and was last used, its network (IP) "
                        "address and its name as the browser gives it, so that you can recognise and end a session "
                        "that is not yours; and whether the browser shows our notifications. "
                        f"A session ends after {LIFETIME.days} days at the latest.",
                    ),
                    (
                        "Security log",
                        "sign-ins, failed attempts, changes of password, address, wallet and plan, with time, network "
                        "address and browser. Kept for one year; failed attempts at addresses without an account for "
                        "30 days.",
                    ),
                    (
                        "Watchlists, rules and alerts",
                        "what you set up, and which alerts came of it and where they went.",
                    ),
                    (
                        "Where your alerts go",
                        "the phone number, chat, webhook address or browser that you connect, when you did and when "
                        "it was last used. You remove each of them yourself.",
                    ),
                    ("Settings", "theme, time zone, and how you last arranged the market table."),
                    (
                        "API keys",
                        "if you make one: a hash of it, its last characters, when it was made and last used.",
                    ),
                    (
                        "Plan",
                        "which one, until when, and the references by which Stripe knows you. No card numbers.",
                    ),
                    (
                        "Messages",
                        "which mail was sent where, when, and whether the provider took it. Kept for "
                        f"{MAIL_KEPT.days} days.",
                    ),
                )
            ),
            "The reason is the contract with you for all that makes the account work, and our legitimate interest in "
            "security for sessions, limits and the security log.",
        ),
    ),
    Section(
        "cookies",
        "Cookies and local storage",
        (
            Points(
                (
                    (
                        "Session cookie",
                        "strictly necessary; set when you sign in. Scripts cannot read it (HttpOnly), and it holds a "
                        "random token and nothing else.",
                    ),
                    (
                        "Browser cookie",
                        "only if you register by email or use a wallet: a random token, HttpOnly too, that ties the "
                        "mailed link, or the text to be signed, to your browser. It goes after 24 hours.",
                    ),
                    (
                        "Marker cookie",
                        "a few characters that change when the sign-in changes, so that other tabs notice. Nobody can "
                        "sign in with it.",
                    ),
                    (
                        "Local and session storage",
                        "your choice of light or dark, a random number that tells one tab from another, a copy of the "
                        "marker (flashcur_mark), the number of the last message that a tab has shown "
                        "(flashcur_notice), and of signals whether you closed their panel, which was the last you have "
                        "seen, and what may ring (flashcur_signals, flashcur_signals_read, flashcur_alerts, "
                        "flashcur_rung).",
                    ),
                )
            ),
            "All of them are needed for what you asked for, so there is no banner asking for consent, and nothing to "
            "refuse.",
        ),
    ),
    Section(
        "others",
        "Who else gets to see data",
        (
            "Only those who carry out a part of the service, each only what it needs, and only where the operator has "
            "set it up and you use it:",
            Points(
                (
                    ("SendGrid", "delivers mail: your email address and the text of the mail."),
                    ("Twilio", "delivers text messages: your phone number and the text, if you turn SMS alerts on."),
                    (
                        "Your browser’s push service",
                        "(Google, Mozilla, Apple or Microsoft) wakes your browser, if you turn web push on: it sees "
                        "when an alert comes, not what it says, which is encrypted for your browser.",
                    ),
                    (
                        "Stripe",
                        "takes payment: what you enter there, under Stripe’s own privacy policy. We tell Stripe your "
                        "account’s reference and email address.",
                    ),
                    (
                        "Telegram, Discord, Slack or your own webhook",
                        "if you connect one, the alerts that you send there.",
                    ),
                    (
                        "A blockchain node",
                        "if you sign in with a contract wallet: its address and the signature to be checked.",
                    ),
                    ("The host of this server", "on whose machines all of it is kept."),
                )
            ),
            "Some of them may process data outside your country. Exchanges learn nothing about you: their data is "
            "fetched by our server, not by your browser. Authorities get what the law compels us to give.",
        ),
    ),
    Section(
        "rights",
        "Export, correction, deletion",
        (
            rx.fragment(
                "On your ",
                link("account page", "/account"),
                " you can see and end your sessions, change your address, download your data, and "
                "delete the account, all without asking anybody.",
            ),
            "Deletion removes the account with its sessions, wallets, watchlists, rules, alerts and settings. Where a "
            "mailbox or a phone number refused our messages, or told us to stop, a hash of it stays, so that nothing "
            "is sent there again. Entries of the "
            "security log stay until their year is over, without the network address. Invoices stay at Stripe as long "
            "as tax law requires. Backups, where the operator makes them, run out on their own schedule.",
            "You may also object to a use of your data, ask for it to be restricted, or complain to the data "
            "protection authority where you live.",
        ),
    ),
    Section(
        "security",
        "How it is protected",
        (
            "Sessions and the codes in mailed links are kept in a form that lets nobody sign in with a copy of the "
            "database. Attempts to sign in are limited. In production pages are served over an encrypted connection.",
        ),
    ),
    Section(
        "changes",
        "Changes and contact",
        (
            "When this page changes, the date above changes; account holders with an email address are told of changes "
            "that matter. Questions go to the operator of this site.",
        ),
    ),
)


def legal_privacy() -> rx.Component:
    return legal_page(
        "Privacy",
        "What is kept about you, why, for how long, and how to take it away again.",
        IN_FORCE,
        SECTIONS,
    )
