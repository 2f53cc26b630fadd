"""Past values of a contract that were asked for by a preview: kept for a day."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, delete

from flashcur.models import PastSeries
from flashcur.services.storage.inserts import upsert

KEPT = timedelta(days=1)
_KEY = ("exchange", "demo", "symbol", "kind")
_COLUMNS = 5

Row = tuple[int, float, float, float, float]
"""(beginning in Unix ms, high, low, close, quote volume in USDT); of open interest the values are contracts."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Past values of one contract."""

    first_ms: int
    """From then on they were asked for, Unix ms."""
    until_ms: int
    stored_ms: int
    rows: tuple[Row, ...]
    """Oldest first."""


def save_series(
    session: Session,
    exchange: str,
    symbol: str,
    kind: str,
    rows: Sequence[Row],
    *,
    demo: bool,
    first_ms: int,
    until_ms: int,
    now_ms: int,
) -> None:
    """Write down what was asked for between two moments, in place of what is known; all times Unix ms.

    `kind`: as in `PastRequest`.
    """
    values = {
        "exchange": exchange,
        "demo": demo,
        "symbol": symbol,
        "kind": kind,
        "first_ms": first_ms,
        "until_ms": until_ms,
        "payload": pack(rows),
        "stored_ms": now_ms,
    }
    upsert(session, PastSeries, _KEY, {(exchange, demo, symbol, kind): values})


def load_series(session: Session, exchange: str, symbol: str, kind: str, *, demo: bool) -> Stored | None:
    """What is known of a contract; None where nothing is, or it cannot be read."""
    row = session.get(PastSeries, (exchange, demo, symbol, kind))
    if row is None:
        return None
    try:
        return Stored(row.first_ms, row.until_ms, row.stored_ms, tuple(unpack(row.payload)))
    except (ValueError, zlib.error):
        return None


def prune_series(session: Session, before_ms: int) -> int:
    """Delete what was stored before `before_ms` (Unix ms); returns how many."""
    return session.exec(delete(PastSeries).where(col(PastSeries.stored_ms) < before_ms)).rowcount


def purge_demo_series(session: Session) -> int:
    """Delete those of demo data; returns how many."""
    return session.exec(delete(PastSeries).where(col(PastSeries.demo))).rowcount


def pack(rows: Sequence[Row]) -> bytes:
    """Rows as compressed columns."""
    columns = [array("d", (row[at] for row in rows)).tobytes() for at in range(_COLUMNS)]
    return zlib.compress(b"".join(columns), 1)


def unpack(payload: bytes) -> Iterable[Row]:
    """The rows of `pack`. Raises ValueError or zlib.error for anything else."""
    values = array("d")
    values.frombytes(zlib.decompress(payload))
    count, rest = divmod(len(values), _COLUMNS)
    if rest:
        raise ValueError(f"expected {_COLUMNS} columns, was {len(values)} values")
    times, *others = (values[at * count : (at + 1) * count] for at in range(_COLUMNS))
    return zip(map(int, times), *others, strict=True)
