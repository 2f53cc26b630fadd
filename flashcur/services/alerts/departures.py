"""Contracts that an exchange said are gone or have another name, and that rules or watchlists name all the same.

What was said is stored as a signal, and acted upon a moment later: whoever is killed in between, or switches to another
exchange, leaves rules that wait for a contract that does not exist. They are found by both: by a signal, as a list of
which half is missing says nothing, and by the contract missing from what is traded now, as it may have come back since.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlmodel import Session, and_, col, or_, select

from flashcur.domain.signals.listings import former_symbol
from flashcur.domain.signals.signal import Origin
from flashcur.models import SignalRecord
from flashcur.services.accounts import watchlists
from flashcur.services.alerts import rule_store
from flashcur.services.alerts.signals import signal_of
from flashcur.services.records.instrument_sets import load_set


@dataclass(frozen=True, slots=True)
class Departure:
    """A name of a contract that is no longer traded."""

    former: str
    symbol: str
    """The name it has now; empty where the contract is gone."""
    said_ms: int
    """When that was known, Unix ms."""
    in_rules: bool = False
    """Whether a rule names it that should not."""
    in_lists: bool = False
    """Whether a watchlist holds it by a name that it no longer has."""


def overdue(session: Session, exchange: str, traded: Collection[str]) -> list[Departure]:
    """What rules or watchlists have not followed yet, in the order in which it was said.

    `traded`: the contracts that the exchange tells of now.
    """
    kept = {each["symbol"] for each in load_set(session, Origin(exchange))}
    if not kept:
        return []
    gone = _gone(session, exchange, kept.union(traded))
    named = rule_store.waiting_on(session, {each.former: each.said_ms for each in gone})
    held = watchlists.held(session, {each.former for each in gone if each.symbol})
    return [
        Departure(each.former, each.symbol, each.said_ms, each.former in named, each.former in held)
        for each in gone
        if each.former in named or each.former in held
    ]


def _gone(session: Session, exchange: str, traded: Collection[str]) -> Sequence[Departure]:
    """The last that was said of each contract that is not traded."""
    kind = col(SignalRecord.kind)
    is_name = and_(kind == "TERMS_CHANGED", col(SignalRecord.key).contains(":name:"))
    query = (
        select(SignalRecord)
        .where(
            SignalRecord.detector == "listing",
            SignalRecord.exchange == exchange,
            col(SignalRecord.demo).is_(False),
            or_(kind.in_(("LISTED", "DELISTED")), is_name),
        )
        .order_by(col(SignalRecord.event_ms), col(SignalRecord.id))
    )
    gone: dict[str, tuple[int, Departure]] = {}
    came: dict[str, int] = {}
    for record in session.exec(query):
        day_ms = record.period_ms
        if record.kind == "DELISTED":
            former, name = record.symbol, ""
        else:
            came[record.symbol] = day_ms
            if record.kind == "LISTED":
                continue
            try:
                former, name = former_symbol(signal_of(record)), record.symbol
            except ValueError:
                # Of another version.
                continue
        if former and former not in traded:
            gone.pop(former, None)
            gone[former] = day_ms, Departure(former, name, record.seen_ms)
    # Each is told once a day: of one day nobody knows which came last.
    return [each for former, (day_ms, each) in gone.items() if day_ms >= came.get(former, 0)]
