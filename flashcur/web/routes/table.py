"""The HTTP routes that are not pages.

`HttpRoutes.wrap` puts them in front of another ASGI application (Reflex's, through its `api_transformer`); whatever is
not one of these paths goes on to it, with the usual security headers added to what comes back.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Callable
from typing import ClassVar

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flashcur.domain.assets import Assets, assets_named
from flashcur.domain.exports import api_json
from flashcur.domain.plans import Audience
from flashcur.errors import Refusal, SignInNeeded
from flashcur.services.kit.metrics import CONTENT_TYPE, Family
from flashcur.settings import Secret
from flashcur.web.api.callers import api_caller
from flashcur.web.api.openapi import document
from flashcur.web.api.schema import MARKET_PARAMETERS
from flashcur.web.health import Health, in_words
from flashcur.web.page.csp import MINIMAL, WORKER, WORKER_PATH
from flashcur.web.process import WebRuntime
from flashcur.web.routes.auth import AuthRoutes
from flashcur.web.routes.base import JSON, Route, RouteGroup, error, refused, tagged
from flashcur.web.routes.callbacks import CallbackRoutes
from flashcur.web.routes.files import ExportRoutes
from flashcur.web.routes.push import PushRoutes
from flashcur.web.routes.signals import SignalRoutes
from flashcur.web.routes.telegram import TelegramRoutes

logger = logging.getLogger(__name__)

REQUESTS = Family("flashcur_http_requests_total", "Answers of the HTTP routes", ("route", "status"))

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
HSTS = (b"strict-transport-security", b"max-age=31536000")
"""Only where the public address is https. Without subdomains, which may be somebody else's."""


class HttpRoutes(RouteGroup):
    """The routes of one web process."""

    def __init__(
        self, runtime: WebRuntime, *groups: RouteGroup, page_policy: Callable[[], str] = lambda: MINIMAL
    ) -> None:
        """`groups` are more routes; `page_policy` says what a page may load and run."""
        self._runtime = runtime
        self._routes: dict[str, dict[str, tuple[RouteGroup, Route]]] = {}
        for group in (self, *groups):
            for route in group.ROUTES:
                self._routes.setdefault(route.path, {})[route.method] = (group, route)
        self._parameters: dict[str, str] = {}
        """By all that stands before it, the name of the parameter at the end of a path."""
        for path in self._routes:
            if path.endswith("}"):
                parent, _, name = path.rpartition("/")
                self._parameters[parent] = name[1:-1]
        self._page_policy = page_policy
        https = (runtime.settings.public_url or "").startswith("https:")
        self._headers = (*SECURITY_HEADERS, HSTS) if https else SECURITY_HEADERS
        self._health = Health(runtime)
        described = orjson.dumps(document(ALL_ROUTES))
        self._openapi = (f'"{hashlib.sha256(described).hexdigest()[:24]}"', described)
        self._requests: Counter[tuple[str, str]] = Counter()
        self._bodies: dict[tuple[Audience, Assets], tuple[str, bytes]] = {}
        runtime.metrics.watch(REQUESTS, lambda: dict(self._requests))

    def wrap(self, inner: ASGIApp) -> ASGIApp:
        """`inner` with the routes in front of it."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            guarded = self._with_security_headers(send, WORKER if scope["path"] == WORKER_PATH else MINIMAL)
            path = scope["path"].rstrip("/")
            found = self._find(path)
            if found is None:
                await inner(scope, receive, guarded)
                return
            known_as, values = found
            scope["path_params"] = values
            response = await self._answer(self._routes[known_as], Request(scope, receive))
            self._requests[known_as, str(response.status_code)] += 1
            await response(scope, receive, guarded)

        return app

    def _find(self, path: str) -> tuple[str, dict[str, str]] | None:
        """The path as its route writes it, and the parameter in it; None where there is no such route."""
        # Somebody may ask for the very words of a path with a parameter: these are one, too.
        if path in self._routes and not path.endswith("}"):
            return path, {}
        parent, _, last = path.rpartition("/")
        below = self._parameters.get(parent)
        return None if below is None or not last else (f"{parent}/{{{below}}}", {below: last})

    def _with_security_headers(self, send: Send, policy_of_others: str) -> Send:
        """`policy_of_others`: of what is no page."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[tuple[bytes, bytes]] = list(message.get("headers", []))
                present = {name.lower(): value for name, value in headers}
                is_page = present.get(b"content-type", b"").startswith(b"text/html")
                added = list(self._headers)
                # A browser applies what comes with a 304 to the page it has kept, whose own policy has to stay.
                if message["status"] != 304:
                    policy = self._page_policy() if is_page else policy_of_others
                    added.append((b"content-security-policy", policy.encode()))
                headers += [header for header in added if header[0] not in present]
                message = {**message, "headers": headers}
            await send(message)

        return guarded

    async def _answer(self, methods: dict[str, tuple[RouteGroup, Route]], request: Request) -> Response:
        found = methods.get("GET" if request.method == "HEAD" else request.method)
        if found is None:
            allowed = [name for known in methods for name in ((known, "HEAD") if known == "GET" else (known,))]
            response = error(405, f"expected {' or '.join(allowed)}, was {request.method}")
            response.headers["Allow"] = ", ".join(allowed)
            return response
        group, route = found
        try:
            return await route.handler(group, request)
        except asyncio.CancelledError:
            raise
        except Refusal as refusal:
            return refused(refusal)
        except ClientDisconnect:
            return error(400, "the connection was closed before all had come")
        except Exception:
            logger.exception("%s failed", request.scope["path"])
            return error(500, "an error on the server; it has been logged")

    async def get_health(self, request: Request) -> Response:
        """JSON: what works and what does not; 200 while the newest frame is at most 10 s old and its
        prices are not stale, else 503. In words; all that is known with `Authorization: Bearer` and the operator's
        token."""
        everything = self._is_operator(request)
        available, report = await self._health.report()
        return Response(
            orjson.dumps(report if everything else in_words(report), option=orjson.OPT_INDENT_2),
            200 if available else 503,
            {"Cache-Control": "no-store"},
            JSON,
        )

    async def get_metrics(self, request: Request) -> Response:
        """Counters, gauges and durations as Prometheus text."""
        # Read on the event loop: the counts are its own.
        return Response(
            self._runtime.metrics.render(), 200, {"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE}
        )

    async def get_markets(self, request: Request) -> Response:
        """JSON: exchange, whether it is demo data, time, and the contracts as the caller's plan allows. A program sends
        `Authorization: Bearer` and a key of its account; without key and session the caller is a guest. `assets=tradfi`
        asks for stocks, commodities and currencies instead of crypto."""
        audience = (await api_caller(self._runtime, request)).audience
        try:
            assets = assets_named(request.query_params.get("assets", "crypto"))
        except ValueError as problem:
            return error(400, str(problem))
        frame = self._runtime.hub.table(audience)
        if frame is None:
            return error(503, "no market data yet: the first frame has not arrived", retry_after=1)
        tag = f'"{audience}-{assets}-{frame.exchange}-{frame.as_of_ms}"'

        def body() -> bytes:
            kept = self._bodies.get((audience, assets))
            if kept is None or kept[0] != tag:
                kept = self._bodies[audience, assets] = (tag, api_json(frame, audience, assets))
            return kept[1]

        return tagged(request, tag, body)

    async def get_openapi(self, request: Request) -> Response:
        """JSON: the API as an OpenAPI 3.1 document, made from its code."""
        return tagged(request, self._openapi[0], lambda: self._openapi[1])

    def _is_operator(self, request: Request) -> bool:
        """Whether the operator's token came. Raises SignInNeeded for another one.

        What is no bearer's is another's business: a proxy's own sign-in, which it passes on.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        if Secret(token.strip()) != self._runtime.settings.operator_token:
            raise SignInNeeded("expected `Authorization: Bearer` and the token in FLASHCUR_OPERATOR_TOKEN")
        return True

    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route("GET", "/health", get_health),
        Route("GET", "/metrics", get_metrics),
        Route("GET", "/api/v1/markets", get_markets, parameters=MARKET_PARAMETERS, answers="Markets"),
        Route("GET", "/api/v1/openapi.json", get_openapi),
    )


ALL_ROUTES: tuple[Route, ...] = (
    *HttpRoutes.ROUTES,
    *SignalRoutes.ROUTES,
    *AuthRoutes.ROUTES,
    *ExportRoutes.ROUTES,
    *CallbackRoutes.ROUTES,
    *TelegramRoutes.ROUTES,
    *PushRoutes.ROUTES,
)
"""Every route; the docs and the test of who may call what are drawn from it."""
