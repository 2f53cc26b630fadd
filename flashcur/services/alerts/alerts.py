"""Alerts in the database: each once, chained to the account's one before, with its deliveries in the same transaction.

An alert's `key` names what was found, so whoever stores it twice (two engines, a replay, a write that was tried again)
changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, delete, select

from flashcur.domain.signals.aftermath import FIRST_H, known_from_ms
from flashcur.domain.signals.outcomes import Outcome
from flashcur.models import AlertRecord
from flashcur.services.alerts import receipts
from flashcur.services.storage.columns import columns_of, rows_of
from flashcur.services.storage.pruning import delete_unlocked

KEPT = timedelta(days=400)
"""How long alerts are kept: as signals are."""
PRECISION_H = 4
"""Hours after an alert at which the price says whether it went where the rule pointed."""
MOST_JUDGED = 10_000
"""Newest alerts of an account that a precision is told from."""


class FiredBefore(NamedTuple):
    """That a rule fired."""

    rule_id: str
    symbol: str
    version: int
    """The rule's, then."""
    event_ms: int
    """The exchange's time, Unix ms."""


Deliver = Callable[[Session, Sequence[AlertRecord], int], object]
"""Writes down where stored alerts go, in the transaction that stores them; the number is now, Unix ms."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How often the price went where a rule's alerts pointed, `PRECISION_H` hours later."""

    known: int
    """Alerts of which it is known."""
    hits: int
    """Of these, those it was so for; of a rule that points nowhere, those after which the price rose."""

    @property
    def share(self) -> float | None:
        """0 to 1; None where nothing is known yet."""
        return self.hits / self.known if self.known else None


def store(session: Session, found: Sequence[AlertRecord], deliver: Deliver, now_ms: int) -> list[AlertRecord]:
    """Write down those that are not there yet, as of `now_ms` (Unix ms), and where they go; returns these, with ids.

    What followed one that a rule gave is due from an hour after it on, where its price is known.
    """
    for alert in found:
        alert.stored_ms = now_ms
        if alert.kind == "rule" and alert.price is not None:
            alert.due_ms = known_from_ms(alert.event_ms, FIRST_H)
    new = receipts.chain(session, found)
    session.add_all(new)
    session.flush()
    if new:
        deliver(session, new, now_ms)
    return new


def newest(session: Session, account_id: str, *, before_id: int | None = None, limit: int = 50) -> list[AlertRecord]:
    """An account's alerts, the one stored last first; those before the one with `before_id`."""
    query = select(AlertRecord).where(AlertRecord.account_id == account_id)
    if before_id is not None:
        query = query.where(col(AlertRecord.id) < before_id)
    return list(session.exec(query.order_by(col(AlertRecord.id).desc()).limit(limit)))


def fired_since(session: Session, rule_ids: Collection[str], since_ms: int, *, demo: bool) -> list[FiredBefore]:
    """What some rules fired since a moment (the exchange's time, Unix ms), in order of time."""
    if not rule_ids:
        return []
    columns = (AlertRecord.rule_id, AlertRecord.symbol, AlertRecord.rule_version, AlertRecord.event_ms)
    query = columns_of(*columns).where(
        col(AlertRecord.rule_id).in_(sorted(rule_ids)),
        col(AlertRecord.kind) == "rule",
        col(AlertRecord.demo).is_(demo),
        col(AlertRecord.event_ms) >= since_ms,
    )
    return [FiredBefore(*row) for row in rows_of(session, query.order_by(AlertRecord.event_ms, AlertRecord.id))]


def told_as_missed(
    session: Session, account_ids: Collection[str], since_ms: int, *, demo: bool
) -> dict[str, set[tuple[str, str]]]:
    """(rule, symbol) of what accounts were told they missed since a moment, Unix ms."""
    told: dict[str, set[tuple[str, str]]] = defaultdict(set)
    query = columns_of(AlertRecord.account_id, AlertRecord.evidence).where(
        col(AlertRecord.account_id).in_(sorted(account_ids)),
        col(AlertRecord.kind) == "missed",
        col(AlertRecord.demo).is_(demo),
        col(AlertRecord.event_ms) >= since_ms,
    )
    for account_id, evidence in rows_of(session, query):
        told[account_id] |= {(before.rule_id, before.symbol) for before in _told_in(evidence)}
    return told


def gathered_since(
    session: Session, account_ids: Collection[str] | None, since_ms: int, *, demo: bool
) -> list[FiredBefore]:
    """What accounts (None: all of them) were told since a moment (the exchange's time, Unix ms) by alerts that tell
    many firings: of each rule and contract the first and the last one."""
    query = columns_of(AlertRecord.evidence).where(
        col(AlertRecord.kind) == "missed",
        col(AlertRecord.demo).is_(demo),
        col(AlertRecord.event_ms) >= since_ms,
    )
    if account_ids is not None:
        if not account_ids:
            return []
        query = query.where(col(AlertRecord.account_id).in_(sorted(account_ids)))
    return [before for evidence in rows_of(session, query) for before in _told_in(evidence)]


def precision(session: Session, account_id: str) -> Mapping[str, Precision]:
    """How right an account's rules were, by rule; without those of which nothing is known yet."""
    change = getattr(AlertRecord, f"change_{PRECISION_H}h")
    columns = (AlertRecord.rule_id, AlertRecord.symbol, AlertRecord.event_ms, AlertRecord.evidence, change)
    query = (
        columns_of(*columns)
        .where(
            col(AlertRecord.account_id) == account_id,
            col(AlertRecord.rule_id).is_not(None),
            col(change).is_not(None),
            col(AlertRecord.demo).is_(False),
        )
        .order_by(col(AlertRecord.id).desc())
        .limit(MOST_JUDGED)
    )
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for rule_id, symbol, event_ms, evidence, percent in rows_of(session, query):
        counts[rule_id][0] += 1
        counts[rule_id][1] += Outcome(symbol, event_ms, evidence.get("up"), percent / 100).hit
    return {rule_id: Precision(known, hits) for rule_id, (known, hits) in counts.items()}


def prune(session: Session, before_ms: int) -> int:
    """Delete alerts that were stored before `before_ms` (Unix ms); returns how many. The newest of each account stays:
    the next one is chained to it.

    They go in the order of their chain: of what happened, one of an outage may be older than those before it.
    """
    return delete_unlocked(session, AlertRecord, col(AlertRecord.stored_ms) < before_ms, _is_followed())


def purge_demo(session: Session) -> int:
    """Delete the alerts of demo data; returns how many.

    What was written last stays until something follows it: SQLite would give its number to the next one, and who reads
    on from there would never see that.
    """
    last = select(func.max(col(AlertRecord.id))).scalar_subquery()
    return session.exec(delete(AlertRecord).where(col(AlertRecord.demo), col(AlertRecord.id) < last)).rowcount


def _is_followed() -> ColumnElement[bool]:
    later = aliased(AlertRecord)
    mine = (col(later.account_id) == col(AlertRecord.account_id), col(later.demo) == col(AlertRecord.demo))
    return select(later.id).where(*mine, col(later.id) > col(AlertRecord.id)).exists()


def _told_in(evidence: Mapping[str, Any]) -> Iterator[FiredBefore]:
    """What one alert of many firings tells (`findings`)."""
    for each in evidence.get("missed", ()):
        for at_ms in {each.get("event_ms", 0), each.get("last_ms", each.get("event_ms", 0))}:
            yield FiredBefore(each["rule_id"], each["symbol"], each.get("rule_version", 0), at_ms)
    for rule_id, rest in evidence.get("rest", {}).items():
        for symbol, times in rest["symbols"].items():
            for at_ms in times:
                yield FiredBefore(rule_id, symbol, rest["version"], at_ms)
