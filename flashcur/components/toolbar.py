"""Search and filters over the table. They run in the browser; the URL holds what was chosen."""

from __future__ import annotations

import reflex as rx

from flashcur.components import browser
from flashcur.state.market import FeedState

_SHOW = (("all", "All"), ("gainers", "Gainers"), ("losers", "Losers"), ("spiking", "Spiking now"))
_LEAST = (
    ("", "Any volume"),
    ("1M", "≥ $1M"),
    ("10M", "≥ $10M"),
    ("50M", "≥ $50M"),
    ("100M", "≥ $100M"),
    ("500M", "≥ $500M"),
)


def toolbar() -> rx.Component:
    return rx.el.div(_search(), _show(), _least(), _note(), class_name="tools", role="search")


def _search() -> rx.Component:
    keys = browser.hook("searchKey", "useSearchKey()", "useSearchKey")
    return rx.el.div(
        rx.el.input(
            id="search",
            type="search",
            class_name="field",
            placeholder="Search contracts",
            aria_label="Search contracts",
            auto_complete="off",
            custom_attrs={
                "spellCheck": "false",
                "ref": keys,
                "value": browser.chosen("q"),
                "onChange": browser.handler("(e) => setView({ q: e.target.value.slice(0, 40) })", "setView"),
            },
        ),
        rx.el.kbd("/", aria_hidden=True),
        class_name="search",
    )


def _show() -> rx.Component:
    return rx.el.div(
        *(
            rx.el.button(
                title,
                type="button",
                custom_attrs={
                    "aria-pressed": browser.chosen("show") == key,
                    "onClick": browser.handler(f'() => setView({{ show: "{key}" }})', "setView"),
                },
            )
            for key, title in _SHOW
        ),
        class_name="chips",
        role="group",
        aria_label="Show",
    )


def _least() -> rx.Component:
    return rx.el.label(
        rx.el.select(
            *(rx.el.option(title, value=value) for value, title in _LEAST),
            rx.cond(
                browser.function("isOwnAmount").call(browser.chosen("min")),
                rx.el.option("≥ $", browser.chosen("min"), value=browser.chosen("min")),
            ),
            class_name="field",
            aria_label="Minimum 24h volume",
            custom_attrs={
                "value": browser.chosen("min"),
                "onChange": browser.handler("(e) => setView({ min: e.target.value })", "setView"),
            },
        ),
        class_name="least",
    )


def _note() -> rx.Component:
    """How many contracts there are, or, where the table moves at marks, when it moved and moves next."""
    left = browser.hook(
        "left", f"useCountdown({FeedState.next_mark!s}, {FeedState.as_of!s})", "useCountdown", FeedState.next_mark
    ).to(str)
    of = browser.function("clock").call(FeedState.mark).to(str)
    return rx.el.div(
        rx.cond(
            FeedState.mark > 0,
            rx.fragment("As of ", of, " UTC, next in ", left),
            rx.cond(FeedState.count > 0, rx.fragment(FeedState.count, " contracts")),
        ),
        class_name=rx.cond(FeedState.mark > 0, "note timed", "note"),
    )
