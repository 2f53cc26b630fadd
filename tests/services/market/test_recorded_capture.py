"""A recorded half minute of Binance USD-M through the parsers, counted."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from flashcur.domain.ticks import Candle, Instrument, Reject
from flashcur.services.market import binance_parser as parser
from flashcur.services.market.sequence import Sequencer

CAPTURE = "binance-usdm-capture-2021-07-22.jsonl.zst"


def read_capture() -> Iterator[dict[str, Any]]:
    folder = os.environ.get("FLASHCUR_MARKET_DATA")
    if not folder or not (Path(folder) / CAPTURE).exists():
        pytest.skip(f"no recorded data: set FLASHCUR_MARKET_DATA to the folder with {CAPTURE}")
    with (Path(folder) / CAPTURE).open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        for line in io.TextIOWrapper(reader, encoding="utf-8"):
            yield json.loads(line)


def test_instruments_of_the_recording() -> None:
    (answer,) = [row for row in read_capture() if row["t"] == "http" and row["url"].endswith("/exchangeInfo")]
    parsed = parser.parse_instruments(json.loads(answer["data"]), {})
    # Of 122 contracts 2 are in BUSD, 2 are quarterly, 1 is not trading yet.
    assert Counter(type(entry) for entry in parsed) == {Instrument: 117}
    by_symbol = {entry.symbol: entry for entry in parsed if isinstance(entry, Instrument)}
    assert by_symbol["BTCUSDT"] == Instrument("BTCUSDT", "BTC", 0.01, 2, 1.0, 8, 1_569_398_400_000)
    assert by_symbol["1000SHIBUSDT"].price_decimals == 6


def test_candles_of_the_recording() -> None:
    sequencer = Sequencer()
    symbols: Counter[str] = Counter()
    others: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for row in read_capture():
        if row["t"] != "recv":
            continue
        message = json.loads(row["data"])["data"]
        parsed = parser.parse_candle(message, int(row["ts"] * 1000), interval="1m")
        if isinstance(parsed, Reject):
            others[message["e"]] += 1
            assert parsed.reason == "malformed", parsed
            continue
        assert isinstance(parsed, Candle)
        assert parsed.volume_quote == float(message["k"]["q"])
        symbols[parsed.symbol] += 1
        reason = sequencer.refuse(parsed)
        if reason:
            refused[reason] += 1
    assert sum(symbols.values()) == 67
    assert set(symbols) == {"SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"}
    assert others == {"depthUpdate": 764, "bookTicker": 613, "aggTrade": 91}
    assert not refused
