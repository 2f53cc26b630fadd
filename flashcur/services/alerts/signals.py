"""Signals in the database: stored once, found again by any filter, cut to what a plan may see.

A signal's `key` is unique, so whoever stores it twice (two engines, a replayed hour, a write that was tried again)
changes nothing. What is shown is ordered by the exchange's time, the newest first; `id` decides between equals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, cast

from sqlalchemy import ColumnElement, Select, and_, false, func, or_
from sqlmodel import Session, col, delete, select

from flashcur.domain.multiples import coin
from flashcur.domain.plans import Plan, last_mark_ms
from flashcur.domain.signals.aftermath import FIRST_H, known_from_ms
from flashcur.domain.signals.filters import SignalFilter
from flashcur.domain.signals.signal import SEVERITIES, Signal
from flashcur.models import SignalOutcome, SignalRecord
from flashcur.services.storage.inserts import insert_into
from flashcur.services.storage.pruning import delete_unlocked

KEPT = timedelta(days=400)
"""How long signals are kept: a year, and a month to compare it with."""
PAGE = 50
"""Signals of one page."""
MOST = 200
"""Signals that can be asked for at once."""
MOST_COUNTED = 1_000
"""Signals that are counted; of more it is said that there are more."""

_MOST_LOOKED_AT = 10 * MOST_COUNTED


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ends: the next begins after this signal."""

    event_ms: int
    id: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The cursor that `str` wrote; None for anything else."""
        first, dash, second = text.partition("-")
        numbers = dash and all(part.isascii() and part.isdigit() and len(part) < 16 for part in (first, second))
        return cls(int(first), int(second)) if numbers else None

    def __str__(self) -> str:
        return f"{self.event_ms}-{self.id}"


@dataclass(frozen=True, slots=True)
class Page:
    """Signals, the newest first, and where the next page begins."""

    signals: Sequence[SignalRecord]
    next: Cursor | None
    """None on the last page."""


def record_of(signal: Signal) -> SignalRecord:
    """A signal as its row, not stored yet."""
    rest: dict[str, Any] = {name: value for name, value in signal.to_json().items() if name != "quadrant"}
    return SignalRecord(**rest, quadrant=signal.quadrant or "", coin=coin(signal.base), stored_ms=0)


def signal_of(record: SignalRecord) -> Signal:
    """The signal that a row holds. Raises ValueError for a row of another version."""
    rest = record.model_dump(exclude={"id", "coin", "stored_ms", "quadrant"})
    return Signal.from_json({**rest, "quadrant": record.quadrant or None})


def store(session: Session, found: Iterable[Signal], stored_ms: int) -> list[SignalRecord]:
    """Write down those that are not there yet, with `stored_ms` (Unix ms) as their time; returns these, with their ids.

    Their outcomes are due from an hour after each on, but for a delisting, which has none.
    """
    rows = [{**record_of(signal).model_dump(exclude={"id"}), "stored_ms": stored_ms} for signal in found]
    if not rows:
        return []
    statement = (
        insert_into(session, SignalRecord).on_conflict_do_nothing(index_elements=["key"]).returning(SignalRecord)
    )
    new = list(session.scalars(statement, rows).all())
    session.add_all(
        SignalOutcome(signal_id=cast("int", record.id), due_ms=known_from_ms(record.event_ms, FIRST_H))
        for record in new
        # Nothing follows for a contract that is not traded.
        if record.kind != "DELISTED"
    )
    return new


def visible(plan: Plan, *, demo: bool, now_ms: int) -> list[ColumnElement[bool]]:
    """The conditions under which a signal is shown to a plan at `now_ms`, but for how far back it may look."""
    conditions: list[ColumnElement[bool]] = [col(SignalRecord.demo).is_(demo)]
    if not plan.open_interest:
        conditions.append(col(SignalRecord.detector) != "open_interest")
    if not plan.live:
        conditions.append(col(SignalRecord.stored_ms) <= last_mark_ms(plan.cadence_s, now_ms))
    return conditions


def sees(plan: Plan, record: SignalRecord, *, now_ms: int) -> bool:
    """`visible` for one signal, but for whether it is of real or of demo data."""
    if record.detector == "open_interest" and not plan.open_interest:
        return False
    return plan.live or record.stored_ms <= last_mark_ms(plan.cadence_s, now_ms)


def search(
    session: Session,
    plan: Plan,
    wanted: SignalFilter,
    *,
    demo: bool,
    now_ms: int,
    after: Cursor | None = None,
    limit: int = PAGE,
) -> Page:
    """One page of what a plan may see of the signals that are `wanted`; at most `MOST`.

    A plan with a limited history sees its newest signals, and of these what is wanted.
    """
    limit = max(1, min(limit, MOST))
    query = _seen_by(plan, demo=demo, now_ms=now_ms).where(*_conditions(wanted, now_ms))
    if after is not None:
        query = query.where(
            or_(
                col(SignalRecord.event_ms) < after.event_ms,
                and_(col(SignalRecord.event_ms) == after.event_ms, col(SignalRecord.id) < after.id),
            )
        )
    found = list(session.scalars(_newest_first(query).limit(limit + 1)).all())
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return Page(page, None if last is None else Cursor(last.event_ms, cast("int", last.id)))


def count_newer(session: Session, plan: Plan, wanted: SignalFilter, *, demo: bool, now_ms: int, last_id: int) -> int:
    """How many of what `search` finds was written after the signal with `last_id`; counts up to `MOST_COUNTED`."""
    id_ = col(SignalRecord.id)
    # Read by their ids: any other way would look through all that was ever stored.
    written = select(SignalRecord.id).where(id_ > last_id).order_by(id_).limit(_MOST_LOOKED_AT).subquery()
    query = _seen_by(plan, demo=demo, now_ms=now_ms).where(*_conditions(wanted, now_ms))
    newer = query.where(id_.in_(select(written.c.id))).with_only_columns(id_).limit(MOST_COUNTED)
    return session.scalar(select(func.count()).select_from(newer.subquery())) or 0


def find(session: Session, plan: Plan, signal_id: int, *, demo: bool, now_ms: int) -> SignalRecord | None:
    """One signal; None if there is none, or the plan may not see it (any more)."""
    query = _seen_by(plan, demo=demo, now_ms=now_ms)
    return session.scalars(query.where(col(SignalRecord.id) == signal_id)).first()


def after_id(session: Session, last_id: int, limit: int = 1_000) -> list[SignalRecord]:
    """Signals written after the one with `last_id`, in the order they were written; at most `limit`."""
    query = select(SignalRecord).where(col(SignalRecord.id) > last_id).order_by(col(SignalRecord.id)).limit(limit)
    return list(session.exec(query).all())


def newest(session: Session, *, limit: int) -> list[SignalRecord]:
    """The signals written last, real and demo ones, in the order they were written."""
    query = select(SignalRecord).order_by(col(SignalRecord.id).desc()).limit(limit)
    return list(session.exec(query).all())[::-1]


def last_id(session: Session) -> int:
    """The largest id of a stored signal; 0 where there is none."""
    return session.scalar(select(func.max(SignalRecord.id))) or 0


def stored_after(session: Session, stored_ms: int) -> list[SignalRecord]:
    """The signals written down after `stored_ms` (Unix ms), real and demo ones, in no order."""
    return list(session.exec(select(SignalRecord).where(col(SignalRecord.stored_ms) > stored_ms)).all())


def since(session: Session, exchange: str, *, demo: bool, first_ms: int) -> list[SignalRecord]:
    """An exchange's signals from `first_ms` (Unix ms) on, the oldest first: what a new engine goes on from."""
    query = (
        select(SignalRecord)
        .where(
            col(SignalRecord.event_ms) >= first_ms,
            col(SignalRecord.exchange) == exchange,
            col(SignalRecord.demo).is_(demo),
        )
        .order_by(col(SignalRecord.event_ms), col(SignalRecord.id))
    )
    return list(session.exec(query).all())


def prune(session: Session, before_ms: int) -> int:
    """Delete signals of before `before_ms` (Unix ms), with their outcomes; returns how many."""
    return delete_unlocked(session, SignalRecord, col(SignalRecord.event_ms) < before_ms)


def purge_demo(session: Session) -> int:
    """Delete the signals of demo data; returns how many.

    What was written last stays until something follows it: SQLite would give its number to the next one, and who reads
    on from there (`after_id`) would never see that.
    """
    last = select(func.max(col(SignalRecord.id))).scalar_subquery()
    return session.exec(delete(SignalRecord).where(col(SignalRecord.demo), col(SignalRecord.id) < last)).rowcount


def count(session: Session) -> int:
    """How many signals are stored."""
    return session.scalar(select(func.count()).select_from(SignalRecord)) or 0


def _seen_by(plan: Plan, *, demo: bool, now_ms: int) -> Any:
    """All that a plan may see at `now_ms`: its newest signals where its history is limited."""
    query: Any = select(SignalRecord).where(*visible(plan, demo=demo, now_ms=now_ms))
    if plan.history is not None:
        newest = _newest_first(query.with_only_columns(col(SignalRecord.id))).limit(plan.history).subquery()
        query = select(SignalRecord).where(col(SignalRecord.id).in_(select(newest.c.id)))
    return query


def _conditions(wanted: SignalFilter, now_ms: int) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.detectors:
        conditions.append(col(SignalRecord.detector).in_(wanted.detectors))
    if wanted.severity > 1:
        conditions.append(col(SignalRecord.severity).in_([s for s in SEVERITIES if s >= wanted.severity]))
    if wanted.direction:
        conditions.append(col(SignalRecord.direction) == wanted.direction)
    if wanted.quadrant:
        # Only open interest has them: asked for of another kind, there is nothing to look for.
        fits = not wanted.detectors or "open_interest" in wanted.detectors
        conditions.append(col(SignalRecord.quadrant) == wanted.quadrant if fits else false())
    if (coins := wanted.coins) is not None:
        conditions.append(col(SignalRecord.coin).in_(sorted(coins)))
    first, end = wanted.span_ms(now_ms)
    if first is not None:
        conditions.append(col(SignalRecord.event_ms) >= first)
    if end is not None:
        conditions.append(col(SignalRecord.event_ms) < end)
    return conditions


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(col(SignalRecord.event_ms).desc(), col(SignalRecord.id).desc())
