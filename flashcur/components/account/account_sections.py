"""The account page's cards. What they show is `AccountState`; what they do goes through `ProfileState`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import reflex as rx
from reflex.style import color_mode

from flashcur.components.account import wallet_buttons
from flashcur.components.account.auth_forms import again_link, error_of, new_password_field, posted_form, trouble
from flashcur.components.billing import plan_texts
from flashcur.components.kit import browser, colour_mode, forms
from flashcur.components.kit.clipboard import copy_text
from flashcur.components.kit.forms import Content, Text, button_danger, button_plain, button_primary
from flashcur.components.kit.menus import asked
from flashcur.components.kit.texts import as_written, untranslated
from flashcur.domain.plans import PLAN_NAMES, PLANS, least_plan
from flashcur.services.accounts.profile import DELETE_WORD
from flashcur.services.kit.time_zones import time_zones
from flashcur.state.account import AccountState
from flashcur.state.profile import ProfileState

Item = rx.Var[dict[str, str]]

THEMES = (("system", "As the device"), ("dark", "Dark"), ("light", "Light"))


def account_sections() -> rx.Component:
    there = browser.hook("anchor", "address", "useAnchor", AccountState.signed_in)
    return rx.el.div(
        trouble(),
        plan(),
        sign_in(),
        wallets(),
        devices(),
        preferences(),
        rx.cond(AccountState.api, api(), no_api()),
        activity(),
        your_data(),
        class_name="account-page",
        custom_attrs={"data-anchor": there},
    )


def plan() -> rx.Component:
    def features(name: str) -> rx.Component:
        return rx.el.ul(*(rx.el.li(line) for line in plan_texts.features(PLANS[name])), class_name="has")  # type: ignore[index]

    return forms.section(
        "Plan",
        rx.el.p(
            untranslated(AccountState.plan_title, element=rx.el.b, class_name="plan-title"),
            rx.cond(AccountState.plan_note != "", rx.el.span(" " + AccountState.plan_note, class_name="soft")),
        ),
        rx.match(AccountState.plan, *((name, features(name)) for name in PLAN_NAMES), rx.fragment()),
        forms.actions(forms.link_button("Compare plans", "/pricing")),
        id_="plan",
    )


def sign_in() -> rx.Component:
    has_email = AccountState.email != ""
    return forms.section(
        "Sign-in",
        forms.definition_rows(
            ("Email address", rx.cond(has_email, untranslated(AccountState.email), rx.el.span("None"))),
            ("Password", rx.cond(AccountState.has_password, "Set", "None")),
            ("Account since", AccountState.created),
        ),
        rx.foreach(AccountState.undelivered, lambda said: forms.notice("warning", said)),
        _folded(
            rx.cond(has_email, "Change the address", "Add an email address"),
            rx.el.p(
                rx.cond(
                    has_email,
                    "We send a link to the present address and one to the new one. It changes once both are opened.",
                    "We send a link to it. It is yours once you open it, and you can set a password then.",
                ),
                class_name="soft fine",
            ),
            _profile_form(
                "address",
                ProfileState.change_address,
                forms.field(
                    "New address",
                    "email",
                    "email",
                    autocomplete="email",
                    error=_error("address", "email"),
                    form="address",
                ),
                _present_password("address"),
                submit=rx.cond(has_email, "Send the links", "Send the link").to(str),
            ),
            form="address",
            # A first address has no other one that must agree.
            done=rx.cond(
                has_email,
                ProfileState.done,
                "We have sent a link to it. Once you open it, the address is yours, and you can set a password.",
            ).to(str),
        ),
        rx.cond(
            has_email,
            _folded(
                rx.cond(AccountState.has_password, "Change the password", "Set a password"),
                rx.el.p("This signs out all other devices.", class_name="soft fine"),
                _profile_form(
                    "password",
                    ProfileState.change_password,
                    # Password managers keep the two together.
                    rx.el.input(
                        type="text",
                        value=AccountState.email,
                        auto_complete="username",
                        read_only=True,
                        hidden=True,
                        tab_index=-1,
                        aria_hidden=True,
                    ),
                    _present_password("password"),
                    new_password_field("password", label="New password", name="new", error=_error("password", "new")),
                    submit="Set the password",
                ),
                form="password",
            ),
        ),
        id_="sign-in",
    )


def wallets() -> rx.Component:
    def row(wallet: Item) -> rx.Component:
        return rx.el.li(
            rx.el.div(
                untranslated(wallet["short"], element=rx.el.b, title=wallet["address"]),
                rx.el.span(
                    untranslated(wallet["chain"]),
                    rx.el.span(", linked ", wallet["linked"], ", last used ", wallet["used"]),
                    class_name="soft",
                ),
            ),
            asked(
                "unlink-" + wallet["address"],
                "Unlink",
                "Unlink " + wallet["short"] + "? You can no longer sign in with it.",
                button_danger("Unlink it", type_="button", on_click=ProfileState.unlink_wallet(wallet["address"])),
                label="Unlink " + wallet["short"],
            ),
            key=wallet["address"],
        )

    return forms.section(
        "Wallets",
        _items(AccountState.wallets, row, "No wallet is linked."),
        rx.el.h3("Link a wallet"),
        wallet_buttons.link_buttons(),
        description="A linked wallet signs you in with a signature. It is never asked for a payment.",
        id_="wallets",
    )


def devices() -> rx.Component:
    def row(each: Item) -> rx.Component:
        return rx.el.li(
            rx.el.div(
                rx.el.b(
                    untranslated(each["device"]),
                    rx.cond(each["current"] != "", rx.el.span("This device", class_name="badge")),
                ),
                rx.el.span(
                    untranslated(each["ip"]),
                    rx.el.span(", by ", each["method"], ", last used ", each["seen"]),
                    class_name="soft",
                ),
            ),
            rx.cond(
                each["current"] == "",
                button_plain(
                    "Sign out",
                    on_click=ProfileState.end_session(each["id"]),
                    aria_label="Sign out " + each["device"] + ", " + each["ip"],
                ),
            ),
            key=each["id"],
            custom_attrs={"data-current": rx.cond(each["current"] != "", "true", "false")},
        )

    return forms.section(
        "Devices",
        rx.el.ul(rx.foreach(AccountState.sessions, row), class_name="items"),
        rx.cond(
            AccountState.sessions.length() > 1,
            forms.actions(button_plain("Sign out all others", on_click=ProfileState.end_other_sessions)),
        ),
        description="Where you are signed in.",
        id_="devices",
    )


def preferences() -> rx.Component:
    zone = browser.function("theme", "deviceZone").call().to(str)
    return forms.section(
        "Preferences",
        rx.el.div(
            rx.el.span("Theme", class_name="name"),
            rx.el.fieldset(
                rx.el.legend("Theme", class_name="unseen"),
                *(
                    rx.el.label(
                        rx.el.input(
                            type="radio",
                            name="theme",
                            value=value,
                            checked=color_mode == value,
                            on_change=colour_mode.choose(value),
                        ),
                        rx.el.span(title),
                    )
                    for value, title in THEMES
                ),
                class_name="segmented",
            ),
            class_name="entry",
        ),
        rx.el.div(
            rx.el.label("Time zone", html_for="time-zone"),
            rx.el.div(
                rx.el.select(
                    *(
                        rx.el.optgroup(*(rx.el.option(name, value=name) for name in names), label=region)
                        for region, names in _time_zones()
                    ),
                    value=AccountState.time_zone,
                    on_change=ProfileState.set_time_zone,
                    class_name="input",
                    custom_attrs={"id": "time-zone", "aria-describedby": "time-zone-hint", **as_written()},
                ),
                button_plain("Use this device’s zone", on_click=ProfileState.set_time_zone(zone)),
                class_name="beside",
            ),
            rx.el.p(
                "For dates on this page and for quiet hours. The market’s times are UTC.",
                class_name="hint",
                custom_attrs={"id": "time-zone-hint"},
            ),
            class_name="entry",
        ),
        description="They go with your account to every device.",
        id_="preferences",
    )


def api() -> rx.Component:
    key = browser.hook("newKey", "submitted", "useKept", ProfileState.new_key).to(str)
    # Where programs reach the API: the pages' own origin, where routes have no other.
    origin = rx.cond(browser.backend() != "", browser.backend(), rx.Var("globalThis.location?.origin")).to(str)
    refused = (ProfileState.form == "key") & (ProfileState.problem != "")

    def row(each: Item) -> rx.Component:
        return rx.el.li(
            rx.el.div(
                untranslated("…", each["hint"], element=rx.el.b),
                rx.el.span("made ", each["created"], ", last used ", each["used"], class_name="soft"),
            ),
            asked(
                "delete-" + each["id"],
                "Delete",
                "Delete the key …" + each["hint"] + "? Programs that use it are refused from then on.",
                button_danger("Delete it", type_="button", on_click=ProfileState.delete_api_key(each["id"])),
                label="Delete the key …" + each["hint"],
            ),
            key=each["id"],
        )

    return forms.section(
        "API keys",
        _items(AccountState.api_keys, row, "No keys yet."),
        rx.el.div(
            rx.cond(
                key != "",
                forms.notice(
                    "done",
                    rx.el.p("Your new key. It is shown this once: copy it now."),
                    rx.el.p(untranslated(key, element=rx.el.code)),
                    button_plain(
                        "Copy",
                        custom_attrs={"onClick": copy_text(key)},
                    ),
                ),
            ),
            rx.cond(refused, _refusal()),
        ),
        forms.actions(button_plain("Create a key", on_click=ProfileState.create_api_key)),
        rx.el.p("A program sends its key with each request:", class_name="soft fine"),
        rx.el.pre(
            untranslated(
                'curl -H "Authorization: Bearer ',
                rx.cond(key != "", key, "YOUR_KEY"),
                '" ',
                origin,
                "/api/v1/markets",
                element=rx.el.code,
            )
        ),
        description=rx.fragment(
            "For your own programs. They see the market as your plan does. ",
            rx.el.a("What the API answers", href="/api", class_name="link"),
        ),
        id_="api",
    )


def no_api() -> rx.Component:
    return forms.section(
        "API keys",
        rx.el.p(
            f"{least_plan('api', True).title} has an ",
            rx.el.a("API", href="/api", class_name="link"),
            " for programs of yours. ",
            rx.el.a("Compare plans", href="/pricing", class_name="link"),
            class_name="soft",
        ),
        id_="api",
    )


def activity() -> rx.Component:
    def row(event: Item) -> rx.Component:
        return rx.el.li(
            rx.el.div(
                rx.el.b(
                    rx.el.span(event["what"]),
                    rx.cond(event["detail"] != "", untranslated(" ", event["detail"], class_name="detail")),
                ),
                untranslated(event["when"], rx.cond(event["ip"] != "", ", " + event["ip"], ""), class_name="soft"),
            ),
            class_name=rx.cond(event["strange"] != "", "strange", ""),
        )

    return forms.section(
        "Recent activity",
        rx.el.ul(rx.foreach(AccountState.events, row), class_name="items events"),
        description=rx.cond(
            AccountState.has_password,
            "Something there that was not you? Change your password and sign out all other devices.",
            "Something there that was not you? Sign out all other devices, and look at the wallets that are linked.",
        ),
        id_="activity",
    )


def your_data() -> rx.Component:
    return forms.section(
        "Your data",
        forms.actions(
            rx.el.a(
                "Download all of it",
                href=browser.backend() + "/export/account.json",
                class_name="button",
                custom_attrs={"reloadDocument": True, "download": True},
            ),
            rx.el.span("A JSON file with everything that is kept about you.", class_name="soft fine"),
        ),
        _folded(
            "Delete the account",
            forms.notice(
                "warning",
                "This deletes the account, its watchlists, wallets and sign-ins, at once and for good. Nobody can "
                "bring it back. Download your data first if you want to keep it.",
            ),
            posted_form(
                "delete",
                "/auth/delete-account",
                rx.cond(
                    AccountState.has_password,
                    _password_field("delete", error_of("delete", "password")),
                ),
                forms.field(
                    f"Type {DELETE_WORD}",
                    "word",
                    autocomplete="off",
                    error=error_of("delete", "word"),
                    max_length=40,
                    form="delete",
                    autoCapitalize="characters",
                ),
                submit="Delete my account",
                busy="Deleting the account",
                danger=True,
            ),
            form="delete",
        ),
        id_="data",
    )


def submitted() -> rx.Var[str]:
    """The form that was last sent from this page, since it was loaded."""
    return browser.hook("submittedForm", "submitted", "useSubmitted", AccountState.email).to(str)


def _items(items: rx.Var[list[dict[str, str]]], row: Callable[[Item], rx.Component], none: str) -> rx.Component:
    """A list of what there is, or the sentence `none`."""
    return rx.cond(
        items.length() > 0,
        rx.el.ul(rx.foreach(items, row), class_name="items"),
        rx.el.p(none, class_name="soft"),
    )


def _about(form: str) -> rx.Var[bool]:
    """Whether what ProfileState says is about this form, as it was sent from this page."""
    return ((submitted() == form) & (ProfileState.form == form)).to(bool)


def _error(form: str, field: str) -> rx.Var[str]:
    return rx.cond(_about(form) & (ProfileState.field == field), ProfileState.problem, "").to(str)


def _present_password(form: str) -> rx.Component:
    """Asked for where there is one."""
    return rx.cond(AccountState.has_password, _password_field(form, _error(form, "password")))


def _password_field(form: str, error: Text) -> rx.Component:
    return forms.field(
        "Your present password",
        "password",
        "password",
        autocomplete="current-password",
        error=error,
        max_length=1_000,
        form=form,
    )


def _refusal() -> rx.Component:
    """Why something was not done that is not about one field."""
    return forms.notice("error", ProfileState.problem, rx.cond(ProfileState.again, rx.fragment(" ", again_link())))


def _profile_form(form: str, handler: Any, *fields: Content, submit: Text) -> rx.Component:
    own = {"password", "email", "new"}
    elsewhere = _about(form) & (ProfileState.problem != "")
    for field in own:
        elsewhere = elsewhere & (ProfileState.field != field)
    return rx.el.div(
        forms.form(
            *fields,
            rx.cond(elsewhere, _refusal()),
            button_primary(submit),
            on_submit=handler,
            # Emptied once it was done.
            key=ProfileState.number.to(str),
            custom_attrs={
                "onSubmitCapture": browser.handler(f'(e) => once(e, "{form}")', submitted="once"),
                "data-form": form,
            },
        ),
        class_name="stack",
    )


def _folded(title: Content, *children: Content, form: str, done: Text = ProfileState.done) -> rx.Component:
    """A form that is opened by who wants it; what became of it stays in sight."""
    there = _about(form) & (ProfileState.done != "")
    return rx.el.div(
        rx.el.details(
            rx.el.summary(title),
            rx.el.div(*children, class_name="stack"),
            class_name="fold",
        ),
        rx.el.div(rx.cond(there, rx.el.p(done, class_name="notice done")), role="status"),
        class_name="folded",
    )


def _time_zones() -> list[tuple[str, Sequence[str]]]:
    """All names, by region."""
    names = sorted(name for name in time_zones() if name not in ("Factory", "localtime"))
    regions = groupby(sorted(names, key=_region), key=_region)
    found = [(region, list(group)) for region, group in regions]
    return sorted(found, key=lambda each: (each[0] == _OTHER, each[0]))


_OTHER = "Other"


def _region(name: str) -> str:
    region, slash, _ = name.partition("/")
    return region if slash and region not in ("Etc", "SystemV") else _OTHER
