"""The filters of `/signals`; the address holds what was chosen (`assets/browser/signal_list.ts`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.texts import as_written
from flashcur.domain.signals.filters import SINCE_MS
from flashcur.domain.signals.words import DETECTOR_TITLES, DIRECTION_WORDS, QUADRANT_TITLES, SEVERITY_WORDS
from flashcur.domain.view import SEARCH_LENGTH
from flashcur.state.account import AccountState

DAYS = "days"
"""Stands for days that are chosen one by one."""


def filters() -> rx.Component:
    """All filters in one search part."""
    return rx.el.div(
        _kinds(),
        rx.el.div(
            _contract(),
            _select("severity", "Severity", [("", "Any severity"), *_severities()]),
            _select("direction", "Direction", [("", "Either direction"), *_words(DIRECTION_WORDS)]),
            _select("quadrant", "Open interest and price", [("", "Any quadrant"), *_words(QUADRANT_TITLES)]),
            _lists(),
            _time(),
            class_name="narrow-by",
        ),
        _days(),
        class_name="signal-filters",
        role="search",
        aria_label="Signals",
    )


def chosen(name: str) -> rx.Var[str]:
    """What a filter is set to; empty where it is not."""
    return browser.member(browser.hook("filters", "signal_list", "useFilters"), name)


def _kinds() -> rx.Component:
    kind = chosen("kind")
    return rx.el.div(
        *(
            rx.el.button(
                title,
                type="button",
                custom_attrs={
                    "aria-pressed": kind.split(",").contains(name),
                    "onClick": browser.handler(f'() => toggleFilter("kind", "{name}")', signal_list="toggleFilter"),
                },
            )
            for name, title in DETECTOR_TITLES.items()
        ),
        class_name="chips",
        role="group",
        aria_label="Kinds",
    )


def _contract() -> rx.Component:
    value = chosen("contract")
    set_ = '(e) => (e.type === "blur" || e.key === "Enter") && setFilter({ contract: e.target.value })'
    apply = browser.handler(set_, signal_list="setFilter")
    return rx.el.input(
        type="search",
        class_name="field",
        placeholder="Contract or coin",
        aria_label="Contract or coin",
        auto_complete="off",
        max_length=SEARCH_LENGTH,
        custom_attrs={
            # What is typed is the field's own; another address puts another text into it.
            "ref": browser.hook("contractField", "signal_list", "useField", value),
            "spellCheck": "false",
            "autoCapitalize": "characters",
            "onKeyDown": apply,
            "onBlur": apply,
        },
    )


def _select(name: str, label: str, options: Sequence[tuple[str, str]]) -> rx.Component:
    return _labelled(
        label,
        *(rx.el.option(title, value=value) for value, title in options),
        value=chosen(name),
        change=f"(e) => setFilter({{ {name}: e.target.value }})",
        uses="setFilter",
    )


def _labelled(
    label: str, *options: rx.Component | rx.Var[object], value: rx.Var[str], change: str, uses: str
) -> rx.Component:
    return rx.el.select(
        *options,
        class_name="field",
        aria_label=label,
        custom_attrs={"value": value, "onChange": browser.handler(change, signal_list=uses)},
    )


def _words(titles: Mapping[Any, str]) -> list[tuple[str, str]]:
    return [(name, title) for name, title in titles.items() if title]


def _severities() -> list[tuple[str, str]]:
    most = max(SEVERITY_WORDS)
    return [
        (str(severity), word if severity == most else f"{word} or stronger")
        for severity, word in SEVERITY_WORDS.items()
        if severity > 1
    ]


def _lists() -> rx.Component | rx.Var[object]:
    return rx.cond(
        AccountState.lists.length() > 0,
        _labelled(
            "Watchlist",
            rx.el.option("All contracts", value=""),
            rx.foreach(
                AccountState.lists,
                lambda each: rx.el.option(each["name"], value=each["id"], custom_attrs=as_written()),
            ),
            value=chosen("list"),
            change="(e) => setFilter({ list: e.target.value })",
            uses="setFilter",
        ),
    )


def _time() -> rx.Component:
    days = (chosen("from") != "") | (chosen("to") != "")
    return _labelled(
        "Time",
        rx.el.option("Any time", value=""),
        *(rx.el.option(f"Past {since}", value=since) for since in SINCE_MS),
        rx.el.option("Chosen days", value=DAYS),
        value=rx.cond(days, DAYS, chosen("since")).to(str),
        change="(e) => chooseTime(e.target.value)",
        uses="chooseTime",
    )


def _days() -> rx.Component | rx.Var[object]:
    def day(name: str, label: str) -> rx.Component:
        return rx.el.label(
            rx.el.span(label),
            rx.el.input(
                type="date",
                class_name="field",
                custom_attrs={
                    "value": chosen(name),
                    "onChange": browser.handler(
                        f"(e) => setFilter({{ {name}: e.target.value }})", signal_list="setFilter"
                    ),
                },
            ),
        )

    return rx.cond(
        (chosen("from") != "") | (chosen("to") != ""),
        rx.el.div(
            day("from", "From"), day("to", "to"), rx.el.span("both included, UTC", class_name="soft"), class_name="days"
        ),
    )
