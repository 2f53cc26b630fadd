"""The bell in the head of every page: how many alerts are unread, the newest ones, and a note for each that comes."""

from __future__ import annotations

from typing import Any

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.icons import outline
from flashcur.components.kit.texts import untranslated
from flashcur.components.signals import marks
from flashcur.services.alerts.inbox import NEWEST
from flashcur.state.account import AccountState
from flashcur.state.alerts import AlertsState
from flashcur.state.market import FeedState

Item = rx.Var[dict[str, str]]

_MESSAGES = "/alerts?tab=messages"


def bell(alive: rx.Var[bool]) -> rx.Component | rx.Var[object]:
    """Once on a page, for who is signed in; it also rings. `alive`: whether frames come.

    On a phone a link stands in its place for everybody else, so that nothing moves once it is known who this is.
    """
    link = rx.el.a(_picture(), href="/alerts", class_name="icon bell-link", aria_label="Alerts")
    return rx.cond(AccountState.signed_in, _bell(_unread(alive)), link)


def _picture() -> rx.Component:
    return outline("M6 10a6 6 0 1 1 12 0c0 4 1.5 5.5 2 6.5H4c.5-1 2-2.5 2-6.5M10 19.5a2.2 2.2 0 0 0 4 0")


def _unread(alive: rx.Var[bool]) -> rx.Var[int]:
    return browser.hook(
        "alertsUnread",
        "inbox",
        "useInbox",
        AccountState.signed_in,
        AlertsState.known,
        AlertsState.passes,
        alive,
        AlertsState.recent,
        AccountState.alerts_read,
        FeedState.as_of,
        browser.event(AlertsState.look),
        browser.event(AlertsState.acknowledge),
        AccountState.notifies,
        browser.event(AlertsState.tell_permission),
    ).to(int)


def _bell(unread: rx.Var[int]) -> rx.Component:
    count = rx.cond(unread >= NEWEST, f"{NEWEST}+", unread.to_string())
    label = rx.cond(unread > 0, "Alerts, " + count.to(str) + " unread", "Alerts")
    tell = browser.event(AlertsState.mark_read)
    toggled = browser.handler(
        f"(e) => bellToggled(e, {AlertsState.recent!s}[0]?.id, {tell!s})",
        AlertsState.recent,
        tell,
        inbox="bellToggled",
    )
    return rx.el.div(
        rx.el.button(
            _picture(),
            rx.cond(unread > 0, untranslated(count, class_name="count")),
            type="button",
            class_name="icon",
            aria_label=label,
            custom_attrs={"popoverTarget": "alerts-bell", "data-testid": "bell"},
        ),
        rx.el.div(
            rx.el.header(
                rx.el.h2("Alerts"),
                rx.el.a("All messages", href=_MESSAGES, class_name="link"),
            ),
            rx.cond(
                AlertsState.recent.length() > 0,
                rx.el.ol(rx.foreach(AlertsState.recent, lambda item: _line(item, tell))),
                rx.el.p(
                    rx.cond(
                        AlertsState.known,
                        rx.fragment(
                            "No alerts yet. ",
                            rx.el.a("Write a rule", href="/alerts", class_name="link"),
                            ", and its alerts appear here.",
                        ),
                        "Loading your alerts …",
                    ),
                    class_name="soft none",
                ),
            ),
            custom_attrs={
                "popover": "auto",
                "id": "alerts-bell",
                "onToggle": toggled,
                "data-testid": "bell-list",
                # A link that was followed closes it.
                "onClick": browser.handler('(e) => e.target.closest("a") && e.currentTarget.hidePopover()'),
            },
        ),
        _notes(tell),
        class_name="bell",
    )


def opens_read(item: rx.Var[Any], tell: rx.Var[Any], when: str = "") -> rx.Var[Any]:
    """A client-side handler: the alert is opened, and so read. `tell` tells the server."""
    return browser.handler(f"(e) => {when}readUpTo({item['id']!s}, {tell!s})", item, tell, inbox="readUpTo")


def own_note(item: rx.Var[Any]) -> rx.Component:
    """What the owner wrote into the rule to read here, in their own words."""
    return rx.cond(item["note"] != "", untranslated("“" + item["note"].to(str) + "”", class_name="text"))


def _line(item: Item, tell: rx.Var[Any]) -> rx.Component:
    return rx.el.li(
        rx.el.a(
            rx.el.b(item["title"]),
            rx.cond(item["text"] != "", rx.el.span(item["text"], class_name="text")),
            own_note(item),
            rx.el.span(
                marks.ago(item["event_ms"].to(int)),
                rx.cond(item["urgent"] != "", rx.el.span("Urgent", class_name="urgent")),
                marks.demo_tag(item["demo"] != ""),
                rx.cond(item["where"] != "", rx.el.span(item["where"], class_name="where")),
                class_name="facts soft",
            ),
            href=_MESSAGES + "&alert=" + item["id"],
            title=item["when"],
            custom_attrs={"onClick": opens_read(item, tell)},
        ),
        key=item["id"],
        custom_attrs={
            "data-alert-id": item["id"],
            "data-unread": rx.cond(item["id"].to(int) > AccountState.alerts_read, "true", "false"),
        },
    )


def _notes(tell: rx.Var[Any]) -> rx.Component:
    """What has just come, in a corner of the page, until it is dismissed or read."""
    notes = browser.hook("alertNotes", "inbox", "useNotes").to(list[dict[str, str]])

    def note(item: Item) -> rx.Component:
        return rx.el.li(
            rx.el.a(
                rx.el.b(item["title"]),
                rx.cond(item["text"] != "", rx.el.span(item["text"])),
                own_note(item),
                href=_MESSAGES + "&alert=" + item["id"],
                custom_attrs={"onClick": opens_read(item, tell)},
            ),
            rx.el.button(
                "×",
                type="button",
                aria_label="Dismiss",
                custom_attrs={
                    "onClick": browser.handler(f"() => dismissNote({item['id']!s})", item, inbox="dismissNote")
                },
            ),
            key=item["id"],
            class_name=rx.cond(item["urgent"] != "", "urgent", ""),
            custom_attrs={"data-alert-id": item["id"]},
        )

    # It stands there from the start: a screen reader announces what changes in a part that it knows.
    return rx.el.ol(
        rx.foreach(notes, note), class_name="alert-notes", role="status", custom_attrs={"data-testid": "alert-notes"}
    )
