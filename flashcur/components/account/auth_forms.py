"""The forms that lead into an account: posted to a route, which answers with what is wrong or where to go next.

They work before the page's script does: the browser then posts them by itself, and the answer is a redirect.
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.config import get_config

from flashcur.components.kit import browser, forms
from flashcur.components.kit.browser import maybe, member
from flashcur.components.kit.forms import Content, Text
from flashcur.components.kit.texts import untranslated
from flashcur.errors import SignInAgain
from flashcur.services.accounts.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from flashcur.services.notify import describe
from flashcur.settings import Settings
from flashcur.state.account import AccountState

PROBLEMS = {
    "wrong": "The address or the password is not right.",
    "conflict": "That was changed or used in the meantime: look again.",
    "throttled": "Too many attempts: wait a few minutes, then try again.",
    "unavailable": "FlashCur cannot do this right now, and nothing was changed: try again in a moment.",
    "invalid": "Something in the form was not right: look it over and try again.",
}
"""A form that was sent before the page's script had started is answered with a word in the address."""
DONE = {
    "reset": "Your password is set. Other devices are signed out.",
    "deleted": "Your account and all that belonged to it is deleted.",
    "1": "Your address is changed.",
    "0": "One of the two links is opened. Now open the link in the mail to the other address.",
}
SENT = "We have sent a link to the address that you gave: look into its mailbox."


class PostedForm(rx.el.Div):
    """A form without Reflex's submit handler, which would keep the browser from posting it."""

    tag = "form"


def form_state(name: str) -> rx.Var[Any]:
    """How far a posted form is: `busy`, `error`, `field`, `asked`, and the last `answer`."""
    return browser.hook(f"{name.replace('-', '_')}_form", "forms", "useForm", name)


def answer(name: str, part: str) -> rx.Var[str]:
    """A part of the last answer to a form; empty where there is none."""
    return maybe(member(form_state(name), "answer"), part).to(str)


def sent(name: str) -> rx.Var[str]:
    """What a form's answer said, such as the address a link went to; empty until then."""
    return answer(name, "sent")


def error_of(name: str, field: str) -> rx.Var[str]:
    """What is wrong with a field of a form."""
    state = form_state(name)
    return rx.cond(member(state, "field") == field, member(state, "error"), "").to(str)


def stuck(name: str, **ways: rx.Component) -> rx.Component | rx.Var[Any]:
    """Ways out of an error that a form cannot mend: `link` (it is dead) or `conflict`; the form has given way."""
    return rx.match(answer(name, "why"), *ways.items(), rx.fragment())


def asked(name: str, field: str) -> rx.Var[bool]:
    """Whether the server has asked for a field that is not always needed."""
    return (member(form_state(name), "asked") == field).to(bool)


def posted_form(
    name: str,
    path: str,
    *children: Content,
    submit: Text,
    busy: Text,
    danger: bool = False,
    says_what_is_wrong: bool = True,
    ready: rx.Var[bool] | None = None,
    **attributes: Any,
) -> rx.Component:
    """A form that is posted to a route; its children are the fields, `attributes` are the form's own (`encType`).

    `ready`: whether what it needs of the page's address is in it, which it is once the page is alive; a click before
    would post it without.
    """
    state = form_state(name)
    port = browser.backend_port()
    working = member(state, "busy").to(bool)
    general = rx.cond(member(state, "field") == "", member(state, "error"), "").to(str)
    return PostedForm.create(
        *children,
        *([rx.cond(general != "", forms.notice("error", general))] if says_what_is_wrong else []),
        (forms.button_danger if danger else forms.button_primary)(
            rx.cond(working, busy, submit),
            # Not `disabled`, which would take the focus away from who uses the keyboard; the script sends it once.
            custom_attrs={"aria-disabled": rx.cond(working, "true", "false")},
            **({} if ready is None else {"disabled": ~ready}),
        ),
        class_name="form",
        custom_attrs={
            "method": "post",
            "action": f"{get_config().api_url}{path}" if port else path,
            "onSubmit": browser.handler(f'(e) => submitTo(e, "{name}", "{path}", {port})', forms="submitTo"),
            "data-form": name,
            # Nothing in it can help any more: only what is wrong stays.
            "data-stuck": rx.cond(answer(name, "why") != "", "true", "false"),
            **attributes,
        },
    )


def hidden(name: str, value: Text) -> rx.Component:
    """A field that people do not see."""
    return rx.el.input(type="hidden", name=name, value=value, read_only=True)


def email_field(form: str, *, label: str = "Email address", hint: Content | None = None) -> rx.Component:
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
        onInput=browser.handler(f'(e) => typed("{form}", e.target.value)', fields="typed"),
    )


def _strength(form: str, refused: Text) -> rx.Component:
    length = browser.hook(f"{form.replace('-', '_')}_length", "fields", "useLength", form).to(int)
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
    return browser.hook("next", "address", "useNext").to(str)


def onward(page: str, next_: rx.Var[str] | None = None) -> rx.Var[str]:
    """The address of a page that leads into an account, which goes on to `next_`, or where this page does."""
    return browser.function("address", "onward").call(page, next_path() if next_ is None else next_).to(str)


def address_problem(form: str) -> rx.Component:
    """What the address says of a form that was sent without the page's script; until it is sent anew."""
    word = parameter("problem")
    problem = rx.match(word, ("", ""), *PROBLEMS.items(), PROBLEMS["invalid"]).to(str)
    state = form_state(form)
    quiet = (member(state, "error") == "") & ~member(state, "busy").to(bool)
    return rx.cond((problem != "") & quiet, forms.notice("error", problem))


def address_done() -> rx.Component:
    """The same, for what was done."""
    return rx.cond(done_said() != "", forms.notice("done", done_said()))


def done_said() -> rx.Var[str]:
    done = rx.match(parameter("done"), *DONE.items(), "")
    return rx.cond(parameter("sent") == "1", SENT, done).to(str)


def parameter(name: str) -> rx.Var[str]:
    """A parameter of the page's address; empty without it."""
    return browser.hook(f"{name}_asked", "address", "useParameter", name).to(str)


def token() -> tuple[rx.Var[bool], rx.Var[str]]:
    """Whether the address has been read, and the token that it had."""
    found = browser.hook("token", "address", "useToken")
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
            forms.button_plain(back, custom_attrs={"onClick": browser.handler(f'() => again("{form}")', forms="again")})
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
        rx.el.p("You are signed in as ", untranslated(AccountState.name, element=rx.el.b), "."),
        forms.actions(
            forms.link_button(
                rx.cond(next_path() == "/", "Go to the markets", "Go on"),
                next_path(),
                primary=True,
            ),
            forms.link_button("Your account", "/account"),
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
    return (parameter("again") == "1").to(bool)


def again_link() -> rx.Component:
    """Beside the error of what asks for a fresh session."""
    target, text = SignInAgain.way_out
    return rx.el.a(text, href=target, class_name="link")


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
                    forms.link_button("Create a free account", f"/register?next={path}"),
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
