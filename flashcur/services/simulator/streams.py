"""The WebSocket side: connections, subscriptions, and the messages of each tick.

Binance's paths are `/market/ws/…`, `/market/stream`, `/public/…`; the older `/ws` and `/stream` still connect but no
market stream speaks there, as on the real exchange since April 2026. `/public` carries order books and trades, which
are not simulated, so it is silent too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import WSMsgType, web

from flashcur.services.simulator.candles import candle
from flashcur.services.simulator.contract import LiveContract
from flashcur.services.simulator.faults import Faults
from flashcur.services.simulator.history import Bar
from flashcur.services.simulator.market import HOUR_MS, Market
from flashcur.services.simulator.recorder import Kind, Recorder
from flashcur.services.simulator.refusals import refusal_response
from flashcur.services.simulator.wire import (
    INTERVAL_MS,
    frame,
    kline_event,
    mark_event,
    marks,
    mini_ticker_event,
    ticker_event,
    wrap,
)

MAX_STREAMS: Final = 1024
MAX_MESSAGES_PER_S: Final = 10
PING_EVERY_MS: Final = 180_000
PONG_WITHIN_MS: Final = 600_000
MAX_AGE_MS: Final = 24 * HOUR_MS
_SLOW_CLIENT_S: Final = 5.0
MAX_BACKLOG: Final = 16 * 1024 * 1024
"""Bytes a client may leave unread before it is cut off."""
_METHODS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class Connection:
    """One open WebSocket."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse, live: bool, combined: bool, now_ms: int):
        self.ws = ws
        self.transport = request.transport
        self.live = live
        self.combined = combined
        self.opened_ms = self.pinged_ms = self.ponged_ms = now_ms
        self.streams: dict[str, None] = {}
        self.out: list[bytes] = []
        self.incoming: deque[float] = deque(maxlen=MAX_MESSAGES_PER_S + 1)

    def flush(self) -> None:
        """Write what this tick gathered in one piece."""
        if not self.out:
            return
        data = b"".join(self.out)
        self.out.clear()
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if cast("asyncio.WriteTransport", transport).get_write_buffer_size() > MAX_BACKLOG:
            transport.abort()
            return
        transport.write(data)


class Streams:
    """All connections and what they are subscribed to."""

    def __init__(self, market: Market, faults: Faults, recorder: Recorder, now_ms: Callable[[], int]) -> None:
        self._market = market
        self._faults = faults
        self._recorder = recorder
        self._now_ms = now_ms
        self.connections: set[Connection] = set()
        self._listeners: dict[str, set[Connection]] = {}
        self._intervals: dict[str, set[str]] = defaultdict(set)
        """Lower-case symbol to the candle lengths that somebody listens to."""
        self._minute = now_ms() // 60_000

    def routes(self) -> list[web.RouteDef]:
        """The handshake paths."""
        prefixes = ("", "/{category:market|public|private}")
        paths = [prefix + path for prefix in prefixes for path in ("/ws", "/stream")]
        return [web.get(path + tail, self._serve) for path in paths for tail in ("", "/{tail:.*}")]

    # What a tick sends

    def send_klines(self, traded: list[LiveContract], now_ms: int) -> None:
        """Candles in progress of contracts that just traded."""
        if not self._intervals or self._faults.is_silent("kline"):
            return
        intervals = self._intervals
        for c in traded:
            for interval in intervals.get(c.lower, ()):
                if interval == "1h":
                    self._send_kline(c, "1h", c.hour * HOUR_MS, c.hour_bar(), False, now_ms)
                    continue
                open_ms = now_ms - now_ms % INTERVAL_MS[interval]
                bar = candle(self._market, c, interval, open_ms)
                if bar is not None:
                    self._send_kline(c, interval, open_ms, bar, False, now_ms)

    def send_closed_hours(self, finals: list[tuple[LiveContract, int, Bar]], now_ms: int) -> None:
        """The final candles of an hour, all at once."""
        if self._faults.is_silent("kline"):
            return
        for c, hour, bar in finals:
            if "1h" in self._intervals.get(c.lower, ()):
                self._send_kline(c, "1h", hour * HOUR_MS, bar, True, now_ms)

    def send_closed_others(self, now_ms: int) -> None:
        """Final candles of every other length that ended with the last minute."""
        minute = now_ms // 60_000
        if minute <= self._minute:
            return
        self._minute = minute
        end_ms = minute * 60_000
        if self._faults.is_silent("kline"):
            return
        for lower, intervals in list(self._intervals.items()):
            c = self._market.contracts.get(lower.upper())
            if c is None:
                continue
            for interval in intervals:
                length = INTERVAL_MS[interval]
                if interval != "1h" and end_ms % length == 0:
                    bar = candle(self._market, c, interval, end_ms - length)
                    if bar is not None:
                        self._send_kline(c, interval, end_ms - length, bar, True, now_ms)

    def send_tickers(self, now_ms: int) -> None:
        """The second's ticker messages: contracts whose statistics changed."""
        changed = [c for c in self._market.contracts.values() if c.changed]
        if not changed or self._faults.is_silent("ticker"):
            return
        for c in changed:
            c.changed = False
        for channel, build in (("ticker", ticker_event), ("miniTicker", mini_ticker_event)):
            self._send_each_and_all(f"!{channel}@arr", f"@{channel}", "ticker", changed, build, now_ms)

    def send_marks(self, now_ms: int) -> None:
        """The second's mark prices and funding rates: all contracts."""
        if self._faults.is_silent("mark"):
            return
        contracts = list(self._market.trading())
        for c in contracts:
            if now_ms >= c.rate_until_ms:
                self._market.refresh_rate(c, now_ms)
        for suffix in ("@1s", ""):
            if suffix == "" and now_ms // 1000 % 3:
                continue
            self._send_each_and_all(
                f"!markPrice@arr{suffix}", f"@markPrice{suffix}", "mark", contracts, _mark_text, now_ms
            )

    def send_contract_info(self, c: LiveContract, status: str, now_ms: int) -> None:
        """A contract was listed or is being delisted."""
        text = (
            f'{{"e":"contractInfo","E":{now_ms},"s":"{c.symbol}","ps":"{c.symbol}","ct":"{c.spec.contract_type}",'
            f'"dt":4133404800000,"ot":{c.listed_ms},"cs":"{status}"}}'
        )
        self._publish("!contractInfo", None, text)

    def flush(self) -> None:
        """Write to every connection what was gathered for it."""
        for connection in self.connections:
            connection.flush()

    async def keep_alive(self) -> None:
        """Ping every three minutes; close connections that never answer or are a day old."""
        now_ms = self._now_ms()
        for connection in list(self.connections):
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_SLOW_CLIENT_S):
                    if now_ms - connection.opened_ms > MAX_AGE_MS or now_ms - connection.ponged_ms > PONG_WITHIN_MS:
                        await connection.ws.close(code=1008, message=b"Pong timeout")
                    elif now_ms - connection.pinged_ms >= PING_EVERY_MS:
                        connection.pinged_ms = now_ms
                        await connection.ws.ping(str(now_ms).encode())

    def abort_all(self) -> int:
        """Cut every connection without a word."""
        cut = 0
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.abort()
                cut += 1
        return cut

    async def close_all(self) -> None:
        """Close every connection properly, for a shutdown."""
        for connection in list(self.connections):
            await connection.ws.close(code=1001, message=b"going away")

    # Sending

    def _send_each_and_all(
        self,
        all_stream: str,
        suffix: str,
        kind: Kind,
        contracts: list[LiveContract],
        build: Callable[[LiveContract, int], str],
        now_ms: int,
    ) -> None:
        listeners, faults, note = self._listeners, self._faults, self._recorder.note
        wanted = all_stream in listeners
        if not wanted and not any(stream.endswith(suffix) for stream in listeners):
            return
        texts: list[str] = []
        for c in contracts:
            single = c.lower + suffix
            if not wanted and single not in listeners:
                continue
            text = faults.spoil(c.symbol, kind, build(c, now_ms))
            note(c.symbol, kind, now_ms, text)
            texts.append(text)
            if single in listeners:
                self._publish(single, kind, text)
        if wanted:
            self._publish(all_stream, kind, "[" + ",".join(texts) + "]")

    def _send_kline(self, c: LiveContract, interval: str, open_ms: int, bar: Bar, closed: bool, now_ms: int) -> None:
        text = self._faults.spoil(c.symbol, "kline", kline_event(c, interval, open_ms, bar, closed, now_ms))
        self._recorder.note(c.symbol, "kline", now_ms, text)
        self._publish(f"{c.lower}@kline_{interval}", "kline", text)

    def _publish(self, stream: str, kind: Kind | None, text: str) -> None:
        listeners = self._listeners.get(stream)
        if not listeners:
            return
        for message in [text] if kind is None else self._faults.arrange(stream, kind, text):
            raw = frame(message)
            wrapped: bytes | None = None
            for connection in listeners:
                if not connection.combined:
                    connection.out.append(raw)
                else:
                    wrapped = wrapped or frame(wrap(stream, message))
                    connection.out.append(wrapped)

    # Connections

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        refusal = self._faults.refusal()
        if refusal is not None and refusal.handshakes:
            return refusal_response(refusal, self._now_ms())
        ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20)
        if not ws.can_prepare(request):
            return web.json_response({"code": 400, "msg": "expected a WebSocket handshake"}, status=400)
        await ws.prepare(request)
        live = request.match_info.get("category") == "market"
        combined = "/stream" in request.path
        names = request.match_info.get("tail", "") if not combined else request.query.get("streams", "")
        connection = Connection(request, ws, live, combined, self._now_ms())
        self.connections.add(connection)
        self._subscribe(connection, [name for name in names.split("/") if "@" in name or name.startswith("!")])
        try:
            async for message in ws:
                if not await self._heard(connection, message.type, message.data):
                    break
        finally:
            self._unsubscribe(connection, list(connection.streams))
            self.connections.discard(connection)
        return ws

    async def _heard(self, connection: Connection, kind: WSMsgType, data: Any) -> bool:
        """Handle one frame of a client; False ends the connection."""
        now = asyncio.get_running_loop().time()
        connection.incoming.append(now)
        if len(connection.incoming) > MAX_MESSAGES_PER_S and now - connection.incoming[0] < 1.0:
            await connection.ws.close(code=1008, message=b"Too many requests")
            return False
        if kind is WSMsgType.PING:
            await connection.ws.pong(data)
        elif kind is WSMsgType.PONG:
            connection.ponged_ms = self._now_ms()
        elif kind is WSMsgType.TEXT:
            await connection.ws.send_str(self._answer(connection, data))
        elif kind is WSMsgType.ERROR:
            return False
        return True

    def _answer(self, connection: Connection, text: str) -> str:
        try:
            message: object = json.loads(text)
        except ValueError as error:
            return _error(3, f"Invalid JSON: {error}", None)
        if not isinstance(message, dict):
            return _error(2, "Invalid request: expected an object", None)
        request = cast("dict[str, object]", message)
        request_id = request.get("id")
        if request_id is not None and (isinstance(request_id, bool) or not isinstance(request_id, int | str)):
            return _error(2, "Invalid request: request ID must be an unsigned integer", None)
        method = request.get("method")
        if method is None:
            return _error(2, "Invalid request: missing field `method`", request_id)
        if method not in _METHODS:
            expected = ", ".join(f"`{name}`" for name in _METHODS)
            return _error(2, f"Invalid request: unknown variant `{method}`, expected one of {expected}", request_id)
        params = request.get("params", [])
        if not isinstance(params, list):
            return _error(2, "Invalid request: params must be an array", request_id)
        return self._perform(connection, str(method), cast("list[object]", params), request_id)

    def _perform(self, connection: Connection, method: str, params: list[object], request_id: object) -> str:
        if method == "LIST_SUBSCRIPTIONS":
            return _result(list(connection.streams), request_id)
        if method == "GET_PROPERTY":
            return _result(connection.combined, request_id)
        if method == "SET_PROPERTY":
            if len(params) != 2 or params[0] != "combined":
                return _error(0, "Unknown property", request_id)
            if not isinstance(params[1], bool):
                return _error(1, "Invalid value type: expected Boolean", request_id)
            connection.combined = params[1]
            return _result(None, request_id)
        if not all(isinstance(name, str) for name in params):
            return _error(2, "Invalid request: stream name must be a string", request_id)
        names = cast("list[str]", params)
        if method == "UNSUBSCRIBE":
            self._unsubscribe(connection, names)
        elif not self._subscribe(connection, names):
            return _error(2, f"Invalid request: more than {MAX_STREAMS} streams on one connection", request_id)
        return _result(None, request_id)

    def _subscribe(self, connection: Connection, names: list[str]) -> bool:
        if len(connection.streams.keys() | set(names)) > MAX_STREAMS:
            return False
        for name in names:
            connection.streams[name] = None
            if connection.live:
                self._listeners.setdefault(name, set()).add(connection)
                lower, _, interval = name.partition("@kline_")
                if interval in INTERVAL_MS:
                    self._intervals[lower].add(interval)
        return True

    def _unsubscribe(self, connection: Connection, names: list[str]) -> None:
        for name in names:
            connection.streams.pop(name, None)
            listeners = self._listeners.get(name)
            if listeners is None:
                continue
            listeners.discard(connection)
            if not listeners:
                del self._listeners[name]
                lower, _, interval = name.partition("@kline_")
                if interval:
                    self._intervals[lower].discard(interval)
                    if not self._intervals[lower]:
                        del self._intervals[lower]


def _mark_text(c: LiveContract, now_ms: int) -> str:
    mark, index = marks(c, now_ms)
    return mark_event(c, now_ms, f"{mark:.8f}", index)


def _result(result: object, request_id: object) -> str:
    return json.dumps({"result": result, "id": request_id}, ensure_ascii=False)


def _error(code: int, text: str, request_id: object) -> str:
    return json.dumps({"error": {"code": code, "msg": text}, "id": request_id}, ensure_ascii=False)
