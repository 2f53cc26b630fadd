"""Reading for a tab, from the database, as often as is fair: signals by the visitor's plan, and what is their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TypeVar
from zoneinfo import ZoneInfo

import reflex as rx
from sqlmodel import Session

from flashcur.domain.plans import Plan
from flashcur.engine.history_status import HistoryStatus
from flashcur.errors import DatabaseError, Refusal, SignInNeeded, Throttled, Unavailable
from flashcur.models import SignalRecord
from flashcur.services.kit.budgets import Budgets
from flashcur.services.market.venues import venue_title
from flashcur.state import visit
from flashcur.web.distances import Snapshot
from flashcur.web.visitors import Visitor

T = TypeVar("T")

READS = 400
"""Reads of signals at once from one network: twice the tabs that it may have open."""
READ_RATE = 20.0
"""Reads a second from one network after that; each costs the database some milliseconds."""

_reads = Budgets(READS, READ_RATE)
_AWAY = "Your messages cannot be read at this moment: try again in a few seconds."


@dataclass(frozen=True, slots=True)
class Reader:
    """By what signals are read for a tab."""

    visitor: Visitor
    plan: Plan
    exchange: str
    """ccxt id of the exchange that serves now; until one does, of the preferred one."""
    title: str
    """What it is called."""
    demo: bool
    """Whether that is the simulated one: real signals and those of demo data are never shown together. Until an
    exchange serves, what is shown is real."""
    now_ms: int
    """Unix ms."""
    zone: tzinfo
    """The visitor's."""
    newest: Sequence[SignalRecord]
    """The newest signals that they see, as this process knows without asking."""
    distances: Snapshot | None
    """How far contracts are from signals, as their plan is shown it; None while that is not known of this exchange."""
    distances_due_ms: int
    """Where those are not known: when they will be, Unix ms; 0 where that is not known either."""
    table: frozenset[str]
    """The contracts of their table."""
    history: HistoryStatus | None
    """How far baselines are filled, as the engine last said; None while it has not."""


@dataclass(frozen=True, slots=True)
class Own:
    """By what somebody's own rows are read for a tab of theirs."""

    account_id: str
    zone: tzinfo
    now_ms: int
    """Unix ms."""


def zone_of(visitor: Visitor) -> ZoneInfo:
    """In which times are shown to a visitor."""
    return ZoneInfo("UTC" if visitor.account is None else visitor.account.time_zone)


def reader_of(state: rx.State) -> Reader:
    """By what signals are read for the visitor whose tab `state` is; asks no database.

    Raises Throttled where their network asks too often, and Unavailable while there is no database.
    """
    runtime = visit.runtime()
    if not _reads.take(visit.client_of(state).network, time.monotonic()):
        raise Throttled("Too much is asked for at once from your network: wait a moment, then try again.")
    if runtime is None or runtime.database is None or not runtime.database_ready.is_set():
        raise Unavailable("Signals cannot be read at this moment: try again in a few seconds.")
    visitor = visit.known_visitor(state)
    live = runtime.hub.live
    demo = runtime.settings.demo == "on" if live is None else live.demo
    exchange = runtime.settings.exchanges[0] if live is None else live.exchange
    title = venue_title(exchange, demo=demo) if live is None else live.title
    plan = runtime.visitors.plan(visitor)
    zone = zone_of(visitor)
    newest = runtime.signals.shown(plan.audience) or ()
    status = runtime.engine_status
    history = None if status is None else status.history
    now_ms, told = runtime.clock(), runtime.distances
    distances = told.shown(plan, now_ms)
    if distances is not None and not distances.is_of(exchange, demo=demo):
        distances = None
    due_ms = told.due_ms(plan) if (told.exchange, told.demo) == (exchange, demo) else 0
    table = runtime.hub.table(plan.audience)
    return Reader(
        visitor,
        plan,
        exchange,
        title,
        demo,
        now_ms,
        zone,
        newest,
        distances,
        due_ms if due_ms > now_ms else 0,
        frozenset() if table is None else frozenset(table.values("symbol")),
        history,
    )


def passes(refusal: Refusal) -> bool:
    """Whether asking again after a while may be answered."""
    return isinstance(refusal, Throttled | Unavailable)


async def read(state: rx.State, work: Callable[[Session, Reader], T]) -> T:
    """What `work` reads for the visitor whose tab `state` is.

    Raises what `work` and `reader_of` raise.
    """
    # Whoever has just come may not be known yet.
    await visit.visitor_of(state)
    reader = reader_of(state)
    runtime = visit.runtime()
    assert runtime is not None
    assert runtime.database is not None
    try:
        return await runtime.database.run(lambda session: work(session, reader), readonly=True)
    except DatabaseError:
        raise Unavailable("Signals cannot be read at this moment: try again in a few seconds.") from None


async def read_own(state: rx.State, work: Callable[[Session, Own], T]) -> T:
    """What `work` reads for the account whose tab `state` is.

    Raises what `work` raises, SignInNeeded for a guest, Throttled where their network asks too often, and Unavailable
    while accounts cannot be reached.
    """
    visitor = await visit.visitor_of(state)
    runtime = visit.runtime()
    if not _reads.take(visit.client_of(state).network, time.monotonic()):
        raise Throttled("Too much is asked for at once from your network: wait a moment, then try again.")
    if visitor.unsure or runtime is None or runtime.database is None or not runtime.database_ready.is_set():
        raise Unavailable(_AWAY)
    if visitor.account is None:
        raise SignInNeeded("Sign in to see your messages.")
    own = Own(visitor.account.id, zone_of(visitor), runtime.clock())
    try:
        return await runtime.database.run(lambda session: work(session, own), readonly=True)
    except DatabaseError:
        raise Unavailable(_AWAY) from None
