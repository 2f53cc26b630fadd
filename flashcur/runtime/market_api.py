"""`/api/v1/markets`: the table as JSON, exactly as a plan's page shows it, with unrounded numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import orjson

from flashcur.domain.frames import Frame
from flashcur.domain.plans import PLANS, Audience

_EXACT = ("price", "change_pct", "volume_quote", "ratio", "funding_rate")
_OPEN_INTEREST = ("open_interest_usd", "oi_change_1h_pct")
_AGES = {"p": "price", "f": "funding_rate", "r": "ratio", "o": "open_interest_usd"}
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGE = re.compile(r"([pfro])(\d+)([smhd])")


def markets_json(frame: Frame, audience: Audience) -> bytes:
    """The answer's body for a frame that was already cut to `audience`.

    A missing value is null. `ages_s` holds the ages, in seconds, of values that are older than their allowance.
    """
    plan = PLANS[audience]
    names = _EXACT + (_OPEN_INTEREST if plan.open_interest else ())
    exact = [frame.exact[name] for name in names]
    texts = [frame.values(name) for name in ("symbol", "base", "interval", "next", "spike", "age")]
    rows: list[dict[str, Any]] = []
    for i, (symbol, base, interval, following, spike, ages) in enumerate(zip(*texts, strict=True)):
        row: dict[str, Any] = {"symbol": symbol, "base": base}
        for name, values in zip(names, exact, strict=True):
            row[name] = values[i]
        row["funding_interval_hours"] = int(interval)
        row["next_funding_at"] = iso(int(following) * 60_000) if following else None
        row["spiking"] = spike == "1"
        row["ages_s"] = {_AGES[kind]: int(number) * _UNITS_S[unit] for kind, number, unit in _AGE.findall(ages)}
        rows.append(row)
    return orjson.dumps(
        {
            "exchange": frame.exchange,
            "demo": frame.demo,
            "state": frame.state,
            "as_of": iso(frame.as_of_ms),
            "rows": rows,
        }
    )


def iso(unix_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds and a Z."""
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{unix_ms % 1000:03d}Z"
