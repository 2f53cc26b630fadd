"""All there is to one signal: why it fired, the hours around it, what followed it and what follows its kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, select

from flashcur.domain.plans import PLAN_NAMES, PLANS, Plan, last_mark_ms, next_mark_ms
from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.signals.outcomes import HORIZONS_H
from flashcur.domain.signals.picture import (
    DAYS_OF_PAYMENTS,
    HOURS_AFTER,
    HOURS_BEFORE,
    Picture,
    funding_picture,
    price_picture,
    volume_picture,
)
from flashcur.domain.signals.signal import Signal
from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.models import FundingPayment, SignalOutcome, SignalRecord
from flashcur.services.alerts.outcomes import sign_of
from flashcur.services.alerts.signals import find, signal_of
from flashcur.services.alerts.statistics import GroupStatistics, read_statistics
from flashcur.services.kit.clock import length_ms
from flashcur.services.records.hour_candles import load_hours

ENOUGH = 20
"""Signals of a narrower group from which on it says more than a wider one."""

_BEFORE_MS = length_ms(timedelta(days=DAYS_OF_PAYMENTS + 1))


@dataclass(frozen=True, slots=True)
class Details:
    """One signal with all that is known about it."""

    id: int
    signal: Signal
    stored_ms: int
    """Unix ms."""
    outcome: SignalOutcome | None
    """None where nobody waits for it."""
    picture: Picture | None
    """None where no hours are stored of that time."""
    of_its_kind: tuple[GroupStatistics, ...]
    """What followed signals like it, one for each horizon that has any."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """A signal that there is and that a plan does not show."""

    why: str
    """A part of a sentence: `shows no signals of open interest`."""
    shown_by: Plan | None
    """The cheapest plan that shows it now; None where only time helps."""


def read_details(session: Session, plan: Plan, signal_id: int, *, demo: bool, now_ms: int) -> Details | Hidden | None:
    """The signal with this id as a plan sees it at `now_ms` (Unix ms); None if there is none.

    Raises ValueError for one that another version wrote.
    """
    record = find(session, plan, signal_id, demo=demo, now_ms=now_ms)
    if record is None:
        return _hidden(session, plan, signal_id, demo=demo, now_ms=now_ms)
    signal = signal_of(record)
    return Details(
        signal_id,
        signal,
        record.stored_ms,
        session.get(SignalOutcome, signal_id),
        _picture(session, signal, now_ms),
        _of_its_kind(session, signal),
    )


def _hidden(session: Session, plan: Plan, signal_id: int, *, demo: bool, now_ms: int) -> Hidden | None:
    record = session.get(SignalRecord, signal_id)
    if record is None or record.demo != demo:
        return None
    better = (PLANS[name] for name in PLAN_NAMES if PLANS[name].cadence_s < plan.cadence_s)
    shown_by = next((each for each in better if find(session, each, signal_id, demo=demo, now_ms=now_ms)), None)
    if record.detector == "open_interest" and not plan.open_interest:
        return Hidden("shows no signals of open interest", shown_by)
    if not plan.live and record.stored_ms > last_mark_ms(plan.cadence_s, now_ms):
        minutes = -(-(next_mark_ms(plan.cadence_s, now_ms) - now_ms) // 60_000)
        return Hidden(f"shows signals every {plan.cadence_s // 60} minutes, this one in {minutes} min", shown_by)
    return Hidden(f"looks back over the newest {plan.history} signals", shown_by)


def _picture(session: Session, signal: Signal, now_ms: int) -> Picture | None:
    evidence, origin = signal.evidence, signal.origin
    hour_ms = signal.event_ms // HOUR_MS * HOUR_MS
    if evidence.chart == "funding":
        payments = [
            Payment(row.paid_ms, row.rate)
            for row in session.exec(
                select(FundingPayment)
                .where(
                    col(FundingPayment.exchange) == origin.exchange,
                    col(FundingPayment.demo).is_(origin.demo),
                    col(FundingPayment.symbol) == signal.symbol,
                    col(FundingPayment.paid_ms) >= signal.event_ms - _BEFORE_MS,
                    col(FundingPayment.paid_ms) <= signal.event_ms + _BEFORE_MS,
                )
                .order_by(col(FundingPayment.paid_ms))
            )
        ]
        interval = evidence.value("interval") or 8.0
        drawn = funding_picture(
            payments, signal.event_ms, evidence.value("rate"), interval, evidence.line, evidence.line_is
        )
        if drawn is not None:
            return drawn
    own_ms = signal.period_ms // HOUR_MS * HOUR_MS if evidence.chart == "volume" else hour_ms
    first_ms = own_ms - HOURS_BEFORE * HOUR_MS
    # Hours that are still to come leave no room empty, but for the one that is running.
    end_ms = min(own_ms + (HOURS_AFTER + 1) * HOUR_MS, max(own_ms, now_ms // HOUR_MS * HOUR_MS) + HOUR_MS)
    hours = _hours(session, signal, first_ms, end_ms)
    if evidence.chart == "volume":
        return volume_picture(
            hours, own_ms, evidence.value("volume"), evidence.line, evidence.line_is, first_ms, end_ms
        )
    return price_picture(hours, signal.event_ms, signal.price, first_ms, end_ms)


def _hours(session: Session, signal: Signal, first_ms: int, end_ms: int) -> list[Candle]:
    origin = signal.origin
    loaded = load_hours(session, origin.exchange, demo=origin.demo, first_ms=first_ms, symbols=[signal.symbol])
    return [hour for _, hours in loaded for hour in hours if hour.open_ms < end_ms]


def _of_its_kind(session: Session, signal: Signal) -> tuple[GroupStatistics, ...]:
    """By severity and quadrant where there were enough, else of a wider group, else of all of its detector."""
    known = read_statistics(session, signal.origin.exchange, demo=signal.origin.demo)
    if known is None:
        return ()
    quadrant = signal.quadrant or sign_of(signal.detector, signal.key)
    groups: dict[tuple[int | None, str], dict[int, GroupStatistics]] = {}
    for group in known.groups:
        if group.detector == signal.detector:
            groups.setdefault((group.severity, group.quadrant), {})[group.horizon_h] = group
    wider = ((signal.severity, quadrant), (None, quadrant), (signal.severity, ""), (None, ""))
    found = [groups[key] for key in dict.fromkeys(wider) if key in groups]
    enough = (group for group in found if max(each.count for each in group.values()) >= ENOUGH)
    chosen = next(enough, found[-1] if found else {})
    return tuple(chosen[hours] for hours in HORIZONS_H if hours in chosen)
