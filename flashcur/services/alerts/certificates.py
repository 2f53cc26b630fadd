"""Silence certificates in the database: how long each rule watched on each day, how long it could not and why, and what
came nearest to firing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sqlmodel import Session, col, delete, select

from flashcur.domain.signals.silence import CAUSES, DAY_MS
from flashcur.models import RuleDay, RuleRecord
from flashcur.services.storage.inserts import upsert

KEPT = timedelta(days=90)
"""How long a rule's days are kept."""

REASONS: Mapping[str, str] = {
    "stale": "no fresh data came from the exchange",
    "switch": "another exchange was serving",
    "no_baseline": "there was too little history to compare with",
    "engine_away": "FlashCur was not running",
}
"""Why a rule was blind, for people."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a rule did on a day (UTC), as far as it is over; all in seconds."""

    day: int
    """Days since 1970."""
    watched_s: float
    idle_s: float
    """Paused, snoozed, or not made yet."""
    blind: Mapping[str, float]
    """By cause, as in `REASONS`; without those of no time."""
    nearest: Mapping[str, Any]
    """The nearest miss: `symbol`, `value`, `threshold`, `at_ms` (Unix ms), `missing` (a fraction of the threshold) and
    `text`; empty where nothing was measured."""
    until_ms: int
    """As of when, Unix ms."""

    @property
    def blind_s(self) -> float:
        """All causes together."""
        return sum(self.blind.values())

    @property
    def coverage(self) -> float | None:
        """Of the time in which it was to watch, what it did, 0 to 1; None where there was none."""
        wanted = self.watched_s + self.blind_s
        return self.watched_s / wanted if wanted else None


def of_rules(session: Session, rule_ids: Collection[str], now_ms: int) -> dict[str, Certificate]:
    """The certificates of today as of `now_ms` (Unix ms), by rule; a rule of which nothing is known has none.

    Of a rule that is not active the time since it was watched last is idle.
    """
    today = now_ms // DAY_MS
    query = (
        select(RuleDay, RuleRecord.status)
        .join(RuleRecord, col(RuleRecord.id) == col(RuleDay.rule_id))
        .where(col(RuleDay.rule_id).in_(sorted(rule_ids)), RuleDay.day == today)
    )
    return {row.rule_id: _certificate(row, status, now_ms) for row, status in session.exec(query)}


def days_of(session: Session, rule_id: str, now_ms: int, limit: int = 30) -> Sequence[Certificate]:
    """The certificates of a rule, the newest day first; `now_ms` is Unix ms."""
    query = (
        select(RuleDay, RuleRecord.status)
        .join(RuleRecord, col(RuleRecord.id) == col(RuleDay.rule_id))
        .where(RuleDay.rule_id == rule_id)
        .order_by(col(RuleDay.day).desc())
        .limit(limit)
    )
    return [_certificate(row, status, now_ms) for row, status in session.exec(query)]


def save_days(session: Session, days: Iterable[RuleDay]) -> int:
    """Write down days in place of what is known of them, but for rules that are gone; returns how many."""
    rows = {(day.rule_id, day.day): day.model_dump() for day in days}
    wanted = sorted({rule_id for rule_id, _ in rows})
    if not wanted:
        return 0
    there = set(session.exec(select(RuleRecord.id).where(col(RuleRecord.id).in_(wanted))))
    return upsert(session, RuleDay, ("rule_id", "day"), {key: row for key, row in rows.items() if key[0] in there})


def load_days(session: Session, first_day: int, after: tuple[str, int] = ("", 0), limit: int = 5_000) -> list[RuleDay]:
    """The days of all rules from `first_day` (days since 1970) on, by rule and day, after the one named."""
    rule_id, day = col(RuleDay.rule_id), col(RuleDay.day)
    later = (rule_id > after[0]) | ((rule_id == after[0]) & (day > after[1]))
    query = select(RuleDay).where(day >= first_day, cast("Any", later)).order_by(rule_id, day).limit(limit)
    return list(session.exec(query))


def prune_days(session: Session, before_ms: int) -> int:
    """Delete days that were over by `before_ms` (Unix ms); returns how many."""
    return session.exec(delete(RuleDay).where(col(RuleDay.day) < before_ms // DAY_MS)).rowcount


def _certificate(row: RuleDay, status: str, now_ms: int) -> Certificate:
    until_ms, idle_s = row.until_ms, row.idle_s
    end_ms = min(now_ms, (row.day + 1) * DAY_MS)
    if status != "active" and end_ms > until_ms:
        idle_s += (end_ms - until_ms) / 1000
        until_ms = end_ms
    blind = {cause: row.blind[cause] for cause in CAUSES if row.blind.get(cause)}
    return Certificate(row.day, row.watched_s, idle_s, blind, row.nearest, until_ms)
