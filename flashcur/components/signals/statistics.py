"""What followed signals in the past, group by group, against what happens without a signal."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.forms import segmented
from flashcur.components.kit.shell import alive
from flashcur.components.kit.texts import untranslated
from flashcur.domain.signals.outcomes import HORIZONS_H
from flashcur.state.account import AccountState
from flashcur.state.signal_list import SignalListState

Item = rx.Var[dict[str, str]]

_COLUMNS = ("Signals", "Count", "Median move", "Half of the moves", "Went their way", "Without a signal", "")
_NUMBERS = ("count", "median", "half", "hits", "base")


def statistics(ready: rx.Var[bool]) -> rx.Component:
    """A table a horizon; the switch above shows one of them. Drawn once it is `ready`: nothing pushes it down then."""
    asked = browser.hook(
        "statistics",
        "signal_list",
        "useOnce",
        AccountState.reached,
        AccountState.plan,
        SignalListState.groups_known,
        alive(),
        browser.event(SignalListState.show_statistics),
    )
    return rx.el.section(
        rx.cond(ready & SignalListState.groups_known, _content()),
        class_name="statistics",
        custom_attrs={
            "data-asked": asked,
            "data-testid": "statistics",
            "data-there": rx.cond(ready & SignalListState.groups_known, "true", "false"),
        },
    )


def _content() -> rx.Component:
    return rx.fragment(
        rx.el.h2("What followed"),
        rx.el.p(
            "What the price did after signals of each kind, and how often it went where they pointed, or rose after "
            "those that point nowhere, next to hours of the same contracts without a signal. The past does not "
            "predict the future.",
            class_name="soft",
        ),
        rx.cond(
            SignalListState.groups.length() > 0,
            rx.fragment(
                segmented(
                    "horizon",
                    [(str(hours), f"{hours} h later") for hours in HORIZONS_H],
                    label="How long after the signal",
                ),
                rx.el.table(
                    rx.el.thead(rx.el.tr(*(rx.el.th(title, scope="col") for title in _COLUMNS))),
                    rx.el.tbody(rx.foreach(SignalListState.groups, _row)),
                    class_name="statistics-table",
                ),
                rx.el.p("As of ", untranslated(SignalListState.groups_of), ".", class_name="soft fine"),
            ),
            rx.el.p("Too few signals have been followed so far to say anything.", class_name="soft"),
        ),
    )


def _row(item: Item) -> rx.Component:
    def cell(name: str, title: str) -> rx.Component:
        return untranslated(item[name], element=rx.el.td, custom_attrs={"data-title": title})

    return rx.el.tr(
        rx.el.th(item["title"], scope="row", class_name=rx.cond(item["part"] != "", "part", "")),
        *(
            cell(name, title)
            for name, title in zip(("count", "median", "half", "hits", "base"), _COLUMNS[1:], strict=False)
        ),
        rx.el.td(item["verdict"], class_name="verdict"),
        custom_attrs={"data-horizon": item["horizon"]},
    )
