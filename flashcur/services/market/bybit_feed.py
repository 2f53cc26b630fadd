"""Bybit linear: one ticker topic a contract (price, funding, open interest), candles, and the REST answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.ticks import Candle, Instrument, OpenInterest, Reject, Tick
from flashcur.errors import VenueUnavailable
from flashcur.services.kit.clock import now_ms, steady_ms
from flashcur.services.market import bybit_parser as parser
from flashcur.services.market.feed import VenueFeed
from flashcur.services.market.venues import Stream

_MAX_PAGES = 20
_MAX_CANDLES = 1000


class BybitWire:
    """subscribe and unsubscribe operations, their answers, and pongs."""

    def request(self, number: int, topics: list[str], *, subscribe: bool) -> dict[str, object]:
        """See `Wire.request`."""
        return {"op": "subscribe" if subscribe else "unsubscribe", "req_id": str(number), "args": topics}

    def answer(self, message: object) -> tuple[int, str | None] | None:
        """See `Wire.answer`."""
        if not isinstance(message, dict):
            return None
        row = cast("dict[str, object]", message)
        if row.get("op") not in ("subscribe", "unsubscribe"):
            return None
        number = row.get("req_id")
        if not isinstance(number, str) or not number.isdecimal():
            return None
        return int(number), None if row.get("success") is True else str(row.get("ret_msg"))[:120]

    def is_keepalive(self, message: object) -> bool:
        """Whether it is a ping or a pong, which are JSON here."""
        if not isinstance(message, dict):
            return False
        row = cast("dict[str, object]", message)
        return row.get("op") in ("ping", "pong") or row.get("ret_msg") == "pong"


class BybitFeed(VenueFeed):
    """Tickers of all contracts on one connection, candles on another."""

    wire = BybitWire()

    def _takers(self) -> dict[Stream, Callable[[object, int], int]]:
        self._merge = parser.TickerMerge()
        return {Stream.TICKER: self._take_ticker, Stream.CANDLE: self._take_candles}

    def _connected(self, stream: Stream) -> None:
        if stream is Stream.TICKER:
            self._merge.clear()

    def _take_ticker(self, message: object, seen_ms: int) -> int:
        return self._take_all(Stream.TICKER, list(self._merge.parse(message, seen_ms, self.skew_ms)))

    def _take_candles(self, message: object, seen_ms: int) -> int:
        return self._take_all(Stream.CANDLE, list(parser.parse_candles(message, seen_ms, self.skew_ms)))

    def _take_all(self, stream: Stream, parsed: list[Tick | Reject]) -> int:
        return sum([self._hand_over(stream, entry) for entry in parsed])

    def _topics(self, stream: Stream) -> list[str]:
        return [f"tickers.{symbol}" for symbol in self.symbols]

    def _candle_topic(self, symbol: str) -> str:
        return f"kline.60.{symbol}"

    def _url(self, stream: Stream, number: int) -> str:
        exchange = self._transport.exchange
        address = exchange.implode_hostname(exchange.urls["api"]["ws"]["public"]["linear"])
        # The fragment stays here: it only gives ccxt, which keeps one socket an address, different ones.
        return f"{address}#{stream}-{number}"

    async def _fetch_instruments(self) -> list[Instrument | Reject]:
        listed: list[Instrument | Reject] = []
        cursor = ""
        for _ in range(_MAX_PAGES):
            page: dict[str, object] = {"category": "linear", "status": "Trading", "limit": 1000}
            if cursor:
                page["cursor"] = cursor
            asked_ms = steady_ms()
            answer = await self._transport.get("publicGetV5MarketInstrumentsInfo", page)
            self._learn_clock(answer, "time", asked_ms)
            parsed, cursor = parser.parse_instruments(answer)
            listed.extend(parsed)
            if not cursor:
                return listed
        raise VenueUnavailable(f"{self.venue.name}: expected at most {_MAX_PAGES} pages of instruments, was more")

    async def _fetch_snapshot(self) -> list[Tick | Reject]:
        answer = await self._transport.get("publicGetV5MarketTickers", {"category": "linear"})
        return parser.parse_tickers(answer, now_ms(), self.skew_ms)

    async def _fetch_candles(self, symbol: str, limit: int, patient: bool) -> list[Candle | Reject]:
        query = {"category": "linear", "symbol": symbol, "interval": "60", "limit": min(limit, _MAX_CANDLES)}
        answer = await self._transport.get("publicGetV5MarketKline", query, patient=patient)
        return parser.parse_rest_candles(symbol, answer, now_ms(), self.skew_ms)

    async def _fetch_minutes(self, symbol: str, limit: int, first_ms: int | None = None) -> list[Candle | Reject]:
        query: dict[str, object] = {"category": "linear", "symbol": symbol, "interval": "1", "limit": limit}
        if first_ms is not None:
            query |= {"start": first_ms, "end": first_ms + limit * 60_000 - 1}
        answer = await self._transport.get("publicGetV5MarketKline", query, patient=True)
        return parser.parse_rest_candles(symbol, answer, now_ms(), self.skew_ms, 60_000)

    async def _fetch_open_interest(self, symbol: str) -> OpenInterest | Reject:
        query = {"category": "linear", "symbol": symbol, "intervalTime": "5min", "limit": 1}
        answer = await self._transport.get("publicGetV5MarketOpenInterest", query)
        return parser.parse_rest_open_interest(symbol, answer, now_ms(), self.skew_ms)

    async def _fetch_open_interest_history(
        self, symbol: str, limit: int, first_ms: int | None = None
    ) -> list[OpenInterest | Reject]:
        query: dict[str, object] = {"category": "linear", "symbol": symbol, "intervalTime": "5min", "limit": limit}
        if first_ms is not None:
            query |= {"startTime": first_ms, "endTime": first_ms + limit * 300_000 - 1}
        answer = await self._transport.get("publicGetV5MarketOpenInterest", query, patient=first_ms is not None)
        return parser.parse_past_open_interest(symbol, answer, now_ms(), self.skew_ms)

    async def _fetch_payments(self, symbol: str, since_ms: int) -> list[Payment | Reject]:
        # It refuses a beginning without an end, and answers with the newest.
        query = {"category": "linear", "symbol": symbol, "limit": self.venue.payments_a_request}
        answer = await self._transport.get("publicGetV5MarketFundingHistory", query, patient=True)
        return parser.parse_funding_payments(symbol, answer, now_ms(), self.skew_ms)
