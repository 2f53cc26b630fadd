"""Says every ten seconds how far each contract is from each signal, and how far its price has moved.

The first answers "why not" on the page; the second is what the form of a rule shows of its condition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import perf_counter

import orjson

from flashcur.domain.rules.current import TOLD_WINDOWS_S
from flashcur.domain.signals.detector import Distance
from flashcur.domain.signals.runner import Runner
from flashcur.engine.detection import Watcher
from flashcur.engine.publisher import Publisher
from flashcur.services.bus.topics import DISTANCES_TOPIC

EVERY_S = 10.0
HOLD_S = 0.004
"""How long the event loop is held at a time: 500 contracts take 0.15 s, and messages must not wait for that."""
PAUSE_S = 0.02

Told = dict[str, list[tuple[object, ...]]]
"""By symbol, each distance's detector, what, value, needed, unit, share and missing."""
Moved = dict[str, list[float | None]]
"""By symbol, what `domain.rules.current.Moves` has."""


class WhyNot:
    """See the module; `run` is its supervised task."""

    def __init__(self, detection: Watcher, bus: Publisher, *, clock: Callable[[], int]) -> None:
        """`clock` is Unix ms."""
        self._detection = detection
        self._bus = bus
        self._clock = clock
        self._seq = 0

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            begun_s = perf_counter()
            await self.tell()
            await asyncio.sleep(max(0.0, EVERY_S - (perf_counter() - begun_s)))

    async def tell(self) -> bool:
        """Publish how far each contract is from each signal; False if nothing is watched, or no longer."""
        runner = self._detection.runner
        if runner is None:
            return False
        contracts: Told = {}
        moves: Moved = {}
        work = self._look(runner, contracts, moves)
        while _for_a_while(work):
            await asyncio.sleep(PAUSE_S)
            if runner is not self._detection.runner:
                return False
        # Nothing in it is newer than it says: by that it is decided who may see it.
        as_of_ms = self._clock()
        payload = orjson.dumps(
            {
                "as_of_ms": as_of_ms,
                "exchange": runner.origin.exchange,
                "demo": runner.origin.demo,
                "contracts": contracts,
                "moves": moves,
            }
        )
        # Numbered by time, like frames: nobody takes an older one for a newer one.
        self._seq = max(self._seq + 1, as_of_ms)
        return await self._bus.publish(DISTANCES_TOPIC, self._seq, payload, payload)

    def _look(self, runner: Runner, contracts: Told, moves: Moved) -> Iterator[None]:
        for symbol in [row.instrument.symbol for row in runner.book]:
            found = runner.why_not(symbol, self._clock())
            if found:
                contracts[symbol] = [_packed(each) for each in found]
            row = runner.book.row(symbol)
            if row is not None and row.ticker is not None:
                price, at_ms = row.ticker.price, row.ticker.event_ms
                moved = [runner.open_interest.move(symbol, price, at_ms, window_s) for window_s in TOLD_WINDOWS_S]
                moves[symbol] = [None if each is None else round(each, 4) for each in moved]
            yield


def _for_a_while(work: Iterator[None]) -> bool:
    """Go on with `work` for `HOLD_S`; False once it is done."""
    end_s = perf_counter() + HOLD_S
    return any(perf_counter() >= end_s for _ in work)


def _packed(each: Distance) -> tuple[object, ...]:
    return each.detector, each.what, each.value, each.needed, each.unit, each.share, each.missing
