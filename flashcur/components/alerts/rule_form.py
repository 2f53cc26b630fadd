"""The form that a rule is written in, in a sheet over the page (`assets/browser/rule_form.ts`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import reflex as rx

from flashcur.components.account.auth_forms import PostedForm
from flashcur.components.alerts.guest_sheet import for_guests
from flashcur.components.alerts.preview_panel import preview_panel
from flashcur.components.kit import browser, forms
from flashcur.components.kit.forms import Content
from flashcur.components.kit.shell import alive
from flashcur.components.kit.site import link
from flashcur.components.kit.texts import as_written, untranslated
from flashcur.domain.rules.condition import INTEREST_WINDOWS_S, MOVE_WINDOWS_S
from flashcur.domain.rules.rule import MOST_CONDITIONS, MOST_NAME, MOST_NOTE
from flashcur.domain.signals.words import DETECTOR_TITLES, QUADRANT_TITLES, SEVERITY_WORDS
from flashcur.state.account import AccountState
from flashcur.state.rule_texts import EVERY_CONTRACT
from flashcur.state.rules import RulesState

Item = rx.Var[dict[str, str]]
Options = Sequence[tuple[str, str]]

KINDS: Options = (
    ("price", "Price crosses"),
    ("move", "Price moves"),
    ("volume", "Volume this hour"),
    ("funding", "Funding rate"),
    ("interest", "Open interest moves"),
    ("signal", "A signal fires"),
)
"""What a condition can be about, as the form offers it."""
_WAYS: Options = (("either", "up or down"), ("up", "up"), ("down", "down"))
_COOLDOWNS_S = (60, 300, 900, 3_600, 14_400, 43_200, 86_400, 604_800)
_HOLDS_S = (0, 10, 30, 60, 300, 900, 3_600)
_ENDS: Options = (
    ("", "Never"),
    ("86400", "In 1 day"),
    ("604800", "In 7 days"),
    ("2592000", "In 30 days"),
    ("7776000", "In 90 days"),
)


def rule_sheet() -> rx.Component:
    """Once on a page; opened by what the address says."""
    sheet = browser.hook(
        "ruleSheet",
        "rule_form",
        "useRuleSheet",
        AccountState.reached,
        AccountState.signed_in,
        AccountState.plan,
        alive(),
        RulesState.form,
        RulesState.checked,
        RulesState.saved,
        RulesState.past,
        browser.event(RulesState.open_form),
        browser.event(RulesState.check),
        browser.event(RulesState.save),
        browser.event(RulesState.preview),
        browser.event(lambda _: RulesState.cancel_preview()),
        browser.event(RulesState.show_shared),
    )
    wanted = browser.hook("wantedRule", "rule_form", "useWantedRule").to(str)
    opened = RulesState.form
    asked = browser.maybe(opened, "asked")
    return rx.el.dialog(
        rx.el.div(
            rx.el.button(
                "×",
                type="button",
                class_name="close",
                aria_label="Close",
                custom_attrs={"onClick": browser.function("rule_form", "closeSheet")},
            ),
            rx.cond(
                AccountState.reached & ~AccountState.signed_in & ~AccountState.trouble,
                for_guests(wanted),
                rx.cond(
                    _there(),
                    _form(),
                    rx.cond(
                        (asked == wanted) & (browser.maybe(opened, "problem") != ""),
                        _problem(opened),
                        rx.el.p("Loading the form …", class_name="soft loading", role="status"),
                    ),
                ),
            ),
            class_name="inside",
        ),
        class_name="sheet rule-sheet",
        custom_attrs={
            # Here alone: each component that names it would have effects of its own.
            "ref": sheet,
            "aria-label": "Rule",
            "data-testid": "rule-sheet",
            "data-rule": wanted,
            "onClose": browser.function("rule_form", "closedRule"),
            "onClick": browser.function("sheet", "closeFrom"),
        },
    )


def _draft() -> rx.Var[Any]:
    return browser.hook("draft", "rule_form", "useDraft")


def _there() -> rx.Var[bool]:
    return browser.member(_draft(), "there").to(bool)


def _value(path: str) -> rx.Var[str]:
    """A field of the form, such as `scope.symbol`."""
    return browser.member(_draft(), f"form.{path}")


def _fault(path: str | rx.Var[str]) -> rx.Var[str]:
    """What is wrong with a field; empty where nothing is."""
    draft = _draft()
    name = rx.Var.create(path)
    return browser.part(f'({draft!s}.faults[{name!s}] ?? "")', draft, name).to(str)


def _sets(path: str | rx.Var[str], *, ticks: bool = False) -> rx.Var[Any]:
    """A client-side handler that takes what was typed or chosen."""
    name = rx.Var.create(path)
    what = "checked" if ticks else "value"
    return browser.handler(f"(e) => setRule({name!s}, e.target.{what})", name, rule_form="setRule")


def _leaves(path: str | rx.Var[str]) -> rx.Var[Any]:
    name = rx.Var.create(path)
    return browser.handler(f"() => leftField({name!s})", name, rule_form="leftField")


def _problem(opened: rx.Var[dict[str, Any]]) -> rx.Component:
    target = browser.maybe(opened, "link")
    return rx.el.div(
        rx.el.h2("This rule cannot be opened"),
        rx.el.p(browser.maybe(opened, "problem")),
        rx.cond(target != "", rx.el.p(link(browser.maybe(opened, "link_text"), target))),
        class_name="problem",
        role="alert",
    )


def _form() -> rx.Component:
    draft = _draft()
    rule, sentence = browser.member(draft, "rule"), browser.member(draft, "sentence")
    how = rx.cond(_no_room(), "paused", "").to(str)
    return PostedForm.create(
        rx.el.h2(rx.cond(rule != "", "Edit rule", "New rule")),
        rx.cond(
            browser.member(draft, "kept").to(bool),
            rx.el.div(
                rx.el.p("We kept what you had begun."),
                forms.button_plain("Start over", custom_attrs={"onClick": browser.function("rule_form", "beginAnew")}),
                class_name="notice info suggestion kept",
            ),
        ),
        rx.el.p(
            rx.cond(
                sentence != "",
                rx.el.span(sentence, class_name=rx.cond(browser.member(draft, "whole").to(bool), "", "soft")),
                rx.el.span("Your rule will appear here as a sentence.", class_name="soft"),
            ),
            class_name="read-back",
            role="status",
            custom_attrs={"data-testid": "read-back"},
        ),
        _scope(),
        _conditions(),
        preview_panel(),
        _when(),
        _channels(),
        _words(),
        _save(),
        class_name="rule-form",
        custom_attrs={
            "onSubmit": browser.handler(f"(e) => submitRule(e, {how!s})", how, rule_form="submitRule"),
            "noValidate": True,
            "autoComplete": "off",
        },
    )


def _part(title: str, *content: Content) -> rx.Component:
    return rx.el.section(rx.el.h3(title), *content)


def _scope() -> rx.Component:
    kind = _value("scope.kind")
    choices = (("symbol", "One contract"), ("watchlist", "A watchlist"), ("all", "All contracts"))
    contracts = browser.maybe(RulesState.form, "contracts").split("|")
    return _part(
        "Watch",
        _chosen("scope.kind", choices, "What it watches"),
        rx.match(
            kind,
            (
                "symbol",
                _entry(
                    "Contract",
                    "scope.symbol",
                    rx.fragment(
                        _input("scope.symbol", _value("scope.symbol"), placeholder="BTC, BTCUSDT …", list="contracts"),
                        rx.el.datalist(
                            rx.foreach(contracts, lambda symbol: rx.el.option(value=symbol, key=symbol)),
                            custom_attrs={"id": "contracts"},
                        ),
                    ),
                ),
            ),
            ("watchlist", _watchlist()),
            rx.el.p(EVERY_CONTRACT, class_name="soft fine"),
        ),
    )


def _watchlist() -> rx.Component:
    return rx.cond(
        AccountState.lists.length() > 0,
        _entry(
            "Watchlist",
            "scope.watchlist_id",
            _select(
                "scope.watchlist_id",
                _value("scope.watchlist_id"),
                rx.el.option("Choose one", value=""),
                rx.foreach(
                    AccountState.lists,
                    lambda each: rx.el.option(
                        each["name"], value=each["id"], key=each["id"], custom_attrs=as_written()
                    ),
                ),
            ),
            hint="Follows the watchlist as you change it.",
        ),
        rx.fragment(
            rx.el.p("You have no watchlist yet: ", link("make one", "/watchlists"), ".", class_name="soft"),
            _error("scope.watchlist_id"),
        ),
    )


def _conditions() -> rx.Component:
    draft = _draft()
    conditions = browser.part(f"{draft!s}.form.conditions", draft).to(list[dict[str, str]])
    count = conditions.length()
    return _part(
        "When",
        rx.el.ol(
            rx.foreach(conditions, lambda each, index: _condition(each, index, count)),
            class_name="conditions",
        ),
        rx.cond(_fault("conditions") != "", rx.el.p(_fault("conditions"), class_name="error", role="alert")),
        rx.cond(
            count < MOST_CONDITIONS,
            forms.button_plain(
                "Add a condition",
                custom_attrs={"onClick": browser.handler("() => addCondition()", rule_form="addCondition")},
            ),
        ),
    )


def _condition(each: Item, index: rx.Var[int], count: rx.Var[int]) -> rx.Component:
    number = index.to_string()
    path = "conditions." + number + "."
    drop = browser.handler(f"() => dropCondition({index!s})", index, rule_form="dropCondition")
    words = rx.cond(index == 0, "Condition", "And condition")
    return rx.el.li(
        rx.cond(index > 0, rx.el.span("and", class_name="joined soft")),
        rx.el.div(
            _select(path + "kind", each["kind"], *_options(KINDS), label=words),
            rx.match(
                each["kind"],
                ("price", _price(each, path)),
                ("move", _move(each, path, MOVE_WINDOWS_S)),
                ("volume", _volume(each, path)),
                ("funding", _funding(each, path)),
                ("interest", _move(each, path, INTEREST_WINDOWS_S)),
                _signal(each, path),
            ),
            rx.cond(
                count > 1,
                rx.el.button(
                    "×",
                    type="button",
                    class_name="drop",
                    aria_label="Remove this condition",
                    custom_attrs={"onClick": drop},
                ),
            ),
            class_name="fields",
        ),
        _condition_faults(path),
        _present(index, path),
        custom_attrs={"data-condition": number, "data-kind": each["kind"]},
    )


def _condition_faults(path: rx.Var[str]) -> rx.Component:
    names = ("kind", "price", "percent", "multiple", "floor", "side", "way", "window_s", "detector", "severity")
    whole = browser.part(f"{path!s}.slice(0, -1)", path)
    return rx.el.div(
        rx.cond(_fault(whole) != "", rx.el.p(_fault(whole), class_name="error")),
        *(
            rx.cond(_fault(path + name) != "", rx.el.p(_fault(path + name), class_name="error"))
            for name in (*names, "direction", "quadrant")
        ),
        role="alert",
        class_name="condition-faults",
        custom_attrs={"id": path + "error"},
    )


def _present(index: rx.Var[int], path: rx.Var[str]) -> rx.Component:
    """What the condition measures now, or at the time that the visitor's plan shows; or why that is not known."""
    draft = _draft()
    at = browser.member(draft, "at")
    text = browser.part(f'({draft!s}.present[{index!s}]?.text ?? "")', draft, index).to(str)
    met = browser.part(f'({draft!s}.present[{index!s}]?.met ?? "")', draft, index).to(str)
    why = browser.part(f'({draft!s}.present[{index!s}]?.why ?? "")', draft, index).to(str)
    return rx.cond(
        text != "",
        rx.el.p(
            rx.cond(at != "", rx.el.span("At ", untranslated(at), ": "), rx.el.span("Now ")),
            untranslated(text, element=rx.el.b),
            rx.cond(
                met == "yes",
                rx.cond(
                    at != "",
                    rx.el.span(". It was already met, so it fires the next time."),
                    rx.el.span(": already met, so it fires the next time."),
                ),
            ),
            class_name="present soft",
            custom_attrs={"data-met": met},
        ),
        # What its kind lacks is said once: a refused one says it as what is wrong.
        rx.cond((why != "") & (_fault(path + "kind") == ""), rx.el.p(why, class_name="present soft")),
    )


def _price(each: Item, path: rx.Var[str]) -> rx.Component:
    return rx.fragment(
        _select(path + "side", each["side"], *_options((("above", "above"), ("below", "below"))), label="Side"),
        _number(path + "price", each["price"], "Price", unit="USDT"),
    )


def _move(each: Item, path: rx.Var[str], windows: Sequence[int]) -> rx.Component:
    return rx.fragment(
        _select(path + "way", each["way"], *_options(_WAYS), label="Way"),
        rx.el.span(
            rx.el.span("by"),
            _number(path + "percent", each["percent"], "Percent", unit="%", short=True),
            class_name="pair",
        ),
        rx.el.span(
            rx.el.span("within"),
            _select(
                path + "window_s",
                each["window_s"],
                *_options([(str(seconds), _span(seconds)) for seconds in windows]),
                label="Within",
            ),
            class_name="pair",
        ),
    )


def _volume(each: Item, path: rx.Var[str]) -> rx.Component:
    return rx.fragment(
        rx.el.span("is at least"),
        _number(path + "multiple", each["multiple"], "Times", unit="times"),
        rx.el.span("the hour before, and at least"),
        _number(path + "floor", each["floor"], "Least volume", unit="USDT"),
    )


def _funding(each: Item, path: rx.Var[str]) -> rx.Component:
    sides = (("above", "at or above"), ("below", "at or below"))
    return rx.fragment(
        _select(path + "side", each["side"], *_options(sides), label="Side"),
        _number(path + "percent", each["percent"], "Percent", unit="% per interval"),
    )


def _signal(each: Item, path: rx.Var[str]) -> rx.Component:
    directions = (("any", "either direction"), ("bullish", "bullish"), ("bearish", "bearish"))
    quadrants = [("", "any open interest and price"), *((k, title) for k, title in QUADRANT_TITLES.items())]
    severities = [(str(k), "any severity" if k == 1 else f"{word} or stronger") for k, word in SEVERITY_WORDS.items()]
    return rx.fragment(
        _select(path + "detector", each["detector"], *_options(tuple(DETECTOR_TITLES.items())), label="Kind of signal"),
        _select(path + "severity", each["severity"], *_options(severities), label="Severity"),
        _select(path + "direction", each["direction"], *_options(directions), label="Direction"),
        rx.cond(
            each["detector"] == "open_interest",
            _select(path + "quadrant", each["quadrant"], *_options(quadrants), label="Open interest and price"),
        ),
    )


def _when() -> rx.Component:
    modes = (("repeat", "Each time"), ("once", "Once, then stop"))
    return _part(
        "Tell me",
        _chosen("mode", modes, "How often it fires"),
        rx.el.div(
            rx.cond(
                _value("mode") == "repeat",
                _entry(
                    "Wait at least",
                    "cooldown_s",
                    _spans("cooldown_s", _COOLDOWNS_S, "no time"),
                    hint=rx.cond(_value("scope.kind") == "symbol", "", "For each contract separately."),
                ),
            ),
            _entry(
                "Hold",
                "hold_s",
                _spans("hold_s", _HOLDS_S, "Fire at once"),
                hint="How long it must stay that way before it fires.",
            ),
            _entry(
                "Ends",
                "ends",
                _select(
                    "ends",
                    _value("ends"),
                    *_options(_ENDS),
                    rx.cond(
                        _value("ends") == "keep", rx.el.option(browser.maybe(RulesState.form, "ends"), value="keep")
                    ),
                ),
            ),
            class_name="side-by-side",
        ),
        rx.el.label(
            rx.el.input(
                type="checkbox",
                checked=browser.member(_draft(), "form.urgent").to(bool),
                custom_attrs={"onChange": _sets("urgent", ticks=True)},
            ),
            rx.el.span("Urgent: even in my quiet hours and over my daily cap"),
            class_name="tick",
        ),
    )


def _channels() -> rx.Component:
    channels = browser.part(f"({RulesState.form!s}?.channels ?? [])", RulesState.form).to(list[dict[str, str]])
    chosen = browser.part(f"{_draft()!s}.form.channels", _draft()).to(list[str])

    def each(item: Item) -> rx.Component:
        on = item["state"] == "on"
        locked = ((item["state"] == "plan") | (item["state"] == "server")) & ~chosen.contains(item["channel"])
        toggle = browser.handler(f"() => toggleChannel({item['channel']!s})", item, rule_form="toggleChannel")
        return rx.el.li(
            rx.el.label(
                rx.el.input(
                    type="checkbox",
                    checked=chosen.contains(item["channel"]),
                    disabled=locked,
                    custom_attrs={"onChange": toggle},
                ),
                rx.el.span(item["name"]),
                class_name="tick",
            ),
            rx.cond(
                on,
                rx.fragment(),
                rx.el.span(
                    item["why"],
                    rx.cond(item["state"] == "owner", rx.el.span(" ", _set_up(item["channel"]))),
                    class_name="soft fine",
                ),
            ),
            key=item["channel"],
            custom_attrs={"data-channel": item["channel"], "data-state": item["state"]},
        )

    return _part(
        "Reach me",
        rx.el.p("Always in the app, and by:", class_name="soft"),
        rx.el.ul(rx.foreach(channels, each), class_name="rule-ways"),
        rx.cond(AccountState.plan != "elite", rx.el.p(link("Compare plans", "/pricing"), class_name="fine")),
        rx.cond(_fault("channels") != "", rx.el.p(_fault("channels"), class_name="error", role="alert")),
    )


def _set_up(channel: rx.Var[str]) -> rx.Component:
    """Leads to a channel's card, from where it is led back to this form."""
    return rx.el.a(
        "Set it up",
        href="/alerts?tab=channels#channel-" + channel,
        class_name="link",
        custom_attrs={"onClick": browser.function("rule_form", "leaveRule")},
    )


def _words() -> rx.Component:
    return _part(
        "In your words",
        _entry(
            "Name",
            "name",
            _input(
                "name",
                _value("name"),
                max_length=MOST_NAME,
                placeholder="Optional. The sentence above stands in for it",
            ),
        ),
        _entry(
            "Note in each message",
            "note",
            rx.el.textarea(
                value=_value("note"),
                rows="2",
                max_length=MOST_NOTE,
                class_name="input area",
                custom_attrs={"id": "rule-note", "onChange": _sets("note"), **_described("note")},
            ),
        ),
    )


def _no_room() -> rx.Var[bool]:
    """Whether the rule can only be kept paused: one that is new, or would be set going again, has no room in the plan,
    or the server has just said so of any."""
    draft, opened = _draft(), RulesState.form
    starts = (browser.member(draft, "rule") == "") | (browser.maybe(opened, "status") == "done")
    return browser.member(draft, "room").to(bool) | (RulesState.full & starts)


def _save() -> rx.Component:
    draft = _draft()
    problem, target = browser.member(draft, "problem"), browser.member(draft, "link")
    saving = browser.member(draft, "saving")
    room, busy = _no_room(), rx.cond(saving != "", "true", "false")

    def how(word: str) -> rx.Var[Any]:
        return browser.handler(f'() => saveRule("{word}")', rule_form="saveRule")

    return rx.el.footer(
        rx.cond(
            problem != "",
            rx.el.p(
                problem,
                rx.cond(target != "", rx.el.span(" ", link(browser.member(draft, "link_text"), target))),
                class_name="notice error",
                role="alert",
            ),
            rx.cond(
                room,
                rx.el.p(
                    untranslated(RulesState.room),
                    " active rules on ",
                    untranslated(AccountState.plan_title),
                    ". This one will be saved as paused. ",
                    link("Compare plans", "/pricing"),
                    class_name="soft room",
                ),
            ),
        ),
        forms.actions(
            forms.button_primary(
                rx.cond(room, "Save as paused", rx.cond(saving == "save", "Saving", "Save")),
                custom_attrs={"aria-disabled": busy},
            ),
            forms.button_plain(
                "Save and send a test",
                hidden=room | ~browser.part(f"{draft!s}.form.channels.length > 0", draft).to(bool),
                custom_attrs={"onClick": how("test"), "aria-disabled": busy},
            ),
        ),
        class_name="save",
    )


def _entry(label: str, path: str, control: rx.Component, *, hint: str | rx.Var[str] = "") -> rx.Component:
    own = _id(path)
    return rx.el.div(
        rx.el.label(label, html_for=own),
        control,
        *([rx.el.p(hint, class_name="hint")] if not isinstance(hint, str) or hint else []),
        _error(path),
        class_name="entry",
    )


def _error(path: str) -> rx.Component:
    """What is wrong with a field."""
    return rx.el.p(_fault(path), class_name="error", role="alert", custom_attrs={"id": f"{_id(path)}-error"})


def _id(path: str) -> str:
    return "rule-" + path.replace(".", "-").replace("_", "-")


def _described(path: str) -> dict[str, Any]:
    return {
        "aria-describedby": f"{_id(path)}-error",
        "aria-invalid": rx.cond(_fault(path) != "", "true", "false"),
        "onBlur": _leaves(path),
    }


def _input(path: str, value: rx.Var[str], *, placeholder: str = "", max_length: int = 40, **more: Any) -> rx.Component:
    return rx.el.input(
        type="text",
        value=value,
        max_length=max_length,
        placeholder=placeholder,
        auto_complete="off",
        class_name="input",
        custom_attrs={"id": _id(path), "spellCheck": "false", "onChange": _sets(path), **_described(path), **more},
    )


def _number(path: rx.Var[str], value: rx.Var[str], label: str, *, unit: str, short: bool = False) -> rx.Component:
    """A number as text: people paste `65,000`, and an input for numbers empties what it does not like."""
    return rx.el.label(
        rx.el.input(
            type="text",
            value=value,
            max_length=24,
            auto_complete="off",
            class_name="input number short" if short else "input number",
            aria_label=label,
            custom_attrs={
                "inputMode": "decimal",
                "onChange": _sets(path),
                "onBlur": _leaves(path),
                "aria-invalid": rx.cond(_fault(path) != "", "true", "false"),
                "aria-describedby": _condition_error_id(path),
            },
        ),
        rx.el.span(unit, class_name="unit"),
        class_name="amount",
    )


def _condition_error_id(path: rx.Var[str]) -> rx.Var[str]:
    """The id of what says what is wrong with a condition."""
    return browser.part(f'{path!s}.replace(/[a-z_]+$/, "error")', path)


def _select(
    path: str | rx.Var[str], value: rx.Var[str], *options: rx.Component | rx.Var[Any], label: str | rx.Var[str] = ""
) -> rx.Component:
    attributes: dict[str, Any] = {"onChange": _sets(path)}
    if isinstance(path, str):
        attributes |= {"id": _id(path), **_described(path)}
    return rx.el.select(
        *options,
        value=value,
        class_name="input",
        **({} if isinstance(label, str) and not label else {"aria_label": label}),
        custom_attrs=attributes,
    )


def _options(options: Options) -> list[rx.Component]:
    return [rx.el.option(title, value=value) for value, title in options]


def _spans(path: str, offered: Sequence[int], none: str) -> rx.Component:
    value = _value(path)
    spans = browser.function("rule_form", "spansOf").call(list(offered), value, none).to(list[dict[str, str]])
    return _select(
        path, value, rx.foreach(spans, lambda each: rx.el.option(each["title"], value=each["value"], key=each["value"]))
    )


def _chosen(path: str, options: Options, label: str) -> rx.Component:
    """A choice of one among few, side by side."""
    value = _value(path)
    return rx.el.fieldset(
        rx.el.legend(label, class_name="unseen"),
        *(
            rx.el.label(
                rx.el.input(
                    type="radio",
                    name=path,
                    value=each,
                    checked=value == each,
                    custom_attrs={"onChange": _sets(path)},
                ),
                rx.el.span(title),
            )
            for each, title in options
        ),
        class_name="segmented",
    )


def _span(seconds: int) -> str:
    """`15 minutes`, in the largest unit that it is a whole number of."""
    size, unit = next(each for each in ((86_400, "day"), (3_600, "hour"), (60, "minute")) if seconds % each[0] == 0)
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"
