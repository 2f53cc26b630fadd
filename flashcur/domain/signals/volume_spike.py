"""The canonical volume spike: this hour's quote volume against the hour before, and two updates on it.

The rule is evaluated on every update of the hour in progress and on its close. A SPIKE is given once an hour; a
HALF_UPDATE with the first numbers known at or after hh:30 if the SPIKE was seen before hh:20, a FULL_UPDATE with those
of the close if it was seen before hh:55. `domain.spikes` holds the measure.

An hour is compared only with a whole one directly before it. Where the close of the hour before has not arrived, its
last value may stand in if it is a few seconds short of the hour, and only once the close has had its time to arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from flashcur.domain import formats
from flashcur.domain.ages import allowance
from flashcur.domain.book import CLOSE_GRACE_MS, MarketBook, Row, stands_in
from flashcur.domain.signals.detector import NOTHING, Counters, Distance, level, part
from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.freshness import is_stale_candle
from flashcur.domain.signals.signal import DetectorName, Direction, Kind, Origin, Signal, iso_minute, signal_key
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.domain.ticks import Candle, Tick

RULE_VERSION = "volume_spike/1"
HALF_MS = 30 * 60_000
HALF_BEFORE_MS = 20 * 60_000
"""A SPIKE seen before this much of the hour gets a HALF_UPDATE."""
FULL_BEFORE_MS = 55 * 60_000
"""A SPIKE seen before this much of the hour gets a FULL_UPDATE."""
SEVERITY_RATIOS = (5.0, 10.0)
"""Multiples of the hour before from which a spike is strong, and extreme."""

LATE_MS = 2 * 60_000
"""A half-hour update later than that says so: its numbers are of then."""

_TEXTS: dict[Kind, str] = {
    "SPIKE": "VOLUME SPIKE",
    "HALF_UPDATE": "HALF-HOUR UPDATE",
    "FULL_UPDATE": "FULL-HOUR UPDATE",
}

VolumeAt = Callable[[str, int], float | None]
"""(symbol, beginning of an hour in Unix ms): the volume of that whole hour in USDT, None if it is not known."""


@dataclass(slots=True)
class _Hour:
    """One hour of one contract."""

    open_ms: int
    candle: Candle | None = None
    before: float | None = None
    """Volume of the whole hour before, in USDT."""
    spike_ms: int | None = None
    """Exchange's time at which the SPIKE was seen; None before."""
    direction: Direction = "none"
    """Of the last signal given."""
    half: bool = False
    full: bool = False

    @property
    def awaits_half(self) -> bool:
        return not self.half and self.spike_ms is not None and self.spike_ms < self.open_ms + HALF_BEFORE_MS

    @property
    def awaits_full(self) -> bool:
        return not self.full and self.spike_ms is not None and self.spike_ms < self.open_ms + FULL_BEFORE_MS


@dataclass(slots=True)
class _Hours:
    """The newest hour of a contract and the one directly before it, whose close may come late."""

    now: _Hour
    before: _Hour | None = None


class VolumeSpike:
    """See the module."""

    name: ClassVar[DetectorName] = "volume_spike"
    takes: ClassVar[tuple[type[Tick], ...]] = (Candle,)

    def __init__(self, origin: Origin, volume_at: VolumeAt, rule: SpikeRule | None = None) -> None:
        self.counters = Counters()
        self._origin = origin
        self._volume_at = volume_at
        self._rule = rule or SpikeRule()
        self._hours: dict[str, _Hours] = {}
        self._awaiting_half: set[str] = set()

    def on_tick(self, row: Row, tick: Tick) -> Sequence[Signal]:
        """Evaluate the hour that the candle belongs to."""
        if type(tick) is not Candle:
            return NOTHING
        newest = row.candle
        if newest is None:
            return NOTHING
        hours = self._turn(row.instrument.symbol, newest.open_ms)
        if tick.open_ms == newest.open_ms:
            return self._judge(row, hours.now, tick, self._before(row, tick), tick.seen_ms)
        # The close of the hour before came after the first trades of the next: both are judged by it.
        return self._judge_both(row, hours, tick, newest, tick.seen_ms)

    def on_step(self, book: MarketBook, now_ms: int) -> Sequence[Signal]:
        """Give the HALF_UPDATE of contracts that have not traded since hh:30."""
        if not self._awaiting_half:
            return NOTHING
        found: list[Signal] = []
        limit = allowance("candle")
        for symbol in sorted(self._awaiting_half):
            hour = self._hours[symbol].now
            row = book.row(symbol)
            if not hour.awaits_half:
                self._awaiting_half.discard(symbol)
                continue
            candle = hour.candle
            if row is None or candle is None or now_ms + candle.skew_ms < hour.open_ms + HALF_MS:
                continue
            age_ms = book.age_ms(row, "candle", now_ms)
            streamed = row.candle_streamed
            if age_ms is None or age_ms > limit.limit_ms(streamed) or is_stale_candle(candle, streamed):
                # What the contract does now is not known; the next message will tell.
                continue
            found += self._updates(row, hour, candle, hour.open_ms + HALF_MS, now_ms)
        return found

    def refill(self, row: Row) -> Sequence[Signal]:
        """Judge again what is in the book, since earlier hours have become known (`volume_at`)."""
        newest, symbol = row.candle, row.instrument.symbol
        if newest is None:
            return NOTHING
        hours = self._turn(symbol, newest.open_ms)
        return self._judge_both(row, hours, row.previous_hour, newest, newest.seen_ms)

    def resume(self, signals: Iterable[Signal], episodes: Iterable[Episode]) -> None:
        """See `Detector.resume`; needed are those of the past two hours."""
        for signal in sorted(signals, key=lambda each: (each.period_ms, _ORDER.get(each.kind, 0))):
            if signal.detector != self.name:
                continue
            hours = self._turn(signal.symbol, signal.period_ms)
            if signal.period_ms == hours.now.open_ms:
                hour = hours.now
            elif signal.period_ms == hours.now.open_ms - HOUR_MS:
                hour = hours.before = hours.before or _Hour(signal.period_ms)
            else:
                continue
            match signal.kind:
                case "HALF_UPDATE":
                    hour.half = True
                case "FULL_UPDATE":
                    hour.full = True
                case _:
                    hour.spike_ms = signal.event_ms
            hour.direction = signal.direction
            self._await(signal.symbol, hour)

    def forget(self, symbol: str, now_ms: int) -> None:
        """See `Detector.forget`."""
        self._hours.pop(symbol, None)
        self._awaiting_half.discard(symbol)

    def why_not(self, row: Row, now_ms: int) -> Sequence[Distance]:
        """See `Detector.why_not`."""
        rule, newest = self._rule, row.candle
        hours = self._hours.get(row.instrument.symbol)
        before = None if newest is None else self._before(row, newest)
        volume = None if newest is None else newest.volume_quote
        missing: list[str] = []
        if newest is None or now_ms >= newest.open_ms + HOUR_MS + CLOSE_GRACE_MS:
            # A closed hour that is over says nothing about the one in progress.
            before, volume = (newest.volume_quote, 0.0) if newest is not None and newest.closed else (None, None)
        if volume is None:
            missing.append("no candle of this hour yet")
        elif before is None:
            missing.append("the hour before is not known")
        elif before <= 0:
            missing.append("nothing traded in the hour before")
        if volume is not None and volume < rule.floor:
            missing.append(f"${formats.compact(volume)} of ${formats.compact(rule.floor)} this hour")
        elif hours is not None and hours.now.spike_ms is not None and now_ms < hours.now.open_ms + HOUR_MS:
            missing.append("has fired for this hour")
        ratio = volume / before if volume is not None and before else None
        share = min(part(ratio, rule.multiple), part(volume, rule.floor))
        return (Distance(self.name, "Volume spike", ratio, rule.multiple, "multiple", share, "; ".join(missing)),)

    def _turn(self, symbol: str, open_ms: int) -> _Hours:
        """The hours of a contract, turned to the newest."""
        hours = self._hours.get(symbol)
        if hours is None:
            hours = self._hours[symbol] = _Hours(_Hour(open_ms))
        elif open_ms > hours.now.open_ms:
            hours.before = hours.now if hours.now.open_ms == open_ms - HOUR_MS else None
            hours.now = _Hour(open_ms)
            self._awaiting_half.discard(symbol)
        return hours

    def _before(self, row: Row, candle: Candle) -> float | None:
        """The volume of the whole hour before the book's newest candle; None if it is not known."""
        before = row.previous_hour
        if before is not None and before.open_ms == candle.open_ms - HOUR_MS and stands_in(before, candle):
            return before.volume_quote
        return self._volume_at(candle.symbol, candle.open_ms - HOUR_MS)

    def _judge_both(
        self, row: Row, hours: _Hours, former: Candle | None, newest: Candle, seen_ms: int
    ) -> Sequence[Signal]:
        """The hour before the newest, where it has a candle, and then the newest."""
        found: list[Signal] = []
        if former is not None and former.open_ms == newest.open_ms - HOUR_MS:
            hour = hours.before = hours.before or _Hour(former.open_ms)
            earlier = self._volume_at(former.symbol, former.open_ms - HOUR_MS)
            found += self._judge(row, hour, former, earlier, seen_ms)
        found += self._judge(row, hours.now, newest, self._before(row, newest), seen_ms)
        return found

    def _judge(self, row: Row, hour: _Hour, candle: Candle, before: float | None, seen_ms: int) -> Sequence[Signal]:
        """SPIKE or updates for one hour, by its newest candle; `seen_ms` is when the last of it was received."""
        self.counters.evaluated += 1
        hour.candle = candle
        if before is not None:
            hour.before = before
        if hour.spike_ms is not None:
            if hour.full or not self._has_updates(hour, candle, candle.event_ms) or self._is_stale(row, candle):
                return NOTHING
            return self._updates(row, hour, candle, candle.event_ms, seen_ms)
        if not self._rule.holds(hour.before, candle.volume_quote) or self._is_stale(row, candle):
            return NOTHING
        hour.spike_ms = candle.event_ms
        self._await(row.instrument.symbol, hour)
        return (self._signal("SPIKE", row, hour, candle, candle.event_ms, seen_ms),)

    def _updates(self, row: Row, hour: _Hour, candle: Candle, event_ms: int, seen_ms: int) -> Sequence[Signal]:
        """What is due at `event_ms` (exchange's time) for an hour whose SPIKE was given."""
        if hour.before is None or hour.before <= 0:
            # Just restarted: the numbers come with the history.
            self.counters.suppressed["no_baseline"] += 1
            return NOTHING
        found: list[Signal] = []
        if _half_due(hour, candle, event_ms):
            hour.half = True
            found.append(self._signal("HALF_UPDATE", row, hour, candle, event_ms, seen_ms))
        if hour.awaits_full and candle.closed:
            hour.full = True
            found.append(self._signal("FULL_UPDATE", row, hour, candle, event_ms, seen_ms))
        return found

    @staticmethod
    def _has_updates(hour: _Hour, candle: Candle, event_ms: int) -> bool:
        return _half_due(hour, candle, event_ms) or (hour.awaits_full and candle.closed)

    def _is_stale(self, row: Row, candle: Candle) -> bool:
        stale = is_stale_candle(candle, row.candle_streamed)
        if stale:
            self.counters.suppressed["stale"] += 1
        return stale

    def _await(self, symbol: str, hour: _Hour) -> None:
        if hour.awaits_half:
            self._awaiting_half.add(symbol)

    def _signal(self, kind: Kind, row: Row, hour: _Hour, candle: Candle, event_ms: int, seen_ms: int) -> Signal:
        before, rule = hour.before or 0.0, self._rule
        ratio = candle.volume_quote / before
        direction: Direction = "bullish" if candle.close > candle.open else "bearish"
        flipped = kind != "SPIKE" and direction != hour.direction
        hour.direction = direction
        self.counters.fired[kind] += 1
        base = row.instrument.base
        text = (
            f"{base} hourly volume ${formats.compact(candle.volume_quote)} ({formats.multiple(ratio)}× prev)"
            f" — {_TEXTS[kind]}{f', now {direction}' if flipped else ''}{_late(kind, hour.open_ms, event_ms)}"
        )
        passed = min(1.0, max(0, event_ms - hour.open_ms) / HOUR_MS)
        return Signal(
            key=signal_key(self._origin, candle.symbol, kind, hour.open_ms),
            detector=self.name,
            kind=kind,
            origin=self._origin,
            symbol=candle.symbol,
            base=base,
            severity=1 + level(ratio, SEVERITY_RATIOS),
            direction=direction,
            text=text,
            period_ms=hour.open_ms,
            span_ms=HOUR_MS,
            event_ms=event_ms,
            seen_ms=seen_ms,
            price=candle.close,
            evidence=Evidence(
                RULE_VERSION,
                (
                    Measure("volume", candle.volume_quote, "usd"),
                    Measure("volume_before", before, "usd", "baseline"),
                    Measure("ratio", ratio, "multiple", "deviation"),
                    Measure("hour_passed", passed * 100, "percent"),
                    Measure("open", candle.open, "price"),
                    Measure("price", candle.close, "price"),
                    Measure("recent_hours", 1.0, "count", "sample"),
                    Measure("least_multiple", rule.multiple, "multiple", "threshold"),
                    Measure("least_volume", rule.floor, "usd", "threshold"),
                ),
                chart="volume",
                line=max(before * rule.multiple, rule.floor),
            ),
        )


def _half_due(hour: _Hour, candle: Candle, event_ms: int) -> bool:
    return hour.awaits_half and (candle.closed or event_ms >= hour.open_ms + HALF_MS)


def _late(kind: Kind, open_ms: int, event_ms: int) -> str:
    """When the numbers of a half-hour update are of, where that is well after the half hour."""
    if kind != "HALF_UPDATE" or event_ms <= open_ms + HALF_MS + LATE_MS:
        return ""
    return f", as of {iso_minute(event_ms)[11:16]} UTC"


_ORDER: dict[str, int] = {"SPIKE": 0, "HALF_UPDATE": 1, "FULL_UPDATE": 2}
