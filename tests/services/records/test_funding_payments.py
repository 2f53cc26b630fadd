"""Funding payments in both kinds of database."""

from __future__ import annotations

from flashcur.domain.signals.funding_extreme import Payment
from flashcur.domain.spikes import HOUR_MS
from flashcur.services.records.funding_payments import (
    load_payments,
    prune_payments,
    purge_demo_payments,
    save_payments,
)
from flashcur.services.storage.database import Database

NOON_MS = 1_795_435_200_000
VENUE = "binanceusdm"


def paid(periods_ago: int, rate: float = 0.0001) -> Payment:
    return Payment(NOON_MS - periods_ago * 8 * HOUR_MS, rate)


def save(database: Database, payments: dict[str, list[Payment]], *, demo: bool = False, exchange: str = VENUE) -> int:
    with database.session() as session:
        return save_payments(session, exchange, payments, demo=demo)


def loaded(database: Database, *symbols: str, demo: bool = False, periods: int = 100) -> dict[str, list[Payment]]:
    with database.session(readonly=True) as session:
        return load_payments(session, VENUE, symbols, demo=demo, first_ms=NOON_MS - periods * 8 * HOUR_MS)


def test_payments_come_back_oldest_first_of_whom_was_asked_for(database: Database) -> None:
    assert save(database, {"BTCUSDT": [paid(1), paid(2, -0.002)], "ETHUSDT": [paid(1)]}) == 3
    assert save(database, {}) == 0
    assert loaded(database, "BTCUSDT", "NEWUSDT") == {"BTCUSDT": [paid(2, -0.002), paid(1)]}
    assert loaded(database, "BTCUSDT", periods=1) == {"BTCUSDT": [paid(1)]}


def test_a_payment_that_is_told_again_stands_once(database: Database) -> None:
    save(database, {"BTCUSDT": [paid(1)]})
    save(database, {"BTCUSDT": [paid(1, 0.0002), paid(0)]})
    assert loaded(database, "BTCUSDT") == {"BTCUSDT": [paid(1, 0.0002), paid(0)]}


def test_exchanges_and_demo_data_do_not_mix_and_the_old_is_deleted(database: Database) -> None:
    save(database, {"BTCUSDT": [paid(1), paid(9)]})
    save(database, {"BTCUSDT": [paid(2)]}, demo=True)
    save(database, {"BTCUSDT": [paid(3)]}, exchange="bybit")
    assert loaded(database, "BTCUSDT") == {"BTCUSDT": [paid(9), paid(1)]}
    with database.session() as session:
        assert purge_demo_payments(session) == 1
        assert prune_payments(session, paid(5).paid_ms) == 1
    assert loaded(database, "BTCUSDT", demo=True) == {}
    assert loaded(database, "BTCUSDT") == {"BTCUSDT": [paid(1)]}
