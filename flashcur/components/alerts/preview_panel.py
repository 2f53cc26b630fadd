"""How often a rule would have fired, while it is written: when, what followed, and what cannot be told."""

from __future__ import annotations

from typing import Any

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.forms import button_plain
from flashcur.components.kit.texts import untranslated

Item = rx.Var[dict[str, str]]


def preview_panel() -> rx.Component:
    """A part of the form; it fills itself once the rule can be read (`assets/browser/rule_form.ts`)."""
    draft = browser.hook("draft", "rule_form", "useDraft")
    marked, whole = (browser.member(draft, name).to(bool) for name in ("marked", "whole"))
    busy = whole & ~marked & browser.part(f"({_told()!s}?.busy ?? false)", _told()).to(bool)
    blank = rx.el.p("Fill in the rule to see how often it would have fired.", class_name="soft")
    return rx.el.section(
        rx.el.h3("Would have fired"),
        rx.el.div(
            rx.cond(
                marked,
                rx.el.p("Fix the marked field to see the past.", class_name="soft"),
                # What was told of another state of the form says nothing of one that is not complete.
                rx.cond(
                    whole,
                    # The last answer keeps its place unseen, so that nothing below it moves.
                    rx.fragment(
                        rx.cond(busy, _working()),
                        rx.el.div(_answer(blank), class_name="last-told"),
                    ),
                    blank,
                ),
            ),
            class_name="answer",
        ),
        class_name="preview",
        aria_busy=rx.cond(busy, "true", "false"),
        custom_attrs={"data-testid": "preview", "data-state": browser.maybe(_told(), "state")},
    )


def _answer(blank: rx.Component) -> rx.Var[Any] | rx.Component:
    """What was told last."""
    return rx.match(
        browser.maybe(_told(), "shown"),
        ("done", _done()),
        ("cannot", _reasons()),
        (
            "asks",
            rx.el.div(
                rx.el.p("Its past is not stored here. The exchange can tell it, which takes a moment."),
                _press("Ask the exchange", "askPast"),
                class_name="stack tight",
            ),
        ),
        ("cancelled", rx.el.div(rx.el.p("Cancelled.", class_name="soft"), _press("Try again", "seePast"))),
        blank,
    )


def _working() -> rx.Component:
    asking = browser.maybe(_told(), "state") == "asking"
    return rx.el.div(
        rx.el.p(rx.cond(asking, "The exchange tells its past …", "Looking at its past …"), class_name="soft"),
        rx.el.progress(
            value=browser.part(f"({_told()!s}?.percent ?? 0)", _told()),
            max="100",
            aria_label="Looking at its past",
        ),
        _press("Cancel", "stopPast"),
        class_name="working",
    )


def _told() -> rx.Var[Any]:
    return browser.hook("preview", "rule_form", "usePreview")


def _list(name: str) -> rx.Var[list[dict[str, str]]]:
    return browser.part(f"({_told()!s}?.{name} ?? [])", _told()).to(list[dict[str, str]])


def _texts(name: str) -> rx.Var[list[str]]:
    return browser.part(f"({_told()!s}?.{name} ?? [])", _told()).to(list[str])


def _press(title: str | rx.Var[str], name: str) -> rx.Component:
    return button_plain(title, custom_attrs={"onClick": browser.handler(f"() => {name}()", rule_form=name)})


def _reasons() -> rx.Component:
    return rx.el.div(
        rx.el.p("This cannot be told.", class_name="unseen"),
        rx.foreach(_texts("reasons"), lambda each: rx.el.p(each, class_name="soft")),
    )


def _done() -> rx.Component:
    suggestion = browser.part(f'({_told()!s}?.suggestion?.text ?? "")', _told()).to(str)
    return rx.fragment(
        rx.el.p(browser.maybe(_told(), "headline"), class_name="headline", role="status"),
        rx.el.ol(
            rx.foreach(
                _list("days"),
                lambda each: rx.el.li(
                    rx.el.span(each["says"], class_name="unseen"),
                    title=each["says"],
                    style={"--height": each["height"] + "%"},
                    class_name=rx.cond(each["known"] == "", "unknown", ""),
                ),
            ),
            class_name="strip-of-days",
            aria_label="Days, the oldest first",
        ),
        rx.cond(
            _list("followed").length() > 0,
            rx.el.ul(
                rx.foreach(
                    _list("followed"),
                    lambda each: rx.el.li(
                        rx.el.p(
                            rx.el.b(each["after"]),
                            rx.el.span(
                                "median ", untranslated(each["median"]), ", half of them ", untranslated(each["half"])
                            ),
                        ),
                        rx.el.p(each["verdict"], class_name="soft"),
                    ),
                ),
                class_name="past",
            ),
        ),
        rx.cond(
            _list("newest").length() > 0,
            rx.el.details(
                rx.el.summary("Latest times"),
                rx.el.ul(
                    rx.foreach(
                        _list("newest"),
                        lambda each: rx.el.li(
                            untranslated(each["symbol"], element=rx.el.b), untranslated(each["when"])
                        ),
                    ),
                    class_name="last-times",
                ),
                class_name="fold",
            ),
        ),
        rx.cond(
            suggestion != "",
            rx.el.div(
                rx.el.p(suggestion),
                _press(browser.part(f'({_told()!s}?.suggestion?.use ?? "")', _told()), "takeSuggestion"),
                class_name="notice info suggestion",
            ),
        ),
        rx.foreach(_texts("notes"), lambda each: rx.el.p(each, class_name="soft fine")),
        rx.el.p("The past does not predict the future. Nothing was sent.", class_name="soft fine"),
    )
