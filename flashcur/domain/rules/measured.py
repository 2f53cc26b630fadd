"""What conditions measure at a contract now: the numbers that rules are judged by, of each window that there is.

The evaluator says them (`Evaluator.measured`), the engine tells them, and the form of a rule shows them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flashcur.domain.ages import allowance
from flashcur.domain.book import Row
from flashcur.domain.rules.interest import TOLERANCE_MS, Interest
from flashcur.domain.spikes import HOUR_MS

SELDOM = 0
"""In place of a time: values come too seldom for the window."""

_ALLOWANCE = allowance("open_interest")


@dataclass(frozen=True, slots=True)
class Measured:
    """One contract."""

    values: Sequence[float | None]
    """By source (`atoms`); None where it is not known, or is too old to judge a rule by. Empty: nothing is told."""
    known_ms: Mapping[int, int]
    """By source, of one that is only not known yet: by when it is, Unix ms, or `SELDOM`."""


UNMEASURED = Measured((), {})
"""A contract of which nothing is told."""


def interest_known_ms(row: Row, interest: Interest | None, window_s: int) -> int | None:
    """By when the change of open interest over a window is known that is not known now, Unix ms by the exchange.

    `SELDOM` where values lie further apart than the tolerance at the window's beginning is wide; None if nothing is
    known of the contract's open interest.
    """
    now, window_ms = row.open_interest, window_s * 1000
    if now is None:
        return None
    times: Sequence[int] = () if interest is None else interest.times
    tolerance_ms = TOLERANCE_MS
    if window_ms <= HOUR_MS:
        times, tolerance_ms = [each.event_ms for each in row.open_interest_history], window_ms // 10
    if _pace_ms(row) > 2 * tolerance_ms:
        return SELDOM
    after = bisect_left(times, now.event_ms - window_ms + tolerance_ms)
    return (times[after] if after < len(times) else now.event_ms) + window_ms


def _pace_ms(row: Row) -> int:
    """How far values lie apart: as they are asked for, or closer where a stream tells them."""
    usual_ms = _ALLOWANCE.cadence_ms(row.liquid)
    history = row.open_interest_history
    return usual_ms if len(history) < 2 else min(usual_ms, history[-1].event_ms - history[-2].event_ms)
