"""The rules of an account: those that watch, those that rest, those that are done, and examples to begin with."""

from __future__ import annotations

from typing import Any

import reflex as rx

from flashcur.components.account.auth_forms import trouble
from flashcur.components.kit import browser, forms
from flashcur.components.kit.clipboard import copy_link
from flashcur.components.kit.forms import Content
from flashcur.components.kit.menus import menu
from flashcur.components.kit.shell import alive
from flashcur.components.kit.site import link
from flashcur.components.kit.texts import untranslated
from flashcur.domain.rules.presets import PRESETS
from flashcur.domain.rules.sentence import duration
from flashcur.domain.rules.share import to_link
from flashcur.state.account import AccountState
from flashcur.state.alerts import AlertsState
from flashcur.state.rules import SNOOZES_H, RulesState

Item = rx.Var[dict[str, str]]

NEW = "/alerts?rule=new"
"""Where a rule is begun."""


def rule_list(which: str) -> rx.Component:
    """The rules of one state: `active`, `paused` or `done`."""
    rules: rx.Var[list[dict[str, str]]] = getattr(RulesState, which)
    near = browser.hook("nearFocus", "focus", "useNearFocus", ".rules")
    return rx.el.div(
        trouble(),
        rx.cond(
            RulesState.known,
            rx.fragment(
                rx.cond(
                    rules.length() > 0,
                    rx.el.ol(rx.foreach(rules, lambda each: _rule(each, which)), class_name="rule-list"),
                    _EMPTY[which](),
                ),
            ),
            rx.cond(
                RulesState.problem != "",
                rx.el.p(RulesState.problem, class_name="missing", role="alert"),
                rx.el.p("Loading your rules …", class_name="soft loading", role="status"),
            ),
        ),
        class_name="rules",
        custom_attrs={"data-near": near, "data-testid": f"rules-{which}"},
    )


def watch_list() -> rx.Component:
    """Asks for the list whenever the account changes, and when an alert has come; draws nothing."""
    watch = browser.hook(
        "rulesAsked",
        "rule_form",
        "useRules",
        AccountState.signed_in,
        AccountState.read_at.to_string(),
        _newest_alert(),
        RulesState.passes,
        alive(),
        browser.event(lambda _: RulesState.show()),
    )
    return rx.el.span(hidden=True, custom_attrs={"data-asked": watch})


def _newest_alert() -> rx.Var[str]:
    """The id of the newest alert, `none` without one; empty until it is known."""
    known, recent = AlertsState.known, AlertsState.recent
    return browser.part(f'({known!s} ? ({recent!s}[0]?.id ?? "none") : "")', known, recent).to(str)


def head() -> rx.Component:
    """How many rules may be active, and the button that begins one."""
    return rx.el.div(
        rx.cond(
            RulesState.known,
            rx.el.p(
                untranslated(RulesState.room, element=rx.el.b),
                " rules active on ",
                link(untranslated(AccountState.plan_title), "/pricing"),
                ".",
                class_name="soft",
            ),
            rx.el.p("Your rules", class_name="soft"),
        ),
        opens("New rule", NEW, primary=True),
        class_name="rules-head",
    )


def opens(text: Content, href: str | rx.Var[str], *, primary: bool = False, left: bool = False) -> rx.Component:
    """A link to the form, which opens over the page. `left`: back to one that was left, and leads where that led."""
    follow = browser.function("rule_form", "followLeftRule" if left else "followRule")
    return forms.link_button(text, href, primary=primary, custom_attrs={"onClick": follow})


def presets() -> rx.Component:
    """Examples: each opens the form with the rule in it."""
    follow = browser.function("rule_form", "followRule")
    return rx.el.section(
        rx.el.h2("Rules to start with"),
        rx.el.ul(
            *(
                rx.el.li(
                    rx.el.a(
                        rx.el.b(preset.title),
                        rx.el.span(preset.why, class_name="soft"),
                        href=f"/alerts?draft={to_link(preset.definition)}",
                        custom_attrs={"onClick": follow},
                    )
                )
                for preset in PRESETS
            ),
            class_name="presets",
        ),
        class_name="preset-part",
        custom_attrs={"data-testid": "presets"},
    )


def _rule(each: Item, which: str) -> rx.Component:
    named = each["name"] != ""
    return rx.el.li(
        rx.el.div(
            rx.el.h3(
                rx.cond(
                    named,
                    untranslated(each["name"], custom_attrs={"dir": "auto"}),
                    rx.el.span(each["sentence"]),
                ),
                rx.cond(each["urgent"] != "", rx.el.span("Urgent", class_name="badge")),
                tab_index=-1,
                custom_attrs={"data-land": "rule"},
            ),
            rx.cond(named, rx.el.p(each["sentence"], class_name="sentence")),
            *_said(each, which),
            class_name="about",
        ),
        _actions(each, which),
        key=each["id"],
        custom_attrs={"data-rule-id": each["id"], "data-leave": "rule"},
    )


def _said(each: Item, which: str) -> list[rx.Component]:
    """What became of it, a line each."""
    lines: list[rx.Component] = []
    if which == "active":
        lines.append(
            rx.cond(
                each["snoozed"] != "",
                rx.el.p("Snoozed until ", untranslated(each["snoozed"]), ".", class_name="state"),
            )
        )
    else:
        lines.append(rx.cond(each["why"] != "", rx.el.p(each["why"], class_name="state")))
    lines += [
        rx.el.p(
            rx.el.span(each["fires"]),
            rx.cond(each["precision"] != "", rx.el.span(" ", each["precision"])),
            rx.cond(each["ends"] != "", rx.el.span(" Ends ", untranslated(each["ends"]), ".")),
            class_name="soft",
        ),
    ]
    if which != "done":
        follow = browser.function("rule_form", "followRule")
        lines.append(
            rx.cond(
                each["often"] != "",
                rx.el.div(
                    rx.el.p(each["often"]),
                    rx.el.a(each["use"], href=each["calmer"], class_name="button", custom_attrs={"onClick": follow}),
                    class_name="notice info suggestion",
                ),
            )
        )
    if which == "active":
        lines.append(rx.cond(each["watched"] != "", rx.el.p(each["watched"], class_name="soft")))
    if which != "done":
        lines.append(
            rx.el.p(each["reach"], class_name=rx.cond(each["warning"] != "", "reach warning", "reach soft")),
        )
    return lines


def _actions(each: Item, which: str) -> rx.Component:
    rule_id = each["id"]
    share = copy_link(each["link"], each)
    go_on: list[rx.Component] = []
    if which == "active":
        go_on = [
            rx.cond(
                each["snoozed"] != "",
                _act("Wake", RulesState.resume(rule_id)),
                menu(
                    "snooze-" + rule_id,
                    "Snooze",
                    *(
                        rx.el.button(
                            f"For {duration(hours * 3_600)}",
                            type="button",
                            on_click=RulesState.snooze(rule_id, hours),
                        )
                        for hours in SNOOZES_H
                    ),
                    class_name="ask choices",
                    opener_class="button",
                ),
            ),
            _act("Pause", RulesState.pause(rule_id)),
        ]
    else:
        go_on = [_act("Resume" if which == "paused" else "Start again", RulesState.resume(rule_id))]
    follow = browser.function("rule_form", "followRule")
    return rx.el.div(
        rx.cond(
            each["link"] != "",
            rx.el.a("Edit", href="/alerts?rule=" + rule_id, class_name="button", custom_attrs={"onClick": follow}),
        ),
        *go_on,
        rx.cond(
            each["link"] != "",
            rx.fragment(
                rx.el.a(
                    "Duplicate",
                    href="/alerts?rule=new&like=" + rule_id,
                    class_name="button",
                    custom_attrs={"onClick": follow},
                ),
                _act_client("Share", share),
            ),
        ),
        menu(
            "delete-" + rule_id,
            "Delete",
            rx.el.p("Delete this rule? You cannot undo this. The messages it sent stay."),
            forms.actions(
                forms.button_danger("Delete it", type_="button", on_click=RulesState.delete(rule_id)),
                forms.button_plain("Keep it"),
            ),
            class_name="ask",
            opener_class="button",
        ),
        class_name="actions",
    )


def _act(title: str, event: Any) -> rx.Component:
    return forms.button_plain(title, on_click=event)


def _act_client(title: str, handler: rx.Var[Any]) -> rx.Component:
    return forms.button_plain(title, custom_attrs={"onClick": handler})


def _none_active() -> rx.Component:
    return rx.el.div(
        rx.el.p(rx.el.b("You have no active rules yet.")),
        rx.el.p(
            "Press the bell on a row of the ",
            link("market table", "/"),
            ", start with one of the rules below, or write your own.",
            class_name="soft",
        ),
        class_name="section",
    )


def _none_paused() -> rx.Component:
    return rx.el.p("No paused rules. A rule that you pause waits here, just as you left it.", class_name="soft")


def _none_done() -> rx.Component:
    return rx.el.p(
        "Nothing here yet. Rules that fired once or reached their end date come here, and you can start them again.",
        class_name="soft",
    )


_EMPTY = {"active": _none_active, "paused": _none_paused, "done": _none_done}
