"""What each condition of a rule measures now, from a frame: only what the plan that the frame was cut for may see.

The evaluation itself works on exact values (`domain.rules.evaluator`); here are those that the table shows, for the
form, and moves over windows of up to an hour, which the engine tells beside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from flashcur.domain import formats
from flashcur.domain.frames import Frame
from flashcur.domain.rules.condition import (
    Condition,
    FundingLevel,
    InterestMove,
    PriceCross,
    PriceMove,
    VolumeRatio,
    Way,
)
from flashcur.domain.rules.rule import Scope
from flashcur.domain.spikes import HOUR_MS

TOLD_WINDOWS_S = (300, 900, 1_800, 3_600)
"""Windows in seconds over which the engine tells how prices moved, in this order; see `engine.why_not`."""

Moves = Mapping[str, Sequence[float | None]]
"""By symbol, the move over each of `TOLD_WINDOWS_S` in percent, from a price of some seconds around its beginning."""

_DAY_S = 86_400
_HOUR_S = HOUR_MS // 1000
_INTEREST = "oi_change_1h_pct"


@dataclass(frozen=True, slots=True)
class Present:
    """What is known of one condition now."""

    text: str
    """The value of one contract, or how many contracts meet it; empty where the table does not show it."""
    met: bool | None
    """Whether one contract meets it now; None where that is not known, or there are several."""
    window_shown: bool = True
    """False where the table shows what the condition is about, though not over its window."""


_UNSHOWN = Present("", None, window_shown=False)


def present(
    conditions: Sequence[Condition], scope: Scope, frame: Frame | None, members: Collection[str], moves: Moves
) -> list[Present]:
    """One for each condition. `members`: the contracts of the watchlist, where the scope is one."""
    if frame is None:
        return [Present("", None)] * len(conditions)
    found = _found(conditions, scope, frame, members, moves)
    return [each if _is_shown(what, frame, moves) else _UNSHOWN for what, each in zip(conditions, found, strict=True)]


def _found(
    conditions: Sequence[Condition], scope: Scope, frame: Frame, members: Collection[str], moves: Moves
) -> list[Present]:
    symbols = frame.values("symbol")
    if scope.kind == "symbol":
        at = [i for i, symbol in enumerate(symbols) if symbol == scope.symbol]
        return [_of_one(each, frame, at[0], moves) if at else Present("", None) for each in conditions]
    chosen = frame.of("crypto")
    if scope.kind == "watchlist":
        chosen = [i for i, symbol in enumerate(symbols) if symbol in members]
    return [_of_many(each, frame, chosen, moves) for each in conditions]


def _is_shown(condition: Condition, frame: Frame, moves: Moves) -> bool:
    """Whether it is over a window that is told, or over none; what a plan is not shown has no window to name."""
    if isinstance(condition, PriceMove):
        return condition.window_s == _DAY_S or (bool(moves) and condition.window_s in TOLD_WINDOWS_S)
    return not isinstance(condition, InterestMove) or condition.window_s == _HOUR_S or _INTEREST not in frame.exact


def _of_one(condition: Condition, frame: Frame, at: int, moves: Moves) -> Present:
    value = _value(condition, frame, at, moves)
    if value is None:
        return Present("", None)
    met = _met(condition, value)
    if isinstance(condition, PriceCross):
        return Present(f"{_grouped(frame.values('price')[at])} USDT", met)
    if isinstance(condition, VolumeRatio):
        # The volume of this hour is in no frame: whether the floor is reached is not known.
        return Present(f"{formats.multiple(value)} times", None if met and condition.floor else met)
    decimals = 4 if isinstance(condition, FundingLevel) else 2
    about = "about " if isinstance(condition, PriceMove) and condition.window_s != _DAY_S else ""
    return Present(f"{about}{formats.signed(value, decimals)} %", met)


def _of_many(condition: Condition, frame: Frame, chosen: Sequence[int], moves: Moves) -> Present:
    values = [value for i in chosen if (value := _value(condition, frame, i, moves)) is not None]
    # Thresholds of a price mean one contract; with a floor the volume would have to be known.
    if not values or isinstance(condition, PriceCross) or (isinstance(condition, VolumeRatio) and condition.floor):
        return Present("", None)
    there = sum(_met(condition, value) for value in values)
    meet = "meets" if there == 1 else "meet"
    return Present(f"{there:,} of {len(values):,} contracts {meet} this now", None)


def _value(condition: Condition, frame: Frame, at: int, moves: Moves) -> float | None:
    """In the unit of the condition's threshold; None where it is not told."""
    if isinstance(condition, PriceMove) and condition.window_s in TOLD_WINDOWS_S:
        told = moves.get(frame.values("symbol")[at], ())
        place = TOLD_WINDOWS_S.index(condition.window_s)
        return told[place] if place < len(told) else None
    column, scale = "", 1.0
    if isinstance(condition, PriceCross):
        column = "price"
    elif isinstance(condition, PriceMove) and condition.window_s == _DAY_S:
        column = "change_pct"
    elif isinstance(condition, VolumeRatio):
        column = "ratio"
    elif isinstance(condition, FundingLevel):
        column, scale = "funding_rate", 100.0
    elif isinstance(condition, InterestMove) and condition.window_s == _HOUR_S:
        column = _INTEREST
    values = frame.exact.get(column, [])
    value = values[at] if at < len(values) else None
    return None if value is None or not isfinite(value) else value * scale


def _met(condition: Condition, value: float) -> bool:
    if isinstance(condition, PriceCross):
        return value >= condition.price if condition.side == "above" else value <= condition.price
    if isinstance(condition, FundingLevel):
        return value >= condition.percent if condition.side == "above" else value <= condition.percent
    if isinstance(condition, VolumeRatio):
        return value >= condition.multiple
    return isinstance(condition, PriceMove | InterestMove) and _moved(condition.way, condition.percent, value)


def _moved(way: Way, percent: float, value: float) -> bool:
    up, down = value >= percent, value <= -percent
    return (up or down) if way == "either" else up if way == "up" else down


def _grouped(price: str) -> str:
    """`64,120.50` of `64120.50`."""
    whole, dot, rest = price.partition(".")
    return f"{int(whole):,}{dot}{rest}" if whole.isdigit() else price
