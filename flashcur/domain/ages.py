"""How old a value may be before its cell says so, and which contracts are watched more closely.

The one table of it: polls choose contracts by the thresholds, frames mark cells by the allowances, and the browser goes
on by the same numbers while nothing arrives.
"""

from __future__ import annotations

from dataclasses import dataclass

from flashcur.domain.ticks import TickKind


@dataclass(frozen=True, slots=True)
class Threshold:
    """A 24 h quote volume in USDT, with a gap so that a contract near the edge does not come and go."""

    enter: float
    """Volume from which on a contract is above it."""
    leave: float
    """Volume below which it no longer is."""

    def holds(self, volume_quote: float, held: bool) -> bool:
        """Whether a contract of `volume_quote` USDT is above it; `held`: whether it was until now."""
        return volume_quote >= (self.leave if held else self.enter)


STREAMED = Threshold(enter=1_000_000.0, leave=700_000.0)
"""Contracts whose candle is streamed; those of the others are polled."""
LIQUID = Threshold(enter=4_000_000.0, leave=2_000_000.0)
"""Contracts whose open interest is asked for each minute, where it has no stream."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How old one kind of value may be."""

    kind: TickKind
    letter: str
    """What the `age` column of a frame calls it."""
    value: str
    """What the API calls it."""
    ms: int
    """Milliseconds."""
    close: Threshold | None = None
    """Contracts above it are held to `close_ms` instead."""
    close_ms: int = 0
    asked_ms: int = 0
    """Where it is not streamed it is asked for at least so often, in ms; 0: it always is."""
    close_asked_ms: int = 0
    """The same above the threshold."""

    def limit_ms(self, close: bool) -> int:
        """The age in ms above which a cell is marked; `close`: whether the contract is above the threshold."""
        return self.close_ms if close and self.close is not None else self.ms

    def cadence_ms(self, close: bool) -> int:
        """How often it is asked for, in ms, where it is; `close`: whether the contract is above the threshold."""
        return self.close_asked_ms if close and self.close is not None else self.asked_ms


ALLOWANCES: tuple[Allowance, ...] = (
    Allowance("ticker", "p", "price", 5_000),
    Allowance("funding", "f", "funding_rate", 10_000),
    Allowance("candle", "r", "ratio", 6 * 60_000, STREAMED, 10_000, asked_ms=5 * 60_000),
    Allowance(
        "open_interest",
        "o",
        "open_interest_usd",
        10 * 60_000,
        LIQUID,
        90_000,
        asked_ms=8 * 60_000,
        close_asked_ms=60_000,
    ),
)


def allowance(kind: TickKind) -> Allowance:
    """The row of one kind."""
    return next(each for each in ALLOWANCES if each.kind == kind)
