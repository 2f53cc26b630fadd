"""HTTP routes for people and tests in other processes: order faults, ask what was sent. Loopback only."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Final, Protocol, cast

from aiohttp import web

from flashcur.services.kit.control_routes import bad_order, loopback_only
from flashcur.services.simulator.faults import Faults
from flashcur.services.simulator.market import Market
from flashcur.services.simulator.recorder import KINDS, Kind, Sent
from flashcur.services.simulator.rest import Rest
from flashcur.services.simulator.streams import Streams

ACTIONS: Final = (
    "silence", "speak", "disconnect_all", "refuse", "rate_limit", "server_error", "latency", "garbage", "duplicate",
    "reorder", "volume_spike", "price_jump", "set_price", "release_price", "oi_jump", "set_funding", "delist",
    "list_new", "clear",
)  # fmt: skip
"""`POST /_control/<action>` with a JSON object of arguments calls the method of that name of `Faults`."""


class Controlled(Protocol):
    """What the routes show and order of an exchange."""

    @property
    def market(self) -> Market:
        """Its contracts."""
        ...

    @property
    def streams(self) -> Streams:
        """Its WebSockets."""
        ...

    @property
    def rest(self) -> Rest:
        """Its HTTP endpoints."""
        ...

    @property
    def faults(self) -> Faults:
        """What is broken, and what can be."""
        ...

    def now_ms(self) -> int:
        """Its clock, Unix ms."""
        ...

    def sent(self, symbol: str, limit: int, kind: Kind | None) -> list[Sent]:
        """The last messages sent about a contract, oldest first."""
        ...


class Control:
    """The control routes of one exchange."""

    def __init__(self, exchange: Controlled) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """`GET /_control/state`, `GET /_control/last`, `POST /_control/{action}`."""
        return [
            web.get("/_control/state", loopback_only(self._state)),
            web.get("/_control/last", loopback_only(self._last)),
            web.post("/_control/{action}", loopback_only(self._act)),
        ]

    async def _state(self, request: web.Request) -> web.Response:
        exchange = self._exchange
        connections = [{"streams": len(c.streams), "live": c.live} for c in exchange.streams.connections]
        return web.json_response(
            {
                "now_ms": exchange.now_ms(),
                "symbols": sum(c.spec.wanted for c in exchange.market.trading()),
                "connections": connections,
                "used_weight": exchange.rest.limiter.used,
                "faults": exchange.faults.active(),
            }
        )

    async def _last(self, request: web.Request) -> web.Response:
        symbol, limit = request.query.get("symbol", ""), request.query.get("limit", "100")
        wanted = request.query.get("kind")
        kind: Kind | None = next((k for k in KINDS if k == wanted), None)
        if not symbol or not limit.isdigit() or (wanted is not None and kind is None):
            return bad_order(
                f"expected symbol, limit ≥ 0 and kind among {', '.join(KINDS)}, was {request.query_string!r}"
            )
        sent = self._exchange.sent(symbol, int(limit), kind)
        return web.json_response([dataclasses.asdict(entry) for entry in sent])

    async def _act(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        if action not in ACTIONS:
            return web.json_response({"error": f"expected one of {', '.join(ACTIONS)}, was {action!r}"}, status=404)
        try:
            body: object = await request.json() if request.can_read_body else {}
        except ValueError:
            return bad_order("expected a JSON object, was no valid JSON")
        if not isinstance(body, dict):
            return bad_order(f"expected a JSON object, was {type(body).__name__}")
        method = cast("Callable[..., object]", getattr(self._exchange.faults, action))
        arguments = cast("dict[str, object]", body)
        try:
            inspect.signature(method).bind(**arguments)
            result = method(**arguments)
        except (TypeError, ValueError) as error:
            return bad_order(str(error))
        if dataclasses.is_dataclass(result) and not isinstance(result, type):
            result = dataclasses.asdict(result)
        return web.json_response({"ok": True, "result": result})
