"""Funding that costs one side dearly: |rate| of 0.03 % per 8 h or more, whichever interval it is paid in.

A signal is given when a contract enters the region of a sign, and once more for each rise in severity; again only after
the rate has fallen below four fifths of the threshold. What comes back within one funding period is the same event, and
told again only if it is more severe. A signal says how the rate compares with the contract's own past payments, where
enough of them are known.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from flashcur.domain import formats
from flashcur.domain.book import MarketBook, Row
from flashcur.domain.frames import FUNDING_ACCENT_PCT
from flashcur.domain.signals.detector import NOTHING, Counters, Distance, level, part
from flashcur.domain.signals.episode import Episode, Note
from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.freshness import is_stale_funding
from flashcur.domain.signals.signal import DetectorName, Origin, Signal, signal_key
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Funding, Tick

RULE_VERSION = "funding_extreme/2"
NORMAL_HOURS = 8
"""Rates are compared per so many hours."""
RATES = (FUNDING_ACCENT_PCT / 100, 0.001, 0.003)
"""Per 8 h, from which funding is noticeable, strong, extreme: 0.03, 0.1 and 0.3 %."""
LEAVE_SHARE = 0.8
"""A contract leaves the region below this share of the threshold."""
LEAST_PAYMENTS = 30
"""Fewer past payments than that make no percentile."""
KEPT_PAYMENTS = 1_100
"""A year of payments each 8 h."""
INTERVALS = (1, 2, 4, 8)
"""Hours between payments that exchanges use."""

_PAYMENT_GRACE_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Payment:
    """One funding payment of the past."""

    paid_ms: int
    """Unix ms."""
    rate: float
    """Fraction of the position, for its own interval."""


@dataclass(slots=True)
class _History:
    """The sizes of past payments per 8 h, sorted, and in order of time to forget the oldest."""

    in_time: deque[tuple[int, float]] = field(default_factory=deque[tuple[int, float]])
    """(minute of the payment since 1970, size): exchanges state the same payment some milliseconds apart."""
    ranked: list[float] = field(default_factory=list[float])

    def put(self, paid_ms: int, size: float) -> None:
        minute = _minute(paid_ms)
        if self.in_time and minute <= self.in_time[-1][0]:
            return
        self.in_time.append((minute, size))
        insort(self.ranked, size)
        if len(self.in_time) > KEPT_PAYMENTS:
            del self.ranked[bisect_left(self.ranked, self.in_time.popleft()[1])]

    def merge(self, sizes: dict[int, float]) -> None:
        """Take what is known of some payments, by `paid_ms`, in place of what was known of them."""
        known = dict(self.in_time)
        known.update((_minute(paid_ms), size) for paid_ms, size in sizes.items())
        self.in_time = deque(sorted(known.items())[-KEPT_PAYMENTS:])
        self.ranked = sorted(size for _, size in self.in_time)

    def percentile(self, size: float) -> float | None:
        """The share of past payments that were smaller, in percent; None where too few are known."""
        if len(self.ranked) < LEAST_PAYMENTS:
            return None
        return bisect_left(self.ranked, size) / len(self.ranked) * 100


@dataclass(slots=True)
class _State:
    """One contract."""

    sign: int = 0
    """+1 or -1 while the rate is in the region of that sign; 0 outside."""
    given: int = 0
    """Highest severity given since the contract entered it."""
    told: dict[int, int] = field(default_factory=dict[int, int])
    """Highest severity given in this funding period, by sign."""
    due_ms: int = 0
    """When the payment of this period is due; 0 before the first rate."""
    size: float | None = None
    """Of the last rate, per 8 h; None before the first."""
    history: _History = field(default_factory=_History)

    @property
    def inside(self) -> int:
        """See `Episode.inside`."""
        return self.sign * self.given

    def stand(self, inside: int) -> None:
        """Stand where `inside` says; see `Episode.inside`."""
        self.sign, self.given = (inside > 0) - (inside < 0), abs(inside)


class FundingExtreme:
    """See the module."""

    name: ClassVar[DetectorName] = "funding"
    takes: ClassVar[tuple[type[Tick], ...]] = (Funding,)

    def __init__(self, origin: Origin, note: Note) -> None:
        """`note` takes what becomes of the visits."""
        self.counters = Counters()
        self._origin = origin
        self._note = note
        self._states: dict[str, _State] = {}

    def on_tick(self, row: Row, tick: Tick) -> Sequence[Signal]:
        """Evaluate the current rate."""
        if type(tick) is not Funding:
            return NOTHING
        self.counters.evaluated += 1
        state = self._states.get(tick.symbol)
        if state is None:
            state = self._states[tick.symbol] = _State()
        before = state.inside
        found = self._judge(row, state, tick)
        if state.inside != before:
            self._note(Episode(self._origin, self.name, tick.symbol, "", state.inside, tick.event_ms))
        return found

    def _judge(self, row: Row, state: _State, tick: Funding) -> Sequence[Signal]:
        """Turn the contract to its newest rate; what is to be told of it."""
        rate = per_8h(tick.rate, row.instrument.funding_interval_hours)
        size = abs(rate)
        sign = 1 if rate > 0 else -1
        _turn(state, _due_ms(row, tick), tick.event_ms, size)
        if size < RATES[0] and not state.sign:
            return NOTHING
        if is_stale_funding(tick):
            self.counters.suppressed["stale"] += 1
            return NOTHING
        if not _interval_is_clear(row, tick):
            # The rate may be one of the new interval while the old one is still believed.
            self.counters.suppressed["unclear_interval"] += 1
            return NOTHING
        if state.sign and (sign != state.sign or size < RATES[0] * LEAVE_SHARE):
            state.sign = state.given = 0
        severity = level(size, RATES)
        if severity <= state.given:
            return NOTHING
        told = state.told.get(sign, 0)
        state.sign, state.given = sign, max(severity, told)
        if severity <= told:
            self.counters.suppressed["cooldown"] += 1
            return NOTHING
        state.told[sign] = severity
        self.counters.fired["FUNDING_EXTREME"] += 1
        return (self._signal(row, state, tick, rate, severity),)

    def on_step(self, book: MarketBook, now_ms: int) -> Sequence[Signal]:
        """Nothing: a rate that did not change is no news."""
        return NOTHING

    def fill(self, symbol: str, payments: Sequence[Payment], interval_hours: int = NORMAL_HOURS) -> None:
        """Past payments of a contract, oldest first, whatever is known of it already.

        Each is scaled by the time since the one before it; `interval_hours` is that of the first one.
        """
        state = self._states.setdefault(symbol, _State())
        hours = interval_hours
        before: Payment | None = None
        sizes: dict[int, float] = {}
        for payment in payments:
            if before is not None:
                hours = nearest_interval(payment.paid_ms - before.paid_ms)
            sizes[payment.paid_ms] = abs(per_8h(payment.rate, hours))
            before = payment
        state.history.merge(sizes)

    def resume(self, signals: Iterable[Signal], episodes: Iterable[Episode]) -> None:
        """See `Detector.resume`.

        A contract that had not left its region before the restart, and whose first rate is in it, never left it.
        """
        stood_ms: dict[str, int] = {}
        for signal in sorted(signals, key=lambda each: each.event_ms):
            rate = signal.evidence.value("rate")
            if signal.detector != self.name or rate is None:
                continue
            state = self._states.setdefault(signal.symbol, _State())
            due_ms = signal.period_ms + signal.span_ms
            if due_ms != state.due_ms:
                if signal.event_ms >= state.due_ms:
                    state.told.clear()
                state.due_ms = due_ms
            sign = 1 if rate > 0 else -1
            state.told[sign] = signal.severity
            state.stand(sign * signal.severity)
            stood_ms[signal.symbol] = signal.event_ms
        for episode in episodes:
            if episode.detector == self.name and episode.at_ms >= stood_ms.get(episode.symbol, 0):
                self._states.setdefault(episode.symbol, _State()).stand(episode.inside)

    def forget(self, symbol: str, now_ms: int) -> None:
        """See `Detector.forget`."""
        state = self._states.pop(symbol, None)
        if state is not None and state.inside:
            self._note(Episode(self._origin, self.name, symbol, "", 0, now_ms))

    def why_not(self, row: Row, now_ms: int) -> Sequence[Distance]:
        """See `Detector.why_not`."""
        state = self._states.get(row.instrument.symbol) or _State()
        rate = None if row.funding is None else per_8h(row.funding.rate, row.instrument.funding_interval_hours)
        missing: list[str] = []
        if rate is None:
            missing.append("no funding rate yet")
        elif state.sign:
            missing.append("has fired and not yet left the region")
        if len(state.history.ranked) < LEAST_PAYMENTS:
            missing.append("no history to compare with")
        way = 0.0 if rate is None else part(abs(rate), RATES[0])
        return (Distance(self.name, "Funding per 8 h", rate, RATES[0], "rate", way, "; ".join(missing)),)

    def _signal(self, row: Row, state: _State, tick: Funding, rate: float, severity: int) -> Signal:
        base, hours = row.instrument.base, row.instrument.funding_interval_hours
        percentile = state.history.percentile(abs(rate))
        payer = "longs pay" if rate > 0 else "shorts pay"
        rank: tuple[Measure, ...] = ()
        said = ""
        if percentile is not None:
            payments = float(len(state.history.ranked))
            rank = (
                Measure("percentile", percentile, "percent", "deviation"),
                Measure("payments", payments, "count", "sample"),
            )
            said = f", above {_part_text(percentile)} of its past payments"
        step: tuple[Measure, ...] = ()
        if severity == 2:
            step = (Measure("strong_rate", RATES[1], "rate", "threshold"),)
        elif severity > 2:
            step = (Measure("extreme_rate", RATES[2], "rate", "threshold"),)
        interval = "" if hours == NORMAL_HOURS else f" ({formats.rate_percent(rate)} % per 8 h)"
        return Signal(
            key=signal_key(
                self._origin,
                tick.symbol,
                "FUNDING_EXTREME",
                state.due_ms,
                "positive" if rate > 0 else "negative",
                severity,
            ),
            detector=self.name,
            kind="FUNDING_EXTREME",
            origin=self._origin,
            symbol=tick.symbol,
            base=base,
            severity=severity,
            direction="none",
            text=(
                f"{base} funding {formats.rate_percent(tick.rate)} % per {hours} h{interval}{said}"
                f" — EXTREME FUNDING, {payer}"
            ),
            period_ms=state.due_ms - hours * HOUR_MS,
            span_ms=hours * HOUR_MS,
            event_ms=tick.event_ms,
            seen_ms=tick.seen_ms,
            price=row.price or tick.mark_price,
            evidence=Evidence(
                RULE_VERSION,
                (
                    Measure("rate", rate, "rate"),
                    Measure("interval", float(hours), "hours"),
                    *rank,
                    Measure("least_rate", RATES[0], "rate", "threshold"),
                    *step,
                ),
                chart="funding",
                line=RATES[severity - 1] if rate > 0 else -RATES[severity - 1],
            ),
        )


def per_8h(rate: float, interval_hours: int) -> float:
    """A rate per interval as one per 8 hours."""
    return rate * NORMAL_HOURS / interval_hours


def _part_text(percentile: float) -> str:
    """A percentile in words: `all`, `97 %`, `none`; only what is all is rounded to it."""
    if percentile >= 100:
        return "all"
    return f"{min(99, round(percentile))} %" if percentile > 0 else "none"


def _minute(at_ms: int) -> int:
    """The minute since 1970 that is nearest to a moment."""
    return (at_ms + 30_000) // 60_000


def _due_ms(row: Row, tick: Funding) -> int:
    """When the next payment is due, Unix ms; by the interval where the exchange does not say."""
    span_ms = row.instrument.funding_interval_hours * HOUR_MS
    return tick.next_funding_ms or (tick.event_ms // span_ms + 1) * span_ms


def _turn(state: _State, due_ms: int, event_ms: int, size: float) -> None:
    """Turn the contract to the funding period that ends at `due_ms`; what was last said before a payment was paid."""
    if due_ms != state.due_ms:
        if event_ms >= state.due_ms:
            if state.size is not None:
                state.history.put(state.due_ms, state.size)
            state.told.clear()
        state.due_ms = due_ms
    state.size = size


def _interval_is_clear(row: Row, tick: Funding) -> bool:
    """Whether the next payment is not further away than the contract's interval."""
    if tick.next_funding_ms is None:
        return True
    span_ms = row.instrument.funding_interval_hours * HOUR_MS
    return tick.next_funding_ms - tick.event_ms <= span_ms + _PAYMENT_GRACE_MS


def nearest_interval(gap_ms: int) -> int:
    """The interval that a gap between two payments tells of; of a longer gap (payments missing) the longest."""
    return min(INTERVALS, key=lambda hours: abs(hours * HOUR_MS - gap_ms))
