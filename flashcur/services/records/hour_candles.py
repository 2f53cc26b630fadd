"""Closed hours of every contract, kept: baselines begin with them, outcomes and charts are read from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from sqlmodel import Session, col, delete, select

from flashcur.domain.spikes import HOUR_MS
from flashcur.domain.ticks import Candle
from flashcur.models import HourCandle
from flashcur.services.storage.inserts import upsert

KEPT = timedelta(days=35)
"""Four weeks for the baselines, and the hours around a signal for as long as its outcome is fresh."""

_KEY = ("exchange", "demo", "symbol", "hour")
_VALUES = ("open", "high", "low", "close", "volume_quote")


def save_hours(session: Session, exchange: str, candles: Iterable[Candle], *, demo: bool) -> int:
    """Write down the closed ones of `candles`, in place of what is known of their hours; returns how many."""
    rows = {
        (candle.symbol, candle.open_ms): {
            "exchange": exchange,
            "demo": demo,
            "symbol": candle.symbol,
            "hour": candle.open_ms // HOUR_MS,
            **{name: getattr(candle, name) for name in _VALUES},
        }
        for candle in candles
        if candle.closed
    }
    return upsert(session, HourCandle, _KEY, rows)


def load_hours(
    session: Session, exchange: str, *, demo: bool, first_ms: int, symbols: Sequence[str] | None = None
) -> Iterator[tuple[str, list[Candle]]]:
    """The hours from `first_ms` (Unix ms) on, oldest first, contract by contract; all of them without `symbols`."""
    query = (
        select(HourCandle)
        .where(
            col(HourCandle.exchange) == exchange,
            col(HourCandle.demo).is_(demo),
            col(HourCandle.hour) >= first_ms // HOUR_MS,
        )
        .order_by(col(HourCandle.symbol), col(HourCandle.hour))
    )
    if symbols is not None:
        query = query.where(col(HourCandle.symbol).in_(symbols))
    rows = session.exec(query.execution_options(yield_per=5_000))
    for symbol, hours in groupby(rows, key=lambda row: row.symbol):
        yield symbol, [_candle(row) for row in hours]


def load_volumes(
    session: Session, exchange: str, symbols: Sequence[str], *, demo: bool, first_ms: int
) -> dict[str, list[tuple[int, float]]]:
    """The hours of `symbols` from `first_ms` (Unix ms) on: (beginning in Unix ms, volume in USDT), oldest first.

    Contracts without any are left out.
    """
    query = (
        select(HourCandle.symbol, HourCandle.hour, HourCandle.volume_quote)
        .where(
            col(HourCandle.exchange) == exchange,
            col(HourCandle.demo).is_(demo),
            col(HourCandle.symbol).in_(symbols),
            col(HourCandle.hour) >= first_ms // HOUR_MS,
        )
        .order_by(col(HourCandle.symbol), col(HourCandle.hour))
    )
    found: dict[str, list[tuple[int, float]]] = {}
    for symbol, hour, volume in session.exec(query):
        found.setdefault(symbol, []).append((hour * HOUR_MS, volume))
    return found


def prune_hours(session: Session, before_ms: int) -> int:
    """Delete hours of before `before_ms` (Unix ms); returns how many."""
    return session.exec(delete(HourCandle).where(col(HourCandle.hour) < before_ms // HOUR_MS)).rowcount


def purge_demo_hours(session: Session) -> int:
    """Delete the hours of demo data; returns how many."""
    return session.exec(delete(HourCandle).where(col(HourCandle.demo))).rowcount


def _candle(row: HourCandle) -> Candle:
    open_ms = row.hour * HOUR_MS
    return Candle(
        row.symbol,
        open_ms,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume_quote,
        closed=True,
        event_ms=open_ms + HOUR_MS,
        seen_ms=open_ms + HOUR_MS,
    )
