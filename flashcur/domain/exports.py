"""The table and watchlists as others read them: TradingView's text, CSV, JSON, and the API's answer.

The frames given are already cut to the plan; `indices` are the rows to write, in their order (see `domain/view.py`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import orjson
from anyascii import anyascii

from flashcur.domain.ages import ALLOWANCES
from flashcur.domain.assets import CLASS_OF, AssetClass, Assets
from flashcur.domain.frames import EXACT_COLUMNS, Frame
from flashcur.domain.plans import PLANS, Audience

TRADINGVIEW_PREFIXES = {"binanceusdm": "BINANCE", "bybit": "BYBIT"}
"""ccxt id of an exchange to its name at TradingView."""
SECTION = "###"
"""In TradingView's text, begins a line that names the list of symbols after it."""

_OPEN_INTEREST = ("open_interest_usd", "oi_change_1h_pct")
_EXACT = tuple(name for name in EXACT_COLUMNS if name not in _OPEN_INTEREST)
_AGES = {each.letter: each.value for each in ALLOWANCES}
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGE = re.compile(rf"([{''.join(_AGES)}])([0-9]+)([smhd])")
# A spreadsheet takes a cell that begins with one of these for a formula and runs it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def ascii_name(symbol: str) -> str:
    """A symbol as TradingView writes it (`BIANRENSHENGUSDT` for `币安人生USDT`); empty where it cannot be written so.

    A letter or sign of another script that is none in ASCII is not left out: what remained would name something else.
    """
    if symbol.isascii():
        return _ascii(symbol)
    written = [_ascii(char) for char in symbol]
    lost = any(not text for text, char in zip(written, symbol, strict=True) if not char.isascii())
    return "" if lost else "".join(written)


def _ascii(text: str) -> str:
    return re.sub(r"[^A-Z0-9_]", "", anyascii(text).upper())


def tradingview_symbol(exchange_id: str, symbol: str) -> str:
    """`BINANCE:BTCUSDT.P`. Raises ValueError for an exchange (ccxt id) that has no name there."""
    prefix = TRADINGVIEW_PREFIXES.get(exchange_id)
    if prefix is None:
        raise ValueError(f"expected an exchange ({', '.join(TRADINGVIEW_PREFIXES)}), was {exchange_id!r}")
    return f"{prefix}:{ascii_name(symbol)}.P"


def tradingview_text(sections: Sequence[tuple[str | None, Sequence[str]]], exchange: str) -> str:
    """One contract a line, and before each named section a line `###NAME`. The nameless section comes first.

    `sections` are (name or None, symbols). TradingView takes a comma for the end of a line, so a name has a full-width
    one instead; a symbol that ASCII cannot write (`ascii_name`) is left out. Raises ValueError as `tradingview_symbol`.
    """
    lines: list[str] = []
    for name, symbols in sorted(sections, key=lambda section: section[0] is not None):
        if name is not None:
            lines.append(SECTION + " ".join(name.replace(",", "，").split()))
        lines += [tradingview_symbol(exchange, symbol) for symbol in symbols if ascii_name(symbol)]
    return "".join(line + "\n" for line in lines)


def filename(kind: str, now: datetime, extension: str) -> str:
    """`flashcur_tradingview_2026-11-25_13-05-09.txt`, in UTC; `kind` is `tradingview` or `markets`.

    Raises ValueError for a time without its zone.
    """
    return f"flashcur_{kind}_{_utc(now):%Y-%m-%d_%H-%M-%S}.{extension}"


def market_rows(frame: Frame, indices: Sequence[int], open_interest: bool) -> list[dict[str, Any]]:
    """The rows as dicts with unrounded numbers, None where one is missing; open interest only if asked for.

    `asset_class` is what the contract is on (`domain.assets.AssetClass`). Prices, volumes and open interest are in
    USDT, `_pct` is percent, `ratio` a multiple, `funding_rate` a fraction per interval; `next_funding_at` is ISO 8601.
    `market_closed` says that the market of a stock or a commodity is closed, as far as the exchange tells. `ages_s`
    maps the name of each value that is older than its allowance to its age in seconds.
    """
    names = _EXACT + (_OPEN_INTEREST if open_interest else ())
    missing: list[float | None] = [None] * frame.count
    exact = {name: frame.exact.get(name, missing) for name in names}
    symbols, bases, intervals = frame.values("symbol"), frame.values("base"), frame.values("interval")
    following, spikes, ages = frame.values("next"), frame.values("spike"), frame.values("age")
    letters = frame.values("asset") if "asset" in frame.columns else [AssetClass.CRYPTO.letter] * frame.count
    closed = frame.values("closed") if "closed" in frame.columns else ["0"] * frame.count
    return [
        {
            "symbol": symbols[i],
            "base": bases[i],
            "asset_class": CLASS_OF.get(letters[i], AssetClass.CRYPTO).value,
            **{name: values[i] for name, values in exact.items()},
            "funding_interval_hours": int(intervals[i]),
            "next_funding_at": iso(int(following[i]) * 60_000) if following[i] else None,
            "spiking": spikes[i] == "1",
            "market_closed": closed[i] == "1",
            "ages_s": {_AGES[kind]: int(number) * _UNITS_S[unit] for kind, number, unit in _AGE.findall(ages[i])},
        }
        for i in indices
    ]


def markets_csv(frame: Frame, indices: Sequence[int], open_interest: bool) -> str:
    """The rows of `market_rows` as CSV (RFC 4180: a header, CRLF): a missing value is blank, `ages_s` is
    `price=12 ratio=400`, and every row carries time and source.

    Text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    source: dict[str, Any] = {"as_of": iso(frame.as_of_ms), "exchange": frame.exchange, "demo": frame.demo}
    names = [*_csv_columns(open_interest), *source]
    rows = market_rows(frame, indices, open_interest)
    for row in rows:
        row["ages_s"] = " ".join(f"{name}={age}" for name, age in row["ages_s"].items())
        row |= source
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    return out.getvalue()


def api_json(frame: Frame, audience: Audience, assets: Assets) -> bytes:
    """The body of `/api/v1/markets`, UTF-8 JSON, for a frame that was already cut to `audience`.

    `rows` are those of one half of the universe, as of `market_rows`, a missing value null; `as_of` is ISO 8601 in UTC.
    """
    return orjson.dumps(
        {
            "exchange": frame.exchange,
            "demo": frame.demo,
            "state": frame.state,
            "as_of": iso(frame.as_of_ms),
            "rows": market_rows(frame, frame.of(assets), PLANS[audience].open_interest),
        }
    )


def markets_json(frame: Frame, indices: Sequence[int], open_interest: bool, exported_at: datetime) -> bytes:
    """The rows of `market_rows` as UTF-8 JSON under `data`, with when and where they were taken.

    A missing value is null. Raises ValueError if `exported_at` has no zone.
    """
    rows = market_rows(frame, indices, open_interest)
    return orjson.dumps(
        {
            "exported_at": iso(int(_utc(exported_at).timestamp() * 1000)),
            "exchange": frame.exchange,
            "symbol_count": len(rows),
            "demo": frame.demo,
            "as_of": iso(frame.as_of_ms),
            "data": rows,
        }
    )


def _csv_columns(open_interest: bool) -> tuple[str, ...]:
    numbers = _EXACT + (_OPEN_INTEREST if open_interest else ())
    return (
        "symbol",
        "base",
        "asset_class",
        *numbers,
        "funding_interval_hours",
        "next_funding_at",
        "spiking",
        "market_closed",
        "ages_s",
    )


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value) if isfinite(value) else ""
        case str():
            return "'" + value if value.startswith(_FORMULA) else value
        case _:
            return str(value)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with its zone, was {moment!r}")
    return moment.astimezone(UTC)


def iso(unix_ms: int) -> str:
    """A moment as ISO 8601 in UTC: `2026-11-25T13:05:09.120Z`."""
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"
