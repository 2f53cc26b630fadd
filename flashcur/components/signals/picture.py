"""The small picture of the hours around a signal, drawn from `SignalState.picture`."""

from __future__ import annotations

import reflex as rx

from flashcur.components.kit.texts import untranslated
from flashcur.domain.signals.picture import HEIGHT, WIDTH
from flashcur.state.signal import SignalState


def picture() -> rx.Component:
    """A figure, or a line that says why there is none."""
    parts = SignalState.picture
    shapes = rx.el.svg(
        *(rx.el.path(d=parts[name], class_name=name) for name in ("bars", "marked", "ground", "curve")),
        view_box=f"0 0 {WIDTH:g} {HEIGHT:g}",
        preserve_aspect_ratio="none",
        role="img",
        aria_label=parts["description"],
    )
    return rx.fragment(
        rx.cond(
            parts.contains("caption"),
            rx.el.figure(
                rx.el.div(
                    shapes,
                    rx.cond(
                        parts["line"] != "",
                        untranslated(
                            parts["line_text"],
                            element=rx.el.div,
                            class_name="limit",
                            custom_attrs={"style": rx.Var.create({"top": parts["line"]})},
                        ),
                    ),
                    rx.cond(
                        parts["curve"] != "",
                        rx.el.div(class_name="moment", custom_attrs={"style": rx.Var.create({"left": parts["mark"]})}),
                    ),
                    class_name="plot",
                ),
                untranslated(
                    rx.el.span(parts["first"]), rx.el.span(parts["end"]), element=rx.el.div, class_name="axis"
                ),
                rx.el.figcaption(parts["caption"]),
                class_name="picture",
            ),
        ),
        rx.cond(SignalState.picture_note != "", rx.el.p(SignalState.picture_note, class_name="soft fine")),
    )
