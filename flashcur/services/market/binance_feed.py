"""Binance USD-M: three kinds of stream and the REST answers, each handed to its parser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle, Instrument, OpenInterest, Reject, Span, Tick
from flashcur.services.kit.clock import now_ms, steady_ms
from flashcur.services.market import binance_parser as parser
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.spacing import Spacing
from flashcur.services.market.trading_hours import TradingHours
from flashcur.services.market.venues import Stream, Venue

if TYPE_CHECKING:
    # At run time this module would import ccxt.
    from flashcur.services.market.ccxt_client import Transport

_TICKERS = "!ticker@arr"
_MARK_PRICES = "!markPrice@arr@1s"


class BinanceWire:
    """SUBSCRIBE and UNSUBSCRIBE requests and their answers."""

    def request(self, number: int, topics: list[str], *, subscribe: bool) -> dict[str, object]:
        """See `Wire.request`."""
        return {"method": "SUBSCRIBE" if subscribe else "UNSUBSCRIBE", "params": topics, "id": number}

    def answer(self, message: object) -> tuple[int, str | None] | None:
        """See `Wire.answer`."""
        if not isinstance(message, dict) or "id" not in message or "e" in message:
            return None
        row = cast("dict[str, object]", message)
        number, error = row["id"], row.get("error")
        return (number, None if error is None else str(error)[:120]) if isinstance(number, int) else None

    def is_keepalive(self, message: object) -> bool:
        """Never: Binance pings by the WebSocket protocol, not by messages."""
        return False


class BinanceFeed(VenueFeed):
    """All tickers and all mark prices on a connection each, candles on as many as they need."""

    wire = BinanceWire()

    def __init__(
        self,
        venue: Venue,
        transport: Transport,
        on_tick: Callable[[Tick], None],
        on_reject: Callable[[Reject], None],
    ) -> None:
        super().__init__(venue, transport, on_tick, on_reject)
        self._hours = TradingHours(self._fetch_closed_hours)
        self._payments = Spacing(venue.payments_apart_ms / 1000)

    def _takers(self) -> dict[Stream, Callable[[object, int], int]]:
        return {
            Stream.TICKER: self._take_tickers,
            Stream.FUNDING: self._take_mark_prices,
            Stream.CANDLE: self._take_candle,
        }

    def _take_tickers(self, message: object, seen_ms: int) -> int:
        return self._take_array(Stream.TICKER, parser.parse_ticker, message, seen_ms)

    def _take_mark_prices(self, message: object, seen_ms: int) -> int:
        return self._take_array(Stream.FUNDING, parser.parse_funding, message, seen_ms)

    def _take_array(
        self, stream: Stream, parse: Callable[[object, int, int], Tick | Reject], message: object, seen_ms: int
    ) -> int:
        if not isinstance(message, list):
            self._hand_over(stream, parse(message, seen_ms, self.skew_ms))
            return 0
        taken, skew_ms = 0, self.skew_ms
        for raw in cast("list[object]", message):
            if not self._is_foreign(raw) and self._hand_over(stream, parse(raw, seen_ms, skew_ms)):
                taken += 1
        return taken

    def _is_foreign(self, raw: object) -> bool:
        """True for a contract that is not shown (other quote, delivery, not trading): neither a tick nor a reject."""
        if not isinstance(raw, dict):
            return False
        symbol = cast("dict[str, object]", raw).get("s")
        return isinstance(symbol, str) and symbol not in self.symbols

    def _take_candle(self, message: object, seen_ms: int) -> int:
        return int(self._hand_over(Stream.CANDLE, parser.parse_candle(message, seen_ms, self.skew_ms)))

    def _topics(self, stream: Stream) -> list[str]:
        return [_TICKERS if stream is Stream.TICKER else _MARK_PRICES]

    def _candle_topic(self, symbol: str) -> str:
        return f"{symbol.lower()}@kline_1h"

    def _url(self, stream: Stream, number: int) -> str:
        # ccxt numbers the connections of one address in its last path segment.
        exchange = self._transport.exchange
        return f"{exchange.get_ws_url('linear', 'market')}/{exchange.stream('linear', f'{stream}-{number}')}"

    async def _fetch_instruments(self) -> list[Instrument | Reject]:
        asked_ms = steady_ms()
        info = await self._transport.get("fapiPublicGetExchangeInfo")
        self._learn_clock(info, "serverTime", asked_ms)
        intervals = await self._transport.get("fapiPublicGetFundingInfo")
        await self._hours.refresh()
        # Some 700 kB of dicts: a few milliseconds that frames need not wait for.
        hours = parser.parse_funding_hours(intervals)
        return await asyncio.to_thread(parser.parse_instruments, info, hours, self._hours.closed)

    async def _fetch_closed_hours(self) -> dict[str, tuple[Span, ...]]:
        return parser.parse_closed_hours(await self._transport.get("fapiPublicGetTradingSchedule"))

    async def _fetch_snapshot(self) -> list[Tick | Reject]:
        # The tickers cost 40 times as much as the rest, and ccxt lets later requests pay for it.
        marks = await self._transport.get("fapiPublicGetPremiumIndex")
        marked_ms, skew_ms = now_ms(), self.skew_ms
        tickers = await self._transport.get("fapiPublicGetTicker24hr")
        seen_ms = now_ms()
        parsed: list[Tick | Reject] = []
        for raw in _rows(tickers):
            parsed.append(parser.parse_rest_ticker(raw, seen_ms, self.skew_ms))
        for raw in _rows(marks):
            parsed.append(parser.parse_rest_funding(raw, marked_ms, skew_ms))
        return parsed

    async def _fetch_candles(self, symbol: str, limit: int, patient: bool) -> list[Candle | Reject]:
        asked_ms = self.clock.now_ms()
        query = {"symbol": symbol, "interval": "1h", "limit": limit}
        rows = await self._transport.get("fapiPublicGetKlines", query, patient=patient)
        seen_ms = now_ms()
        return [parser.parse_rest_candle(symbol, raw, asked_ms, seen_ms, self.skew_ms) for raw in _rows(rows)]

    async def _fetch_minutes(self, symbol: str, limit: int, first_ms: int | None = None) -> list[Candle | Reject]:
        asked_ms = self.clock.now_ms()
        query: dict[str, object] = {"symbol": symbol, "interval": "1m", "limit": limit}
        if first_ms is not None:
            query["startTime"] = first_ms
        rows = await self._transport.get("fapiPublicGetKlines", query, patient=True)
        seen_ms = now_ms()
        return [parser.parse_rest_candle(symbol, raw, asked_ms, seen_ms, self.skew_ms, "1m") for raw in _rows(rows)]

    async def _fetch_open_interest(self, symbol: str) -> OpenInterest | Reject:
        answer = await self._transport.get("fapiPublicGetOpenInterest", {"symbol": symbol})
        return parser.parse_open_interest(answer, now_ms(), self.skew_ms)

    async def _fetch_open_interest_history(
        self, symbol: str, limit: int, first_ms: int | None = None
    ) -> list[OpenInterest | Reject]:
        query: dict[str, object] = {"symbol": symbol, "period": "5m", "limit": limit}
        if first_ms is not None:
            query |= {"startTime": first_ms, "endTime": first_ms + limit * 300_000 - 1}
        answer = await self._transport.get("fapiDataGetOpenInterestHist", query, patient=first_ms is not None)
        return [parser.parse_past_open_interest(raw, now_ms(), self.skew_ms) for raw in _rows(answer)]

    async def _fetch_payments(self, symbol: str, since_ms: int) -> list[Payment | Reject]:
        await self._payments.turn()
        # Without a beginning it answers with the newest 200, whatever the limit.
        query = {"symbol": symbol, "startTime": since_ms, "limit": self.venue.payments_a_request}
        answer = await self._transport.get("fapiPublicGetFundingRate", query, patient=True)
        return [parser.parse_funding_payment(raw, now_ms(), self.skew_ms) for raw in _rows(answer)]


def _rows(answer: object) -> list[object]:
    # An answer that is no array becomes one row, which its parser rejects.
    return cast("list[object]", answer) if isinstance(answer, list) else [answer]
