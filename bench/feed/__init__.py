"""What the market feed costs: every ticker and mark price each second, and 300 candle streams, four messages a second.

The simulated exchange runs in a process of its own and speaks Binance USD-M's protocol. FlashCur's feed parses every
message into ticks and puts them into the book; the peer is ccxt.pro as its manual shows it: a `watch_*` loop a stream.
One after the other, on the same exchange, each in a fresh process.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bench.options import Options
from bench.process import Program
from bench.report import Table, ratio
from flashcur.services.simulator import SimulatorProcess

CANDLES = 300


def run(options: Options) -> Table:
    """Measure; processor time in percent of one core."""
    seconds = 6 if options.quick else 25
    return asyncio.run(_measure(seconds))


async def _measure(seconds: float) -> Table:
    exchange = SimulatorProcess(symbols=500, seed=1)
    await exchange.start()
    try:
        ours = await asyncio.to_thread(_watch, "flashcur_feed", exchange, seconds)
        stock = await asyncio.to_thread(_watch, "stock_ccxt", exchange, seconds)
    finally:
        await exchange.stop()
    columns = ("feed", "% of a core", "tickers a second", "mark prices a second", "candles a second", "MB")
    return Table(
        "feed",
        (*columns, "against the peer"),
        (
            ("**FlashCur's feed**, into the book", *_cells(ours), ratio(ours["cpu"], stock["cpu"])),
            ("stock ccxt.pro, `watch_*` loops", *_cells(stock), None),
        ),
        (
            f"{seconds:g} s each, after a warm-up of 5 s. FlashCur refused {ours['rejects']:.0f} values a second. "
            "Stock ccxt hands over its caches: how many updates its loops were woken for is what is counted.",
        ),
    )


def _watch(module: str, exchange: SimulatorProcess, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", f"bench.feed.{module}", exchange.rest_url, exchange.ws_url, str(seconds)]
    with Program(command, talks=True) as program:
        return json.loads(program.hear())


def _cells(result: dict[str, Any]) -> tuple[float, ...]:
    return (result["cpu"] * 100, result["tickers"], result["marks"], result["candles"], result["rss_mb"])
