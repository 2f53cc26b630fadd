"""The frame of every page that is not the dashboard: header, one column of content, footer."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit.shell import header

CONTENT = "content"
"""Id of the page's main part, where the skip link leads."""

FOOTER_LINKS = (
    ("Markets", "/"),
    ("Signals", "/signals"),
    ("Alerts", "/alerts"),
    ("Pricing", "/pricing"),
    ("API", "/api"),
    ("Terms", "/legal/terms"),
    ("Privacy", "/legal/privacy"),
    ("Risk", "/legal/risk"),
)


def page_frame(
    *children: rx.Component | rx.Var | str,
    title: str | rx.Var[str] | None = None,
    lead: str | rx.Var[str] | rx.Component | None = None,
    wide: bool = False,
    narrow: bool = False,
) -> rx.Component:
    """A whole page: `title` is its heading, `lead` the sentence below it.

    The content is as wide as text reads well; `wide` is for tables and cards side by side, `narrow` for one form.
    """
    width = " wide" if wide else " narrow" if narrow else ""
    return rx.el.div(
        rx.el.a("Skip to the content", href=f"#{CONTENT}", class_name="skip"),
        header(),
        rx.el.main(
            *([] if title is None else [rx.el.h1(title)]),
            *([] if lead is None else [rx.el.p(lead, class_name="lead")]),
            *children,
            class_name=f"content{width}",
            custom_attrs={"id": CONTENT},
        ),
        footer(),
        class_name="site",
    )


def footer() -> rx.Component:
    return rx.el.footer(
        rx.el.nav(*(rx.el.a(title, href=href) for title, href in FOOTER_LINKS), aria_label="Footer"),
        rx.el.p("Not investment advice."),
        class_name="foot",
    )


def link(text: str | rx.Var[str] | rx.Component, href: str | rx.Var[str]) -> rx.Component:
    """A link within text."""
    return rx.el.a(text, href=href, class_name="link")
