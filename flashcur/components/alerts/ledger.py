"""The ledger: every message of an account, where it went, and each step of its way with its time."""

from __future__ import annotations

from typing import Any, get_args

import reflex as rx

from flashcur.components.alerts.bell import opens_read, own_note
from flashcur.components.kit import browser
from flashcur.components.kit.forms import button_plain
from flashcur.components.kit.shell import alive
from flashcur.components.kit.site import link
from flashcur.components.kit.texts import as_written, untranslated
from flashcur.components.signals import marks
from flashcur.domain.delivery.status import WORDS, Status
from flashcur.domain.plans import CHANNEL_NAMES, CHANNELS
from flashcur.state.account import AccountState
from flashcur.state.alerts import AlertsState
from flashcur.state.ledger import LedgerState

Item = rx.Var[dict[str, Any]]
Texts = rx.Var[dict[str, str]]


def messages_tab() -> rx.Component:
    """All messages, the newest first, by filters that the address holds (`status`, `channel`, `rule`, `alert`)."""
    ledger = _ledger()
    return rx.el.section(
        _filters(),
        rx.cond(
            LedgerState.problem != "",
            rx.el.p(
                LedgerState.problem,
                rx.cond(
                    LedgerState.problem_link != "",
                    rx.el.span(" ", link(LedgerState.problem_link_text, LedgerState.problem_link)),
                ),
                rx.cond(
                    LedgerState.passes,
                    rx.fragment(
                        " ",
                        button_plain(
                            "Try again", custom_attrs={"onClick": browser.function("ledger", "askMessagesAgain")}
                        ),
                    ),
                ),
                class_name="missing",
                role="alert",
            ),
        ),
        rx.cond(
            browser.maybe(ledger, "waiting", "0").to(int) > 0,
            rx.el.div(
                rx.el.button(
                    untranslated(browser.maybe(ledger, "waiting", "0")),
                    " new",
                    type="button",
                    class_name="button primary",
                    custom_attrs={"onClick": browser.function("ledger", "askMessagesAgain")},
                ),
                class_name="arrived",
                role="status",
            ),
        ),
        rx.cond(
            browser.maybe(ledger, "there").to(bool),
            rx.cond(
                _entries().length() > 0,
                rx.el.ol(rx.foreach(_entries(), _entry), custom_attrs={"data-testid": "messages"}),
                rx.cond(LedgerState.problem == "", _nothing()),
            ),
            rx.cond(
                LedgerState.problem == "",
                rx.el.p("Loading your messages …", class_name="soft loading", role="status"),
            ),
        ),
        rx.cond(
            browser.maybe(ledger, "next") != "",
            rx.el.div(
                button_plain(
                    "Load more",
                    custom_attrs={
                        "onClick": browser.function("ledger", "askMoreMessages"),
                        "aria-disabled": rx.cond(browser.maybe(ledger, "busy").to(bool), "true", "false"),
                    },
                ),
                class_name="more",
            ),
        ),
        class_name="ledger",
        aria_label="Messages",
        custom_attrs={"aria-busy": browser.maybe(ledger, "busy").to(bool)},
    )


def way(item: Item, said: rx.Var[str] | None = None) -> rx.Component:
    """One delivery: its channel and place, where it is now, each step, and what can be done where it failed. What the
    provider said of it is left out where that is `said` already."""
    # A place keeps less of it.
    again = (said != "") & item["problem"].to(str).startswith(said) if said is not None else rx.Var.create(False)
    return rx.el.div(
        rx.el.header(
            rx.el.b(item["channel"]),
            rx.cond(item["place"] != "", untranslated(item["place"], class_name="soft")),
            rx.el.span(
                item["word"],
                title=item["meaning"],
                class_name=rx.cond(item["side"] == "bad", "status bad", "status"),
            ),
        ),
        rx.el.ol(rx.foreach(item["steps"].to(list[dict[str, str]]), _step), class_name="steps"),
        rx.cond(
            (item["problem"] != "") & ~again,
            rx.el.p(untranslated(item["problem"]), class_name="words", title="What the provider said"),
        ),
        rx.cond(item["advice"] != "", rx.el.p(item["advice"])),
        rx.cond(item["speed"] != "", rx.el.p(item["speed"], class_name="soft")),
        class_name="way",
        custom_attrs={"data-status": item["status"], "data-channel": item["channel"], "data-testid": "way"},
    )


def _ledger() -> rx.Var[object]:
    return browser.hook(
        "ledger",
        "ledger",
        "useLedger",
        AccountState.signed_in,
        alive(),
        LedgerState.query,
        LedgerState.number,
        LedgerState.problem,
        LedgerState.passes,
        LedgerState.entries,
        LedgerState.next,
        AlertsState.moved,
        browser.event(LedgerState.show),
    )


def _entries() -> rx.Var[list[dict[str, Any]]]:
    ledger = _ledger()
    return browser.part(f"{ledger!s}.entries", ledger).to(list[dict[str, Any]])


def _filters() -> rx.Component:
    chosen = browser.hook("ledgerFilters", "ledger", "useLedgerFilters")

    def choice(name: str, label: str, every: str, options: list[tuple[str, str]]) -> rx.Component:
        return rx.el.select(
            rx.el.option(every, value=""),
            *(rx.el.option(title, value=value) for value, title in options),
            value=browser.member(chosen, name),
            class_name="field",
            aria_label=label,
            custom_attrs={
                "onChange": browser.handler(
                    f'(e) => setLedgerFilter("{name}", e.target.value)', ledger="setLedgerFilter"
                )
            },
        )

    statuses: tuple[Status, ...] = get_args(Status)
    one = (browser.member(chosen, "rule") != "") | (browser.member(chosen, "alert") != "")
    narrowed = one | (browser.member(chosen, "status") != "") | (browser.member(chosen, "channel") != "")
    return rx.el.div(
        choice("channel", "Channel", "All channels", [(each, CHANNEL_NAMES[each]) for each in CHANNELS]),
        choice("status", "Status", "Any status", [(each, WORDS[each].title) for each in statuses]),
        rx.cond(
            one,
            rx.el.span(
                rx.cond(browser.member(chosen, "alert") != "", "One message.", "Messages from one rule."),
                class_name="soft",
            ),
        ),
        rx.cond(
            narrowed,
            button_plain("Show all", custom_attrs={"onClick": browser.function("ledger", "showAllMessages")}),
        ),
        class_name="ledger-filters",
    )


def _entry(item: Item) -> rx.Component:
    ways = item["ways"].to(list[dict[str, Any]])
    asked = browser.member(browser.hook("ledgerFilters", "ledger", "useLedgerFilters"), "alert")
    return rx.el.li(
        rx.el.details(
            rx.el.summary(
                rx.el.span(
                    rx.el.b(item["title"]),
                    rx.cond(item["urgent"] != "", rx.el.span("Urgent", class_name="urgent")),
                    marks.demo_tag(item["demo"] != ""),
                ),
                rx.el.span(
                    marks.ago(item["event_ms"].to(int)),
                    " · ",
                    untranslated(item["when"]),
                    class_name="time",
                ),
                rx.el.span(rx.foreach(ways, _went), class_name="went"),
            ),
            rx.el.div(
                rx.cond(item["text"] != "", rx.el.p(item["text"])),
                rx.cond(item["note"] != "", rx.el.p(own_note(item))),
                rx.cond(
                    item["tells"].to(list[dict[str, str]]).length() > 0,
                    rx.el.ol(
                        rx.foreach(item["tells"].to(list[dict[str, str]]), _told),
                        class_name="tells",
                        aria_label="Alerts in this message",
                    ),
                ),
                rx.cond(item["unlisted"] != "", rx.el.p(item["unlisted"], class_name="soft")),
                rx.el.dl(rx.foreach(item["receipt"].to(list[dict[str, str]]), _receipt), class_name="receipt"),
                rx.cond(
                    ways.length() > 0,
                    rx.el.ul(
                        rx.foreach(ways, lambda each: rx.el.li(way(each), key=each["id"].to(str))), class_name="ways"
                    ),
                    rx.el.p("Sent only to the app.", class_name="soft"),
                ),
                rx.cond(
                    item["rule"] != "",
                    rx.el.p(
                        rx.el.button(
                            "Only this rule’s messages",
                            type="button",
                            class_name="link",
                            custom_attrs={
                                "onClick": browser.handler(
                                    f'() => {{ showAllMessages(); setLedgerFilter("rule", {item["rule"]!s}); }}',
                                    item,
                                    ledger=("showAllMessages", "setLedgerFilter"),
                                )
                            },
                        )
                    ),
                ),
                class_name="told",
            ),
            custom_attrs={
                "open": (asked != "") & (asked == item["id"].to(str)),
                # Also of one that is open from the start, as a link to it has it.
                "onToggle": opens_read(item, browser.event(AlertsState.mark_read), "e.currentTarget.open && "),
            },
        ),
        key=item["key"].to(str),
        custom_attrs={"data-message": item["key"]},
    )


def _went(item: Item) -> rx.Component:
    return rx.el.span(
        item["channel"],
        " ",
        rx.el.span(item["word"].to(str).lower(), class_name=rx.cond(item["side"] == "bad", "bad", "")),
    )


def _told(item: Texts) -> rx.Component:
    return rx.el.li(
        rx.el.time(item["when"], custom_attrs=as_written()),
        rx.el.a(
            item["title"],
            href="/alerts?tab=messages&alert=" + item["id"],
            class_name="link",
            custom_attrs={"onClick": browser.function("ledger", "followMessage")},
        ),
        key=item["id"],
    )


def _step(item: Texts) -> rx.Component:
    return rx.el.li(
        rx.el.span(item["word"]),
        rx.el.time(item["when"], custom_attrs=as_written()),
        rx.cond(item["detail"] != "", rx.el.span(item["detail"], class_name="soft")),
    )


def _receipt(item: Texts) -> rx.Component:
    return rx.el.div(
        rx.el.dt(item["what"]),
        rx.el.dd(item["when"], custom_attrs=as_written()),
        rx.cond(item["delay"] != "", rx.el.dd(item["delay"], class_name="soft", custom_attrs=as_written())),
    )


def _nothing() -> rx.Component:
    return rx.el.div(
        rx.el.p(
            rx.cond(
                browser.maybe(_ledger(), "query") == "",
                "No messages yet. Alerts from your rules appear here, with everywhere they were sent.",
                "No messages match these filters.",
            )
        ),
        class_name="nothing",
        custom_attrs={"data-testid": "no-messages"},
    )
