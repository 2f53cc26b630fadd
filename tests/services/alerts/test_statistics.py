"""Statistics of what followed signals, in the database, of both kinds."""

from __future__ import annotations

from dataclasses import asdict

from flashcur.models import SignalStatistics
from flashcur.services.alerts.statistics import (
    GroupStatistics,
    Statistics,
    purge_demo_statistics,
    read_statistics,
    save_statistics,
)
from flashcur.services.storage.database import Database

SPIKES = GroupStatistics("volume_spike", None, "", 4, 120, 0.002, -0.01, 0.013, 0.55, 0.5, 1.1, 0.95, 1.27)
SURGES = GroupStatistics("open_interest", 2, "long_build_up", 24, 1, 0.01, 0.01, 0.01, None, None, None, None, None)


def test_the_newest_statistics_of_an_exchange_are_read(database: Database) -> None:
    with database.session() as session:
        assert read_statistics(session, "bybit", demo=False) is None
        save_statistics(session, "bybit", demo=False, computed_ms=5, groups=[SURGES])
    with database.session() as session:
        save_statistics(session, "bybit", demo=False, computed_ms=6, groups=[SPIKES, SURGES])
        save_statistics(session, "bybit", demo=True, computed_ms=7, groups=[])
    with database.session() as session:
        assert read_statistics(session, "bybit", demo=False) == Statistics(6, (SPIKES, SURGES))
        assert read_statistics(session, "bybit", demo=True) == Statistics(7, ())
        assert read_statistics(session, "binanceusdm", demo=False) is None
        assert purge_demo_statistics(session) == 1
        assert read_statistics(session, "bybit", demo=True) is None


def test_statistics_of_another_version_are_none(database: Database) -> None:
    with database.session() as session:
        groups = [{**asdict(SPIKES), "unknown": 1}]
        session.add(SignalStatistics(exchange="bybit", demo=False, computed_ms=5, groups=groups))
    with database.session(readonly=True) as session:
        assert read_statistics(session, "bybit", demo=False) is None
