"""How a legal page is set: date, contents, numbered sections. The texts stand in `pages/legal_*.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import reflex as rx

from flashcur.components.kit.site import page_frame

Paragraph = str | rx.Component


@dataclass(frozen=True, slots=True)
class Points:
    """A list within a section; a pair is a term and what it means."""

    items: tuple[Paragraph | tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    anchor: str
    title: str
    parts: tuple[Paragraph | Points, ...]


def legal_page(title: str, lead: str, in_force: date, sections: tuple[Section, ...]) -> rx.Component:
    return page_frame(
        rx.el.p("In force since ", rx.el.time(_written(in_force), date_time=in_force.isoformat()), class_name="soft"),
        rx.el.nav(
            rx.el.ol(*(rx.el.li(rx.el.a(part.title, href=f"#{part.anchor}", class_name="link")) for part in sections)),
            aria_label="On this page",
            class_name="contents",
        ),
        *(_section(number, part) for number, part in enumerate(sections, 1)),
        title=title,
        lead=lead,
    )


def _section(number: int, section: Section) -> rx.Component:
    return rx.el.section(
        rx.el.h2(f"{number}. {section.title}"),
        *(_points(part) if isinstance(part, Points) else rx.el.p(part) for part in section.parts),
        class_name="clause",
        custom_attrs={"id": section.anchor},
    )


def _points(points: Points) -> rx.Component:
    return rx.el.ul(
        *(
            rx.el.li(rx.el.b(item[0]), ": ", item[1]) if isinstance(item, tuple) else rx.el.li(item)
            for item in points.items
        )
    )


def _written(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
