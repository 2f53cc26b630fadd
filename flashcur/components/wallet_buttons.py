"""The wallets of this browser, a button each: two clicks, this one and the one in the wallet."""

from __future__ import annotations

import reflex as rx

from flashcur.components import browser, forms
from flashcur.components.auth_forms import MODULE, member, next_path

_WALLET = "wallet"
"""Name of the script, `assets/wallet.js`."""

NONE_FOUND = "No wallet in this browser. On a phone, open this page inside your wallet’s own browser."


def sign_in_buttons() -> rx.Component:
    """Sign in, or make an account, by wallet."""
    call = 'walletAct({id}, "sign-in", {next}, backendOrigin({port}))'
    return _buttons(call, "walletAct", module=_WALLET, word="Continue with ", next_=next_path())


def link_buttons() -> rx.Component:
    """Link another wallet to the account."""
    return _buttons("linkWallet({id}, backendOrigin({port}))", "linkWallet", module=MODULE, word="Link ", next_=None)


def _buttons(call: str, name: str, *, module: str, word: str, next_: rx.Var[str] | None) -> rx.Component:
    wallets = browser.hook("wallets", "useWallets()", "useWallets", module=_WALLET).to(list[dict[str, str]])
    progress = browser.hook("walletProgress", "useWalletProgress()", "useWalletProgress", module=_WALLET)
    busy, step, error = (member(progress, part) for part in ("busy", "step", "error"))

    def button(wallet: rx.Var[dict[str, str]]) -> rx.Component:
        code = call.format(id=str(wallet["id"]), next=str(next_), port=browser.backend_port())
        act = browser.handler(f"() => {code}", name, module=module, more={"backend": ("backendOrigin",)})
        return rx.el.button(
            rx.cond(
                wallet["icon"] != "",
                rx.el.img(src=wallet["icon"], alt="", width="24", height="24"),
                rx.el.span(class_name="no-icon", aria_hidden=True),
            ),
            rx.el.span(word, wallet["name"]),
            type="button",
            class_name="button wallet",
            disabled=(busy != "") & (busy != wallet["id"]),
            custom_attrs={
                "onClick": act,
                "aria-busy": rx.cond(busy == wallet["id"], "true", "false"),
                "data-wallet": wallet["id"],
                # The call reads where to go next.
                **({} if next_ is None else {"data-next": next_}),
            },
            key=wallet["id"],
        )

    says = rx.match(
        step,
        ("connect", "Your wallet asks whether FlashCur may see your address: allow it there."),
        ("sign", "Confirm the text in your wallet. It costs nothing and allows nothing else."),
        ("check", "Checking the signature."),
        "",
    ).to(str)
    return rx.el.div(
        rx.cond(
            wallets.length() > 0,
            rx.foreach(wallets, button),
            rx.el.p(NONE_FOUND, class_name="soft fine none"),
        ),
        rx.el.p(rx.cond(busy != "", says, ""), role="status", class_name="soft fine step"),
        rx.cond(
            busy != "",
            forms.button_plain(
                "Cancel",
                custom_attrs={"onClick": browser.handler("() => cancelWallet()", "cancelWallet", module=_WALLET)},
            ),
        ),
        rx.cond(error != "", forms.notice("error", error)),
        class_name="wallets",
    )
