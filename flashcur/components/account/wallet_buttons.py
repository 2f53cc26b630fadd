"""The wallets of this browser, a button each: two clicks, this one and the one in the wallet."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account.auth_forms import next_path
from flashcur.components.kit import browser, forms
from flashcur.components.kit.browser import member
from flashcur.components.kit.clipboard import copy_text
from flashcur.components.kit.icons import outline
from flashcur.components.kit.site import link
from flashcur.components.kit.texts import untranslated
from flashcur.settings import CHAINS

NONE_FOUND = "No wallet in this browser. On a phone, open this page inside your wallet’s own browser."


PROBLEMS = {
    "gone": "This wallet is no longer here: load the page again.",
    "locked": "Your wallet is locked, or does not show this page an account: unlock it and try again.",
    "declined": "You declined in your wallet.",
    "pending": "Your wallet already has a request open: look there.",
    "offline": "Your wallet has no connection to its network: check it and try again.",
    "unable": "This wallet cannot sign texts: use another one.",
    "chain": f"Choose {', '.join(list(CHAINS.values())[:-1])} or {list(CHAINS.values())[-1]} in your wallet, then try "
    "again.",
    "silent": "Your wallet failed without saying why: try again.",
}
"""What the word says with which `assets/browser/signing.ts` ends."""


def sign_in_buttons() -> rx.Component:
    """Sign in, or make an account, by wallet."""
    return _buttons("sign-in", next_path(), word="Continue with ")


def link_buttons() -> rx.Component:
    """Link another wallet to the account."""
    return _buttons("link", rx.Var.create("/account"), word="Link ")


def _buttons(purpose: str, next_: rx.Var[str], *, word: str) -> rx.Component:
    wallets = browser.hook("wallets", "wallets", "useWallets").to(list[dict[str, str]])
    progress = browser.hook("walletProgress", "signing", "useWalletProgress")
    busy, step, error, text = (member(progress, part) for part in ("busy", "step", "error", "text"))

    way_out = rx.el.a(member(progress, "link_text"), href=member(progress, "link"), class_name="link")
    says = rx.match(
        step,
        ("connect", "Allow it in your wallet"),
        ("sign", "Confirm in your wallet, it is free"),
        ("check", "Checking the signature"),
        "",
    ).to(str)

    def button(wallet: rx.Var[dict[str, str]]) -> rx.Component:
        act = browser.handler(
            f'() => walletAct({wallet["id"]!s}, "{purpose}", {next_!s}, {browser.backend_port()})',
            next_,
            signing="walletAct",
        )
        unnamed = rx.cond(wallet["id"] == "injected", "Browser wallet", "Wallet")
        name = rx.cond(wallet["name"] != "", wallet["name"], unnamed)
        mine = busy == wallet["id"]
        return rx.el.div(
            rx.el.button(
                rx.cond(
                    wallet["icon"] != "",
                    rx.el.img(src=wallet["icon"], alt="", width="24", height="24"),
                    _plain_icon(),
                ),
                rx.el.span(
                    rx.el.span(word, untranslated(name), class_name="of"),
                    # Within the button, which keeps its height: nothing below it moves.
                    rx.cond(mine, rx.el.small(says), rx.fragment()),
                ),
                type="button",
                class_name="button wallet",
                disabled=(busy != "") & (busy != wallet["id"]),
                custom_attrs={
                    "onClick": act,
                    "aria-busy": rx.cond(mine, "true", "false"),
                    "data-wallet": wallet["id"],
                },
            ),
            rx.cond(
                mine,
                rx.el.button(
                    "Cancel",
                    type="button",
                    class_name="link cancel",
                    custom_attrs={"onClick": browser.handler("() => cancelWallet()", signing="cancelWallet")},
                ),
            ),
            class_name="wallet-row",
            key=wallet["id"],
        )

    return rx.el.div(
        rx.cond(
            wallets.length() > 0,
            rx.foreach(wallets, button),
            rx.el.div(
                rx.el.p(NONE_FOUND, class_name="soft fine"),
                forms.button_plain(
                    "Copy this page’s address",
                    custom_attrs={"onClick": copy_text(rx.Var("location.href"))},
                ),
                class_name="none",
            ),
        ),
        rx.el.p(rx.cond(busy != "", says, ""), role="status", class_name="unseen"),
        rx.cond(
            error != "",
            forms.notice(
                "error",
                rx.match(error, *PROBLEMS.items(), ("said", "Your wallet answered: " + text), text),
                rx.cond(member(progress, "link") != "", rx.fragment(" ", way_out)),
            ),
        ),
        class_name="wallets",
    )


def terms_line() -> rx.Component:
    """Below what may make an account."""
    return rx.el.p(
        "By creating an account you agree to the ",
        link("terms", "/legal/terms"),
        ". What we keep and for how long is in the ",
        link("privacy notice", "/legal/privacy"),
        ".",
        class_name="soft fine",
    )


def _plain_icon() -> rx.Component:
    """For a wallet without one of its own."""
    return outline(
        "M4 7.5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2zm0 0a2 2 0 0 1 2-2h10M16 13.5h.01", stroke_width="1.7"
    )
