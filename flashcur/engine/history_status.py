"""How far the past that detectors compare with is filled, as the engine says it on the bus."""

from __future__ import annotations

from dataclasses import dataclass, field

BLIND_ALLOWED = 3
BLIND_SHARE = 0.02
"""So many liquid contracts, or this share of them, may be without a baseline before that is a problem."""


@dataclass(frozen=True, slots=True)
class HistoryStatus:
    """Of the contracts on crypto of the exchange that serves."""

    ready: int = 0
    """Contracts with a baseline."""
    contracts: int = 0
    asked: int = 0
    """Contracts of which the exchange has told the past since it began to serve."""
    waiting: int = 0
    """Contracts of which hours are missing."""
    liquid: int = 0
    """Contracts that trade enough to matter (`domain.ages.LIQUID`)."""
    blind: int = 0
    """Of these, those without a baseline though there was time, and which are not new."""
    new: int = 0
    """Contracts without a baseline that were listed too lately to have one."""
    quiet: int = 0
    """Contracts without a baseline though their hours are known: hardly anything is traded."""
    not_ready: dict[str, str] = field(default_factory=dict[str, str])
    """The largest contracts without a baseline, and why."""

    @property
    def filling(self) -> int:
        """Contracts whose baseline is still to come, as soon as their past has been told."""
        return max(0, self.contracts - self.ready - self.new - self.quiet)

    @property
    def problem(self) -> str:
        """What `/health` says; empty while all is as it should be."""
        if self.blind <= max(BLIND_ALLOWED, BLIND_SHARE * self.liquid):
            return ""
        return f"baselines of {self.blind} of {self.liquid} liquid contracts are not ready"
