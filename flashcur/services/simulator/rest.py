"""The REST side: Binance USD-M's public market data endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from flashcur.services.simulator import answers
from flashcur.services.simulator.candles import MAX_ROWS, candles
from flashcur.services.simulator.contract import LiveContract
from flashcur.services.simulator.faults import Faults
from flashcur.services.simulator.limits import WeightLimiter, counts_as_funding, request_weight
from flashcur.services.simulator.market import Market
from flashcur.services.simulator.open_interest import open_interest
from flashcur.services.simulator.recorder import Recorder
from flashcur.services.simulator.refusals import banned, error, refusal_response, too_many
from flashcur.services.simulator.wire import INTERVAL_MS

_SILENCE_POLL_S: Final = 0.05
_PERIOD_MS: Final = {p: INTERVAL_MS[p] for p in ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")}

Handler = Callable[[web.Request], Awaitable[web.Response]]


class BadRequest(Exception):
    """A request the exchange answers with status 400 and one of its codes."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Rest:
    """Handlers of the public endpoints; each charges its weight and obeys the faults in force."""

    def __init__(
        self, market: Market, faults: Faults, recorder: Recorder, limiter: WeightLimiter, now_ms: Callable[[], int]
    ) -> None:
        self._market = market
        self._faults = faults
        self._recorder = recorder
        self.limiter = limiter
        self.requests = 0
        """How many came, those that were refused among them."""
        self._now_ms = now_ms
        self._rows: tuple[int, dict[str, str]] = (-1, {})

    def routes(self) -> list[web.RouteDef]:
        """Every path served."""
        table: dict[str, Handler] = {
            "/fapi/v1/ping": self._ping,
            "/fapi/v1/time": self._time,
            "/fapi/v1/exchangeInfo": self._exchange_info,
            "/fapi/v1/tradingSchedule": self._trading_schedule,
            "/fapi/v1/ticker/24hr": self._ticker,
            "/fapi/v1/ticker/price": self._price,
            "/fapi/v2/ticker/price": self._price,
            "/fapi/v1/premiumIndex": self._premium_index,
            "/fapi/v1/fundingInfo": self._funding_info,
            "/fapi/v1/fundingRate": self._funding_rate,
            "/fapi/v1/openInterest": self._open_interest,
            "/futures/data/openInterestHist": self._open_interest_history,
            "/fapi/v1/klines": self._klines,
            "/fapi/{tail:.*}": self._unknown,
            "/futures/{tail:.*}": self._unknown,
        }
        return [web.get(path, self._guarded(handler)) for path, handler in table.items()]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            self.requests += 1
            if delay := self._faults.delay_s():
                await asyncio.sleep(delay)
            now_ms = self._now_ms()
            refusal = self._faults.refusal()
            if refusal is not None:
                return refusal_response(refusal, now_ms)
            weight, funding = request_weight(request.path, request.query), counts_as_funding(request.path)
            status, retry_after = self.limiter.charge(weight, now_ms, funding=funding)
            if status == 429:
                response = too_many(retry_after)
            elif status == 418:
                response = banned(retry_after, now_ms)
            else:
                try:
                    response = await handler(request)
                except BadRequest as bad:
                    response = error(400, bad.code, str(bad))
            response.headers["X-MBX-USED-WEIGHT-1M"] = str(self.limiter.used)
            return response

        return guarded

    # Endpoints

    async def _ping(self, request: web.Request) -> web.Response:
        return _json("{}")

    async def _time(self, request: web.Request) -> web.Response:
        return _json(f'{{"serverTime":{self._now_ms()}}}')

    async def _exchange_info(self, request: web.Request) -> web.Response:
        revision = self._market.revision
        if self._rows[0] != revision:
            self._rows = (revision, answers.exchange_info_rows(self._market))
        rows = self._rows[1]
        if self._faults.spoils("instrument"):
            rows = {symbol: self._faults.spoil(symbol, "instrument", row) for symbol, row in rows.items()}
        return _json(answers.exchange_info(rows.values(), self._now_ms()))

    async def _trading_schedule(self, request: web.Request) -> web.Response:
        return _json(answers.trading_schedule(self._now_ms()))

    async def _ticker(self, request: web.Request) -> web.Response:
        now_ms = self._now_ms()
        return self._one_or_all(
            request, lambda c: self._faults.spoil(c.symbol, "ticker_rest", answers.ticker(c, now_ms))
        )

    async def _price(self, request: web.Request) -> web.Response:
        now_ms = self._now_ms()
        return self._one_or_all(
            request, lambda c: f'{{"symbol":"{c.symbol}","price":"{c.price_text}","time":{now_ms}}}'
        )

    async def _premium_index(self, request: web.Request) -> web.Response:
        now_ms = self._now_ms()
        for c in self._market.trading():
            if now_ms >= c.rate_until_ms:
                self._market.refresh_rate(c, now_ms)
        return self._one_or_all(
            request, lambda c: self._faults.spoil(c.symbol, "mark_rest", answers.premium_index(c, now_ms))
        )

    async def _funding_info(self, request: web.Request) -> web.Response:
        rows = (
            answers.funding_info(c)
            for c in self._market.trading()
            if c.spec.perpetual and c.spec.funding_interval_hours != 8
        )
        return _json("[" + ",".join(rows) + "]")

    async def _funding_rate(self, request: web.Request) -> web.Response:
        c = self._symbol(request)
        start, end = _time(request, "startTime"), _time(request, "endTime")
        return _json(answers.funding_history(c, self._now_ms(), start, end, _limit(request, 100, 1000)))

    async def _open_interest(self, request: web.Request) -> web.Response:
        c = self._symbol(request)
        while self._faults.is_silent("oi"):
            if request.transport is None or request.transport.is_closing():
                raise web.HTTPServiceUnavailable(reason="the client is gone")
            await asyncio.sleep(_SILENCE_POLL_S)
        now_ms = self._now_ms()
        contracts = open_interest(self._market, c, now_ms)
        text = f'{{"symbol":"{c.symbol}","openInterest":"{contracts:.{c.spec.quantity_decimals}f}","time":{now_ms}}}'
        text = self._faults.spoil(c.symbol, "oi", text)
        self._recorder.note(c.symbol, "oi", now_ms, text)
        return _json(text)

    async def _open_interest_history(self, request: web.Request) -> web.Response:
        c = self._symbol(request)
        period = request.query.get("period", "")
        if period not in _PERIOD_MS:
            raise BadRequest(-1130, "Data sent for parameter 'period' is not valid.")
        start, end = _time(request, "startTime"), _time(request, "endTime")
        step = _PERIOD_MS[period]
        limit = _limit(request, 30, 500)
        return _json(answers.open_interest_history(self._market, c, self._now_ms(), step, start, end, limit))

    async def _klines(self, request: web.Request) -> web.Response:
        c = self._symbol(request)
        interval = request.query.get("interval")
        if interval is None:
            raise BadRequest(-1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.")
        if interval not in INTERVAL_MS:
            raise BadRequest(-1120, "Invalid interval.")
        limit = _limit(request, 500, MAX_ROWS)
        start, end = _time(request, "startTime"), _time(request, "endTime")
        rows = candles(self._market, c, interval, self._now_ms(), start, end, limit)
        return _json("[" + ",".join(answers.kline_row(c, at, interval, bar) for at, bar in rows) + "]")

    async def _unknown(self, request: web.Request) -> web.Response:
        return error(404, -5000, f"Path {request.path}, Method {request.method} is invalid")

    # Helpers

    def _one_or_all(self, request: web.Request, build: Callable[[LiveContract], str]) -> web.Response:
        if "symbol" in request.query:
            return _json(build(self._symbol(request)))
        return _json("[" + ",".join(build(c) for c in self._market.trading()) + "]")

    def _symbol(self, request: web.Request) -> LiveContract:
        symbol = request.query.get("symbol")
        if not symbol:
            raise BadRequest(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        contract = self._market.contracts.get(symbol)
        if contract is None:
            raise BadRequest(-1121, "Invalid symbol.")
        if contract.status != "TRADING":
            raise BadRequest(-1122, "Invalid symbol status.")
        return contract


def _json(text: str) -> web.Response:
    return web.Response(body=text.encode(), content_type="application/json")


def _time(request: web.Request, name: str) -> int | None:
    value = request.query.get(name)
    if value is None:
        return None
    if not value.isdigit():
        raise BadRequest(-1130, f"Data sent for parameter '{name}' is not valid.")
    return int(value)


def _limit(request: web.Request, default: int, highest: int) -> int:
    value = request.query.get("limit")
    if value is None:
        return default
    if not value.isdigit() or not 1 <= int(value) <= highest:
        raise BadRequest(-1130, "Data sent for parameter 'limit' is not valid.")
    return int(value)
