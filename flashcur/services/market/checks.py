"""Field checks shared by the parsers: each reads one value of a raw message, or raises `Bad` with the reason.

The bounds are wide enough for every contract known and narrow enough to catch a broken message. `Bad` never leaves a
parser; it becomes a counted `Reject`.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import cast

from flashcur.domain.ticks import Reject

HOUR_MS = 3_600_000

MAX_PRICE = 1e9
"""USDT."""
MAX_CHANGE_PCT = 1e6
MAX_VOLUME = 1e13
"""USDT in 24 h or in an hour."""
MAX_FUNDING = 0.1
"""10 % an interval; no venue lets a rate go beyond 4 %."""
MAX_CONTRACTS = 1e16
MAX_AHEAD_MS = 10_000
"""A later event than this could hold back true values until it has passed."""
MAX_BEHIND_MS = 24 * HOUR_MS
MAX_REST_BEHIND_MS = 7 * 24 * HOUR_MS
"""Answers about contracts without trades carry the time of the last one: a closed market's holidays are days long."""
NEVER_MS = 4_070_908_800_000
"""The year 2099: exchanges write 2100 for a contract without an end."""

_SYMBOL_LENGTH = 64

Raw = dict[str, object]


class Bad(Exception):
    """A raw value cannot be used; `reason` is one of the stable words of `Reject`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    def reject(self, stream: str, raw: object, key: str) -> Reject:
        """The counted form; the symbol is read from `raw[key]` when there is one."""
        name = cast(Raw, raw).get(key) if isinstance(raw, dict) else None
        return Reject(stream, self.reason, name[:_SYMBOL_LENGTH] if isinstance(name, str) else None, self.detail)


def short(value: object) -> str:
    """A raw value as a log can take it, whatever it is."""
    if isinstance(value, str):
        return ascii(value[:40])
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a huge integer"
    return type(value).__name__


def fields(raw: object) -> Raw:
    """`raw` as a JSON object."""
    if not isinstance(raw, dict):
        raise Bad("malformed", f"expected an object, was {short(raw)}")
    return cast(Raw, raw)


def items(raw: object) -> list[object]:
    """`raw` as a JSON array."""
    if not isinstance(raw, list):
        raise Bad("malformed", f"expected an array, was {short(raw)}")
    return cast("list[object]", raw)


def text(raw: Raw, key: str) -> str:
    """A name of any script that can stand in a frame: printable, without spaces around it and without `|` and `;`."""
    value = raw.get(key)
    if not isinstance(value, str) or not value or len(value) > _SYMBOL_LENGTH:
        reason = "missing" if value is None or value == "" else "malformed"
        raise Bad(reason, f"expected {key} as text, was {short(value)}")
    # Letters and digits of any script are nearly all there is, and every message comes through here.
    if not value.isalnum() and (not value.isprintable() or value != value.strip() or "|" in value or ";" in value):
        raise Bad("malformed", f"expected {key} as a printable name without | and ;, was {short(value)}")
    return value


def number(value: object, name: str, low: float, high: float) -> float:
    """A finite number from a string or a JSON number, within `low` and `high`, both included."""
    if value is None or value == "":
        raise Bad("missing", f"expected {name}, was blank")
    if isinstance(value, bool) or not isinstance(value, str | float | int):
        raise Bad("not_a_number", f"expected {name} as a number, was {short(value)}")
    try:
        # Python reads "1_0" as 10; no exchange writes that.
        result = float("" if isinstance(value, str) and "_" in value else value)
    except (ValueError, OverflowError):
        raise Bad("not_a_number", f"expected {name} as a number, was {short(value)}") from None
    if low <= result <= high:
        return result
    if result != result or result in (float("inf"), float("-inf")):
        raise Bad("not_a_number", f"expected {name} as a finite number, was {result}")
    reason = "negative" if result < 0 <= low else "absurd"
    raise Bad(reason, f"expected {name} from {low:g} to {high:g}, was {result:g}")


def price(value: object, name: str) -> float:
    """A price in USDT, > 0."""
    return number(value, name, 1e-12, MAX_PRICE)


def change_pct(value: float) -> float:
    """24 h change in percent, > -100."""
    if not -100.0 < value <= MAX_CHANGE_PCT:
        raise Bad("absurd", f"expected the 24 h change above -100 % and up to {MAX_CHANGE_PCT:g} %, was {value:g} %")
    return value


def volume(value: object, name: str) -> float:
    """A quote volume in USDT, >= 0."""
    return number(value, name, 0.0, MAX_VOLUME)


def moment(value: object, name: str, now_ms: int, *, behind_ms: int = MAX_BEHIND_MS) -> int:
    """Unix ms that lies between `behind_ms` before and a few seconds after `now_ms`, the exchange's clock."""
    result = int(number(value, name, 0, 1e15))
    if not now_ms - behind_ms <= result <= now_ms + MAX_AHEAD_MS:
        raise Bad("absurd", f"expected {name} close to {now_ms}, was {result}")
    return result


def past(value: object, name: str, now_ms: int) -> int:
    """Unix ms of something that has happened, however long ago, by the exchange's clock `now_ms`."""
    result = int(number(value, name, 1, 1e15))
    if result > now_ms + MAX_AHEAD_MS:
        raise Bad("absurd", f"expected {name} before {now_ms}, was {result}")
    return result


def next_funding(value: object, name: str, now_ms: int) -> int | None:
    """Unix ms of the next payment; None when the venue gives none (blank or 0)."""
    if value is None or value in ("", "0", 0):
        return None
    result = int(number(value, name, 0, 1e15))
    if not now_ms - HOUR_MS <= result <= now_ms + 48 * HOUR_MS:
        raise Bad("absurd", f"expected {name} within 48 h after {now_ms}, was {result}")
    return result


def delivery(value: object) -> int | None:
    """Unix ms of a contract's end; None when the venue gives none (blank, 0, or a date that stands for never)."""
    try:
        result = int(number(value, "delivery", 0, 1e15))
    except Bad:
        # Nothing is known of an end; the contract itself is not in doubt.
        return None
    return result if 0 < result < NEVER_MS else None


def candle_prices(o: object, h: object, low: object, c: object) -> tuple[float, float, float, float]:
    """Open, high, low, close that agree with one another."""
    opened, highest, lowest, closed = price(o, "open"), price(h, "high"), price(low, "low"), price(c, "close")
    if not (lowest <= opened <= highest and lowest <= closed <= highest):
        found = f"open {opened:g}, high {highest:g}, low {lowest:g}, close {closed:g}"
        raise Bad("crossed", f"expected open and close between low and high, was {found}")
    return opened, highest, lowest, closed


def candle_start(value: object, name: str, now_ms: int, interval_ms: int) -> int:
    """Open time of a candle in Unix ms: a multiple of its interval, not in the future."""
    result = int(number(value, name, 0, 1e15))
    if result % interval_ms or result > now_ms + MAX_AHEAD_MS:
        raise Bad("absurd", f"expected {name} at a full interval before {now_ms}, was {result}")
    return result


def tick_size(value: object, name: str) -> tuple[float, int]:
    """A price step and the decimals it needs: "0.0000100" is (0.00001, 5), "10" is (10.0, 0)."""
    step = number(value, name, 1e-12, MAX_PRICE)
    try:
        exponent = Decimal(str(value)).normalize().as_tuple().exponent
    except InvalidOperation:
        raise Bad("not_a_number", f"expected {name} as a number, was {short(value)}") from None
    return step, max(0, -exponent) if isinstance(exponent, int) else 0
