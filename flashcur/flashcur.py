"""The Reflex app: routes and lifespan, nothing else."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import reflex as rx
from reflex.app import default_error_boundary
from reflex.config import get_config

from flashcur.components.kit import notice, theme
from flashcur.components.signals.panel import BEFORE_PAINT
from flashcur.pages import (
    account,
    alerts,
    api,
    confirm,
    confirm_change,
    dashboard,
    error,
    forgot,
    legal_privacy,
    legal_risk,
    legal_terms,
    login,
    not_found,
    pricing,
    register,
    reset,
    signals,
    watchlists,
)
from flashcur.services.kit.metrics import SOCKET_REFUSALS, TABS
from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses
from flashcur.state import account as account_state
from flashcur.state import alerts as alert_state
from flashcur.state import market, tabs, visit
from flashcur.state.market import FeedState
from flashcur.state.rules import previews
from flashcur.state.wire import connections, locks
from flashcur.state.wire.broadcast import Broadcaster
from flashcur.state.wire.door import Door, arrival_of
from flashcur.state.wire.failures import log_handler_error, log_page_error, shorten_library_records
from flashcur.state.wire.gate import Gate
from flashcur.state.wire.lifetimes import Lifetimes
from flashcur.state.wire.texts import settled
from flashcur.web.market_hub import MarketHub
from flashcur.web.page import build
from flashcur.web.page.csp import PagePolicy
from flashcur.web.page.first_paint import FirstPaint
from flashcur.web.page.public_address import PublicAddress
from flashcur.web.process import WebRuntime
from flashcur.web.routes.auth import AuthRoutes
from flashcur.web.routes.callbacks import CallbackRoutes
from flashcur.web.routes.files import ExportRoutes
from flashcur.web.routes.push import PushRoutes
from flashcur.web.routes.signals import SignalRoutes
from flashcur.web.routes.table import HttpRoutes
from flashcur.web.routes.telegram import TelegramRoutes

theme.write_stylesheet(Path(__file__).parent.parent / "assets")

app = rx.App(
    stylesheets=["/flashcur.css"],
    reset_style=False,
    toaster=None,
    html_lang="en",
    backend_exception_handler=log_handler_error,
    frontend_exception_handler=log_page_error,
    head_components=[
        rx.el.link(rel="icon", href="/favicon.svg", type="image/svg+xml"),
        rx.el.meta(name="theme-color", content=theme.DARK["ground"]),
        rx.el.script(BEFORE_PAINT),
    ],
    # Reflex's own overlay announces a lost connection with an icon in the corner; the feed's status says it better.
    app_wraps={
        (55, "ErrorBoundary"): lambda stateful: default_error_boundary(fallback_render=rx.Var.create(error.fallback())),
        (50, "Notice"): settled(notice.everywhere),
    },
)
app.add_page(
    settled(dashboard.dashboard),
    route="/",
    title=dashboard.TITLE,
    description=dashboard.DESCRIPTION,
    image="/favicon.svg",
    on_load=FeedState.watch_table,
)
# Pages without the table. As they are built they are the same for everyone: what differs comes over the socket.
for route, page, about in (
    ("/pricing", pricing.pricing, pricing),
    ("/login", login.login, login),
    ("/register", register.register, register),
    ("/confirm", confirm.confirm, confirm),
    ("/forgot", forgot.forgot, forgot),
    ("/reset", reset.reset, reset),
    ("/confirm-change", confirm_change.confirm_change, confirm_change),
    ("/account", account.account, account),
    ("/watchlists", watchlists.watchlists, watchlists),
    ("/signals", signals.signals, signals),
    ("/alerts", alerts.alerts, alerts),
    ("/api", api.api, api),
    ("/legal/terms", legal_terms.legal_terms, legal_terms),
    ("/legal/privacy", legal_privacy.legal_privacy, legal_privacy),
    ("/legal/risk", legal_risk.legal_risk, legal_risk),
    ("404", not_found.not_found, not_found),
):
    app.add_page(
        settled(page),
        route=route,
        title=about.TITLE,
        description=about.DESCRIPTION,
        image="/favicon.svg",
        on_load=FeedState.watch_feed,
    )

settings = Settings.load()
config = get_config()
where = Addresses(config.deploy_url or "", config.api_url, tuple(config.cors_allowed_origins))
runtime = WebRuntime(settings, MarketHub(), where)
visitors = runtime.visitors
broadcaster = Broadcaster(app, runtime.hub, runtime.signals)
market.connect(runtime.hub, runtime.signals, broadcaster, visitors)
visit.connect(runtime, broadcaster.tell, partial(arrival_of, app))
runtime.watch_broadcast(broadcaster.counters)
visitors.listen(tabs.follow(broadcaster, visitors))
visitors.ask_presence(broadcaster.has_tab)
account_state.connect(runtime.senders)
runtime.alerts.ask_presence(alert_state.has_tab(broadcaster, visitors))
runtime.alerts.listen(alert_state.follow(broadcaster, visitors))
lifetimes = Lifetimes(app)
lifetimes.install()
lifetimes.listen(previews.cancel)
runtime.attend("tabs", lifetimes.run)
gate = Gate(
    app,
    visitor_of=lambda sid: visitors.known(arrival_of(app, sid).visitor),
    has_room=lifetimes.make_room,
    proxy_hops=settings.proxy_hops,
)
door = Door(visitors.key_of, visitors.look_up, admits=gate.admits_connection, proxy_hops=settings.proxy_hops)
gate.install()
connections.install(app)
locks.install(app)
shorten_library_records()
runtime.metrics.watch(SOCKET_REFUSALS, lambda: {(reason,): count for reason, count in gate.refused.items()})
runtime.metrics.watch(TABS, lambda: {("open",): lifetimes.open, ("kept",): lifetimes.kept})
app.register_lifespan_task(runtime.lifespan)

# The first one stands right before Reflex, the last one is the outermost: nothing behind it learns under which name a
# request came. The headers of the routes are on every answer.
app.api_transformer = (
    door.wrap,
    lambda asgi: FirstPaint(asgi, runtime.hub, build.CLIENT / "index.html", visitors),
    HttpRoutes(
        runtime,
        AuthRoutes(runtime),
        ExportRoutes(runtime),
        SignalRoutes(runtime),
        CallbackRoutes(runtime),
        TelegramRoutes(runtime),
        PushRoutes(runtime),
        page_policy=PagePolicy(build.CLIENT, config.api_url),
    ).wrap,
    lambda asgi: PublicAddress(asgi, where.backend, build.CLIENT),
)
