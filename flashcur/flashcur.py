"""The Reflex app: routes and lifespan, nothing else."""

from __future__ import annotations

from pathlib import Path

import reflex as rx

from flashcur.components import theme
from flashcur.pages import dashboard
from flashcur.state.market import MarketState

theme.write_stylesheet(Path(__file__).parent.parent / "assets")

app = rx.App(stylesheets=["/flashcur.css"], reset_style=False, toaster=None, html_lang="en")
app.add_page(
    dashboard.dashboard,
    route="/",
    title=dashboard.TITLE,
    description=dashboard.DESCRIPTION,
    on_load=MarketState.watch,
)
