"""How far each contract is from each signal, and what rules on it would be judged by, as the engine said last.

For those who ask why there is no signal, and for the form of a rule.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from flashcur.domain.plans import PLANS, Plan, shown_from_ms
from flashcur.domain.rules.atoms import SOURCES
from flashcur.domain.rules.measured import UNMEASURED, Measured
from flashcur.domain.signals.detector import Distance
from flashcur.domain.signals.evidence import UNITS
from flashcur.domain.signals.signal import DETECTOR_NAMES

logger = logging.getLogger(__name__)

_CADENCES = sorted({plan.cadence_s for plan in PLANS.values() if not plan.live})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All contracts of one exchange at one moment."""

    as_of_ms: int
    """Unix ms."""
    exchange: str
    """ccxt id."""
    demo: bool
    contracts: dict[str, list[Any]]
    """By symbol, the fields of its distances; see `of`."""
    measures: dict[str, list[Any]]
    """By symbol, the fields of what is measured; see `measured`."""

    def is_of(self, exchange: str, *, demo: bool) -> bool:
        """Whether it is of an exchange (ccxt id), and of this kind of data."""
        return (self.exchange, self.demo) == (exchange, demo)

    def of(self, symbol: str) -> list[Distance]:
        """How far a contract is from each signal; empty for one that is not watched, or told by another version."""
        try:
            return [_distance(fields) for fields in self.contracts.get(symbol, ())]
        except (TypeError, ValueError):
            return []

    def measured(self, symbol: str) -> Measured:
        """What rules on a contract would be judged by; nothing where that is not told, or by another version."""
        try:
            return _measured(*self.measures[symbol])
        except (KeyError, TypeError, ValueError):
            return UNMEASURED


class Distances:
    """The newest snapshot, and those that plans which are not live are shown: at a mark, what was told last before it.

    So nobody is shown what is newer than the signals that they see; a process that has just begun, or an exchange that
    has just begun to serve, has nothing for them until the next mark.
    """

    def __init__(self) -> None:
        self._live: Snapshot | None = None
        self._before: dict[int, Snapshot] = {}
        """By cadence in seconds: the last one of before the newest one's mark."""

    def receive(self, topic: str, payload: bytes) -> None:
        """Take one message of the bus. Never raises: one that cannot be read is logged and dropped."""
        try:
            snapshot = _decode(payload)
        except (ValueError, TypeError, KeyError) as error:
            logger.error("dropped a message on %s: %s", topic, error)
            return
        last, self._live = self._live, snapshot
        if last is None:
            return
        for cadence_s in _CADENCES:
            if shown_from_ms(cadence_s, last.as_of_ms) < shown_from_ms(cadence_s, snapshot.as_of_ms):
                self._before[cadence_s] = last

    def shown(self, plan: Plan, now_ms: int) -> Snapshot | None:
        """What a plan is shown at `now_ms` (Unix ms): the newest that it may see. None while there is none."""
        for each in (self._live, self._before.get(plan.cadence_s)):
            if each is not None and (plan.live or shown_from_ms(plan.cadence_s, each.as_of_ms) <= now_ms):
                return each
        return None

    def due_ms(self, plan: Plan) -> int:
        """When a plan is shown the newest, or one that replaces it by then, Unix ms; 0 before the first."""
        return 0 if self._live is None else shown_from_ms(plan.cadence_s, self._live.as_of_ms)

    @property
    def as_of_ms(self) -> int:
        """Time of the newest snapshot, Unix ms; 0 before the first."""
        return 0 if self._live is None else self._live.as_of_ms

    @property
    def exchange(self) -> str:
        """ccxt id of the exchange it is of; empty before the first."""
        return "" if self._live is None else self._live.exchange

    @property
    def demo(self) -> bool:
        """Whether that is the simulated one."""
        return self._live is not None and self._live.demo

    def of(self, symbol: str) -> list[Distance]:
        """How far a contract is from each signal now; empty where that is not known."""
        return [] if self._live is None else self._live.of(symbol)


def _decode(payload: bytes) -> Snapshot:
    raw = cast("dict[str, Any]", orjson.loads(payload))
    contracts: Any = raw["contracts"]
    if not isinstance(contracts, dict):
        raise ValueError(f"expected contracts by symbol, was {type(contracts).__name__}")
    by_symbol = cast("dict[str, list[Any]]", contracts)
    # Before the rules are there, and of another version, there is nothing.
    measures = cast("dict[str, list[Any]]", raw.get("measured") or {})
    return Snapshot(int(raw["as_of_ms"]), str(raw["exchange"]), bool(raw["demo"]), by_symbol, measures)


def _distance(fields: Any) -> Distance:
    detector, what, value, needed, unit, share, missing = fields
    if detector not in DETECTOR_NAMES or unit not in UNITS:
        raise ValueError(f"expected a known detector and unit, was {detector!r}, {unit!r}")
    known = None if value is None else float(value)
    return Distance(detector, str(what), known, float(needed), unit, float(share), str(missing))


def _measured(values: list[float | None], known_s: Sequence[tuple[int, int]] = ()) -> Measured:
    if len(values) != SOURCES:
        raise ValueError(f"expected {SOURCES} values, was {len(values)}")
    return Measured(values, {source: 1000 * by_s for source, by_s in known_s})
