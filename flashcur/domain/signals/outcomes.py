"""What the price did after signals, and whether that is more than chance.

**Lift.** A signal points up or down; it is a hit if the price went that way over the horizon. Where none of a group
points anywhere, a hit is a price that rose, and the lift says no more than that; among others, one without direction is
left out of it. The lift is the signals' hits over those that the same contracts' signal-free hours lead one to expect:
each signal is expected to hit as often as its contract went that way in an hour without a signal. 1 is no better than
chance.

**Its interval.** Signals come in swarms, contracts move together, and horizons overlap, so neither signals nor
hours are independent. Time is cut into blocks of at least three horizons and a day, for all contracts together, and
a block is one observation. For a lift L the score of a block is its hits less L times what it adds to the
expectation (its signals at their contracts' rates, and the block's part in what those rates were estimated from, as
the linearised ratio has it). The 95 % interval holds every L at which a t-test over the blocks' scores does not reject
that their mean is 0. It needs no bell-shaped lift, says nothing where there are too few blocks, and on shuffled signals
holds 1 in about 95 % of runs (`tests/domain/signals/test_outcomes.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist, median, quantiles
from typing import Self

from flashcur.domain.spikes import HOUR_MS

HORIZONS_H = (1, 4, 24)
"""Hours after a signal at which the price is looked at."""
LEAST_BLOCKS = 8
"""Fewer blocks with signals make no interval."""
CONFIDENCE = 0.95

_DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Outcome:
    """One signal and the move that followed."""

    symbol: str
    at_ms: int
    """When the signal was told, Unix ms."""
    up: bool | None
    """Whether it pointed up; None if it pointed nowhere."""
    move: float
    """Of the price over the horizon, as a fraction: 0.01 is +1 %."""

    @property
    def hit(self) -> bool:
        """Whether the price went where the signal pointed, or rose if that was nowhere."""
        return self.move < 0 if self.up is False else self.move > 0


@dataclass(frozen=True, slots=True)
class QuietHour:
    """An hour of a contract without a signal, and the move that followed."""

    symbol: str
    at_ms: int
    move: float


@dataclass(frozen=True, slots=True)
class Lift:
    """How often signals were followed by a move their way, over what chance gives."""

    hit_rate: float
    base_rate: float
    """What the signal-free hours of the same contracts lead one to expect."""
    value: float
    low: float | None
    high: float | None
    """Ends of the 95 % interval; both None where there are too few independent stretches of time to tell."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What followed a group of signals at one horizon; moves are fractions."""

    count: int
    median: float
    lower_quartile: float
    upper_quartile: float
    lift: Lift | None
    """None where no contract of the group has signal-free hours, or the price never went that way in them."""
    points: bool
    """Whether any pointed somewhere; else `lift` is of prices that rose."""


class HourlyCloses:
    """The closes of a contract's hours."""

    def __init__(self, hours: Iterable[tuple[int, float]]) -> None:
        """`hours`: (beginning of the hour in Unix ms, close in USDT)."""
        self._closes = {open_ms + HOUR_MS: close for open_ms, close in hours}

    def after(self, at_ms: int, horizon_h: int) -> float | None:
        """The close so many hours after the full hour nearest to `at_ms`; None if it is not known."""
        return self._closes.get((at_ms + HOUR_MS // 2) // HOUR_MS * HOUR_MS + horizon_h * HOUR_MS)

    def move(self, at_ms: int, horizon_h: int, price: float | None = None) -> float | None:
        """The move over the horizon, from `price` where it is known, as a fraction; None if it cannot be told."""
        before = price or self.after(at_ms, 0)
        later = self.after(at_ms, horizon_h)
        return None if before is None or later is None else later / before - 1

    def quiet(self, symbol: str, busy_ms: Set[int], horizon_h: int) -> Iterator[QuietHour]:
        """The hours whose ends (Unix ms) are not in `busy_ms`, with what followed."""
        span_ms = horizon_h * HOUR_MS
        for end_ms, close in self._closes.items():
            later = self._closes.get(end_ms + span_ms)
            if later is not None and end_ms not in busy_ms:
                yield QuietHour(symbol, end_ms, later / close - 1)


class Base:
    """The signal-free hours of all contracts at one horizon, counted by block of time."""

    def __init__(self, hours: Iterable[QuietHour], horizon_h: int) -> None:
        self.block_ms = block_ms(horizon_h)
        self._blocks: dict[str, dict[int, list[int]]] = defaultdict(dict)
        """By symbol and block: hours, moves up, moves down."""
        self._sums: dict[str, list[int]] = {}
        for hour in hours:
            cell = self._blocks[hour.symbol].setdefault(hour.at_ms // self.block_ms, [0, 0, 0])
            total = self._sums.setdefault(hour.symbol, [0, 0, 0])
            for counts in (cell, total):
                counts[0] += 1
                counts[1] += hour.move > 0
                counts[2] += hour.move < 0

    @classmethod
    def of_counts(cls, counts: Mapping[str, Mapping[int, Sequence[int]]], horizon_h: int) -> Self:
        """From hours that are counted already: by symbol and block (`block_ms`) hours, moves up, moves down."""
        base = cls((), horizon_h)
        for symbol, blocks in counts.items():
            base._blocks[symbol] = {block: list(cell) for block, cell in blocks.items()}
            total = [sum(cell[which] for cell in blocks.values()) for which in range(3)]
            if total[0] > 0:
                base._sums[symbol] = total
        return base

    def rate(self, symbol: str, up: bool) -> float | None:
        """How often the contract went up (or down) after a signal-free hour; None if it has none."""
        total = self._sums.get(symbol)
        return None if total is None else total[1 if up else 2] / total[0]

    def parts(self, symbol: str, up: bool) -> Iterable[tuple[int, float]]:
        """(block, what it adds to the contract's rate beyond its share of the hours); they sum to 0."""
        total = self._sums[symbol]
        which = 1 if up else 2
        rate = total[which] / total[0]
        for block, cell in self._blocks[symbol].items():
            yield block, (cell[which] - rate * cell[0]) / total[0]


def block_ms(horizon_h: int) -> int:
    """Length of the stretches of time that count as one observation each."""
    return max(_DAY_MS, 3 * horizon_h * HOUR_MS)


def summarise(outcomes: Sequence[Outcome], base: Base) -> Summary | None:
    """Count, median, quartiles and lift of a group of signals; None for an empty one."""
    if not outcomes:
        return None
    moves = [outcome.move for outcome in outcomes]
    lower, _, upper = quantiles(moves, n=4, method="inclusive") if len(moves) > 1 else (moves[0],) * 3
    pointing = [outcome for outcome in outcomes if outcome.up is not None]
    return Summary(len(moves), median(moves), lower, upper, lift(pointing or outcomes, base), points=bool(pointing))


def lift(outcomes: Sequence[Outcome], base: Base) -> Lift | None:
    """See the module."""
    rated = [(each, rate) for each in outcomes if (rate := base.rate(each.symbol, each.up is not False)) is not None]
    expected = sum(rate for _, rate in rated)
    if not rated or expected <= 0:
        return None
    hits_in: dict[int, float] = defaultdict(float)
    expected_in: dict[int, float] = defaultdict(float)
    count_of: dict[tuple[str, bool], int] = defaultdict(int)
    for outcome, rate in rated:
        block = outcome.at_ms // base.block_ms
        hits_in[block] += outcome.hit
        expected_in[block] += rate
        count_of[outcome.symbol, outcome.up is not False] += 1
    blocks_with_signals = len(expected_in)
    for (symbol, up), count in count_of.items():
        for block, part in base.parts(symbol, up):
            expected_in[block] += count * part
    pairs = [(hits_in.get(block, 0.0), part) for block, part in expected_in.items()]
    hits = sum(outcome.hit for outcome, _ in rated)
    low, high = _interval(pairs, blocks_with_signals)
    return Lift(hits / len(rated), expected / len(rated), hits / expected, low, high)


def _interval(pairs: Sequence[tuple[float, float]], blocks: int) -> tuple[float | None, float | None]:
    """All lifts L at which the scores hits − L × expected of the blocks have a mean that may be 0.

    The t-test's S² (n − 1) ≤ q² (n Σs² − S²) with S = Σs is quadratic in L.
    """
    if blocks < LEAST_BLOCKS:
        return None, None
    # Blocks without signals add next to nothing, so they do not count as observations.
    q2 = student_quantile(0.5 + CONFIDENCE / 2, blocks - 1) ** 2
    k = q2 * blocks / (blocks - 1 + q2)
    h, e = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    hh, he, ee = (sum(pair[i] * pair[j] for pair in pairs) for i, j in ((0, 0), (0, 1), (1, 1)))
    a, b, c = e * e - k * ee, h * e - k * he, h * h - k * hh
    root = b * b - a * c
    if a <= 0 or root < 0:
        return None, None
    return max(0.0, (b - sqrt(root)) / a), (b + sqrt(root)) / a


def student_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t with so many degrees of freedom (≥ 3), to a thousandth (Cornish and Fisher)."""
    z = NormalDist().inv_cdf(probability)
    z3, z5, z7, z9 = z**3, z**5, z**7, z**9
    n = float(degrees) if degrees > 0 else inf
    return (
        z
        + (z3 + z) / (4 * n)
        + (5 * z5 + 16 * z3 + 3 * z) / (96 * n**2)
        + (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n**3)
        + (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / (92160 * n**4)
    )
