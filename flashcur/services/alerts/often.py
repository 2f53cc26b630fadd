"""Which saved rules fire too often, and the threshold that each is offered: from the alerts that it really gave in the
last seven days, and the hours and payments that followed them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import func
from sqlmodel import Session, col

from flashcur.domain.rules.condition import Condition, Fault, FundingLevel, PriceMove, VolumeRatio
from flashcur.domain.rules.often import Calmer, Fired, calmer
from flashcur.domain.rules.past import DAY_MS, MOST_A_WEEK, WEEK_DAYS, turned_at
from flashcur.domain.rules.rule import Definition
from flashcur.domain.spikes import HOUR_MS
from flashcur.models import AlertRecord, FundingPayment, HourCandle, RuleRecord
from flashcur.services.storage.columns import columns_of, rows_of

MOST_RULES = 20
"""Rules of an account that are offered one at a time: those that fire most."""
MOST_JUDGED = 200
"""Newest alerts of a rule that it is told from."""
MOVES_ON_MS = 4 * HOUR_MS
"""For so long a move may go on, or for its window where that is shorter."""
PAID_WITHIN_MS = 8 * HOUR_MS
"""The next payment comes within so long."""

_Hours = dict[int, tuple[float, float, float]]
"""Highest and lowest price, and volume, in USDT, by how many hours after the firing's own."""


@dataclass(slots=True)
class _Alert:
    event_ms: int
    price: float | None
    value: float | None
    hours: _Hours
    """From the one before to those in which a move may have gone on, as far as they are stored."""
    paid_percent: float | None = None
    """The funding that was paid next."""


def too_often(session: Session, owned: Collection[RuleRecord], now_ms: int) -> dict[str, Calmer]:
    """What rules are offered that fired too often in the seven days before `now_ms` (Unix ms), by id.

    Only alerts of real data and of the rule as it is written now count. Without those of which too little is known.
    """
    since_ms = now_ms - WEEK_DAYS * DAY_MS
    found: dict[str, Calmer] = {}
    loud = _loud(session, {rule.id: rule for rule in owned if rule.status != "done"}, since_ms)
    for rule, fires in loud:
        try:
            definition = Definition.from_json(rule.definition)
        except Fault:
            continue
        at = turned_at(definition)
        if at is None:
            continue
        condition = definition.conditions[at]
        given = _alerts(session, rule, at, since_ms, funding=isinstance(condition, FundingLevel))
        offered = calmer(definition, fires, [_fired(condition, each) for each in given])
        if offered is not None:
            found[rule.id] = offered
    return found


def _loud(session: Session, rules: Mapping[str, RuleRecord], since_ms: int) -> list[tuple[RuleRecord, int]]:
    """Rules that fired more than is often, with how often they did; those that did most first."""
    # Most rules have not fired so often in all their life, and need not be counted.
    may = [rule.id for rule in rules.values() if rule.fires > MOST_A_WEEK and (rule.fired_ms or 0) >= since_ms]
    if not may:
        return []
    query = (
        columns_of(AlertRecord.rule_id, AlertRecord.rule_version, func.count())
        .where(col(AlertRecord.rule_id).in_(sorted(may)), *_counts(since_ms))
        .group_by(AlertRecord.rule_id, AlertRecord.rule_version)
    )
    loud = [
        (rules[rule_id], count)
        for rule_id, version, count in rows_of(session, query)
        if version == rules[rule_id].version and count > MOST_A_WEEK
    ]
    return sorted(loud, key=lambda each: (-each[1], each[0].id))[:MOST_RULES]


def _counts(since_ms: int) -> tuple[Any, ...]:
    return (
        col(AlertRecord.kind) == "rule",
        col(AlertRecord.demo).is_(False),
        col(AlertRecord.event_ms) >= since_ms,
    )


def _alerts(session: Session, rule: RuleRecord, at: int, since_ms: int, *, funding: bool) -> list[_Alert]:
    table = AlertRecord
    newest = (
        columns_of(table.id, table.exchange, table.symbol, table.event_ms, table.price, table.evidence)
        .where(col(table.rule_id) == rule.id, col(table.rule_version) == rule.version, *_counts(since_ms))
        .order_by(col(table.event_ms).desc())
        .limit(MOST_JUDGED)
    )
    given = {
        id_: _Alert(event_ms, price, _value(evidence, at), {})
        for id_, _, _, event_ms, price, evidence in rows_of(session, newest)
    }
    fired = newest.subquery().c
    if funding:
        paid = FundingPayment
        query = columns_of(fired.id, paid.rate).where(
            col(paid.exchange) == fired.exchange,
            col(paid.demo).is_(False),
            col(paid.symbol) == fired.symbol,
            col(paid.paid_ms) >= fired.event_ms,
            col(paid.paid_ms) <= fired.event_ms + PAID_WITHIN_MS,
        )
        # The earliest is written last.
        for id_, rate in rows_of(session, query.order_by(col(paid.paid_ms).desc())):
            # As the table shows it: a fraction has more digits than were meant.
            given[id_].paid_percent = round(rate * 100, 10)
        return list(given.values())
    kept = HourCandle
    query = columns_of(fired.id, kept.hour, kept.high, kept.low, kept.volume_quote).where(
        col(kept.exchange) == fired.exchange,
        col(kept.demo).is_(False),
        col(kept.symbol) == fired.symbol,
        col(kept.hour) >= fired.event_ms // HOUR_MS - 1,
        col(kept.hour) <= fired.event_ms // HOUR_MS + MOVES_ON_MS // HOUR_MS,
    )
    for id_, hour, high, low, volume in rows_of(session, query):
        each = given[id_]
        each.hours[hour - each.event_ms // HOUR_MS] = (high, low, volume)
    return list(given.values())


def _value(evidence: Mapping[str, Any], at: int) -> float | None:
    """What the condition measured; None where the evidence, which another version may have written, does not say."""
    readings = evidence.get("readings")
    if not isinstance(readings, list) or at >= len(cast("list[Any]", readings)):
        return None
    reading = cast("list[Any]", readings)[at]
    value = cast("Mapping[str, Any]", reading).get("value") if isinstance(reading, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


def _fired(condition: Condition, each: _Alert) -> Fired:
    hours = each.hours
    if isinstance(condition, FundingLevel):
        return Fired(each.value, each.price, paid_percent=each.paid_percent)
    if isinstance(condition, VolumeRatio) and 0 in hours and -1 in hours:
        return Fired(each.value, each.price, volume=hours[0][2], volume_before=hours[-1][2])
    if isinstance(condition, PriceMove):
        span_ms = min(condition.window_s * 1000, MOVES_ON_MS)
        wanted = range((each.event_ms % HOUR_MS + span_ms) // HOUR_MS + 1)
        if all(hour in hours for hour in wanted):
            high, low = max(hours[hour][0] for hour in wanted), min(hours[hour][1] for hour in wanted)
            return Fired(each.value, each.price, high=high, low=low)
    return Fired(each.value, each.price)
