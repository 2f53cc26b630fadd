"""The newest signals beside the table; over it where there is no room. A button in the page's head opens and closes it.

Where it is, the stylesheet says: beside the table where no column has to give way for it. Whether it is open there is
kept in the browser, and put on the document before the first paint, so that nothing moves later.
"""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.icons import outline
from flashcur.components.kit.texts import as_written, untranslated
from flashcur.components.signals import marks
from flashcur.components.signals.alerts_menu import alerts_menu
from flashcur.components.signals.unread import read_while_open, unread
from flashcur.domain.plans import least_plan
from flashcur.domain.signals.words import DIRECTION_WORDS, SEVERITY_WORDS
from flashcur.state.account import AccountState
from flashcur.state.market import FeedState
from flashcur.state.signals import SignalsState

_COLUMNS = ("id", "title", "severity", "direction", "base", "text", "at", "page", "chart")

BEFORE_PAINT = (
    'try{if(localStorage.getItem("flashcur_signals")==="closed")document.documentElement.dataset.signals="closed"}'
    "catch(e){}"
)
"""The text of a script for the document's head: whether the panel was closed in this browser (`panel.ts` keeps it)."""


def _panel() -> rx.Var[object]:
    return browser.hook("signalsPanel", "panel", "usePanel")


def signals_button() -> rx.Component:
    """Opens and closes the panel, and says how many signals are unread, in the page's title as well."""
    count = browser.hook("counted", "unread", "useCountedTitle", unread()).to(int)
    return rx.el.button(
        outline("M13 3 5 13.5h6L10 21l9-11.5h-6.5z", stroke_linejoin="round"),
        rx.cond(count > 0, untranslated(count, class_name="count", aria_hidden=True)),
        type="button",
        id="signals-button",
        class_name="icon signals-button",
        aria_label=rx.cond(count > 0, "Signals, " + count.to_string() + " unread", "Signals"),
        custom_attrs={
            "aria-expanded": browser.member(_panel(), "open").to(bool),
            "aria-controls": "signals-panel",
            "onClick": browser.handler("() => togglePanel()", panel="togglePanel"),
        },
    )


def signals_panel() -> rx.Component:
    """The panel; once on the page with the table."""
    sheet = browser.member(_panel(), "sheet").to(bool)
    return rx.fragment(
        rx.el.div(
            class_name="signals-shade",
            custom_attrs={
                "data-sheet": sheet,
                "onClick": browser.handler("() => setPanel(false)", panel="setPanel"),
            },
        ),
        rx.el.aside(
            rx.el.header(
                rx.el.h2("Signals"),
                _count(),
                _waiting(),
                alerts_menu(),
                rx.el.button(
                    "×",
                    type="button",
                    class_name="icon close",
                    aria_label="Close signals",
                    custom_attrs={"onClick": browser.handler("() => setPanel(false)", panel="setPanel")},
                ),
            ),
            _list(),
            _foot(),
            id="signals-panel",
            class_name="signals",
            tab_index=-1,
            aria_label="Signals",
            # Not the list alone: on its way to what waits the pointer leaves that.
            custom_attrs={
                "data-testid": "signals-panel",
                "data-sheet": sheet,
                "onMouseLeave": browser.function("arrivals", "settle"),
            },
        ),
    )


def _count() -> rx.Component:
    count = unread()
    return rx.el.span(
        rx.cond(count > 0, rx.fragment(untranslated(count), " unread")),
        class_name="soft unread",
        custom_attrs={"data-testid": "unread"},
    )


def _shown() -> rx.Var[str]:
    return browser.hook("shownIds", "arrivals", "useShown", SignalsState.id).to(str)


def _waiting() -> rx.Component:
    """ "3 new", in the panel's head, where it covers nothing and moves nothing."""
    waiting = browser.function("arrivals", "waitingOf").call(SignalsState.id, _shown()).to(int)
    return rx.el.div(
        rx.cond(
            waiting > 0,
            rx.el.button(
                untranslated(waiting),
                " new",
                type="button",
                custom_attrs={"onClick": browser.handler("() => showWaiting()", arrivals="showWaiting")},
            ),
        ),
        class_name="waiting",
        role="status",
    )


def _list() -> rx.Component:
    columns = rx.Var.create({name: getattr(SignalsState, name) for name in _COLUMNS})
    shown = _shown()
    rows = (
        browser.function("arrivals", "signalRows").call(columns, shown, AccountState.time_zone).to(list[dict[str, str]])
    )
    settle = browser.function("arrivals", "settle")
    return rx.el.div(
        rx.el.ol(
            rx.foreach(rows, _entry),
            tab_index=0,
            aria_label="Newest signals",
            custom_attrs={
                "data-testid": "signals",
                "data-watched": read_while_open(shown),
                "onScroll": settle,
                "onBlur": settle,
            },
        ),
        rx.cond(
            SignalsState.known & (SignalsState.id == ""),
            rx.el.p(
                rx.cond(FeedState.next_mark > 0, "No signal to show yet", "No signal yet"),
                ": detectors are watching ",
                untranslated(SignalsState.watched),
                " contracts",
                rx.cond(FeedState.next_mark > 0, "; what they find appears at your plan’s next mark.", "."),
                class_name="soft none",
            ),
        ),
        class_name="listed",
    )


@rx.memo
def signal_entry(
    id: rx.Var[str],
    title: rx.Var[str],
    base: rx.Var[str],
    direction: rx.Var[str],
    severity: rx.Var[str],
    text: rx.Var[str],
    at: rx.Var[str],
    exact: rx.Var[str],
    iso: rx.Var[str],
    page: rx.Var[str],
    chart: rx.Var[str],
    rest: rx.RestProp,
) -> rx.Component:
    """One signal. Every prop is a plain string, so React leaves it alone."""
    side = rx.match(direction, *((key, word) for key, word in DIRECTION_WORDS.items()), "").to(str)
    strength = rx.match(severity, *((str(key), word) for key, word in SEVERITY_WORDS.items()), "").to(str)
    return rx.el.li(
        rx.el.div(
            rx.el.a(
                untranslated(base, element=rx.el.b),
                " ",
                rx.el.span(title, class_name="kind"),
                href="?signal=" + id,
                custom_attrs={"onClick": browser.handler(f"(e) => followSignal(e, {id!s})", id, sheet="followSignal")},
            ),
            rx.el.time(
                marks.ago(at),
                rx.el.span(exact, class_name="exact"),
                custom_attrs={"dateTime": iso, **as_written()},
            ),
            class_name="first",
        ),
        rx.el.div(marks.direction(direction, side), marks.severity(severity, strength), class_name="marks"),
        rx.el.p(text),
        rx.el.div(
            rx.cond(page != "", _elsewhere("Exchange", page, base)),
            rx.cond(chart != "", _elsewhere("TradingView", chart, base)),
            class_name="links",
        ),
        rest,
        custom_attrs={"data-signal-id": id},
    )


def _entry(row: rx.Var[dict[str, str]]) -> rx.Component:
    names = ("id", "title", "base", "direction", "severity", "text", "at", "exact", "iso", "page", "chart")
    return signal_entry(**{name: row[name] for name in names}, key=row["id"])


def _elsewhere(title: str, href: rx.Var[str], base: rx.Var[str]) -> rx.Component:
    return rx.el.a(title, href=href, target="_blank", rel="noopener", aria_label=base + f" at {title}, a new tab")


def _foot() -> rx.Component:
    left = browser.hook("left", "beat", "useCountdown", FeedState.next_mark, FeedState.as_of).to(str)
    paid = least_plan("open_interest").title
    return rx.el.footer(
        rx.cond(
            FeedState.next_mark > 0,
            rx.el.p("Your plan’s next signals appear in ", untranslated(left, class_name="left")),
        ),
        rx.cond(
            ~FeedState.open_interest,
            rx.el.p(f"Open interest signals come with {paid}. ", rx.el.a("See plans", href="/pricing")),
        ),
        rx.el.a("All signals", href="/signals", class_name="all"),
    )
