"""Why a contract has no signal now: a line and a small bar for each rule, as far as it is on the way there."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit.texts import untranslated
from flashcur.state.signal import SignalState
from flashcur.state.signal_list import SignalListState

Item = rx.Var[dict[str, str]]


def distances(of: type[SignalState] | type[SignalListState]) -> rx.Component:
    """What a state tells of the contract that it is about."""
    return rx.fragment(
        rx.cond(of.distances.length() > 0, rx.el.ul(rx.foreach(of.distances, _row), class_name="distances")),
        rx.el.p(of.distances_note, class_name="soft fine"),
    )


def contract_distances() -> rx.Component | rx.Var[object]:
    """For a list of one contract's signals, folded."""
    return rx.cond(
        SignalListState.distances_of != "",
        rx.el.details(
            rx.el.summary(rx.el.span("How far ", untranslated(SignalListState.distances_of), " is from firing now")),
            rx.el.div(distances(SignalListState)),
            class_name="fold",
            custom_attrs={"data-testid": "distances"},
        ),
    )


def _row(item: Item) -> rx.Component:
    return rx.el.li(
        rx.el.span(item["text"]),
        rx.el.div(
            rx.el.div(custom_attrs={"style": rx.Var.create({"width": item["share"]})}),
            class_name="way",
            aria_hidden=True,
        ),
        class_name=item["near"],
    )
