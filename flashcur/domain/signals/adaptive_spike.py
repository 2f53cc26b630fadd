"""A spike against what is usual for this very contract, by robust statistics.

The usual volume of an hour is the larger of two medians: of the last 20 whole hours, and of the same hour of the week
in the past four weeks; so what comes every day at the same time is none. The usual spread is 1.4826 × the median of the
distances of all these hours from the median of their own group (the MAD, which for a bell curve is its standard
deviation).

An open hour is compared with the share of it that has passed: `share` × the median, and `√share` × the spread, since
parts of an hour differ more from one another than hours do. The score is how many spreads the volume is above that.

Rules for what has no spread. If the MAD is 0, or below a tenth of the median, a tenth of the median stands in: an hour
must then be far above the usual in itself. If the median is 0 there is no baseline, and nothing fires.

One signal for contract, hour and severity: a rise in severity is a new signal, a fall is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from typing import ClassVar

from flashcur.domain import formats
from flashcur.domain.book import MarketBook, Row
from flashcur.domain.signals.detector import NOTHING, Counters, Distance, level, part
from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.freshness import is_stale_candle
from flashcur.domain.signals.hourly_volumes import WEEK_HOURS, HourlyVolumes
from flashcur.domain.signals.signal import DetectorName, Direction, Origin, Signal, signal_key
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle, Tick

RULE_VERSION = "adaptive_spike/2"
RECENT_HOURS = 20
LEAST_RECENT_HOURS = 12
"""Of the last 20 hours so many must be known; else the contract has no baseline. While others are still to be asked for
it has none either: those that are known may be of another night than those that are not."""
SEASON_WEEKS = 4
LEAST_SEASON_WEEKS = 3
"""Of the four weeks' same hours so many must be known; else the last hours alone are compared with."""
FLOOR_USD = 1_000_000.0
"""Least volume of the hour in USDT."""
SCORES = (8.0, 16.0, 32.0)
"""Score from which a spike is noticeable, strong, extreme."""
LEAST_SPREAD = 0.1
"""Least spread as a share of the median."""
LEAST_SHARE = 1 / 60
"""The first minute counts as a whole one."""

_MAD_TO_DEVIATION = 1.4826

VolumesOf = Callable[[str], HourlyVolumes | None]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is usual for a contract in one hour."""

    level: float
    """Volume of a whole hour in USDT, > 0."""
    spread: float
    """In USDT, > 0."""
    recent_median: float
    season_median: float | None
    """None where too few weeks are known."""
    recent_hours: int
    season_hours: int

    def score(self, volume: float, share: float) -> float:
        """How many spreads `volume` (USDT) is above what is usual after `share` of the hour (above 0, up to 1)."""
        return (volume - self.level * share) / (self.spread * sqrt(share))

    def volume_at(self, score: float, share: float) -> float:
        """The volume in USDT that has that score."""
        return self.level * share + score * self.spread * sqrt(share)


def baseline(volumes: HourlyVolumes, open_ms: int) -> Baseline | None:
    """What is usual for the hour that begins at `open_ms`; None while too little is known or nothing is traded."""
    recent = volumes.known(open_ms, RECENT_HOURS)
    if len(recent) < LEAST_RECENT_HOURS or volumes.awaits(open_ms, RECENT_HOURS):
        return None
    season = volumes.known(open_ms, SEASON_WEEKS, WEEK_HOURS)
    recent_median = median(recent)
    distances = [abs(volume - recent_median) for volume in recent]
    season_median = None
    if len(season) >= LEAST_SEASON_WEEKS:
        season_median = median(season)
        distances += [abs(volume - season_median) for volume in season]
    usual = max(recent_median, season_median or 0.0)
    if usual <= 0:
        return None
    spread = max(_MAD_TO_DEVIATION * median(distances), LEAST_SPREAD * usual)
    return Baseline(usual, spread, recent_median, season_median, len(recent), len(season) if season_median else 0)


@dataclass(slots=True)
class _State:
    """One contract."""

    open_ms: int
    given: int = 0
    """Highest severity given for the hour; 0 for none."""
    given_before: int = 0
    """The same of the hour before."""
    baseline: Baseline | None = None
    version: int = -1
    """Of the volumes that `baseline` was made from, for the hour `of_ms`."""
    of_ms: int = -1


class AdaptiveSpike:
    """See the module."""

    name: ClassVar[DetectorName] = "adaptive_spike"
    takes: ClassVar[tuple[type[Tick], ...]] = (Candle,)

    def __init__(self, origin: Origin, volumes_of: VolumesOf) -> None:
        """`volumes_of` gives the past hours of a contract, None where there are none yet."""
        self.counters = Counters()
        self._origin = origin
        self._volumes_of = volumes_of
        self._states: dict[str, _State] = {}
        self._ready: dict[str, tuple[int, int, bool]] = {}
        """Symbol to (hour, version of its volumes, whether it has a baseline), since it is asked each second."""

    def on_tick(self, row: Row, tick: Tick) -> Sequence[Signal]:
        """Evaluate the hour that the candle belongs to."""
        if type(tick) is not Candle or row.candle is None:
            return NOTHING
        self.counters.evaluated += 1
        state = self._turn(tick.symbol, row.candle.open_ms)
        if tick.volume_quote < FLOOR_USD:
            return NOTHING
        usual = self._baseline(state, tick.symbol, tick.open_ms)
        if usual is None:
            self.counters.suppressed["no_baseline"] += 1
            return NOTHING
        share = _share(tick)
        score = usual.score(tick.volume_quote, share)
        severity = level(score, SCORES)
        newest = tick.open_ms == state.open_ms
        if severity <= (state.given if newest else state.given_before):
            return NOTHING
        if is_stale_candle(tick, row.candle_streamed):
            self.counters.suppressed["stale"] += 1
            return NOTHING
        if newest:
            state.given = severity
        else:
            state.given_before = severity
        return (self._signal(row, tick, usual, share, score, severity),)

    def on_step(self, book: MarketBook, now_ms: int) -> Sequence[Signal]:
        """Nothing: without trades the score only falls."""
        return NOTHING

    def resume(self, signals: Iterable[Signal], episodes: Iterable[Episode]) -> None:
        """See `Detector.resume`; needed are those of the past two hours."""
        for signal in sorted(signals, key=lambda each: each.period_ms):
            if signal.detector != self.name:
                continue
            state = self._turn(signal.symbol, signal.period_ms)
            if signal.period_ms == state.open_ms:
                state.given = max(state.given, signal.severity)
            elif signal.period_ms == state.open_ms - HOUR_MS:
                state.given_before = max(state.given_before, signal.severity)

    def forget(self, symbol: str, now_ms: int) -> None:
        """See `Detector.forget`."""
        self._states.pop(symbol, None)
        self._ready.pop(symbol, None)

    def why_not(self, row: Row, now_ms: int) -> Sequence[Distance]:
        """See `Detector.why_not`."""
        symbol, candle = row.instrument.symbol, row.candle
        hour_ms = now_ms // HOUR_MS * HOUR_MS
        volumes = self._volumes_of(symbol)
        usual = None if volumes is None else baseline(volumes, hour_ms)
        current = candle if candle is not None and candle.open_ms == hour_ms else None
        if candle is not None and candle.closed and candle.open_ms == hour_ms - HOUR_MS:
            volume = 0.0
        else:
            volume = None if current is None else current.volume_quote
        missing: list[str] = []
        if usual is None:
            known = 0 if volumes is None else len(volumes.known(hour_ms, RECENT_HOURS))
            if known < LEAST_RECENT_HOURS:
                missing.append(f"no baseline yet ({known} of {LEAST_RECENT_HOURS} hours)")
            elif volumes is not None and volumes.awaits(hour_ms, RECENT_HOURS):
                missing.append(f"no baseline yet ({known} of the last {RECENT_HOURS} hours, the others are asked for)")
            else:
                missing.append("no baseline (nothing traded in most hours)")
        if volume is None:
            missing.append("no candle of this hour yet")
        elif volume < FLOOR_USD:
            missing.append(f"${formats.compact(volume)} of ${formats.compact(FLOOR_USD)} this hour")
        state = self._states.get(symbol)
        if state is not None and state.open_ms == hour_ms and state.given:
            missing.append(f"has fired for this hour with severity {state.given}")
        share = max(LEAST_SHARE, min(1.0, (now_ms - hour_ms) / HOUR_MS))
        score = None if usual is None or volume is None else usual.score(volume, share)
        way = min(part(score, SCORES[0]), part(volume, FLOOR_USD))
        return (Distance(self.name, "Unusual volume", score, SCORES[0], "score", way, "; ".join(missing)),)

    def is_ready(self, symbol: str, now_ms: int) -> bool:
        """Whether the contract has a baseline for the hour in progress at `now_ms`."""
        volumes = self._volumes_of(symbol)
        if volumes is None:
            return False
        hour_ms = now_ms // HOUR_MS * HOUR_MS
        asked, version, ready = self._ready.get(symbol, (-1, -1, False))
        if asked != hour_ms or version != volumes.version:
            ready = baseline(volumes, hour_ms) is not None
            self._ready[symbol] = hour_ms, volumes.version, ready
        return ready

    def _turn(self, symbol: str, open_ms: int) -> _State:
        state = self._states.get(symbol)
        if state is None:
            state = self._states[symbol] = _State(open_ms)
        elif open_ms > state.open_ms:
            state.given_before = state.given if state.open_ms == open_ms - HOUR_MS else 0
            state.given = 0
            state.open_ms = open_ms
        return state

    def _baseline(self, state: _State, symbol: str, open_ms: int) -> Baseline | None:
        """The baseline of an hour, computed once an hour and when an earlier hour has changed."""
        volumes = self._volumes_of(symbol)
        if volumes is None:
            return None
        if state.of_ms != open_ms or state.version != volumes.version:
            state.baseline = baseline(volumes, open_ms)
            state.of_ms, state.version = open_ms, volumes.version
        return state.baseline

    def _signal(self, row: Row, candle: Candle, usual: Baseline, share: float, score: float, severity: int) -> Signal:
        self.counters.fired["ADAPTIVE"] += 1
        direction: Direction = "bullish" if candle.close > candle.open else "bearish"
        base, expected = row.instrument.base, usual.level * share
        least_volume = max(FLOOR_USD, usual.volume_at(SCORES[severity - 1], share))
        step: tuple[Measure, ...] = ()
        if severity == 2:
            step = (Measure("strong_score", SCORES[1], "score", "threshold"),)
        elif severity > 2:
            step = (Measure("extreme_score", SCORES[2], "score", "threshold"),)
        season = () if usual.season_median is None else (usual.season_median,)
        return Signal(
            key=signal_key(self._origin, candle.symbol, "ADAPTIVE", candle.open_ms, severity),
            detector=self.name,
            kind="ADAPTIVE",
            origin=self._origin,
            symbol=candle.symbol,
            base=base,
            severity=severity,
            direction=direction,
            text=(
                f"{base} hourly volume ${formats.compact(candle.volume_quote)}"
                f" ({formats.multiple(candle.volume_quote / expected)}× usual) — UNUSUAL VOLUME"
            ),
            period_ms=candle.open_ms,
            span_ms=HOUR_MS,
            event_ms=candle.event_ms,
            seen_ms=candle.seen_ms,
            price=candle.close,
            evidence=Evidence(
                RULE_VERSION,
                (
                    Measure("volume", candle.volume_quote, "usd"),
                    Measure("expected", expected, "usd", "baseline"),
                    Measure("recent_median", usual.recent_median, "usd", "baseline"),
                    *(Measure("season_median", each, "usd", "baseline") for each in season),
                    Measure("spread", usual.spread, "usd", "baseline"),
                    Measure("spread_so_far", usual.spread * sqrt(share), "usd", "baseline"),
                    Measure("score", score, "score", "deviation"),
                    Measure("hour_passed", share * 100, "percent"),
                    Measure("open", candle.open, "price"),
                    Measure("price", candle.close, "price"),
                    Measure("recent_hours", float(usual.recent_hours), "count", "sample"),
                    Measure("season_hours", float(usual.season_hours), "count", "sample"),
                    Measure("least_score", SCORES[0], "score", "threshold"),
                    *step,
                    Measure("least_volume", FLOOR_USD, "usd", "threshold"),
                ),
                chart="volume",
                line=least_volume,
            ),
        )


def _share(candle: Candle) -> float:
    """How much of its hour the candle covers, above 0, up to 1."""
    if candle.closed:
        return 1.0
    return min(1.0, max(LEAST_SHARE, (candle.event_ms - candle.open_ms) / HOUR_MS))
