"""The server: authentication, versions, idempotency, limits and faults before the API; pages and control beside it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from flashcur.services.billing.sandbox import (
    catalogue,
    checkouts,
    control,
    customers,
    due,
    forms,
    invoices,
    pages,
    records,
    rendering,
    subscriptions,
)
from flashcur.services.billing.sandbox.deliveries import RETRIES_S, Deliveries
from flashcur.services.billing.sandbox.faults import Fault
from flashcur.services.billing.sandbox.ledger import Ledger
from flashcur.services.billing.sandbox.refusals import ApiRefusal, unknown_route
from flashcur.services.billing.sandbox.shop import Shop, wall_clock_s

log = logging.getLogger(__name__)

ROUTES: Final = (
    *customers.ROUTES, *catalogue.ROUTES, *checkouts.ROUTES, *subscriptions.ROUTES, *invoices.ROUTES, *records.ROUTES,
)  # fmt: skip
"""All that the API serves."""
_TICK_S: Final = 1.0


class StripeSandbox:
    """The sandbox on one port. `now` replaces the wall clock (Unix s) in tests."""

    def __init__(
        self,
        *,
        seed: int = 1,
        state: Path | None = None,
        now: Callable[[], int] = wall_clock_s,
        retries_s: tuple[float, ...] = RETRIES_S,
    ) -> None:
        self.ledger = Ledger(seed, state)
        self.deliveries = Deliveries(self.ledger, retries_s)
        self.shop = Shop(self.ledger, self.deliveries, now)
        self.faults: list[Fault] = []
        self.most_requests, self.each_s = 100, 1.0
        """Requests that are answered within `each_s` seconds; one more is refused with 429."""
        self._recent: deque[float] = deque()
        self._answers: dict[str, tuple[str, int, bytes]] = {}
        self._in_flight: set[str] = set()
        self._requests = 0
        self._over = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._ticker: asyncio.Task[None] | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; returns the address. Raises OSError when it cannot."""
        await self.deliveries.start()
        application = web.Application()
        application.add_routes([*control.routes(self), *pages.routes(self.shop, self.save)])
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self.stop()
            raise
        self.shop.base = f"http://{host}:{self._runner.addresses[0][1]}"
        self._ticker = asyncio.get_running_loop().create_task(self._tick())
        return self.shop.base

    async def stop(self) -> None:
        """End it; what is on its way to a webhook is given up."""
        self._over.set()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        await self.deliveries.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        self.save()

    def save(self) -> None:
        """Keep all objects in the file, if there is one."""
        self.ledger.save()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            if due.advance(self.shop, self.shop.clock_s()):
                self.save()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = self._fault_for(request)
        if fault is not None and fault.delay_ms and not fault.after:
            key = request.headers.get("Idempotency-Key", "")
            self._in_flight.add(key)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), fault.delay_ms / 1000)
            self._in_flight.discard(key)
        broken = fault is not None and (fault.status or fault.kind)
        if fault is not None and broken and not fault.after:
            return await self._spoil(request, fault, _failure(fault.status or 500))
        answer = self._api(request, body)
        if fault is not None and broken:
            return await self._spoil(request, fault, _failure(fault.status) if fault.status else answer)
        return answer

    def _fault_for(self, request: web.Request) -> Fault | None:
        for fault in self.faults:
            if fault.path in request.path:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    async def _spoil(self, request: web.Request, fault: Fault, answer: web.Response) -> web.StreamResponse:
        transport = request.transport
        if not fault.kind or transport is None:
            return answer
        if fault.kind == "silent":
            await self._over.wait()
        if fault.kind == "stall":
            body = answer.body if isinstance(answer.body, bytes) else b""
            half = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
            half.content_length = len(body) + 1
            await half.prepare(request)
            await half.write(body)
            await self._over.wait()
        transport.abort()
        return web.Response()

    def _api(self, request: web.Request, body: bytes) -> web.Response:
        self._requests += 1
        headers = {"Request-Id": f"req_{self._requests:014d}"}
        key = request.headers.get("Idempotency-Key", "") if request.method == "POST" else ""
        print_of = f"{request.method} {request.path_qs}\n{body.decode('utf-8', 'replace')}"
        try:
            self._authenticate(request)
            version = request.headers.get("Stripe-Version", rendering.CURRENT)
            if version not in rendering.VERSIONS:
                raise ApiRefusal(f"Invalid Stripe API version: {version}")
            headers["Stripe-Version"] = version
            self._limit()
            if key and key in self._in_flight:
                raise ApiRefusal(
                    f"There is currently another in-progress request using this Idempotent Key ({key}).",
                    status=409, kind="idempotency_error", code="idempotency_key_in_use",
                )  # fmt: skip
            if key and key in self._answers:
                known, status, kept = self._answers[key]
                if known != print_of:
                    raise ApiRefusal(
                        "Keys for idempotent requests can only be used with the same parameters they were first used "
                        f"with. Try using a key other than '{key}' if you meant to execute a different request.",
                        kind="idempotency_error",
                    )
                return _json(kept, status, headers | {"Idempotent-Replayed": "true", "Idempotency-Key": key})
            self.shop.key = key or None
            answer = self._act(request, body, version)
        except ApiRefusal as refusal:
            if refusal.status == 429:
                headers |= {"Stripe-Should-Retry": "true", "Retry-After": "1"}
            answer = json.dumps(refusal.body()).encode()
            if refusal.status == 402 and key:
                # What was tried is answered alike; what was refused before can be put right under the same key.
                self._answers[key] = (print_of, 402, answer)
                self.save()
            return _json(answer, refusal.status, headers)
        finally:
            self.shop.key = None
        if key:
            self._answers[key] = (print_of, 200, answer)
            headers["Idempotency-Key"] = key
        if request.method != "GET":
            self.save()
        return _json(answer, 200, headers)

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        key = given.removeprefix("Bearer ")
        if given.startswith("Basic "):
            with contextlib.suppress(ValueError):
                key = base64.b64decode(given.removeprefix("Basic "), validate=True).decode().partition(":")[0]
        if not key.startswith(("sk_test_", "rk_test_")):
            shown = f"{key[:8]}…" if key else ""
            message = f"Invalid API Key provided: {shown}" if shown else "You did not provide an API key."
            raise ApiRefusal(message, status=401)

    def _limit(self) -> None:
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - self.each_s:
            self._recent.popleft()
        if len(self._recent) >= self.most_requests:
            raise ApiRefusal("Request rate limit exceeded.", status=429, code="rate_limit")
        self._recent.append(now)

    def _act(self, request: web.Request, body: bytes, version: str) -> bytes:
        pairs = [*request.query.items()]
        if request.method == "POST":
            pairs += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        path = request.path.removeprefix("/v1/")
        for route in ROUTES if path != request.path else ():
            object_id = route.match(request.method, path)
            if object_id is None:
                continue
            form = forms.read_form(pairs)
            forms.check(form, route.known)
            made = route.answer(self.shop, form, object_id)
            return json.dumps(rendering.render(self.ledger, made, version, forms.as_list(form.get("expand")))).encode()
        raise unknown_route(request.method, request.path)


def _failure(status: int) -> web.Response:
    kind = "invalid_request_error" if status < 500 else "api_error"
    code = "rate_limit" if status == 429 else ""
    refusal = ApiRefusal("The sandbox was ordered to fail.", status=status, kind=kind, code=code)
    headers = {"Request-Id": "req_fault"} | ({"Retry-After": "1"} if status == 429 else {})
    return _json(json.dumps(refusal.body()).encode(), status, headers)


def _json(body: bytes, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
