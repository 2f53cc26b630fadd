"""What followed the signals of an exchange, group by group: written by `engine.outcomes`, read by the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, col, delete

from flashcur.models import SignalStatistics


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """What the price did after the signals of one group, at one horizon. Moves and rates are fractions: 0.01 is 1 %."""

    detector: str
    severity: int | None
    """None: all severities together."""
    quadrant: str
    """Of open interest and price, or the sign of funding (`positive`, `negative`); empty: all together, and always for
    other detectors."""
    horizon_h: int
    count: int
    """Signals whose move over the horizon is known."""
    median: float
    lower_quartile: float
    upper_quartile: float
    hit_rate: float | None
    """How often the price went where the signal pointed; None, as the following, where there is nothing to compare
    with."""
    base_rate: float | None
    """How often it went that way in hours without a signal, of the same contracts."""
    lift: float | None
    """The first over the second: 1 is no better than chance."""
    low: float | None
    """Ends of the lift's 95 % interval; None where too little time has passed to tell."""
    high: float | None
    points: bool = True
    """Whether they pointed somewhere; else the rates are of prices that rose."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """All groups of one exchange, as of one moment."""

    computed_ms: int
    """Unix ms."""
    groups: tuple[GroupStatistics, ...]


def save_statistics(
    session: Session, exchange: str, *, demo: bool, computed_ms: int, groups: Sequence[GroupStatistics]
) -> None:
    """Write down what was computed at `computed_ms` (Unix ms), in place of what was before."""
    rows = [asdict(group) for group in groups]
    session.merge(SignalStatistics(exchange=exchange, demo=demo, computed_ms=computed_ms, groups=rows))


def read_statistics(session: Session, exchange: str, *, demo: bool) -> Statistics | None:
    """The newest statistics; None before the first, and where another version wrote them: they are soon anew."""
    row = session.get(SignalStatistics, (exchange, demo))
    if row is None:
        return None
    try:
        return Statistics(row.computed_ms, tuple(_group(each) for each in row.groups))
    except TypeError:
        return None


def purge_demo_statistics(session: Session) -> int:
    """Delete those of demo data; returns how many."""
    return session.exec(delete(SignalStatistics).where(col(SignalStatistics.demo))).rowcount


def _group(raw: dict[str, Any]) -> GroupStatistics:
    return GroupStatistics(**raw)
