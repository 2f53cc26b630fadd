"""A local server with Bybit's v5 public linear protocol, as far as a market feed needs it.

REST: instruments-info with cursor paging, tickers, kline, open-interest, funding/history. WebSocket: subscribe and
unsubscribe with req_id, a snapshot and then deltas a topic, ping and pong. A subscribe request with an unknown topic is
refused.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

HOUR_MS = 3_600_000


def now_ms() -> int:
    return int(time.time() * 1000)


class BybitServer:
    """Prices are 100, 101, … by contract, and move when `trade` says so."""

    def __init__(self, symbols: list[str], page_size: int = 3, types: Mapping[str, str] | None = None) -> None:
        """`types`: what `symbolType` says of some symbols; of the others it says nothing."""
        self.page_size = page_size
        self.types = types or {}
        self.rows = {symbol: self._row(symbol, 100.0 + index) for index, symbol in enumerate(symbols)}
        self.status = 200
        self.retry_after: int | None = 3
        """Seconds told with a refusal; None tells none."""
        self.body = '{"error": "refused"}'
        """What a refusal says."""
        self.headers: dict[str, str] = {}
        """Sent with every answer."""
        self.requests = 0
        self.ret_code = 0
        self.ret_msg = "OK"
        self.silent = False
        self.pings = 0
        self.pages = 0
        self.sockets: dict[web.WebSocketResponse, set[str]] = {}
        self._runner: web.AppRunner | None = None
        self._beat: asyncio.Task[None] | None = None
        self.address = ""

    @property
    def rest_url(self) -> str:
        return f"http://{self.address}/proxy"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.address}/proxy"

    @property
    def topics(self) -> set[str]:
        return {topic for topics in self.sockets.values() for topic in topics}

    async def start(self) -> None:
        app = web.Application()
        market = "/proxy/v5/market"
        app.router.add_get(f"{market}/instruments-info", self._instruments)
        app.router.add_get(f"{market}/tickers", self._tickers)
        app.router.add_get(f"{market}/kline", self._klines)
        app.router.add_get(f"{market}/open-interest", self._open_interest)
        app.router.add_get(f"{market}/funding/history", self._funding_history)
        app.router.add_get("/proxy/v5/public/linear", self._stream)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self._beat = asyncio.create_task(self._quotes())

    async def stop(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        self.disconnect_all()
        if self._runner is not None:
            await self._runner.cleanup()

    def disconnect_all(self) -> None:
        """Cut every connection without a closing handshake."""
        for socket in list(self.sockets):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()

    async def trade(self, symbol: str, **changes: str) -> None:
        """Change fields of a contract and send the delta."""
        self.rows[symbol].update(changes)
        await self.send(f"tickers.{symbol}", "delta", {"symbol": symbol, **changes})

    async def candle(self, symbol: str, close: str, turnover: str, *, confirm: bool = False) -> None:
        """Send the candle of this hour."""
        await self.send(f"kline.60.{symbol}", "snapshot", [self._candle(close, turnover, confirm)])

    async def send(self, topic: str, kind: str, data: Any, ts: int | None = None) -> None:
        message = {"topic": topic, "type": kind, "data": data, "ts": now_ms() if ts is None else ts}
        await self.send_text(topic, json.dumps(message))

    async def send_text(self, topic: str, text: str) -> None:
        for socket, topics in list(self.sockets.items()):
            if topic in topics and not self.silent and not socket.closed:
                await socket.send_str(text)

    async def _quotes(self) -> None:
        # Quotes change all the time; prices only when somebody trades.
        while True:
            await asyncio.sleep(0.25)
            for symbol in self.rows:
                await self.send(f"tickers.{symbol}", "delta", {"symbol": symbol, "bid1Size": str(now_ms() % 1000)})

    @staticmethod
    def _row(symbol: str, price: float) -> dict[str, str]:
        return {
            "symbol": symbol, "lastPrice": f"{price}", "price24hPcnt": "0.01", "turnover24h": "5000000.5",
            "markPrice": f"{price + 0.5}", "fundingRate": "0.0001", "openInterest": "1234.5",
            "nextFundingTime": str(now_ms() // HOUR_MS * HOUR_MS + HOUR_MS),
        }  # fmt: skip

    @staticmethod
    def _candle(close: str, turnover: str, confirm: bool) -> dict[str, Any]:
        start = now_ms() // HOUR_MS * HOUR_MS
        return {
            "start": start, "end": start + HOUR_MS - 1, "interval": "60", "open": close, "close": close, "high": close,
            "low": close, "volume": "10", "turnover": turnover, "confirm": confirm, "timestamp": now_ms(),
        }  # fmt: skip

    def _answer(self, result: dict[str, Any]) -> web.Response:
        self.requests += 1
        if self.status != 200:
            told = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
            return web.Response(status=self.status, text=self.body, headers=told | self.headers)
        body = {"retCode": self.ret_code, "retMsg": self.ret_msg, "result": result, "time": now_ms()}
        return web.json_response(body, headers=self.headers)

    async def _instruments(self, request: web.Request) -> web.Response:
        assert request.query["category"] == "linear"
        self.pages += 1
        start = int(request.query.get("cursor", "0"))
        names = [*self.rows, "BTCPERP"]
        page = names[start : start + self.page_size]
        following = start + self.page_size
        cursor = str(following) if following < len(names) else ""
        return self._answer({"category": "linear", "list": [self._contract(n) for n in page], "nextPageCursor": cursor})

    def _contract(self, symbol: str) -> dict[str, Any]:
        usdt = symbol.endswith("USDT")
        return {
            "symbol": symbol, "contractType": "LinearPerpetual", "status": "Trading", "fundingInterval": 240,
            "baseCoin": symbol.removesuffix("USDT"), "quoteCoin": "USDT" if usdt else "USDC",
            "launchTime": "1585526400000", "priceFilter": {"tickSize": "0.10"},
            "symbolType": self.types.get(symbol, ""),
        }  # fmt: skip

    async def _tickers(self, request: web.Request) -> web.Response:
        return self._answer({"category": "linear", "list": list(self.rows.values())})

    async def _klines(self, request: web.Request) -> web.Response:
        length = {"60": HOUR_MS, "1": 60_000}[request.query["interval"]]
        start = min(now_ms(), int(request.query.get("end", now_ms()))) // length * length
        rows = [
            [str(start - index * length), "10", "12", "9", "11", "100", f"{1000 + index}"]
            for index in range(min(1000, int(request.query["limit"])))
            if start - index * length >= int(request.query.get("start", "0"))
        ]
        return self._answer({"category": "linear", "symbol": request.query["symbol"], "list": rows})

    async def _funding_history(self, request: web.Request) -> web.Response:
        assert "startTime" not in request.query or "endTime" in request.query
        newest = now_ms() // (4 * HOUR_MS) * 4 * HOUR_MS
        rows = [
            {
                "symbol": request.query["symbol"],
                "fundingRate": f"{0.0001 * (index + 1):.4f}",
                "fundingRateTimestamp": str(newest - index * 4 * HOUR_MS),
            }
            for index in range(min(200, int(request.query.get("limit", "200"))))
        ]
        return self._answer({"category": "linear", "list": rows})

    async def _open_interest(self, request: web.Request) -> web.Response:
        row = self.rows[request.query["symbol"]]
        newest, current = now_ms(), float(row["openInterest"])
        rows = [
            {"openInterest": f"{current - step}", "timestamp": str(newest - step * 300_000)}
            for step in range(int(request.query["limit"]))
        ]
        return self._answer({"category": "linear", "symbol": request.query["symbol"], "list": rows})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.status != 200:
            return web.Response(status=self.status)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets[socket] = set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._operate(socket, json.loads(message.data))
        finally:
            del self.sockets[socket]
        return socket

    async def _operate(self, socket: web.WebSocketResponse, request: dict[str, Any]) -> None:
        operation, topics = request["op"], request.get("args", [])
        answer = {"success": True, "ret_msg": "", "conn_id": "1", "req_id": request.get("req_id", ""), "op": operation}
        if operation == "ping":
            self.pings += 1
            await socket.send_json({**answer, "ret_msg": "pong"})
            return
        unknown = [topic for topic in topics if topic.rpartition(".")[2] not in self.rows]
        if operation == "subscribe" and unknown:
            refused = f"error:handler not found,topic:{unknown[0]}"
            await socket.send_json({**answer, "success": False, "ret_msg": refused})
            return
        await socket.send_json(answer)
        if operation == "unsubscribe":
            self.sockets[socket].difference_update(topics)
            return
        self.sockets[socket].update(topics)
        for topic in topics:
            kind, _, symbol = topic.rpartition(".")
            if not self.silent and kind == "tickers":
                message = {"topic": topic, "type": "snapshot", "data": self.rows[symbol], "ts": now_ms()}
                await socket.send_json(message)
