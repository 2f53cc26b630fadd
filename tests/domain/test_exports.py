"""Files of the table and of watchlists."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from flashcur.domain.exports import (
    TRADINGVIEW_PREFIXES,
    api_json,
    ascii_name,
    filename,
    markets_csv,
    markets_json,
    tradingview_symbol,
    tradingview_text,
)
from flashcur.domain.frames import Frame
from flashcur.domain.plans import PLANS
from flashcur.services.market.venues import VENUES
from tests.support.frames import market_frame

NOON = datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC)


def named(frame: Frame, symbols: list[str], bases: list[str] | None = None) -> Frame:
    names = {"symbol": "|".join(symbols), "base": "|".join(bases or symbols)}
    return replace(frame, columns=frame.columns | names)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    ("exchange", "symbol", "written"),
    [
        ("binanceusdm", "BTCUSDT", "BINANCE:BTCUSDT.P"),
        ("bybit", "BTCUSDT", "BYBIT:BTCUSDT.P"),
        ("binanceusdm", "1000PEPEUSDT", "BINANCE:1000PEPEUSDT.P"),
        ("binanceusdm", "币安人生USDT", "BINANCE:BIANRENSHENGUSDT.P"),
        ("bybit", "A-B_CUSDT", "BYBIT:AB_CUSDT.P"),
        ("bybit", "ÄßUSDT", "BYBIT:ASSUSDT.P"),
    ],
)
def test_a_symbol_is_written_as_tradingview_has_it(exchange: str, symbol: str, written: str) -> None:
    assert tradingview_symbol(exchange, symbol) == written


def test_every_exchange_has_its_prefix() -> None:
    assert set(VENUES) == set(TRADINGVIEW_PREFIXES)
    with pytest.raises(ValueError, match="expected an exchange"):
        tradingview_symbol("kraken", "BTCUSDT")


def test_text_has_a_line_for_each_symbol_and_headers_for_lists() -> None:
    assert tradingview_text([(None, ["BTCUSDT", "ETHUSDT"])], "bybit") == "BYBIT:BTCUSDT.P\nBYBIT:ETHUSDT.P\n"
    sections = [("Majors", ["BTCUSDT"]), ("Empty", []), (None, ["SOLUSDT"])]
    assert tradingview_text(sections, "binanceusdm") == "BINANCE:SOLUSDT.P\n###Majors\nBINANCE:BTCUSDT.P\n###Empty\n"
    assert tradingview_text([], "bybit") == ""


def test_a_name_stays_on_its_line() -> None:
    text = tradingview_text([("A, B\r\nBINANCE:X.P\u2028c", ["BTCUSDT"])], "binanceusdm")
    assert text == "###A， B BINANCE:X.P c\nBINANCE:BTCUSDT.P\n"


def test_a_symbol_without_any_ascii_is_not_written() -> None:
    assert ascii_name("\ue000") == ""
    # Nothing is squeezed into another name by leaving out what ASCII does not have.
    assert ascii_name("BTCUSDT，ETHUSDT") == ""
    assert ascii_name("عUSDT") == ""
    assert tradingview_text([(None, ["\ue000", "BTCUSDT"])], "bybit") == "BYBIT:BTCUSDT.P\n"


def test_a_file_is_named_by_its_kind_and_time_in_utc() -> None:
    there = datetime(2026, 1, 1, 0, 30, 5, tzinfo=timezone(timedelta(hours=2)))
    assert filename("tradingview", there, "txt") == "flashcur_tradingview_2025-12-31_22-30-05.txt"
    assert filename("markets", NOON, "csv") == "flashcur_markets_2026-11-25_12-00-00.csv"
    with pytest.raises(ValueError, match="expected a time with its zone"):
        filename("markets", NOON.replace(tzinfo=None), "csv")


def test_csv_has_the_chosen_rows_in_order_with_exact_numbers() -> None:
    frame = market_frame(contracts=4)
    frame.exact["price"][2] = 1e-08
    text = markets_csv(frame, [2, 0], open_interest=True)
    assert text.count("\r\n") == 3
    assert text.count("\n") == 3
    small, large = table(text)
    assert [small["symbol"], large["symbol"]] == ["COIN2USDT", "COIN0USDT"]
    assert float(small["price"]) == 1e-08
    assert float(small["funding_rate"]) == -0.0005
    assert float(large["open_interest_usd"]) == frame.exact["open_interest_usd"][0]
    assert (large["as_of"], large["exchange"], large["demo"]) == ("2026-09-21T14:13:20.000Z", "binanceusdm", "false")
    assert large["next_funding_at"] == "2026-09-21T15:00:00.000Z"
    assert table(markets_csv(frame, [1], open_interest=False))[0]["spiking"] == "true"


def test_csv_leaves_what_is_missing_blank_and_tells_ages() -> None:
    frame = market_frame(contracts=2)
    frame.exact["ratio"][0] = None
    frame.exact["change_pct"][0] = math.inf
    frame = replace(frame, columns=frame.columns | {"next": "|1", "age": "p12s,r3m|"})
    first, second = table(markets_csv(frame, [0, 1], open_interest=True))
    assert (first["ratio"], first["change_pct"], first["next_funding_at"]) == ("", "", "")
    assert (first["ages_s"], second["ages_s"]) == ("price=12 ratio=180", "")


def test_csv_without_rows_has_its_header() -> None:
    text = markets_csv(market_frame(contracts=0), [], open_interest=False)
    assert text.startswith("symbol,base,asset_class,price,")
    assert "open_interest" not in text
    assert text.count("\r\n") == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_cells_are_no_formulas_but_numbers_keep_their_sign(start: str) -> None:
    frame = named(market_frame(contracts=1), [f'{start}HYPERLINK("x","y")'])
    row = table(markets_csv(frame, [0], open_interest=False))[0]
    assert row["symbol"] == row["base"] == f'\'{start}HYPERLINK("x","y")'
    assert float(row["change_pct"]) == -4.5


def test_json_tells_source_and_time_and_has_the_rows() -> None:
    frame = named(market_frame(contracts=2, demo=True), ["币安人生USDT", "BUSDT"], ["币安人生", "B"])
    frame.exact["ratio"][0] = None
    body = json.loads(markets_json(frame, [1, 0], open_interest=True, exported_at=NOON))
    rows = body.pop("data")
    assert body == {
        "exported_at": "2026-11-25T12:00:00.250Z",
        "exchange": "binanceusdm",
        "symbol_count": 2,
        "demo": True,
        "as_of": "2026-09-21T14:13:20.000Z",
    }
    assert [row["base"] for row in rows] == ["B", "币安人生"]
    assert rows[1]["ratio"] is None
    assert rows[0]["open_interest_usd"] == frame.exact["open_interest_usd"][1]


def test_json_rows_are_those_of_the_api() -> None:
    frame = market_frame(contracts=5)
    frame = replace(frame, columns=frame.columns | {"age": "p12s,o3m||||f2h"})
    export = json.loads(markets_json(frame, range(5), open_interest=True, exported_at=NOON))
    assert export["data"] == json.loads(api_json(frame, "elite", "crypto"))["rows"]


def test_rows_say_what_they_are_on_and_the_api_answers_for_one_half() -> None:
    frame = market_frame(contracts=2, tradfi=2)
    rows = json.loads(markets_json(frame, range(4), open_interest=False, exported_at=NOON))["data"]
    assert [(row["asset_class"], row["market_closed"]) for row in rows] == [
        ("crypto", False),
        ("crypto", False),
        ("stock", True),
        ("commodity", False),
    ]
    assert table(markets_csv(frame, [2], open_interest=False))[0]["market_closed"] == "true"
    halves = [json.loads(api_json(frame, "elite", assets))["rows"] for assets in ("crypto", "tradfi")]
    assert [[row["symbol"] for row in half] for half in halves] == [
        ["COIN0USDT", "COIN1USDT"],
        ["STOCK0USDT", "GOOD1USDT"],
    ]


def test_a_plan_without_open_interest_gets_none() -> None:
    frame = market_frame(contracts=3).only(PLANS["free"])
    row = json.loads(markets_json(frame, [0], open_interest=False, exported_at=NOON))["data"][0]
    assert not {"open_interest_usd", "oi_change_1h_pct"} & set(row)
    # Asked for by mistake, it is missing and not there.
    assert table(markets_csv(frame, [0], open_interest=True))[0]["open_interest_usd"] == ""
