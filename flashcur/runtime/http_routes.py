"""The HTTP routes that are not pages: `/health`, `/metrics`, `/api/v1/markets`.

`HttpRoutes.wrap` puts them in front of another ASGI application (Reflex's, through its `api_transformer`); whatever is
not one of these paths goes on to it, with the usual security headers added to what comes back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flashcur.domain.plans import Audience
from flashcur.runtime.health import Health
from flashcur.runtime.market_api import markets_json
from flashcur.runtime.web import WebRuntime
from flashcur.services.metrics import CONTENT_TYPE, Family

logger = logging.getLogger(__name__)

REQUESTS = Family("flashcur_http_requests_total", "Answers of the HTTP routes", ("route", "status"))

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

JSON = "application/json"
AudienceOf = Callable[[Request], Audience]
Handler = Callable[["HttpRoutes", Request], Awaitable[Response]]


class HttpRoutes:
    """The routes of one web process."""

    def __init__(self, runtime: WebRuntime, audience_of: AudienceOf) -> None:
        """`audience_of` says which plan a request is made under."""
        self._runtime = runtime
        self._audience_of = audience_of
        self._health = Health(runtime)
        self._requests: Counter[tuple[str, str]] = Counter()
        self._bodies: dict[Audience, tuple[str, bytes]] = {}
        runtime.metrics.watch(REQUESTS, lambda: dict(self._requests))

    def wrap(self, inner: ASGIApp) -> ASGIApp:
        """`inner` with the routes in front of it."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            guarded = _with_security_headers(send)
            handler = ROUTES.get(scope["path"].rstrip("/"))
            if handler is None:
                await inner(scope, receive, guarded)
                return
            response = await self._answer(handler, Request(scope, receive))
            self._requests[scope["path"].rstrip("/"), str(response.status_code)] += 1
            await response(scope, receive, guarded)

        return app

    async def _answer(self, handler: Handler, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            response = _error(405, f"expected GET, was {request.method}")
            response.headers["Allow"] = "GET, HEAD"
            return response
        try:
            return await handler(self, request)
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("%s failed", request.url.path)
            return _error(500, "an error on the server; it has been logged")

    async def get_health(self, request: Request) -> Response:
        """JSON: what works and what does not; 200 while the newest frame is at most 10 s old and its
        prices are not stale, else 503."""
        available, report = await self._health.report()
        return Response(
            orjson.dumps(report, option=orjson.OPT_INDENT_2),
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
        """JSON: exchange, whether it is demo data, time, and the contracts as the caller's plan allows."""
        audience = self._audience_of(request)
        frame = self._runtime.hub.table(audience)
        if frame is None:
            response = _error(503, "no market data yet: the first frame has not arrived")
            response.headers["Retry-After"] = "1"
            return response
        tag = f'"{audience}-{frame.exchange}-{frame.as_of_ms}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Cookie"}
        if tag in [known.strip().removeprefix("W/") for known in request.headers.get("If-None-Match", "").split(",")]:
            return Response(None, 304, headers)
        kept = self._bodies.get(audience)
        if kept is None or kept[0] != tag:
            kept = self._bodies[audience] = (tag, markets_json(frame, audience))
        return Response(kept[1], 200, headers, JSON)


ROUTES: Mapping[str, Handler] = {
    "/health": HttpRoutes.get_health,
    "/metrics": HttpRoutes.get_metrics,
    "/api/v1/markets": HttpRoutes.get_markets,
}
"""Path to handler; a handler's docstring is its line in docs/operations.md."""


def _error(status: int, message: str) -> Response:
    return Response(orjson.dumps({"error": message}), status, {"Cache-Control": "no-store"}, JSON)


def _with_security_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            present = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in SECURITY_HEADERS if name not in present]
            message = {**message, "headers": headers}
        await send(message)

    return guarded
