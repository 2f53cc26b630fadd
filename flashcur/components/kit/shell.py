"""What every page has at its top: the name, the ticker strip, where the numbers come from, the theme."""

from __future__ import annotations

from typing import Any

import reflex as rx

from flashcur.components.alerts.bell import bell
from flashcur.components.kit import browser, colour_mode
from flashcur.components.kit.icons import outline
from flashcur.components.kit.menus import menu
from flashcur.components.kit.texts import as_written, untranslated
from flashcur.components.signals.unread import unread
from flashcur.state.account import AccountState
from flashcur.state.market import FeedState

UNREACHED_S = 8
"""After so many seconds without an answer a page that is still loading says so."""


def lag() -> rx.Var[int]:
    """Seconds since the last frame arrived, 0 while frames come."""
    return browser.hook("lag", "beat", "useLag", FeedState.beat).to(int)


def alive() -> rx.Var[bool]:
    """Whether frames come: what could not be told before may be told now."""
    return (FeedState.beat > 0) & (lag() == 0)


PAGES = (
    ("Markets", "/"),
    ("Signals", "/signals"),
    ("Alerts", "/alerts"),
    ("Watchlists", "/watchlists"),
    ("Pricing", "/pricing"),
)


def header(*tools: rx.Component) -> rx.Component:
    """`tools`: buttons that a page adds."""
    return rx.el.header(
        untranslated(
            rx.el.b("Flash"),
            "Cur",
            element=rx.el.a,
            href="/",
            class_name="brand",
            aria_label="FlashCur, to the markets",
        ),
        rx.el.nav(*(_page(title, href) for title, href in PAGES[1:]), class_name="pages", aria_label="Pages"),
        ticker_strip(),
        feed_status(),
        *tools,
        theme_button(),
        account_corner(),
        class_name="head",
    )


def _page(title: str, href: str, **props: Any) -> rx.Component:
    """A link to a page; that to the signals says how many are unread, in room of its own beside the word."""
    if href != "/signals":
        return rx.el.a(title, href=href, **props)
    count = unread()
    return rx.el.a(
        title,
        rx.cond(
            count > 0,
            rx.el.span(
                " ",
                untranslated(count, class_name="count"),
                rx.el.span(" unread", class_name="unseen"),
                custom_attrs={"data-testid": "unread-elsewhere"},
            ),
        ),
        href=href,
        **props,
    )


def account_corner() -> rx.Component:
    """Sign in, or the account's menu; on a phone one menu for everything."""
    signed_in = AccountState.signed_in
    return rx.el.div(
        rx.cond(
            AccountState.reached & ~signed_in & ~AccountState.trouble,
            rx.el.a("Sign in", href="/login", class_name="sign-in"),
        ),
        bell(alive()),
        menu(
            "menu",
            rx.cond(
                signed_in,
                untranslated(AccountState.name[:1].upper(), class_name="avatar"),
                outline("M4 7h16M4 12h16M4 17h16", class_name="bars"),
            ),
            rx.cond(
                signed_in,
                untranslated(
                    rx.el.b(AccountState.name), rx.el.span(AccountState.plan_title), element=rx.el.p, class_name="who"
                ),
            ),
            rx.el.nav(
                *(_page(title, href, class_name="elsewhere") for title, href in PAGES),
                rx.cond(
                    signed_in,
                    rx.fragment(
                        rx.el.a("Account", href="/account"),
                        rx.el.button("Sign out", type="button", custom_attrs={"onClick": sign_out()}),
                    ),
                    rx.fragment(
                        rx.el.a("Sign in", href="/login", class_name="elsewhere"),
                        rx.el.a("Create a free account", href="/register", class_name="elsewhere"),
                    ),
                ),
                rx.el.button("Light or dark", type="button", class_name="elsewhere", on_click=colour_mode.switch()),
                aria_label="Menu",
            ),
            class_name="account",
            label=rx.cond(signed_in, "Menu of your account", "Menu"),
        ),
        class_name=rx.cond(signed_in, "corner", "corner guest"),
        custom_attrs={"data-plan": AccountState.plan},
    )


def sign_out() -> rx.Var[object]:
    """A client-side handler that signs this browser out."""
    return browser.handler(f'() => signOut({browser.backend_port()}, "You are still signed in.")', session="signOut")


def ticker_strip() -> rx.Component:
    """The five largest by volume, live for every audience."""

    def item(packed: rx.Var[str]) -> rx.Component:
        parts = packed.split("|")
        base, price, change = parts[0], parts[1], parts[2].to(str)
        return rx.el.li(
            rx.el.b(base),
            rx.el.span(price),
            rx.el.span(change, "%", class_name=direction(change)),
            key=base,
        )

    return rx.el.ul(
        rx.cond(FeedState.strip != "", rx.foreach(FeedState.strip.split(";"), item)),
        class_name="strip",
        aria_label="Five largest by volume",
        custom_attrs=as_written(),
    )


def direction(value: rx.Var[str]) -> rx.Var[str]:
    """The class of a number that is green or red by its sign."""
    return rx.cond(value.startswith("+"), "up", rx.cond(value.startswith("-"), "down", "")).to(str)


def feed_status() -> rx.Component:
    """Exchange, state and age of the numbers; read aloud only when the state changes."""
    quiet = lag()
    state = rx.cond(
        FeedState.beat == 0,
        rx.cond(quiet >= UNREACHED_S, "unreached", "connecting"),
        rx.cond(quiet > 0, "offline", FeedState.state),
    )
    old = rx.cond(quiet > 0, quiet, FeedState.quiet)
    word = rx.match(
        state,
        ("live", "Live"),
        ("delayed", "Delayed"),
        ("stale", "Stale"),
        ("offline", "Disconnected"),
        ("unreached", rx.cond(FeedState.reached, "Waiting for the exchange", "No connection, retrying")),
        rx.cond(FeedState.reached, "Waiting for the exchange", "Connecting"),
    )
    age = rx.cond(
        old > 0,
        browser.function("ages", "duration").call(old).to(str) + " old",
        browser.function("ages", "clock").call(FeedState.as_of).to(str),
    )
    return rx.el.div(
        rx.cond(
            FeedState.demo,
            rx.el.span(
                "DEMO DATA", class_name="tag", title="Simulated exchange: no number on this page is a market price"
            ),
        ),
        rx.el.span(class_name="dot", aria_hidden=True),
        rx.el.span(word, role="status", class_name="word"),
        rx.cond(
            FeedState.exchange,
            untranslated(FeedState.exchange, class_name="soft name"),
            rx.el.span(id="first-status", custom_attrs={"dangerouslySetInnerHTML": rx.Var('({ __html: "" })')}),
        ),
        rx.cond(
            (FeedState.as_of > 0) | ((old > 0) & ~FeedState.reached),
            rx.el.span(
                age,
                class_name=rx.cond(old > 0, "age", "soft clock"),
                title="Time of these numbers, UTC",
                # A time of day changes each second, and is the same in every language.
                custom_attrs={"translate": rx.cond(old > 0, "yes", "no")},
            ),
        ),
        class_name="feed",
        custom_attrs={
            "data-testid": "feed-status",
            "data-state": state,
            # Every page has this, and each frame draws it anew: here the page's clock is set.
            "data-ages": browser.hook("ages", "ages", "useAges", FeedState.as_of),
        },
    )


def theme_button() -> rx.Component:
    return rx.el.button(
        outline(
            "M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4"
            "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8",
            class_name="sun",
        ),
        outline("M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5", class_name="moon"),
        type="button",
        class_name="icon",
        aria_label="Switch between light and dark",
        on_click=colour_mode.switch(),
    )
