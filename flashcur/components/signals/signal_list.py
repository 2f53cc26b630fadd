"""What the filters of `/signals` find, page by page; what arrives meanwhile waits above."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.forms import button_plain
from flashcur.components.kit.shell import alive
from flashcur.components.kit.site import link
from flashcur.components.kit.texts import untranslated
from flashcur.components.signals import marks
from flashcur.components.signals.distances import contract_distances
from flashcur.components.signals.unread import read_on_page
from flashcur.services.alerts.signals import MOST_COUNTED
from flashcur.state.account import AccountState
from flashcur.state.market import FeedState
from flashcur.state.signal_list import SignalListState
from flashcur.state.signals import SignalsState

Item = rx.Var[dict[str, str]]


def signal_list() -> rx.Component:
    """The list with all that is said of it."""
    found = _found()
    near = browser.hook("nearFocus", "focus", "useNearFocus", ".signal-list")
    there = list_is_there()
    # All at once: what would come before the list would move it.
    return rx.el.section(
        rx.cond(
            there,
            rx.fragment(
                _said(),
                contract_distances(),
                _arrived(),
                rx.cond(
                    _entries().length() > 0,
                    rx.el.ol(
                        rx.foreach(_entries(), _entry),
                        class_name="found",
                        custom_attrs={"data-testid": "signals"},
                    ),
                    rx.cond(SignalListState.problem == "", _nothing()),
                ),
                _more(),
            ),
            rx.el.p("Loading signals …", class_name="soft loading", role="status"),
        ),
        class_name="signal-list",
        aria_label="Signals",
        custom_attrs={
            "aria-busy": browser.maybe(found, "busy").to(bool),
            "data-near": near,
            # Until then it has the window's height (styles.css).
            "data-there": rx.cond(there, "true", "false"),
        },
    )


def list_is_there() -> rx.Var[bool]:
    """Whether the first answer has come; what is below the list is drawn then."""
    return browser.maybe(_found(), "there").to(bool)


def _found() -> rx.Var[object]:
    return browser.hook(
        "found",
        "signal_list",
        "useList",
        AccountState.reached,
        AccountState.plan,
        FeedState.demo,
        alive(),
        SignalListState.query,
        SignalListState.number,
        SignalListState.problem,
        SignalListState.passes,
        SignalListState.entries,
        SignalListState.next,
        browser.event(SignalListState.show),
    )


def _entries() -> rx.Var[list[dict[str, str]]]:
    found = _found()
    return browser.part(f"{found!s}.entries", found).to(list[dict[str, str]])


def _said() -> rx.Component:
    """What was not understood, how complete it is, what the plan shows, and what went wrong."""
    return rx.el.div(
        rx.foreach(SignalListState.ignored, lambda each: rx.el.p(each, class_name="missing", role="status")),
        rx.cond(
            SignalListState.problem != "",
            rx.el.p(
                SignalListState.problem,
                rx.cond(
                    SignalListState.problem_link != "",
                    rx.el.span(" ", link(SignalListState.problem_link_text, SignalListState.problem_link)),
                ),
                rx.cond(
                    SignalListState.passes,
                    rx.fragment(
                        " ",
                        button_plain(
                            "Try again",
                            custom_attrs={"onClick": browser.function("signal_list", "askAgain")},
                        ),
                    ),
                ),
                class_name="missing",
                role="alert",
            ),
        ),
        rx.cond(
            SignalListState.limits != "",
            rx.el.p(SignalListState.limits, " ", link("Compare plans", "/pricing"), class_name="plan-limits"),
        ),
        rx.cond(
            SignalListState.complete != "",
            rx.el.p(SignalListState.complete, class_name="soft", custom_attrs={"data-testid": "completeness"}),
        ),
        rx.cond(SignalListState.baselines != "", rx.el.p(SignalListState.baselines, class_name="soft")),
        class_name="said",
    )


def _arrived() -> rx.Component:
    """ "3 new": they are shown when they are asked for."""
    watch = browser.hook(
        "arrivals",
        "signal_list",
        "useArrivals",
        SignalsState.ids,
        SignalListState.newest,
        SignalListState.counted,
        browser.event(SignalListState.count_arrived),
    )
    count = SignalListState.arrived
    return rx.el.div(
        rx.cond(
            count > 0,
            rx.el.button(
                untranslated(rx.cond(count >= MOST_COUNTED, f"{MOST_COUNTED:,} or more", count.to_string())),
                " new",
                type="button",
                class_name="button primary",
                custom_attrs={"onClick": browser.function("signal_list", "showArrived")},
            ),
        ),
        class_name="arrived",
        role="status",
        custom_attrs={
            "data-leave": "signal",
            "data-watch": watch,
            # What is new is read once it is shown.
            "data-watched": read_on_page(rx.cond(count > 0, "", SignalsState.ids).to(str)),
        },
    )


def _entry(item: Item) -> rx.Component:
    return rx.el.li(
        rx.el.a(
            untranslated(item["base"], element=rx.el.b, class_name="coin"),
            rx.el.span(item["kind"], class_name="kind"),
            rx.el.span(
                marks.direction(item["direction"], item["direction_word"]),
                marks.severity(item["severity"], item["severity_word"]),
                rx.cond(item["quadrant"] != "", rx.el.span(item["quadrant"], class_name="quadrant")),
                marks.demo_tag(item["demo"] != ""),
                class_name="marks",
            ),
            rx.el.span(item["text"], class_name="sentence"),
            rx.el.span(
                marks.ago(item["event_ms"].to(int)),
                untranslated(item["when"], class_name="exact"),
                class_name="time soft",
            ),
            rx.cond(
                item["followed"] != "",
                rx.el.span(rx.el.span("Then "), untranslated(item["followed"]), class_name="followed soft"),
            ),
            href="/signals?signal=" + item["id"],
            custom_attrs={
                "data-land": "signal",
                "onClick": browser.handler(f"(e) => followSignal(e, {item['id']!s})", item, sheet="followSignal"),
            },
        ),
        key=item["id"],
        custom_attrs={"data-signal-id": item["id"], "data-symbol": item["symbol"]},
    )


def _nothing() -> rx.Component:
    found = _found()
    query = browser.maybe(found, "query")

    def instead(item: Item) -> rx.Component:
        show = browser.handler(f"() => showQuery({item['query']!s})", item, signal_list="showQuery")
        return rx.el.li(button_plain(item["title"], custom_attrs={"onClick": show}))

    every = browser.handler('() => showQuery("")', signal_list="showQuery")
    return rx.el.div(
        rx.el.p(
            SignalListState.nothing,
            rx.cond(SignalListState.nothing_paid, rx.el.span(" ", link("Compare plans", "/pricing"))),
        ),
        rx.cond(
            query != "",
            rx.fragment(
                rx.cond(
                    SignalListState.without.length() > 0,
                    rx.el.ul(
                        rx.el.li("There are some"),
                        rx.foreach(SignalListState.without, instead),
                        class_name="actions",
                    ),
                ),
                rx.el.p(button_plain("Show all signals", custom_attrs={"onClick": every})),
            ),
        ),
        class_name="nothing",
        custom_attrs={"data-testid": "no-signals"},
    )


def _more() -> rx.Component:
    found = _found()
    busy = browser.maybe(found, "busy").to(bool)
    return rx.el.div(
        rx.cond(
            browser.maybe(found, "next") != "",
            button_plain(
                "More",
                custom_attrs={
                    "onClick": browser.function("signal_list", "askMore"),
                    "aria-disabled": rx.cond(busy, "true", "false"),
                },
            ),
        ),
        class_name="more",
        custom_attrs={"data-leave": "signal"},
    )
