"""Order and duplicates: the newest message wins, by the exchange's own time."""

from __future__ import annotations

from dataclasses import replace

from flashcur.domain.ticks import Candle, Tick

_CANDLES_KEPT = 3


class Sequencer:
    """Decides whether a tick is news. One instance a feed.

    Values of one kind and symbol must not go back in time. Candles are ordered within their own hour, because the last
    value of an hour may arrive after the first one of the next.
    """

    def __init__(self) -> None:
        self._latest: dict[tuple[type[Tick], str], Tick] = {}
        self._candles: dict[str, dict[int, Candle]] = {}

    def refuse(self, tick: Tick) -> str | None:
        """None when the tick is news (and is remembered), otherwise `stale` or `duplicate`."""
        if type(tick) is Candle:
            return self._refuse_candle(tick)
        key = (type(tick), tick.symbol)
        known = self._latest.get(key)
        if known is not None and tick.event_ms <= known.event_ms:
            if tick.event_ms < known.event_ms:
                return "stale"
            if replace(tick, seen_ms=known.seen_ms) == known:
                return "duplicate"
        self._latest[key] = tick
        return None

    def _refuse_candle(self, candle: Candle) -> str | None:
        hours = self._candles.setdefault(candle.symbol, {})
        known = hours.get(candle.open_ms)
        if known is not None:
            if candle.event_ms < known.event_ms or (known.closed and not candle.closed):
                return "stale"
            if candle.event_ms == known.event_ms and replace(candle, seen_ms=known.seen_ms) == known:
                return "duplicate"
        elif len(hours) >= _CANDLES_KEPT:
            oldest = min(hours)
            if candle.open_ms < oldest:
                return "stale"
            del hours[oldest]
        hours[candle.open_ms] = candle
        return None

    def keep_only(self, symbols: set[str]) -> None:
        """Forget contracts that are gone."""
        self._latest = {key: tick for key, tick in self._latest.items() if key[1] in symbols}
        self._candles = {symbol: hours for symbol, hours in self._candles.items() if symbol in symbols}
