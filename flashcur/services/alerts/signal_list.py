"""A page of `/signals`: what is found, what became of it, how complete it is, and what to ask instead of nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlmodel import Session, col, select

from flashcur.domain.plans import PLAN_NAMES, PLANS, Plan
from flashcur.domain.signals.filters import SignalFilter
from flashcur.models import SignalOutcome, SignalRecord
from flashcur.services.alerts.signals import Cursor, search
from flashcur.services.alerts.silence import KEPT, Completeness, completeness
from flashcur.services.kit.clock import length_ms

_KEPT_MS = length_ms(KEPT)


@dataclass(frozen=True, slots=True)
class SignalList:
    """One page of what was asked for."""

    entries: Sequence[tuple[SignalRecord, SignalOutcome | None]]
    """The newest first."""
    next: Cursor | None
    """None on the last page."""
    without: tuple[tuple[str, SignalFilter], ...]
    """Where nothing was found: filters (by the parameter that each does without) which find something."""


def read_list(
    session: Session,
    plan: Plan,
    wanted: SignalFilter,
    *,
    demo: bool,
    now_ms: int,
    after: Cursor | None = None,
) -> SignalList:
    """What a plan may see at `now_ms` (Unix ms) of what is wanted; of what comes `after` a page."""
    page = search(session, plan, wanted, demo=demo, now_ms=now_ms, after=after)
    ids = [record.id for record in page.signals]
    outcomes = {
        outcome.signal_id: outcome
        for outcome in session.exec(select(SignalOutcome).where(col(SignalOutcome.signal_id).in_(ids)))
    }
    entries = [(record, outcomes.get(record.id or 0)) for record in page.signals]

    def finds(instead: SignalFilter) -> bool:
        return bool(search(session, plan, instead, demo=demo, now_ms=now_ms, limit=1).signals)

    without: tuple[tuple[str, SignalFilter], ...] = ()
    if not entries and after is None:
        without = tuple((name, instead) for name, instead in _without_each(wanted) if finds(instead))
    return SignalList(entries, page.next, without)


Cause = Literal["none", "delay", "history", "open_interest"]
"""Why a plan is shown nothing: there is nothing, or its delay, its history or what it is without hides it."""


def why_nothing(
    session: Session, plan: Plan, wanted: SignalFilter, *, demo: bool, now_ms: int
) -> tuple[Cause, Plan | None]:
    """Why a plan sees nothing of what is wanted at `now_ms` (Unix ms), and the cheapest plan that sees some of it."""

    def finds(other: Plan) -> bool:
        return bool(search(session, other, wanted, demo=demo, now_ms=now_ms, limit=1).signals)

    shown_by = next((each for each in map(PLANS.__getitem__, PLAN_NAMES) if finds(each)), None)
    if shown_by is None:
        return "none", None
    if finds(replace(plan, history=None)):
        return "history", shown_by
    if finds(replace(plan, history=None, cadence_s=1)):
        return "delay", shown_by
    return "open_interest", shown_by


def how_complete(
    session: Session, wanted: SignalFilter, shown: Sequence[SignalRecord], exchange: str, *, demo: bool, now_ms: int
) -> Completeness:
    """How complete the span and the contracts are that were asked for; without a span, that from the oldest of what is
    `shown` to now."""
    first_ms, end_ms = wanted.span_ms(now_ms)
    if first_ms is None:
        first_ms = min((record.event_ms for record in shown), default=now_ms)
    first_ms = max(first_ms, now_ms - _KEPT_MS)
    return completeness(
        session,
        exchange,
        demo=demo,
        first_ms=first_ms,
        end_ms=min(end_ms or now_ms, now_ms),
        now_ms=now_ms,
        coins=wanted.coins,
    )


def _without_each(wanted: SignalFilter) -> Iterator[tuple[str, SignalFilter]]:
    if wanted.detectors:
        yield "kind", replace(wanted, detectors=())
    if wanted.direction:
        yield "direction", replace(wanted, direction=None)
    if wanted.severity > 1:
        yield "severity", replace(wanted, severity=1)
    if wanted.quadrant:
        yield "quadrant", replace(wanted, quadrant=None)
    if wanted.contract:
        yield "contract", replace(wanted, contract="")
    if wanted.symbols is not None:
        yield "list", replace(wanted, list_id="", symbols=None)
    if wanted.since or wanted.first_day or wanted.last_day:
        yield "time", replace(wanted, since=None, first_day=None, last_day=None)
