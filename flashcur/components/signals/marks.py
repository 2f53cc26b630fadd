"""What marks a signal wherever it stands: direction and severity as words, times as people say them."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.texts import untranslated

Text = rx.Var[str]


def direction(side: Text, word: Text) -> rx.Component | rx.Var[object]:
    """A word with an arrow, which the stylesheet draws; nothing for a signal without direction."""
    return rx.cond(word != "", rx.el.span(word, class_name="side " + side))


def severity(number: Text, word: Text) -> rx.Component:
    """A word, with as many of three bars filled."""
    return rx.el.span(word, class_name="severity", custom_attrs={"data-severity": number})


def ago(event_ms: rx.Var[int] | Text) -> rx.Component:
    """How long ago it was, by the server's clock; `feed_status` keeps it right."""
    text = browser.function("ages", "agoNow").call(event_ms).to(str)
    return untranslated(text, class_name="ago", custom_attrs={"data-at": event_ms})


def demo_tag(demo: rx.Var[bool]) -> rx.Component | rx.Var[object]:
    """For signals of the simulated exchange."""
    return rx.cond(demo, rx.el.span("DEMO", class_name="tag", title="Of simulated data, not of a market"))
