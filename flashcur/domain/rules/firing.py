"""What the evaluation of rules gives: what each condition measures, that a rule fires, and what came nearest to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from math import isnan

from flashcur.domain import formats
from flashcur.domain.rules.condition import (
    Condition,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    VolumeRatio,
)
from flashcur.domain.rules.rule import Rule
from flashcur.domain.signals.words import DETECTOR_TITLES

WINDOW_WORDS: dict[int, str] = {
    60: "1 minute",
    300: "5 minutes",
    900: "15 minutes",
    1_800: "30 minutes",
    3_600: "1 hour",
    14_400: "4 hours",
    43_200: "12 hours",
    86_400: "24 hours",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One condition and what it measures, in the condition's own unit."""

    condition: Condition
    value: float | None
    """None where it is not known, too old, or of a signal."""
    threshold: float | None
    """With the sign of the way in which it was, or would be, met; None of a signal."""
    met: bool
    text: str
    """`Price 65,010 (at or above 65,000)`."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule fires for a contract. The event is named by rule, version, symbol and `event_ms`."""

    rule: Rule
    symbol: str
    event_ms: int
    """The exchange's own time of what fired it, Unix ms; of a rule that holds, that at which it had held."""
    seen_ms: int
    """When we knew, Unix ms by our clock."""
    price: float | None
    """Last price, USDT."""
    readings: tuple[Reading, ...]
    """One a condition, in the rule's order."""
    missed: bool
    """Whether it came about while nothing was known: when exactly cannot be said."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """How near a rule came to firing: of all its contracts the one for which least was missing."""

    symbol: str
    condition: Condition
    """The condition that was furthest from being met there."""
    value: float
    """In the condition's unit."""
    threshold: float
    at_ms: int
    """The exchange's time of the value, Unix ms."""
    missing: float
    """How far it was off, as a fraction of the threshold; above 0."""
    of_floor: bool = False
    """Whether `value` and `threshold` are the hour's volume and its floor in USDT, and not the condition's multiple."""


def plain(value: float, decimals: int | None = None) -> str:
    """A number as people write it: `65,000`, `0.00001234`; with `decimals` where they are known; `…` for NaN."""
    if isnan(value):
        return "…"
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    if 1e-4 <= abs(value) < 1e12:
        return f"{value:,.12g}"
    text = f"{Decimal(repr(value)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def reading_text(condition: Condition, value: float | None, volume: float | None, decimals: int | None) -> str:
    """What a condition measures and wants, in one line.

    `value` is in the condition's unit, None where it is not known; `volume` this hour's in USDT; `decimals` those of
    the contract's price.
    """
    if isinstance(condition, OnSignal):
        return f"Signal: {DETECTOR_TITLES[condition.detector]}"
    if isinstance(condition, PriceCross):
        now = "not known" if value is None else plain(value, decimals)
        return f"Price {now} (at or {condition.side} {plain(condition.price)})"
    if isinstance(condition, PriceMove | InterestMove):
        what = "Price" if isinstance(condition, PriceMove) else "Open interest"
        now = "not known" if value is None else f"{formats.percent(value)} %"
        sign = {"up": "+", "down": "−", "either": "±"}[condition.way]
        return f"{what} {now} in {WINDOW_WORDS[condition.window_s]} ({sign}{plain(condition.percent)} % or more)"
    if isinstance(condition, FundingLevel):
        now = "not known" if value is None else f"{formats.signed(value, 4)} %"
        return f"Funding {now} (at or {condition.side} {plain(condition.percent)} %)"
    now = "not known" if value is None else f"{formats.multiple(value)}×"
    text = f"Volume {now} the hour before ({plain(condition.multiple)}× or more"
    if condition.floor <= 0:
        return f"{text})"
    so_far = "" if volume is None else f"; ${formats.compact(volume)} this hour"
    return f"{text}{so_far}, at least ${formats.compact(condition.floor)})"


def nearest_text(near: Nearest, decimals: int | None) -> str:
    """What was missing, in one line: that of the comparison which was furthest off. `decimals` as for
    `reading_text`."""
    if near.of_floor:
        return f"${formats.compact(near.value)} this hour (at least ${formats.compact(near.threshold)})"
    if isinstance(near.condition, VolumeRatio):
        # The floor was not what was missing.
        return reading_text(replace(near.condition, floor=0.0), near.value, None, decimals)
    return reading_text(near.condition, near.value, None, decimals)
