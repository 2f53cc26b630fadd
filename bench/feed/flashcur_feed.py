"""FlashCur's own feed into a market book: `flashcur_feed REST_URL WS_URL SECONDS`."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import uvloop

from bench.feed import CANDLES
from bench.feed.window import watch
from flashcur.domain.book import MarketBook
from flashcur.domain.ticks import Reject, Tick
from flashcur.services.market.feeds import open_feed
from flashcur.services.market.venues import BINANCE, Stream
from flashcur.settings import VenueUrls


async def main(rest_url: str, ws_url: str, seconds: float) -> None:
    book = MarketBook()
    rejects: list[Reject] = []

    def take(tick: Tick) -> None:
        book.apply(tick)

    feed = await open_feed(BINANCE, VenueUrls(rest_url, ws_url), take, rejects.append)
    book.set_instruments(await feed.instruments())
    for tick in await feed.snapshot():
        book.apply(tick)
    ranked = sorted(book, key=lambda row: -(row.ticker.volume_quote if row.ticker else 0.0))
    feed.set_candle_symbols(row.instrument.symbol for row in ranked[:CANDLES])
    running = asyncio.create_task(feed.run())
    streams = feed.counters.streams

    def counts() -> dict[str, int]:
        ticks = {name: streams[stream].ticks for name, stream in names.items()}
        return {**ticks, "rejects": len(rejects)}

    names = {"tickers": Stream.TICKER, "marks": Stream.FUNDING, "candles": Stream.CANDLE}
    try:
        await watch(seconds, counts)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await feed.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
