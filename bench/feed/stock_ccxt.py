"""ccxt.pro as it comes, one `watch_*` loop a stream: `stock_ccxt REST_URL WS_URL SECONDS`."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import ccxt.pro
import uvloop

from bench.feed import CANDLES
from bench.feed.window import watch

_SYMBOLS_A_LOOP = 100


def rebased(urls: Any, rest_url: str, ws_url: str) -> Any:
    """All addresses in a ccxt `urls` tree, moved to another server with their paths kept."""
    if isinstance(urls, dict):
        return {name: rebased(value, rest_url, ws_url) for name, value in urls.items()}
    if isinstance(urls, str) and urls.startswith(("http", "ws")):
        target = urlsplit(ws_url if urls.startswith("ws") else rest_url)
        old = urlsplit(urls)
        return urlunsplit((target.scheme, target.netloc, target.path.rstrip("/") + old.path, old.query, ""))
    return urls


async def main(rest_url: str, ws_url: str, seconds: float) -> None:
    exchange: Any = ccxt.pro.binanceusdm()
    exchange.urls["api"] = rebased(exchange.urls["api"], rest_url, ws_url)
    counts: Counter[str] = Counter(tickers=0, marks=0, candles=0)
    await exchange.load_markets()
    tickers = await exchange.fetch_tickers()
    ranked = sorted(tickers, key=lambda symbol: -(tickers[symbol]["quoteVolume"] or 0.0))
    pairs = [[symbol, "1h"] for symbol in ranked[:CANDLES]]

    async def loop(name: str, ask: Callable[[], Awaitable[Any]]) -> None:
        while True:
            counts[name] += updates(await ask())

    def updates(answer: dict[str, Any]) -> int:
        """Values in what a `watch_*` call returned: tickers by symbol, candles by symbol and time frame."""
        return len(answer)

    asks: list[tuple[str, Callable[[], Awaitable[Any]]]] = [
        ("tickers", exchange.watch_tickers),
        ("marks", exchange.watch_mark_prices),
    ]
    for start in range(0, len(pairs), _SYMBOLS_A_LOOP):
        part = pairs[start : start + _SYMBOLS_A_LOOP]
        asks.append(("candles", lambda part=part: exchange.watch_ohlcv_for_symbols(part)))
    tasks = [asyncio.create_task(loop(name, ask)) for name, ask in asks]
    try:
        await watch(seconds, lambda: {name: counts[name] for name in ("tickers", "marks", "candles")})
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await exchange.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
