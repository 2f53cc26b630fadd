"""What detectors did, added up over the runners of one time in office: for metrics."""

from __future__ import annotations

from collections import Counter

from flashcur.domain.signals.runner import Runner


class DetectorFigures:
    """Counts by the name of the detector, and what else they are told apart by."""

    def __init__(self) -> None:
        self.evaluated: Counter[tuple[str, ...]] = Counter()
        """Times that a rule was evaluated, by (detector)."""
        self.fired: Counter[tuple[str, ...]] = Counter()
        """Signals, by (detector, kind)."""
        self.suppressed: Counter[tuple[str, ...]] = Counter()
        """What would have fired, by (detector, why it did not)."""
        self.seconds: dict[tuple[str, ...], float] = {}
        """Time spent on ticks, by (detector)."""

    def add_runner(self, runner: Runner) -> None:
        """Count what `runner` did."""
        for detector in runner.detectors:
            name, counters = detector.name, detector.counters
            self.evaluated[name,] += counters.evaluated
            for kind, number in counters.fired.items():
                self.fired[name, kind] += number
            for reason, number in counters.suppressed.items():
                self.suppressed[name, reason] += number
            self.seconds[name,] = self.seconds.get((name,), 0.0) + runner.seconds[name]

    def add(self, other: DetectorFigures) -> None:
        """Count what `other` has counted."""
        self.evaluated.update(other.evaluated)
        self.fired.update(other.fired)
        self.suppressed.update(other.suppressed)
        for labels, seconds in other.seconds.items():
            self.seconds[labels] = self.seconds.get(labels, 0.0) + seconds
