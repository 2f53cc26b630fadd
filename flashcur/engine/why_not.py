"""Says every ten seconds how far each contract is from each signal, and what rules on it would be judged by.

The first answers "why not" on the page; the second is what the form of a rule shows of its conditions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Protocol

import orjson

from flashcur.domain.book import MarketBook
from flashcur.domain.rules.measured import Measured
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
Values = dict[str, tuple[object, ...]]
"""By symbol, the values of `Measured` and, where one waits for its window, [source, by when] of each, Unix seconds."""


class Judge(Protocol):
    """Says what rules are judged by."""

    def measured(self, book: MarketBook, symbol: str, now_ms: int) -> Measured:
        """What is measured at a contract at `now_ms` (Unix ms)."""
        ...


class WhyNot:
    """See the module; `run` is its supervised task."""

    def __init__(self, detection: Watcher, rules: Judge, bus: Publisher, *, clock: Callable[[], int]) -> None:
        """`clock` is Unix ms."""
        self._detection = detection
        self._rules = rules
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
        measured: Values = {}
        work = self._look(runner, contracts, measured)
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
                "measured": measured,
            }
        )
        # Numbered by time, like frames: nobody takes an older one for a newer one.
        self._seq = max(self._seq + 1, as_of_ms)
        return await self._bus.publish(DISTANCES_TOPIC, self._seq, payload, payload)

    def _look(self, runner: Runner, contracts: Told, measured: Values) -> Iterator[None]:
        for symbol in [row.instrument.symbol for row in runner.book]:
            now_ms = self._clock()
            found = runner.why_not(symbol, now_ms)
            if found:
                contracts[symbol] = [_packed(each) for each in found]
            seen = self._rules.measured(runner.book, symbol, now_ms)
            if seen.values:
                measured[symbol] = _measures(seen)
            yield


def _for_a_while(work: Iterator[None]) -> bool:
    """Go on with `work` for `HOLD_S`; False once it is done."""
    end_s = perf_counter() + HOLD_S
    return any(perf_counter() >= end_s for _ in work)


def _packed(each: Distance) -> tuple[object, ...]:
    return each.detector, each.what, each.value, each.needed, each.unit, each.share, each.missing


def _measures(each: Measured) -> tuple[object, ...]:
    values = [None if value is None else _short(value) for value in each.values]
    known_s = [(source, -(-known_ms // 1000)) for source, known_ms in each.known_ms.items()]
    return (values, known_s) if known_s else (values,)


def _short(value: float) -> float:
    """To six digits: nobody is shown more of it."""
    return float(f"{value:.6g}")
