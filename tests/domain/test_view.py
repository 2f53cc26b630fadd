"""The server's view of the table is the page's: the same rows in the same order."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, get_args
from urllib.parse import urlencode

import pytest

from flashcur.domain import formats
from flashcur.domain.assets import Assets, mark
from flashcur.domain.frames import SEPARATOR, Frame
from flashcur.domain.plans import PLANS
from flashcur.domain.view import CHOICES, Direction, Show, Sort, View, amount, select
from tests.support.frames import market_frame
from tests.support.programs import require_program

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "assets" / "browser"

# The page's own functions, without the browser: what an address means, which rows it shows, what a text is worth.
HARNESS = """
import { readFileSync } from "node:fs";
const { read } = await import(`${process.argv[1]}/query.ts`);
const { amount, marketRows } = await import(`${process.argv[1]}/rows.ts`);
const { cases, texts } = JSON.parse(readFileSync(0, "utf8"));
const answers = cases.map(({ market, search, lists }) => {
  const chosen = read(search);
  const rows = marketRows(market, chosen, 0, lists).map(({ symbol, mark }) => [symbol, mark]);
  return { chosen, rows };
});
const amounts = texts.map((text) => String(amount(text)));
process.stdout.write(JSON.stringify({ answers, amounts }));
"""

BASES = (
    *("BTC", "ETH", "1000PEPE", "btc", "Btc", "BTCDOM", "B", "ß", "SS", "ﬁ", "FI", "İ", "ı", "ς", "Σ", "币安人生"),
    *(
        "1000X",
        "PEPE1000",
        "1MBABYDOGE",
        "1000币安人生",
        "10000btc",
        "龙虾",
        "🙂",
        "～",
        "𝒳",
        "عربي",
        "=X",
        "A_B",
        "é",
        "e\u0301",
    ),
)
WORDS = (
    "",
    " ",
    "btc",
    "B",
    "ss",
    "SS ",
    "\ufeffeth",
    "fi",
    "币",
    "🙂",
    "i",
    "σ",
    "عر",
    "usdt",
    "pepe1000",
    "10000PEPEUSDT",
    "1000X",
    "BTC1000",
    "1000000babydoge",
    "1000币安人生",
    "1000",
    "\x1cBTC",
    "zzz",
    "x" * 60,
)
NUMBERS = (None, 0.0, 1.0, -1.0, 0.004, -0.004, 999.994, 999.996, 1e3, 1e6, 1.004e6, 1.006e6, 5e7, 1e8, 1.2e9, 3e12)
AMOUNTS = (
    *("", " ", "0", "1M", "50m", "1.5b", "1e6", "1e999", "-5", "K", " K", "k k", "1,000", "abc", "0x10", "0b1", "0o17"),
    *("1_000", "inf", "nan", "Infinity", "-Infinity", "InfinityK", "1.", ".5M", ".", "+3k", "١٢", "1\u00a0M", "1\x1c"),
    *("\ufeff7", "0xfM", "-0x10", "1T", "1e-400", "9" * 400, "1e5e5", "𝟙M", "--1", "+", "12\n", "0x" + "f" * 300),
)


def javascript(cases: list[dict[str, Any]], texts: tuple[str, ...] = ()) -> dict[str, Any]:
    node = require_program("node", "nodejs", ROOT / ".venv" / "bin")
    command = [node, "--input-type=module", "--eval", HARNESS, str(MODULES)]
    given = json.dumps({"cases": cases, "texts": texts})
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def random_frame(chance: Random) -> Frame:
    count = chance.choice([0, 1, 2, 12, 40])
    bases = [chance.choice(BASES) for _ in range(count)]

    def texts(write: Any) -> str:
        return SEPARATOR.join([write(chance.choice(NUMBERS)) for _ in range(count)])

    columns = {
        "symbol": SEPARATOR.join([f"{base}{chance.choice(['USDT', 'usdt', ''])}.{i}" for i, base in enumerate(bases)]),
        "base": SEPARATOR.join(bases),
        "interval": SEPARATOR.join(["8"] * count),
        "next": SEPARATOR.join([""] * count),
        "price": texts(lambda value: formats.price(value, chance.randint(0, 8))),
        "change": texts(formats.percent),
        "volume": texts(formats.compact),
        "ratio": texts(formats.multiple),
        "funding": texts(lambda value: formats.rate_percent(value and value / 1e4)),
        "oi": texts(formats.compact),
        "oi1h": texts(formats.percent),
        "move": "".join(chance.choice("ud-") for _ in range(count)),
        "spike": "".join(chance.choice("01") for _ in range(count)),
        "fresh": "".join(chance.choice("01") for _ in range(count)),
        "asset": "".join(chance.choice("ccccsmfo") for _ in range(count)),
        "closed": "".join(chance.choice("01") for _ in range(count)),
        "age": SEPARATOR.join([""] * count),
    }
    if chance.random() < 0.3:
        del columns["oi"], columns["oi1h"]
    if chance.random() < 0.1:
        del columns["asset"], columns["closed"]
    return Frame(1, 1, "binanceusdm", "Binance USD-M", False, "live", count, columns)


def random_params(chance: Random) -> dict[str, str]:
    params: dict[str, str] = {}
    for name, values in (
        ("q", WORDS),
        ("sort", (*get_args(Sort), "SYMBOL", "age", "", "constructor")),
        ("dir", (*get_args(Direction), "up")),
        ("min", AMOUNTS),
        ("show", (*get_args(Show), "none")),
        ("assets", (*get_args(Assets), "stocks")),
    ):
        if chance.random() < (0.4 if name in ("q", "min") else 0.8):
            params[name] = chance.choice(values)
    return params


def test_the_rows_and_their_order_are_those_of_the_page() -> None:
    chance = Random(20261125)
    given = [(random_frame(chance), random_params(chance)) for _ in range(1500)]
    watched = [
        [symbol for symbol in frame.values("symbol") if chance.random() < 0.5] if number % 3 == 0 else None
        for number, (frame, _) in enumerate(given)
    ]
    cases = [
        {
            # What a frame does not have is empty in the page.
            "market": {"asset": "", "closed": ""} | frame.columns,
            "search": urlencode(params if symbols is None else {**params, "list": f"list{number}"}),
            "lists": [{"id": f"list{number}", "symbols": SEPARATOR.join(symbols or ())}],
        }
        for number, ((frame, params), symbols) in enumerate(zip(given, watched, strict=True))
    ]
    answers = javascript(cases)["answers"]
    shown = 0
    for (frame, params), symbols, answer in zip(given, watched, answers, strict=True):
        view = View.parse(params, None if symbols is None else frozenset(symbols))
        del answer["chosen"]["list"]
        assert {name: getattr(view, name) for name in CHOICES} == answer["chosen"]
        symbols, letters, closed = (
            frame.values(name) if name in frame.columns else [""] * frame.count
            for name in ("symbol", "asset", "closed")
        )
        rows = [[symbols[i], mark(letters[i], closed[i] == "1")] for i in select(frame, view)]
        assert rows == answer["rows"], (params, frame.columns)
        shown += len(rows)
    assert shown > 1500


def test_a_text_is_worth_what_it_is_in_the_page() -> None:
    values = [float(text.replace("Infinity", "inf")) for text in javascript([], AMOUNTS)["amounts"]]
    ours = [amount(text) for text in AMOUNTS]
    assert [str(value) for value in ours] == [str(value) for value in values]


def test_the_default_is_by_volume_descending() -> None:
    assert select(market_frame(contracts=5), View()) == [0, 1, 2, 3, 4]
    assert select(market_frame(contracts=5), View(dir="asc")) == [4, 3, 2, 1, 0]


def test_crypto_is_shown_and_the_rest_where_it_is_asked_for_or_named() -> None:
    frame = market_frame(contracts=3, tradfi=2)
    assert select(frame, View()) == [0, 1, 2]
    assert select(frame, View(assets="tradfi")) == [3, 4]
    # By a search or a list, which may be narrowed to the rest.
    assert select(frame, View(q="o")) == [3, 4, 0, 1, 2]
    assert select(frame, View(q="stock0")) == [3]
    assert select(frame, View(q="o", assets="tradfi")) == [3, 4]
    starred = frozenset({"COIN1USDT", "GOOD1USDT"})
    assert select(frame, View(symbols=starred)) == [4, 1]
    assert select(frame, View(symbols=starred, assets="tradfi")) == [4]
    # Filters are no names.
    assert select(frame, View(min="1M")) == [0, 1, 2]


def test_a_view_of_the_rest_is_kept_and_the_default_is_not_written() -> None:
    assert View(assets="tradfi").query() == "assets=tradfi"
    assert View.parse({"assets": "tradfi"}) == View(assets="tradfi")
    assert View().query() == ""


def test_missing_values_are_last_both_ways() -> None:
    frame = market_frame(contracts=3)
    frame = replace(frame, columns=frame.columns | {"volume": "|2.00K|1.00K"})
    assert select(frame, View(dir="desc")) == [1, 2, 0]
    assert select(frame, View(dir="asc")) == [2, 1, 0]


def test_a_column_the_plan_does_not_have_leaves_the_frames_order() -> None:
    frame = market_frame(contracts=5).only(PLANS["free"])
    assert select(frame, View(sort="oi", dir="asc")) == [0, 1, 2, 3, 4]


def test_only_the_contracts_of_a_watchlist() -> None:
    frame = market_frame(contracts=20)
    view = View(symbols=frozenset({"COIN3USDT", "COIN1USDT", "GONEUSDT"}))
    assert select(frame, view) == [1, 3]
    assert select(frame, replace(view, show="spiking")) == [1]
    assert select(frame, View(symbols=frozenset())) == []


def test_a_contract_is_found_under_the_number_that_another_exchange_counts() -> None:
    frame = market_frame(contracts=4)
    names = ["1000SHIB", "BTC", "PEPE", "1000000MOG"]
    symbols = [f"{name}USDT" for name in names]
    frame = replace(frame, columns=frame.columns | {"symbol": "|".join(symbols), "base": "|".join(names)})
    for q, found in {
        "SHIB1000": [0],
        "10000shibusdt": [0],
        "shib": [0],
        "1000PEPE": [2],
        "1MMOG": [3],
        "mog1000": [3],
        "1000BTC": [1],
        "1000": [0, 3],
        "1000NOT": [],
    }.items():
        assert select(frame, View(q=q)) == found, q
    # A list from another exchange; of two names that both trade, each is itself.
    assert select(frame, View(symbols=frozenset({"SHIB1000USDT", "1000PEPEUSDT", "BTCUSDT"}))) == [0, 1, 2]
    assert select(frame, View(symbols=frozenset({"1000SHIBUSDT", "GONEUSDT"}))) == [0]
    symbols[1] = "SHIB1000USDT"
    frame = replace(frame, columns=frame.columns | {"symbol": "|".join(symbols), "base": "1000SHIB|SHIB1000|PEPE|MOG"})
    assert select(frame, View(symbols=frozenset({"SHIB1000USDT"}))) == [1]


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a" * 50, "a" * 40), ("🙂" * 30, "🙂" * 20), ("a" + "🙂" * 30, "a" + "🙂" * 19), ("a\ud800", "a")],
)
def test_a_search_is_cut_as_in_the_page_and_never_within_a_character(text: str, kept: str) -> None:
    assert View.parse({"q": text}).q == kept


def test_what_is_unknown_counts_as_not_given() -> None:
    wrong = {"sort": "age", "dir": "up", "min": "much", "show": "me", "page": "2"}
    assert View.parse(wrong) == View.parse({}) == View()
    assert View.parse({}, frozenset({"BTCUSDT"})).symbols == {"BTCUSDT"}
