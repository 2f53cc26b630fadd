"""How complete signals are: days in the database, of both kinds, and the line that sums them up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flashcur.domain.signals.silence import DAY_MS, Day, SilenceLedger
from flashcur.services.alerts import silence
from flashcur.services.alerts.silence import Completeness
from flashcur.services.storage.database import Database

DAY = 20_779 * DAY_MS
"""22 November 2026."""
MINUTE_MS = 60_000


def save(
    database: Database, *days: Day, until_ms: int = DAY + DAY_MS, exchange: str = "bybit", demo: bool = False
) -> None:
    with database.session() as session:
        silence.save_days(session, exchange, days, demo=demo, until_ms=until_ms)


def read(database: Database, first_ms: int = DAY, end_ms: int = DAY + DAY_MS, *, demo: bool = False) -> Completeness:
    with database.session(readonly=True) as session:
        return silence.completeness(session, "bybit", demo=demo, first_ms=first_ms, end_ms=end_ms)


def test_days_are_summed_over_contracts_and_whole_days(database: Database) -> None:
    save(
        database,
        Day("BTCUSDT", DAY - DAY_MS, seen=DAY_MS),
        Day("BTCUSDT", DAY, seen=DAY_MS - 3, stale=1, switch=2),
        Day("ETHUSDT", DAY, seen=10, no_baseline=20, engine_away=30),
        Day("ETHUSDT", DAY + DAY_MS, stale=7),
    )
    save(database, Day("BTCUSDT", DAY, stale=999), exchange="binanceusdm")
    save(database, Day("BTCUSDT", DAY, stale=5), demo=True)
    assert read(database, DAY + 5, DAY + 6) == Completeness(DAY, DAY_MS + 7, 1, 2, 20, 30, 2)
    assert read(database, DAY, DAY + DAY_MS + 1).stale_ms == 8
    assert read(database, 0).first_ms == DAY - DAY_MS
    assert read(database, demo=True).stale_ms == 5


def test_a_day_is_written_over_and_a_ledger_goes_on_where_it_was_saved(database: Database) -> None:
    ledger = SilenceLedger()
    ledger.begin(["BTCUSDT", "ETHUSDT"], DAY, cause=None)
    ledger.blind(DAY + 1_000, "switch")
    save(database, *ledger.days(), until_ms=DAY + 1_000)
    ledger.leave(["ETHUSDT"], DAY + 1_000)
    ledger.blind(DAY + 3_000, "switch")
    save(database, *[day for day in ledger.days() if day.symbol == "BTCUSDT"], until_ms=DAY + 3_000)
    with database.session(readonly=True) as session:
        days, until_ms = silence.load_days(session, "bybit", demo=False)
        assert silence.load_days(session, "binanceusdm", demo=False) == ([], 0)
        assert silence.ledgers(session) == [("bybit", False)]
    assert (days, until_ms) == ([Day("BTCUSDT", DAY, switch=3_000)], DAY + 3_000)
    again = SilenceLedger()
    again.restore(days, until_ms, DAY + 63_000)
    assert again.days() == [Day("BTCUSDT", DAY, switch=3_000, engine_away=60_000)]


def test_old_days_and_those_of_demo_data_are_deleted(database: Database) -> None:
    save(database, Day("BTCUSDT", DAY - DAY_MS, seen=1), Day("BTCUSDT", DAY, seen=2))
    save(database, Day("BTCUSDT", DAY, seen=4), demo=True)
    with database.session() as session:
        assert silence.prune_days(session, DAY + 5) == 1
        assert silence.purge_demo_days(session) == 1
    assert read(database, 0).seen_ms == 2
    assert read(database, demo=True).share is None
    assert timedelta(days=90) == silence.KEPT


@pytest.mark.parametrize(
    ("times", "contracts", "text"),
    [
        ((0, 0, 0, 0, 0), 0, "How complete this is will be known once the contracts have been watched for a while."),
        ((DAY_MS, 0, 0, 0, 0), 1, "Complete: the contract was watched without a gap since 22 November."),
        (
            (500 * DAY_MS, 500 * 30_000, 0, 0, 0),
            500,
            "Complete: all 500 contracts were watched without a gap since 22 November.",
        ),
        (
            (500 * DAY_MS, 500 * 90_000, 0, 0, 0),
            500,
            "99.9 % complete: 2 min blind per contract since 22 November, because the exchange’s data came late.",
        ),
        (
            (23 * 3_600_000, 0, 3_000_000, 0, 600_000),
            1,
            "95.8 % complete: 1 h blind since 22 November, mostly while another exchange was serving.",
        ),
        (
            (0, 0, 0, 0, 45_000),
            1,
            "0.0 % complete: 45 s blind since 22 November, while FlashCur was not running.",
        ),
        (
            (DAY_MS, 0, 0, 5 * DAY_MS, 0),
            2,
            "16.7 % complete: 2.5 days blind per contract since 22 November, "
            "while there was too little history to compare with.",
        ),
    ],
)
def test_completeness_is_told_in_one_line(times: tuple[int, int, int, int, int], contracts: int, text: str) -> None:
    seen, stale, switch, no_baseline, away = times
    assert Completeness(DAY, seen, stale, switch, no_baseline, away, contracts).text == text
