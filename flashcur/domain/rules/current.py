"""What each condition of a rule measures now, for the form: as rules are judged (`domain.rules.measured`), and of the
contracts of a frame alone, so that a plan is shown no more than its table shows.

A price and a funding rate are those of the frame, which is newer, unless a rule could not be judged by them now.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from flashcur.domain import formats
from flashcur.domain.frames import Frame
from flashcur.domain.rules.atoms import FUNDING, PRICE, RATIO, VOLUME, interest_source, move_source
from flashcur.domain.rules.condition import (
    Condition,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    VolumeRatio,
    Way,
    needs_open_interest,
)
from flashcur.domain.rules.measured import SELDOM, Measured
from flashcur.domain.rules.outline import has_gap
from flashcur.domain.rules.rule import Scope

Ask = Callable[[str], Measured]
"""What is measured at a contract, by its symbol."""

_INTEREST = "oi_change_1h_pct"
"""Which plan has this column is shown open interest."""
_COLUMNS = {PRICE: ("price", 1.0), RATIO: ("ratio", 1.0), FUNDING: ("funding_rate", 100.0)}
"""By source, the column of a frame that shows it, and what makes it the source's unit."""
_STAND_INS = {move_source(86_400): "change_pct", interest_source(3_600): _INTEREST}
"""The columns that stand in for these sources while the engine has told a plan nothing, as in the first minutes of a
server before the plan's next mark: the form says no less than the table."""
_NEWER = (PRICE, FUNDING)
"""Of these a frame has the very number that rules are judged by, and a newer one than is told."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why it is not known what a condition measures."""

    why: Literal["window", "seldom", "old", "untold", "plan"]
    """All of its window was not seen yet; values come too seldom for it; the newest is too old, or there is none; the
    engine has told nothing yet; the plan lacks what it measures."""
    condition: Condition
    known_ms: int = 0
    """Of a window that was not seen yet: by when it is, Unix ms."""


@dataclass(frozen=True, slots=True)
class Present:
    """What is known of one condition now."""

    text: str
    """The value of one contract, or how many contracts meet it; empty where that is not known, or not shown."""
    met: bool | None
    """Whether one contract meets it now; None where that is not known, or there are several."""
    unknown: Unknown | None = None
    """Why it is not known; None where it is, or where there is nothing to know."""


_NOTHING = Present("", None)


def present(
    conditions: Sequence[Condition | None], scope: Scope, frame: Frame | None, members: Collection[str], ask: Ask
) -> list[Present]:
    """One for each condition, also while it is written: None is one of which nothing is known, and one with a gap
    (`domain.rules.outline`) tells what it measures, not whether that meets it. `members`: the contracts of the
    watchlist, where the scope is one."""
    if frame is None:
        return [_NOTHING] * len(conditions)
    symbols = frame.values("symbol")
    if scope.kind == "symbol":
        chosen = [i for i, symbol in enumerate(symbols) if symbol == scope.symbol]
    elif scope.kind == "watchlist":
        chosen = [i for i, symbol in enumerate(symbols) if symbol in members]
    else:
        chosen = frame.of("crypto")
    seen = [(i, ask(symbols[i])) for i in chosen]
    return [_of(each, frame, seen, alone=scope.kind == "symbol") for each in conditions]


def _of(condition: Condition | None, frame: Frame, seen: Sequence[tuple[int, Measured]], *, alone: bool) -> Present:
    if condition is None:
        return _NOTHING
    if needs_open_interest((condition,)) and _INTEREST not in frame.exact:
        return Present("", None, Unknown("plan", condition))
    gap = has_gap(condition)
    # A signal is a moment; thresholds of a price mean one contract.
    if isinstance(condition, OnSignal) or ((isinstance(condition, PriceCross) or gap) and not alone):
        return _NOTHING
    found = [(i, _look(condition, frame, i, measured)) for i, measured in seen]
    known = [(i, values) for i, values in found if not isinstance(values, Unknown)]
    if not known:
        return Present("", None, _soonest([each for _, each in found if isinstance(each, Unknown)]))
    whole = [(at, values) for at, values in known if len(values) == len(_sources(condition))]
    if alone:
        ((at, values),) = known
        return Present(_text(condition, frame, at, values), _met(condition, values) if whole and not gap else None)
    if not whole:
        return Present("", None, Unknown("untold", condition))
    known, there = whole, sum(_met(condition, values) for _, values in whole)
    contracts = "contract" if len(known) == 1 else "contracts"
    return Present(f"{there:,} of {len(known):,} {contracts} {'meets' if there == 1 else 'meet'} this", None)


def _soonest(unknown: Sequence[Unknown]) -> Unknown | None:
    """Of several contracts, the one of which something is known first."""
    waiting = [each for each in unknown if each.why == "window"]
    return min(waiting, key=lambda each: each.known_ms) if waiting else next(iter(unknown), None)


def _look(condition: Condition, frame: Frame, at: int, measured: Measured) -> tuple[float, ...] | Unknown:
    """What a condition compares, in the units of its thresholds; without the hour's volume, which no table shows, while
    the engine has told nothing."""
    values: list[float] = []
    for source in _sources(condition):
        value = _shown(frame, source, at)
        if not measured.values:
            if source == VOLUME:
                continue
            if value is None:
                return Unknown("old" if source in _COLUMNS else "untold", condition)
        elif measured.values[source] is None:
            known_ms = measured.known_ms.get(source)
            if known_ms is None:
                return Unknown("old", condition)
            return Unknown("seldom", condition) if known_ms == SELDOM else Unknown("window", condition, known_ms)
        elif source not in _NEWER:
            value = measured.values[source]
        if value is None or not isfinite(value):
            return Unknown("old", condition)
        values.append(value)
    return tuple(values)


def _shown(frame: Frame, source: int, at: int) -> float | None:
    column, scale = _COLUMNS.get(source, (_STAND_INS.get(source, ""), 1.0))
    values = frame.exact.get(column, [])
    value = values[at] if at < len(values) else None
    return None if value is None or not isfinite(value) else value * scale


def _sources(condition: Condition) -> tuple[int, ...]:
    if isinstance(condition, PriceMove):
        return (move_source(condition.window_s),)
    if isinstance(condition, InterestMove):
        return (interest_source(condition.window_s),)
    if isinstance(condition, VolumeRatio):
        return (RATIO, VOLUME) if condition.floor > 0 else (RATIO,)
    return (PRICE,) if isinstance(condition, PriceCross) else (FUNDING,)


def _text(condition: Condition, frame: Frame, at: int, values: tuple[float, ...]) -> str:
    if isinstance(condition, PriceCross):
        return f"{_grouped(frame.values('price')[at])} USDT"
    if isinstance(condition, VolumeRatio):
        ratio, *volumes = values
        return ", ".join((f"{formats.multiple(ratio)} times", *(f"{formats.compact(each)} USDT" for each in volumes)))
    return f"{formats.signed(values[0], 4 if isinstance(condition, FundingLevel) else 2)} %"


def _met(condition: Condition, values: tuple[float, ...]) -> bool:
    value = values[0]
    if isinstance(condition, PriceCross):
        return value >= condition.price if condition.side == "above" else value <= condition.price
    if isinstance(condition, FundingLevel):
        return value >= condition.percent if condition.side == "above" else value <= condition.percent
    if isinstance(condition, VolumeRatio):
        return value >= condition.multiple and (condition.floor <= 0 or values[1] >= condition.floor)
    return isinstance(condition, PriceMove | InterestMove) and _moved(condition.way, condition.percent, value)


def _moved(way: Way, percent: float, value: float) -> bool:
    up, down = value >= percent, value <= -percent
    return (up or down) if way == "either" else up if way == "up" else down


def _grouped(price: str) -> str:
    """`64,120.50` of `64120.50`."""
    whole, dot, rest = price.partition(".")
    return f"{int(whole):,}{dot}{rest}" if whole.isdigit() else price
