"""The contracts of an exchange as they were last, kept so that what changes while no engine runs is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlmodel import Session, col, delete

from flashcur.domain.rules.newness import young
from flashcur.domain.signals.signal import Origin
from flashcur.domain.ticks import Instrument
from flashcur.models import InstrumentSet
from flashcur.services.storage.inserts import insert_into

_FIELDS = (
    "symbol",
    "base",
    "tick_size",
    "price_decimals",
    "contract_size",
    "funding_interval_hours",
    "listed_ms",
    "delivery_ms",
)

Contracts = list[dict[str, Any]]
"""A set as it is stored."""


def contracts_of(instruments: Iterable[Instrument]) -> Contracts:
    """A set as it is stored, in an order of its own: equal sets are equal."""
    rows = sorted(instruments, key=lambda each: each.symbol)
    return [{name: getattr(each, name) for name in _FIELDS} for each in rows]


def instruments_of(contracts: Contracts) -> list[Instrument]:
    """The contracts of a stored set, as far as they are compared. Raises ValueError for a set of another version."""
    try:
        return [Instrument(**{name: row[name] for name in _FIELDS}) for row in contracts]
    except (KeyError, TypeError) as error:
        raise ValueError(f"expected a set of contracts: {error}") from None


def save_set(session: Session, origin: Origin, contracts: Contracts, as_of_ms: int) -> None:
    """Keep the set of `as_of_ms` (Unix ms) as the exchange's last, unless a newer one is kept."""
    statement = insert_into(session, InstrumentSet).values(
        exchange=origin.exchange, demo=origin.demo, as_of_ms=as_of_ms, since_ms=as_of_ms, contracts=contracts
    )
    fresh = statement.excluded
    session.connection().execute(
        statement.on_conflict_do_update(
            index_elements=["exchange", "demo"],
            set_={"as_of_ms": fresh.as_of_ms, "contracts": fresh.contracts},
            where=col(InstrumentSet.as_of_ms) <= fresh.as_of_ms,
        )
    )


def load_set(session: Session, origin: Origin) -> Contracts:
    """The exchange's last set; empty if none was kept."""
    kept = session.get(InstrumentSet, (origin.exchange, origin.demo))
    return [] if kept is None else kept.contracts


def load_young(session: Session, origin: Origin, now_ms: int) -> list[Instrument]:
    """The contracts of the exchange's last set that may be too new for a rule at `now_ms` (Unix ms); empty where none
    was kept by this version."""
    try:
        return young(instruments_of(load_set(session, origin)), now_ms)
    except ValueError:
        return []


def watched_since(session: Session, origin: Origin) -> int | None:
    """When the first set of the exchange was kept, Unix ms; None if none was."""
    kept = session.get(InstrumentSet, (origin.exchange, origin.demo))
    return None if kept is None else kept.since_ms


def purge_demo_sets(session: Session) -> None:
    """Forget the sets of demo data."""
    session.exec(delete(InstrumentSet).where(col(InstrumentSet.demo)))
