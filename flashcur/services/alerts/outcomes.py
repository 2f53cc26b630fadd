"""What the price did after signals: filled in as it becomes known, and summed up.

Prices around each horizon are minutes of the exchange, which the caller asks for (`Due.wanted`); whole hours in between
are those that are kept (`services.records.hour_candles`). Where minutes cannot be had any more, hourly closes stand in
and the row says so; such rows are not summed up.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import bindparam
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select, update

from flashcur.domain.signals.aftermath import (
    SPAN_H,
    Aftermath,
    Hour,
    known_from_ms,
    measure,
    measure_by_hours,
    minutes_wanted,
)
from flashcur.domain.signals.outcomes import HORIZONS_H, Base, HourlyCloses, Outcome, QuietHour, Summary, summarise
from flashcur.domain.signals.signal import FOLLOW_UPS
from flashcur.domain.signals.words import FUNDING_SIGNS
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.models import HourCandle, SignalOutcome, SignalRecord
from flashcur.services.alerts.statistics import GroupStatistics
from flashcur.services.kit.clock import length_ms
from flashcur.services.records.hour_candles import KEPT as HOURS_KEPT
from flashcur.services.storage.columns import columns_of, rows_of

BATCH = 500
"""Signals that are looked at in one go."""
PATIENCE_MS = 72 * HOUR_MS
"""How long after a horizon its minutes are waited for, while its exchange does not serve or does not have them."""

_HOURS_KEPT_MS = length_ms(HOURS_KEPT)
_SOONEST_MS, _LATEST_MS = 5 * 60_000, 6 * HOUR_MS
"""Pauses before what is missing is looked for again; they grow with the time it has been missing."""


@dataclass(frozen=True, slots=True)
class Due:
    """A signal of which something can be known."""

    id: int
    exchange: str
    demo: bool
    symbol: str
    event_ms: int
    known: Aftermath
    hours: Mapping[int, Hour]
    """The stored hours around it, by their beginning, Unix ms."""

    def wanted(self, now_ms: int) -> list[tuple[int, int]]:
        """The minutes to ask its exchange for at `now_ms`: beginning of the first and end of the last, Unix ms."""
        horizons = [horizon_h for horizon_h in HORIZONS_H if now_ms >= known_from_ms(self.event_ms, horizon_h)]
        spans = [minutes_wanted(self.event_ms, self.known, horizon_h, self.hours) for horizon_h in horizons]
        return [span for span in spans if span is not None]


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of it now, and when to look again."""

    id: int
    aftermath: Aftermath
    due_ms: int | None
    """Unix ms; None once all is known, or never will be."""


def look(session: Session, now_ms: int, limit: int = BATCH) -> list[Due]:
    """The signals that are due at `now_ms` (Unix ms), those that wait longest first; at most `limit`."""
    rows = _due(session, now_ms, limit)
    by_contract: dict[tuple[str, bool, str], list[int]] = defaultdict(list)
    for record, _ in rows:
        by_contract[record.exchange, record.demo, record.symbol].append(record.event_ms)
    hours = {
        contract: hours_between(session, *contract, min(events) - HOUR_MS, max(events) + (SPAN_H + 1) * HOUR_MS)
        for contract, events in by_contract.items()
    }
    return [
        Due(
            cast("int", record.id),
            record.exchange,
            record.demo,
            record.symbol,
            record.event_ms,
            _known(record, outcome),
            hours[record.exchange, record.demo, record.symbol],
        )
        for record, outcome in rows
    ]


def found(due: Due, minutes: Mapping[int, Candle], now_ms: int, *, waits: bool) -> Found:
    """What is known at `now_ms` with these minutes of its contract, by their beginning.

    `waits`: even after `PATIENCE_MS` the exchange may still be asked, so hours do not stand in yet.
    """
    known = measure(due.event_ms, due.known, minutes, due.hours)
    for horizon_h in HORIZONS_H:
        if not waits and now_ms >= known_from_ms(due.event_ms, horizon_h) + PATIENCE_MS:
            known = measure_by_hours(due.event_ms, known, horizon_h, due.hours)
    return Found(due.id, known, _look_again_ms(due.event_ms, known, now_ms))


def write(session: Session, found: Sequence[Found]) -> int:
    """Write down what was found; what is not known stays as it is. Returns how many signals are done."""
    # Signals of which the same is known, at once: the names are those of the statement's parameters.
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for each in sorted(found, key=lambda each: each.id):
        known = each.aftermath
        moves = {f"change_{hours}h": move for hours, move in known.moves.items()}
        moves |= {"highest": known.highest, "lowest": known.lowest}
        moves |= {"highest_1h": known.first_highest, "lowest_1h": known.first_lowest}
        values = {f"its_{name}": move * 100 for name, move in moves.items() if move is not None}
        if known.price is not None:
            values["its_price"] = known.price
        row = {"its_id": each.id, "its_due_ms": each.due_ms, "its_by_hours": known.by_hours}
        alike[tuple(values)].append(row | values)
    for names, rows in alike.items():
        statement = update(SignalOutcome).where(col(SignalOutcome.signal_id) == bindparam("its_id"))
        columns: dict[str, Any] = {
            name.removeprefix("its_"): bindparam(name) for name in (*names, "its_due_ms", "its_by_hours")
        }
        session.connection().execute(statement.values(columns), rows)
    return sum(each.due_ms is None for each in found)


def summaries(session: Session, exchange: str, *, demo: bool, now_ms: int) -> list[GroupStatistics]:
    """What followed the signals of an exchange for as long as hours are kept, group by group and horizon by horizon.

    A group is a detector, or one of its severities, quadrants (of funding: signs) or both. Takes a second or two for
    500 contracts.
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
    up: bool | None
    at_ms: int
    moves: Mapping[int, float | None]


def sign_of(detector: str, key: str) -> str:
    """The sign of the funding that a signal is about, which its key holds; empty for other signals."""
    if detector != "funding":
        return ""
    return next((sign for sign in FUNDING_SIGNS if sign in key.split(":")), "")


def _due(session: Session, now_ms: int, limit: int) -> list[tuple[SignalRecord, SignalOutcome]]:
    query = (
        select(SignalRecord, SignalOutcome)
        .join(SignalOutcome, col(SignalOutcome.signal_id) == col(SignalRecord.id))
        .options(defer(cast("Any", SignalRecord.evidence)))
        .where(col(SignalOutcome.due_ms) <= now_ms)
        .order_by(col(SignalOutcome.due_ms), col(SignalOutcome.signal_id))
        .limit(limit)
    )
    return list(session.exec(query))


def _known(record: SignalRecord, outcome: SignalOutcome) -> Aftermath:
    def fraction(percent: float | None) -> float | None:
        return None if percent is None else percent / 100

    return Aftermath(
        price=record.price or outcome.price,
        moves={hours: fraction(getattr(outcome, f"change_{hours}h")) for hours in HORIZONS_H},
        first_highest=fraction(outcome.highest_1h),
        first_lowest=fraction(outcome.lowest_1h),
        highest=fraction(outcome.highest),
        lowest=fraction(outcome.lowest),
        by_hours=outcome.by_hours,
    )


def hours_between(
    session: Session, exchange: str, demo: bool, symbol: str, first_ms: int, end_ms: int
) -> dict[int, Hour]:
    """The stored hours of a contract that begin from `first_ms` on and before `end_ms`, by their beginning; Unix ms."""
    query = columns_of(HourCandle.hour, HourCandle.high, HourCandle.low, HourCandle.close).where(
        col(HourCandle.exchange) == exchange,
        col(HourCandle.demo).is_(demo),
        col(HourCandle.symbol) == symbol,
        col(HourCandle.hour) >= first_ms // HOUR_MS,
        col(HourCandle.hour) < end_ms // HOUR_MS,
    )
    return {hour * HOUR_MS: Hour(high, low, close) for hour, high, low, close in rows_of(session, query)}


def _look_again_ms(event_ms: int, known: Aftermath, now_ms: int) -> int | None:
    """When the next of what is unknown is worth a look; None if nothing is."""
    waits: list[int] = []
    for horizon_h, move in known.moves.items():
        since_ms = known_from_ms(event_ms, horizon_h)
        # Hours may still come for a move that minutes will not tell any more, but not for the largest ones.
        until_ms = since_ms + (_HOURS_KEPT_MS if move is None else PATIENCE_MS)
        if not known.lacks(horizon_h) or now_ms > until_ms:
            continue
        pause_ms = min(max((now_ms - since_ms) // 4, _SOONEST_MS), _LATEST_MS)
        waits.append(since_ms if now_ms < since_ms else now_ms + pause_ms)
    return min(waits, default=None)


def _told(session: Session, exchange: str, demo: bool, first_ms: int) -> list[_Told]:
    changes = [getattr(SignalOutcome, f"change_{hours}h") for hours in HORIZONS_H]
    query = (
        columns_of(
            SignalRecord.detector,
            SignalRecord.severity,
            SignalRecord.quadrant,
            SignalRecord.symbol,
            SignalRecord.direction,
            SignalRecord.event_ms,
            SignalOutcome.by_hours,
            SignalRecord.key,
            *changes,
        )
        .join(SignalOutcome, col(SignalOutcome.signal_id) == col(SignalRecord.id))
        .where(
            col(SignalRecord.event_ms) >= first_ms,
            col(SignalRecord.exchange) == exchange,
            col(SignalRecord.demo).is_(demo),
            col(SignalRecord.kind).not_in(FOLLOW_UPS),
        )
    )
    return [
        _Told(
            row[0],
            row[1],
            row[2] or sign_of(row[0], row[7]),
            row[3],
            up=None if row[4] == "none" else row[4] == "bullish",
            at_ms=row[5],
            moves={
                # Half an hour more or less is another horizon than that of the hours they are compared with.
                hours: None if change is None or row[6] else change / 100
                for hours, change in zip(HORIZONS_H, row[8:], strict=True)
            },
        )
        for row in rows_of(session, query)
    ]


def _closes(
    session: Session, exchange: str, demo: bool, first_ms: int, symbols: Mapping[str, Any] | Any
) -> dict[str, tuple[array[int], array[float]]]:
    """The hours' beginnings (hours since 1970) and closes of each contract: 16 bytes an hour."""
    closes: dict[str, tuple[array[int], array[float]]] = {}
    query = columns_of(HourCandle.symbol, HourCandle.hour, HourCandle.close).where(
        col(HourCandle.exchange) == exchange,
        col(HourCandle.demo).is_(demo),
        col(HourCandle.hour) >= first_ms // HOUR_MS,
    )
    for symbol, hour, close in rows_of(session, query.execution_options(yield_per=5_000)):
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
        points=summary.points,
    )
