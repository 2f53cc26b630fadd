"""How long the detectors of each contract saw, and how long they were blind and why: it all adds up to the day.

A contract is blind from the last moment at which its values were known to be true, not from when that was noticed:
until a value is too old, the time since it was confirmed is undecided, and counts as seen. So a feed that is cut for
90 s leaves 90 s, whatever the allowance.

A value that is asked for now and then stands for the time up to when it is due again, and for as long before it: a
minute without a new one is how it always is, and no blindness. So a cut begins and ends for it when it does for what is
streamed, whenever it was asked for last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from flashcur.domain.ages import allowance
from flashcur.domain.book import MarketBook, Row
from flashcur.domain.signals.freshness import came_stale_ms
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import TickKind

Cause = Literal["stale", "switch", "no_baseline", "engine_away"]
"""Why detectors are blind: values too old, another exchange serves, too little history, no engine runs."""
Before = Literal["not_begun"]
"""The exchange had never been watched: its detectors were neither seeing nor blind."""
CAUSES: tuple[Cause, ...] = get_args(Cause)

DAY_MS = 24 * HOUR_MS
ASLEEP_MS = 10_000
"""Between two steps further apart than that no engine ran."""

_LOOKED_AT: dict[TickKind, tuple[tuple[int, int], tuple[int, int]]] = {
    kind: (
        (allowance(kind).limit_ms(False), allowance(kind).limit_ms(True)),
        (allowance(kind).cadence_ms(False), allowance(kind).cadence_ms(True)),
    )
    for kind in ("ticker", "funding", "candle", "open_interest")
}
"""Of each kind: (limit, limit above the threshold), (cadence, cadence above the threshold), in ms."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the detectors see of one contract now."""

    symbol: str
    confirmed_ms: int
    """Until when all they look at was known to be true, Unix ms; 0 if something never was."""
    stale: bool
    """Whether any of it is older than its allowance."""
    ready: bool = True
    """Whether the contract has a baseline."""
    open_ms: int = 0
    """If stale: for how long back from now the values that are missing may yet come, in ms."""


@dataclass(slots=True)
class Day:
    """One contract on one day (UTC); all in ms."""

    symbol: str
    day_ms: int
    """Its beginning, Unix ms."""
    seen: int = 0
    stale: int = 0
    switch: int = 0
    no_baseline: int = 0
    engine_away: int = 0
    not_begun: int = 0
    """Before the exchange was watched for the first time: neither seen nor blind."""

    @property
    def blind(self) -> int:
        """All causes together, in ms, but for what was before the first watch."""
        return self.stale + self.switch + self.no_baseline + self.engine_away


@dataclass(frozen=True, slots=True)
class InputAge:
    """How old one kind of value of a contract is."""

    overdue_ms: int
    """Since it was last known to be true, less the time for which a value that is asked for now and then stands."""
    stale: bool
    """Whether it is older than its allowance."""
    cadence_ms: int
    """How often it is asked for; 0 where it is streamed."""


def input_age(book: MarketBook, row: Row, kind: TickKind, now_ms: int) -> InputAge | None:
    """How old a contract's value is at `now_ms` (Unix ms); None if there never was one."""
    age = _age_ms(book, row, kind, now_ms)
    if age is None:
        return None
    limits, cadences = _LOOKED_AT[kind]
    close = row.liquid if kind == "open_interest" else row.candle_streamed
    return InputAge(max(0, age - cadences[close]), age > limits[close], cadences[close])


def look(book: MarketBook, row: Row, now_ms: int, ready: bool) -> Sight:
    """What the detectors see of a contract at `now_ms`: price, funding, candle, and open interest of a liquid one."""
    oldest, oldest_stale, missing_ms = 0, 0, None
    for kind in _LOOKED_AT:
        if kind == "open_interest" and not row.liquid:
            continue
        age = input_age(book, row, kind, now_ms)
        if age is None:
            return Sight(row.instrument.symbol, 0, True, ready)
        oldest = max(oldest, age.overdue_ms)
        if age.stale:
            oldest_stale = max(oldest_stale, age.overdue_ms)
            missing_ms = age.cadence_ms if missing_ms is None else min(missing_ms, age.cadence_ms)
    if missing_ms is None:
        return Sight(row.instrument.symbol, now_ms - oldest, False, ready)
    return Sight(row.instrument.symbol, now_ms - oldest_stale, True, ready, missing_ms)


def _age_ms(book: MarketBook, row: Row, kind: TickKind, now_ms: int) -> int | None:
    """How long ago the value was last known to be true, to the detectors: what came too late is as old as it says."""
    age = book.age_ms(row, kind, now_ms)
    told_ms = book.priced_ms if kind == "ticker" else came_stale_ms(row, kind)
    return age if age is None or told_ms is None else max(age, now_ms - told_ms)


class SilenceLedger:
    """The account of the contracts of one exchange, fed by steps of about a second."""

    def __init__(self) -> None:
        self._days: dict[tuple[str, int], Day] = {}
        self._until: dict[str, int] = {}
        """Up to when each contract's time is decided, Unix ms."""
        self._unready: set[str] = set()
        """Those without a baseline: their undecided time is blind for that."""
        self._stepped_ms = 0

    @property
    def watched(self) -> Collection[str]:
        """The contracts whose time is being accounted for."""
        return self._until.keys()

    @property
    def until_ms(self) -> int:
        """Up to when `days` accounts for them, Unix ms; 0 before the first step."""
        return self._stepped_ms

    def begin(self, symbols: Iterable[str], now_ms: int, cause: Cause | Before | None = None) -> None:
        """Watch contracts from `now_ms` on (Unix ms); those that are watched already stay as they are.

        With a cause the day's time before `now_ms` is told as that; without one the contract did not exist.
        """
        for symbol in symbols:
            if symbol not in self._until:
                self._until[symbol] = now_ms // DAY_MS * DAY_MS if cause else now_ms
                if cause:
                    self._decide(symbol, cause, now_ms)
        self._stepped_ms = max(self._stepped_ms, now_ms)

    def restore(self, days: Iterable[Day], until_ms: int, now_ms: int, cause: Cause = "engine_away") -> None:
        """Go on from stored days, which held the time up to `until_ms`; from then to `now_ms` was blind for `cause`."""
        for day in days:
            self._days[day.symbol, day.day_ms] = day
            self._until[day.symbol] = until_ms
        for symbol in self._until:
            self._decide(symbol, cause, now_ms)
        self._stepped_ms = max(self._stepped_ms, now_ms)

    def leave(self, symbols: Iterable[str], now_ms: int) -> None:
        """Contracts that are gone: their account ends at `now_ms`, and is kept."""
        for symbol in symbols:
            if symbol in self._until:
                self._decide_open(symbol, now_ms)
                del self._until[symbol]
                self._unready.discard(symbol)

    def blind(self, now_ms: int, cause: Cause) -> None:
        """All contracts were blind up to `now_ms` since their time was last decided: while another exchange served."""
        for symbol in self._until:
            self._decide(symbol, cause, now_ms)
        self._stepped_ms = max(self._stepped_ms, now_ms)

    def step(self, now_ms: int, sights: Iterable[Sight]) -> None:
        """Time has passed to `now_ms` (Unix ms). Where the clock went back, none has until it is there again."""
        if self._stepped_ms and now_ms - self._stepped_ms > ASLEEP_MS:
            woke_ms = now_ms
            for symbol in self._until:
                self._decide_open(symbol, self._stepped_ms)
                self._decide(symbol, "engine_away", woke_ms)
        self._stepped_ms = max(self._stepped_ms, now_ms)
        for sight in sights:
            if sight.symbol not in self._until:
                continue
            if sight.ready:
                self._unready.discard(sight.symbol)
            else:
                self._unready.add(sight.symbol)
            self._decide_open(sight.symbol, min(sight.confirmed_ms, now_ms))
            if sight.stale:
                self._decide(sight.symbol, "stale", now_ms - sight.open_ms)

    def days(self) -> list[Day]:
        """All accounts as they are decided, and what is undecided up to the last step as it was before; copies."""
        copy = SilenceLedger()
        copy._days = {key: _copy(day) for key, day in self._days.items()}
        copy._until, copy._unready = dict(self._until), self._unready
        for symbol in copy._until:
            copy._decide_open(symbol, self._stepped_ms)
        return sorted(copy._days.values(), key=lambda day: (day.day_ms, day.symbol))

    def prune(self, before_ms: int) -> None:
        """Forget the days that began before `before_ms`, Unix ms."""
        self._days = {key: day for key, day in self._days.items() if day.day_ms >= before_ms}

    def _decide_open(self, symbol: str, to_ms: int) -> None:
        """Account the contract's time up to `to_ms` as seen, if it has a baseline to compare with."""
        self._decide(symbol, "no_baseline" if symbol in self._unready else None, to_ms)

    def _decide(self, symbol: str, cause: Cause | Before | None, to_ms: int) -> None:
        """Account the contract's time up to `to_ms` as blind for a cause, or as seen; split by day."""
        from_ms = self._until[symbol]
        if to_ms <= from_ms:
            return
        self._until[symbol] = to_ms
        while from_ms < to_ms:
            day_ms = from_ms // DAY_MS * DAY_MS
            end_ms = min(to_ms, day_ms + DAY_MS)
            day = self._days.get((symbol, day_ms))
            if day is None:
                day = self._days[symbol, day_ms] = Day(symbol, day_ms)
            spent = end_ms - from_ms
            match cause:
                case None:
                    day.seen += spent
                case "stale":
                    day.stale += spent
                case "switch":
                    day.switch += spent
                case "no_baseline":
                    day.no_baseline += spent
                case "engine_away":
                    day.engine_away += spent
                case "not_begun":
                    day.not_begun += spent
            from_ms = end_ms


def _copy(day: Day) -> Day:
    return Day(day.symbol, day.day_ms, day.seen, day.stale, day.switch, day.no_baseline, day.engine_away, day.not_begun)
