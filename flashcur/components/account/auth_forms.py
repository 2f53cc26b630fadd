"""The forms that lead into an account: posted to a route, which answers with what is wrong or where to go next.

They work before the page's script does: the browser then posts them by itself, and the answer is a redirect.
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.config import get_config

from flashcur.components.kit import browser, forms
from flashcur.components.kit.forms import Content, Text
from flashcur.services.accounts.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from flashcur.services.notify import describe
from flashcur.settings import Settings
from flashcur.state.account import AccountState

MODULE = "account"
"""Name of the script, `assets/account.js`."""


AGAIN = "/login?again=1&next=/account"


class PostedForm(rx.el.Div):
    """A form without Reflex's submit handler, which would keep the browser from posting it."""

    tag = "form"


def member(value: rx.Var[Any], name: str) -> rx.Var[Any]:
    """A member of what a hook returned, as a text; `.to(…)` makes it something else."""
    return rx.Var(_js_expr=f"{value!s}.{name}", _var_type=str, _var_data=value._get_all_var_data()).to(str)


def form_state(name: str) -> rx.Var[Any]:
    """How far a posted form is: `busy`, `error`, `field`, `sent`."""
    return browser.hook(f"{name.replace('-', '_')}_form", f'useForm("{name}")', "useForm", module=MODULE)


def sent(name: str) -> rx.Var[str]:
    """What a form's answer said, such as the address a link went to; empty until then."""
    return member(form_state(name), "sent")


def error_of(name: str, field: str) -> rx.Var[str]:
    """What is wrong with a field of a form."""
    state = form_state(name)
    return rx.cond(member(state, "field") == field, member(state, "error"), "").to(str)


def stuck(name: str, **ways: rx.Component) -> rx.Component | rx.Var[Any]:
    """Ways out of an error that a form cannot mend: `link` (it is dead) or `conflict`; the form has given way."""
    return rx.match(member(form_state(name), "why"), *ways.items(), rx.fragment())


def asked(name: str, field: str) -> rx.Var[bool]:
    """Whether the server has asked for a field that is not always needed."""
    return (member(form_state(name), "asked") == field).to(bool)


def posted_form(name: str, path: str, *children: Content, submit: Text, busy: Text) -> rx.Component:
    """A form that is posted to a route; its children are the fields."""
    state = form_state(name)
    port = browser.backend_port()
    working = member(state, "busy").to(bool)
    general = rx.cond(member(state, "field") == "", member(state, "error"), "").to(str)
    return PostedForm.create(
        *children,
        rx.cond(general != "", forms.notice("error", general)),
        forms.button_primary(
            rx.cond(working, busy, submit),
            # Not `disabled`, which would take the focus away from who uses the keyboard; the script sends it once.
            custom_attrs={"aria-disabled": rx.cond(working, "true", "false")},
        ),
        class_name="form",
        custom_attrs={
            "method": "post",
            "action": f"{get_config().api_url}{path}" if port else path,
            "onSubmit": browser.handler(f'(e) => submitTo(e, "{name}", "{path}", {port})', "submitTo", module=MODULE),
            "data-form": name,
            # Nothing in it can help any more: only what is wrong stays.
            "data-stuck": rx.cond(member(state, "why") != "", "true", "false"),
        },
    )


def hidden(name: str, value: Text) -> rx.Component:
    """A field that people do not see."""
    return rx.el.input(type="hidden", name=name, value=value, read_only=True)


def email_field(form: str, *, label: str = "E-mail address", hint: Content | None = None) -> rx.Component:
    return forms.field(
        label,
        "email",
        "email",
        autocomplete="username",
        hint=hint,
        error=error_of(form, "email"),
        form=form,
        inputMode="email",
    )


def password_field(form: str, *, required: bool | rx.Var[bool] = True) -> rx.Component:
    """The password one signs in with."""
    return forms.field(
        "Password",
        "password",
        "password",
        autocomplete="current-password",
        error=error_of(form, "password"),
        required=required,
        max_length=1_000,
        form=form,
    )


def new_password_field(
    form: str, *, label: str = "Password", name: str = "password", error: Text | None = None
) -> rx.Component:
    """A password to be set; says how long it is while it is typed."""
    refused = error_of(form, name) if error is None else error
    return forms.field(
        label,
        name,
        "password",
        autocomplete="new-password",
        hint=_strength(form, refused),
        error=refused,
        max_length=1_000,
        form=form,
        onInput=browser.handler(f'(e) => typed("{form}", e.target.value)', "typed", module=MODULE),
    )


def _strength(form: str, refused: Text) -> rx.Component:
    length = browser.hook(f"{form.replace('-', '_')}_length", f'useLength("{form}")', "useLength", module=MODULE).to(
        int
    )
    missing = (MIN_CHARACTERS - length).to(int)
    return rx.el.span(
        f"{MIN_CHARACTERS} characters or more; a few unrelated words are best. ",
        rx.el.b(
            rx.cond(
                # Long enough is not all: what the server says of it stands below.
                (length == 0) | (rx.Var.create(refused).to(str) != ""),
                "",
                rx.cond(
                    length < MIN_CHARACTERS,
                    rx.Var.create("").to(str) + missing.to(str) + " to go.",
                    rx.cond(length > MAX_CHARACTERS, f"More than {MAX_CHARACTERS}.", length.to(str) + ": long enough."),
                ),
            ),
            class_name="count",
        ),
    )


def next_path() -> rx.Var[str]:
    """Where the visitor wanted to go before they were asked to sign in; `/` unless it is a path of this site."""
    return browser.hook("next", "useNext()", "useNext", module=MODULE).to(str)


def address_problem(form: str) -> rx.Component:
    """What the address says of a form that was sent without the page's script; until it is sent anew."""
    problem = browser.hook("problem", "useProblem()", "useProblem", module=MODULE).to(str)
    state = form_state(form)
    quiet = (member(state, "error") == "") & ~member(state, "busy").to(bool)
    return rx.cond((problem != "") & quiet, forms.notice("error", problem))


def address_done() -> rx.Component:
    """The same, for what was done."""
    return rx.cond(done_said() != "", forms.notice("done", done_said()))


def done_said() -> rx.Var[str]:
    return browser.hook("doneSaid", "useDone()", "useDone", module=MODULE).to(str)


def token() -> tuple[rx.Var[bool], rx.Var[str]]:
    """Whether the address has been read, and the token that it had."""
    found = browser.hook("token", "useToken()", "useToken", module=MODULE)
    return member(found, "ready").to(bool), member(found, "value")


def token_page(page: rx.Component, missing: rx.Component) -> rx.Component:
    """A page for a link in a mail, or what stands there when the link was cut short."""
    ready, value = token()
    return rx.cond(ready & (value == ""), missing, page)


def sent_panel(form: str, *lines: Content, back: str) -> rx.Component:
    """What a form that was sent gives way to; `back` is the button that leads to the form as it was filled in."""
    where = describe(Settings.load())
    return rx.el.div(
        rx.el.div(*(rx.el.p(line) for line in lines), class_name="notice done"),
        rx.el.p("Nothing there after a few minutes? Look into the spam folder.", class_name="soft fine"),
        *([rx.el.p("In development nothing is sent. ", where, ".", class_name="soft fine")] if where else []),
        forms.actions(
            forms.button_plain(
                back, custom_attrs={"onClick": browser.handler(f'() => again("{form}")', "again", module=MODULE)}
            )
        ),
        class_name="sent",
        role="status",
        custom_attrs={"id": f"{form}-sent", "tabIndex": -1},
    )


def trouble() -> rx.Component:
    """Accounts cannot be reached: says so until they can."""
    return rx.cond(
        AccountState.trouble,
        forms.notice("warning", "Accounts cannot be reached at this moment. Trying again: leave this page open."),
    )


def or_line(text: str = "or") -> rx.Component:
    return rx.el.p(rx.el.span(text), class_name="or")


def signed_in_already() -> rx.Component:
    """For pages that lead into an account, where the visitor is in one."""
    return rx.el.div(
        rx.el.p("You are signed in as ", rx.el.b(AccountState.name), "."),
        forms.actions(
            forms.link_button("Go to the markets", "/", primary=True), forms.link_button("Your account", "/account")
        ),
        class_name="sent",
    )


def for_guests(content: rx.Component) -> rx.Component:
    """What leads into an account; who is in one already is told so."""
    return rx.el.div(
        trouble(),
        rx.cond(
            AccountState.signed_in & again(),
            forms.notice("info", "Sign in once more to go on: this asks for a sign-in of the last minutes."),
        ),
        rx.cond(AccountState.signed_in & ~again(), signed_in_already(), content),
        class_name="stack",
    )


def again() -> rx.Var[bool]:
    """Whether somebody who is signed in was sent here to do it again, for what asks for a fresh session."""
    return browser.hook("again", "useAgain()", "useAgain", module=MODULE).to(bool)


def again_link() -> rx.Component:
    """Beside the error of what asks for a fresh session."""
    return rx.el.a("Sign in again", href=AGAIN, class_name="link")


def for_accounts(content: rx.Component, *, why: str, path: str) -> rx.Component:
    """What needs an account. Who has none is asked to sign in, but not before it is known."""
    return rx.cond(
        AccountState.signed_in,
        content,
        rx.cond(
            AccountState.reached & ~AccountState.trouble,
            rx.el.div(
                rx.el.p(why, class_name="lead"),
                forms.actions(
                    forms.link_button("Sign in", f"/login?next={path}", primary=True),
                    forms.link_button("Create a free account", "/register"),
                ),
                class_name="stack prompt",
            ),
            rx.el.div(
                trouble(),
                *(rx.el.div(class_name="section blank", aria_hidden=True) for _ in range(3)),
                rx.el.p("Loading your account", class_name="unseen", role="status"),
                class_name="stack",
            ),
        ),
    )
