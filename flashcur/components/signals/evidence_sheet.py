"""One signal in a sheet over the page: why it fired, the hours around it, what followed, and how it came here."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.shell import alive
from flashcur.components.kit.site import link
from flashcur.components.kit.texts import as_written, untranslated
from flashcur.components.signals import marks
from flashcur.components.signals.distances import distances
from flashcur.components.signals.picture import picture
from flashcur.state.account import AccountState
from flashcur.state.signal import SignalState

Item = rx.Var[dict[str, str]]


def evidence_sheet() -> rx.Component:
    """Once on a page; opened by `SignalState.open_signal`, by a link to a signal, and by `?signal=` in the address."""
    sheet = browser.hook(
        "sheet",
        "sheet",
        "useSheet",
        AccountState.reached,
        AccountState.plan,
        SignalState.shown_id,
        SignalState.opened,
        SignalState.passes,
        alive(),
        browser.event(SignalState.read_signal),
    )
    wanted = browser.member(sheet, "wanted")
    here = wanted == SignalState.shown_id.to_string()
    return rx.el.dialog(
        rx.el.div(
            rx.cond(
                here,
                rx.cond(SignalState.problem != "", _problem(), _signal()),
                rx.el.p("Loading the signal …", class_name="soft loading", role="status"),
            ),
            rx.el.button(
                "×",
                type="button",
                class_name="close",
                aria_label="Close",
                custom_attrs={"onClick": browser.handler('(e) => e.currentTarget.closest("dialog").close()')},
            ),
            class_name="inside",
        ),
        class_name="sheet",
        custom_attrs={
            "ref": browser.part(f"{sheet!s}.ref", sheet),
            "aria-label": "Signal",
            "data-testid": "signal-sheet",
            "data-signal": rx.cond(here, wanted, ""),
            "onClose": browser.function("sheet", "closedSignal"),
            "onClick": browser.function("sheet", "closeFrom"),
        },
    )


def _problem() -> rx.Component:
    return rx.el.div(
        rx.el.h2("This signal is not shown"),
        rx.el.p(SignalState.problem),
        rx.cond(
            SignalState.problem_link != "",
            rx.el.p(link(SignalState.problem_link_text, SignalState.problem_link)),
        ),
        class_name="problem",
        role="alert",
    )


def _signal() -> rx.Component:
    return rx.fragment(
        _head(),
        picture(),
        _part("Why it fired", _measures()),
        rx.cond(
            SignalState.outcomes.length() > 0,
            rx.fragment(
                _part("What followed", _outcomes()),
                _part("What followed such signals in the past", _past()),
            ),
        ),
        _part("How it came here", _receipt()),
        rx.cond(SignalState.distances_of != "", _part("How far it is from firing now", distances(SignalState))),
        rx.cond(
            SignalState.again != "",
            rx.el.p(
                rx.el.a(
                    "Alert me when this happens again",
                    href=SignalState.again,
                    class_name="button primary",
                    custom_attrs={"onClick": browser.hook("formLink", "origin", "useFormLink")},
                ),
                class_name="again",
            ),
        ),
        _links(),
    )


def _head() -> rx.Component:
    return rx.el.header(
        rx.el.h2(
            untranslated(SignalState.base, element=rx.el.b),
            " ",
            rx.el.span(SignalState.kind),
            marks.demo_tag(SignalState.demo),
        ),
        rx.el.p(
            marks.direction(SignalState.direction, SignalState.direction_word),
            marks.severity(SignalState.severity, SignalState.severity_word),
            rx.cond(
                SignalState.quadrant != "",
                rx.el.span(SignalState.quadrant + ": " + SignalState.quadrant_meaning, class_name="quadrant"),
            ),
            class_name="marks",
        ),
        rx.el.p(SignalState.text, class_name="sentence"),
        rx.el.p(
            marks.ago(SignalState.event_ms),
            untranslated(SignalState.when),
            untranslated(SignalState.exchange),
            class_name="soft facts",
        ),
    )


def _part(title: str, *content: rx.Component | rx.Var[object]) -> rx.Component:
    return rx.el.section(rx.el.h3(title), *content)


def _measures() -> rx.Component:
    def row(item: Item) -> rx.Component:
        return rx.el.tr(
            rx.el.th(item["role"], scope="row"),
            rx.el.td(item["label"]),
            rx.el.td(item["text"], class_name="number", custom_attrs=as_written()),
            custom_attrs={"data-first": rx.cond(item["role"] != "", "true", "false")},
        )

    return rx.fragment(
        rx.el.table(rx.el.tbody(rx.foreach(SignalState.measures, row)), class_name="measures"),
        rx.el.p("Rule ", untranslated(SignalState.rule, element=rx.el.code), class_name="soft fine"),
    )


def _outcomes() -> rx.Component:
    def row(item: Item) -> rx.Component:
        return rx.el.tr(
            rx.el.th(item["after"], scope="row"), rx.el.td(item["text"], class_name="number " + item["side"])
        )

    return rx.fragment(
        rx.el.table(rx.el.tbody(rx.foreach(SignalState.outcomes, row)), class_name="facts-table"),
        rx.cond(SignalState.extremes != "", rx.el.p(SignalState.extremes, class_name="soft fine")),
    )


def _past() -> rx.Component:
    def row(item: Item) -> rx.Component:
        return rx.el.li(
            rx.el.p(
                rx.el.b(item["after"]),
                rx.el.span("median ", untranslated(item["median"]), ", half of them ", untranslated(item["half"])),
            ),
            rx.el.p(item["verdict"], class_name="soft"),
        )

    return rx.cond(
        SignalState.past.length() > 0,
        rx.fragment(
            rx.el.p(SignalState.past_of, class_name="soft fine"),
            rx.el.ul(rx.foreach(SignalState.past, row), class_name="past"),
            rx.el.p("The past does not predict the future.", class_name="soft fine"),
        ),
        rx.el.p("Too few of its kind have been followed so far.", class_name="soft"),
    )


def _receipt() -> rx.Component:
    def row(item: Item) -> rx.Component:
        return rx.el.tr(
            rx.el.th(item["what"], scope="row"),
            rx.el.td(item["when"], class_name="number", custom_attrs=as_written()),
            rx.el.td(item["delay"], class_name="soft"),
        )

    return rx.el.table(rx.el.tbody(rx.foreach(SignalState.receipt, row)), class_name="facts-table receipt")


def _links() -> rx.Component:
    def each(item: Item) -> rx.Component:
        return rx.el.a(item["text"], href=item["href"], target="_blank", rel="noopener noreferrer", class_name="button")

    return rx.cond(SignalState.links.length() > 0, rx.el.nav(rx.foreach(SignalState.links, each), class_name="actions"))
