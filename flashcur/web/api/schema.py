"""What the API takes and answers, as JSON Schema: one table, which routes check parameters by, and OpenAPI and the page
are drawn from. Real answers are held against it in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from flashcur.domain.assets import AssetClass, Assets
from flashcur.domain.frames import Liveness
from flashcur.domain.signals.evidence import ROLES, UNITS, Chart
from flashcur.domain.signals.filters import Side, Since
from flashcur.domain.signals.signal import DETECTOR_NAMES, DIRECTIONS, KINDS, QUADRANTS, SEVERITIES
from flashcur.services.alerts.signals import MOST, PAGE

Schema = dict[str, Any]
"""JSON Schema (2020-12), as OpenAPI 3.1 has it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a route."""

    name: str
    meaning: str
    schema: Schema
    example: str
    """As it stands in an address."""
    where: Literal["query", "path"] = "query"


def text(meaning: str, choices: Iterable[str] = (), *, nullable: bool = False) -> Schema:
    """A text, one of `choices` where there are any; or null."""
    schema: Schema = {"type": ["string", "null"] if nullable else "string", "description": meaning}
    if named := list(choices):
        schema["enum"] = [*named, None] if nullable else named
    return schema


def number(meaning: str, *, nullable: bool = False) -> Schema:
    """Any number, or null."""
    return {"type": ["number", "null"] if nullable else "number", "description": meaning}


def whole(meaning: str, least: int | None = None, most: int | None = None, default: int | None = None) -> Schema:
    """A whole number."""
    bounds = {"minimum": least, "maximum": most, "default": default}
    return {"type": "integer", "description": meaning} | {name: n for name, n in bounds.items() if n is not None}


def flag(meaning: str) -> Schema:
    """True or false."""
    return {"type": "boolean", "description": meaning}


def moment(meaning: str, *, nullable: bool = False) -> Schema:
    """A moment in ISO 8601, UTC; or null."""
    return {"type": ["string", "null"] if nullable else "string", "format": "date-time", "description": meaning}


def day(meaning: str) -> Schema:
    """A day as YYYY-MM-DD."""
    return {"type": "string", "format": "date", "description": meaning}


def several(name: str, meaning: str) -> Schema:
    """An array of objects of `OBJECTS`."""
    return {"type": "array", "items": of(name), "description": meaning}


def of(name: str, *, nullable: bool = False) -> Schema:
    """An object of `OBJECTS`, or null."""
    reference = {"$ref": f"#/components/schemas/{name}"}
    return {"anyOf": [reference, {"type": "null"}]} if nullable else reference


def _object(meaning: str, properties: dict[str, Schema], optional: Iterable[str] = ()) -> Schema:
    left_out = frozenset(optional)
    return {
        "type": "object",
        "description": meaning,
        "properties": properties,
        "required": [name for name in properties if name not in left_out],
        "additionalProperties": False,
    }


_EXCHANGE = text("The exchange, by its ccxt id.")
_DEMO = flag("Whether it is the simulated exchange: no number is a market price.")

OBJECTS: dict[str, Schema] = {
    "Markets": _object(
        "The contracts that your plan shows, the largest by 24 h volume first as of the last full hour.",
        {
            "exchange": _EXCHANGE,
            "demo": _DEMO,
            "state": text("How old the newest price is: at most 5 s, a minute, or older.", get_args(Liveness)),
            "as_of": moment("When these numbers were taken: your plan’s last mark, or the last second."),
            "rows": several("Market", "One a contract."),
        },
    ),
    "Market": _object(
        "One contract.",
        {
            "symbol": text("The exchange’s id of the contract."),
            "base": text("What is traded, as the exchange names it."),
            "asset_class": text("What the contract is on.", (each.value for each in AssetClass)),
            "price": number("Last price, USDT.", nullable=True),
            "change_pct": number("Change in 24 h, percent.", nullable=True),
            "volume_quote": number("Volume of 24 h, USDT.", nullable=True),
            "ratio": number("Volume of this hour against the hour before, a multiple.", nullable=True),
            "funding_rate": number("Funding rate, a fraction per interval.", nullable=True),
            "open_interest_usd": number("Open interest, USDT. Left out where your plan has none.", nullable=True),
            "oi_change_1h_pct": number("Its change in 1 h, percent. Left out likewise.", nullable=True),
            "funding_interval_hours": whole("Hours between funding payments."),
            "next_funding_at": moment("When funding is paid next.", nullable=True),
            "spiking": flag("Whether this hour’s volume is a spike by the canonical rule."),
            "market_closed": flag("Whether the market of a stock or commodity is closed."),
            "ages_s": {
                "type": "object",
                "description": "Age in seconds of each value that is older than its allowance, by its name.",
                "additionalProperties": {"type": "integer"},
            },
        },
        optional=("open_interest_usd", "oi_change_1h_pct"),
    ),
    "Signals": _object(
        "One page of signals, the newest first.",
        {
            "exchange": text("The exchange that serves now, by its ccxt id; a signal names its own."),
            "demo": _DEMO,
            "as_of": moment("Up to when your plan is shown signals: now, or its last mark."),
            "signals": several("Signal", "The signals."),
            "next": text("Send it as `cursor` for the next page; null on the last one.", nullable=True),
        },
    ),
    "OneSignal": _object(
        "One signal.",
        {
            "exchange": text("The exchange that serves now, by its ccxt id; a signal names its own."),
            "demo": _DEMO,
            "as_of": moment("Up to when your plan is shown signals: now, or its last mark."),
            "signal": of("Signal"),
        },
    ),
    "Signal": _object(
        "Something unusual that a detector saw, once.",
        {
            "id": whole("Its number here."),
            "key": text("Names the event: the same whoever finds it, and however often."),
            "detector": text("What it was found by; the parameter `kind` asks for these.", DETECTOR_NAMES),
            "kind": text("What happened.", KINDS),
            "exchange": text("The exchange that the numbers come from, by its ccxt id."),
            "demo": _DEMO,
            "symbol": text("The exchange’s id of the contract."),
            "base": text("What is traded, as the exchange names it."),
            "severity": whole("1 noticeable, 2 strong, 3 extreme.", min(SEVERITIES), max(SEVERITIES)),
            "direction": text("Which way it points.", DIRECTIONS),
            "quadrant": text("Of open interest and price; null for other kinds.", QUADRANTS, nullable=True),
            "text": text("The signal in one line."),
            "price": number("Last price when it fired, USDT.", nullable=True),
            "period_at": moment("Beginning of the hour, window or funding period that it belongs to."),
            "period_s": whole("How long that is, in seconds; 0 where there is none.", 0),
            "evidence": of("Evidence", nullable=True),
            "receipt": of("Receipt"),
            "outcome": of("Outcome"),
        },
    ),
    "Evidence": _object(
        "Why it fired.",
        {
            "rule_version": text("The rule and its version, which rises with every change of what it finds."),
            "measures": several("Measure", "The numbers that it was judged by."),
            "chart": text("What a picture of the hours around it would show.", get_args(Chart)),
            "line": number("Where the threshold lies in that picture.", nullable=True),
        },
    ),
    "Measure": _object(
        "One number of the evidence.",
        {
            "name": text("Its stable name."),
            "label": text("What a person calls it."),
            "value": {"type": ["number", "string"], "description": "The number, or a word where the unit is `text`."},
            "unit": text(
                "What it counts: `usd` an amount in USDT, `price` USDT for one, `rate` a fraction per 8 hours.", UNITS
            ),
            "role": text("Whether it was measured, compared with, or is a limit.", ROLES),
            "text": text("Value and unit as a person reads them."),
        },
    ),
    "Receipt": _object(
        "How long it took from the exchange to our database.",
        {
            "event_at": moment("The exchange’s own time of the message that fired."),
            "seen_at": moment("When we received it."),
            "stored_at": moment("When the signal was written down."),
            "seen_after_ms": whole("From the first to the second, ms; below 0 where the clocks differ."),
            "stored_after_ms": whole("From the second to the third, ms."),
        },
    ),
    "Outcome": _object(
        "What the price did afterwards; null while it is not known, and where it never will be.",
        {
            "change_1h_pct": number(
                "Change 1 h after `event_at`, to the minute, in percent of the price when it fired.", nullable=True
            ),
            "change_4h_pct": number("The same 4 h later.", nullable=True),
            "change_24h_pct": number("The same 24 h later.", nullable=True),
            "highest_pct": number(
                "Largest rise within 24 h, percent, at least 0: from the first whole minute after the signal on.",
                nullable=True,
            ),
            "lowest_pct": number("Largest fall, likewise, at most 0.", nullable=True),
            "by_hours": flag("Whether minutes were missing: a change is to the nearest full hour, up to 30 min off."),
        },
    ),
    "Error": _object(
        "Why there is no answer.",
        {
            "error": text("What is wrong, for people."),
            "field": text("The parameter that is wrong."),
            "link": text("Where something can be done about it."),
            "link_text": text("What that link says."),
            "retry_after": number("Seconds to wait; also in the header Retry-After, rounded up."),
        },
        optional=("field", "link", "link_text", "retry_after"),
    ),
}
"""Every object of the API's answers, by name."""

MARKET_PARAMETERS = (
    Parameter(
        "assets",
        "Contracts on coins, or on stocks, commodities and currencies.",
        {"type": "string", "enum": list(get_args(Assets)), "default": "crypto"},
        "tradfi",
    ),
)

SIGNAL_PARAMETERS = (
    Parameter(
        "kind",
        "What found them; several are separated by commas.",
        {"type": "array", "items": {"type": "string", "enum": list(DETECTOR_NAMES)}},
        "volume_spike,open_interest",
    ),
    Parameter("direction", "Which way they point.", text("", get_args(Side)), "bullish"),
    Parameter(
        "severity",
        "The least severity: 1 noticeable, 2 strong, 3 extreme.",
        {"type": "integer", "enum": list(SEVERITIES), "default": 1},
        "2",
    ),
    Parameter("quadrant", "Of open interest and price.", text("", QUADRANTS), "long_build_up"),
    Parameter("contract", "A symbol or a coin, whatever its multiple: PEPE finds 1000PEPE.", text(""), "PEPE"),
    Parameter("since", "How far back, from now.", text("", get_args(Since)), "week"),
    Parameter("from", "The first day, UTC.", day(""), "2026-11-23"),
    Parameter("to", "The last day, UTC.", day(""), "2026-11-27"),
    Parameter("list", "Only contracts in this watchlist of yours, by its id.", text(""), "3f8c0e6b1d2a4c57"),
    Parameter("limit", "How many at most.", whole("", 1, MOST, PAGE), "100"),
    Parameter("cursor", "Where the page begins: `next` of the page before.", text(""), "1795435200000-4711"),
)
"""The words of `domain.signals.filters`, and those of paging."""

SIGNAL_ID = Parameter("id", "The signal’s `id`.", whole("", 1), "4711", "path")
