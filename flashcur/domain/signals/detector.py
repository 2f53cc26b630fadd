"""What every detector is: takes what the market did, gives signals, and says why it gives none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from flashcur.domain.book import MarketBook, Row
from flashcur.domain.signals.episode import Episode
from flashcur.domain.signals.evidence import Unit, limit_text, measure_text
from flashcur.domain.signals.signal import DetectorName, Signal
from flashcur.domain.ticks import Tick

Suppression = Literal["stale", "no_baseline", "cooldown", "illiquid", "small", "unclear_interval", "mass_change"]
"""Why something that looked like a signal is none."""

NOTHING: tuple[Signal, ...] = ()


@dataclass(slots=True)
class Counters:
    """What a detector did since it was made, for metrics."""

    evaluated: int = 0
    """Times the rule was evaluated."""
    fired: Counter[str] = field(default_factory=Counter[str])
    """Signals by kind."""
    suppressed: Counter[Suppression] = field(default_factory=Counter[Suppression])
    """What would have fired, by the reason why it did not."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a contract is from a signal now."""

    detector: DetectorName
    what: str
    """Which of the detector's rules, for people: `Volume spike`, `Open interest, 15 min`."""
    value: float | None
    """What is measured now; None while it cannot be told."""
    needed: float
    """What it would need."""
    unit: Unit
    share: float
    """Of the way there, 0 to 1; below 1 while anything is missing."""
    missing: str = ""
    """What else stands in the way: `no baseline yet (7 of 12 hours)`, `in cooldown until 07:45`."""

    @property
    def text(self) -> str:
        """One line: `Volume spike: 1.20× of 3.00×`, and what is missing."""
        needed = limit_text(self.needed, self.unit)
        told = (
            f"not known yet, needs {needed}"
            if self.value is None
            else f"{measure_text(self.value, self.unit)} of {needed}"
        )
        line = f"{self.what}: {told}"
        return f"{line} ({self.missing})" if self.missing else line


class Detector(Protocol):
    """One kind of unusual event, looked for in all contracts of one exchange.

    It reads the book that its runner keeps and has state of its own by contract. Times come from ticks and steps only.
    """

    name: ClassVar[DetectorName]
    takes: ClassVar[tuple[type[Tick], ...]]
    """Ticks that it is given."""
    counters: Counters

    def on_tick(self, row: Row, tick: Tick) -> Sequence[Signal]:
        """A tick that the book took; `row` holds it already."""
        ...

    def on_step(self, book: MarketBook, now_ms: int) -> Sequence[Signal]:
        """Time has passed, to `now_ms` (Unix ms), whether or not anything arrived."""
        ...

    def resume(self, signals: Iterable[Signal], episodes: Iterable[Episode]) -> None:
        """Go on after a restart, from the stored signals of the past days and the stored episodes, in any order.

        Both may be of other detectors. Of a signal and an episode the newer one says where the contract stands.
        """
        ...

    def forget(self, symbol: str, now_ms: int) -> None:
        """The contract has been gone for long, at `now_ms` (Unix ms): drop what was known of it, and end its visits."""
        ...

    def why_not(self, row: Row, now_ms: int) -> Sequence[Distance]:
        """How far the contract is from each of the detector's signals at `now_ms`."""
        ...


def level(value: float, steps: Sequence[float]) -> int:
    """How many of the rising `steps` a value has reached: its severity, 0 below the first."""
    reached = 0
    for step in steps:
        if value < step:
            break
        reached += 1
    return reached


def part(value: float | None, needed: float) -> float:
    """The share of the way from 0 to `needed`, 0 to 1."""
    return 0.0 if value is None or value <= 0 else min(1.0, value / needed)
