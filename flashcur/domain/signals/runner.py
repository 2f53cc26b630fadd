"""All detectors over the market of one exchange: ticks, sets of instruments and time go in, signals come out.

The same for live data and for a replay; only clock and source differ. A runner belongs to one book, and so to one
exchange, real or simulated: what another exchange traded never looks like a spike here. Live, the book is fed by others
and the runner is told what it took (`observe`, `observe_instruments`); in a replay the runner feeds it (`take`,
`take_instruments`).

Signals of a contract begin as soon as what they need is known. After a restart `resume` takes the stored signals of the
past days and where each contract stood, and `fill` the past hours; an event that was told before is not told again, and
updates that are due still come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from flashcur.domain.book import MarketBook, stands_in
from flashcur.domain.signals.adaptive_spike import AdaptiveSpike
from flashcur.domain.signals.detector import NOTHING, Detector, Distance
from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.funding_extreme import FundingExtreme, Payment
from flashcur.domain.signals.hourly_volumes import HourlyVolumes
from flashcur.domain.signals.listings import Listings
from flashcur.domain.signals.open_interest_surge import OpenInterestSurge
from flashcur.domain.signals.signal import DETECTOR_NAMES, DetectorName, Origin, Signal
from flashcur.domain.signals.silence import Sight, look
from flashcur.domain.signals.volume_spike import VolumeSpike
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.domain.ticks import Candle, Instrument, Tick

RESUME_MS = 8 * 24 * HOUR_MS
"""Signals of so long are needed to resume: an episode of extreme funding may last for days."""
GONE_MS = 24 * HOUR_MS
"""What is known of a contract that is no longer traded is kept for so long: an answer may have left it out, and what
was told of it must not be told again once it is back."""


class Runner:
    """See the module."""

    def __init__(
        self,
        origin: Origin,
        book: MarketBook | None = None,
        *,
        rule: SpikeRule | None = None,
        only: Iterable[DetectorName] = DETECTOR_NAMES,
        timer: Callable[[], float] | None = None,
        asks_history: bool = False,
    ) -> None:
        """`book` is the live market's; without one the runner keeps its own. `only`: which detectors run.

        With `asks_history` the past is asked for and `history_asked` says how far: before that, an hour that is not
        known may yet be. With a `timer`, in seconds, `seconds` says how long each took for its ticks.
        """
        self.origin = origin
        self.book = MarketBook() if book is None else book
        self._asks_history = asks_history
        self.volumes: dict[str, HourlyVolumes] = {}
        """Volumes of past whole hours, by symbol."""
        self._turned: dict[tuple[DetectorName, str, str], Episode] = {}
        self.spikes = VolumeSpike(origin, self._volume_at, rule)
        self.adaptive = AdaptiveSpike(origin, self.volumes.get)
        self.open_interest = OpenInterestSurge(origin, self._note)
        self.funding = FundingExtreme(origin, self._note)
        self.listings = Listings(origin)
        everyone: tuple[Detector, ...] = (self.spikes, self.adaptive, self.open_interest, self.funding, self.listings)
        chosen = frozenset(only)
        self.detectors = tuple(detector for detector in everyone if detector.name in chosen)
        self.seconds: dict[DetectorName, float] = dict.fromkeys((each.name for each in self.detectors), 0.0)
        self._timer = timer
        self._by_tick: dict[type[Tick], tuple[Detector, ...]] = {}
        for detector in self.detectors:
            for kind in detector.takes:
                self._by_tick[kind] = (*self._by_tick.get(kind, ()), detector)
        self._symbols = {row.instrument.symbol for row in self.book}
        self._excluded = {row.instrument.symbol for row in self.book if not row.instrument.is_crypto}
        self._gone: dict[str, int] = {}
        """Symbol to the moment (Unix ms) of the first set without it; forgotten `GONE_MS` later."""
        self._steps = tuple(detector for detector in self.detectors if detector is self.spikes)

    def take(self, tick: Tick, *, alone: bool = False) -> Sequence[Signal]:
        """Put a tick into the book (see `MarketBook.apply`) and evaluate it, if it is news."""
        return self.observe(tick) if self.book.apply(tick, alone=alone) else NOTHING

    def observe(self, tick: Tick) -> Sequence[Signal]:
        """Evaluate a tick that the book has taken just now."""
        row = self.book.row(tick.symbol)
        if row is None or tick.symbol in self._excluded:
            return NOTHING
        found: list[Signal] | None = None
        timer = self._timer
        began_s = 0.0 if timer is None else timer()
        for detector in self._by_tick.get(type(tick), ()):
            signals = detector.on_tick(row, tick)
            if timer is not None:
                ended_s = timer()
                self.seconds[detector.name] += ended_s - began_s
                began_s = ended_s
            if signals:
                found = [*(found or ()), *signals]
        if type(tick) is Candle:
            if tick.closed:
                self._volumes(tick.symbol).put(tick.open_ms, tick.volume_quote)
            elif (before := row.previous_hour) is not None and not before.closed and stands_in(before, tick):
                self._volumes(tick.symbol).put(before.open_ms, before.volume_quote)
        return NOTHING if found is None else found

    def take_instruments(self, instruments: Iterable[Instrument], now_ms: int) -> Sequence[Signal]:
        """Put a whole set of instruments, as of `now_ms` (Unix ms), into the book and compare it with the last."""
        fresh = list(instruments)
        self.book.set_instruments(fresh)
        return self.observe_instruments(fresh, now_ms)

    def observe_instruments(self, instruments: Iterable[Instrument], now_ms: int) -> Sequence[Signal]:
        """Compare a whole set of instruments, as of `now_ms` (Unix ms), with the last; the book has it already."""
        fresh = list(instruments)
        self._excluded = {instrument.symbol for instrument in fresh if not instrument.is_crypto}
        symbols = {instrument.symbol for instrument in fresh}
        for symbol in (self._symbols | self.volumes.keys()) - symbols:
            self._gone.setdefault(symbol, now_ms)
        for symbol in self._gone.keys() & symbols:
            del self._gone[symbol]
        for symbol in [symbol for symbol, since_ms in self._gone.items() if now_ms - since_ms >= GONE_MS]:
            self._forget(symbol, now_ms)
        self._symbols = symbols
        if self.listings not in self.detectors:
            return NOTHING
        return self.listings.compare([each for each in fresh if each.symbol not in self._excluded], now_ms)

    def step(self, now_ms: int) -> Sequence[Signal]:
        """Time has passed, to `now_ms` (Unix ms); about once a second."""
        found: list[Signal] = []
        for detector in self._steps:
            found += detector.on_step(self.book, now_ms)
        return found

    def fill(self, symbol: str, candles: Iterable[Candle]) -> Sequence[Signal]:
        """Learn past whole hours of a contract, in any order.

        The past fires nothing; but what the book holds of the newest two hours is judged again, since it may be a spike
        over an hour that was not known before.
        """
        volumes = self._volumes(symbol)
        changed = False
        for candle in candles:
            if candle.closed:
                changed |= volumes.put(candle.open_ms, candle.volume_quote)
        return self._judge_again(symbol) if changed else NOTHING

    def fill_volumes(self, symbol: str, hours: Iterable[tuple[int, float]]) -> Sequence[Signal]:
        """`fill` from what was stored: (beginning of a whole hour in Unix ms, quote volume in USDT)."""
        volumes = self._volumes(symbol)
        changed = False
        for open_ms, volume in hours:
            changed |= volumes.put(open_ms, volume)
        return self._judge_again(symbol) if changed else NOTHING

    def history_asked(self, symbol: str, until_ms: int) -> Sequence[Signal]:
        """The exchange has no more of the contract's hours that begin before `until_ms` (Unix ms) than are known."""
        return self._judge_again(symbol) if self._volumes(symbol).asked(until_ms) else NOTHING

    def fill_funding(self, symbol: str, payments: Sequence[Payment], interval_hours: int) -> None:
        """Learn past funding payments of a contract, oldest first; `interval_hours` is that of the first one."""
        self.funding.fill(symbol, payments, interval_hours)

    def fill_prices(self, symbol: str, prices: Sequence[tuple[int, float]]) -> None:
        """Learn past prices of a contract, (Unix ms, USDT) in order of time, those of the past hour."""
        self.open_interest.fill_prices(symbol, prices)

    @property
    def has_turned(self) -> bool:
        """Whether an episode has changed since `take_turned`."""
        return bool(self._turned)

    def take_turned(self) -> list[Episode]:
        """The episodes that have changed since this was asked last, each as it is now: to be stored for `resume`."""
        turned = list(self._turned.values())
        self._turned.clear()
        return turned

    def resume(self, signals: Iterable[Signal], episodes: Iterable[Episode] = ()) -> None:
        """Go on after a restart, before the first tick.

        Takes the stored signals of this origin of the past `RESUME_MS`, and its stored episodes.
        """
        mine = [signal for signal in signals if signal.origin == self.origin]
        # Those that are no longer traded are found to be gone by the first set.
        stood = [episode for episode in episodes if episode.origin == self.origin]
        self._symbols |= {each.symbol for each in (*mine, *stood)}
        for detector in self.detectors:
            detector.resume(mine, stood)

    def is_ready(self, symbol: str, now_ms: int) -> bool:
        """Whether the contract has all that its detectors compare with, at `now_ms` (Unix ms)."""
        return self.adaptive.is_ready(symbol, now_ms)

    def sights(self, now_ms: int) -> list[Sight]:
        """What the detectors see of each contract at `now_ms` (Unix ms), for the ledger of silence."""
        return [
            look(self.book, row, now_ms, self.adaptive.is_ready(row.instrument.symbol, now_ms))
            for row in self.book
            if row.instrument.symbol not in self._excluded
        ]

    def why_not(self, symbol: str, now_ms: int) -> list[Distance]:
        """How far the contract is from each signal at `now_ms` (Unix ms); empty for one that is not watched."""
        row = self.book.row(symbol)
        if row is None or symbol in self._excluded:
            return []
        return [distance for detector in self.detectors for distance in detector.why_not(row, now_ms)]

    def _note(self, episode: Episode) -> None:
        self._turned[episode.key] = episode

    def _forget(self, symbol: str, now_ms: int) -> None:
        del self._gone[symbol]
        self.volumes.pop(symbol, None)
        for detector in self.detectors:
            detector.forget(symbol, now_ms)

    def _judge_again(self, symbol: str) -> Sequence[Signal]:
        """The newest two hours of a contract, by earlier hours that have become known."""
        row = self.book.row(symbol)
        if row is None or symbol in self._excluded:
            return NOTHING
        found: list[Signal] = []
        if self.spikes in self.detectors:
            found += self.spikes.refill(row)
        if self.adaptive in self.detectors:
            for candle in (row.previous_hour, row.candle):
                if candle is not None:
                    found += self.adaptive.on_tick(row, candle)
        return found

    def _volumes(self, symbol: str) -> HourlyVolumes:
        volumes = self.volumes.get(symbol)
        if volumes is None:
            volumes = self.volumes[symbol] = HourlyVolumes(is_asked_for=self._asks_history)
        return volumes

    def _volume_at(self, symbol: str, open_ms: int) -> float | None:
        volumes = self.volumes.get(symbol)
        return None if volumes is None else volumes.at(open_ms)
