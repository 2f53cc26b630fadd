"""Small drawings of lines."""

from __future__ import annotations

from typing import Any

import reflex as rx


def outline(*paths: str | rx.Component, **attributes: Any) -> rx.Component:
    """A drawing on 24 by 24 units in the colour of the text; each path as SVG writes it, or a component.

    Nobody is read it aloud. `attributes` go to the svg.
    """
    look = {"fill": "none", "stroke": "currentColor", "stroke_width": "1.8", "stroke_linecap": "round"}
    drawn = (rx.el.path(d=path) if isinstance(path, str) else path for path in paths)
    return rx.el.svg(*drawn, view_box="0 0 24 24", aria_hidden=True, **look | attributes)
