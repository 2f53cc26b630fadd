"""How often a rule would have fired, when, and what the price did then: worked out from stored hours and payments, and
from minutes and open interest that were asked for (`past_requests`).

Hours of all contracts are read once an hour and kept in memory, 25 kB a contract. All of it is done off the event
loop, contract by contract, so it tells how far it is and can be cancelled.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from weakref import WeakKeyDictionary

from sqlmodel import Session, col, select

from flashcur.domain.rules.condition import OnSignal
from flashcur.domain.rules.followed import followed
from flashcur.domain.rules.newness import is_too_new
from flashcur.domain.rules.past import (
    BEFORE_MS,
    DAY_MS,
    DAYS,
    MOST_A_WEEK,
    STEP_MS,
    WEEK_DAYS,
    Grain,
    Needs,
    PastFiring,
    Series,
    firings,
    funding_firings,
    limited,
    needs_of,
    signal_firings,
    stricter,
)
from flashcur.domain.rules.rule import Definition
from flashcur.domain.signals.outcomes import Summary
from flashcur.domain.signals.signal import FOLLOW_UPS, Origin
from flashcur.domain.spikes import HOUR_MS
from flashcur.models import FundingPayment, HourCandle, SignalRecord
from flashcur.services.alerts.past_requests import SPAN_MS, Kind
from flashcur.services.kit.clock import length_ms
from flashcur.services.records.instrument_sets import load_young
from flashcur.services.records.past_series import KEPT, Stored, load_series
from flashcur.services.storage.columns import columns_of, rows_of
from flashcur.services.storage.database import Database

SHOWN = 200
"""So many of the newest firings are given."""
_LATE_MS = 3 * 60_000
"""So long after it, an hour that closed may still be missing."""
_AT_ONCE = 40
"""Contracts that are read or judged without a pause."""

Told = Callable[[float], None]
"""Is told how much is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is known of a rule's past."""

    needs: Needs
    asks: Kind | None
    """What has to be asked of the exchange first (`past_requests.ask`, `span_of`); then nothing else is known."""
    contracts: int
    """Of how many contracts something is known."""
    first_ms: int
    """Since when it was judged, Unix ms."""
    week: int
    """Firings in the last 7 days."""
    count: int
    """Firings in all days that were judged (`needs.days`)."""
    by_day: tuple[int, ...]
    """One number for each of these days, the oldest first; a day is 24 h, the last one ends now."""
    firings: tuple[PastFiring, ...]
    """The newest, newest first."""
    followed: tuple[tuple[int, Summary], ...]
    """(hours after, what the price did, beside the contracts' other hours)."""
    suggestion: Definition | None
    """With the smallest threshold that fires at most `MOST_A_WEEK` times a week; None where it fires less often, or
    none does."""
    too_new: int = 0
    """How many contracts of its scope are too new to be judged."""
    scope: int = 0
    """How many there are in all."""
    stored_ms: int | None = None
    """For how long until now something is stored, ms; None: for all days that were judged."""
    requests: int = 0
    """How many requests of the exchange it takes to be told what `asks` needs."""
    would: int = 0
    """Firings of the `suggestion` in all days."""


@dataclass(slots=True)
class _Hours:
    """The hours of one exchange, as of one hour."""

    as_of: int
    by_symbol: dict[str, Series] = field(default_factory=dict[str, Series])
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


_kept: WeakKeyDictionary[Database, dict[tuple[str, bool], _Hours]] = WeakKeyDictionary()


def estimate(definition: Definition, symbols: Sequence[str]) -> Needs:
    """What judging the rule's past over these contracts takes."""
    return needs_of(definition, len(symbols))


def span_of(kind: Kind, now_ms: int) -> tuple[int, int]:
    """What to ask for at `now_ms`: from and until when, Unix ms."""
    grain: Grain = kind
    step = STEP_MS[grain]
    until_ms = now_ms // step * step
    if kind == "minutes":
        return until_ms - DAYS[grain] * DAY_MS - BEFORE_MS[grain], until_ms
    # Exchanges keep 30 days of it, and refuse what begins before.
    return until_ms - DAYS[grain] * DAY_MS + 2 * step, until_ms


async def run(
    database: Database,
    definition: Definition,
    symbols: Sequence[str],
    exchange: str,
    demo: bool,
    now_ms: int,
    progress: Told = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
    early: Callable[[Preview], None] = lambda found: None,
) -> Preview | None:
    """Judge a rule's past over `symbols`, as of `now_ms` (Unix ms); None where it was cancelled.

    `progress` is told how much is done, and `early` what is known before a suggestion is looked for, which takes as
    long again several times. Raises DatabaseError.
    """
    needs = needs_of(definition, len(symbols))
    grain = needs.grain
    if grain is None:
        return _nothing(needs)
    chosen = list(dict.fromkeys(symbols))
    new = await _too_new(database, definition, set(chosen), Origin(exchange, demo), now_ms)
    hours = await _hours(database, chosen, exchange, demo, now_ms, lambda share: progress(share / 2), cancelled)
    if hours is None:
        return None
    if grain == "signals":
        first_ms = now_ms - needs.days * DAY_MS
        since_ms, kept = await database.run(
            lambda session: _signals(session, definition, set(chosen), exchange, demo, first_ms), readonly=True
        )
        stored_ms = None
        if since_ms is None or since_ms > first_ms:
            # One that was just found is stored as well.
            stored_ms = 0 if since_ms is None else max(1, now_ms - since_ms)
        found = signal_firings(definition, kept, first_ms)
        # What followed all signals is not what followed those that the rule would have told of.
        after = () if needs.at_most else await asyncio.to_thread(followed, found, hours)
        progress(1.0)
        known = _preview(needs, len(chosen), first_ms, found, after)
        return replace(known, too_new=new, scope=len(chosen), stored_ms=stored_ms)
    past: Mapping[str, Series | list[tuple[int, float]]]
    until_ms = now_ms
    if grain == "hours":
        past = hours
    elif grain == "payments":
        first_ms = now_ms - needs.days * DAY_MS - BEFORE_MS[grain]
        past = await database.run(lambda session: _payments(session, chosen, exchange, demo, first_ms), readonly=True)
    else:
        stored = await database.run(
            lambda session: load_series(session, exchange, chosen[0], grain, demo=demo), readonly=True
        )
        if stored is None or stored.stored_ms < now_ms - length_ms(KEPT):
            return replace(_nothing(needs, asks=grain), requests=_requests(grain, stored, now_ms))
        until_ms = stored.until_ms
        past = {chosen[0]: Series(STEP_MS[grain], stored.rows)}
    first_ms = until_ms - needs.days * DAY_MS
    found = await _judge(definition, past, first_ms, lambda share: progress(0.5 + share / 2.5), cancelled)
    if found is None:
        return None
    after = await asyncio.to_thread(followed, found, hours)
    progress(1.0)
    known = replace(_preview(needs, len(past), first_ms, found, after), too_new=new, scope=len(chosen))
    most = MOST_A_WEEK * needs.days / WEEK_DAYS
    if len(found) <= most or definition.mode == "once":
        return known
    early(known)
    suggestion, would = await _suggestion(definition, past, first_ms, most, cancelled)
    return replace(known, suggestion=suggestion, would=would)


def _requests(kind: Kind, kept: Stored | None, now_ms: int) -> int:
    """How many requests bring what is not kept (`engine.past_reader`)."""
    first_ms, until_ms = span_of(kind, now_ms)
    if kept is not None and kept.rows and kept.first_ms <= first_ms <= kept.until_ms:
        first_ms = max(first_ms, kept.rows[-1][0])
    return -(-(until_ms - first_ms) // SPAN_MS[kind])


def _nothing(needs: Needs, asks: Kind | None = None) -> Preview:
    return Preview(needs, asks, 0, 0, 0, 0, (), (), (), None)


def _preview(
    needs: Needs,
    contracts: int,
    first_ms: int,
    found: Sequence[PastFiring],
    after: Sequence[tuple[int, Summary]],
) -> Preview:
    times = [each.at_ms for each in found]
    # A firing is at the end of its step.
    edges = [bisect_left(times, first_ms + day * DAY_MS + 1) for day in range(needs.days + 1)]
    edges[-1] = len(times)
    by_day = tuple(end - begin for begin, end in pairwise(edges))
    newest = tuple(reversed(found[-SHOWN:]))
    week = sum(by_day[-WEEK_DAYS:])
    return Preview(needs, None, contracts, first_ms, week, len(found), by_day, newest, tuple(after), None)


async def _judge(
    definition: Definition,
    past: Mapping[str, Series | list[tuple[int, float]]],
    first_ms: int,
    progress: Told,
    cancelled: Callable[[], bool],
) -> list[PastFiring] | None:
    """The firings of all contracts in order of time; None where it was cancelled."""
    found: list[PastFiring] = []
    items = list(past.items())
    for at in range(0, len(items), _AT_ONCE):
        if cancelled():
            return None
        found += await asyncio.to_thread(_of_some, definition, items[at : at + _AT_ONCE], first_ms)
        progress(min(1.0, (at + _AT_ONCE) / len(items)))
    return limited(definition, found)


def _of_some(
    definition: Definition, items: Sequence[tuple[str, Series | list[tuple[int, float]]]], first_ms: int
) -> list[PastFiring]:
    found: list[PastFiring] = []
    for symbol, past in items:
        if isinstance(past, Series):
            found += firings(definition, symbol, past, first_ms)
        else:
            found += funding_firings(definition, symbol, past, first_ms)
    return found


async def _suggestion(
    definition: Definition,
    past: Mapping[str, Series | list[tuple[int, float]]],
    first_ms: int,
    most: float,
    cancelled: Callable[[], bool],
) -> tuple[Definition | None, int]:
    """The least strict of the stricter rules that fires `most` times at most, found by halving: stricter fires less
    often; and how often it does. None where none does, or it was cancelled."""
    tried = stricter(definition)
    low, high, would = 1, len(tried), 0
    while low < high:
        middle = (low + high) // 2
        found = await _judge(tried[middle], past, first_ms, lambda share: None, cancelled)
        if found is None:
            return None, 0
        if len(found) <= most:
            high, would = middle, len(found)
        else:
            low = middle + 1
    return (tried[low], would) if low < len(tried) else (None, 0)


async def _too_new(
    database: Database, definition: Definition, symbols: Collection[str], origin: Origin, now_ms: int
) -> int:
    new = await database.run(lambda session: load_young(session, origin, now_ms), readonly=True)
    return sum(each.symbol in symbols and is_too_new(definition.conditions, each, now_ms) for each in new)


async def _hours(
    database: Database,
    symbols: Sequence[str],
    exchange: str,
    demo: bool,
    now_ms: int,
    progress: Told,
    cancelled: Callable[[], bool],
) -> dict[str, Series] | None:
    """The hours of these contracts, from memory where they are known; None where it was cancelled."""
    kept = _kept.setdefault(database, {})
    as_of = (now_ms - _LATE_MS) // HOUR_MS
    known = kept.get((exchange, demo))
    if known is None or known.as_of != as_of:
        known = kept[exchange, demo] = _Hours(as_of)
    first_hour = as_of - (30 * DAY_MS + BEFORE_MS["hours"]) // HOUR_MS
    async with known.reading:
        missing = [symbol for symbol in symbols if symbol not in known.by_symbol]
        for at in range(0, len(missing), _AT_ONCE):
            if cancelled():
                return None
            some = missing[at : at + _AT_ONCE]
            known.by_symbol |= await database.run(
                lambda session, some=some: _read_hours(session, some, exchange, demo, first_hour), readonly=True
            )
            progress(min(1.0, (at + _AT_ONCE) / len(missing)))
    return {symbol: series for symbol in symbols if len(series := known.by_symbol[symbol])}


def _read_hours(
    session: Session, symbols: Sequence[str], exchange: str, demo: bool, first_hour: int
) -> dict[str, Series]:
    """Hours by symbol; one that has none has an empty series, so that it is not looked for again."""
    table = HourCandle
    query = (
        columns_of(table.symbol, table.hour, table.high, table.low, table.close, table.volume_quote)
        .where(
            col(table.exchange) == exchange,
            col(table.demo).is_(demo),
            col(table.symbol).in_(symbols),
            col(table.hour) >= first_hour,
        )
        .order_by(col(table.symbol), col(table.hour))
    )
    rows: dict[str, list[tuple[int, float, float, float, float]]] = {symbol: [] for symbol in symbols}
    for symbol, hour, high, low, close, volume in rows_of(session, query):
        rows[symbol].append((hour * HOUR_MS, high, low, close, volume))
    return {symbol: Series(HOUR_MS, each) for symbol, each in rows.items()}


def _payments(
    session: Session, symbols: Sequence[str], exchange: str, demo: bool, first_ms: int
) -> dict[str, list[tuple[int, float]]]:
    table = FundingPayment
    query = (
        columns_of(table.symbol, table.paid_ms, table.rate)
        .where(
            col(table.exchange) == exchange,
            col(table.demo).is_(demo),
            col(table.symbol).in_(symbols),
            col(table.paid_ms) >= first_ms,
        )
        .order_by(col(table.symbol), col(table.paid_ms))
    )
    found: dict[str, list[tuple[int, float]]] = {}
    for symbol, paid_ms, rate in rows_of(session, query):
        found.setdefault(symbol, []).append((paid_ms, rate))
    return found


def _signals(
    session: Session, definition: Definition, symbols: Collection[str], exchange: str, demo: bool, first_ms: int
) -> tuple[int | None, list[tuple[str, int, float | None, str]]]:
    """(when the oldest stored signal was, Unix ms; those that the rule is told of, as `signal_firings` takes them)."""
    wanted = next(each for each in definition.conditions if isinstance(each, OnSignal))
    table = SignalRecord
    venue = (col(table.exchange) == exchange, col(table.demo).is_(demo))
    oldest = session.exec(select(table.event_ms).where(*venue).order_by(col(table.event_ms)).limit(1)).first()
    query = columns_of(table.symbol, table.event_ms, table.price, table.direction).where(
        *venue,
        col(table.event_ms) >= first_ms,
        col(table.detector) == wanted.detector,
        col(table.severity) >= wanted.severity,
        col(table.kind).not_in(FOLLOW_UPS),
    )
    if wanted.direction != "any":
        query = query.where(col(table.direction) == wanted.direction)
    if wanted.quadrant:
        query = query.where(col(table.quadrant) == wanted.quadrant)
    rows = rows_of(session, query.order_by(col(table.event_ms), col(table.id)))
    return oldest, [(symbol, at_ms, price, way) for symbol, at_ms, price, way in rows if symbol in symbols]
