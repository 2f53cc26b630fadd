"""The market book: the newest value and age of each field of each contract.

Nothing leaves the book per tick: `frames.take` reads it once a second. The book has no clock; every time comes from
a tick or from the caller. A value is only ever replaced by a newer one (by the exchange's own time), so messages that
arrive twice or out of order change nothing, and it is never blanked: what stops arriving grows old.

Ages. An exchange that streams only what changed confirms the rest by staying alive: a contract that is absent from a
ticker message has not traded. So the age of a value is the time since its own last message or, unless the last
message about it was refused, since the last message of its stream (`alive`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter

from flashcur.domain.ages import LIQUID
from flashcur.domain.spikes import HOUR_MS, volume_ratio
from flashcur.domain.ticks import (
    TICK_KINDS,
    Candle,
    Funding,
    Instrument,
    OpenInterest,
    Reject,
    Tick,
    Ticker,
    TickKind,
    told_ms,
)

OI_STEP_MS = 60_000
"""Open interest history keeps at most one value a minute: enough for the 1 h change."""
_OI_STEPS = 66
OI_HOLE_MS = 12 * 60_000
"""Between two values further apart than this lie moments that have none within the 1 h change's tolerance."""

CLOSE_GRACE_MS = 2_000
"""How long after the hour its closing candle may take to arrive."""
_NEARLY_WHOLE_MS = 5_000
"""An open candle whose last message is this close to the end of its hour stands in for its close until that arrives."""


_event_ms = attrgetter("event_ms")


@dataclass(slots=True)
class Row:
    """Everything known of one contract; None is not known yet. Units are those of `domain.ticks`."""

    instrument: Instrument
    ticker: Ticker | None = None
    funding: Funding | None = None
    candle: Candle | None = None
    """The newest hour seen, in progress or closed."""
    previous_hour: Candle | None = None
    """The candle exactly one hour before `candle`, if it was seen."""
    open_interest: OpenInterest | None = None
    open_interest_history: deque[OpenInterest] = field(default_factory=lambda: deque(maxlen=_OI_STEPS))
    """Oldest first, one value a minute at most."""
    refused: set[str] = field(default_factory=set[str])
    """Streams whose last message about this contract was refused: its age is its own, not the stream's."""
    candle_streamed: bool = False
    """Whether the hourly candle comes by socket; else it is polled and may be minutes old."""
    liquid: bool = False
    """24 h volume is above `ages.LIQUID`."""
    changes: dict[int, float | None] = field(default_factory=dict[int, "float | None"])
    """Change of the open interest in percent by window in ms, kept until the next value: frames ask each second,
    values come each minute."""

    @property
    def price(self) -> float | None:
        """Last price in USDT; None before the first ticker."""
        return None if self.ticker is None else self.ticker.price

    def hour_volumes(self) -> tuple[float | None, float | None]:
        """(volume of the hour before, volume of the hour in progress), in USDT; None where one is not known.

        Once an hour has closed and nothing has traded since, the hour in progress is an empty one. If the close of
        the hour before was missed, its volume is not known: part of an hour must not pass for the whole.
        """
        if self.candle is None:
            return None, None
        if self.candle.closed:
            return self.candle.volume_quote, 0.0
        before = self.previous_hour
        return None if before is None or not covers_hour(before) else before.volume_quote, self.candle.volume_quote

    @property
    def ratio(self) -> float | None:
        """Quote volume of the hour in progress as a multiple of the hour before's; None where it cannot be told."""
        return volume_ratio(*self.hour_volumes())

    @property
    def open_interest_usd(self) -> float | None:
        """Contracts × contract size × last price, in USDT; None while the contracts or the price are unknown."""
        if self.open_interest is None or self.ticker is None:
            return None
        return self.open_interest.contracts * self.instrument.contract_size * self.ticker.price

    def open_interest_change_pct(self, window_ms: int) -> float | None:
        """Change of the contracts over the window in percent, signed.

        None unless there is a value as old as the window (± 10 % of it) and greater than 0.
        """
        if window_ms not in self.changes:
            self.changes[window_ms] = self._open_interest_change(window_ms)
        return self.changes[window_ms]

    def _open_interest_change(self, window_ms: int) -> float | None:
        now = self.open_interest
        if now is None:
            return None
        base = self.open_interest_at(now.event_ms - window_ms, window_ms // 10)
        if base is None or base.contracts <= 0:
            return None
        return (now.contracts / base.contracts - 1) * 100

    def open_interest_at(self, at_ms: int, tolerance_ms: int) -> OpenInterest | None:
        """The value nearest to a moment; None if none is near enough."""
        history = self.open_interest_history
        after = bisect_left(history, at_ms, key=_event_ms)
        near = [history[i] for i in (after - 1, after) if 0 <= i < len(history)]
        base = min(near, key=lambda past: abs(past.event_ms - at_ms), default=None)
        return None if base is None or abs(base.event_ms - at_ms) > tolerance_ms else base


def covers_hour(candle: Candle) -> bool:
    """Whether the candle holds its whole hour, but for a few seconds at most."""
    return candle.closed or candle.event_ms >= candle.open_ms + HOUR_MS - _NEARLY_WHOLE_MS


def stands_in(before: Candle, candle: Candle) -> bool:
    """Whether the candle of the hour before may be taken for its whole hour while `candle` is the newest.

    It may if it is closed; or if it covers its hour and the close has had its time to arrive, which may yet say more.
    """
    return before.closed or (covers_hour(before) and candle.event_ms >= candle.open_ms + CLOSE_GRACE_MS)


def is_overdue(candle: Candle, now_ms: int) -> bool:
    """Whether the candle no longer tells of the present: its hour, or the one after its close, is over."""
    hours = 2 if candle.closed else 1
    return now_ms >= candle.open_ms + hours * HOUR_MS + CLOSE_GRACE_MS


class MarketBook:
    """The newest values of every contract of one exchange."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._alive_ms: dict[TickKind, int] = dict.fromkeys(TICK_KINDS, 0)
        self.priced_ms = 0
        """When the newest price of any contract was told, by our clock, Unix ms; 0 before the first."""

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def row(self, symbol: str) -> Row | None:
        """What is known of a contract; None if it is not in the universe."""
        return self._rows.get(symbol)

    def set_instruments(self, instruments: Iterable[Instrument]) -> tuple[list[str], list[str]]:
        """Take the whole universe as it is now. Returns (symbols that joined, symbols that left).

        Contracts that stay keep their values; those that left lose them.
        """
        fresh = {instrument.symbol: instrument for instrument in instruments}
        joined = [symbol for symbol in fresh if symbol not in self._rows]
        left = [symbol for symbol in self._rows if symbol not in fresh]
        for symbol in left:
            del self._rows[symbol]
        for symbol, instrument in fresh.items():
            if symbol in self._rows:
                self._rows[symbol].instrument = instrument
            else:
                self._rows[symbol] = Row(instrument)
        return joined, left

    def set_streamed_candles(self, symbols: Iterable[str]) -> None:
        """Say which contracts have their hourly candle streamed; the others are polled and may be older."""
        streamed = set(symbols)
        for symbol, row in self._rows.items():
            row.candle_streamed = symbol in streamed

    def alive(self, stream: TickKind, seen_ms: int) -> None:
        """The stream delivered something at `seen_ms` (Unix ms), so what it did not mention has not changed."""
        if seen_ms > self._alive_ms[stream]:
            self._alive_ms[stream] = seen_ms

    def silence_ms(self, stream: TickKind, now_ms: int) -> int | None:
        """Milliseconds since the stream last delivered anything, at least 0; None if it never has."""
        alive_ms = self._alive_ms[stream]
        return max(0, now_ms - alive_ms) if alive_ms else None

    def apply(self, tick: Tick, *, alone: bool = False) -> bool:
        """Take one tick; False if its contract is unknown or the tick is older than what is known.

        A tick that was asked for `alone`, by REST, says nothing about other contracts: it confirms only itself.
        """
        row = self._rows.get(tick.symbol)
        if row is None:
            return False
        match tick:
            case Ticker():
                taken = row.ticker is None or tick.event_ms >= row.ticker.event_ms
                if taken:
                    row.ticker = tick
                    row.liquid = LIQUID.holds(tick.volume_quote, row.liquid)
                    self.priced_ms = max(self.priced_ms, told_ms(tick))
                stream: TickKind = "ticker"
            case Funding():
                taken = row.funding is None or tick.event_ms >= row.funding.event_ms
                if taken:
                    row.funding = tick
                stream = "funding"
            case Candle():
                taken = _apply_candle(row, tick)
                stream = "candle"
            case OpenInterest():
                taken = _apply_open_interest(row, tick)
                stream = "open_interest"
        if taken:
            if row.refused:
                row.refused.discard(stream)
            if not alone:
                self.alive(stream, tick.seen_ms)
        return taken

    def refuse(self, reject: Reject) -> None:
        """A message about this contract was refused: its value no longer counts as confirmed by the stream.

        Does nothing if the refused message names no contract that is known.
        """
        row = self._rows.get(reject.symbol or "")
        if row is not None:
            row.refused.add(reject.stream)

    def age_ms(self, row: Row, stream: TickKind, now_ms: int) -> int | None:
        """Milliseconds since the value was last known to be true, at least 0; None if there is no value."""
        value: Tick | None = getattr(row, stream)
        if value is None:
            return None
        seen = value.seen_ms
        if stream == "candle" and row.candle is not None and is_overdue(row.candle, now_ms):
            # An hour whose close never arrived is not confirmed by messages about later hours.
            return max(0, now_ms - seen)
        streamed = stream in ("ticker", "funding") or (stream == "candle" and row.candle_streamed)
        if streamed and stream not in row.refused:
            seen = max(seen, self._alive_ms[stream])
        return max(0, now_ms - seen)


def _apply_candle(row: Row, candle: Candle) -> bool:
    known = row.candle
    if known is None or candle.open_ms > known.open_ms:
        row.previous_hour = known if known is not None and known.open_ms == candle.open_ms - HOUR_MS else None
        row.candle = candle
        return True
    if candle.open_ms == known.open_ms:
        # The closed candle is the last word on its hour, whatever arrives after it.
        if candle.event_ms < known.event_ms or (known.closed and not candle.closed):
            return False
        row.candle = candle
        return True
    if candle.open_ms == known.open_ms - HOUR_MS:
        before = row.previous_hour
        if before is None or (candle.event_ms >= before.event_ms and (candle.closed or not before.closed)):
            row.previous_hour = candle
            return True
    return False


def _apply_open_interest(row: Row, tick: OpenInterest) -> bool:
    known = row.open_interest
    if known is not None and tick.event_ms < known.event_ms:
        return remember_open_interest(row, tick)
    row.open_interest = tick
    row.changes.clear()
    remember_open_interest(row, tick)
    return True


def remember_open_interest(row: Row, tick: OpenInterest) -> bool:
    """Keep one value a minute, ordered by time; older values may arrive later (history read from the exchange).

    False, and nothing is kept, if there is a value within a minute of it or it is older than all that can be kept.
    """
    history = row.open_interest_history
    at = bisect_left(history, tick.event_ms, key=_event_ms)
    if at > 0 and tick.event_ms < history[at - 1].event_ms + OI_STEP_MS:
        return False
    if at < len(history) and history[at].event_ms < tick.event_ms + OI_STEP_MS:
        return False
    if len(history) == _OI_STEPS:
        if at == 0:
            return False
        history.popleft()
        at -= 1
    history.insert(at, tick)
    row.changes.clear()
    return True


def has_open_interest_hole(row: Row) -> bool:
    """Whether the last hour's open interest has a gap so wide that the change over 1 h would be blank for a while."""
    history = row.open_interest_history
    if not history:
        return False
    since_ms = history[-1].event_ms - HOUR_MS
    return any(
        after.event_ms - before.event_ms > OI_HOLE_MS
        for before, after in pairwise(history)
        if after.event_ms > since_ms
    )
