"""Menus: the browser opens and closes them (HTML's `popover`), also with Escape and by a click elsewhere."""

from __future__ import annotations

from typing import Any

import reflex as rx

from flashcur.components.kit import browser
from flashcur.components.kit.forms import Content, Text, actions, button_plain

# An entry that was chosen closes its menu; a form closes it when it is sent (`assets/browser/submitted.ts`).
_CLOSE = '(e) => e.target.closest("a, button:not([type=submit])") && e.currentTarget.hidePopover()'


def menu(
    id_: Text,
    opener: Content,
    *content: Content,
    class_name: str,
    label: Content | None = None,
    opener_class: str = "",
) -> rx.Component:
    """A button, and what it opens. `id_` is unique on the page; `label` is read out where `opener` does not say it."""
    attributes: dict[str, Any] = {"popoverTarget": id_}
    if label is not None:
        attributes["aria-label"] = label
    return rx.el.div(
        rx.el.button(opener, type="button", class_name=opener_class, custom_attrs=attributes),
        rx.el.div(*content, custom_attrs={"popover": "auto", "id": id_, "onClick": browser.handler(_CLOSE)}),
        class_name=f"menu {class_name}",
    )


def asked(
    id_: Text, title: str, question: Content, yes: rx.Component, *, label: Content, otherwise: str = "Keep it"
) -> rx.Component:
    """A button that asks before it does something; `otherwise` is the answer that does nothing."""
    return menu(
        id_,
        title,
        rx.el.p(question),
        actions(yes, button_plain(otherwise)),
        class_name="ask",
        label=label,
        opener_class="button",
    )
