"""What the price did after signals: filled in as hours close, and summed up.

Both are read from the hours that are kept (`services.records.hour_candles`), so what followed a signal is known a
little after the hour has closed, and is never known where the hours are missing for good.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import bindparam
from sqlmodel import Session, col, select, update

from flashcur.domain.signals.aftermath import SPAN_H, Aftermath, Hour, aftermath, first_hour_ms, known_from_ms
from flashcur.domain.signals.outcomes import HORIZONS_H, Base, HourlyCloses, Outcome, QuietHour, Summary, summarise
from flashcur.domain.spikes import HOUR_MS
from flashcur.models import HourCandle, SignalOutcome, SignalRecord
from flashcur.services.alerts.statistics import GroupStatistics
from flashcur.services.records.hour_candles import KEPT as HOURS_KEPT

BATCH = 500
"""Signals that are looked at in one go."""
GRACE_MS = 120_000
"""How long after its close an hour is looked for: by then it has been asked for and stored."""

_HOURS_KEPT_MS = int(HOURS_KEPT.total_seconds() * 1000)
_SOONEST_MS, _LATEST_MS = 5 * 60_000, 6 * HOUR_MS
"""Pauses before an hour that is missing is looked for again; they grow with the time it has been missing."""
_UPDATES = ("HALF_UPDATE", "FULL_UPDATE")
"""They tell of a signal that was counted already."""


@dataclass(frozen=True, slots=True)
class Due:
    """A signal of which something can be known."""

    id: int
    exchange: str
    demo: bool
    symbol: str
    event_ms: int
    price: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of it now, and when to look again."""

    id: int
    aftermath: Aftermath
    due_ms: int | None
    """Unix ms; None once all is known, or never will be."""


def look(session: Session, now_ms: int, limit: int = BATCH) -> list[Found]:
    """What is known at `now_ms` (Unix ms) of signals that are due, those that wait longest first; at most `limit`."""
    found: list[Found] = []
    for (exchange, demo, symbol), group in _by_contract(_due(session, now_ms, limit)).items():
        first_ms = min(first_hour_ms(each.event_ms) for each in group) - HOUR_MS
        end_ms = max(known_from_ms(each.event_ms, SPAN_H) for each in group)
        hours = _hours(session, exchange, demo, symbol, first_ms, end_ms)
        for each in group:
            result = aftermath(each.event_ms, each.price, hours)
            found.append(Found(each.id, result, _look_again_ms(each.event_ms, result, now_ms)))
    return found


def write(session: Session, found: Sequence[Found]) -> int:
    """Write down what was found; what is not known stays as it is. Returns how many signals are done."""
    # Signals of which the same is known, at once: the names are those of the statement's parameters.
    alike: dict[tuple[str, ...], list[dict[str, float | int | None]]] = defaultdict(list)
    for each in sorted(found, key=lambda each: each.id):
        values = {f"change_{hours}h": move for hours, move in each.aftermath.moves.items()}
        values |= {"highest": each.aftermath.highest, "lowest": each.aftermath.lowest}
        percents = {f"its_{name}": value * 100 for name, value in values.items() if value is not None}
        alike[tuple(percents)].append({"its_id": each.id, "its_due": each.due_ms, **percents})
    for names, rows in alike.items():
        statement = update(SignalOutcome).where(col(SignalOutcome.signal_id) == bindparam("its_id"))
        values: dict[str, Any] = {name.removeprefix("its_"): bindparam(name) for name in names}
        values["due_ms"] = bindparam("its_due")
        session.connection().execute(statement.values(values), rows)
    return sum(each.due_ms is None for each in found)


def summaries(session: Session, exchange: str, *, demo: bool, now_ms: int) -> list[GroupStatistics]:
    """What followed the signals of an exchange for as long as hours are kept, group by group and horizon by horizon.

    A group is a detector, or one of its severities, quadrants or both. Takes a second or two for 500 contracts.
    """
    first_ms = now_ms - _HOURS_KEPT_MS
    told = _told(session, exchange, demo, first_ms)
    busy: dict[str, set[int]] = defaultdict(set)
    for each in told:
        busy[each.symbol].add(-(-each.at_ms // HOUR_MS) * HOUR_MS)
    closes = _closes(session, exchange, demo, first_ms, busy.keys())
    groups: list[GroupStatistics] = []
    for horizon_h in HORIZONS_H:
        base = Base(_quiet(closes, busy, horizon_h), horizon_h)
        members: dict[tuple[str, int | None, str], list[Outcome]] = defaultdict(list)
        for each in told:
            move = each.moves[horizon_h]
            if move is None:
                continue
            outcome = Outcome(each.symbol, each.at_ms, each.up, move)
            for key in {
                (each.detector, severity, quadrant)
                for severity in (None, each.severity)
                for quadrant in ("", each.quadrant)
            }:
                members[key].append(outcome)
        for (detector, severity, quadrant), outcomes in members.items():
            summary = summarise(outcomes, base)
            if summary is not None:
                groups.append(_group(detector, severity, quadrant, horizon_h, summary))
    return sorted(groups, key=lambda each: (each.detector, each.severity or 0, each.quadrant, each.horizon_h))


@dataclass(frozen=True, slots=True)
class _Told:
    detector: str
    severity: int
    quadrant: str
    symbol: str
    up: bool
    at_ms: int
    moves: Mapping[int, float | None]


def _due(session: Session, now_ms: int, limit: int) -> list[Due]:
    columns = (
        SignalRecord.id,
        SignalRecord.exchange,
        SignalRecord.demo,
        SignalRecord.symbol,
        SignalRecord.event_ms,
        SignalRecord.price,
    )
    query = (
        _columns(*columns)
        .join(SignalOutcome, col(SignalOutcome.signal_id) == col(SignalRecord.id))
        .where(col(SignalOutcome.due_ms) <= now_ms)
        .order_by(col(SignalOutcome.due_ms))
        .limit(limit)
    )
    return [Due(*row) for row in _rows(session, query)]


def _by_contract(due: Sequence[Due]) -> dict[tuple[str, bool, str], list[Due]]:
    groups: dict[tuple[str, bool, str], list[Due]] = defaultdict(list)
    for each in due:
        groups[each.exchange, each.demo, each.symbol].append(each)
    return groups


def _hours(session: Session, exchange: str, demo: bool, symbol: str, first_ms: int, end_ms: int) -> dict[int, Hour]:
    query = _columns(HourCandle.hour, HourCandle.high, HourCandle.low, HourCandle.close).where(
        col(HourCandle.exchange) == exchange,
        col(HourCandle.demo).is_(demo),
        col(HourCandle.symbol) == symbol,
        col(HourCandle.hour) >= first_ms // HOUR_MS,
        col(HourCandle.hour) < end_ms // HOUR_MS,
    )
    return {hour * HOUR_MS: Hour(high, low, close) for hour, high, low, close in _rows(session, query)}


def _look_again_ms(event_ms: int, known: Aftermath, now_ms: int) -> int | None:
    """When the next of what is unknown is worth a look; None if nothing is."""
    waits: list[int] = []
    for horizon_h, move in known.moves.items():
        unknown = move is None or (horizon_h == SPAN_H and known.highest is None)
        closed_ms = known_from_ms(event_ms, horizon_h)
        if not unknown or now_ms > closed_ms + _HOURS_KEPT_MS:
            continue
        if now_ms < closed_ms + GRACE_MS:
            waits.append(closed_ms + GRACE_MS)
        else:
            waits.append(now_ms + min(max((now_ms - closed_ms) // 4, _SOONEST_MS), _LATEST_MS))
    return min(waits, default=None)


def _told(session: Session, exchange: str, demo: bool, first_ms: int) -> list[_Told]:
    changes = [getattr(SignalOutcome, f"change_{hours}h") for hours in HORIZONS_H]
    query = (
        _columns(
            SignalRecord.detector,
            SignalRecord.severity,
            SignalRecord.quadrant,
            SignalRecord.symbol,
            SignalRecord.direction,
            SignalRecord.event_ms,
            *changes,
        )
        .join(SignalOutcome, col(SignalOutcome.signal_id) == col(SignalRecord.id))
        .where(
            col(SignalRecord.event_ms) >= first_ms,
            col(SignalRecord.exchange) == exchange,
            col(SignalRecord.demo).is_(demo),
            col(SignalRecord.kind).not_in(_UPDATES),
        )
    )
    return [
        _Told(
            *row[:4],
            up=row[4] != "bearish",
            at_ms=row[5],
            moves={
                hours: None if change is None else change / 100
                for hours, change in zip(HORIZONS_H, row[6:], strict=True)
            },
        )
        for row in _rows(session, query)
    ]


def _closes(
    session: Session, exchange: str, demo: bool, first_ms: int, symbols: Mapping[str, Any] | Any
) -> dict[str, tuple[array[int], array[float]]]:
    """The hours' beginnings (hours since 1970) and closes of each contract: 16 bytes an hour."""
    closes: dict[str, tuple[array[int], array[float]]] = {}
    query = _columns(HourCandle.symbol, HourCandle.hour, HourCandle.close).where(
        col(HourCandle.exchange) == exchange,
        col(HourCandle.demo).is_(demo),
        col(HourCandle.hour) >= first_ms // HOUR_MS,
    )
    for symbol, hour, close in _rows(session, query.execution_options(yield_per=5_000)):
        if symbol not in symbols:
            continue
        series = closes.get(symbol)
        if series is None:
            series = closes[symbol] = (array("q"), array("d"))
        series[0].append(hour)
        series[1].append(close)
    return closes


def _quiet(
    closes: Mapping[str, tuple[array[int], array[float]]], busy: Mapping[str, set[int]], horizon_h: int
) -> Iterator[QuietHour]:
    for symbol, (hours, prices) in closes.items():
        hourly = HourlyCloses((hour * HOUR_MS, price) for hour, price in zip(hours, prices, strict=True))
        yield from hourly.quiet(symbol, busy[symbol], horizon_h)


def _group(detector: str, severity: int | None, quadrant: str, horizon_h: int, summary: Summary) -> GroupStatistics:
    lift = summary.lift
    return GroupStatistics(
        detector,
        severity,
        quadrant,
        horizon_h,
        summary.count,
        summary.median,
        summary.lower_quartile,
        summary.upper_quartile,
        None if lift is None else lift.hit_rate,
        None if lift is None else lift.base_rate,
        None if lift is None else lift.value,
        None if lift is None else lift.low,
        None if lift is None else lift.high,
    )


# SQLModel's types end at four columns.
_columns = cast("Callable[..., Any]", select)


def _rows(session: Session, query: Any) -> Iterator[Any]:
    return cast("Any", session).exec(query)
