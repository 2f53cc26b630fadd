"""Where messages go: a card a channel, with its places, how to connect one, and a real test whose way is shown."""

from __future__ import annotations

from typing import Any

import reflex as rx

from flashcur.components.account.auth_forms import hidden
from flashcur.components.alerts.alert_settings import alert_settings
from flashcur.components.alerts.ledger import way
from flashcur.components.alerts.rule_list import opens
from flashcur.components.kit import browser, forms
from flashcur.components.kit.clipboard import copy_text
from flashcur.components.kit.forms import Content, button_danger, button_plain, button_primary
from flashcur.components.kit.menus import asked, menu
from flashcur.components.kit.site import link
from flashcur.components.kit.texts import untranslated
from flashcur.domain.plans import Channel
from flashcur.services.accounts.channels import EMAIL_PLACE, MOST_NAME
from flashcur.state.account import AccountState
from flashcur.state.alerts import AlertsState
from flashcur.state.channels import ChannelsState

Item = rx.Var[dict[str, str]]

_ABOUT: dict[Channel, str] = {
    "in-app": "Under the bell at the top of every page, with a note while you have a page open.",
    "browser": "Shown by your browser, even while you use another program. Keep a FlashCur page open.",
    "email": "To your account’s address. Each message has a link to unsubscribe.",
    "web-push": "Reaches this browser even with no FlashCur page open.",
    "sms": "Text messages to your phone. Answer STOP to end them at once.",
    "telegram": "From our bot to you, or to a group.",
    "discord": "To a channel of your Discord server, through a webhook you create there.",
    "slack": "To a Slack channel, through an incoming webhook you create there.",
    "webhook": "Sent as JSON to your own server, signed with a secret that only you and we know.",
}
_URL_HINTS: dict[str, str] = {
    "discord": "In Discord: Edit Channel, Integrations, Webhooks, Copy Webhook URL.",
    "slack": "In Slack: add an incoming webhook to an app, and copy its address.",
    "webhook": "An https address that accepts a POST and answers with 2xx.",
}


def channels_tab() -> rx.Component:
    """When the account wants to be left alone, and all its channels."""
    there = browser.hook("anchor", "address", "useAnchor", AccountState.channels.length() > 0)
    left = browser.hook("leftRule", "rule_form", "useLeftRule").to(str)
    said = (ChannelsState.form != "") | (ChannelsState.secret_of != "")
    leaving = browser.hook(
        "leaving", "submitted", "useLeaving", said, browser.event(lambda _: ChannelsState.put_away())
    )
    return rx.el.div(
        rx.cond(
            left != "",
            rx.el.div(
                rx.el.p("We kept the rule you were writing."),
                opens("Back to your rule", "/alerts?" + left, primary=True, left=True),
                class_name="notice info suggestion left-rule",
            ),
        ),
        alert_settings(),
        rx.foreach(AccountState.channels, _card),
        class_name="channels",
        custom_attrs={"data-testid": "channels", "data-anchor": there, "data-leaving": leaving},
    )


def _card(item: Item) -> rx.Component:
    usable = (item["plan"] != "") & (item["here"] != "")
    about: Any = rx.match(item["name"], *_ABOUT.items(), "")
    return rx.el.section(
        rx.el.header(rx.el.h2(item["title"]), rx.el.p(about)),
        rx.el.p(
            rx.el.span(item["text"]),
            rx.cond(item["link"] == "/pricing", link(item["link_text"], item["link"])),
            rx.cond(item["link"].startswith("/account"), link(item["link_text"], item["link"])),
            class_name="state",
            custom_attrs={"data-ok": rx.cond(item["ok"] != "", "true", "false")},
        ),
        rx.el.ul(
            rx.foreach(
                AccountState.places,
                lambda place: rx.cond(place["channel"] == item["name"], _place(place, usable), None),
            ),
            class_name="places",
        ),
        rx.cond(usable, _connect(item)),
        class_name="section",
        key=item["name"],
        custom_attrs={"data-channel": item["name"], "id": "channel-" + item["name"]},
    )


def _place(place: Item, usable: rx.Var[bool]) -> rx.Component:
    test = button_plain(
        "Send a test", on_click=ChannelsState.test(place["id"]), aria_label="Send a test to " + place["name"]
    )
    return rx.el.li(
        rx.el.div(
            rx.el.div(
                untranslated(place["name"], element=rx.el.b),
                rx.el.span(
                    rx.cond(place["hint"] != "", untranslated(place["hint"], ", ")),
                    "added ",
                    place["added"],
                    rx.cond(place["used"] != "", rx.el.span(", last message ", place["used"])),
                    rx.cond(place["ends"] != "", rx.el.span(", until ", place["ends"])),
                    class_name="soft",
                ),
                rx.cond(place["why"] != "", rx.el.p(place["why"], class_name="why")),
            ),
            rx.el.div(
                rx.match(
                    place["state"],
                    ("on", rx.cond(usable, test)),
                    (
                        "off",
                        rx.cond(usable, button_plain("Switch on", on_click=ChannelsState.switch_on(place["id"]))),
                    ),
                    rx.fragment(),
                ),
                rx.cond(place["channel"] != "email", _rename(place)),
                rx.cond(
                    place["state"] == "on",
                    button_plain("Switch off", on_click=ChannelsState.switch_off(place["id"])),
                ),
                rx.cond(
                    (place["channel"] == "webhook") & (place["state"] == "on"),
                    asked(
                        "secret-" + place["id"],
                        "New secret",
                        "Create a new signing secret? For a day, messages are signed with both, so that you have "
                        "time to switch.",
                        button_primary("Create it", type_="button", on_click=ChannelsState.new_secret(place["id"])),
                        label="New secret for " + place["name"],
                        otherwise="Not now",
                    ),
                ),
                rx.cond(
                    place["channel"] != "email",
                    asked(
                        "remove-" + place["id"],
                        "Remove",
                        "Remove " + place["name"] + "? It will get no more messages.",
                        button_danger("Remove it", type_="button", on_click=ChannelsState.remove(place["id"])),
                        label="Remove " + place["name"],
                    ),
                ),
                class_name="actions",
            ),
            class_name="place",
        ),
        rx.el.div(
            rx.cond(
                (ChannelsState.place == place["id"]) & (ChannelsState.done != ""),
                rx.el.div(
                    rx.el.p(ChannelsState.done),
                    # Below a new place's secret stands one for both.
                    rx.cond(ChannelsState.secret_of != place["id"], _done()),
                    class_name="notice done",
                ),
            ),
            role="status",
            class_name="said",
        ),
        rx.cond(ChannelsState.secret_of == place["id"], _secret()),
        rx.foreach(
            AlertsState.tests,
            lambda test: rx.cond(test["destination"].to(str) == _tested(place), way(test, place["why"]), None),
        ),
        key=place["id"],
        custom_attrs={"data-place": place["id"], "data-state": place["state"]},
    )


def _tested(place: Item) -> rx.Var[str]:
    """What a test message calls the place that it went to."""
    return rx.cond(place["channel"] == "email", EMAIL_PLACE, place["id"]).to(str)


def _rename(place: Item) -> rx.Component:
    wrong = (ChannelsState.form == "rename") & (ChannelsState.place == place["id"]) & (ChannelsState.problem != "")
    return menu(
        "rename-" + place["id"],
        "Rename",
        forms.form(
            hidden("id", place["id"]),
            rx.el.label(
                rx.el.span("Name", class_name="name"),
                rx.el.input(
                    type="text",
                    name="name",
                    auto_complete="off",
                    required=True,
                    max_length=MOST_NAME,
                    class_name="input",
                    custom_attrs={"defaultValue": place["name"], "aria-invalid": rx.cond(wrong, "true", "false")},
                ),
                class_name="entry",
            ),
            rx.el.p(rx.cond(wrong, ChannelsState.problem, ""), class_name="error", role="alert"),
            button_primary("Rename"),
            on_submit=ChannelsState.rename,
            custom_attrs={"onSubmitCapture": browser.handler('(e) => once(e, "rename")', submitted="once")},
        ),
        class_name="ask",
        label="Rename " + place["name"],
        opener_class="button",
    )


def _secret() -> rx.Component:
    """Told once to the tab that asked for it."""
    secret = browser.hook("signingSecret", "submitted", "useKept", ChannelsState.secret).to(str)
    return rx.cond(
        secret != "",
        forms.notice(
            "done",
            rx.el.p("The signing secret. It is shown this once: copy it now."),
            rx.el.p(untranslated(secret, element=rx.el.code), class_name="secret"),
            forms.actions(button_plain("Copy", custom_attrs={"onClick": copy_text(secret)}), _done(secret)),
        ),
    )


def _done(secret: rx.Var[str] | str = "") -> rx.Component:
    """Takes away what was said, and the `secret` with it: here at once, and from the state."""
    told, end = rx.Var.create(secret), browser.event(lambda _: ChannelsState.put_away())
    put = browser.handler(f"() => putAway({told!s}, {end!s})", told, end, submitted="putAway")
    return button_plain("Done", custom_attrs={"onClick": put})


def _connect(item: Item) -> rx.Component:
    return rx.fragment(
        rx.match(
            item["name"],
            ("browser", _browser()),
            ("web-push", _web_push()),
            ("telegram", _telegram()),
            ("sms", _sms()),
            *((name, _url_form(name)) for name in _URL_HINTS),
            rx.fragment(),
        )
    )


def _browser() -> rx.Component:
    choice = browser.hook("notifications", "inbox", "useNotifications")
    permission, problem = browser.member(choice, "permission"), browser.member(choice, "problem")
    # Once it is allowed it asks for nothing, and shows a sample again.
    ask = {"onClick": browser.function("inbox", "turnOnNotifications")}
    return rx.el.div(
        rx.cond(
            permission == "granted",
            forms.actions(
                rx.el.span("This browser shows them.", class_name="soft"),
                button_plain("Show one here", custom_attrs=ask),
            ),
            forms.actions(button_plain("Allow them in this browser", custom_attrs=ask)),
        ),
        rx.el.div(rx.cond(problem != "", rx.el.p(problem, class_name="notice error")), role="status"),
        class_name="stack tight",
    )


def _telegram() -> rx.Component:
    url = browser.hook("telegramLink", "submitted", "useKept", ChannelsState.telegram_url).to(str)
    group = browser.hook("telegramGroup", "submitted", "useKept", ChannelsState.telegram_group_url).to(str)
    waits = rx.foreach(
        AccountState.places,
        lambda place: rx.cond(
            (place["channel"] == "telegram") & (place["state"] == "unconfirmed"),
            rx.el.div(
                rx.el.p("Open the bot and press Start. This page updates by itself. The link works for 15 minutes."),
                forms.actions(
                    forms.link_button("Open Telegram", url, primary=True, target="_blank", rel="noopener noreferrer"),
                    forms.link_button("Add the bot to a group", group, target="_blank", rel="noopener noreferrer"),
                ),
                class_name="stack tight",
            ),
            None,
        ),
    )
    return _part(
        "telegram",
        rx.cond(url != "", waits),
        forms.actions(button_plain("Connect a chat", on_click=ChannelsState.begin_telegram)),
    )


def _sms() -> rx.Component:
    return _part(
        "sms",
        rx.foreach(
            AccountState.places,
            lambda place: rx.cond(
                (place["channel"] == "sms") & (place["state"] == "unconfirmed"),
                _form(
                    "sms-code",
                    ChannelsState.confirm_sms,
                    hidden("id", place["id"]),
                    forms.field(
                        "Code from the text message to " + place["name"],
                        "code",
                        autocomplete="one-time-code",
                        max_length=12,
                        form="sms",
                        error=_error("sms-code", "code"),
                        inputMode="numeric",
                    ),
                    submit="Confirm the number",
                ),
                None,
            ),
        ),
        _folded(
            "Connect a number",
            _form(
                "sms",
                ChannelsState.begin_sms,
                forms.field(
                    "Mobile number",
                    "number",
                    "tel",
                    autocomplete="tel",
                    hint="With its country code, such as +44 7700 900123. We will text you a code.",
                    max_length=40,
                    form="sms",
                    error=_error("sms", "number"),
                ),
                submit="Send the code",
            ),
        ),
    )


def _web_push() -> rx.Component:
    push = browser.hook("push", "push", "usePush")
    port = browser.backend_port()
    problem = browser.member(push, "problem")
    turn = {
        name: {"custom_attrs": {"onClick": browser.handler(f"() => {name}({port})", push=name)}}
        for name in ("turnPushOn", "turnPushOff")
    }
    return rx.el.div(
        rx.cond(
            browser.member(push, "known").to(bool),
            rx.cond(
                browser.member(push, "on").to(bool),
                forms.actions(
                    rx.el.span("On in this browser.", class_name="soft"),
                    button_plain("Turn off here", **turn["turnPushOff"]),
                ),
                forms.actions(button_plain("Turn on in this browser", **turn["turnPushOn"])),
            ),
        ),
        rx.el.div(rx.cond(problem != "", rx.el.p(problem, class_name="notice error")), role="status"),
        class_name="stack tight",
    )


def _url_form(channel: str) -> rx.Component:
    return _part(
        channel,
        _folded(
            "Connect a webhook",
            _form(
                channel,
                ChannelsState.connect_url,
                hidden("channel", channel),
                forms.field(
                    "Address",
                    "url",
                    "url",
                    autocomplete="off",
                    hint=_URL_HINTS[channel],
                    max_length=2_000,
                    form=channel,
                    error=_error(channel, "url"),
                ),
                forms.field(
                    "Name",
                    "name",
                    autocomplete="off",
                    hint="So that you can tell it apart.",
                    required=False,
                    max_length=MOST_NAME,
                    form=channel,
                    error=_error(channel, "name"),
                ),
                submit="Connect",
            ),
        ),
    )


def _form(form: str, handler: Any, *fields: Content, submit: str) -> rx.Component:
    """A form of the card; what is wrong beside no field of its own stands below the card's forms."""
    return forms.form(
        *fields,
        button_primary(submit),
        on_submit=handler,
        key=form + ChannelsState.number.to(str),
        custom_attrs={
            "onSubmitCapture": browser.handler(f'(e) => once(e, "{form}")', submitted="once"),
            "data-form": form,
        },
    )


def _folded(title: str, content: rx.Component) -> rx.Component:
    # Closed again once its form was taken in.
    return rx.el.details(
        rx.el.summary(title), rx.el.div(content), class_name="fold", key=title + ChannelsState.number.to(str)
    )


def _part(form: str, *children: Content) -> rx.Component:
    """What connects a place, and what became of it."""
    about = (ChannelsState.form == form) | (ChannelsState.form == f"{form}-code")
    refused = about & (ChannelsState.problem != "") & (ChannelsState.field == "")
    return rx.el.div(
        *children,
        rx.el.div(
            rx.cond(
                refused,
                forms.notice(
                    "error",
                    ChannelsState.problem,
                    rx.cond(
                        ChannelsState.link != "",
                        rx.fragment(" ", link(ChannelsState.link_text, ChannelsState.link)),
                    ),
                ),
            ),
            rx.cond(
                about & (ChannelsState.done != "") & (ChannelsState.place == ""),
                rx.el.p(ChannelsState.done, class_name="notice done"),
            ),
            role="status",
        ),
        class_name="stack tight",
    )


def _error(form: str, field: str) -> rx.Var[str]:
    here = (ChannelsState.form == form) & (ChannelsState.field == field)
    return rx.cond(here, ChannelsState.problem, "").to(str)
