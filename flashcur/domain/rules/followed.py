"""What the price did after a rule would have fired, beside the same contracts' other hours (`signals.outcomes`)."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import eq, gt, lt

from flashcur.domain.rules.past import PastFiring, Series
from flashcur.domain.signals.outcomes import HORIZONS_H, Base, Outcome, Summary, block_ms, summarise
from flashcur.domain.spikes import HOUR_MS


def followed(found: Iterable[PastFiring], hours: Mapping[str, Series]) -> list[tuple[int, Summary]]:
    """(hours after, what followed) for each of 1, 4 and 24 h of which something is known; `hours` by symbol."""
    by_symbol: dict[str, list[PastFiring]] = defaultdict(list)
    for each in found:
        if each.symbol in hours:
            by_symbol[each.symbol].append(each)
    summaries: list[tuple[int, Summary]] = []
    for horizon_h in HORIZONS_H:
        outcomes: list[Outcome] = []
        counts: dict[str, dict[int, list[int]]] = {}
        for symbol, firings in by_symbol.items():
            series = hours[symbol]
            outcomes += _outcomes(firings, series, horizon_h)
            counts[symbol] = _quiet(series, horizon_h, {_ended(each.at_ms) for each in firings})
        summary = summarise(outcomes, Base.of_counts(counts, horizon_h))
        if summary is not None:
            summaries.append((horizon_h, summary))
    return summaries


def _ended(at_ms: int) -> int:
    """The full hour nearest to a moment, Unix ms."""
    return (at_ms + HOUR_MS // 2) // HOUR_MS * HOUR_MS


def _close(series: Series, end_ms: int) -> float | None:
    """The close of the hour that ends then; None if it is not known."""
    at = (end_ms - series.first_ms) // HOUR_MS - 1
    close = series.closes[at] if 0 <= at < len(series) else 0.0
    return close if close > 0 else None


def _outcomes(firings: Sequence[PastFiring], series: Series, horizon_h: int) -> list[Outcome]:
    found: list[Outcome] = []
    for each in firings:
        end_ms = _ended(each.at_ms)
        before = each.price or _close(series, end_ms)
        later = _close(series, end_ms + horizon_h * HOUR_MS)
        if before is not None and later is not None:
            found.append(Outcome(each.symbol, each.at_ms, each.up, later / before - 1))
    return found


def _quiet(series: Series, horizon_h: int, busy_ms: set[int]) -> dict[int, list[int]]:
    """Hours in which the rule would not have fired, by block: how many, moves up, moves down."""
    closes = series.closes
    size = block_ms(horizon_h)
    cells: dict[int, list[int]] = {}
    first_ms = series.first_ms + HOUR_MS
    count = len(series) - horizon_h
    at = 0
    while at < count:
        block = (first_ms + at * HOUR_MS) // size
        end = min(count, ((block + 1) * size - first_ms + HOUR_MS - 1) // HOUR_MS)
        cells[block] = _count(closes[at:end], closes[at + horizon_h : end + horizon_h])
        at = end
    for end_ms in busy_ms:
        now, later = _close(series, end_ms), _close(series, end_ms + horizon_h * HOUR_MS)
        if now is not None and later is not None:
            cell = cells[end_ms // size]
            cell[0] -= 1
            cell[1] -= later > now
            cell[2] -= later < now
    return {block: cell for block, cell in cells.items() if cell[0] > 0}


def _count(now: array[float], later: array[float]) -> list[int]:
    """Hours of which both prices are known (NaN compares with nothing), and of these moves up and down."""
    up, down = sum(map(gt, later, now)), sum(map(lt, later, now))
    return [up + down + sum(map(eq, later, now)), up, down]
