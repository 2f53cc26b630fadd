"""The conditions of a rule, each about one contract at a time.

A condition is *met* or not at any moment at which all it needs is known and fresh; a rule fires when all of its
conditions have become met together. Numbers are what a person writes: percent, not fractions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from math import isfinite
from typing import Any, ClassVar, Literal, cast, get_args

from flashcur.domain.signals.signal import DETECTOR_NAMES, DetectorName

Input = Literal[
    "price",
    "candle",
    "funding",
    "open_interest",
    "signals",
    "move 60",
    "move 300",
    "move 900",
    "move 1800",
    "move 3600",
    "move 14400",
    "move 43200",
    "move 86400",
]
"""What a condition needs of a contract, by the names of `domain.ages` where it has an age; of a move over so many
seconds, the price at its beginning."""

Side = Literal["above", "below"]
Way = Literal["up", "down", "either"]

MOVE_WINDOWS_S = (60, 300, 900, 1_800, 3_600, 14_400, 43_200, 86_400)
"""Windows of a price move: 1 min to 24 h."""
MOVE_INPUTS: Mapping[int, Input] = {window_s: cast("Input", f"move {window_s}") for window_s in MOVE_WINDOWS_S}
"""What each of them begins with."""
INTEREST_WINDOWS_S = (300, 900, 3_600, 14_400)
"""Windows of a change of open interest: 5 min to 4 h."""

LEAST_PRICE, MOST_PRICE = 1e-12, 1e9
LEAST_PERCENT, MOST_PERCENT = 0.01, 1_000.0
LEAST_MULTIPLE, MOST_MULTIPLE = 1.0, 1_000.0
MOST_FLOOR = 1e12
"""USDT of quote volume."""
MOST_RATE_PERCENT = 10.0
"""Funding in percent an interval, of either sign."""


_NUMBER = re.compile(r"[+-]?(\d+|(?!0)\d{1,3}(,\d{3})+|(?=\.\d))(\.\d*)?([eE][+-]?\d{1,3})?")
"""As people and programs write one; commas stand between thousands alone: elsewhere they may mean a decimal point."""
_WITH_COMMA = re.compile(r"[+-]?[\d.]*,[\d.,]*")


class Fault(ValueError):
    """A field of a rule that cannot be, in words for whoever wrote it."""

    def __init__(self, field: str, message: str) -> None:
        """`field`: where it stands, such as `conditions.0.percent`, `scope.symbol` or `cooldown_s`."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class PriceCross:
    """The last price is at or above, or at or below, a price: fires when it gets there from the other side."""

    kind: ClassVar[str] = "price"
    needs: ClassVar[tuple[Input, ...]] = ("price",)
    side: Side
    price: float
    """USDT."""


@dataclass(frozen=True, slots=True)
class PriceMove:
    """The price is so many percent off what it was at the beginning of the window."""

    kind: ClassVar[str] = "move"
    way: Way
    percent: float
    """Positive, of the price at the window's beginning; after a start, of the last full minute before it
    (`domain.rules.prices`)."""
    window_s: int
    """One of `MOVE_WINDOWS_S`."""

    @property
    def needs(self) -> tuple[Input, ...]:
        """The price now, and at the beginning."""
        return ("price", MOVE_INPUTS[self.window_s])


@dataclass(frozen=True, slots=True)
class VolumeRatio:
    """This hour's quote volume is at least so many times the hour before's, and at least the floor."""

    kind: ClassVar[str] = "volume"
    needs: ClassVar[tuple[Input, ...]] = ("candle",)
    multiple: float
    floor: float
    """USDT this hour; 0 for none."""


@dataclass(frozen=True, slots=True)
class FundingLevel:
    """The funding rate of the present interval is at or above, or at or below, a level, which may be negative."""

    kind: ClassVar[str] = "funding"
    needs: ClassVar[tuple[Input, ...]] = ("funding",)
    side: Side
    percent: float
    """Percent an interval, as the table shows it."""


@dataclass(frozen=True, slots=True)
class InterestMove:
    """Open interest, in contracts, is so many percent off what it was at the beginning of the window."""

    kind: ClassVar[str] = "interest"
    needs: ClassVar[tuple[Input, ...]] = ("open_interest",)
    way: Way
    percent: float
    window_s: int
    """One of `INTEREST_WINDOWS_S`."""


@dataclass(frozen=True, slots=True)
class OnSignal:
    """A signal of this kind fires; beside other conditions they are to be met at that moment."""

    kind: ClassVar[str] = "signal"
    needs: ClassVar[tuple[Input, ...]] = ("signals",)
    detector: DetectorName
    severity: int = 1
    """At least, 1 to 3."""
    direction: Literal["any", "bullish", "bearish"] = "any"
    quadrant: str = ""
    """Of open interest and price; empty for any."""


Condition = PriceCross | PriceMove | VolumeRatio | FundingLevel | InterestMove | OnSignal
CONDITIONS: Mapping[str, type[Condition]] = {each.kind: each for each in get_args(Condition)}
"""By their stored and spoken name."""


def needs_open_interest(conditions: Iterable[Condition]) -> bool:
    """Whether only a plan with open interest lets a rule with these conditions fire."""
    return any(
        isinstance(each, InterestMove) or (isinstance(each, OnSignal) and each.detector == "open_interest")
        for each in conditions
    )


def condition_to_json(condition: Condition) -> dict[str, Any]:
    """As it is stored and sent: its `kind` and its fields."""
    return {"kind": condition.kind, **{each.name: getattr(condition, each.name) for each in fields(condition)}}


def condition_from_json(value: object, field: str = "conditions.0") -> Condition:
    """The condition that `value` says. Raises Fault, which names the field below `field`."""
    if not isinstance(value, Mapping):
        raise Fault(field, "Choose what to watch.")
    written = cast("Mapping[object, object]", value)
    kind = CONDITIONS.get(str(written.get("kind")))
    if kind is None:
        raise Fault(f"{field}.kind", f"Choose what to watch: {', '.join(CONDITIONS)}.")
    read = _Reader(written, field)
    if kind is PriceCross:
        return PriceCross(read.choice("side", get_args(Side)), read.number("price", LEAST_PRICE, MOST_PRICE))
    if kind is PriceMove:
        return PriceMove(*read.move(MOVE_WINDOWS_S))
    if kind is VolumeRatio:
        multiple = read.number("multiple", LEAST_MULTIPLE, MOST_MULTIPLE)
        return VolumeRatio(multiple, read.number("floor", 0.0, MOST_FLOOR))
    if kind is FundingLevel:
        return FundingLevel(
            read.choice("side", get_args(Side)), read.number("percent", -MOST_RATE_PERCENT, MOST_RATE_PERCENT)
        )
    if kind is InterestMove:
        return InterestMove(*read.move(INTEREST_WINDOWS_S))
    return OnSignal(
        read.choice("detector", DETECTOR_NAMES),
        round(read.number("severity", 1, 3)),
        read.choice("direction", ("any", "bullish", "bearish")),
        read.quadrant(),
    )


class _Reader:
    """Reads the fields of one condition."""

    def __init__(self, value: Mapping[object, object], field: str) -> None:
        self._value = value
        self._field = field

    def number(self, name: str, least: float, most: float) -> float:
        raw = self._value.get(name)
        where = f"{self._field}.{name}"
        if isinstance(raw, bool) or not isinstance(raw, int | float | str) or raw == "":
            raise Fault(where, "Enter a number.")
        typed = str(raw).strip().replace("−", "-")
        if not _NUMBER.fullmatch(typed):
            if _WITH_COMMA.fullmatch(typed):
                raise Fault(where, "Write decimals with a point: 2.5.")
            raise Fault(where, f"Enter a number, not “{typed[:20]}”.")
        number = float(typed.replace(",", ""))
        if not isfinite(number):
            raise Fault(where, "Enter a number.")
        if not least <= number <= most:
            raise Fault(where, f"Enter a number from {_plain(least)} to {_plain(most)}.")
        return number

    def choice(self, name: str, allowed: tuple[Any, ...]) -> Any:
        value = self._value.get(name)
        if value not in allowed:
            raise Fault(f"{self._field}.{name}", f"Choose one of: {', '.join(map(str, allowed))}.")
        return value

    def move(self, windows: tuple[int, ...]) -> tuple[Way, float, int]:
        way = self.choice("way", get_args(Way))
        percent = self.number("percent", LEAST_PERCENT, MOST_PERCENT)
        if way == "down" and percent >= 100:
            raise Fault(f"{self._field}.percent", "Nothing can fall by 100 % or more.")
        window = self._value.get("window_s")
        seconds = next((each for each in windows if window == each or window == str(each)), None)
        if seconds is None:
            raise Fault(f"{self._field}.window_s", "Choose one of the windows.")
        return way, percent, seconds

    def quadrant(self) -> str:
        value = self._value.get("quadrant", "")
        if not isinstance(value, str) or len(value) > 24:
            raise Fault(f"{self._field}.quadrant", "Choose one of the kinds.")
        return value


def _plain(value: float) -> str:
    """Without an exponent: `0.000000000001`, `1,000,000,000`."""
    text = f"{Decimal(repr(value)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
