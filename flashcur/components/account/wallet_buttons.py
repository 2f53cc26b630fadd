"""The wallets of this browser, a button each: two clicks, this one and the one in the wallet."""

from __future__ import annotations

import reflex as rx

from flashcur.components.account.auth_forms import MODULE, again_link, member, next_path
from flashcur.components.kit import browser, forms
from flashcur.components.kit.site import link
from flashcur.state.account import AccountState

_WALLET = "wallet"
"""Name of the script, `assets/wallet.js`."""

NONE_FOUND = "No wallet in this browser. On a phone, open this page inside your wallet’s own browser."


def sign_in_buttons() -> rx.Component:
    """Sign in, or make an account, by wallet."""
    call = 'walletAct({id}, "sign-in", {next}, backendOrigin({port}))'
    return _buttons(call, "walletAct", module=_WALLET, word="Continue with ", next_=next_path())


def link_buttons() -> rx.Component:
    """Link another wallet to the account."""
    linked = AccountState.wallets.length()
    news = browser.hook("walletNews", f"useWalletNews({linked!s})", "useWalletNews", linked, module=MODULE)
    return rx.el.div(
        _buttons("linkWallet({id}, backendOrigin({port}))", "linkWallet", module=MODULE, word="Link ", next_=None),
        custom_attrs={"data-linked": news},
    )


def _buttons(call: str, name: str, *, module: str, word: str, next_: rx.Var[str] | None) -> rx.Component:
    wallets = browser.hook("wallets", "useWallets()", "useWallets", module=_WALLET).to(list[dict[str, str]])
    progress = browser.hook("walletProgress", "useWalletProgress()", "useWalletProgress", module=_WALLET)
    busy, step, error = (member(progress, part) for part in ("busy", "step", "error"))

    says = rx.match(
        step,
        ("connect", "Allow it in your wallet"),
        ("sign", "Confirm in your wallet, it is free"),
        ("check", "Checking the signature"),
        "",
    ).to(str)

    def button(wallet: rx.Var[dict[str, str]]) -> rx.Component:
        code = call.format(id=str(wallet["id"]), next=str(next_), port=browser.backend_port())
        act = browser.handler(f"() => {code}", name, module=module, more={"backend": ("backendOrigin",)})
        mine = busy == wallet["id"]
        return rx.el.div(
            rx.el.button(
                rx.cond(
                    wallet["icon"] != "",
                    rx.el.img(src=wallet["icon"], alt="", width="24", height="24"),
                    _plain_icon(),
                ),
                rx.el.span(
                    rx.el.span(word, wallet["name"], class_name="of"),
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
                    # The call reads where to go next.
                    **({} if next_ is None else {"data-next": next_}),
                },
            ),
            rx.cond(
                mine,
                rx.el.button(
                    "Cancel",
                    type="button",
                    class_name="link cancel",
                    custom_attrs={"onClick": browser.handler("() => cancelWallet()", "cancelWallet", module=_WALLET)},
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
                    custom_attrs={
                        "onClick": browser.handler("() => copyPlain(location.href)", "copyPlain", module=MODULE)
                    },
                ),
                class_name="none",
            ),
        ),
        rx.el.p(rx.cond(busy != "", says, ""), role="status", class_name="unseen"),
        rx.cond(
            error != "",
            forms.notice("error", error, rx.cond(member(progress, "again").to(bool), rx.fragment(" ", again_link()))),
        ),
        class_name="wallets",
    )


def terms_line() -> rx.Component:
    """Below what may make an account."""
    return rx.el.p(
        "With an account you agree to the ",
        link("terms", "/legal/terms"),
        ". What we keep and for how long is in the ",
        link("privacy notice", "/legal/privacy"),
        ".",
        class_name="soft fine",
    )


def _plain_icon() -> rx.Component:
    """For a wallet without one of its own."""
    return rx.el.svg(
        rx.el.path(d="M4 7.5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2zm0 0a2 2 0 0 1 2-2h10M16 13.5h.01"),
        view_box="0 0 24 24",
        fill="none",
        stroke="currentColor",
        stroke_width="1.7",
        stroke_linecap="round",
        aria_hidden=True,
    )
