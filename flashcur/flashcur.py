"""The Reflex app: routes and lifespan, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import reflex as rx
from reflex.app import default_error_boundary

from flashcur import frontend
from flashcur.components import theme
from flashcur.domain.plans import Audience
from flashcur.pages import dashboard, not_found
from flashcur.runtime.first_paint import FirstPaint
from flashcur.runtime.http_routes import HttpRoutes
from flashcur.runtime.market_hub import MarketHub
from flashcur.runtime.web import WebRuntime
from flashcur.settings import Settings
from flashcur.state import market
from flashcur.state.broadcast import Broadcaster
from flashcur.state.market import FeedState

theme.write_stylesheet(Path(__file__).parent.parent / "assets")

app = rx.App(
    stylesheets=["/flashcur.css"],
    reset_style=False,
    toaster=None,
    html_lang="en",
    head_components=[
        rx.el.link(rel="icon", href="/favicon.svg", type="image/svg+xml"),
        rx.el.meta(name="theme-color", content=theme.DARK["ground"]),
    ],
    # Reflex's own overlay announces a lost connection with an icon in the corner; the feed's status says it better.
    app_wraps={(55, "ErrorBoundary"): lambda stateful: default_error_boundary()},
)
app.add_page(
    dashboard.dashboard,
    route="/",
    title=dashboard.TITLE,
    description=dashboard.DESCRIPTION,
    image="/favicon.svg",
    on_load=FeedState.watch_table,
)
app.add_page(
    not_found.not_found, route="404", title="Not found: FlashCur", image="/favicon.svg", on_load=FeedState.watch_feed
)

settings = Settings.load()
audience: Audience = cast("Audience", settings.dev_audience)
runtime = WebRuntime(settings, MarketHub())
broadcaster = Broadcaster(app, runtime.hub)
market.connect(runtime.hub, broadcaster, audience)
runtime.watch_broadcast(broadcaster.counters)
app.register_lifespan_task(runtime.lifespan)
# The last one is the outermost: its headers are on every answer.
app.api_transformer = (
    lambda asgi: FirstPaint(asgi, runtime.hub, frontend.CLIENT / "index.html", lambda scope: audience),
    HttpRoutes(runtime, lambda request: audience).wrap,
)
