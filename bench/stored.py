"""The first page of `/signals` among a million stored signals, by each kind of filter, on both databases."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from bench.options import Options
from bench.report import Cell, Table, median
from flashcur.domain.plans import PLANS
from flashcur.domain.signals.filters import SignalFilter
from flashcur.services.alerts import signals
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.programs import postgres_server

STORED = 1_000_000
NOW_MS = 1_795_435_200_000
TRIES = 9
APART_MS = 31_536
"""So that a million are a year."""

FILTERS: tuple[dict[str, str], ...] = (
    {},
    {"kind": "open_interest"},
    {"severity": "3"},
    {"direction": "bearish"},
    {"quadrant": "short_covering", "severity": "3"},
    {"contract": "C77"},
    {"contract": "C77", "severity": "3", "kind": "funding"},
    {"kind": "open_interest,funding", "severity": "3", "direction": "bearish"},
    {"since": "week", "severity": "3"},
    {"from": "2026-01-01", "to": "2026-01-02"},
    {"from": "2026-01-01", "to": "2026-01-02", "contract": "C9", "kind": "funding"},
    {"to": "2025-12-30", "severity": "3", "quadrant": "long_build_up"},
    {"contract": "NONE"},
)

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {stored})",
    "postgresql": "WITH n(i) AS (SELECT CAST(g AS bigint) FROM generate_series(1, {stored}) AS g)",
}
_FILL = """
INSERT INTO signal_record (key, detector, kind, exchange, symbol, base, coin, demo, severity, direction, quadrant, text,
    price, period_ms, span_ms, event_ms, seen_ms, stored_ms, evidence)
{numbers}
SELECT 'k' || i,
    CASE i % 5 WHEN 0 THEN 'volume_spike' WHEN 1 THEN 'adaptive_spike' WHEN 4 THEN 'funding' ELSE 'open_interest' END,
    'SPIKE', 'binanceusdm', 'C' || (i * 7919 % 500) || 'USDT', 'C' || (i * 7919 % 500), 'C' || (i * 7919 % 500), false,
    CASE WHEN i * 31 % 100 < 60 THEN 1 WHEN i * 31 % 100 < 90 THEN 2 ELSE 3 END,
    CASE i * 17 % 2 WHEN 0 THEN 'bullish' ELSE 'bearish' END,
    CASE i % 5 WHEN 2 THEN 'long_build_up' WHEN 3 THEN 'short_covering' ELSE '' END,
    'text', 1.0, {now} - CAST(i AS bigint) * {apart}, 3600000, {now} - CAST(i AS bigint) * {apart},
    {now} + 40 - CAST(i AS bigint) * {apart}, {now} + 90 - CAST(i AS bigint) * {apart}, '[]'
FROM n
"""


def run(options: Options) -> Table:
    """Measure; times in ms."""
    stored = 50_000 if options.quick else STORED
    rows: list[tuple[Cell, ...]] = []
    for name in ("sqlite", "postgresql"):
        with _database(name) as database:
            if database is not None:
                rows.append(_measure(name, database, stored))
    return Table(
        "stored",
        (f"first page of {len(FILTERS)} filters", "stored", "median ms", "slowest filter's median ms", "slowest ms"),
        tuple(rows),
        ("What an Elite account sees, 50 signals a page; the first read of each filter counts.",),
    )


@contextmanager
def _database(kind: str) -> Iterator[Database | None]:
    """An empty database; None where PostgreSQL is not installed."""
    secret = {"FLASHCUR_SECRET_KEY": "0" * 64}
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield from _open({"FLASHCUR_DATA_DIR": folder, **secret})
    elif not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        yield None
    else:
        with postgres_server() as server:
            yield from _open({"DATABASE_URL": server.create_database("stored"), **secret})


def _open(environment: dict[str, str]) -> Iterator[Database]:
    database = Database(Settings.load(environment))
    try:
        database.migrate()
        yield database
    finally:
        database.close()


def _measure(name: str, database: Database, stored: int) -> tuple[Cell, ...]:
    numbers = _NUMBERS[name].format(stored=stored)
    with database.engine.begin() as connection:
        connection.execute(text(_FILL.format(numbers=numbers, now=NOW_MS, apart=APART_MS)))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    medians: list[float] = []
    slowest = 0.0
    for params in FILTERS:
        wanted = SignalFilter.parse(params, strict=True)
        times: list[float] = []
        for _ in range(TRIES):
            began = time.perf_counter()
            with database.session(readonly=True) as session:
                signals.search(session, PLANS["elite"], wanted, demo=False, now_ms=NOW_MS)
            times.append((time.perf_counter() - began) * 1000)
        medians.append(median(times))
        slowest = max(slowest, *times)
    return f"**{name}**", stored, median(medians), max(medians), slowest
