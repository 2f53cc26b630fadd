"""A surge of open interest: many contracts opened or closed within 5, 15 or 60 minutes.

Measured is the number of contracts, so that a move of the price alone is none; the price says which of the four
quadrants it is. A surge is given when a contract enters the region of a window, in either direction, and again only
after it has left it (below four fifths of the threshold) and the window's cooldown is over. What enters during the
cooldown is not made up for. A contract of which nothing was known for two windows has left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from flashcur.domain import formats
from flashcur.domain.ages import LIQUID
from flashcur.domain.book import MarketBook, Row
from flashcur.domain.frames import STALE_MS
from flashcur.domain.signals.detector import NOTHING, Counters, Distance, level, part
from flashcur.domain.signals.episode import Episode, Note
from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.freshness import is_stale_open_interest
from flashcur.domain.signals.past_prices import PastPrices
from flashcur.domain.signals.signal import DetectorName, Direction, Origin, Quadrant, Signal, signal_key
from flashcur.domain.ticks import OpenInterest, Tick, Ticker, told_ms

RULE_VERSION = "open_interest_surge/1"
MINUTE_MS = 60_000
FLOOR_USD = 250_000.0
"""Least change in USDT, at the price of the moment."""
LEAVE_SHARE = 0.8
"""A contract leaves the region below this share of its threshold."""
SEVERITY_MULTIPLES = (2.0, 4.0)
"""Multiples of the threshold from which a surge is strong, and extreme."""


@dataclass(frozen=True, slots=True)
class Window:
    """Over how long, from which change on, and how long it is quiet afterwards."""

    minutes: int
    percent: float
    cooldown_minutes: int
    tolerance_ms: int
    """How far from the window's beginning the value may lie that is compared with."""

    @property
    def ms(self) -> int:
        """Its length in ms."""
        return self.minutes * MINUTE_MS

    @property
    def part(self) -> str:
        """What its region is called."""
        return f"{self.minutes}m"

    @property
    def cooldown_ms(self) -> int:
        """The quiet after a signal in ms."""
        return self.cooldown_minutes * MINUTE_MS


WINDOWS = (
    Window(5, 3.0, 10, 45_000),
    Window(15, 7.0, 15, 90_000),
    Window(60, 12.0, 60, 360_000),
)

QUADRANTS: dict[tuple[bool, bool], tuple[Quadrant, Direction, str]] = {
    (True, True): ("long_build_up", "bullish", "LONG BUILD-UP"),
    (True, False): ("short_build_up", "bearish", "SHORT BUILD-UP"),
    (False, True): ("short_covering", "bullish", "SHORT COVERING"),
    (False, False): ("long_unwinding", "bearish", "LONG UNWINDING"),
}
"""(open interest rose, price rose): what it is called, and where it points."""


@dataclass(slots=True)
class _Region:
    """One window of one contract."""

    inside: int = 0
    """+1 or -1 while the contract is in the region of a rise or a fall; 0 outside."""
    fired_ms: int | None = None
    """Exchange's time of the last signal."""
    at_ms: int = 0
    """Exchange's time at which `inside` changed, or was confirmed to be unchanged; that is done once a window."""


@dataclass(slots=True)
class _State:
    """One contract."""

    prices: PastPrices = field(default_factory=PastPrices)
    regions: tuple[_Region, ...] = field(default_factory=lambda: tuple(_Region() for _ in WINDOWS))


@dataclass(frozen=True, slots=True)
class _Change:
    """How the open interest of a contract changed over a window."""

    before: float
    contracts: float
    percent: float
    usd: float
    """Signed, at the price of the moment."""


class OpenInterestSurge:
    """See the module."""

    name: ClassVar[DetectorName] = "open_interest"
    takes: ClassVar[tuple[type[Tick], ...]] = (Ticker, OpenInterest)

    def __init__(self, origin: Origin, note: Note) -> None:
        """`note` takes what becomes of the visits."""
        self.counters = Counters()
        self._origin = origin
        self._note = note
        self._states: dict[str, _State] = {}
        self._priced_ms = 0
        """When the newest price of any contract was told, by our clock."""

    def on_tick(self, row: Row, tick: Tick) -> Sequence[Signal]:
        """Remember a price; evaluate all windows at a new value of the open interest."""
        state = self._states.get(tick.symbol)
        if state is None:
            state = self._states[tick.symbol] = _State()
        if type(tick) is Ticker:
            self._priced_ms = max(self._priced_ms, told_ms(tick))
            state.prices.put(tick.event_ms, tick.price)
            return NOTHING
        if type(tick) is not OpenInterest or tick is not row.open_interest:
            return NOTHING
        self.counters.evaluated += 1
        if row.ticker is None:
            return NOTHING
        if is_stale_open_interest(tick, row.liquid) or tick.seen_ms - self._priced_ms > STALE_MS:
            self.counters.suppressed["stale"] += 1
            return NOTHING
        found: list[Signal] = []
        for window, region in zip(WINDOWS, state.regions, strict=True):
            change = _change(row, window)
            if change is None:
                continue
            before = region.inside
            if self._enters(row, window, region, change, tick):
                found.append(self._signal(row, state, window, change, tick))
            if region.inside != before or (region.inside and tick.event_ms >= region.at_ms + window.ms):
                region.at_ms = tick.event_ms
                self._note(Episode(self._origin, self.name, tick.symbol, window.part, region.inside, tick.event_ms))
        return found

    def on_step(self, book: MarketBook, now_ms: int) -> Sequence[Signal]:
        """Nothing: only a value can say that something changed."""
        return NOTHING

    def resume(self, signals: Iterable[Signal], episodes: Iterable[Episode]) -> None:
        """See `Detector.resume`; needed are those of the past two hours."""
        for signal in sorted(signals, key=lambda each: each.event_ms):
            change = signal.evidence.value("oi_change")
            if signal.detector != self.name or change is None:
                continue
            state = self._states.setdefault(signal.symbol, _State())
            for window, region in zip(WINDOWS, state.regions, strict=True):
                if window.ms == signal.span_ms and (region.fired_ms is None or signal.event_ms > region.fired_ms):
                    region.fired_ms = region.at_ms = signal.event_ms
                    region.inside = 1 if change > 0 else -1
        for episode in episodes:
            if episode.detector != self.name:
                continue
            state = self._states.setdefault(episode.symbol, _State())
            for window, region in zip(WINDOWS, state.regions, strict=True):
                if window.part == episode.part and episode.at_ms >= region.at_ms:
                    region.inside, region.at_ms = episode.inside, episode.at_ms

    def fill_prices(self, symbol: str, prices: Sequence[tuple[int, float]]) -> None:
        """Past prices of a contract, (Unix ms, USDT) in order of time, so that quadrants need not wait for an hour."""
        self._states.setdefault(symbol, _State()).prices.fill(prices)

    def forget(self, symbol: str, now_ms: int) -> None:
        """See `Detector.forget`."""
        state = self._states.pop(symbol, None)
        for window, region in () if state is None else zip(WINDOWS, state.regions, strict=True):
            if region.inside:
                self._note(Episode(self._origin, self.name, symbol, window.part, 0, now_ms))

    def why_not(self, row: Row, now_ms: int) -> Sequence[Distance]:
        """See `Detector.why_not`."""
        state = self._states.get(row.instrument.symbol) or _State()
        return [
            self._distance(row, window, region, now_ms) for window, region in zip(WINDOWS, state.regions, strict=True)
        ]

    def _distance(self, row: Row, window: Window, region: _Region, now_ms: int) -> Distance:
        change = None if row.ticker is None else _change(row, window)
        missing: list[str] = []
        if change is None:
            missing.append(f"no open interest of {window.minutes} min ago yet")
        elif abs(change.usd) < FLOOR_USD:
            missing.append(f"${formats.compact(abs(change.usd))} of ${formats.compact(FLOOR_USD)}")
        if not row.liquid:
            missing.append(f"24 h volume below ${formats.compact(LIQUID.enter)}")
        if region.inside:
            missing.append("has fired and not yet left the region")
        elif region.fired_ms is not None and now_ms < region.fired_ms + window.cooldown_ms:
            left_min = -(-(region.fired_ms + window.cooldown_ms - now_ms) // MINUTE_MS)
            missing.append(f"in cooldown for {left_min} min")
        value = None if change is None else change.percent
        way = (
            0.0 if change is None else min(part(abs(change.percent), window.percent), part(abs(change.usd), FLOOR_USD))
        )
        what = f"Open interest, {window.minutes} min"
        return Distance(self.name, what, value, window.percent, "percent", way, "; ".join(missing))

    def _enters(self, row: Row, window: Window, region: _Region, change: _Change, tick: OpenInterest) -> bool:
        """Turn the region to the newest change; whether that is a surge to be told."""
        if region.inside and tick.event_ms > region.at_ms + 2 * window.ms:
            region.inside = 0
        size, sign = abs(change.percent), 1 if change.percent > 0 else -1
        if region.inside and (sign != region.inside or size < window.percent * LEAVE_SHARE):
            region.inside = 0
        if region.inside or size < window.percent:
            return False
        if not row.liquid:
            self.counters.suppressed["illiquid"] += 1
            return False
        if abs(change.usd) < FLOOR_USD:
            self.counters.suppressed["small"] += 1
            return False
        region.inside = sign
        if region.fired_ms is not None and tick.event_ms < region.fired_ms + window.cooldown_ms:
            self.counters.suppressed["cooldown"] += 1
            return False
        region.fired_ms = tick.event_ms
        return True

    def _signal(self, row: Row, state: _State, window: Window, change: _Change, tick: OpenInterest) -> Signal:
        self.counters.fired["OI_SURGE"] += 1
        price = row.price or 0.0
        before = state.prices.at(tick.event_ms - window.ms, window.tolerance_ms)
        moved = None if before is None else (price / before - 1) * 100
        quadrant: Quadrant | None = None
        direction: Direction = "none"
        name = "OPEN INTEREST UP" if change.percent > 0 else "OPEN INTEREST DOWN"
        if moved:
            quadrant, direction, name = QUADRANTS[change.percent > 0, moved > 0]
        base = row.instrument.base
        period_ms = tick.event_ms // window.cooldown_ms * window.cooldown_ms
        prices = () if moved is None else (Measure("price_change", moved, "percent"),)
        return Signal(
            # Two signals of a window lie a cooldown apart at least, so they never share a period.
            key=signal_key(
                self._origin,
                tick.symbol,
                "OI_SURGE",
                period_ms,
                window.part,
                "up" if change.percent > 0 else "down",
            ),
            detector=self.name,
            kind="OI_SURGE",
            origin=self._origin,
            symbol=tick.symbol,
            base=base,
            severity=1 + level(abs(change.percent) / window.percent, SEVERITY_MULTIPLES),
            direction=direction,
            text=(
                f"{base} open interest {formats.percent(change.percent)} % in {window.minutes} min"
                f" (${formats.compact(abs(change.usd))}) — {name}"
            ),
            period_ms=tick.event_ms - window.ms,
            span_ms=window.ms,
            event_ms=tick.event_ms,
            seen_ms=tick.seen_ms,
            price=row.price,
            quadrant=quadrant,
            evidence=Evidence(
                RULE_VERSION,
                (
                    Measure("oi_contracts", change.contracts, "contracts"),
                    Measure("oi_contracts_before", change.before, "contracts", "baseline"),
                    Measure("oi_change", change.percent, "percent", "deviation"),
                    Measure("oi_change_usd", change.usd, "usd", "deviation"),
                    *prices,
                    Measure("price", price, "price"),
                    Measure("window", float(window.minutes), "minutes", "sample"),
                    Measure("least_change", window.percent, "percent", "threshold"),
                    Measure("least_change_usd", FLOOR_USD, "usd", "threshold"),
                ),
                chart="open_interest",
                line=change.before * (1 + (window.percent if change.percent > 0 else -window.percent) / 100),
            ),
        )


def _change(row: Row, window: Window) -> _Change | None:
    """How the contract's open interest changed over the window; None if there is no value as old as that."""
    now = row.open_interest
    if now is None or row.ticker is None:
        return None
    base = row.open_interest_at(now.event_ms - window.ms, window.tolerance_ms)
    if base is None or base.contracts <= 0:
        return None
    usd = (now.contracts - base.contracts) * row.instrument.contract_size * row.ticker.price
    return _Change(base.contracts, now.contracts, (now.contracts / base.contracts - 1) * 100, usd)
