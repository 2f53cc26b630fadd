"""Contracts that are listed, leave, or change their terms, by comparing one set of instruments with the next.

The first set of an exchange is what is compared with later; of it only contracts younger than a day are news, so that a
listing during a restart is told. Sets of two exchanges are never compared: each has its own detector.

An answer in which much changes at once (a tenth of all contracts gone or new, or the same term changed in as many) is
more likely broken than true: it is told only once it has stood for ten minutes, and of new contracts only the young.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from flashcur.domain import multiples
from flashcur.domain.book import MarketBook, Row
from flashcur.domain.signals.detector import NOTHING, Counters, Distance
from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.evidence import Evidence, Measure
from flashcur.domain.signals.signal import DetectorName, Kind, Origin, Signal, iso_minute, signal_key
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Instrument, Tick

RULE_VERSION = "listings/2"
DAY_MS = 24 * HOUR_MS
ODD_SHARE = 0.1
ODD_COUNT = 10
"""A change of so many contracts, and of that share of all, waits until it has stood for `ODD_MS`."""
ODD_MS = 10 * 60_000
SEVERITIES_OF: dict[Kind, int] = {"LISTED": 2, "DELISTED": 2, "TERMS_CHANGED": 1}

Term = Literal["funding_interval", "tick_size", "contract_size", "delivery", "name"]


@dataclass(frozen=True, slots=True)
class TermChange:
    """One term of one contract that is not what it was."""

    instrument: Instrument
    term: Term
    was: str
    now: str
    """As a person reads it."""

    @property
    def text(self) -> str:
        """The change in words, without the contract's name."""
        if self.term == "delivery" and self.now == "none":
            return "will not be delivered after all"
        if self.term == "delivery":
            return f"will be delivered and end at {self.now}"
        if self.term == "name":
            return f"replaces {self.was}: prices and amounts are rescaled"
        return f"{_TERM_NAMES[self.term]} is {self.now}, was {self.was}"


_TERM_NAMES: dict[Term, str] = {
    "funding_interval": "the funding interval",
    "tick_size": "the price step",
    "contract_size": "the contract size",
    "delivery": "delivery",
    "name": "name",
}


@dataclass(frozen=True, slots=True)
class _News:
    """What differs between two sets."""

    listed: list[Instrument]
    left: list[Instrument]
    changed: list[TermChange]

    def is_odd(self, contracts: int) -> bool:
        terms = Counter(change.term for change in self.changed)
        most = max(len(self.listed), len(self.left), *terms.values())
        return most >= ODD_COUNT and most >= ODD_SHARE * contracts


class Listings:
    """See the module. It takes sets of instruments, by `compare`, and no ticks."""

    name: ClassVar[DetectorName] = "listing"
    takes: ClassVar[tuple[type[Tick], ...]] = ()

    def __init__(self, origin: Origin) -> None:
        self.counters = Counters()
        self._origin = origin
        self._known: dict[str, Instrument] = {}
        self._compared = 0
        """Contracts of the set that the newest was compared with."""
        self._odd_since_ms: int | None = None
        self._keys: set[str] = set()
        self._day = 0

    @property
    def known(self) -> Sequence[Instrument]:
        """The set that the next one is compared with: to be stored for `restore`."""
        return tuple(self._known.values())

    def restore(self, instruments: Iterable[Instrument]) -> None:
        """The set that was known before a restart, so that what changed in between is told."""
        self._known = {instrument.symbol: instrument for instrument in instruments}

    def compare(self, instruments: Iterable[Instrument], now_ms: int) -> Sequence[Signal]:
        """What the newest set, received at `now_ms` (Unix ms), changes. An empty set says nothing."""
        fresh = {instrument.symbol: instrument for instrument in instruments}
        if not fresh:
            return NOTHING
        self.counters.evaluated += 1
        if now_ms // DAY_MS != self._day:
            self._day = now_ms // DAY_MS
            self._keys.clear()
        first, self._compared = not self._known, len(self._known)
        news = _news({} if first else self._known, fresh)
        if first:
            news = _News([each for each in news.listed if _is_young(each, now_ms)], [], [])
        elif news.is_odd(max(len(self._known), len(fresh))):
            self._odd_since_ms = now_ms if self._odd_since_ms is None else self._odd_since_ms
            if 0 <= now_ms - self._odd_since_ms < ODD_MS:
                self.counters.suppressed["mass_change"] += 1
                return NOTHING
            # What an answer left out before is not new.
            news = _News([each for each in news.listed if _is_young(each, now_ms)], news.left, news.changed)
        self._odd_since_ms = None
        self._known = fresh
        signals = [
            *(self._came(each, now_ms) for each in news.listed),
            *(self._left(each, now_ms) for each in news.left),
            *(self._changed(each, now_ms) for each in news.changed),
        ]
        return [signal for signal in signals if self._is_new(signal)]

    def on_tick(self, row: Row, tick: Tick) -> Sequence[Signal]:
        """Nothing: listings are not in ticks."""
        return NOTHING

    def on_step(self, book: MarketBook, now_ms: int) -> Sequence[Signal]:
        """Nothing."""
        return NOTHING

    def resume(self, signals: Iterable[Signal], episodes: Iterable[Episode]) -> None:
        """See `Detector.resume`."""
        for signal in signals:
            if signal.detector == self.name:
                self._day = max(self._day, signal.seen_ms // DAY_MS)
                self._keys.add(signal.key)

    def forget(self, symbol: str, now_ms: int) -> None:
        """Nothing: what left is compared with when it comes back."""

    def why_not(self, row: Row, now_ms: int) -> Sequence[Distance]:
        """Nothing comes closer to being listed."""
        return ()

    def _is_new(self, signal: Signal) -> bool:
        if signal.key in self._keys:
            self.counters.suppressed["cooldown"] += 1
            return False
        self._keys.add(signal.key)
        self.counters.fired[signal.kind] += 1
        return True

    def _came(self, instrument: Instrument, now_ms: int) -> Signal:
        listed_ms = instrument.listed_ms
        back = listed_ms is not None and now_ms - listed_ms > 7 * DAY_MS
        text = "is traded again" if back else "is listed now — NEW CONTRACT"
        return self._signal("LISTED", instrument, now_ms, text, self._terms(instrument))

    def _left(self, instrument: Instrument, now_ms: int) -> Signal:
        return self._signal("DELISTED", instrument, now_ms, "is no longer traded — DELISTED", self._terms(instrument))

    def _changed(self, change: TermChange, now_ms: int) -> Signal:
        measures = (
            Measure("term", change.term.replace("_", " "), "text"),
            Measure("was", change.was, "text", "baseline"),
            Measure("now", change.now, "text"),
        )
        text = f"{change.text} — TERMS CHANGED"
        return self._signal("TERMS_CHANGED", change.instrument, now_ms, text, measures, change.term, change.now)

    def _terms(self, instrument: Instrument) -> tuple[Measure, ...]:
        """What is known of a contract that came or left, and what the set was compared with."""
        listed = () if instrument.listed_ms is None else (Measure("listed", _moment(instrument.listed_ms), "text"),)
        delivery = ()
        if instrument.delivery_ms is not None:
            delivery = (Measure("delivery", _moment(instrument.delivery_ms), "text"),)
        return (
            *listed,
            Measure("tick_size", _number(instrument.tick_size), "text"),
            Measure("contract_size", _number(instrument.contract_size), "text"),
            Measure("funding_interval", float(instrument.funding_interval_hours), "hours"),
            *delivery,
            *self._sample(),
        )

    def _sample(self) -> tuple[Measure, ...]:
        if not self._compared:
            return (Measure("compared", "no list before: it is younger than a day", "text", "sample"),)
        return (Measure("contracts", float(self._compared), "count", "sample"),)

    def _signal(
        self,
        kind: Kind,
        instrument: Instrument,
        now_ms: int,
        text: str,
        measures: tuple[Measure, ...],
        *details: str,
    ) -> Signal:
        day_ms = now_ms // DAY_MS * DAY_MS
        return Signal(
            # By the day: a contract that comes and goes is told once a day each way.
            key=signal_key(self._origin, instrument.symbol, kind, day_ms, *details),
            detector=self.name,
            kind=kind,
            origin=self._origin,
            symbol=instrument.symbol,
            base=instrument.base,
            severity=SEVERITIES_OF[kind],
            direction="none",
            text=f"{instrument.base} {text}",
            period_ms=day_ms,
            span_ms=0,
            event_ms=now_ms,
            seen_ms=now_ms,
            price=None,
            evidence=Evidence(RULE_VERSION, measures),
        )


def former_symbol(signal: Signal) -> str:
    """What the contract of a signal was called until now; empty where its name is what it was."""
    told = {measure.name: measure.value for measure in signal.evidence.measures}
    if signal.kind != "TERMS_CHANGED" or told.get("term") != "name" or not signal.symbol.startswith(signal.base):
        return ""
    return f"{told['was']}{signal.symbol[len(signal.base) :]}"


def _is_young(instrument: Instrument, now_ms: int) -> bool:
    return instrument.listed_ms is not None and 0 <= now_ms - instrument.listed_ms < DAY_MS


def _news(known: dict[str, Instrument], fresh: dict[str, Instrument]) -> _News:
    """What differs; a contract that left while another about the same coin came has a new name."""
    came = [each for symbol, each in fresh.items() if symbol not in known]
    left = [each for symbol, each in known.items() if symbol not in fresh]
    changed = [change for symbol, now in fresh.items() if symbol in known for change in _changes(known[symbol], now)]
    for now in list(came):
        former = next((each for each in left if _same_coin(each, now)), None)
        if former is not None:
            came.remove(now)
            left.remove(former)
            changed.append(TermChange(now, "name", former.base, now.base))
    return _News(came, left, changed)


def _same_coin(former: Instrument, now: Instrument) -> bool:
    return former.base != now.base and multiples.coin(former.base) == multiples.coin(now.base)


def _changes(was: Instrument, now: Instrument) -> list[TermChange]:
    values: tuple[tuple[Term, str, str], ...] = (
        ("funding_interval", f"{was.funding_interval_hours} h", f"{now.funding_interval_hours} h"),
        ("tick_size", _number(was.tick_size), _number(now.tick_size)),
        ("contract_size", _number(was.contract_size), _number(now.contract_size)),
        ("delivery", _moment(was.delivery_ms), _moment(now.delivery_ms)),
    )
    return [TermChange(now, term, before, after) for term, before, after in values if before != after]


def _number(value: float) -> str:
    return f"{value:.12f}".rstrip("0").rstrip(".")


def _moment(at_ms: int | None) -> str:
    return "none" if at_ms is None else iso_minute(at_ms).replace("T", " ").replace("Z", " UTC")
