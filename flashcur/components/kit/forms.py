"""The form kit: fields, buttons, notices and cards of settings, all of plain elements.

A field's id is its name, with `form` in front where two forms of a page have fields of the same name. Ids are set as
plain attributes: a Reflex `id` would add a second copy of each value, and of each password, to what a submit handler
is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import reflex as rx

from flashcur.components.kit import browser

Text = str | rx.Var[str]
Content = rx.Component | rx.Var | str


def form(*children: Content, **props: Any) -> rx.Component:
    """A column of fields: with `action` and `method` the browser posts it, with `on_submit` a handler gets it."""
    return rx.el.form(*children, class_name="form", **props)


def field(
    label: Text,
    name: str,
    type_: str = "text",
    *,
    autocomplete: str,
    hint: Content | None = None,
    error: Text | None = None,
    required: bool | rx.Var[bool] = True,
    value: Text | None = None,
    placeholder: str = "",
    max_length: int = 254,
    form: str = "",
    **attributes: Any,
) -> rx.Component:
    """A labelled input of one line; `password` has a button that shows what was typed.

    `value` is what it starts with. `attributes` go to the input under their HTML names (`inputMode`, `pattern`,
    `onChange`, …).
    """
    own = _id(name, form)
    control = rx.el.input(
        type=type_,
        name=name,
        auto_complete=autocomplete,
        required=required,
        max_length=max_length,
        class_name="input",
        custom_attrs={
            **_described(own, hint, error),
            **_typed_plainly(type_),
            **({"placeholder": placeholder} if placeholder else {}),
            **({} if value is None else {"defaultValue": value}),
            **attributes,
        },
    )
    if type_ == "password":
        control = rx.el.div(control, _reveal(own), class_name="with-reveal")
    return _labelled(label, own, control, hint, error, optional=required is False)


def segmented(
    name: str,
    options: Sequence[tuple[str, Content]],
    *,
    label: str,
    selected: str | rx.Var[str] | None = None,
    **attributes: Any,
) -> rx.Component:
    """A choice of one among few, side by side; `options` are (value, title), the first is chosen unless `selected`.

    Plain radio buttons: CSS can follow the choice with `:has([name="…"][value="…"]:checked)`.
    """
    first = options[0][0] if selected is None else selected
    return rx.el.fieldset(
        rx.el.legend(label, class_name="unseen"),
        *(
            rx.el.label(
                rx.el.input(
                    type="radio", name=name, value=value, default_checked=first == value, custom_attrs={**attributes}
                ),
                rx.el.span(title),
            )
            for value, title in options
        ),
        class_name="segmented",
    )


def button_primary(*children: Content, type_: str = "submit", **props: Any) -> rx.Component:
    """The one thing a form or card is for."""
    return rx.el.button(*children, type=type_, class_name="button primary", **props)


def button_plain(*children: Content, type_: str = "button", **props: Any) -> rx.Component:
    return rx.el.button(*children, type=type_, class_name="button", **props)


def button_danger(*children: Content, type_: str = "submit", **props: Any) -> rx.Component:
    """For what cannot be undone. Not red, which means direction: inverted, and its text says what it does."""
    return rx.el.button(*children, type=type_, class_name="button danger", **props)


def link_button(text: Content, href: Text, *, primary: bool = False, **props: Any) -> rx.Component:
    """A link that looks like a button."""
    return rx.el.a(text, href=href, class_name="button primary" if primary else "button", **props)


def actions(*children: Content) -> rx.Component:
    """Buttons and links below a form, side by side where there is room."""
    return rx.el.div(*children, class_name="actions")


Kind = Literal["info", "done", "warning", "error"]


def notice(kind: Kind, *children: Content) -> rx.Component:
    """A message above or below what it is about; `error` is read aloud at once, the others when there is a pause."""
    return rx.el.div(*children, role="alert" if kind == "error" else "status", class_name=f"notice {kind}")


def section(
    title: Text,
    *children: Content,
    description: Content | None = None,
    id_: str | None = None,
    land: str | None = None,
) -> rx.Component:
    """A card of settings; `id_` is where a link can lead (`/account#plan`).

    `land` is the kind of its heading, where the keyboard goes when what had it in the card was removed
    (`assets/browser/focus.ts`).
    """
    attributes = {"id": id_, "data-leave": land}
    return rx.el.section(
        rx.el.header(
            # No key does anything there.
            rx.el.h2(title) if land is None else rx.el.h2(title, tab_index=-1, custom_attrs={"data-land": land}),
            *([] if description is None else [rx.el.p(description)]),
        ),
        *children,
        class_name="section",
        custom_attrs={name: value for name, value in attributes.items() if value is not None},
    )


def definition_rows(*rows: tuple[Content, Content] | tuple[Content, Content, Content]) -> rx.Component:
    """Names and values, a line each; a third entry is what can be done about it, such as a button."""
    return rx.el.dl(*(definition_row(*row) for row in rows), class_name="rows-of")


def definition_row(name: Content, value: Content, action: Content | None = None) -> rx.Component:
    """One line for a list that is made with `rx.foreach`: `rx.el.dl(rx.foreach(…), class_name="rows-of")`."""
    return rx.el.div(
        rx.el.dt(name),
        rx.el.dd(value),
        *([] if action is None else [rx.el.dd(action, class_name="action")]),
    )


def _id(name: str, form: str) -> str:
    return f"{form}-{name}" if form else name


def _described(own: str, hint: Content | None, error: Text | None) -> dict[str, Any]:
    by = " ".join(
        f"{own}-{part}" for part, there in (("hint", hint is not None), ("error", error is not None)) if there
    )
    described: dict[str, Any] = {"id": own}
    if by:
        described["aria-describedby"] = by
    if error is not None:
        described["aria-invalid"] = rx.cond(error, "true", "false")
    return described


def _typed_plainly(type_: str) -> dict[str, str]:
    """Addresses and passwords are neither corrected nor capitalised."""
    return {"autoCapitalize": "none", "spellCheck": "false"} if type_ in ("email", "password", "url") else {}


def _labelled(
    label: Text, own: str, control: rx.Component, hint: Content | None, error: Text | None, *, optional: bool = False
) -> rx.Component:
    return rx.el.div(
        rx.el.label(label, *([rx.el.span(" optional")] if optional else []), html_for=own),
        control,
        *([] if hint is None else [rx.el.p(hint, class_name="hint", custom_attrs={"id": f"{own}-hint"})]),
        # Always there: a screen reader only announces what changes in an alert it knows.
        *(
            []
            if error is None
            else [rx.el.p(error, class_name="error", role="alert", custom_attrs={"id": f"{own}-error"})]
        ),
        class_name="entry",
    )


def _reveal(own: str) -> rx.Component:
    return rx.el.button(
        rx.el.span("Show", class_name="show", aria_hidden=True),
        rx.el.span("Hide", class_name="hide", aria_hidden=True),
        type="button",
        class_name="reveal",
        aria_label="Show the password",
        custom_attrs={
            "aria-pressed": "false",
            "aria-controls": own,
            "onClick": browser.function("fields", "revealPassword"),
        },
    )
