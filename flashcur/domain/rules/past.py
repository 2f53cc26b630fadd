"""When a rule would have fired in the past: the same comparisons (`atoms`) with the same bands, cooldown and hold as
live, over what is kept of the past instead of every message.

A step is an hour, a minute, five minutes of open interest, or a funding payment. Conditions are judged at the end of
each step. The price of one condition alone is judged by the highest and lowest of each step, too; of two conditions it
is not known whether they were met at the same moment within a step. What came about and went within a step is
not seen, so a rule may have fired more often; each condition says what cannot be judged at all.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import nan
from typing import Literal

from flashcur.domain.rules.atoms import (
    FIRST_INTEREST,
    FIRST_MOVE,
    PRICE,
    RATIO,
    VOLUME,
    Atom,
    atoms_of,
    seen,
)
from flashcur.domain.rules.condition import (
    INTEREST_WINDOWS_S,
    MOST_MULTIPLE,
    MOST_PERCENT,
    MOST_RATE_PERCENT,
    MOVE_WINDOWS_S,
    Condition,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    VolumeRatio,
)
from flashcur.domain.rules.rule import Definition
from flashcur.domain.rules.sentence import condition_text
from flashcur.domain.spikes import HOUR_MS

Grain = Literal["hours", "minutes", "interest", "payments", "signals"]
"""What the past is told by."""

MINUTE_MS = 60_000
INTEREST_MS = 5 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
STEP_MS: dict[Grain, int] = {
    "hours": HOUR_MS,
    "minutes": MINUTE_MS,
    "interest": INTEREST_MS,
    "payments": HOUR_MS,
    "signals": HOUR_MS,
}
DAYS: dict[Grain, int] = {"hours": 30, "minutes": 7, "interest": 30, "payments": 30, "signals": 30}
"""How many days are judged."""
BEFORE_MS: dict[Grain, int] = {
    "hours": DAY_MS,
    "minutes": DAY_MS,
    "interest": 4 * HOUR_MS,
    "payments": DAY_MS,
    "signals": DAY_MS,
}
"""So much more is needed of before, for the longest windows."""

WEEK_DAYS = 7
MOST_A_WEEK = 14
"""A rule that fires more often is offered a stricter threshold."""
_STRICTER = (1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0)
"""Multiples of a threshold that are tried, to find one that fires less often."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What judging a rule's past takes."""

    grain: Grain | None
    """None: it cannot be judged, and `unjudgeable` says why."""
    unjudgeable: tuple[str, ...]
    """Why it cannot be judged, in sentences."""
    notes: tuple[str, ...]
    """What is judged more coarsely than live, in sentences."""
    at_most: bool = False
    """Whether some conditions cannot be judged, so that the rule fires as often as this or less often."""

    @property
    def days(self) -> int:
        """How many days are judged; 0 where nothing is."""
        return 0 if self.grain is None else DAYS[self.grain]


@dataclass(frozen=True, slots=True)
class PastFiring:
    """It would have fired."""

    symbol: str
    at_ms: int
    """The end of the step in which it did, Unix ms."""
    price: float | None
    """USDT; None where it is not known."""
    up: bool | None
    """Which way what it watches points; None if it points nowhere."""


class Series:
    """The past of one contract in equal steps; what is missing is NaN."""

    __slots__ = ("closes", "first_ms", "highs", "lows", "step_ms", "volumes")

    def __init__(self, step_ms: int, rows: Iterable[tuple[int, float, float, float, float]]) -> None:
        """`rows`: (beginning in Unix ms, high, low, close, quote volume), oldest first, in USDT."""
        self.step_ms = step_ms
        self.first_ms = 0
        self.highs, self.lows, self.closes, self.volumes = (array("d") for _ in range(4))
        columns = (self.highs, self.lows, self.closes, self.volumes)
        at = -1
        for row in rows:
            index = row[0] // step_ms
            if at < 0:
                self.first_ms = index * step_ms
            elif index <= at:
                continue
            elif index > at + 1:
                for column in columns:
                    column.extend([nan] * (index - at - 1))
            at = index
            for column, value in zip(columns, row[1:], strict=True):
                column.append(value)

    def __len__(self) -> int:
        return len(self.closes)


@dataclass(slots=True)
class Moments:
    """What a rule's comparisons see, moment by moment."""

    times_ms: Sequence[int]
    columns: Sequence[Sequence[float]]
    """One a comparison, in its view; NaN where it is not known."""
    prices: Sequence[float]


def needs_of(definition: Definition, contracts: int) -> Needs:
    """What it takes to judge a rule's past over so many contracts."""
    conditions = definition.conditions
    kinds = {each.kind for each in conditions}
    if "signal" in kinds:
        return _needs_of_signals(conditions)
    if kinds == {"funding"}:
        grain: Grain = "payments"
    elif "funding" in kinds:
        return _cannot(
            "Past funding rates are known only every few hours: too seldom to judge them beside another condition."
        )
    elif kinds == {"interest"}:
        grain = "interest"
    elif "interest" in kinds:
        return _cannot(
            "Past open interest is known only every 5 minutes: too seldom to judge it beside another condition."
        )
    else:
        short = any(isinstance(each, PriceMove) and each.window_s * 1000 < HOUR_MS for each in conditions)
        grain = "minutes" if short or (definition.hold_s and contracts == 1) else "hours"
    if grain in ("minutes", "interest") and contracts != 1:
        what = "Windows under an hour" if grain == "minutes" else "Changes in open interest"
        return _cannot(f"{what} can be looked up for one contract at a time. Choose one to see its past.")
    return Needs(grain, (), tuple(_notes(definition, grain)))


def _needs_of_signals(conditions: Sequence[Condition]) -> Needs:
    """A rule fires with its signal or not at all, so the signals that are stored say how often at most."""
    others = [condition_text(each) for each in conditions if not isinstance(each, OnSignal)]
    if len(conditions) - len(others) > 1:
        return _cannot("Two signals never come at the same moment.")
    counted = "Counted from stored signals."
    if not others:
        return Needs("signals", (), (counted,))
    listed = others[0] if len(others) == 1 else f"{', '.join(others[:-1])} and {others[-1]}"
    why = (
        f"This counts the signals alone. Whether the contract then {listed} is not known, so the rule would have fired "
        "at most this often."
    )
    return Needs("signals", (), (why, counted), at_most=True)


def _cannot(why: str) -> Needs:
    return Needs(None, (why,), ())


def _notes(definition: Definition, grain: Grain) -> Iterator[str]:
    step = {"hours": "hour", "minutes": "minute"}.get(grain, grain)
    if DAYS[grain] < DAYS["hours"]:
        yield (
            f"Only {DAYS[grain]} days instead of {DAYS['hours']}: minute by minute, the exchange takes long to tell its"
            " past."
        )
    if grain == "payments":
        yield "Judged by the rates paid. Rates in between may have been more extreme."
    elif grain == "interest":
        yield "Judged every 5 minutes. Changes in between are missed."
    elif len(definition.conditions) == 1 and isinstance(definition.conditions[0], PriceCross):
        yield f"Judged by each {step}’s highest and lowest price, so by at most one alert in each."
    elif any(not isinstance(each, VolumeRatio) for each in definition.conditions):
        yield f"Judged at the end of each {step}. What came and went in between is missed."
    if definition.hold_s and definition.hold_s * 1000 < STEP_MS[grain]:
        often = {"interest": "every 5 minutes", "payments": "at each payment"}.get(grain, f"{step} by {step}")
        yield f"The hold is ignored here: the past is known only {often}."


def firings(definition: Definition, symbol: str, series: Series, first_ms: int) -> list[PastFiring]:
    """When the rule would have fired for a contract from `first_ms` (Unix ms) on, oldest first."""
    moments = _moments(definition, series)
    return _walk(definition, symbol, moments, first_ms, series.step_ms)


def funding_firings(
    definition: Definition, symbol: str, payments: Sequence[tuple[int, float]], first_ms: int
) -> list[PastFiring]:
    """The same for rules on funding alone; `payments`: (Unix ms, fraction an interval), oldest first."""
    columns = [[seen(atom.view, round(rate * 100, 10)) for _, rate in payments] for atom in _atoms(definition)]
    moments = Moments([paid_ms for paid_ms, _ in payments], columns, [nan] * len(payments))
    return _walk(definition, symbol, moments, first_ms, HOUR_MS)


def signal_firings(
    definition: Definition, found: Iterable[tuple[str, int, float | None, str]], first_ms: int
) -> list[PastFiring]:
    """The same for a rule on a signal, by that alone; `found`: what it is told of, as (contract, Unix ms, USDT,
    direction), oldest first."""
    firings: list[PastFiring] = []
    fired_ms: dict[str, int] = {}
    for symbol, at_ms, price, direction in found:
        last_ms = fired_ms.get(symbol)
        if at_ms >= first_ms and (last_ms is None or at_ms >= last_ms + definition.cooldown_s * 1000):
            fired_ms[symbol] = at_ms
            firings.append(PastFiring(symbol, at_ms, price, {"bullish": True, "bearish": False}.get(direction)))
    return limited(definition, firings)


def limited(definition: Definition, found: Iterable[PastFiring]) -> list[PastFiring]:
    """All contracts' firings in order of time, as the rule's mode has them: a rule that fires once fires for one."""
    ordered = sorted(found, key=lambda each: (each.at_ms, each.symbol))
    return ordered[:1] if definition.mode == "once" else ordered


def turned_at(definition: Definition) -> int | None:
    """Which condition has a threshold to turn, the first that has; None where none has. A price is none: where it lies
    is what the owner wants."""
    turns = (not isinstance(each, PriceCross | OnSignal) for each in definition.conditions)
    return next((at for at, each in enumerate(turns) if each), None)


def stricter(definition: Definition) -> list[Definition]:
    """The rule with ever stricter thresholds of the condition `turned_at`, itself first; empty where there is none."""
    at = turned_at(definition)
    if at is None:
        return []
    found: list[Definition] = []
    for factor in _STRICTER:
        condition = _scaled(definition.conditions[at], factor)
        if condition is not None:
            conditions = (*definition.conditions[:at], condition, *definition.conditions[at + 1 :])
            found.append(replace(definition, conditions=conditions))
    return found


def _scaled(condition: Condition, factor: float) -> Condition | None:
    """With a threshold that is so many times as far out, as people write it; None where that cannot be."""
    if isinstance(condition, PriceMove | InterestMove):
        percent = _rounded(condition.percent * factor)
        most = 99.0 if condition.way == "down" else MOST_PERCENT
        return replace(condition, percent=percent) if percent <= most else None
    if isinstance(condition, VolumeRatio):
        multiple = _rounded(condition.multiple * factor)
        return replace(condition, multiple=multiple) if multiple <= MOST_MULTIPLE else None
    if isinstance(condition, FundingLevel):
        outward = (condition.percent > 0) == (condition.side == "above") and condition.percent != 0
        percent = _rounded(condition.percent * factor)
        return replace(condition, percent=percent) if outward and abs(percent) <= MOST_RATE_PERCENT else None
    return None


def _rounded(value: float) -> float:
    """Three digits that mean something."""
    return float(f"{value:.3g}")


def _atoms(definition: Definition) -> list[Atom]:
    return [atom for condition in definition.conditions for atom in atoms_of(condition)]


def _moments(definition: Definition, series: Series) -> Moments:
    step = series.step_ms
    atoms = _atoms(definition)
    count = len(series)
    ends = range(series.first_ms + step, series.first_ms + (count + 1) * step, step)
    if len(definition.conditions) == 1 and isinstance(definition.conditions[0], PriceCross):
        return _crossing(atoms[0], series, ends)
    columns = [[seen(atom.view, value) for value in _column(atom.source, series)] for atom in atoms]
    # Of open interest the closes are contracts.
    of_interest = any(atom.source >= FIRST_INTEREST for atom in atoms)
    return Moments(ends, columns, [nan] * count if of_interest else series.closes)


def _crossing(atom: Atom, series: Series, ends: Sequence[int]) -> Moments:
    """Each step's extreme towards the level, and then its close."""
    above = atom.threshold > 0
    extremes = series.highs if above else series.lows
    level = abs(atom.threshold)
    count = len(series)
    column = [0.0] * (2 * count)
    prices = [0.0] * (2 * count)
    times = [0] * (2 * count)
    column[0::2] = [seen(atom.view, value) for value in extremes]
    column[1::2] = [seen(atom.view, value) for value in series.closes]
    prices[0::2] = [level] * count
    prices[1::2] = series.closes.tolist()
    times[0::2] = times[1::2] = ends
    return Moments(times, [column], prices)


def _column(source: int, series: Series) -> Sequence[float]:
    """A source's value at the end of each step."""
    closes, volumes, step_s = series.closes, series.volumes, series.step_ms // 1000
    if source == PRICE:
        return closes
    if FIRST_MOVE <= source < RATIO:
        return _changes(closes, MOVE_WINDOWS_S[source - FIRST_MOVE] // step_s)
    if source >= FIRST_INTEREST:
        return _changes(closes, INTEREST_WINDOWS_S[source - FIRST_INTEREST] // step_s)
    if series.step_ms == HOUR_MS:
        if source == VOLUME:
            return volumes
        return [nan, *(now / before if before > 0 else nan for before, now in pairwise(volumes))]
    return _within_hours(series, source)


def _changes(values: array[float], steps: int) -> list[float]:
    """Change in percent over so many steps."""
    known = [
        (now - before) * 100 / before if before > 0 else nan
        for before, now in zip(values, values[steps:], strict=False)
    ]
    return [nan] * min(steps, len(values)) + known


def _within_hours(series: Series, source: int) -> list[float]:
    """The volume of the hour so far at the end of each minute, or that over the volume of the whole hour before."""
    found: list[float] = []
    before = total = nan
    minutes = HOUR_MS // series.step_ms
    first = series.first_ms // series.step_ms
    for at, volume in enumerate(series.volumes, first):
        if at % minutes == 0:
            before, total = total, 0.0
        # A minute that is missing makes its hour, and what is compared with it, unknown.
        total += volume
        found.append(total if source == VOLUME else total / before if before > 0 else nan)
    return found


def _walk(definition: Definition, symbol: str, moments: Moments, first_ms: int, step_ms: int) -> list[PastFiring]:
    """Go through the moments as the evaluator goes through messages."""
    atoms = _atoms(definition)
    levels = [atom.threshold for atom in atoms]
    releases = [atom.release for atom in atoms]
    cooldown_ms = definition.cooldown_s * 1000
    hold_ms = definition.hold_s * 1000 if definition.hold_s * 1000 >= step_ms else 0
    found: list[PastFiring] = []
    fired_ms: int | None = None
    held_ms: int | None = None
    spent = was_full = False
    former: tuple[float, ...] = (nan,) * len(atoms)
    fresh_hour = STEP_MS["hours"] if any(atom.source in (RATIO, VOLUME) for atom in atoms) else 0
    hour = -1
    for at, row in enumerate(zip(*moments.columns, strict=True)):
        full = True
        for value, level in zip(row, levels, strict=True):
            # NaN is at or above nothing.
            if not value >= level:
                full = False
                break
        if fresh_hour:
            # An hour's volume begins with nothing: what was met before it has ended.
            now_hour = (moments.times_ms[at] - 1) // fresh_hour
            if now_hour != hour:
                if hour >= 0:
                    former = tuple(
                        (0.0 if old == old else old) if atom.source in (RATIO, VOLUME) else old
                        for old, atom in zip(former, atoms, strict=True)
                    )
                    spent = was_full = False
                    held_ms = None
                hour = now_hour
        if not full:
            held_ms = None
            if (spent or was_full) and any(value < low for value, low in zip(row, releases, strict=True)):
                spent = was_full = False
            elif was_full:
                spent, was_full = True, False
            former = row if all(value == value for value in row) else _known(row, former)
            continue
        time_ms = moments.times_ms[at]
        turned = any(old < level for old, level in zip(former, levels, strict=True))
        fires = False
        if held_ms is not None:
            fires = time_ms >= held_ms + hold_ms
        elif turned and not spent and not was_full:
            if hold_ms:
                held_ms = time_ms
            else:
                fires = True
        if fires:
            held_ms = None
            if time_ms >= first_ms and (fired_ms is None or time_ms >= fired_ms + cooldown_ms):
                fired_ms = time_ms
                price = moments.prices[at]
                found.append(PastFiring(symbol, time_ms, price if price > 0 else None, _points(definition, row)))
        was_full = held_ms is None
        former = row
    return found


def _known(row: tuple[float, ...], former: tuple[float, ...]) -> tuple[float, ...]:
    """The newest value of each that is known."""
    return tuple(value if value == value else old for value, old in zip(row, former, strict=True))


def _points(definition: Definition, row: tuple[float, ...]) -> bool | None:
    """Which way the first condition that points anywhere points."""
    for condition in definition.conditions:
        if isinstance(condition, PriceCross):
            return condition.side == "above"
        if isinstance(condition, PriceMove) and condition.way != "either":
            return condition.way == "up"
    return None
